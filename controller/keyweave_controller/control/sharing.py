"""Sharing what nobody reserved: max-min fairly, by progressive filling.

Rule of this file: numbers in, numbers out. Every claim has its minimum, and on top of it grows with all
others at the same pace until it has its most or a link that it crosses is full (D. Bertsekas, R. Gallager,
Data Networks, 2nd ed. 1992, section 6.5.2). So what is shared on top of the minima is max-min fair: nobody
could have more of it without somebody having less who has no more than that. (Available bit rate services of
ATM knew it as "MCR plus equal share".)

Links are filled in the order in which they become full; each is looked at again only when one of its claims
stopped growing, so the work is that of the crossings, times the logarithm of the links.

Shares are whole bit/s: a full link gives each of its growing claims the same whole number, and keeps what is
left of the division, less than one bit/s a claim.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What wants a share: on every one of `links` (places; one named twice counts twice), bit/s.

    `least_bps` is always granted, even where the links have not got it. `most_bps` None: as much as there is.
    ValueError when the most is below the least, or there is no bound at all.
    """

    links: tuple[int, ...]
    least_bps: int = 0
    most_bps: int | None = None

    def __post_init__(self) -> None:
        if self.least_bps < 0 or (self.most_bps is not None and self.most_bps < self.least_bps):
            raise ValueError(
                f"a claim of at least {self.least_bps} and at most {self.most_bps} bit/s is none"
            )
        if not self.links and self.most_bps is None:
            raise ValueError("a claim on no link needs a most")


def fair_shares(capacities: Sequence[int], claims: Sequence[Claim]) -> list[int]:
    """The share of each claim, bit/s, `least_bps` included; the order of claims makes no difference.

    `capacities` of the links by place, minima included. A link whose minima exceed it gives nothing on top.
    """
    spare = list(capacities)
    growing = [0] * len(capacities)
    crossing: list[list[int]] = [[] for _ in capacities]
    for place, claim in enumerate(claims):
        for link in claim.links:
            spare[link] -= claim.least_bps
            growing[link] += 1
            crossing[link].append(place)
    extra: list[int | None] = [None] * len(claims)  # None: still growing
    full = [(_level(spare, growing, link), link) for link, number in enumerate(growing) if number]
    heapq.heapify(full)
    sated = sorted(
        (
            (claim.most_bps - claim.least_bps, place)
            for place, claim in enumerate(claims)
            if claim.most_bps is not None
        ),
        reverse=True,
    )

    def stop(place: int, level: int) -> None:
        extra[place] = level
        for link in claims[place].links:
            spare[link] -= level
            growing[link] -= 1

    while full or sated:
        if sated and (not full or sated[-1][0] <= full[0][0]):
            level, place = sated.pop()
            if extra[place] is None:
                stop(place, level)
            continue
        known, link = heapq.heappop(full)
        if not growing[link]:
            continue
        level = _level(spare, growing, link)  # only ever rises: others stopped growing below it
        if level > known:
            heapq.heappush(full, (level, link))
            continue
        for place in crossing[link]:
            if extra[place] is None:
                stop(place, level)
    return [claim.least_bps + (more or 0) for claim, more in zip(claims, extra, strict=True)]


def _level(spare: Sequence[int], growing: Sequence[int], link: int) -> int:
    """How high the claims that still grow can go together on a link."""
    return max(0, spare[link] // growing[link])
