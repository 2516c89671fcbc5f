"""Which paths would do between two nodes, best first: for people and orchestrators who ask before they wish.

Rule of this file: pure and without trace; the first candidate is what an association of the same service
would get now. A candidate is one path, or paths that belong together: disjoint ones where the service wants
protection, the branches of a tree where there are several destinations. Paths are loop-free, in the order of
the strategy.
"""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

from keyweave_controller.control import admission, branching, facts, placement, routing, shape, terms
from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList
from keyweave_controller.control.routing import Route, RouteWish
from keyweave_controller.control.service import (
    DEFAULT_SERVICE,
    Disjointness,
    Protection,
    Service,
    ServiceClass,
)
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.strategies import SCALE
from keyweave_core.model.ids import LinkId, NodeId, SaeId

MOST = 16
"""Most candidates of one answer."""

MOST_DESTINATIONS = branching.MOST_DESTINATIONS
"""Most destinations of one tree."""

MOST_SEARCHES, MOST_RISK_SEARCHES = 48, 8
"""Searches for groups of disjoint paths behind one answer, and for those apart in risks, which is NP-hard;
further ones would keep others waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathWish:
    """What is asked. `rate_bps` None: the policy's default. `others`: further destinations, for a tree.

    `ends_at` (seconds since 1970): how long it is to last, from `service.starts_at` or now; None: for ever.
    """

    source: NodeId
    destination: NodeId
    rate_bps: int | None = None
    service: Service = DEFAULT_SERVICE
    number: int = 1  # 1..MOST
    others: tuple[NodeId, ...] = ()
    ends_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One path. `id` is the same for the same links in the same order, whenever it is asked.

    `others` are the paths that belong to it; theirs is the `id` of the path alone. `total_cost` counts a link
    that several of them cross once, `shared_risks` names the groups that disjoint paths have in common.
    """

    id: str
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    cost: float  # as the strategy counts; 1 is a hop over an empty link
    bottleneck_bps: int  # what the tightest link may still promise
    latency_ms: float
    distance_km: float | None  # None when the length of a fibre is not known
    others: tuple["Candidate", ...] = ()
    total_cost: float = 0.0
    shared_risks: tuple[str, ...] = ()

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


def links_named(state: NetworkState, text: str) -> tuple[LinkId, ...]:
    """The link of this id, or those between two nodes of these names, `A-B` or `A~B`; none when unknown."""
    as_id = LinkId(text.strip().lower())
    if as_id in state.links:
        return (as_id,)
    wanted = {frozenset(ends) for ends in ends_named(state, text)}
    return tuple(sorted(one.link_id for one in state.links.values() if frozenset((one.a, one.b)) in wanted))


def ends_named(state: NetworkState, text: str) -> Iterator[tuple[NodeId, NodeId]]:
    """Every pair of nodes that a text names, their names joined by `-` or `~`."""
    by_name = {node.name: node_id for node_id, node in state.nodes.items()}
    for cut, mark in enumerate(text):
        if mark in "-~":
            a, b = by_name.get(text[:cut].strip()), by_name.get(text[cut + 1 :].strip())
            if a is not None and b is not None and a != b:
                yield a, b


def risk_groups(state: NetworkState) -> tuple[str, ...]:
    """Every shared-risk group that a link is in, by name."""
    known = (*state.link_facts.values(), *state.plant_facts.values())
    return tuple(sorted({name for told in known for name in told.risk_groups}))


def domains(state: NetworkState) -> tuple[str, ...]:
    """Every domain that a node of the inventory is in, by name."""
    return tuple(sorted({listed.domain for listed in state.inventory.values() if listed.domain}))


