"""Checks of a key manager's ETSI GS QKD 004 V2.1.1 interface, in the framing of QUBIP/etsi-qkd-004."""
