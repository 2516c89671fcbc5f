"""What a way costs and which one is taken: strategies by name, chosen by policy for each class of service.

Rule of this file: a strategy sees the mesh and one ask and answers with a way or None; it changes nothing.
Prices are whole numbers; `SCALE` stands for one hop over an empty link, so prices compare across strategies.
Baselines that others publish stand beside ours, for operators to compare.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Protocol

from keyweave_controller.control import ways
from keyweave_controller.control.mesh import Mesh, PriceList, Way
from keyweave_controller.control.ways import Ask

SCALE = 1_000_000
"""Price of one hop over an empty link."""

FIRST_FIT_WAYS = 8
"""How many of the shortest ways `first-fit` tries."""


class Strategy(Protocol):
    """How ways are chosen. `ranked` are all acceptable ways, the best first; `choose` takes the first."""

    @property
    def name(self) -> str:
        """What policy and people call it."""
        ...

    def choose(self, mesh: Mesh, ask: Ask) -> Way | None:
        """The way to take now, or None."""
        ...

    def ranked(self, mesh: Mesh, ask: Ask) -> Iterator[Way]:
        """Every way that it would take, the best first."""
        ...

    def prices(self, mesh: Mesh) -> PriceList:
        """What each link costs now, as this strategy counts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheapest:
    """The way whose prices add up to least. `cap`: dearer ones are refused although they fit; None: none is."""

    name: str
    price: Callable[[Mesh, int], float]
    floor: float
    cap: float | None = None

    def prices(self, mesh: Mesh) -> PriceList:
        """What each link costs now."""
        return mesh.prices(self.name, self.price, self.floor)

    def choose(self, mesh: Mesh, ask: Ask) -> Way | None:
        """The cheapest way, when it costs no more than the cap."""
        priced = self.prices(mesh)
        way = ways.cheapest(mesh, priced, ask)
        if way is None or self.cap is None or ways.price_of(priced, way) <= self.cap:
            return way
        return None

    def ranked(self, mesh: Mesh, ask: Ask) -> Iterator[Way]:
        """Cheapest first, up to the cap."""
        priced = self.prices(mesh)
        for way in ways.ranked(mesh, priced, ask):
            if self.cap is not None and ways.price_of(priced, way) > self.cap:
                return
            yield way


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
BALANCED = Cheapest(name="balanced", price=_balanced, floor=SCALE)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {one.name: one for one in (MIN_HOP, LEAST_KM, FirstFit(), Widest(), BALANCED)}
)
"""All strategies by name."""