def compute_paths(
    state: NetworkState, mesh: Mesh, wish: PathWish, *, at: float
) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Candidates, best first, and why there are no more of them when there are fewer than asked for."""
    asked = route_wish(state, wish)
    priced = routing.strategy_of(asked).prices(mesh)
    number = max(1, min(wish.number, MOST))
    groups: Sequence[tuple[Route, ...]]
    if asked.others:
        tree = branching.find_tree(state, mesh, asked, at=at)
        if tree is None:
            return (), branching.explain(state, mesh, asked, at=at)
        ways = (shape.branch(tree, target) for target in (asked.destination, *asked.others))
        branches = [Route(nodes=nodes, links=links) for nodes, links in ways]
        return (_group(state, mesh, priced, branches),), ()
    by_risks = wish.service.disjointness is Disjointness.RISKS
    searches = _Searches(MOST_RISK_SEARCHES if by_risks else MOST_SEARCHES)
    if wish.service.protection is Protection.RESTORATION:
        groups = [(route,) for route in islice(routing.find_routes(state, mesh, asked, at=at), number)]
    else:
        groups = list(islice(_groups(state, mesh, priced, asked, wish.service, at, searches), number))
    if not groups:
        return (), placement.explain(state, mesh, asked, wish.service, at=at)
    found = tuple(_group(state, mesh, priced, group, disjoint=True) for group in groups)
    return found, () if len(found) >= number else (_why_no_more(len(found), searches),)


def route_wish(state: NetworkState, wish: PathWish) -> RouteWish:
    """What is asked of routing for one path of it, or for its tree."""
    rate_bps = state.policy.default_min_bandwidth_bps if wish.rate_bps is None else wish.rate_bps
    if wish.service.service_class is ServiceClass.BEST_EFFORT:
        rate_bps = 0  # it is promised nothing
    service = terms.settled(state, wish.service, SaeId(""))  # whose wish it is to be is not known
    one = placement.route_wish(state, wish.source, wish.destination, rate_bps, service)
    return replace(
        one,
        starts_at=wish.service.starts_at,
        ends_at=wish.ends_at,
        others=tuple(other for other in dict.fromkeys(wish.others) if other != wish.destination),
    )


def path_id(source: NodeId, ways: Sequence[Sequence[LinkId]]) -> str:
    """The id of a path, or of several together: the same for the same links in the same order."""
    text = "\n\n".join("\n".join(links) for links in ways)
    return hashlib.sha256(f"{source}\n{text}".encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Searches:
    """How many searches are left, and whether one more was wanted than there were."""

    left: int
    wanting: bool = False

    def another(self) -> bool:
        """There is one left, and now one less."""
        self.wanting = self.wanting or self.left <= 0
        self.left -= 1
        return self.left >= 0


def _why_no_more(number: int, searches: _Searches) -> str:
    if searches.wanting:
        return "there may be more: the search for them ended at its bound"
    return "there is no other such path" if number == 1 else f"there are no more than {number} such paths"


def _groups(
    state: NetworkState,
    mesh: Mesh,
    priced: PriceList,
    asked: RouteWish,
    service: Service,
    at: float,
    searches: "_Searches",
) -> Iterator[tuple[Route, ...]]:
    """Groups of disjoint paths, the cheapest first, as far as `searches` go.

    After the best group, the next one lacks at least one of its links: each is left out in turn (E. Lawler, A
    Procedure for Computing the K Best Solutions to Discrete Optimization Problems, Management Science, 1972).
    """
    told: set[tuple[tuple[LinkId, ...], ...]] = set()
    waiting: list[tuple[float, tuple[tuple[LinkId, ...], ...], tuple[LinkId, ...]]] = []
    routes_of: dict[tuple[tuple[LinkId, ...], ...], tuple[Route, ...]] = {}
    tried: set[frozenset[LinkId]] = set()
    left_out: tuple[LinkId, ...] = ()
    without: Sequence[tuple[LinkId, ...]] = [()]
    while True:
        for left_out in without:
            if frozenset(left_out) in tried or not searches.another():
                continue
            tried.add(frozenset(left_out))
            found = _find_without(state, mesh, asked, service, left_out, at)
            if found:
                ways = tuple(route.links for route in found)
                routes_of[ways] = found
                heapq.heappush(waiting, (_cost(mesh, priced, ways), ways, left_out))
        if not waiting:
            return
        _, ways, left_out = heapq.heappop(waiting)
        if ways not in told:
            told.add(ways)
            yield routes_of[ways]
        without = [tuple(sorted({*left_out, link_id})) for links in ways for link_id in links]


def _find_without(
    state: NetworkState, mesh: Mesh, asked: RouteWish, service: Service, links: Sequence[LinkId], at: float
) -> tuple[Route, ...]:
    """The best group that crosses none of these links."""
    if mesh.timed or asked.starts_at is not None:  # then rooms are reckoned anew in each search
        bounds = asked.constraints
        narrowed = replace(bounds, exclude_links=bounds.exclude_links | set(links))
        return placement.find(state, mesh, replace(asked, constraints=narrowed), service, at=at)
    with mesh.apart({mesh.link_place[link_id]: CLOSED for link_id in links}):
        return placement.find(state, mesh, asked, service, at=at)


def _cost(mesh: Mesh, priced: PriceList, ways: Sequence[Sequence[LinkId]]) -> float:
    crossed = {mesh.link_place[link_id] for links in ways for link_id in links}
    return sum(priced.prices[place] for place in sorted(crossed)) / SCALE


def _group(
    state: NetworkState, mesh: Mesh, priced: PriceList, group: Sequence[Route], *, disjoint: bool = False
) -> Candidate:
    first, *others = (_candidate(state, mesh, priced, route) for route in group)
    ways = [route.links for route in group]
    groups = [
        frozenset[str]().union(*(facts.of_link(state, state.links[link_id]).risk_groups for link_id in links))
        for links in ways
    ]
    shared = frozenset[str]().union(*(one & other for one, other in combinations(groups, 2)))
    return replace(
        first,
        id=path_id(group[0].nodes[0], ways),
        others=tuple(others),
        total_cost=_cost(mesh, priced, ways),
        shared_risks=tuple(sorted(shared)) if disjoint else (),
    )


def _candidate(state: NetworkState, mesh: Mesh, priced: PriceList, route: Route) -> Candidate:
    links = [state.links[link_id] for link_id in route.links]
    places = [mesh.link_place[link_id] for link_id in route.links]
    lengths = [link.distance_km for link in links if link.distance_km is not None]
    cost = _cost(mesh, priced, [route.links])
    return Candidate(
        id=path_id(route.nodes[0], [route.links]),
        nodes=route.nodes,
        links=route.links,
        cost=cost,
        bottleneck_bps=min((admission.available_bps(link, state.policy) for link in links), default=0),
        latency_ms=sum(mesh.latency_us[one] for one in places) / 1_000,
        distance_km=sum(lengths) if len(lengths) == len(links) else None,
        total_cost=cost,
    )
