"""Named secrets of a KMS, rotated from QKD keys at two sites at once.

A bridge is an application (SAE) of ETSI GS QKD 014 like any other: it asks a key manager over HTTPS, and
shares with the rooms of an agent only the HTTPS server and the type that holds key bytes.
"""
