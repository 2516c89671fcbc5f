"""From the placement that is to a better one, by moves that each fit when their turn comes.

Rule of this file: a commodity is put on the way that has most of it in the relaxation, if that fits beside
those put before it. Of the moves wanted then, the one that relieves the network most is made first, then the
best of the rest as things are by then, as long as one gains and the budget lasts; a move that does not fit
while its old way still stands is passed over until others have made room; when nobody gains by moving alone,
someone moves who makes room for one who then does.
"""

from collections.abc import Sequence

from keyweave_controller.control.events import ProposedMove
from keyweave_controller.control.mesh import Way
from keyweave_controller.control.problem import Commodity, PlacementProblem
from keyweave_controller.engine.congestion import price_of_load
from keyweave_controller.engine.relaxation import MOVED, Choices


def rounded(choices: Sequence[Choices], capacity: Sequence[int]) -> dict[int, Way]:
    """One way for each commodity (by its place), whole; none for those that are left as they are.

    Those least split choose first, the bigger before the smaller.
    """
    left = list(capacity)
    order = sorted(
        range(len(choices)),
        key=lambda place: (
            -round(max(choices[place].shares, default=0.0), 6),
            -choices[place].commodity.rate_bps,
            place,
        ),
    )
    found: dict[int, Way] = {}
    for place in order:
        one = choices[place]
        rate = one.commodity.rate_bps
        best = sorted(zip(one.shares, one.ways, strict=True), key=lambda each: (-each[0], each[1]))
        wanted = [way for share, way in best if share > 1e-6]
        present = one.commodity.way
        fitting = (way for way in wanted if all(left[link] >= rate for link in way))
        way = next(fitting, present)
        if way is None:
            continue
        for link in way:
            left[link] -= rate
        if way != present:
            found[place] = way
    return found


class Stepping:
    """Loads and rooms as moves are made. Who is not served yet loads the way it is to get from the start."""

    def __init__(self, problem: PlacementProblem, targets: dict[int, Way], capacity: Sequence[int]) -> None:
        self.problem, self.capacity = problem, capacity
        self.rooms = list(problem.rooms)
        self.loads = [0.0] * len(capacity)
        self.targets = dict(targets)
        for place, commodity in enumerate(problem.commodities):
            for link in commodity.way or targets.get(place, ()):
                self.loads[link] += commodity.rate_bps

    def moves(self) -> tuple[ProposedMove, ...]:
        """The best moves in order, at most as many as the problem allows."""
        commodities = self.problem.commodities
        waiting = {place: way for place, way in self.targets.items() if commodities[place].way is not None}
        made: list[ProposedMove] = []
        while waiting and len(made) < self.problem.most_moves:
            place = self._next(waiting)
            if place is None:
                break
            made.append(self._make(commodities[place], waiting.pop(place)))
        return tuple(made)

    def _next(self, waiting: dict[int, Way]) -> int | None:
        """Who moves next: who gains most of those that fit, or gets out of the way of one that gains more."""
        commodities = self.problem.commodities
        gains = {place: self._gain(commodities[place], way) for place, way in waiting.items()}
        lacks = {place: self._lacks(commodities[place], way) for place, way in waiting.items()}
        chances = [(gains[place], -place, place) for place in waiting if not lacks[place]]
        best = max(chances, default=(0.0, 0, 0))
        if best[0] > 0:
            return best[2]
        for blocked in sorted(waiting, key=lambda place: (-gains[place], place)):
            helpers = [
                (gains[blocked] + gains[place], -place, place)
                for _, _, place in chances
                if lacks[blocked] & set(commodities[place].way or ()).difference(waiting[place])
            ]
            best = max(helpers, default=(0.0, 0, 0))
            if best[0] > 0:
                return best[2]
        return None

    def _lacks(self, commodity: Commodity, way: Way) -> frozenset[int]:
        """The links that have no room for a new way while the present one still stands."""
        present, rate = commodity.way or (), commodity.rate_bps
        return frozenset(link for link in way if link not in present and self.rooms[link] < rate)

    def _gain(self, commodity: Commodity, way: Way) -> float:
        """How much cheaper the network's load gets by a move, above what a move must gain."""
        rate, present = commodity.rate_bps, commodity.way or ()
        gain = -MOVED * rate
        for links, other, more in ((present, way, -rate), (way, present, rate)):
            for link in links:
                if link not in other:
                    load, capacity = self.loads[link], self.capacity[link]
                    gain += price_of_load(load, capacity) - price_of_load(load + more, capacity)
        return gain

    def _make(self, commodity: Commodity, way: Way) -> ProposedMove:
        rate, present = commodity.rate_bps, commodity.way or ()
        for links, more in ((present, -rate), (way, rate)):
            for link in links:
                self.loads[link] += more
                self.rooms[link] -= more
        names = self.problem.link_ids
        return ProposedMove(
            app_id=commodity.app_id,
            present=tuple(names[link] for link in present),
            links=tuple(names[link] for link in way),
        )
