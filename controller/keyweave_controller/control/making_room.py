"""Making room for a demand that does not fit by moving others, none of whom loses anything.

Rule of this file: a pure search; the mesh is left exactly as it was found. Moves are make before break: a
mover finds room for its new way while its old one still stands (on links of both only once), in the order in
which the moves are told, so they can be carried out one after the other without a gap in anyone's service.

    1  the cheapest ways over links that have room or could be freed; on each, for every link that lacks room
       (the worst first), the mover that frees most of these links at once, or the largest until enough moved
    2  all ways by price, when in 1 a way failed only because its links could not be freed together
    3  as 1, and a mover that finds no other way has others moved first (chains of two)

All within the effort of one `Trial`. Whenever one move of one association suffices something is found, if the
effort lasts. `displace` (control/displacing.py) goes further and takes the place of others.
"""

from collections.abc import Iterator, Sequence

from keyweave_controller.control import ways
from keyweave_controller.control.displacing import displace
from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList, Way
from keyweave_controller.control.strategies import SCALE, Strategy
from keyweave_controller.control.trial import Held, Holders, Moves, Room, Rooms, Trial, shift
from keyweave_controller.control.ways import Ask
from keyweave_core.model.ids import AppId

__all__ = ["Held", "Holders", "Moves", "Room", "displace", "make_room"]

MOST_WAYS = 8
"""Ways of the demand tried in 1 and in 3; 2 tries as many as the effort allows, at most `ALL_WAYS`."""

ALL_WAYS = 64

COMPARED = 3
"""Movers whose new ways are compared by price before one is taken."""

CHAINED = 2
"""Movers a link for which others are moved first."""


def make_room(mesh: Mesh, strategy: Strategy, ask: Ask, holders: Holders, *, most_moves: int) -> Room | None:
    """A way for `ask`, and at most `most_moves` moves of others after which it fits; None when none is found.

    A strategy with a cap takes no way that costs more, with what the movers' new ways cost above their old.
    """
    if most_moves < 1:
        return None
    search = _Search(mesh, strategy, holders)
    found = search.over_freed(ask, most_moves)
    if found is None and search.together:
        found = search.over_all(ask, most_moves)
    if found is None and most_moves > 1:
        found = search.over_freed(ask, most_moves, chains=True)
    return None if found is None else Room(way=found[0], moves=tuple(found[1]))


_Move = tuple[AppId, Way]


class _Plan:
    """A way of the demand and what has moved for it so far. `rooms` are what is left beside the demand."""

    def __init__(
        self, trial: Trial, ask: Ask, way: Way, rooms: Rooms, credit: dict[int, int], left: int
    ) -> None:
        self.way, self.left = way, left
        self.moves: list[_Move] = []
        self.cost = ways.price_of(trial.priced, way)
        self.needs = {link: max(0, ask.rate_bps - credit.get(link, 0)) for link in way}
        self.rooms = list(rooms)
        for link, needed in self.needs.items():
            self.rooms[link] -= needed

    def lacking(self) -> list[int]:
        """Links on which room is missing, the worst first."""
        return sorted(
            (link for link in self.way if self.rooms[link] < 0), key=lambda link: (self.rooms[link], link)
        )

    def without(self) -> Rooms:
        """The rooms as they are before the demand comes."""
        rooms = list(self.rooms)
        for link, needed in self.needs.items():
            rooms[link] += needed
        return rooms


