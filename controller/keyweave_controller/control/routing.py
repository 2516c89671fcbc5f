"""Which way keys take, and why they take none.

Rule of this file: a wish is turned into what the mesh understands (rooms, barred nodes, bounds), and the
strategy that the policy names for its class of service picks the way. A link that is not trusted yet after a
repair is used only when nothing else fits.

When nothing fits, the answer names the obstacles of the way that comes closest.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import inf, isinf

from keyweave_controller.control import calendar, facts, topology, ways
from keyweave_controller.control.admission import available_bps, usable_bps
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList, Way
from keyweave_controller.control.service import Constraints, Service, ServiceClass
from keyweave_controller.control.shape import Hop
from keyweave_controller.control.state import LinkRecord, NetworkState, PathRecord
from keyweave_controller.control.strategies import STRATEGIES, Strategy
from keyweave_controller.control.ways import Ask
from keyweave_core.model.ids import AppId, LinkId, NodeId

EXPLORED_MOST = 200
"""Ways looked at when some nodes or links must be visited."""

_OBSTACLE = 2.0**33  # price of an obstacle that no rate can buy away, in `explain`; sums stay below 2**53
_WHATEVER = -(2**62)  # a rate that every link has room for, closed ones and overbooked ones too


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way: nodes from source to destination and the links between them; a tree has steps (`shape`)."""

    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    steps: tuple[Hop, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteWish:
    """What is looked for. `rate_bps` is what each link must have room for, tags included.

    `others`: further destinations, so that a tree is looked for (`branching`). `beside`: paths that the new
    one replaces; what they hold counts as free. `strategy` empty: `balanced`.
    `starts_at` None: now; `ends_at` None: never (both seconds since 1970). `without`: whose bookings count as
    free.
    """

    source: NodeId
    destination: NodeId
    rate_bps: int
    others: tuple[NodeId, ...] = ()
    constraints: Constraints = field(default_factory=Constraints)
    strategy: str = ""
    beside: tuple[PathRecord, ...] = ()
    starts_at: float | None = None
    ends_at: float | None = None
    without: AppId | None = None


def strategy_name(service: Service, policy: Policy) -> str:
    """The strategy of an association: its own, else what the policy names for its class."""
    match service.service_class:
        case ServiceClass.GUARANTEED:
            named = policy.guaranteed_strategy
        case ServiceClass.BEST_EFFORT:
            named = policy.best_effort_strategy
        case ServiceClass.SCHEDULED:
            named = policy.scheduled_strategy
    return service.strategy or named


def strategy_of(wish: RouteWish) -> Strategy:
    """The strategy of a wish; one that nobody knows (a journal of another version) is `balanced`."""
    return STRATEGIES.get(wish.strategy, STRATEGIES["balanced"])


def find_route(state: NetworkState, mesh: Mesh, wish: RouteWish, *, at: float) -> Route | None:
    """The way that the strategy takes for a wish now, or None."""
    return next(find_routes(state, mesh, wish, at=at, only_best=True), None)


def find_routes(
    state: NetworkState, mesh: Mesh, wish: RouteWish, *, at: float, only_best: bool = False
) -> Iterator[Route]:
    """The ways that the strategy would take for a wish, the best first, those over doubtful links last."""
    ask = ask_of(state, mesh, wish)
    if ask is None:
        return
    strategy, told = strategy_of(wish), set()
    must_links, must_nodes = _musts(mesh, wish.constraints)
    if must_links is None:
        return
    rooms, barred = restrictions(state, mesh, wish, at=at)
    shy = {link: CLOSED for link in mesh.shy(at) if rooms.get(link) != CLOSED}
    for closed in ({**rooms, **shy}, rooms) if shy else (rooms,):
        found: Iterable[Way]
        with mesh.apart(closed, barred):
            if only_best and not must_links and not must_nodes:
                best = strategy.choose(mesh, ask)
                found = () if best is None else (best,)
            else:
                # All are listed before the mesh is left, because between two of them it may be asked for
                # others.
                found = list(islice(strategy.ranked(mesh, ask), EXPLORED_MOST))
        for way in found:
            if (
                way not in told
                and must_links <= set(way)
                and must_nodes <= set(mesh.nodes_of(ask.source, way))
            ):
                told.add(way)
                yield route_of(mesh, ask.source, way)


def ask_of(state: NetworkState, mesh: Mesh, wish: RouteWish) -> Ask | None:
    """The wish as the mesh understands it; None when an end takes no entries or both ends are one."""
    for node_id in (wish.source, wish.destination):
        if node_id not in mesh.node_place:
            return None
        if next(topology.node_obstacles(state.nodes.get(node_id)), None) is not None:
            return None
    return None if wish.source == wish.destination else bounds_of(state, mesh, wish)


def bounds_of(state: NetworkState, mesh: Mesh, wish: RouteWish) -> Ask:
    """The same, whatever the state of its ends; both are known."""
    bounds = wish.constraints
    most = 1 if bounds.direct_only else min(bounds.max_hops or 256, state.policy.max_relay_hops)
    return Ask(
        source=mesh.node_place[wish.source],
        target=mesh.node_place[wish.destination],
        rate_bps=wish.rate_bps,
        max_hops=most,
        max_latency_us=None if bounds.max_latency_ms is None else int(bounds.max_latency_ms * 1_000),
    )


def restrictions(
    state: NetworkState, mesh: Mesh, wish: RouteWish, *, at: float
) -> tuple[dict[int, int], list[int]]:
    """Rooms that differ for this wish (by link), and nodes that may not relay for it."""
    rooms = _rooms_in_time(state, mesh, wish, at)
    for path in wish.beside:
        for link_id in path.links:
            link = mesh.link_place.get(link_id)
            if link is not None and mesh.is_up(link) and link not in mesh.timed and not _later(wish, at):
                own = state.links[link_id].reserved_bps.get(path.link_id, 0)
                rooms[link] = rooms.get(link, mesh.room[link]) + own
    bounds = wish.constraints
    if _binds_links(bounds):
        for link_id, link in mesh.link_place.items():
            if next(link_refusals(state, state.links[link_id], bounds, at=at), None) is not None:
                rooms[link] = CLOSED
    if not _binds_nodes(bounds):
        return rooms, []
    ends = (wish.source, wish.destination)
    barred = [
        place
        for node_id, place in mesh.node_place.items()
        if node_id not in ends and next(node_refusals(state, node_id, bounds), None) is not None
    ]
    return rooms, barred


def _binds_links(bounds: Constraints) -> bool:
    """`link_refusals` may say something."""
    return bool(
        bounds.exclude_links
        or bounds.exclude_risks
        or bounds.technologies
        or bounds.min_stored_bits
        or bounds.max_key_age_s is not None
    )


def _binds_nodes(bounds: Constraints) -> bool:
    """`node_refusals` may say something."""
    return bool(bounds.exclude_nodes or bounds.min_trust or bounds.domains)


def _later(wish: RouteWish, at: float) -> bool:
    return wish.starts_at is not None and wish.starts_at > at


def _rooms_in_time(state: NetworkState, mesh: Mesh, wish: RouteWish, at: float) -> dict[int, int]:
    """Rooms of the links for which it matters when; for a wish that begins later, of all of them."""
    places = range(len(mesh.link_ids)) if _later(wish, at) else sorted(mesh.timed)
    if not places or isinf(at):
        return {}
    rooms, expiry_of = {}, calendar.expiries(state, mesh.owners)
    for place in places:
        link = state.links[mesh.link_ids[place]]
        by_windows = facts.windows_of(state, link) is not None
        if not mesh.is_up(place) and not (by_windows and topology.between_passes(link)):
            continue
        rooms[place] = calendar.room_between(
            state,
            link,
            at if wish.starts_at is None else wish.starts_at,
            wish.ends_at,
            at=at,
            beside=wish.beside,
            expiry_of=expiry_of,
            without=wish.without,
        )
    return rooms


def link_refusals(state: NetworkState, link: LinkRecord, bounds: Constraints, *, at: float) -> Iterator[str]:
    """Why constraints keep a link out of the path, its rate aside. `at` infinite: ages as they were told."""
    if link.link_id in bounds.exclude_links:
        yield "is excluded"
    known = facts.of_link(state, link, 0.0 if isinf(at) else at)
    shared = sorted(known.risk_groups & bounds.exclude_risks)
    if shared:
        yield f"shares risk {', '.join(shared)}"
    if bounds.technologies and not (known.technologies and known.technologies <= bounds.technologies):
        told = ", ".join(sorted(known.technologies)) or "of unknown technology"
        yield f"is {told}, not {', '.join(sorted(bounds.technologies))}"
    if known.stored_bits < bounds.min_stored_bits:
        yield f"has {known.stored_bits} bits of key stored, not {bounds.min_stored_bits}"
    if bounds.max_key_age_s is not None:
        if known.oldest_age_s is None and known.stored_bits:
            yield "does not tell how old its key is"
        elif known.oldest_age_s is not None and known.oldest_age_s > bounds.max_key_age_s:
            yield f"has key {known.oldest_age_s} s old, not at most {bounds.max_key_age_s} s"


def node_refusals(state: NetworkState, node_id: NodeId, bounds: Constraints) -> Iterator[str]:
    """Why constraints keep a node from relaying."""
    if node_id in bounds.exclude_nodes:
        yield "is excluded"
    trust, domain = facts.of_node(state, node_id)
    if trust < bounds.min_trust:
        yield f"is trusted {trust} of 100, not {bounds.min_trust}"
    if bounds.domains and domain not in bounds.domains:
        yield f"is of domain {domain or 'none'}, not {', '.join(sorted(bounds.domains))}"


def route_of(mesh: Mesh, source: int, way: Way) -> Route:
    """A way by ids."""
    nodes = tuple(mesh.node_ids[node] for node in mesh.nodes_of(source, way))
    return Route(nodes=nodes, links=tuple(mesh.link_ids[link] for link in way))


def _musts(mesh: Mesh, bounds: Constraints) -> tuple[set[int] | None, set[int]]:
    """Places that every way must visit; None when one of them is not known at all."""
    if not (
        bounds.include_links <= mesh.link_place.keys() and bounds.include_nodes <= mesh.node_place.keys()
    ):
        return None, set()
    links = {mesh.link_place[link_id] for link_id in bounds.include_links}
    return links, {mesh.node_place[node_id] for node_id in bounds.include_nodes}


def explain(
    state: NetworkState, wish: RouteWish, mesh: Mesh | None = None, *, at: float = inf
) -> tuple[str, ...]:
    """Why `find_route` found nothing: what stands in the way that comes closest, one sentence each.

    `mesh`: that of the state, when the caller has it; else it is made for the question. `at` infinite:
    bookings and windows aside.
    """
    for node_id in dict.fromkeys((wish.source, wish.destination)):
        obstacles = tuple(topology.node_obstacles(state.nodes.get(node_id)))
        if obstacles:
            return tuple(f"node {state.node_name(node_id)} {obstacle}" for obstacle in obstacles)
    names = f"{state.node_name(wish.source)} and {state.node_name(wish.destination)}"
    if wish.source == wish.destination:
        return (f"both ends are node {state.node_name(wish.source)}; keys cross no link",)
    mesh = mesh or Mesh.of(state)
    bounds = wish.constraints
    most = 1 if bounds.direct_only else min(bounds.max_hops or 256, state.policy.max_relay_hops)
    source, target = mesh.node_place[wish.source], mesh.node_place[wish.destination]
    prices = _distances(state, mesh, wish, (source, target), at)
    ask = Ask(source=source, target=target, rate_bps=_WHATEVER, max_hops=most)
    with mesh.apart({}, relaying=True):
        way = ways.cheapest(mesh, PriceList(lambda _, link: prices[link], 1.0, prices), ask)
    if way is None:
        apart = mesh.hops_to(target)[source]
        if apart < 0:
            return (f"no chain of links joins {names}",)
        if bounds.direct_only:
            return (f"no link joins {names}; they are {apart} links apart, and no relay is allowed",)
        return (f"{names} are {apart} links apart; at most {most} are allowed",)
    return tuple(obstacles_on(state, mesh, route_of(mesh, source, way), wish, at)) or _unmet(wish, names)


def _distances(
    state: NetworkState, mesh: Mesh, wish: RouteWish, ends: tuple[int, int], at: float
) -> list[float]:
    """How far each link is from being fit: its obstacles first, then the rate it lacks."""
    rooms, barred = restrictions(state, mesh, wish, at=at)
    rate, inside = wish.rate_bps, mesh.inside
    hurdle = [0.0 if inside[node] else _OBSTACLE for node in range(len(inside))]
    for node in barred:
        hurdle[node] = _OBSTACLE
    for node in ends:
        hurdle[node] = 0.0
    prices = [
        1.0 + hurdle[a] + hurdle[b] + (_OBSTACLE if room == CLOSED else max(0, rate - room))
        for a, b, room in zip(mesh.a, mesh.b, mesh.room, strict=True)
    ]
    for link, room in rooms.items():
        before = 1.0 + hurdle[mesh.a[link]] + hurdle[mesh.b[link]]
        prices[link] = before + (_OBSTACLE if room == CLOSED else max(0, rate - room))
    return prices


def obstacles_on(state: NetworkState, mesh: Mesh, way: Route, wish: RouteWish, at: float) -> Iterator[str]:
    in_time = _rooms_in_time(state, mesh, wish, at)
    for place, link_id in enumerate(way.links):
        link, here = state.links[link_id], way.nodes[place]
        name = state.link_name(link_id, here)
        if place > 0:
            node = state.nodes[here]
            for words in (
                topology.node_obstacles(node),
                topology.relay_obstacles(node),
                node_refusals(state, here, wish.constraints),
            ):
                yield from (f"node {node.name} {word}" for word in words)
        free = in_time.get(mesh.link_place[link_id])
        obstacles = list(link_refusals(state, link, wish.constraints, at=at))
        if free is None:
            obstacles += topology.link_obstacles(link)
            free = available_bps(link, state.policy, wish.beside)
        yield from (f"link {name} {obstacle}" for obstacle in obstacles)
        if not obstacles and free < wish.rate_bps:
            total = usable_bps(link, state.policy)
            when = " at that time" if mesh.link_place[link_id] in in_time else ""
            yield f"link {name} lacks {wish.rate_bps - free} bit/s{when}: {max(0, free)} free of {total}"
    limit = wish.constraints.max_latency_ms
    if limit is not None:
        takes = sum(mesh.latency_us[mesh.link_place[link_id]] for link_id in way.links) / 1_000
        if takes > limit:
            yield f"the way takes {takes:g} ms, {limit:g} ms are allowed"


def _unmet(wish: RouteWish, names: str) -> tuple[str, ...]:
    """Ways exist, and yet none was taken."""
    bounds = wish.constraints
    if bounds.include_links or bounds.include_nodes or bounds.max_latency_ms is not None:
        return (f"ways between {names} exist, and none keeps all constraints together",)
    return (f"ways between {names} exist, and strategy {strategy_of(wish).name} takes none at its price now",)
