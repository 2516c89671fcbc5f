"""When a link makes key: spans of time and the rate inside them.

Rule of this file: values and sums. Windows of one link are sorted and do not overlap (`ordered`); outside of
them the link makes no key. Times are seconds on one scale with the events' `at` (Unix time in a running
controller); a window holds its start and not its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import floor, isfinite

from keyweave_core.model.units import UINT32_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A link makes `rate_bps` (0..2**32-1) from `starts_at` until before `ends_at` (seconds, start < end).

    ValueError for times that are no numbers or in the wrong order, and for a rate out of bounds.
    """

    starts_at: float
    ends_at: float
    rate_bps: int

    def __post_init__(self) -> None:
        if not (isfinite(self.starts_at) and isfinite(self.ends_at) and self.starts_at < self.ends_at):
            raise ValueError(f"a window from {self.starts_at} s to {self.ends_at} s is none")
        if not 0 <= self.rate_bps <= UINT32_MAX:
            raise ValueError(f"rate_bps of a window is 0..{UINT32_MAX}, not {self.rate_bps}")

    @property
    def duration_s(self) -> float:
        """How long it is open."""
        return self.ends_at - self.starts_at

    @property
    def bits(self) -> int:
        """The secret key made inside it, whole bits."""
        return floor(self.duration_s * self.rate_bps)


def ordered(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The windows of one link by start; ValueError naming the first two that overlap."""
    by_start = tuple(sorted(windows, key=lambda window: (window.starts_at, window.ends_at)))
    for one, other in pairwise(by_start):
        if other.starts_at < one.ends_at:
            raise ValueError(
                f"windows overlap: {one.starts_at} s to {one.ends_at} s, "
                f"and {other.starts_at} s to {other.ends_at} s"
            )
    return by_start


def bits_between(windows: Iterable[Window], starts_at: float, ends_at: float) -> int:
    """Secret key made by `windows` between two times, whole bits a window; 0 when the times are reversed."""
    total = 0
    for window in windows:
        shared_s = min(window.ends_at, ends_at) - max(window.starts_at, starts_at)
        if shared_s > 0:
            total += floor(shared_s * window.rate_bps)
    return total


def rate_at(windows: Iterable[Window], at: float) -> int:
    """Bit/s made at one moment; 0 outside of every window."""
    return sum(window.rate_bps for window in windows if window.starts_at <= at < window.ends_at)


def mean_rate_bps(windows: Iterable[Window], starts_at: float, ends_at: float) -> int:
    """The steady rate that the key made between two times would carry, rounded down.

    ValueError when the times are not in order.
    """
    if not starts_at < ends_at:
        raise ValueError(f"no time between {starts_at} s and {ends_at} s")
    return floor(bits_between(windows, starts_at, ends_at) / (ends_at - starts_at))
