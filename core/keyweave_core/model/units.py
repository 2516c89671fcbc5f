"""Units and their words: the one place where a number meets its unit for a human reader.

Rule of this file: values inside the program carry the unit in their name (`_bps`, `_bits`, `_db`, `_km`,
`_s`); only what is shown to people is scaled.
"""

UINT32_MAX = 2**32 - 1
"""Bound of every 015 rate and counter."""

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def _scaled(value: float, unit: str) -> str:
    for step, letter in _STEPS:
        if abs(value) >= step:
            return f"{value / step:.3g} {letter}{unit}"
    return f"{value:.3g} {unit}"


def show_rate(bps: float) -> str:
    """A rate for people, e.g. 2_580_000 -> '2.58 Mbit/s'."""
    return _scaled(bps, "bit/s")


def show_bits(bits: float) -> str:
    """An amount of key for people, e.g. 33_554_432 -> '33.6 Mbit'."""
    return _scaled(bits, "bit")


def clamp_uint32(value: float) -> int:
    """The nearest whole number that a YANG uint32 can carry."""
    return max(0, min(UINT32_MAX, round(value)))
