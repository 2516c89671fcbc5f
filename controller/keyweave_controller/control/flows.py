"""Unit flows from a source to a destination, cheapest first: what disjoint ways are made of.

Rule of this file: the costs of links are non-negative whole numbers as floats (sums are exact below 2**53),
`inf` for a link that is not to be used; a link is undirected and carries one unit in one direction; a node
that is not `inside` is only ever an end. Arguments are the plain lists of `mesh.Mesh` and are not changed.

The first way is searched from the destination. The cost that is left from each node is its potential: with
it no link has a negative reduced cost, in the graph and in what the way leaves of it, and the links of the
way have reduced cost 0. Each further way is the cheapest in what the ways before leave (their links may be
crossed backwards, which gives the cost back), searched in reduced costs: whoever is as near to the
destination as can be is looked at first, so it touches little besides the detour.

Ways that share no node: a node on a way is two states, entered and left (`node + size`). Who arrives at a
used node can only go back along its way; who came back to a used node may leave it anywhere.

J. Suurballe, R. Tarjan, A quick method for finding shortest pairs of disjoint paths, Networks 14, 1984;
R. Bhandari, Survivable Networks, 1999; J. Edmonds, R. Karp, J. ACM 19, 1972 (potentials).
"""

from collections.abc import Sequence
from heapq import heappop, heappush

Way = tuple[int, ...]
"""Places of links, from the source to the destination."""

Around = Sequence[Sequence[tuple[int, int]]]
"""For each node place the (link place, far node place) pairs, sorted."""

NEVER = float("inf")