class _Search:
    """One question. `together`: some way failed although each of its links could be freed by itself."""

    def __init__(self, mesh: Mesh, strategy: Strategy, holders: Holders) -> None:
        self.trial = Trial(mesh, strategy, holders)
        self.cap: float | None = getattr(strategy, "cap", None)
        self.together = False
        self.hopeless: dict[int, bool] = {}
        self.parts: dict[int, list[int]] = {}

    def over_freed(self, ask: Ask, left: int, *, chains: bool = False) -> tuple[Way, list[_Move]] | None:
        """Stages 1 and 3: way after way, each time without the link that could not be freed."""
        trial = self.trial
        rooms, priced = self._offer(ask, trial.rooms, trial.credit, look=not chains)
        for _ in range(MOST_WAYS):
            way = trial.cheapest(rooms, priced, ask)
            if way is None or trial.effort < 0:
                return None
            stuck = [] if chains else [link for link in way if self._hopeless(ask, link, left)]
            if not stuck:
                plan = _Plan(trial, ask, way, trial.rooms, trial.credit, left)
                failed = self._free(plan, frozenset(), chains=chains)
                if failed is None:
                    if self.cap is None or plan.cost <= self.cap:
                        return way, plan.moves
                    return None
                self.together = True
                stuck = [failed]
            for link in stuck:
                rooms[link] = CLOSED
        return None

    def over_all(self, ask: Ask, left: int) -> tuple[Way, list[_Move]] | None:
        """Stage 2."""
        trial = self.trial
        rooms, priced = self._offer(ask, trial.rooms, trial.credit, look=True)
        for way in trial.ranked(rooms, priced, ask, at_most=ALL_WAYS):
            if any(self._hopeless(ask, link, left) for link in way):
                continue
            plan = _Plan(trial, ask, way, trial.rooms, trial.credit, left)
            if self._free(plan, frozenset(), chains=False) is None and (
                self.cap is None or plan.cost <= self.cap
            ):
                return way, plan.moves
        return None

    def _offer(
        self, ask: Ask, rooms: Rooms, credit: dict[int, int], *, look: bool
    ) -> tuple[Rooms, PriceList]:
        """Rooms and prices in which links that could be freed are open, at twice their price and a hop."""
        mesh, rate, priced = self.trial.mesh, ask.rate_bps, self.trial.priced
        offered, prices = list(rooms), list(priced.prices)
        for link, room in enumerate(rooms):
            if room < 0 and link not in credit:
                continue  # closed, or wanted by whom this is done for
            offered[link] = room + credit.get(link, 0)
            if offered[link] < rate <= mesh.usable[link] and not (look and self.hopeless.get(link)):
                offered[link] = rate
                prices[link] += prices[link] + SCALE
        return offered, PriceList(priced.price, priced.floor, prices)

    def _hopeless(self, ask: Ask, link: int, left: int) -> bool:
        """Room is missing that not even a demand elsewhere would let the holders make."""
        known = self.hopeless.get(link)
        if known is None:
            lack = ask.rate_bps - self.trial.rooms[link] - self.trial.credit.get(link, 0)
            known = self.hopeless[link] = lack > 0 and not self._could_free(link, lack, left)
        return known

    def _could_free(self, link: int, lack: int, left: int) -> bool:
        trial, freed = self.trial, []
        for held in trial.holders(link):
            if not held.movable:
                continue
            rate = held.ask.rate_bps
            if rate not in self.parts:
                self.parts[rate] = trial.parts(trial.rooms, rate)
            if trial.rooms[link] >= rate or trial.bypassed(held, link, self.parts[rate]):
                if rate >= lack:
                    return True
                freed.append(rate)
        return sum(sorted(freed, reverse=True)[:left]) >= lack

    def _free(self, plan: _Plan, moved: frozenset[AppId], *, chains: bool) -> int | None:
        """Move others until nothing is missing; the link that could not be freed, if any."""
        while lacking := plan.lacking():
            gone = moved | {key for key, _ in plan.moves}
            if len(plan.moves) >= plan.left or self.trial.effort < 0:
                return lacking[0]
            if not self._move_one(plan, lacking, gone) and not (
                chains and self._chain(plan, lacking[0], gone)
            ):
                return lacking[0]
        return None

    def _move_one(self, plan: _Plan, lacking: list[int], gone: frozenset[AppId]) -> bool:
        """Move the best one off the worst link; False: nobody can."""
        trial, lacks = self.trial, {link: -plan.rooms[link] for link in lacking}
        parts: dict[int, list[int]] = {}
        best: tuple[tuple[bool, int, float], Held, Way] | None = None
        for compared, (rank, held, way) in enumerate(self._movers(plan, lacks, gone, parts), start=1):
            key = (*rank, trial.dearer(held, way))
            if best is None or key < best[0]:
                best = (key, held, way)
            if compared == COMPARED or rank[0]:
                break
        if best is None:
            return False
        (_, _, dearer), held, way = best
        self._take(plan, held, way, dearer)
        return True

    def _movers(
        self, plan: _Plan, lacks: dict[int, int], gone: frozenset[AppId], parts: dict[int, list[int]]
    ) -> Iterator[tuple[tuple[bool, int], Held, Way]]:
        """Who can leave the worst link and whereto; first those that free it alone, most others with it."""
        trial, worst = self.trial, next(iter(lacks))
        for rank, held in _able(trial.holders(worst), lacks, gone, plan.left - len(plan.moves)):
            rate = held.ask.rate_bps
            if rate not in parts:
                parts[rate] = trial.parts(plan.rooms, rate)
            if trial.bypassed(held, worst, parts[rate]):
                way = trial.other_way(held, plan.rooms)
                if way is not None:
                    yield rank, held, way
            if trial.effort < 0:
                return

    def _chain(self, plan: _Plan, link: int, gone: frozenset[AppId]) -> bool:
        """Have others make room for someone who then leaves the link."""
        trial, left = self.trial, plan.left - len(plan.moves) - 1
        if left < 1:
            return False
        able = _able(trial.holders(link), {link: -plan.rooms[link]}, gone, left)
        for _, held in able[:CHAINED]:
            credit = {one: held.ask.rate_bps for one in held.way if plan.rooms[one] >= 0}
            rooms, priced = self._offer(held.ask, plan.rooms, credit, look=False)
            for one in held.closed:
                rooms[one] = CLOSED
            way = trial.cheapest(rooms, priced, held.ask)
            if way is None or way == held.way:
                continue
            inner = _Plan(trial, held.ask, way, plan.rooms, credit, left)
            if self._free(inner, gone | {held.key}, chains=False) is None:
                plan.rooms, plan.cost = (
                    inner.without(),
                    plan.cost + inner.cost - ways.price_of(trial.priced, way),
                )
                plan.moves += inner.moves
                self._take(plan, held, way, trial.dearer(held, way))
                return True
        return False

    @staticmethod
    def _take(plan: _Plan, held: Held, way: Way, dearer: float) -> None:
        shift(plan.rooms, held, way)
        plan.moves.append((held.key, way))
        plan.cost += dearer


def _able(
    holders: Sequence[Held], lacks: dict[int, int], gone: frozenset[AppId], left: int
) -> list[tuple[tuple[bool, int], Held]]:
    """Who may move off the first of these links: enough alone before too little, then freeing most links."""
    able = [held for held in holders if held.movable and held.key not in gone and held.ask.rate_bps > 0]
    worst = next(iter(lacks.values()))
    if left * max((held.ask.rate_bps for held in able), default=0) < worst:
        return []
    ranked = []
    for held in able:
        rate = held.ask.rate_bps
        frees = sum(rate >= lacks[link] for link in held.way if link in lacks) if len(lacks) > 1 else 1
        rank = (rate < worst, -frees)
        ranked.append(((*rank, rate if rate >= worst else -rate, len(held.way), held.key), rank, held))
    ranked.sort(key=lambda one: one[0])
    return [(rank, held) for _, rank, held in ranked]
