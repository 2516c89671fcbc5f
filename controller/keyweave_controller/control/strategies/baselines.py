"""Baselines that others publish and operators know, and the default: nothing here refuses what fits.

Rule of this file: prices depend on the figures of a link alone, or not at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from keyweave_controller.control import ways
from keyweave_controller.control.mesh import Mesh, PriceList, Way
from keyweave_controller.control.strategies.choosing import SCALE, Cheapest
from keyweave_controller.control.ways import Ask

FIRST_FIT_WAYS = 8
"""How many of the shortest ways `first-fit` tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFit:
    """The `FIRST_FIT_WAYS` shortest ways, whether they fit or not; the first that fits is taken."""

    name: str = "first-fit"

    def prices(self, mesh: Mesh) -> PriceList:
        """A hop is a hop."""
        return mesh.prices("min-hop", _hop, SCALE)

    def choose(self, mesh: Mesh, ask: Ask) -> Way | None:
        """The first that fits."""
        return next(self.ranked(mesh, ask), None)

    def ranked(self, mesh: Mesh, ask: Ask) -> Iterator[Way]:
        """Those that fit, in order of length."""
        anyway = Ask(
            source=ask.source,
            target=ask.target,
            rate_bps=_ANY_OPEN,
            max_hops=ask.max_hops,
            max_latency_us=ask.max_latency_us,
        )
        for way in islice(ways.ranked(mesh, self.prices(mesh), anyway), FIRST_FIT_WAYS):
            if all(mesh.room[link] >= ask.rate_bps for link in way):
                yield way


@dataclass(frozen=True, slots=True, kw_only=True)
class Widest:
    """The way whose tightest link has most room; fewest hops among those."""

    name: str = "widest"

    def prices(self, mesh: Mesh) -> PriceList:
        """A hop is a hop."""
        return mesh.prices("min-hop", _hop, SCALE)

    def choose(self, mesh: Mesh, ask: Ask) -> Way | None:
        """The widest way."""
        return ways.widest(mesh, self.prices(mesh), ask)

    def ranked(self, mesh: Mesh, ask: Ask) -> Iterator[Way]:
        """The widest first; after it those that are left, by length."""
        best = self.choose(mesh, ask)
        if best is None:
            return
        yield best
        yield from (way for way in ways.ranked(mesh, self.prices(mesh), ask) if way != best)


_ANY_OPEN = 0


def _hop(_mesh: Mesh, _link: int) -> float:
    return float(SCALE)


def _kilometre(mesh: Mesh, link: int) -> float:
    """A thousandth of a hop on top, so that of like lengths the one with fewer hops is taken."""
    return float(round(mesh.km[link] * SCALE) + SCALE // 1_000)


def _balanced(mesh: Mesh, link: int) -> float:
    """1 to 2 hops by the share that is promised: a detour must relieve at least a whole link."""
    return float(SCALE + SCALE * mesh.reserved[link] // max(1, mesh.usable[link]))


MIN_HOP = Cheapest(name="min-hop", price=_hop, floor=SCALE)
LEAST_KM = Cheapest(name="least-km", price=_kilometre, floor=0.0)
FIRST_FIT = FirstFit()
WIDEST = Widest()
BALANCED = Cheapest(name="balanced", price=_balanced, floor=SCALE)
