"""Drawn meshes, and the slow ways of finding what the fast ones must find."""

import random

import networkx as nx

from keyweave_controller.control.mesh import Mesh, PriceList, Way
from keyweave_controller.control.ways import Ask
from keyweave_core.model.ids import LinkId, NodeId

UNIT = 1_000


def drawn(seed: int, *, most_nodes: int = 7, most_links: int = 14) -> Mesh:
    """A mesh with parallel links, closed ones, nodes that do not relay, promises and times."""
    pick = random.Random(seed)  # noqa: S311 - drawn networks, no secrets
    size = pick.randint(2, most_nodes)
    nodes = [NodeId(f"n{place:02}") for place in range(size)]
    ends = [sorted(pick.sample(nodes, 2)) for _ in range(pick.randint(1, most_links))]
    mesh = Mesh(nodes, [(LinkId(f"l{place:02}"), a, b) for place, (a, b) in enumerate(ends)])
    mesh.inside = [pick.random() > 0.15 for _ in nodes]
    for link in range(len(ends)):
        mesh.open(link, usable_bps=pick.randint(1, 20) * UNIT, up=pick.random() > 0.1)
        mesh.km[link] = float(pick.randint(1, 80))
        mesh.latency_us[link] = pick.randint(1, 9)
        mesh.store(link, stored=pick.randint(0, 100), capacity=100)
        mesh.take((link,), pick.randint(0, mesh.usable[link] // UNIT) * UNIT)
    return mesh


def asked(seed: int, mesh: Mesh) -> Ask:
    """An ask with bounds that often bind."""
    pick = random.Random(seed + 1)  # noqa: S311
    source, target = pick.sample(range(len(mesh.node_ids)), 2)
    return Ask(
        source=source,
        target=target,
        rate_bps=pick.choice((0, 1, 3, 6)) * UNIT,
        max_hops=pick.choice((1, 2, 3, 4, 256)),
        max_latency_us=pick.choice((None, None, 4, 8, 12, 20)),
    )


def every_way(mesh: Mesh, ask: Ask) -> list[Way]:
    """All loop-free ways that fit and keep the bounds, found one link at a time."""
    found: list[Way] = []

    def further(here: int, way: Way, met: frozenset[int], us: int) -> None:
        if here == ask.target:
            found.append(way)
            return
        if (here != ask.source and not mesh.inside[here]) or len(way) == ask.max_hops:
            return
        for link, there in mesh.around[here]:
            then = us + mesh.latency_us[link]
            late = ask.max_latency_us is not None and then > ask.max_latency_us
            if there not in met and mesh.room[link] >= ask.rate_bps and not late:
                further(there, (*way, link), met | {there}, then)

    further(ask.source, (), frozenset((ask.source,)), 0)
    return found


def networkx_price(mesh: Mesh, priced: PriceList, ask: Ask) -> float | None:
    """The price of the cheapest way without bounds, by networkx; None when there is none."""
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from((ask.source, ask.target))
    for link, (a, b) in enumerate(zip(mesh.a, mesh.b, strict=True)):
        relays = [node for node in (a, b) if node not in (ask.source, ask.target)]
        if mesh.room[link] >= ask.rate_bps and all(mesh.inside[node] for node in relays):
            known = graph.get_edge_data(a, b, {"cost": priced.prices[link]})["cost"]
            graph.add_edge(a, b, cost=min(known, priced.prices[link]))
    try:
        price: float = nx.dijkstra_path_length(graph, ask.source, ask.target, weight="cost")
    except nx.NetworkXNoPath:
        return None
    return price
