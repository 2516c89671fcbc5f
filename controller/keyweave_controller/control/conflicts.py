"""Two ways that share nothing they must not share, by branch and bound over what they share.

Rule of this file: exact, and honest when it stops early. Whether two ways exist that have no risk group in
common is NP-complete (J. Hu, Diverse routing in optical mesh networks, IEEE Trans. Commun. 51, 2003), and so
it is for two disjoint ways of bounded length (S. Tragoudas, Y. Varol, Computing disjoint paths with length
constraints, 1996). So:

- Two ways are cheapest by themselves first. Where they have a conflict (a link, an inner node, a risk group
  in common), one of them must do without: one branch bars it from the first way, one from the second. This
  is complete, because no pair without the conflict uses it twice (as in G. Sharon and others, Conflict-based
  search, Artificial Intelligence 219, 2015).
- A third branch accepts a risk group as shared. Branches that accept fewest go first, then those of least
  cost; so the first pair without an open conflict shares the fewest groups and is the cheapest of those.
- No branch can be cheaper than its two ways apart, nor than the cheapest disjoint pair over the links that
  either may use (`flows`); where that pair has no conflict, the branch is done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush

from keyweave_controller.control.flows import NEVER, Around, Flow, Way
from keyweave_controller.control.limits import Limits, bent, cheapest_within

Conflict = tuple[str, int]
"""'link', 'node' or 'risk', and its place (number of the group)."""

_Barred = tuple[frozenset[Conflict], frozenset[Conflict]]


class Verdict(StrEnum):
    """What is known of pairs that share no risk group."""

    PAIR = "pair"  # here is one
    NONE = "none"  # proved that there is none
    GAVE_UP = "gave up"  # the work allowed did not suffice to find one or to prove that there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPair:
    """The best pair found, cheaper way first; None when no two ways were found that are disjoint at all.

    `shared`: the risk groups both run through, sorted. `proved`: no pair shares fewer groups, nor as many at
    less `cost`. `work`: branches looked at.
    """

    ways: tuple[Way, Way] | None
    cost: float
    shared: tuple[int, ...]
    verdict: Verdict
    proved: bool
    work: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is looked for: a graph as in `flows`, and per link the risk groups it belongs to."""

    around: Around
    costs: Sequence[float]
    inside: Sequence[bool] | bytearray
    source: int
    destination: int
    nodes: bool
    risks: Sequence[frozenset[int]]
    limits: Limits


@dataclass(frozen=True, slots=True)
class _Branch:
    accepted: frozenset[int]
    barred: _Barred
    ways: tuple[Way, Way]
    floor: float  # no pair in this branch costs less


def best_pair(task: Task, most_work: int) -> RiskPair:
    """The pair that shares the fewest groups, and the cheapest of those, looking at `most_work` branches."""
    return _Search(task).run(most_work)


