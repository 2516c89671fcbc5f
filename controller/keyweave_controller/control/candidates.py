"""Which paths would do between two nodes, best first: for people and orchestrators who ask before they wish.

Rule of this file: pure and without trace; the first candidate without constraints is the path that
`routing.find_route` would take now. Candidates are loop-free, in order of cost, then of node ids (J. Yen,
Finding the K Shortest Loopless Paths in a Network, Management Science 17, 1971), each spur found by A* with
the true remaining cost of the whole network as its bound.
"""

import hashlib
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from keyweave_controller.control import admission, routing, topology
from keyweave_controller.control.routing import Route
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.topology import Hop
from keyweave_core.model.ids import LinkId, NodeId, SaeId

MOST = 16
"""Most candidates of one answer."""

_EXPLORED_MOST = 200
"""Paths looked at when some nodes or links must be visited."""

Around = Mapping[NodeId, list[Hop]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathWish:
    """What is asked. `rate_bps` None: the policy's default; `max_hops` None: what the policy allows."""

    source: NodeId
    destination: NodeId
    rate_bps: int | None = None
    max_hops: int | None = None
    exclude_links: frozenset[LinkId] = frozenset()
    exclude_nodes: frozenset[NodeId] = frozenset()  # not to relay over
    include_links: frozenset[LinkId] = frozenset()  # every path crosses all of these
    include_nodes: frozenset[NodeId] = frozenset()
    number: int = 1  # 1..MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One path. `id` is the same for the same links in the same order, whenever it is asked."""

    id: str
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    cost: float  # 1 to 2 a hop: the share of each link that would be taken, and 1
    bottleneck_bps: int  # what the tightest link may still promise
    distance_km: float | None  # None when the length of a fibre is not known

    @property
    def hops(self) -> int:
        """Physical links crossed."""
        return len(self.links)


def place(state: NetworkState, text: str) -> NodeId | None:
    """The node that serves an application of this name, or has this id or name; None when there is none."""
    served = state.consumers.get(SaeId(text))
    if served is not None:
        return served
    if text in state.nodes:
        return NodeId(text)
    return next((node_id for node_id, node in state.nodes.items() if node.name == text), None)


def compute_paths(
    state: NetworkState, wish: PathWish, *, at: float
) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Candidates, best first, and why there are no more of them when there are fewer than asked for."""
    rate_bps = state.policy.default_min_bandwidth_bps if wish.rate_bps is None else wish.rate_bps
    for node_id in (wish.source, wish.destination):
        obstacles = tuple(topology.node_obstacles(state.nodes.get(node_id)))
        if obstacles:
            return (), tuple(f"node {state.node_name(node_id)} {obstacle}" for obstacle in obstacles)
    if wish.source == wish.destination:
        return (), (f"both ends are node {state.node_name(wish.source)}; keys cross no link",)
    found = tuple(islice(_fitting(state, wish, rate_bps, at), min(wish.number, MOST)))
    if len(found) >= wish.number:
        return found, ()
    return found, _why_no_more(state, wish, rate_bps, at, len(found))


def ranked(hops: list[Hop], wish: PathWish, inside: set[NodeId], max_hops: int) -> Iterator[Route]:
    """Every loop-free path of at most `max_hops` hops, cheapest first; inner nodes are all of `inside`."""
    allowed = (inside - wish.exclude_nodes) | {wish.source, wish.destination}
    around: dict[NodeId, list[Hop]] = {}
    for hop in hops:
        if hop.a in allowed and hop.b in allowed and hop.a != hop.b:
            around.setdefault(hop.a, []).append(hop)
            around.setdefault(hop.b, []).append(hop)
    left = _remaining(around, wish.destination)
    costs = {hop.link_id: hop.cost for hop in hops}
    best = _spur(around, left, (wish.source,), wish.destination, set(), max_hops)
    waiting = [best] if best else []
    known = {one[1:] for one in waiting}
    past: list[tuple[tuple[NodeId, ...], tuple[LinkId, ...]]] = []
    while waiting:
        cost, nodes, links = heapq.heappop(waiting)
        yield Route(nodes=nodes, links=links, cost=cost)
        past.append((nodes, links))
        for turn in range(len(links)):
            root, crossed = nodes[: turn + 1], links[:turn]
            banned = {
                others[turn] for seen, others in past if seen[: turn + 1] == root and others[:turn] == crossed
            }
            spur = _spur(around, left, root, wish.destination, banned, max_hops - turn)
            if spur is None:
                continue
            way = (root[:-1] + spur[1], crossed + spur[2])
            if way not in known:
                known.add(way)
                heapq.heappush(waiting, (sum(costs[one] for one in way[1]), *way))


def _fitting(state: NetworkState, wish: PathWish, rate_bps: int, at: float) -> Iterator[Candidate]:
    hops: list[Hop] = []
    late: list[Hop] = []
    for link_id, link in sorted(state.links.items()):
        if link_id in wish.exclude_links or not topology.usable(link):
            continue
        if admission.available_bps(link, state.policy) < rate_bps:
            continue
        hop = Hop(link_id=link_id, a=link.a, b=link.b, cost=routing.hop_cost(link, state, rate_bps))
        lately = topology.restoring(link, at, state.policy.wait_to_restore_s)
        (late if lately else hops).append(hop)
    inside = {node_id for node_id, node in state.nodes.items() if topology.may_relay(node)}
    most = min(wish.max_hops or state.policy.max_relay_hops, state.policy.max_relay_hops)
    told: set[tuple[LinkId, ...]] = set()
    # As for real paths, links that were repaired lately are for when nothing else fits.
    for given in (hops, hops + late) if late else (hops,):
        for route in islice(ranked(given, wish, inside, most), _EXPLORED_MOST):
            fits = wish.include_links <= set(route.links) and wish.include_nodes <= set(route.nodes)
            if fits and route.links not in told:
                told.add(route.links)
                yield _candidate(state, route)


def _candidate(state: NetworkState, route: Route) -> Candidate:
    links = [state.links[link_id] for link_id in route.links]
    lengths = [link.distance_km for link in links if link.distance_km is not None]
    return Candidate(
        id=hashlib.sha256("\n".join((route.nodes[0], *route.links)).encode()).hexdigest()[:16],
        nodes=route.nodes,
        links=route.links,
        cost=route.cost / routing.COST_SCALE,
        bottleneck_bps=min(admission.available_bps(link, state.policy) for link in links),
        distance_km=sum(lengths) if len(lengths) == len(links) else None,
    )


def _why_no_more(
    state: NetworkState, wish: PathWish, rate_bps: int, at: float, found: int
) -> tuple[str, ...]:
    if found:
        return (f"there are no more than {found} such paths",)
    if routing.find_route(state, wish.source, wish.destination, rate_bps, at=at) is not None:
        return ("paths exist, and none meets the constraints",)
    return routing.explain(state, wish.source, wish.destination, rate_bps)


def _remaining(around: Around, destination: NodeId) -> dict[NodeId, int]:
    """The cheapest cost from every node to the destination."""
    left: dict[NodeId, int] = {}
    waiting = [(0, destination)]
    while waiting:
        cost, here = heapq.heappop(waiting)
        if here in left:
            continue
        left[here] = cost
        for hop in around.get(here, ()):
            if hop.other(here) not in left:
                heapq.heappush(waiting, (cost + hop.cost, hop.other(here)))
    return left


def _spur(
    around: Around,
    left: Mapping[NodeId, int],
    root: tuple[NodeId, ...],
    destination: NodeId,
    banned: set[LinkId],
    max_hops: int,
) -> tuple[int, tuple[NodeId, ...], tuple[LinkId, ...]] | None:
    """The cheapest way on from the end of `root`: meets none of its nodes, begins with no `banned` link."""
    start = root[-1]
    if start not in left:
        return None
    waiting: list[tuple[int, tuple[NodeId, ...], tuple[LinkId, ...], int]] = [(left[start], (start,), (), 0)]
    fewest: dict[NodeId, int] = dict.fromkeys(root[:-1], 0)  # hops of the settled ways to a node
    while waiting:
        _, nodes, links, cost = heapq.heappop(waiting)
        here = nodes[-1]
        if here == destination:
            return cost, nodes, links
        if here in fewest and fewest[here] <= len(links):
            continue
        fewest[here] = len(links)
        if len(links) >= max_hops:
            continue
        for hop in around[here]:
            there = hop.other(here)
            if (not links and hop.link_id in banned) or there not in left or there in nodes:
                continue
            further = cost + hop.cost
            heapq.heappush(waiting, (further + left[there], (*nodes, there), (*links, hop.link_id), further))
    return None
