"""Why an association has the paths it has, or has none.

Rule of this file: an answer changes nothing. Prices are those of the association's own strategy, reckoned as
if it held nothing, so that its path and the others compare; whatever is said of other paths is what routing
would say if it were asked now.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from keyweave_controller.control import (
    admission,
    candidates,
    facts,
    placement,
    refusals,
    routing,
    shape,
    topology,
)
from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.holdings import LinkLoad, tightest
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.routing import Route, RouteWish
from keyweave_controller.control.shortfalls import RUNS, lacks, role_of
from keyweave_controller.control.state import (
    Association,
    AssociationState,
    NetworkState,
    PathRecord,
)
from keyweave_controller.control.strategies import SCALE
from keyweave_core.model.ids import AppId, LinkId, NodeId

MOST_ALTERNATIVES = 4
"""Most other paths, or groups of paths, of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPath:
    """One path, or one branch of a tree. `verdict`: in use, stands by, or why it is not taken.

    `cost` 1 is a hop over an empty link; None when a link of it makes no key, which has no price then.
    `bottleneck_bps` is what the tightest link may promise, what the association holds there counted as free.
    """

    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    cost: float | None
    bottleneck_bps: int
    latency_ms: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The answer. `since` (seconds since 1970): it is so.

    `bottlenecks`: the tightest link of each path; of the way that comes closest when there is no path.
    """

    summary: str
    since: float
    strategy: str
    paths: tuple[PricedPath, ...] = ()
    alternatives: tuple[PricedPath, ...] = ()
    bottlenecks: tuple[LinkLoad, ...] = ()
    reasons: tuple[str, ...] = ()
    waiting_for: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    would_fit: tuple[Alternative, ...] = ()


def why(state: NetworkState, mesh: Mesh, app_id: AppId, *, at: float) -> Why:
    """Why an association is as it is; KeyError when there is none of this id."""
    one = state.associations[app_id]
    lost, would_fit = _why_none(state, mesh, one, at)
    short = lacks(state, one)
    reasons = tuple(dict.fromkeys((*one.reasons, *short, *lost)))
    wish = placement.wish_of(state, placement.as_it_is(one))
    free = _without(state, one.paths)
    paths = tuple(_own(state, free, one, wish))
    others = tuple(_others(state, free, one, wish, at)) if one.source_node != one.destination_node else ()
    cost = _total(free, wish, [path.links for path in one.paths])
    closest = () if one.paths or one.branches else _ways_anyhow(state, free, wish, at, 1)
    ways = [path.links for path in one.paths] or [route.links for route in closest]
    tight = [tightest(state, links, one) for links in ways]
    return Why(
        summary=_summary(state, one, paths, others, cost),
        since=one.outage_since or (one.path.since if one.path and one.state in RUNS else one.changed_at),
        strategy=routing.strategy_of(wish).name,
        paths=paths,
        alternatives=others,
        bottlenecks=tuple({load.link_id: load for load in tight if load}.values()),
        reasons=reasons,
        lacks=short,
        would_fit=would_fit,
        waiting_for=tuple(_waits(state, one, at)),
    )


def _without(state: NetworkState, paths: Sequence[PathRecord]) -> Mesh:
    """The network as if `paths` held nothing: a mesh of its own, so that no decision notices the question."""
    mesh = Mesh.of(state)
    for link_id, rate_bps in admission.holdings(state, paths).items():
        if link_id in mesh.link_place:
            mesh.take((mesh.link_place[link_id],), -rate_bps)
    return mesh


def _own(state: NetworkState, mesh: Mesh, one: Association, wish: RouteWish) -> Iterator[PricedPath]:
    for path in one.paths:
        dark = topology.broken_links(state, path)
        for nodes, links in shape.branches(path):
            broken = [state.link_name(link_id) for link_id in links if link_id in dark]
            verdict = role_of(one, path) + (f", broken at {', '.join(broken)}" if broken else "")
            yield _priced(state, mesh, one, wish, Route(nodes=nodes, links=links), verdict)


def _others(
    state: NetworkState, mesh: Mesh, one: Association, wish: RouteWish, at: float
) -> Iterator[PricedPath]:
    """What it could have instead, the best first; then what would be nearer and cannot be had."""
    told = {path.links for path in one.paths}
    whole = not any(topology.broken_links(state, path) for path in one.paths)
    own = _total(mesh, wish, [path.links for path in one.paths]) if one.paths and whole else None
    asked = candidates.PathWish(
        source=one.source_node,
        destination=one.destination_node,
        rate_bps=admission.promised_bps(one.qos, one.service, state.policy),
        service=one.service,
        number=MOST_ALTERNATIVES,
        ends_at=one.expires_at,
        others=one.destination_nodes[1:],
    )
    held = {link_id for path in one.paths for link_id in path.links}
    for group in candidates.compute_paths(state, mesh, asked, at=at)[0]:
        ways = [group, *group.others]
        if {link_id for way in ways for link_id in way.links} == held:
            continue
        dearer = None if own is None else group.total_cost - own
        for place, way in enumerate(ways):
            told.add(way.links)
            verdict = _compared(state, way.links, dearer, at) if place == 0 else "together with the former"
            yield _priced(state, mesh, one, wish, Route(nodes=way.nodes, links=way.links), verdict)
    if one.branches:
        return
    for route in _ways_anyhow(state, mesh, wish, at, MOST_ALTERNATIVES):
        obstacles = tuple(routing.obstacles_on(state, mesh, route, replace(wish, beside=one.paths), at))
        if route.links not in told and obstacles:
            yield _priced(state, mesh, one, wish, route, "; ".join(obstacles))


def _compared(state: NetworkState, links: tuple[LinkId, ...], dearer: float | None, at: float) -> str:
    """Why a free way is not the one it has; `dearer` than its own by so much, None: its own is broken."""
    shy = [
        state.link_name(link_id)
        for link_id in links
        if topology.shy_until(state.links[link_id], state.policy) > at
    ]
    if shy:
        return f"used only at need: {', '.join(shy)} failed lately"
    if dearer is None:
        return "free"
    if dearer > 0:
        return f"free, and dearer by {dearer:.3g}"
    return (
        f"free, and cheaper by {-dearer:.3g}: chosen if it were asked for now" if dearer < 0 else "as cheap"
    )


def _ways_anyhow(state: NetworkState, mesh: Mesh, wish: RouteWish, at: float, most: int) -> tuple[Route, ...]:
    """The shortest ways that keep the constraints, whatever their links make or have left."""
    shortest = replace(wish, rate_bps=0, strategy="min-hop")
    with mesh.apart(dict.fromkeys(range(len(mesh.link_ids)), 0)):
        return tuple(islice(routing.find_routes(state, mesh, shortest, at=at), most))


def _priced(
    state: NetworkState, mesh: Mesh, one: Association, wish: RouteWish, route: Route, verdict: str
) -> PricedPath:
    known = [state.links[link_id] for link_id in route.links if link_id in state.links]
    dark = len(known) < len(route.links) or any(link.down_since is not None for link in known)
    rooms = [admission.available_bps(link, state.policy, one.paths) for link in known]
    return PricedPath(
        nodes=route.nodes,
        links=route.links,
        cost=None if dark else _total(mesh, wish, [route.links]),
        bottleneck_bps=max(0, min(rooms, default=0)),
        latency_ms=sum(facts.of_link(state, link).latency_us for link in known) / 1_000,
        verdict=verdict,
    )


def _total(mesh: Mesh, wish: RouteWish, ways: Sequence[Sequence[LinkId]]) -> float:
    """What ways cost together; a link that is gone costs nothing."""
    prices = routing.strategy_of(wish).prices(mesh).prices
    crossed = {mesh.link_place[link] for links in ways for link in links if link in mesh.link_place}
    return sum(prices[place] for place in sorted(crossed)) / SCALE


def _why_none(
    state: NetworkState, mesh: Mesh, one: Association, at: float
) -> tuple[tuple[str, ...], tuple[Alternative, ...]]:
    """Why it could not be placed now, and what could; nothing when it runs, has ended, or could be placed."""
    over = one.state in RUNS or one.state in (AssociationState.CLOSING, AssociationState.CLOSED)
    if over or one.source_node == one.destination_node:
        return (), ()
    wish = placement.wish_of(state, placement.as_it_is(one), beside=one.paths)
    if placement.find(state, mesh, wish, one.service, at=at):
        return (), ()
    return refusals.nearest(state, mesh, wish, one.service, one.qos, at=at)


def _waits(state: NetworkState, one: Association, at: float) -> Iterator[str]:
    """What has to happen before it changes."""
    if one.state is AssociationState.WAITING:
        for move in one.room_moves:
            other = state.associations.get(move.app_id)
            if other is not None:
                yield f"{other.source} and {other.destination} move to make room for it"
        if one.service.starts_at is not None and one.service.starts_at > at:
            names = " and ".join("-".join(_along(state, one, links)) for links in one.booked)
            yield f"its time, {_moment(one.service.starts_at)}" + (f", booked over {names}" if names else "")
    if one.preempted_by is not None:
        other = state.associations.get(one.preempted_by)
        who = (
            f"{other.source} and {other.destination}, priority {other.priority}"
            if other
            else one.preempted_by
        )
        yield f"room: preempted by {who}"
    for path in one.paths:
        for link_id in topology.broken_links(state, path):
            yield f"link {state.link_name(link_id)} makes key again"
    nodes = sorted({state.steps[step].node_id for step in one.pending_steps if step in state.steps})
    if nodes:
        names = ", ".join(state.node_name(node_id) for node_id in nodes)
        yield f"the agents of {names} write what they were told"
    due_at = state.timers.get(f"retry:{one.app_id}")
    if due_at is not None:
        yield f"the next attempt, {_moment(due_at)}"


def _along(state: NetworkState, one: Association, links: Sequence[LinkId]) -> Iterator[str]:
    """The names of the nodes along links from its source."""
    here = one.source_node
    yield state.node_name(here)
    for link in (state.links[link_id] for link_id in links if link_id in state.links):
        here = link.b if here == link.a else link.a
        yield state.node_name(here)


def _summary(
    state: NetworkState,
    one: Association,
    paths: Sequence[PricedPath],
    others: Sequence[PricedPath],
    cost: float,
) -> str:
    if one.source_node == one.destination_node:
        return f"both ends are node {state.node_name(one.source_node)}: keys cross no link"
    if one.state not in RUNS:
        return f"it is {one.state}" + (f": {'; '.join(one.reasons)}" if one.reasons else "")
    way = " and ".join(" > ".join(state.node_name(node) for node in path.nodes) for path in paths)
    if one.fallback:
        return f"it is {one.state} over {way}; {one.fallback}"
    costs = [path.cost for path in paths if path.cost is not None]
    if len(costs) < len(paths):
        dark = {state.link_name(link) for path in one.paths for link in topology.broken_links(state, path)}
        make = "makes" if len(dark) == 1 else "make"
        return f"it is {one.state} over {way}, and {', '.join(sorted(dark))} {make} no key"
    cheaper = any("cheaper" in other.verdict for other in others)
    free = any(other.verdict.startswith(("free", "as cheap")) for other in others)
    rest = (
        "a cheaper way is free now"
        if cheaper
        else "nothing cheaper is free"
        if free
        else "no other way is free"
    )
    return f"it is {one.state} over {way} at a cost of {cost:.3g}; {rest}"


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
