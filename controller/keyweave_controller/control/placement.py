"""Where an association may run as things are.

Rule of this file: decides and changes nothing; `granting`, `recovery` and `scheduling` act on what it says. A
demand gets its ways as the strategy of its class picks them, as many and as far apart as its protection
wants.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from keyweave_controller.control import admission, branching, disjoint, facts, routing, topology
from keyweave_controller.control.mesh import CLOSED, Mesh, Way
from keyweave_controller.control.routing import Route, RouteWish
from keyweave_controller.control.service import DEFAULT_SERVICE, Disjointness, Protection, Service
from keyweave_controller.control.state import Association, Move, NetworkState, PathRecord
from keyweave_controller.control.turn import Turn
from keyweave_controller.control.ways import Ask
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, LinkId, NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an association asks of the network. `others`: nodes of further destinations, for a tree.

    `path_links`: over these links and no others.
    `other_links`: the same for the paths beside it, where the service wants protection.
    """

    source: NodeId
    destination: NodeId
    qos: AppQos
    priority: int
    service: Service = DEFAULT_SERVICE
    path_links: tuple[LinkId, ...] = ()
    other_links: tuple[tuple[LinkId, ...], ...] = ()
    expires_at: float | None = None
    app_id: AppId | None = None  # of the association that it is, when there is one
    others: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where it may run: the working route first, none inside one node. `moves` go before, one after the
    other.
    """

    routes: tuple[Route, ...]
    moves: tuple[Move, ...] = ()
    evicted: tuple[AppId, ...] = ()
    without_key: bool = False  # its links make none now, so they promise what they have (`fallback`)


def place(turn: Turn, wanted: Wanted, *, beside: Sequence[PathRecord] = ()) -> Placement | tuple[str, ...]:
    """Where it may run as things are, or why it may not. `beside`: paths that it has and would give back."""
    state, mesh = turn.state, turn.mesh
    if wanted.source == wanted.destination:
        obstacles = tuple(topology.node_obstacles(state.nodes.get(wanted.source)))
        name = state.node_name(wanted.source)
        return tuple(f"node {name} {one}" for one in obstacles) or Placement(routes=())
    wish = wish_of(state, wanted, beside=beside)
    if wanted.path_links:
        return pinned(state, mesh, wanted, wish, at=turn.at)
    routes = find(state, mesh, wish, wanted.service, at=turn.at)
    return Placement(routes=routes) if routes else explain(state, mesh, wish, wanted.service, at=turn.at)


def place_again(turn: Turn, association: Association) -> tuple[Route, ...]:
    """The ways that an association may take instead of those it has; none when there are none.

    What keeps its working path but lacks its standby gets a standby beside that path.
    """
    state, service, path = turn.state, association.service, association.path
    wanted = as_it_is(association)
    if service.protection is Protection.ONE_TO_ONE and path and not topology.broken_links(state, path):
        wish = wish_of(state, wanted, beside=association.others)
        standby = routing.find_route(state, turn.mesh, _apart_from(state, wish, path, service), at=turn.at)
        return (Route(nodes=path.nodes, links=path.links), standby) if standby else ()
    found = find(state, turn.mesh, wish_of(state, wanted, beside=association.paths), service, at=turn.at)
    if not found and service.protection is Protection.ONE_TO_ONE:
        # Better without a standby than not at all.
        wish = wish_of(state, wanted, beside=association.paths)
        route = routing.find_route(state, turn.mesh, wish, at=turn.at)
        found = (route,) if route else ()
    return found


def why_not_again(turn: Turn, association: Association) -> tuple[str, ...]:
    """Why `place_again` found nothing."""
    wish = wish_of(turn.state, as_it_is(association), beside=association.paths)
    return explain(turn.state, turn.mesh, wish, association.service, at=turn.at)


def as_it_is(association: Association) -> Wanted:
    """What an association asks of the network now."""
    return Wanted(
        source=association.source_node,
        destination=association.destination_node,
        qos=association.qos,
        priority=association.priority,
        service=association.service,
        expires_at=association.expires_at,
        app_id=association.app_id,
        others=association.destination_nodes[1:],
    )


def with_paths(wanted: Wanted, paths: Sequence[tuple[LinkId, ...]]) -> Wanted:
    """The same, over just these paths."""
    return replace(wanted, path_links=paths[0], other_links=tuple(paths[1:]))


def wish_of(state: NetworkState, wanted: Wanted, *, beside: Sequence[PathRecord] = ()) -> RouteWish:
    """What is asked of routing for one way of it, or for its tree."""
    rate_bps = admission.promised_bps(wanted.qos, wanted.service, state.policy)
    wish = route_wish(state, wanted.source, wanted.destination, rate_bps, wanted.service, tuple(beside))
    return replace(
        wish,
        starts_at=wanted.service.starts_at,
        ends_at=wanted.expires_at,
        without=wanted.app_id,
        others=wanted.others,
    )


def route_wish(
    state: NetworkState,
    near: NodeId,
    far: NodeId,
    rate_bps: int,
    service: Service,
    beside: tuple[PathRecord, ...] = (),
) -> RouteWish:
    """What is asked of routing for keys of `rate_bps` between two nodes."""
    return RouteWish(
        source=near,
        destination=far,
        rate_bps=admission.hop_bps(rate_bps, service, state.policy),
        constraints=service.constraints,
        strategy=routing.strategy_name(service, state.policy),
        beside=beside,
    )


def find(
    state: NetworkState, mesh: Mesh, wish: RouteWish, service: Service, *, at: float
) -> tuple[Route, ...]:
    """As many ways as the protection wants, together cheapest; none when there are not so many.

    A tree is one way.
    """
    if wish.others:
        tree = branching.find_tree(state, mesh, wish, at=at)
        return (tree,) if tree else ()
    if service.protection is Protection.RESTORATION:
        route = routing.find_route(state, mesh, wish, at=at)
        return (route,) if route else ()
    ask = routing.ask_of(state, mesh, wish)
    if ask is None:
        return ()
    rooms, barred = routing.restrictions(state, mesh, wish, at=at)
    prices = routing.strategy_of(wish).prices(mesh).prices
    number = paths_of(service)
    shy = dict.fromkeys(mesh.shy(at), CLOSED)
    for closed in ({**rooms, **shy}, rooms) if shy else (rooms,):
        with mesh.apart(closed, barred):
            costs = [
                price if room >= ask.rate_bps else float("inf")
                for price, room in zip(prices, mesh.room, strict=True)
            ]
            found = _disjoint(state, mesh, ask, costs, service, number)
        if found:
            return tuple(routing.route_of(mesh, ask.source, way) for way in found)
    return ()


def _disjoint(
    state: NetworkState, mesh: Mesh, ask: Ask, costs: list[float], service: Service, number: int
) -> Sequence[Way]:
    ends = (ask.source, ask.target)
    graph = (mesh.around, costs, mesh.inside, *ends)
    nodes = service.disjointness is not Disjointness.LINKS
    if service.disjointness is Disjointness.RISKS:
        risks = risk_places(state, mesh)
        if number == 2:
            pair = disjoint.risk_disjoint_pair(
                *graph,
                risks,
                nodes=True,
                max_hops=ask.max_hops,
                latency_us=mesh.latency_us,
                max_latency_us=ask.max_latency_us,
            )
            return pair.ways if pair.ways is not None and not pair.shared else ()
    ways = disjoint.disjoint_ways(
        *graph,
        number,
        nodes=nodes,
        max_hops=ask.max_hops,
        latency_us=mesh.latency_us,
        max_latency_us=ask.max_latency_us,
    )
    if len(ways) < number:
        return ()
    if service.disjointness is Disjointness.RISKS:
        groups = [frozenset[int]().union(*(risks[link] for link in way)) for way in ways]
        if any(one & other for one, other in combinations(groups, 2)):
            return ()
    return ways


def risk_places(state: NetworkState, mesh: Mesh) -> list[frozenset[int]]:
    """The shared-risk groups of every link by place, numbered in the order of their names."""
    named = [facts.of_link(state, state.links[link_id]).risk_groups for link_id in mesh.link_ids]
    number = {name: place for place, name in enumerate(sorted(set[str]().union(*named)))}
    return [frozenset(number[name] for name in groups) for groups in named]


def _apart_from(state: NetworkState, wish: RouteWish, path: PathRecord, service: Service) -> RouteWish:
    """The same wish, for a way that is disjoint from `path` as the service wants it."""
    bounds = wish.constraints
    links, nodes, risks = bounds.exclude_links | set(path.links), bounds.exclude_nodes, bounds.exclude_risks
    if service.disjointness is not Disjointness.LINKS:
        nodes |= set(path.nodes[1:-1])
    if service.disjointness is Disjointness.RISKS:
        known = (state.links[link_id] for link_id in path.links if link_id in state.links)
        risks |= frozenset[str]().union(*(facts.of_link(state, link).risk_groups for link in known))
    apart = replace(bounds, exclude_links=links, exclude_nodes=nodes, exclude_risks=risks)
    return replace(wish, constraints=apart)


def pinned(
    state: NetworkState, mesh: Mesh, wanted: Wanted, wish: RouteWish, *, at: float
) -> Placement | tuple[str, ...]:
    """The paths that were asked for, when they can be had as they are."""
    service, named = wanted.service, (wanted.path_links, *wanted.other_links)
    if len(named) != paths_of(service):
        return (f"{len(named)} paths are named; protection {service.protection} takes {paths_of(service)}",)
    ask = routing.ask_of(state, mesh, wish)
    gone = [link_id for links in named for link_id in links if link_id not in mesh.link_place]
    if ask is None or gone:
        return tuple(f"link {link_id} of the path is not there any more" for link_id in gone) or (
            routing.explain(state, wish, mesh, at=at)
        )
    reasons: dict[str, None] = {}
    routes = []
    rooms, barred = routing.restrictions(state, mesh, wish, at=at)
    for links in named:
        way = tuple(mesh.link_place[link_id] for link_id in links)
        with mesh.apart(rooms, barred):
            reasons |= dict.fromkeys(_unfit(state, mesh, ask, way))
        routes.append(routing.route_of(mesh, ask.source, way))
    for one, other in combinations(routes, 2):
        reasons |= dict.fromkeys(_in_common(state, one, other, service))
    return tuple(reasons) or Placement(routes=tuple(routes))


def paths_of(service: Service) -> int:
    """How many paths an association of this service has."""
    match service.protection:
        case Protection.RESTORATION:
            return 1
        case Protection.ONE_TO_ONE:
            return 2
        case Protection.ONE_PLUS_ONE:
            return service.ways


def _unfit(state: NetworkState, mesh: Mesh, ask: Ask, way: Way) -> Iterator[str]:
    """Why a way that was named cannot be taken."""
    nodes = mesh.nodes_of(ask.source, way)
    joined = all(nodes[place] in (mesh.a[link], mesh.b[link]) for place, link in enumerate(way))
    if not joined or nodes[-1] != ask.target or len(set(nodes)) != len(nodes):
        ends = [state.node_name(mesh.node_ids[place]) for place in (ask.source, ask.target)]
        yield f"the links are no path from {ends[0]} to {ends[1]}"
        return
    for link in way:
        if mesh.room[link] < ask.rate_bps:
            yield f"link {state.link_name(mesh.link_ids[link])} of the path cannot carry it any more"
    for node in nodes[1:-1]:
        if not mesh.inside[node]:
            yield f"node {state.node_name(mesh.node_ids[node])} of the path may not relay"
    if len(way) > ask.max_hops:
        yield f"the path has {len(way)} hops; at most {ask.max_hops} are allowed"
    takes_us = sum(mesh.latency_us[link] for link in way)
    if ask.max_latency_us is not None and takes_us > ask.max_latency_us:
        yield f"the path takes {takes_us / 1_000:g} ms; {ask.max_latency_us / 1_000:g} ms are allowed"


def _in_common(state: NetworkState, one: Route, other: Route, service: Service) -> Iterator[str]:
    """What two paths share and may not."""
    for link_id in sorted(set(one.links) & set(other.links)):
        yield f"two paths share link {state.link_name(link_id)}"
    if service.disjointness is not Disjointness.LINKS:
        for node_id in sorted(set(one.nodes[1:-1]) & set(other.nodes[1:-1])):
            yield f"two paths share node {state.node_name(node_id)}"
    if service.disjointness is Disjointness.RISKS:
        risks = [
            frozenset[str]().union(
                *(facts.of_link(state, state.links[link]).risk_groups for link in way.links)
            )
            for way in (one, other)
        ]
        for name in sorted(risks[0] & risks[1]):
            yield f"two paths share risk {name}"


def explain(
    state: NetworkState, mesh: Mesh, wish: RouteWish, service: Service, *, at: float
) -> tuple[str, ...]:
    """Why there is no placement."""
    if wish.others:
        return branching.explain(state, mesh, wish, at=at)
    if service.protection is Protection.RESTORATION:
        return routing.explain(state, wish, mesh, at=at)
    if routing.find_route(state, mesh, wish, at=at) is None:
        return routing.explain(state, wish, mesh, at=at)
    number = paths_of(service)
    names = f"{state.node_name(wish.source)} and {state.node_name(wish.destination)}"
    apart = {
        Disjointness.LINKS: "a link",
        Disjointness.NODES: "a transit node",
        Disjointness.RISKS: "a transit node or a risk",
    }[service.disjointness]
    return (f"{names} are not joined by {number} ways that share not even {apart} and have room",)
