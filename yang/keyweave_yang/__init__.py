"""The YANG modules of an SD-QKD node, the schema made from them, and the codec to the domain model."""
