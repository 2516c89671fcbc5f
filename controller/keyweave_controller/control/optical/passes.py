"""Satellites: links that make key only while one passes.

Rule of this file: pure. What a pass gives is either told (`rates`) or worked out from how the loss changes
while it lasts (`losses`): the counts are integrated second by second and distilled as one finite-key block.
The key of such a block exists when the pass is over; its window spreads it evenly over the pass, which is
what a plan for hours or days needs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite

from keyweave_controller.control.optical.windows import Window, ordered
from keyweave_core.model.units import clamp_uint32
from keyweave_core.physics.finite import FiniteDecoy, distil

_STEP_S = 1.0
_LONGEST_S = 86_400.0
_MOST_DB = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass, from `starts_at` until before `ends_at` (seconds, at most a day long).

    Just one of `rates` and `losses` is given, both as (seconds after the start, value) in order, the first at
    0: `rates` in bit/s, each valid until the next; `losses` in dB (0..200), straight lines between them and
    the last one valid to the end. ValueError naming what is wrong.
    """

    starts_at: float
    ends_at: float
    rates: tuple[tuple[float, int], ...] = ()
    losses: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        at = f"pass at {self.starts_at} s"
        if not (isfinite(self.starts_at) and 0 < self.ends_at - self.starts_at <= _LONGEST_S):
            raise ValueError(f"{at}: ends_at is later than starts_at, by a day at most, not {self.ends_at}")
        if bool(self.rates) == bool(self.losses):
            raise ValueError(f"{at}: give rates or losses")
        times = [since_s for since_s, _ in (self.rates or self.losses)]
        rising = all(one < other for one, other in pairwise(times))
        if times[0] != 0 or not rising or not times[-1] < self.ends_at - self.starts_at:
            raise ValueError(f"{at}: times begin at 0, rise and stay below the end of the pass")
        for _, loss_db in self.losses:
            if not 0 <= loss_db <= _MOST_DB:
                raise ValueError(f"{at}: a loss is 0..{_MOST_DB} dB, not {loss_db}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassKey:
    """What a pass gives: its windows (none when it gives no key), secret bits, and QBER where it is known."""

    windows: tuple[Window, ...]
    key_bits: int
    qber: float | None = None


def key_of(one: Pass, device: FiniteDecoy) -> PassKey:
    """The key of one pass; ValueError (`Window`) for a rate that no link can have."""
    if one.rates:
        ends = [since_s for since_s, _ in one.rates[1:]] + [one.ends_at - one.starts_at]
        windows = tuple(
            Window(starts_at=one.starts_at + since_s, ends_at=one.starts_at + end_s, rate_bps=rate_bps)
            for (since_s, rate_bps), end_s in zip(one.rates, ends, strict=True)
        )
        open_ones = tuple(window for window in windows if window.rate_bps)
        return PassKey(windows=open_ones, key_bits=sum(window.bits for window in open_ones))
    block = distil(device, _slots(one))
    rate_bps = clamp_uint32(floor(block.key_bits / (one.ends_at - one.starts_at)))
    windows = (Window(starts_at=one.starts_at, ends_at=one.ends_at, rate_bps=rate_bps),) if rate_bps else ()
    return PassKey(windows=windows, key_bits=block.key_bits, qber=block.qber)


def windows_of(passes: Iterable[Pass], device: FiniteDecoy) -> tuple[Window, ...]:
    """When a link over these passes makes key, in order; ValueError when two passes overlap."""
    listed = tuple(passes)
    ordered(Window(starts_at=one.starts_at, ends_at=one.ends_at, rate_bps=0) for one in listed)
    return ordered(window for one in listed for window in key_of(one, device).windows)


def _slots(one: Pass) -> Iterable[tuple[float, float]]:
    """Seconds and the loss in their middle."""
    length_s = one.ends_at - one.starts_at
    number = ceil(length_s / _STEP_S)
    step_s = length_s / number
    place = 0
    for slot in range(number):
        middle_s = (slot + 0.5) * step_s
        while place + 1 < len(one.losses) and one.losses[place + 1][0] <= middle_s:
            place += 1
        since_s, loss_db = one.losses[place]
        if place + 1 < len(one.losses):
            next_s, next_db = one.losses[place + 1]
            loss_db += (next_db - loss_db) * (middle_s - since_s) / (next_s - since_s)
        yield step_s, loss_db
