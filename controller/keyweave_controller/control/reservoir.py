"""A pool that is filled from time to time and drawn from all the time: how much more can be drawn.

Rule of this file: arithmetic over one pool, for links that make key in windows only. What is made goes into
the pool as far as there is room, what is promised is drawn from it, and it must never run dry: with what it
holds now and the most it can hold,

    dL/dt = made(t) - drawn(t) - rate(t),    L(now) = stored,    0 <= L(t) <= capacity

where a full pool loses what comes in above what is drawn. L is linear between the moments at which anything
changes and falls with the rate, so the largest rate is found by halving, exact to one bit/s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

_SLACK_BITS = 1.0  # times are floats of some 1e-7 s: less than a bit missing is none


@dataclass(frozen=True, slots=True)
class Load:
    """So much is made, or promised, from a moment until before another."""

    rate_bps: int
    starts_at: float
    ends_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What is stored now, and how much can be."""

    at: float
    stored_bits: int
    capacity_bits: int


def most_that_keeps(
    makes: Sequence[Load], loads: Sequence[Load], pool: Pool, starts_at: float, ends_at: float | None
) -> int:
    """The volume rule: the largest rate with which the pool never runs dry, found by halving."""
    known_until = max((one.ends_at for one in makes), default=pool.at)
    ends_at = known_until if ends_at is None else ends_at
    if ends_at <= starts_at:
        return 0  # no window is known in which a promise for ever could be kept
    drawn = [replace(one, ends_at=known_until) if one.ends_at == inf else one for one in loads]
    spans = _spans(makes, drawn, {pool.at, starts_at, ends_at})

    def keeps(rate_bps: int) -> bool:
        level = float(pool.stored_bits)
        for moment, duration_s, spare_bps in spans:
            if starts_at <= moment < ends_at:
                spare_bps -= rate_bps
            level = min(level + spare_bps * duration_s, pool.capacity_bits)
            if level < -_SLACK_BITS:
                return False
        return True

    if not keeps(0):
        return 0
    made = sum(
        (min(one.ends_at, ends_at) - one.starts_at) * one.rate_bps for one in makes if one.starts_at < ends_at
    )
    low, high = 0, int((pool.stored_bits + made + _SLACK_BITS) / (ends_at - starts_at)) + 1
    while high - low > 1:  # `low` can be kept, `high` cannot: it would draw more than there is in all
        middle = (low + high) // 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


def _spans(
    makes: Iterable[Load], drawn: Iterable[Load], moments: set[float]
) -> list[tuple[float, float, int]]:
    """The time cut where anything changes: (from, for so long, bit/s made above what is drawn)."""
    changes = dict.fromkeys(moments, 0)
    for sign, group in ((1, makes), (-1, drawn)):
        for one in group:
            if one.ends_at > one.starts_at:
                changes[one.starts_at] = changes.get(one.starts_at, 0) + sign * one.rate_bps
                changes[one.ends_at] = changes.get(one.ends_at, 0) - sign * one.rate_bps
    spans, running = [], 0
    for moment, then in pairwise(sorted(changes)):
        running += changes[moment]
        spans.append((moment, then - moment, running))
    return spans
