"""The physics of QKD devices: what a fibre and its noise leave of a secret key rate.

Rule of this package: pure functions on frozen values, the standard library alone. Agents emulate modules with
it, the controller predicts what a quantum channel will do before it is made.
"""
