"""Which way keys take, and why they take none.

Rule of this file: the cheapest path over usable links with room for the rate; among equals the one whose
node ids come first, so the same network always gives the same path. A hop costs 1 plus the share of the
link's promisable rate that would be taken (`COST_SCALE` and up to twice that, in whole numbers): fewer hops
win, and among paths of like length those that leave more room. A detour of one hop is worth it only when it
relieves at least a whole link.

A repaired link is tried only when nothing else fits until `wait_to_restore_s` has passed.

When nothing fits, the answer names the obstacles of the way that comes closest.
"""

from dataclasses import dataclass

import rustworkx

from keyweave_controller.control import topology
from keyweave_controller.control.admission import available_bps, reserved_bps, usable_bps
from keyweave_controller.control.state import LinkRecord, NetworkState, PathRecord
from keyweave_controller.control.topology import Hop
from keyweave_core.model.ids import LinkId, NodeId

COST_SCALE = 1_000_000
_PENALTY = 10_000_000_000  # of an obstacle that no rate can buy away, in `explain`; sums stay below 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way: nodes from source to destination, the links between them, and what it costs."""

    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    cost: int


def hop_cost(link: LinkRecord, state: NetworkState, rate_bps: int) -> int:
    """The cost of crossing a link with `rate_bps` more, `COST_SCALE`..2 `COST_SCALE` when it fits."""
    taken = reserved_bps(link) + rate_bps
    return COST_SCALE + COST_SCALE * taken // max(1, usable_bps(link, state.policy))


def find_route(
    state: NetworkState,
    source: NodeId,
    destination: NodeId,
    rate_bps: int,
    *,
    at: float,
    beside: PathRecord | None = None,
) -> Route | None:
    """The best way from `source` to `destination` with `rate_bps` free on each link, or None.

    `beside`: a path that the new one replaces; what it holds counts as free.
    """
    for node_id in (source, destination):
        if next(topology.node_obstacles(state.nodes.get(node_id)), None) is not None:
            return None
    hops: list[Hop] = []
    late: list[Hop] = []
    for link_id, link in sorted(state.links.items()):
        if not topology.usable(link) or available_bps(link, state.policy, beside) < rate_bps:
            continue
        hop = Hop(link_id=link_id, a=link.a, b=link.b, cost=hop_cost(link, state, rate_bps))
        lately = topology.restoring(link, at, state.policy.wait_to_restore_s)
        (late if lately else hops).append(hop)
    inside = {node_id for node_id, node in state.nodes.items() if topology.may_relay(node)}
    most = state.policy.max_relay_hops
    route = cheapest(hops, source, destination, inside, most)
    if route is None and late:
        route = cheapest(hops + late, source, destination, inside, most)
    return route


def cheapest(
    hops: list[Hop], source: NodeId, destination: NodeId, inside: set[NodeId], max_hops: int
) -> Route | None:
    """The cheapest way of at most `max_hops` hops whose inner nodes are all of `inside`."""
    ends = {source, destination}
    allowed = inside | ends
    index: dict[NodeId, int] = {}
    graph: rustworkx.PyGraph[NodeId, int] = rustworkx.PyGraph(multigraph=True)
    around: dict[NodeId, list[Hop]] = {}
    for hop in hops:
        if hop.a not in allowed or hop.b not in allowed:
            continue
        for node_id in (hop.a, hop.b):
            if node_id not in index:
                index[node_id] = graph.add_node(node_id)
            around.setdefault(node_id, []).append(hop)
        graph.add_edge(index[hop.a], index[hop.b], hop.cost)
    if source not in index or destination not in index:
        return None
    left = rustworkx.dijkstra_shortest_path_lengths(graph, index[destination], float)
    distance = {node_id: left[place] for node_id, place in index.items() if place in left}
    distance[destination] = 0.0
    if source not in distance:
        return None
    route = _walk(around, distance, source, destination)
    if len(route.links) <= max_hops:
        return route
    return _within(around, source, destination, max_hops)


