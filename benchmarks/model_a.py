"""Demand model A: reservations that come, hold a rate on every link of a path for a while, and go.

Poisson arrivals, ordered pairs of sites alike, 1, 2 or 4 units of rate, exponential stay of mean 1. The paths
are chosen by the very `Strategy` and `Mesh` that the controller decides with. A demand that the strategy
refuses is lost, unless `Play.on_blocked` makes room for it by moving others (rearrangement).

Figure: carried / bound, where carried is the share of offered rate (units times stay counted alike) that was
accepted after the warm-up, times the offered rate; the bound is that of `traffic.most_carried`.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.traffic import ANY_HOPS, RATES, UNIT_BPS, Arrival, Net, arrivals
from keyweave_controller.control.mesh import Mesh, Way
from keyweave_controller.control.strategies import Strategy
from keyweave_controller.control.ways import Ask

WARM_UP = 8.0
"""Mean stays that pass before anything counts: the network starts empty, and nobody knows the demands."""

MEASURED = 20.0
"""Mean stays that count."""


@dataclass(slots=True)
class Placed:
    """A demand that is carried: what it asked for and the way it takes now."""

    ask: Ask
    way: Way
    since: float


@dataclass(slots=True)
class Result:
    """What came of the demands that arrived after the warm-up; units of rate."""

    offered: int = 0
    accepted: int = 0
    demands: int = 0
    admitted: int = 0
    moves: int = 0

    @property
    def share(self) -> float:
        """Accepted of offered."""
        return self.accepted / self.offered

    @property
    def moves_a_demand(self) -> float:
        """Moves for each admitted demand."""
        return self.moves / max(1, self.admitted)


class Play:
    """A mesh under demands. `live` are those carried now, by number.

    `on_blocked(play, ask)` is asked when the strategy takes no way; it may `move` live demands and returns
    the way that fits then, or None. `on_time(play)` is called every `period` mean stays.
    """

    def __init__(
        self,
        net: Net,
        strategy: Strategy,
        *,
        on_blocked: Callable[["Play", Ask], Way | None] | None = None,
        on_time: Callable[["Play"], None] | None = None,
        period: float = 1.0,
    ) -> None:
        self.net, self.strategy = net, strategy
        self.mesh: Mesh = net.mesh()
        self.live: dict[int, Placed] = {}
        self.now = 0.0
        self.result = Result()
        self._on_blocked, self._on_time, self._period = on_blocked, on_time, period
        self._measuring = False

    def move(self, number: int, way: Way) -> None:
        """Put a live demand onto another way; the caller saw that it fits."""
        placed = self.live[number]
        self.mesh.take(placed.way, -placed.ask.rate_bps)
        self.mesh.take(way, placed.ask.rate_bps)
        placed.way = way
        if self._measuring:
            self.result.moves += 1

    def run(
        self,
        total_units: float,
        *,
        seed: int,
        warm_up: float = WARM_UP,
        measured: float = MEASURED,
    ) -> Result:
        """Offer `total_units` on average and count."""
        leaving: list[tuple[float, int]] = []
        next_time = self._period
        until = warm_up + measured
        stream = arrivals(self.net, total_units=total_units, until=until, seed=seed, rates=RATES)
        for number, one in enumerate(stream):
            while leaving and leaving[0][0] <= one.at:
                self.now, gone = heapq.heappop(leaving)
                self._release(gone)
            while self._on_time is not None and next_time <= one.at:
                self.now = next_time
                self._on_time(self)
                next_time += self._period
            self.now, self._measuring = one.at, one.at >= warm_up
            if self._admit(number, one):
                heapq.heappush(leaving, (one.at + one.stays, number))
        return self.result

    def _release(self, number: int) -> None:
        placed = self.live.pop(number)
        self.mesh.estimates.left(self.now - placed.since)
        self.mesh.take(placed.way, -placed.ask.rate_bps)

    def _admit(self, number: int, one: Arrival) -> bool:
        self.mesh.estimates.demanded(one.units * UNIT_BPS, one.at)
        self.mesh.watch(one.at)
        ask = Ask(source=one.source, target=one.target, rate_bps=one.units * UNIT_BPS, max_hops=ANY_HOPS)
        way = self.strategy.choose(self.mesh, ask)
        if way is None and self._on_blocked is not None:
            way = self._on_blocked(self, ask)
        if way is not None:
            self.mesh.take(way, ask.rate_bps)
            self.live[number] = Placed(ask, way, one.at)
        if self._measuring:
            self.result.offered += one.units
            self.result.demands += 1
            self.result.accepted += one.units * (way is not None)
            self.result.admitted += way is not None
        return way is not None
