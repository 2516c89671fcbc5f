"""The optical layer below physical QKD links: fibres, wavelengths, switches, noise, and availability in time.

Rule of this package: pure. A `Plant` is what operators say of their fibres; quantum channels are chosen on it
(`compute`), judged on it (`review`) and shared on it (`switched`, `passes`). Key rates come from
`keyweave_core.physics`.
"""
