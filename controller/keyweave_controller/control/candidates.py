"""Which paths would do between two nodes, best first: for people and orchestrators who ask before they wish.

Rule of this file: pure and without trace; the first candidate is the path that an association of the same
service would take now. Candidates are loop-free, in the order of the strategy.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from keyweave_controller.control import admission, placement, routing
from keyweave_controller.control.mesh import Mesh, PriceList
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import DEFAULT_SERVICE, Service
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.strategies import SCALE
from keyweave_core.model.ids import LinkId, NodeId, SaeId

MOST = 16
"""Most candidates of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathWish:
    """What is asked. `rate_bps` None: the policy's default."""

    source: NodeId
    destination: NodeId
    rate_bps: int | None = None
    service: Service = DEFAULT_SERVICE
    number: int = 1  # 1..MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One path. `id` is the same for the same links in the same order, whenever it is asked."""

    id: str
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    cost: float  # as the strategy counts; 1 is a hop over an empty link
    bottleneck_bps: int  # what the tightest link may still promise
    latency_ms: float
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
    state: NetworkState, mesh: Mesh, wish: PathWish, *, at: float
) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Candidates, best first, and why there are no more of them when there are fewer than asked for."""
    rate_bps = state.policy.default_min_bandwidth_bps if wish.rate_bps is None else wish.rate_bps
    asked = placement.route_wish(state, wish.source, wish.destination, rate_bps, wish.service)
    priced = routing.strategy_of(asked).prices(mesh)
    routes = islice(routing.find_routes(state, mesh, asked, at=at), min(wish.number, MOST))
    found = tuple(_candidate(state, mesh, priced, route) for route in routes)
    if len(found) >= wish.number:
        return found, ()
    if found:
        return found, (f"there are no more than {len(found)} such paths",)
    return (), routing.explain(state, asked)


def _candidate(state: NetworkState, mesh: Mesh, priced: PriceList, route: Route) -> Candidate:
    links = [state.links[link_id] for link_id in route.links]
    places = [mesh.link_place[link_id] for link_id in route.links]
    lengths = [link.distance_km for link in links if link.distance_km is not None]
    return Candidate(
        id=path_id(route.nodes[0], route.links),
        nodes=route.nodes,
        links=route.links,
        cost=sum(priced.prices[one] for one in places) / SCALE,
        bottleneck_bps=min(admission.available_bps(link, state.policy) for link in links),
        latency_ms=sum(mesh.latency_us[one] for one in places) / 1_000,
        distance_km=sum(lengths) if len(lengths) == len(links) else None,
    )


def path_id(source: NodeId, links: Iterable[LinkId]) -> str:
    """The id of a path: the same for the same links in the same order, whenever it is asked."""
    return hashlib.sha256("\n".join((source, *links)).encode()).hexdigest()[:16]
