"""Wavelength ranges as GS QKD 015 writes them: channel numbers and spans of them, "1,12-20,40".

Rule of this file: text to numbers; what a number means (a grid, nanometres) is for whoever asks.
"""

import re

HIGHEST = 9999
"""The largest channel number (015 `wavelength`: 1..9999)."""

_PART = re.compile(r"([1-9][0-9]{0,3})(?:-([1-9][0-9]{0,3}))?\Z")


def parse_range(text: str) -> tuple[range, ...]:
    """The parts of a `wavelength_range`, in the order given.

    ValueError naming the part that is neither a number 1..9999 nor two of them in order.
    """
    parts: list[range] = []
    for part in text.split(","):
        match = _PART.match(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError(
                f"{part[:40]!r} is no part of a wavelength range: write 34 or 12-20, numbers 1..9999"
            )
        parts.append(range(first, last + 1))
    return tuple(parts)


def in_range(channel: int, text: str) -> bool:
    """Whether a range holds a channel number; ValueError as `parse_range`."""
    return any(channel in part for part in parse_range(text))
