"""What does a disjoint pair cost beside one Dijkstra, is it the cheapest there is, and what does a tree save?

Germany50, and five drawn networks of 1,000 nodes (points in a square, each joined to its three nearest); a
link costs its length. Times are processor time, means over many pairs of nodes, the best of five rounds. Both
bounds are measured in the same rounds on the same pairs: rustworkx (Rust) from one node to all others, just
lengths, the graph built before, and a plain heapq Dijkstra of the same kind in Python over the same lists.
The cheapest pair is checked against minimum cost flow by networkx, with prices drawn anew for each case.
`risk` puts the first two fibres of every second node into one duct.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import product
from time import process_time

import networkx as nx
import rustworkx

from benchmarks.figures import quantile
from benchmarks.traffic import read_net
from keyweave_controller.control.disjoint import disjoint_pair, disjoint_ways, risk_disjoint_pair
from keyweave_controller.control.trees import multicast_tree

SEEDS = (1, 2, 3, 4, 5)
CASES = 1_000
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Net:
    """A network as the searches take it."""

    size: int
    links: Sequence[tuple[int, int]]
    costs: Sequence[float]

    def around(self) -> list[list[tuple[int, int]]]:
        near: list[list[tuple[int, int]]] = [[] for _ in range(self.size)]
        for link, (a, b) in enumerate(self.links):
            near[a].append((link, b))
            near[b].append((link, a))
        return near


async def measure() -> str:
    real = read_net("germany50")
    germany = Net(len(real.sites), real.links, [float(round(1_000 * km)) for km in real.km])
    rows = [_equal(germany)]
    rows += _times("Germany50", [germany], pairs=300)
    rows += _times("1,000 nodes", [drawn(1_000, seed) for seed in SEEDS], pairs=60)
    rows.append(_risk(germany))
    rows += _trees(germany)
    rows.append("goal: pair equal to minimum cost flow, at most 8 times one Dijkstra")
    return "\n".join(rows) + "\n"


def drawn(size: int, seed: int) -> Net:
    """Points in a square, each joined to its three nearest."""
    pick = random.Random(seed)  # noqa: S311 - drawn networks, no secrets
    points = [complex(pick.random(), pick.random()) for _ in range(size)]
    links: set[tuple[int, int]] = set()
    for here in range(size):
        near = sorted(range(size), key=lambda there: (abs(points[there] - points[here]), there))
        links.update((min(here, there), max(here, there)) for there in near[1:4])
    ordered = sorted(links)
    return Net(size, ordered, [float(round(1e6 * abs(points[a] - points[b]))) for a, b in ordered])


def plain_dijkstra(around: Sequence[Sequence[tuple[int, int]]], costs: Sequence[float], source: int) -> None:
    """From one node to all others, as a textbook has it."""
    reached = [float("inf")] * len(around)
    reached[source] = 0.0
    waiting = [(0.0, source)]
    while waiting:
        so_far, here = heappop(waiting)
        if so_far > reached[here]:
            continue
        for link, there in around[here]:
            further = so_far + costs[link]
            if further < reached[there]:
                reached[there] = further
                heappush(waiting, (further, there))


def _equal(net: Net) -> str:
    pick = random.Random(SEEDS[0])  # noqa: S311 - drawn pairs, no secrets
    around, inside, equal = net.around(), [True] * net.size, 0
    for case in range(CASES):
        source, destination = pick.sample(range(net.size), 2)
        costs = [float(pick.randint(0, 9)) for _ in net.links]
        pair = disjoint_pair(around, costs, inside, source, destination, nodes=case % 2 == 1)
        cost = None if pair is None else sum(costs[link] for way in pair for link in way)
        equal += cost == _flow_cost(net, costs, source, destination, nodes=case % 2 == 1)
    return (
        f"Germany50, prices drawn anew, half of the cases link-, half node-disjoint: {equal} of {CASES} equal"
    )


def _flow_cost(net: Net, costs: Sequence[float], source: int, target: int, *, nodes: bool) -> float | None:
    graph = nx.DiGraph()
    for node in range(net.size):
        through = 1 if nodes and node not in (source, target) else 2
        graph.add_edge(("in", node), ("out", node), capacity=through, weight=0)
    for (a, b), cost in zip(net.links, costs, strict=True):  # no two links have the same ends here
        for here, there in ((a, b), (b, a)):
            graph.add_edge(("out", here), ("in", there), capacity=1, weight=int(cost))
    graph.add_node(("out", source), demand=-2)
    graph.add_node(("in", target), demand=2)
    try:
        return float(nx.min_cost_flow_cost(graph))
    except nx.NetworkXUnfeasible:
        return None


def _times(name: str, nets: Sequence[Net], pairs: int) -> list[str]:
    asked: dict[str, list[Callable[[], object]]] = {}
    for number, net in enumerate(nets):
        pick = random.Random(SEEDS[number])  # noqa: S311 - drawn pairs, no secrets
        around, inside, costs = net.around(), [True] * net.size, net.costs
        graph: rustworkx.PyGraph[None, float] = rustworkx.PyGraph()
        graph.add_nodes_from([None] * net.size)
        graph.add_edges_from([(a, b, cost) for (a, b), cost in zip(net.links, costs, strict=True)])
        for _ in range(pairs):
            source, target = pick.sample(range(net.size), 2)

            def rust(graph: rustworkx.PyGraph[None, float] = graph, source: int = source) -> object:
                return rustworkx.dijkstra_shortest_path_lengths(graph, source, float)

            def plain(near: list[list[tuple[int, int]]] = around, net: Net = net, at: int = source) -> None:
                plain_dijkstra(near, net.costs, at)

            asked.setdefault("rustworkx", []).append(rust)
            asked.setdefault("heapq", []).append(plain)
            for nodes, k in product((False, True), (2, 4)):
                kind = f"{k} {'node' if nodes else 'link'}-disjoint ways"
                question = (around, costs, inside, source, target, k)
                asked.setdefault(kind, []).append(
                    lambda q=question, nodes=nodes: disjoint_ways(*q, nodes=nodes)
                )
    rounds = [{kind: _mean(calls) for kind, calls in asked.items()} for _ in range(ROUNDS)]
    means = {kind: min(one[kind] for one in rounds) for kind in asked}
    rust_us, plain_us = means.pop("rustworkx"), means.pop("heapq")
    rows = [f"{name}: one Dijkstra {rust_us:.1f} us in rustworkx, {plain_us:.1f} us with heapq"]
    rows += [
        f"  {kind}: {us:.1f} us = {us / rust_us:.1f} times rustworkx, {us / plain_us:.1f} times heapq"
        for kind, us in means.items()
    ]
    return rows


def _mean(calls: Sequence[Callable[[], object]]) -> float:
    """Microseconds a call."""
    started = process_time()
    for call in calls:
        call()
    return (process_time() - started) / len(calls) * 1e6


def _risk(net: Net) -> str:
    around, inside = net.around(), [True] * net.size
    groups: list[set[int]] = [set() for _ in net.links]
    for node in range(0, net.size, 2):
        for link, _ in around[node][:2]:
            groups[link].add(node)
    risks = [frozenset(group) for group in groups]
    told: dict[str, int] = {}
    times = []
    for source in range(net.size):
        for target in range(source):
            started = process_time()
            found = risk_disjoint_pair(around, net.costs, inside, source, target, risks, nodes=True)
            times.append((process_time() - started) * 1e3)
            what = f"{found.verdict}{'' if found.proved else ' (not proved the best)'}"
            told[what] = told.get(what, 0) + 1
    outcome = ", ".join(f"{what} {count}" for what, count in sorted(told.items()))
    p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
    return f"risk, Germany50, all {len(times)} pairs: {outcome}; p50 {p50:.2f} ms, p99 {p99:.2f} ms"


def _trees(net: Net) -> list[str]:
    around, inside = net.around(), [True] * net.size
    rows = []
    for number in (2, 3, 5, 7):
        pick = random.Random(SEEDS[0])  # noqa: S311 - drawn pairs, no secrets
        savings, ratios, times = [], [], []
        for _ in range(100):
            source, *targets = pick.sample(range(net.size), number + 1)
            started = process_time()
            tree = multicast_tree(around, net.costs, inside, source, targets)
            times.append((process_time() - started) * 1e3)
            near = multicast_tree(around, net.costs, inside, source, targets, most_work=0)
            assert tree is not None
            assert near is not None
            savings.append(tree.saving)
            ratios.append(near.cost / tree.cost)
        rows.append(
            f"tree, Germany50, {number} targets: saves {100 * sum(savings) / 100:.0f} % of separate ways, "
            f"p50 {quantile(times, 0.5):.2f} ms; grown and improved: {sum(ratios) / 100:.4f} of it, "
            f"worst {max(ratios):.3f}"
        )
    return rows
