"""The cheapest tree that joins given nodes, for few of them.

Rule of this file: for each set of targets, the cheapest tree that holds them and a node, from smaller sets
joined at that node and then grown along links (S. Dreyfus, R. Wagner, The Steiner problem in graphs,
Networks 1, 1971, in the form of R. Erickson, C. Monma, A. Veinott, Math. Oper. Res. 12, 1987). Work grows
with 3**targets times the nodes.
"""

from heapq import heappop, heappush

from keyweave_controller.control.flows import NEVER
from keyweave_controller.control.steiner import Graph, Links, degrees, spanning


def cheapest_tree(graph: Graph) -> Links:
    """The cheapest tree; all targets can be reached."""
    size, count = len(graph.around), len(graph.targets)
    joins = [node for node in range(size) if graph.joins(node)]
    best: list[list[float]] = [[]]
    made: list[dict[int, tuple[int, int]]] = [{}]  # node -> (link, node before), or (-1, part joined here)
    for group in range(1, 1 << count):
        cost = [NEVER] * size
        how: dict[int, tuple[int, int]] = {}
        lowest = group & -group
        if group == lowest:
            cost[graph.targets[lowest.bit_length() - 1]] = 0.0
        part = (group - 1) & group
        while part:
            if part & lowest:  # each division once
                one, other = best[part], best[group ^ part]
                for node in joins:
                    both = one[node] + other[node]
                    if both < cost[node]:
                        cost[node] = both
                        how[node] = (-1, part)
            part = (part - 1) & group
        _grow(graph, cost, how, alone=group == lowest)
        best.append(cost)
        made.append(how)
    return _collected(graph, made)


def _collected(graph: Graph, made: list[dict[int, tuple[int, int]]]) -> Links:
    """The links of the tree that was made for all targets and the source."""
    links: set[int] = set()
    waiting = [(len(made) - 1, graph.source)]
    while waiting:
        group, node = waiting.pop()
        step = made[group].get(node)
        if step is None:
            continue
        if step[0] < 0:
            waiting += [(step[1], node), (group ^ step[1], node)]
        else:
            links.add(step[0])
            waiting.append((group, step[1]))
    return spanning(graph, set(degrees(graph, links)), links) or frozenset(links)


def _grow(graph: Graph, cost: list[float], how: dict[int, tuple[int, int]], *, alone: bool) -> None:
    """Lower the costs along links. `alone`: they begin at one target, which may be a leaf."""
    around, costs, inside, source = graph.around, graph.costs, graph.inside, graph.source
    waiting = sorted((so_far, node) for node, so_far in enumerate(cost) if so_far < NEVER)
    while waiting:
        so_far, here = heappop(waiting)
        if so_far > cost[here] or not (inside[here] or here == source or (alone and here not in how)):
            continue
        for link, there in around[here]:
            further = so_far + costs[link]
            if further < cost[there]:
                cost[there] = further
                how[there] = (link, here)
                heappush(waiting, (further, there))
