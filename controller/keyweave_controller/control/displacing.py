"""Taking the place of others: which way for a demand costs the fewest of them, and who they are.

Rule of this file: a pure search; the mesh is left exactly as it was found. Only those give way who may be
preempted and whose priority is strictly lower, so chains of preemption end: each evicts something lower.

A link costs as many victims as it takes to make room on it, the largest first. That is counted only for links
on the cheapest way so far (the others cost one victim for the time being), until all on it are counted: lazy
evaluation of edges (C. Dellin, S. Srinivasa, A Unifying Formalism for Shortest Path Problems with Expensive
Edge Evaluations, ICAPS 2016). On each of the best ways the smallest set of victims for all its links together
is sought; then those who find another way while they still stand are moved instead.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList, Way
from keyweave_controller.control.strategies import Strategy
from keyweave_controller.control.trial import Held, Holders, Moves, Room, Rooms, Trial, shift
from keyweave_controller.control.ways import Ask

MOST_WAYS = 16
"""Ways on which victims are sought."""

MOST_SETS = 2_000
"""Sets of victims that are looked at for one way before the first one found by taking the largest is kept."""


def displace(mesh: Mesh, strategy: Strategy, ask: Ask, holders: Holders, *, priority: int) -> Room | None:
    """The way whose victims are fewest, then lowest in priority, then newest; None when none helps.

    `priority` is the demand's; larger goes first. Victims that fit elsewhere, as things will be once the
    demand has come, are among `moves` instead of `evicted`.
    """
    search = _Search(mesh, strategy, ask, holders, priority)
    best: tuple[_Rank, Room] | None = None
    for way in search.ways():
        victims = search.victims(way)
        if victims is None:
            continue
        moves, evicted = search.spared(way, victims)
        rank = _rank(evicted, len(moves))
        if best is None or rank < best[0]:
            best = (rank, Room(way=way, moves=moves, evicted=tuple(held.key for held in evicted)))
        if not evicted and len(moves) <= 1:
            break
    return None if best is None else best[1]


_Rank = tuple[int, tuple[int, ...], tuple[float, ...], int]


def _rank(victims: Sequence[Held], moved: int = 0) -> _Rank:
    priorities = tuple(sorted((held.priority for held in victims), reverse=True))
    return len(victims), priorities, tuple(sorted(-held.since for held in victims)), moved


class _Search:
    """One question."""

    def __init__(self, mesh: Mesh, strategy: Strategy, ask: Ask, holders: Holders, priority: int) -> None:
        self.trial = Trial(mesh, strategy, holders)
        self.ask, self.priority = ask, priority
        self.counts: dict[int, int | None] = {}

    def ways(self) -> Iterator[Way]:
        """Ways by number of victims, those that two links share counted twice."""
        trial, rate = self.trial, self.ask.rate_bps
        rooms, prices = list(trial.rooms), list(trial.priced.prices)
        scale = 1.0 + sum(prices)
        for link, room in enumerate(rooms):
            free = room + trial.credit.get(link, 0)
            if free < rate <= trial.mesh.usable[link] and room != CLOSED:
                rooms[link] = rate
                prices[link] += scale
            elif free >= rate:
                rooms[link] = free
        priced = PriceList(trial.priced.price, trial.priced.floor, prices)
        open_ = list(trial.priced.prices)
        while True:
            way = trial.cheapest(rooms, priced, self.ask)
            if way is None:
                return
            unknown = [link for link in way if link not in self.counts]
            if not unknown:
                break
            self._count(unknown, rooms, prices, open_, scale)
        for found in trial.ranked(rooms, priced, self.ask, at_most=MOST_WAYS):
            fresh = [link for link in found if link not in self.counts]
            self._count(fresh, rooms, prices, open_, scale)
            if all(self.counts[link] is not None for link in found):
                yield found

    def _count(
        self, links: Sequence[int], rooms: Rooms, prices: list[float], plain: Sequence[float], scale: float
    ) -> None:
        for link in links:
            count = self.counts[link] = self._least(link)
            if count is None:
                rooms[link] = CLOSED
            else:
                prices[link] = plain[link] + scale * count

    def _least(self, link: int) -> int | None:
        """The least number of victims that make room on a link; None when all together do not."""
        lack = self._lack(link)
        rates = sorted((held.ask.rate_bps for held in self._eligible(link)), reverse=True)
        for count, rate in enumerate(rates):
            if lack <= 0:
                return count
            lack -= rate
        return len(rates) if lack <= 0 else None

    def _lack(self, link: int) -> int:
        return self.ask.rate_bps - self.trial.rooms[link] - self.trial.credit.get(link, 0)

    def _eligible(self, link: int) -> list[Held]:
        return [
            held
            for held in self.trial.holders(link)
            if held.preemptible and held.priority < self.priority and held.ask.rate_bps > 0
        ]

    def victims(self, way: Way) -> list[Held] | None:
        """The best set of victims for a way: fewest, lowest, newest; told from the lowest to the highest."""
        lacks = {link: lack for link in way if (lack := self._lack(link)) > 0}
        able = {held.key: held for link in lacks for held in self._eligible(link)}
        order = sorted(able.values(), key=lambda held: (held.priority, -held.since, held.key))
        greedy = _greedy(order, lacks)
        if greedy is None:
            return None
        best, looked = greedy, 0
        least = max((self.counts[link] or 0 for link in lacks), default=0)
        for size in range(least, len(greedy) + 1):
            looked += comb(len(order), size)
            if looked > MOST_SETS:
                break
            sets = [list(one) for one in combinations(order, size) if _covers(one, lacks)]
            if sets:
                best = min([*sets, best], key=_rank)
                break
        return sorted(best, key=lambda held: (held.priority, -held.since, held.key))

    def spared(self, way: Way, victims: list[Held]) -> tuple[Moves, list[Held]]:
        """Which victims move instead, and which are left to evict.

        The lowest are decided first: the room of those who go may serve those who come after them.
        """
        trial = self.trial
        rooms = list(trial.rooms)
        for link in way:
            rooms[link] -= max(0, self.ask.rate_bps - trial.credit.get(link, 0))
        moves, evicted = [], []
        for held in victims:
            other = trial.other_way(held, rooms) if held.movable and trial.effort > 0 else None
            if other is None:
                shift(rooms, held, ())
                evicted.append(held)
            else:
                shift(rooms, held, other)
                moves.append((held.key, other))
        return tuple(moves), evicted


def _covers(victims: Sequence[Held], lacks: dict[int, int]) -> bool:
    return all(
        sum(held.ask.rate_bps for held in victims if link in held.way) >= lack for link, lack in lacks.items()
    )


def _greedy(order: Sequence[Held], lacks: dict[int, int]) -> list[Held] | None:
    """Victims one by one, each the one that makes most of what is still missing; then none too many."""
    left, able, taken = dict(lacks), list(order), list[Held]()
    while left:
        gains = [
            sum(min(held.ask.rate_bps, left[link]) for link in held.way if link in left) for held in able
        ]
        most = max(gains, default=0)
        if most <= 0:
            return None
        held = able.pop(gains.index(most))
        taken.append(held)
        for link in [one for one in held.way if one in left]:
            left[link] -= held.ask.rate_bps
            if left[link] <= 0:
                del left[link]
    for held in sorted(taken, key=lambda one: (-one.priority, one.since, one.key)):
        fewer = [one for one in taken if one is not held]
        if _covers(fewer, lacks):
            taken = fewer
    return taken
