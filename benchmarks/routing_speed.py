"""One constrained route and one change of price, in time, against networkx on the same graph and prices.

The mesh is filled by demand model A first, so prices spread as they do in service. Every ask has a rate that
full links do not fit and at most `MOST_HOPS` links. `networkx.dijkstra_path` gets the same prices as an
attribute of its edges and neither rate nor bound: it does less.
"""

import random
from collections.abc import Callable, Sequence

import networkx as nx

from benchmarks.model_a import Play
from benchmarks.networks import CLOCK
from benchmarks.traffic import MEAN_HELD, MEAN_RATE, UNIT_BPS, Net, read_net
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.strategies import STRATEGIES, Strategy
from keyweave_controller.control.ways import Ask

MOST_HOPS = 32
STRATEGIES_TIMED = ("min-hop", "balanced", "exponential", "shadow-price", "steady-price")


def thousand() -> Net:
    """1,000 sites in a square, each joined to its three nearest, and what joins all; links alike."""
    draw = random.Random(1)  # noqa: S311 - a drawn network, no secrets
    sites = [(draw.random(), draw.random()) for _ in range(1_000)]
    lengths: nx.Graph[int] = nx.Graph()
    links: dict[tuple[int, int], None] = {}
    for a, (xa, ya) in enumerate(sites):
        near = sorted(((xa - xb) ** 2 + (ya - yb) ** 2, b) for b, (xb, yb) in enumerate(sites) if a != b)
        links |= {(min(a, b), max(a, b)): None for _, b in near[:3]}
        lengths.add_weighted_edges_from((a, b, length) for length, b in near[:40])
    links |= {(min(edge), max(edge)): None for edge in sorted(nx.minimum_spanning_edges(lengths, data=False))}
    units = round(MEAN_HELD * MEAN_RATE)
    names = tuple(f"{place:04}" for place in range(len(sites)))
    return Net("plane1000", names, tuple(links), (units,) * len(links), (10.0,) * len(links))


def figures(*, quick: bool) -> str:
    """Both sizes, as text."""
    text = [f"one route for a rate within {MOST_HOPS} links, microseconds, median (networkx.dijkstra_path)\n"]
    for net, units, stays in (
        (read_net("germany50"), 1_000.0, 6.0),
        (thousand(), 900.0, 3.0 if quick else 6.0),
    ):
        for name in STRATEGIES_TIMED:
            play = Play(net, STRATEGIES[name])
            play.run(units, seed=1, warm_up=stays - 0.5, measured=0.5)
            ours, theirs = _timed(play.mesh, STRATEGIES[name], asks=200 if quick else 500)
            held = sum(play.mesh.reserved) / sum(play.mesh.usable)
            text.append(
                f"  {len(net.sites):5} sites, {held:4.0%} promised, {name:14} {ours:7.1f} ({theirs:7.1f}): "
                f"{theirs / ours:.1f} times as fast\n"
            )
            if name == "steady-price":
                text.append(
                    f"{'':8}one promise on one link, {name}'s price with it: {_change(play.mesh):.1f}\n"
                )
    return "".join(text)


def _timed(mesh: Mesh, strategy: Strategy, *, asks: int) -> tuple[float, float]:
    draw = random.Random(7)  # noqa: S311 - drawn asks, no secrets
    prices = strategy.prices(mesh).prices
    graph: nx.Graph[int] = nx.Graph()
    for link, (a, b) in enumerate(zip(mesh.a, mesh.b, strict=True)):
        graph.add_edge(a, b, cost=prices[link])
    pairs = [tuple(draw.sample(range(len(mesh.node_ids)), 2)) for _ in range(asks)]
    drawn = [Ask(source=a, target=b, rate_bps=UNIT_BPS, max_hops=MOST_HOPS) for a, b in pairs]
    # Asked once before, so that what is kept for each target is there, as in service. What is refused does
    # not count.
    wishes = [ask for ask in drawn if strategy.choose(mesh, ask) is not None]
    ours = [_took(lambda ask=ask: strategy.choose(mesh, ask)) for ask in wishes]
    ends = [(ask.source, ask.target) for ask in wishes]
    theirs = [_took(lambda a=a, b=b: nx.dijkstra_path(graph, a, b, weight="cost")) for a, b in ends]
    return _median(ours), _median(theirs)


def _took(act: Callable[[], object]) -> float:
    """The shorter of two times, microseconds."""
    times = []
    for _ in range(2):
        begun = CLOCK.monotonic()
        act()
        times.append(CLOCK.monotonic() - begun)
    return min(times) * 1e6


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _change(mesh: Mesh) -> float:
    links = range(len(mesh.link_ids))
    begun = CLOCK.monotonic()
    for link in links:
        mesh.take((link,), UNIT_BPS)
        mesh.take((link,), -UNIT_BPS)
    return (CLOCK.monotonic() - begun) * 1e6 / len(links) / 2
