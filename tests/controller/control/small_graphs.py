"""Small drawn graphs, and slow answers about them that need no thought: laws are held against those."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import networkx as nx

NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A graph as the searches take it, with the ends of its links and two different nodes in question."""

    links: Sequence[tuple[int, int]]
    costs: Sequence[float]
    inside: Sequence[bool]
    source: int = 0
    destination: int = 1

    @property
    def around(self) -> list[list[tuple[int, int]]]:
        near: list[list[tuple[int, int]]] = [[] for _ in self.inside]
        for link, (a, b) in enumerate(self.links):
            near[a].append((link, b))
            near[b].append((link, a))
        return near

    def cost(self, links: Iterable[int]) -> float:
        return sum(self.costs[link] for link in links)

    def nodes_of(self, way: Sequence[int]) -> list[int]:
        """The nodes of a way; fails when its links are no chain from the source."""
        nodes = [self.source]
        for link in way:
            a, b = self.links[link]
            assert nodes[-1] in (a, b), f"{way} breaks at link {link}"
            nodes.append(b if nodes[-1] == a else a)
        return nodes


def graph(
    *links: tuple[int, int, float], outside: Iterable[int] = (), ends: tuple[int, int] = (0, 1)
) -> Small:
    """A graph of (node, node, cost) rows."""
    size = 1 + max(max(a, b) for a, b, _ in links)
    barred = set(outside)
    return Small(
        links=[(a, b) for a, b, _ in links],
        costs=[float(cost) for _, _, cost in links],
        inside=[node not in barred for node in range(size)],
        source=ends[0],
        destination=ends[1],
    )


def drawn(seed: int, *, most_nodes: int = 8, most_links: int = 18) -> Small:
    """With parallel links, links for nothing, equal costs, links not to be used, nodes that may not relay."""
    pick = random.Random(seed)  # noqa: S311 - drawn networks, no secrets
    size = pick.randint(2, most_nodes)
    links = [(*pick.sample(range(size), 2),) for _ in range(pick.randint(1, most_links))]
    source, destination = pick.sample(range(size), 2)
    return Small(
        links=[(a, b) for a, b in links],
        costs=[
            NEVER if pick.random() < 0.05 else float(pick.choice((0, 0, 1, 1, 2, 3, 5, 9))) for _ in links
        ],
        inside=[pick.random() > 0.12 for _ in range(size)],
        source=source,
        destination=destination,
    )


def cheapest_flow(small: Small, most: int, *, nodes: bool) -> tuple[int, float]:
    """How many disjoint ways there are, up to `most`, and the least they cost, by networkx."""
    net = nx.DiGraph()
    ends = (small.source, small.destination)
    for node, inside in enumerate(small.inside):
        through = most if node in ends else int(inside) * (1 if nodes else most)
        net.add_edge(("in", node), ("out", node), capacity=through, weight=0)
    for link, (a, b) in enumerate(small.links):
        if small.costs[link] == NEVER:
            continue
        for here, there in ((a, b), (b, a)):
            between = ("link", link, here)  # parallel links need a node of their own each
            net.add_edge(("out", here), between, capacity=1, weight=int(small.costs[link]))
            net.add_edge(between, ("in", there), capacity=1, weight=0)
    net.add_edge("begin", ("out", small.source), capacity=most, weight=0)
    net.add_edge(("in", small.destination), "end", capacity=most, weight=0)
    flow = nx.max_flow_min_cost(net, "begin", "end")
    return sum(flow["begin"].values()), float(nx.cost_of_flow(net, flow))


def every_way(small: Small) -> list[tuple[int, ...]]:
    """All loop-free ways."""
    around = small.around
    found: list[tuple[int, ...]] = []

    def go(here: int, met: frozenset[int], way: tuple[int, ...]) -> None:
        if here == small.destination:
            found.append(way)
        elif here == small.source or small.inside[here]:
            for link, there in around[here]:
                if there not in met and small.costs[link] < NEVER:
                    go(there, met | {there}, (*way, link))

    go(small.source, frozenset((small.source,)), ())
    return found


def every_pair(small: Small, *, nodes: bool) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All pairs of ways without a common link (`nodes`: or inner node)."""
    for one, other in itertools.combinations(every_way(small), 2):
        if set(one) & set(other):
            continue
        if nodes and set(small.nodes_of(one)[1:-1]) & set(small.nodes_of(other)[1:-1]):
            continue
        yield one, other


def cheapest_joining(small: Small, targets: Iterable[int]) -> float | None:
    """The least cost of a tree that joins the source with all targets, by trying all sets of links."""
    best: float | None = None
    wanted = [small.source, *targets]
    for chosen in itertools.product((False, True), repeat=len(small.links)):
        links = [link for link, taken in enumerate(chosen) if taken]
        cost = small.cost(links)
        if cost == NEVER or (best is not None and cost >= best):
            continue
        net = nx.MultiGraph()
        net.add_nodes_from(wanted)
        net.add_edges_from(small.links[link] for link in links)
        leaves_only = (node for node in net if not small.inside[node] and node != small.source)
        if nx.is_forest(net) and nx.is_connected(net) and all(net.degree(node) < 2 for node in leaves_only):
            best = cost
    return best