class _Search:
    def __init__(self, task: Task) -> None:
        self.task = task
        members: dict[int, list[int]] = {}
        for link, groups in enumerate(task.risks):
            if task.costs[link] < NEVER:
                for group in groups:
                    members.setdefault(group, []).append(link)
        # A group of one link is shared only where the link is.
        self.members = {group: links for group, links in sorted(members.items()) if len(links) > 1}
        self.groups: dict[int, list[int]] = {}
        for group, links in self.members.items():
            for link in links:
                self.groups.setdefault(link, []).append(group)
        self.best: tuple[int, float, tuple[Way, Way]] | None = None
        self.ends: dict[int, tuple[int, int]] = {
            link: (here, there) for here, near in enumerate(task.around) for link, there in near
        }

    def run(self, most_work: int) -> RiskPair:
        nothing: frozenset[Conflict] = frozenset()
        way = self._way(nothing)
        waiting: list[tuple[int, float, int, _Branch]] = []
        if way is not None:
            root = _Branch(frozenset(), (nothing, nothing), (way, way), 2 * self._cost(way))
            waiting.append((0, root.floor, 0, root))
            self._bend()
        known: set[tuple[frozenset[int], _Barred]] = set()
        work = made = accepted = 0
        proved = True
        while waiting:
            accepted, floor, _, branch = heappop(waiting)
            if self.best is not None and (accepted, floor) >= self.best[:2]:
                break
            if work >= most_work:
                proved = False
                break
            work += 1
            for child in self._children(branch):
                identity = (child.accepted, child.barred)
                key = (len(child.accepted), child.floor)
                if identity not in known and (self.best is None or key < self.best[:2]):
                    known.add(identity)
                    made += 1
                    heappush(waiting, (*key, made, child))
        return self._answer(proved=proved, accepted=accepted, work=work)

    def _answer(self, *, proved: bool, accepted: int, work: int) -> RiskPair:
        if self.best is None:
            verdict = Verdict.NONE if proved or accepted else Verdict.GAVE_UP
            return RiskPair(ways=None, cost=NEVER, shared=(), verdict=verdict, proved=proved, work=work)
        count, cost, ways = self.best
        verdict = Verdict.GAVE_UP
        if count == 0:
            verdict = Verdict.PAIR
        elif proved or accepted:
            verdict = Verdict.NONE
        shared = tuple(sorted(self._risks(ways[0]) & self._risks(ways[1])))
        return RiskPair(ways=ways, cost=cost, shared=shared, verdict=verdict, proved=proved, work=work)

    def _children(self, branch: _Branch) -> Iterator[_Branch]:
        found = self._conflicts(branch.ways, branch.accepted)
        if not found:
            self._note(branch.ways)
            return
        pair = self._relaxed(branch.barred)
        if pair is None:
            return
        floor = max(branch.floor, self._cost(pair[0]) + self._cost(pair[1]))
        for ways in (pair, pair[::-1]):
            if self._barred_from(ways[0], branch.barred[0]) or self._barred_from(ways[1], branch.barred[1]):
                continue
            self._note(ways)
            if all(self.task.limits.keep(way) for way in ways):
                open_risks = self._conflicts(ways, branch.accepted)
                if not open_risks:
                    return  # nothing in this branch is cheaper
                found = open_risks
            break
        for way in pair:
            self._note_partner(way)
        yield from self._split(branch, self._widest(found), floor)

    def _split(self, branch: _Branch, conflict: Conflict, floor: float) -> Iterator[_Branch]:
        first, second = branch.barred
        for side in (0, 1) if first != second else (0,):  # mirror images of each other
            more = branch.barred[side] | {conflict}
            way = self._way(more)
            if way is None:
                continue
            other = branch.ways[1 - side]
            barred = (more, second) if side == 0 else (first, more)
            ways = (way, other) if side == 0 else (other, way)
            yield _Branch(branch.accepted, barred, ways, max(floor, self._cost(way) + self._cost(other)))
        if conflict[0] == "risk":
            yield _Branch(branch.accepted | {conflict[1]}, branch.barred, branch.ways, floor)

    def _conflicts(self, ways: tuple[Way, Way], accepted: frozenset[int]) -> list[Conflict]:
        first, second = ways
        found: list[Conflict] = [
            ("risk", group) for group in sorted((self._risks(first) & self._risks(second)) - accepted)
        ]
        if self.task.nodes:
            found += [("node", node) for node in sorted(self._inner(first) & self._inner(second))]
        found += [("link", link) for link in sorted(set(first) & set(second))]
        return found

    def _widest(self, conflicts: list[Conflict]) -> Conflict:
        """The conflict that bars most links, the first of equals."""

        def width(conflict: Conflict) -> int:
            kind, place = conflict
            if kind == "risk":
                return len(self.members[place])
            return len(self.task.around[place]) if kind == "node" else 1

        risks = [conflict for conflict in conflicts if conflict[0] == "risk"]
        return max(risks or conflicts, key=width)

    def _cost(self, way: Way) -> float:
        return sum(self.task.costs[link] for link in way)

    def _risks(self, way: Way) -> set[int]:
        return {group for link in way for group in self.groups.get(link, ())}

    def _inner(self, way: Way) -> set[int]:
        ends = {self.task.source, self.task.destination}
        return {node for link in way for node in self.ends[link]} - ends

    def _barred_from(self, way: Way, barred: frozenset[Conflict]) -> bool:
        links, nodes = self._closed(barred)
        return not links.isdisjoint(way) or not nodes.isdisjoint(self._inner(way))

    def _closed(self, barred: frozenset[Conflict]) -> tuple[set[int], set[int]]:
        links: set[int] = set()
        nodes: set[int] = set()
        for kind, place in barred:
            if kind == "risk":
                links.update(self.members[place])
            else:
                (nodes if kind == "node" else links).add(place)
        return links, nodes

    def _without(
        self, links: set[int], nodes: set[int]
    ) -> tuple[Sequence[float], Sequence[bool] | bytearray]:
        costs, inside = self.task.costs, self.task.inside
        if links:
            costs = list(costs)
            for link in links:
                costs[link] = NEVER
        if nodes:
            inside = bytearray(inside)
            for node in nodes:
                inside[node] = 0
        return costs, inside

    def _way(self, barred: frozenset[Conflict]) -> Way | None:
        task = self.task
        costs, inside = self._without(*self._closed(barred))
        return cheapest_within(task.around, costs, inside, task.source, task.destination, task.limits)

    def _relaxed(self, barred: _Barred) -> tuple[Way, Way] | None:
        """The cheapest disjoint pair over what either way may use."""
        first, second = self._closed(barred[0]), self._closed(barred[1])
        return self._pair(*self._without(first[0] & second[0], first[1] & second[1]))

    def _pair(self, costs: Sequence[float], inside: Sequence[bool] | bytearray) -> tuple[Way, Way] | None:
        task = self.task
        flow = Flow(task.around, costs, inside, task.source, task.destination, nodes=task.nodes)
        if not (flow.grow() and flow.grow()):
            return None
        first, second = flow.ways()
        return first, second

    def _note(self, ways: tuple[Way, Way]) -> None:
        """A disjoint pair: the best so far, when it keeps the limits and is better."""
        if not all(self.task.limits.keep(way) for way in ways):
            return
        first, second = sorted(ways, key=lambda way: (self._cost(way), way))
        found = len(self._risks(first) & self._risks(second)), self._cost(first) + self._cost(second)
        if self.best is None or found < self.best[:2]:
            self.best = (*found, (first, second))

    def _note_partner(self, way: Way) -> None:
        """Beside one way, the way that runs through few of its groups: often good enough, early."""
        if not self.task.limits.keep(way):
            return
        risks = self._risks(way)
        costs, inside = self._without(set(way), self._inner(way) if self.task.nodes else set())
        costs = list(costs)
        dear = 1.0 + sum(cost for cost in costs if cost < NEVER)
        for group in sorted(risks):
            for link in self.members[group]:
                costs[link] += dear
        task = self.task
        partner = cheapest_within(task.around, costs, inside, task.source, task.destination, task.limits)
        if partner is not None:
            self._note((way, partner))

    def _bend(self) -> None:
        """Where limits bind: a first pair that keeps them, cheapest when length has a price."""
        for costs in bent(self.task.costs, self.task.limits):
            pair = self._pair(costs, self.task.inside)
            if pair is None:
                return
            self._note(pair)
            if all(self.task.limits.keep(way) for way in pair):
                return
