"""Checks of a key manager's ETSI GS QKD 020 V1.1.1 interface towards other networks."""
