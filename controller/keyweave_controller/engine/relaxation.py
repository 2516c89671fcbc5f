"""The best placement when everybody may split: a linear program over ways, made as they are needed.

Rule of this file: HiGHS (Q. Huangfu, J. Hall, Parallelizing the Dual Revised Simplex Method, 2018) solves the
program over the ways known so far; what the links cost in its solution tells each commodity the way it would
rather have, found by the searches the controller decides with; until nobody wants another (column generation,
L. Ford, D. Fulkerson, A Suggested Computation for Maximal Multi-Commodity Network Flows, 1958).

    least   congestion of all links (`congestion`) + what moves + what is not served
    where   each commodity is split over its ways, or not served when it has none now
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from scipy.optimize import linprog
from scipy.sparse import csr_array

from keyweave_controller.control import ways
from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList, Way
from keyweave_controller.control.problem import Commodity, PlacementProblem
from keyweave_controller.control.ways import Ask
from keyweave_controller.engine import congestion
from keyweave_core.errors import Unavailable
from keyweave_core.model.ids import NodeId

MOVED = 100.0
"""Price of moving a bit/s, as much as a tenth of a full link's: whoever gains less stays."""

MOST_ROUNDS = 12

_SCALE = 1_000.0  # prices of links as whole numbers, for the searches


@dataclass(slots=True)
class Choices:
    """The ways that a commodity knows, and the share of it that the solution puts on each."""

    commodity: Commodity
    ways: list[Way] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)


class Relaxation:
    """One problem. `capacity` is what all commodities together may take of each link."""

    def __init__(self, problem: PlacementProblem, expired: Callable[[], bool], time_limit_s: float) -> None:
        self.problem, self._expired, self._time_limit_s = problem, expired, time_limit_s
        self.capacity = [max(0, room) for room in problem.rooms]
        self.choices = [Choices(one) for one in problem.commodities]
        for one in self.choices:
            if one.commodity.way is not None:
                one.ways.append(one.commodity.way)
                for link in one.commodity.way:
                    self.capacity[link] += one.commodity.rate_bps
        for link, room in enumerate(problem.rooms):
            if room < CLOSED:
                self.capacity[link] = max(0, self.capacity[link] + room)
        self._unit = max(1.0, sum(self.capacity) / max(1, len(self.capacity)) / 100)
        self._mesh = _mesh_of(problem, self.capacity)

    def solve(self) -> list[Choices]:
        """Every commodity with its shares. Raises Unavailable when HiGHS finds nothing within the time."""
        self._more_ways([1.0] * len(self.capacity), [float("inf")] * len(self.choices))
        prices, worth = self._program()
        for _ in range(MOST_ROUNDS - 1):
            if self._expired() or not self._more_ways(prices, worth):
                break
            try:
                prices, worth = self._program()
            except Unavailable:
                for one in self.choices:  # what the round before found is as good as ever
                    del one.ways[len(one.shares) :]
                break
        return self.choices

    def _program(self) -> tuple[list[float], list[float]]:
        """Solve over the ways known; the prices of links, and what each commodity pays now, by bit/s."""
        links = len(self.capacity)
        costs: list[float] = []
        bounds: list[tuple[float, float | None]] = []
        rows: list[int] = []
        columns: list[int] = []
        values: list[float] = []

        def variable(cost: float, most: float | None, entries: list[tuple[int, float]]) -> None:
            for row, value in entries:
                rows.append(row)
                columns.append(len(costs))
                values.append(value)
            costs.append(cost)
            bounds.append((0.0, most))

        first_link = len(self.choices)
        ranks = _ranks(self.problem)
        for row, one in enumerate(self.choices):
            rate = one.commodity.rate_bps / self._unit
            for way in one.ways:
                moved = MOVED * rate if one.commodity.way not in (None, way) else 0.0
                variable(moved, None, [(row, 1.0), *((first_link + link, rate) for link in way)])
            unserved = congestion.OVERLOAD if one.commodity.way is not None else congestion.UNSERVED
            variable(rate * unserved * (1.0 + ranks[one.commodity.priority]), None, [(row, 1.0)])
        for link, capacity in enumerate(self.capacity):
            for share, price in congestion.PIECES:
                variable(price, share * capacity / self._unit, [(first_link + link, -1.0)])
            variable(congestion.OVERLOAD, None, [(first_link + link, -1.0)])
        matrix = csr_array((values, (rows, columns)), shape=(first_link + links, len(costs)))
        found = linprog(
            costs,
            A_eq=matrix,
            b_eq=[1.0] * first_link + [0.0] * links,
            bounds=bounds,
            method="highs",
            options={"time_limit": self._time_limit_s},
        )
        if found.x is None:
            raise Unavailable(f"no placement found: {found.message}")
        at = 0
        for one in self.choices:
            one.shares = [float(share) for share in found.x[at : at + len(one.ways)]]
            at += len(one.ways) + 1
        duals = [float(dual) for dual in found.eqlin.marginals]
        rates = [one.commodity.rate_bps / self._unit for one in self.choices]
        worth = [dual / rate for dual, rate in zip(duals[:first_link], rates, strict=True)]
        return [max(0.0, -dual) for dual in duals[first_link:]], worth

    def _more_ways(self, prices: list[float], worth: list[float]) -> bool:
        """Give every commodity the cheapest way at these prices, when new and cheaper than what it pays."""
        mesh = self._mesh
        priced = PriceList(_unpriced, 1.0, [round(price * _SCALE) + 1.0 for price in prices])
        known: dict[tuple[object, ...], Way | None] = {}
        more = False
        for one, pays in zip(self.choices, worth, strict=True):
            commodity = one.commodity
            ask = ask_of(commodity)
            key = (ask, commodity.closed)
            if key not in known:
                with mesh.apart(dict.fromkeys(commodity.closed, CLOSED)):
                    known[key] = ways.cheapest(mesh, priced, ask)
            way = known[key]
            if way is None or way in one.ways:
                continue
            moved = MOVED if commodity.way is not None else 0.0
            if sum(prices[link] for link in way) + moved < pays - 1e-6:
                one.ways.append(way)
                more = True
        return more


def ask_of(commodity: Commodity) -> Ask:
    """What its ways must keep."""
    return Ask(
        source=commodity.source,
        target=commodity.target,
        rate_bps=commodity.rate_bps,
        max_hops=commodity.max_hops,
        max_latency_us=commodity.max_latency_us,
    )


def _mesh_of(problem: PlacementProblem, capacity: list[int]) -> Mesh:
    """A mesh in which the places are those of the problem, open where something new may come."""
    nodes = [NodeId(f"{place:06}") for place in range(len(problem.inside))]
    ends = zip(problem.link_ids, problem.a, problem.b, strict=True)
    mesh = Mesh(nodes, ((link_id, nodes[a], nodes[b]) for link_id, a, b in ends))
    mesh.inside = list(problem.inside)
    mesh.latency_us = list(problem.latency_us)
    for link, most in enumerate(capacity):
        mesh.open(link, usable_bps=most, up=problem.rooms[link] >= 0)
    return mesh


def _ranks(problem: PlacementProblem) -> dict[int, float]:
    """Priorities as shares of 1, the lowest 0."""
    found = sorted({one.priority for one in problem.commodities})
    return {priority: place / max(1, len(found)) for place, priority in enumerate(found)}


def _unpriced(_mesh: Mesh, _link: int) -> float:
    return 1.0
