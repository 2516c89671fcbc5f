"""How a way is chosen: the interface of all strategies, and the cheapest way by any pricing.

Rule of this file: a strategy sees the mesh and one ask and answers with a way or None; it changes nothing.
Prices are whole numbers. For strategies without a cap `SCALE` stands for one hop over an empty link; for
those with one it stands for what a demand is worth.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Protocol

from keyweave_controller.control import ways
from keyweave_controller.control.mesh import Mesh, PriceList, Way
from keyweave_controller.control.ways import Ask

SCALE = 1_000_000
"""Price of one hop over an empty link, or what a demand is worth."""

WORTH = float(SCALE + 256)
"""The cap of what is worth `SCALE`: prices are rounded up to whole numbers on each of up to 256 links."""


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
    """The way whose prices add up to least. `cap`: dearer ones are refused although they fit; None: none are.

    `least` bounds the price of a link from below, whatever it holds.
    """

    name: str
    price: Callable[[Mesh, int], float]
    floor: float
    cap: float | None = None
    least: Callable[[Mesh, int], float] | None = None  # of a link, where that is more than `floor`
    learnt: bool = False  # prices depend on what was learnt of the demands

    def prices(self, mesh: Mesh) -> PriceList:
        """What each link costs now."""
        return mesh.prices(self.name, self.price, self.floor, least=self.least, learnt=self.learnt)

    def choose(self, mesh: Mesh, ask: Ask) -> Way | None:
        """The cheapest way, when it costs no more than the cap."""
        return ways.cheapest(mesh, self.prices(mesh), ask, cap=inf if self.cap is None else self.cap)

    def ranked(self, mesh: Mesh, ask: Ask) -> Iterator[Way]:
        """Cheapest first, up to the cap."""
        priced = self.prices(mesh)
        for way in ways.ranked(mesh, priced, ask):
            if self.cap is not None and ways.price_of(priced, way) > self.cap:
                return
            yield way
