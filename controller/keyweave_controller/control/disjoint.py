"""Ways between two nodes that do not fall together: without a common link, node or risk group.

Rule of this file: the questions, and what makes no sense to ask; `flows` answers them as long as the only
bound is disjointness, `conflicts` where risk groups or bounds on each way make it hard. Graphs as in `flows`:
`around[node]` lists (link, far node), `costs[link]` is a non-negative whole number or `inf`, `inside[node]`
says who may stand inside a way (the ends always may). The same arguments always give the same ways.

All raise InvalidInput for ends that are equal or no nodes, for fewer than one way, and for limits below 1.
"""

from collections.abc import Sequence

from keyweave_controller.control.conflicts import RiskPair, Task, Verdict, best_pair
from keyweave_controller.control.flows import Around, Flow, Way
from keyweave_controller.control.limits import Limits, bent
from keyweave_core.errors import InvalidInput

__all__ = ["MOST_WORK", "RiskPair", "Verdict", "Way", "disjoint_pair", "disjoint_ways", "risk_disjoint_pair"]

MOST_WORK = 60_000
"""Branches times nodes of the graph after which a search for an NP-hard answer gives up, unless the caller
says another number of branches: up to a third of a second on one core, whatever the size."""


def disjoint_pair(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    source: int,
    destination: int,
    *,
    nodes: bool,
    max_hops: int | None = None,
    latency_us: Sequence[int] = (),
    max_latency_us: int | None = None,
    most_work: int | None = None,
) -> tuple[Way, Way] | None:
    """The two ways of least total cost that share no link (`nodes`: and no inner node), cheaper first.

    `max_hops` and `max_latency_us` bound each way. Where the cheapest pair breaks them, the answer is the
    cheapest pair that keeps them unless the search ends after `most_work` branches (None: by `MOST_WORK`):
    then it is the best pair met, or None though there may be one. Without bounds None means: there is none.
    """
    _check(around, source, destination)
    limits = _limits(costs, max_hops, latency_us, max_latency_us)
    found = _flow(around, costs, inside, (source, destination), 2, nodes=nodes)
    if len(found) < 2:
        return None
    if not limits.any or (limits.keep(found[0]) and limits.keep(found[1])):
        return found[0], found[1]
    task = Task(
        around=around,
        costs=costs,
        inside=inside,
        source=source,
        destination=destination,
        nodes=nodes,
        risks=(),
        limits=limits,
    )
    return best_pair(task, _work(around, most_work)).ways


def disjoint_ways(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    source: int,
    destination: int,
    k: int,
    *,
    nodes: bool,
    max_hops: int | None = None,
    latency_us: Sequence[int] = (),
    max_latency_us: int | None = None,
) -> list[Way]:
    """Up to `k` ways that share no link (`nodes`: and no inner node), cheapest first; all there are if fewer.

    Their total cost is the least for their number. Two ways with bounds are those of `disjoint_pair`, if it
    finds any. Otherwise bounds are kept by a heuristic: length gets a price that rises until the ways keep
    them, ways that break them are left out, and the largest such set, the cheapest of equals, is the answer.
    """
    _check(around, source, destination)
    if k < 1:
        raise InvalidInput(f"{k} disjoint ways were asked for: ask for at least 1")
    limits = _limits(costs, max_hops, latency_us, max_latency_us)
    found = _flow(around, costs, inside, (source, destination), k, nodes=nodes)
    if not limits.any or all(limits.keep(way) for way in found):
        return found
    if k == 2 and len(found) == 2:
        pair = disjoint_pair(
            around,
            costs,
            inside,
            source,
            destination,
            nodes=nodes,
            max_hops=max_hops,
            latency_us=latency_us,
            max_latency_us=max_latency_us,
        )
        if pair is not None:
            return list(pair)

    def rank(ways: list[Way]) -> tuple[int, float, list[Way]]:
        return -len(ways), sum(costs[link] for way in ways for link in way), ways

    tried = []
    for bent_costs in bent(costs, limits):
        found = _flow(around, bent_costs, inside, (source, destination), k, nodes=nodes)
        tried.append(
            sorted((way for way in found if limits.keep(way)), key=lambda way: sum(costs[at] for at in way))
        )
    return min(tried, key=rank)


def risk_disjoint_pair(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    source: int,
    destination: int,
    risks: Sequence[frozenset[int]],
    *,
    nodes: bool = False,
    max_hops: int | None = None,
    latency_us: Sequence[int] = (),
    max_latency_us: int | None = None,
    most_work: int | None = None,
) -> RiskPair:
    """The disjoint pair that shares the fewest risk groups, and the cheapest of those; none at best.

    `risks[link]` are the groups of a link: what it falls with (a duct, a cable, a building). The
    answer says whether a pair without a common group was found, was proved not to exist, or was not found
    within `most_work` branches (None: by `MOST_WORK`); in the last two cases it holds the pair with the
    fewest common groups met.
    """
    _check(around, source, destination)
    if len(risks) != len(costs):
        raise InvalidInput(f"risk groups of {len(risks)} links for {len(costs)} links")
    task = Task(
        around=around,
        costs=costs,
        inside=inside,
        source=source,
        destination=destination,
        nodes=nodes,
        risks=risks,
        limits=_limits(costs, max_hops, latency_us, max_latency_us),
    )
    return best_pair(task, _work(around, most_work))


def _flow(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    ends: tuple[int, int],
    k: int,
    *,
    nodes: bool,
) -> list[Way]:
    flow = Flow(around, costs, inside, *ends, nodes=nodes)
    while flow.units < k and flow.grow():
        pass
    return flow.ways()


def _check(around: Around, source: int, destination: int) -> None:
    for name, place in (("source", source), ("destination", destination)):
        if not 0 <= place < len(around):
            raise InvalidInput(f"{name} {place} is no node: there are {len(around)}")
    if source == destination:
        raise InvalidInput(f"source and destination are the same node {source}")


def _limits(
    costs: Sequence[float], max_hops: int | None, latency_us: Sequence[int], max_latency_us: int | None
) -> Limits:
    if max_hops is not None and max_hops < 1:
        raise InvalidInput(f"max_hops {max_hops}: at least 1")
    if max_latency_us is not None and len(latency_us) != len(costs):
        raise InvalidInput(f"latencies of {len(latency_us)} links for {len(costs)} links")
    return Limits(max_hops=max_hops, latency_us=latency_us, max_latency_us=max_latency_us)


def _work(around: Around, most_work: int | None) -> int:
    if most_work is None:
        return max(20, MOST_WORK // len(around))
    if most_work < 1:
        raise InvalidInput(f"most_work {most_work}: at least 1")
    return most_work