def _walk(
    around: dict[NodeId, list[Hop]], distance: dict[NodeId, float], source: NodeId, destination: NodeId
) -> Route:
    """Follow the distances down from the source, the smallest ids first among equals."""
    nodes, links, here, cost = [source], [], source, 0
    while here != destination:
        _, link_id, hop = min(
            (hop.other(here), hop.link_id, hop)
            for hop in around[here]
            if hop.other(here) in distance and distance[hop.other(here)] + hop.cost == distance[here]
        )
        here = hop.other(here)
        cost += hop.cost
        nodes.append(here)
        links.append(link_id)
    return Route(nodes=tuple(nodes), links=tuple(links), cost=cost)


def _within(
    around: dict[NodeId, list[Hop]], source: NodeId, destination: NodeId, max_hops: int
) -> Route | None:
    """Cheapest way of bounded length (rounds of Bellman and Ford), for the rare case that the bound binds."""
    reached: dict[NodeId, tuple[int, tuple[NodeId, ...], tuple[LinkId, ...]]] = {source: (0, (source,), ())}
    for _ in range(max_hops):
        following = dict(reached)
        for here, (cost, nodes, links) in sorted(reached.items()):
            for hop in around[here] if here != destination else ():
                there = hop.other(here)
                candidate = (cost + hop.cost, (*nodes, there), (*links, hop.link_id))
                if there not in following or candidate < following[there]:
                    following[there] = candidate
        reached = following
    if destination not in reached:
        return None
    cost, nodes, links = reached[destination]
    return Route(cost=cost, nodes=nodes, links=links)


def explain(
    state: NetworkState,
    source: NodeId,
    destination: NodeId,
    rate_bps: int,
    *,
    beside: PathRecord | None = None,
) -> tuple[str, ...]:
    """Why `find_route` found nothing: what stands in the way that comes closest, one sentence each."""
    for node_id in dict.fromkeys((source, destination)):
        obstacles = tuple(topology.node_obstacles(state.nodes.get(node_id)))
        if obstacles:
            return tuple(f"node {state.node_name(node_id)} {obstacle}" for obstacle in obstacles)
    hops = [
        Hop(
            link_id=link_id,
            a=link.a,
            b=link.b,
            cost=1
            + _PENALTY * _count(state, link, (source, destination))
            + max(0, rate_bps - available_bps(link, state.policy, beside)),
        )
        for link_id, link in sorted(state.links.items())
        if link.a in state.nodes and link.b in state.nodes and link.a != link.b
    ]
    names = f"{state.node_name(source)} and {state.node_name(destination)}"
    way = cheapest(hops, source, destination, set(state.nodes), state.policy.max_relay_hops)
    if way is None:
        way = cheapest(hops, source, destination, set(state.nodes), len(state.nodes))
        if way is None:
            return (f"no chain of links joins {names}",)
        return (
            f"{names} are {len(way.links)} links apart; at most {state.policy.max_relay_hops} are allowed",
        )
    return _obstacles_on(state, way, rate_bps, beside)


def _count(state: NetworkState, link: LinkRecord, ends: tuple[NodeId, NodeId]) -> int:
    inner = sum(not topology.may_relay(state.nodes[node]) for node in (link.a, link.b) if node not in ends)
    return inner + (not topology.usable(link))


def _obstacles_on(
    state: NetworkState, way: Route, rate_bps: int, beside: PathRecord | None
) -> tuple[str, ...]:
    reasons: list[str] = []
    for place, link_id in enumerate(way.links):
        link, here = state.links[link_id], way.nodes[place]
        name = state.link_name(link_id, here)
        if place > 0:
            node = state.nodes[here]
            words = (*topology.node_obstacles(node), *topology.relay_obstacles(node))
            reasons.extend(f"node {node.name} {word}" for word in words)
        obstacles = tuple(topology.link_obstacles(link))
        reasons.extend(f"link {name} {obstacle}" for obstacle in obstacles)
        free = available_bps(link, state.policy, beside)
        if not obstacles and free < rate_bps:
            total = usable_bps(link, state.policy)
            reasons.append(f"link {name} lacks {rate_bps - free} bit/s: {max(0, free)} free of {total}")
    return tuple(reasons) or ("the network changed while the way was sought",)