class Flow:
    """Units from `source` to `destination`, always the cheapest for their number. `grow` adds one."""

    __slots__ = (
        "_around",
        "_behind",
        "_costs",
        "_entered",
        "_inside",
        "_left",
        "_nodes",
        "_on_way",
        "_potential",
        "_settled",
        "_size",
        "destination",
        "source",
        "units",
    )

    def __init__(
        self,
        around: Around,
        costs: Sequence[float],
        inside: Sequence[bool] | bytearray,
        source: int,
        destination: int,
        *,
        nodes: bool,
    ) -> None:
        """Without a unit. `nodes`: units share no node but the ends, otherwise they share no link."""
        self._around, self._costs, self._inside, self._nodes = around, costs, inside, nodes
        self.source, self.destination, self.units = source, destination, 0
        self._size = len(around)
        self._left: dict[int, tuple[int, int]] = {}  # used link -> (node it leaves, node it enters)
        self._entered: dict[int, tuple[int, int]] = {}  # used inner node -> (link into it, node before it)
        self._on_way: set[int] = set()  # states where what is left differs from the graph
        self._potential: list[float] = []
        self._settled: list[tuple[float, int]] = []  # of the last search, until the next needs them
        self._behind = 0.0  # how far the destination was in it

    def grow(self) -> bool:
        """One unit more; False, and the units unchanged, when there is none."""
        if self.units == 0:
            found = _from_the_far_end(self._around, self._costs, self._inside, self.source, self.destination)
            if found is None:
                return False
            way, self._potential = found
            if self._nodes:
                self._potential *= 2
            here = self.source
            for link, there in way:
                self._left[link] = (here, there)
                here = there
        else:
            self._take_stock()
            before = self._search()
            if before is None:
                return False
            self._turn(before)
        self.units += 1
        return True

    def ways(self) -> list[Way]:
        """The units as loop-free ways, cheapest first; equals in the order of their links."""
        onward: dict[int, list[tuple[int, int]]] = {}
        for link, (here, there) in self._left.items():
            onward.setdefault(here, []).append((link, there))
        costs = self._costs
        found = []
        for _ in range(self.units):
            here, steps, met = self.source, [], {self.source: 0}
            while here != self.destination:
                link, here = onward[here].pop()
                steps.append(link)
                if here in met:  # a loop, of cost 0 as the flow is the cheapest
                    del steps[met[here] :]
                    met = {node: at for node, at in met.items() if at <= met[here]}
                met[here] = len(steps)
            found.append((sum([costs[link] for link in steps]), tuple(steps)))
        return [way for _, way in sorted(found)]

    def _take_stock(self) -> None:
        """Potentials and states that fit the units as they are now."""
        potential, size = self._potential, self._size
        for near, state in self._settled:
            potential[state] += self._behind - near
        self._settled = []
        entered = {there: (link, here) for link, (here, there) in self._left.items()}
        entered.pop(self.destination)
        if self._nodes:
            for node in entered.keys() - self._entered.keys():  # new on a way: it was one state until now
                potential[node + size] = potential[node]
        self._entered = entered
        self._on_way = {self.source, self.destination, *entered}
        if self._nodes:
            self._on_way.update([node + size for node in entered])

    def _search(self) -> dict[int, tuple[int, int]] | None:
        """For each state reached (the state before, the link between or -1); None: the destination is not."""
        around, costs, inside, potential = self._around, self._costs, self._inside, self._potential
        on_way, destination = self._on_way, self.destination
        reached = [NEVER] * len(potential)
        reached[self.source] = 0.0
        done = bytearray(len(potential))  # keeps rounding, were there any, from leading in circles
        before: dict[int, tuple[int, int]] = {}
        settled = self._settled
        waiting = [(0.0, self.source)]
        while waiting:
            step = heappop(waiting)
            so_far, here = step
            if done[here]:
                continue
            if here == destination:
                self._behind = so_far
                return before
            done[here] = 1
            settled.append(step)
            base = so_far - potential[here]
            if here in on_way:
                for link, there, cost in self._what_is_left(here):
                    further = base + cost + potential[there]
                    if further < reached[there] and not done[there]:
                        reached[there] = further
                        before[there] = (here, link)
                        heappush(waiting, (further, there))
            elif inside[here]:
                for link, there in around[here]:
                    further = base + costs[link] + potential[there]
                    if further < reached[there] and not done[there]:
                        reached[there] = further
                        before[there] = (here, link)
                        heappush(waiting, (further, there))
        self._settled = []
        return None

    def _what_is_left(self, state: int) -> list[tuple[int, int, float]]:
        """(link or -1, next state, cost) from a state on a way."""
        left, costs, size = self._left, self._costs, self._size
        node = state
        steps: list[tuple[int, int, float]] = []
        if self._nodes and state in self._entered:
            link, there = self._entered[state]
            return [(link, there + size, -costs[link])] if there != self.source else []
        if state >= size:
            node = state - size
            steps.append((-1, node, 0.0))
        back = not self._nodes
        for link, there in self._around[node]:
            if link not in left:
                steps.append((link, there, costs[link]))
            elif back and left[link][1] == node:
                steps.append((link, there, -costs[link]))
        return steps

    def _turn(self, before: dict[int, tuple[int, int]]) -> None:
        """Add the way that was found to the units; where it goes back, both give way."""
        state = self.destination
        while state != self.source:
            there = state % self._size
            state, link = before[state]
            if link < 0:
                continue
            if link in self._left:
                del self._left[link]
            else:
                self._left[link] = (state % self._size, there)


def cheapest_way(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    source: int,
    destination: int,
) -> Way | None:
    """The cheapest way; None when there is none."""
    found = _from_the_far_end(around, costs, inside, source, destination)
    return None if found is None else tuple([link for link, _ in found[0]])


def _from_the_far_end(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    source: int,
    destination: int,
) -> tuple[list[tuple[int, int]], list[float]] | None:
    """The cheapest way as (link, node behind it) pairs, and a potential for each node; None: no way.

    The potential is the cost from a node to the destination, or what the way costs where that is less: the
    search ends at the source.
    """
    left = [NEVER] * len(around)
    left[destination] = 0.0
    onward: dict[int, tuple[int, int]] = {}
    waiting = [(0.0, destination)]
    while waiting:
        so_far, here = heappop(waiting)
        if so_far > left[here]:
            continue
        if here == source:
            break
        if inside[here] or here == destination:
            for link, there in around[here]:
                further = so_far + costs[link]
                if further < left[there]:
                    left[there] = further
                    onward[there] = (link, here)
                    heappush(waiting, (further, there))
    else:
        return None
    way = []
    here = source
    while here != destination:
        step = onward[here]
        way.append(step)
        here = step[1]
    most = left[source]
    return way, [cost if cost < most else most for cost in left]  # noqa: FURB136 - min() takes twice as long
