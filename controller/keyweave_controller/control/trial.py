"""Trying what would fit if others moved or went: the rooms of all links on paper.

Rule of this file: nothing of the mesh changes; a trial is a list of rooms beside it, and a search looks at
such a list for as long as it runs. Room that is missing is a number below 0. A trial has a bound on its
effort, told in searches: each visits every node at most a few times, so it is a bound on time, too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from keyweave_controller.control import ways
from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList, Way
from keyweave_controller.control.strategies import Strategy
from keyweave_controller.control.ways import Ask
from keyweave_core.model.ids import AppId

NODES_VISITED = 1_000
"""Effort of one question: so many nodes may be visited by all its searches together ..."""

LEAST_SEARCHES = 12
"""... but however big the network is, so many searches are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An association as the search sees it: `ask` are its ends, what it holds of each link, and its bounds.

    `closed` are links that its constraints keep it from. `since` (seconds since 1970): when it was placed.
    """

    key: AppId
    ask: Ask
    way: Way
    priority: int
    preemptible: bool
    movable: bool
    since: float
    closed: frozenset[int] = frozenset()


Holders = Callable[[int], Sequence[Held]]
"""Who holds rate on a link, by its place."""

Moves = tuple[tuple[AppId, Way], ...]

Rooms = list[int]
"""By link, bit/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What makes a demand fit on `way`: `moves` in this order, after `evicted` have gone."""

    way: Way
    moves: Moves
    evicted: tuple[AppId, ...] = ()


class Trial:
    """One question about a mesh, priced as `strategy` counts. `effort`: searches that may still be made.

    `rooms` are what others may take now. `credit` is what is free on a link for the demand alone (it holds
    that already and would give it back).
    """

    def __init__(self, mesh: Mesh, strategy: Strategy, holders: Holders) -> None:
        self.mesh, self.holders = mesh, holders
        self.priced = strategy.prices(mesh)
        self.effort = max(LEAST_SEARCHES, NODES_VISITED // max(1, len(mesh.node_ids)))
        self.rooms: Rooms = list(mesh.room)
        self.credit: dict[int, int] = {}
        for link, (usable, reserved) in enumerate(zip(mesh.usable, mesh.reserved, strict=True)):
            more = self.rooms[link] - (usable - reserved)
            if more > 0 and self.rooms[link] >= 0:
                self.credit[link] = more
                self.rooms[link] -= more

    def cheapest(self, rooms: Rooms, priced: PriceList, ask: Ask) -> Way | None:
        """The cheapest way with these rooms and prices; None also when the effort is spent."""
        return next(self.ranked(rooms, priced, ask, at_most=1), None)

    def ranked(self, rooms: Rooms, priced: PriceList, ask: Ask, *, at_most: int) -> Iterator[Way]:
        """The cheapest few ways with these rooms and prices, while effort lasts."""
        mesh = self.mesh
        found = ways.ranked(mesh, priced, ask)
        way: Way | None = ()
        for number in range(at_most):
            # The first costs one search, each further one a search from every node of the way before it.
            self.effort -= max(1, len(way or ()))
            if number and self.effort < 0:
                return
            kept, mesh.room = mesh.room, rooms
            try:
                way = ways.cheapest(mesh, priced, ask) if at_most == 1 else next(found, None)
            finally:
                mesh.room = kept
            if way is None:
                return
            yield way

    def other_way(self, held: Held, rooms: Rooms) -> Way | None:
        """Another way for someone while the present one still stands; links that lack room are left."""
        trial = list(rooms)
        for link in held.way:
            trial[link] += held.ask.rate_bps  # below what is asked where room is missing
        for link in held.closed:
            trial[link] = CLOSED
        way = self.cheapest(trial, self.priced, held.ask)
        return None if way == held.way else way

    def dearer(self, held: Held, way: Way) -> float:
        """How much more than its present way another one costs."""
        return ways.price_of(self.priced, way) - ways.price_of(self.priced, held.way)

    def parts(self, rooms: Rooms, rate_bps: int) -> list[int]:
        """For every node the name of its part of the network, where only links with that much room join."""
        self.effort -= 1
        mesh = self.mesh
        part = list(range(len(mesh.node_ids)))
        for a, b, room in zip(mesh.a, mesh.b, rooms, strict=True):
            if room < rate_bps:
                continue
            while part[a] != a:
                part[a] = a = part[part[a]]
            while part[b] != b:
                part[b] = b = part[part[b]]
            part[max(a, b)] = min(a, b)
        for node, above in enumerate(part):
            part[node] = part[above]  # the name of a part is its first node, so what is above is settled
        return part

    def bypassed(self, held: Held, link: int, part: Sequence[int]) -> bool:
        """The sides of a way left without `link` meet in some part; otherwise nothing goes around it."""
        a, b = self.mesh.a, self.mesh.b
        cut = held.way.index(link)
        near = {part[held.ask.source]}
        for one in held.way[:cut]:
            near.add(part[a[one]])
            near.add(part[b[one]])
        if part[held.ask.target] in near:
            return True
        return any(part[a[one]] in near or part[b[one]] in near for one in held.way[cut + 1 :])


def shift(rooms: Rooms, held: Held, way: Way) -> None:
    """Someone left for another way (`()`: for good)."""
    for link in held.way:
        rooms[link] += held.ask.rate_bps
    for link in way:
        rooms[link] -= held.ask.rate_bps
