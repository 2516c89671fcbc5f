"""The key rate of a link's end as an average over time, and the coarse steps of its stored key.

Rule of this file: pure functions over one `LinkEnd` and what is told of it. A device that distils key in
blocks (finite-key analysis needs large ones) tells 0 between two of them and a burst at one, so a rate as it
was told means little. What was told holds until something else is: the average decays towards the rate told
*before*, over the time for which that one held,

    average(t) = told + (average(t0) - told) * exp(-(t - t0) / T)

which weighs a report by how long it was true, however irregularly reports come. T is `rate_smoothing_s`, or
`BURSTS` times the time between two blocks where an end was seen to make key in blocks. The first rate above 0
counts whole (a module tells 0 before it has measured any), and so does one told of an end that is down: no
key is made there, whatever it was on average.

Decisions never use these figures themselves, only what was counted of them in a journaled event.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import exp

from keyweave_controller.control.beliefs import DOWN, MAX_RATE_BPS
from keyweave_controller.control.state import LinkEnd
from keyweave_core.model.link import KeyPool, LinkStatus

BURSTS = 4.0
"""Time constant of an end that makes key in blocks, in times between two blocks."""

LONGEST_S = 3_600.0
"""No average reaches further back."""

SETTLED = 0.01
"""Share of the rate told by which the average may differ from it and count as settled."""

POOL_STEPS = 8
"""Stored key is news to decisions when it moved by this part of the pool's capacity."""

MARGIN = 1 / 32
"""Part of a floor by which stored key must exceed it before it counts as above again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """What is remembered of the rates that an end told: four fields of `LinkEnd`."""

    average_bps: float | None
    average_at: float
    burst_at: float | None
    burst_every_s: float


def follow(
    end: LinkEnd, told_bps: int | None, status: LinkStatus | None, at: float, time_s: float
) -> Average:
    """The average at `at`, when `told_bps` (None: nothing new) is told then. `time_s` 0: no average."""
    before, held = end.average_bps, end.performance.skr_bps
    now = held if told_bps is None else told_bps
    burst_at, every_s = _bursts(end, told_bps, at)
    down = status in DOWN or end.status in DOWN
    if now is None or not 0 <= now <= MAX_RATE_BPS:
        average = before
    elif not before or held is None or not 0 <= held <= MAX_RATE_BPS or time_s <= 0 or down:
        average = float(now)
    else:
        passed_s = max(0.0, at - end.average_at)
        constant_s = min(LONGEST_S, max(time_s, BURSTS * every_s))
        average = held + (before - held) * exp(-passed_s / constant_s)
        if _near(average, now):  # it would come nearer for ever, and never be what the link makes
            average = float(now)
    return Average(average_bps=average, average_at=at, burst_at=burst_at, burst_every_s=every_s)


def taken_over(read: LinkEnd, former: LinkEnd | None) -> LinkEnd:
    """An end as it was read with the node's tree, with what was learned of it before.

    A tree read between two blocks of key tells a rate of 0, which is no news of an end that made key and is
    not down: the rate that was counted goes on counting, and fades if no key comes.
    """
    told = read.performance.skr_bps
    read = replace(read, average_bps=None if told is None else float(told), average_at=read.at)
    if former is None or DOWN & {former.status, read.status}:
        return read
    read = replace(read, burst_at=former.burst_at, burst_every_s=former.burst_every_s)
    if told == 0 and former.counted_skr_bps:
        counted = former.counted_skr_bps
        average = counted if former.average_bps is None else former.average_bps
        read = replace(read, counted_skr_bps=counted, average_bps=float(average))
    return read


def settled(end: LinkEnd) -> bool:
    """More time without news would change the average no more."""
    average, told = end.average_bps, end.performance.skr_bps
    return average is None or told is None or _near(average, told)


def _near(average_bps: float, told_bps: int) -> bool:
    return abs(average_bps - told_bps) <= max(0.5, SETTLED * told_bps)


def _bursts(end: LinkEnd, told_bps: int | None, at: float) -> tuple[float | None, float]:
    """When the last block came, and how far apart blocks are: a rate that rises from nothing is one."""
    if not told_bps or end.performance.skr_bps != 0 or end.status in DOWN:
        return end.burst_at, end.burst_every_s
    if end.burst_at is None:
        return at, end.burst_every_s
    return at, min(LONGEST_S, max(0.0, at - end.burst_at))


def pool_is_news(counted: KeyPool | None, now: KeyPool | None, floors: Iterable[int]) -> bool:
    """Decisions are to know of this level: it moved by a step, or crossed a floor that somebody wants kept.

    A floor is crossed downwards at once and upwards by `MARGIN` above it, so that a level which swings about
    it is no news each time.
    """
    if now is None:
        return False
    if counted is None or now.capacity_bits != counted.capacity_bits:
        return True
    before, level = counted.stored_bits, now.stored_bits
    if (level <= 0) != (before <= 0) or abs(level - before) * POOL_STEPS >= now.capacity_bits > 0:
        return True
    for floor in floors:
        if before >= floor > level or (before < floor and level >= floor * (1 + MARGIN)):
            return True
    return False


def age_is_news(counted: KeyPool | None, now: KeyPool | None, limits: Iterable[int]) -> bool:
    """Decisions are to know of this age of the oldest key: it crossed a limit that somebody wants kept."""
    if now is None or counted is None:
        return now is not None
    before, age = counted.oldest_age_s, now.oldest_age_s
    if before is None or age is None:
        return before is not age
    return any((before > limit) != (age > limit) for limit in limits)
