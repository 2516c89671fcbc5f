"""Checks of a key manager's ETSI GS QKD 014 V1.1.1 interface."""
