"""Wishes for keys: a key association begins here, or is refused.

Rule of this file: states are those of `state.AssociationState`; the middle of a life (two phases, moves)
is `changes`, trouble on the way is `recovery`, the end is `closing`. Whatever is refused has reasons, and
whoever asked hears them. Asking twice for the same pair makes one association.
"""

from dataclasses import dataclass, replace

from keyweave_controller.control import (
    admission,
    branching,
    changes,
    fallback,
    granting,
    placement,
    planning,
    refusals,
    scheduling,
    tenants,
    terms,
    waiting,
)
from keyweave_controller.control.actions import Alternative, NodeEdit
from keyweave_controller.control.events import AssociationRequested
from keyweave_controller.control.placement import Placement, Wanted
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import DEFAULT_SERVICE, Service
from keyweave_controller.control.state import Association, AssociationState, Parked, Phase, parties
from keyweave_controller.control.turn import Turn
from keyweave_core.model.application import AppQos, AppType
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.notifications import ApplicationNew, ApplicationQosUpdate

_PARKED_MOST = 10_000
_COMING = frozenset({AssociationState.WAITING, AssociationState.PREPARING, AssociationState.ACTIVATING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing was opened. `wanted`: what did not fit, when it was room that lacked."""

    reasons: tuple[str, ...]
    wanted: Wanted | None = None


def application_new(turn: Turn, node_id: NodeId, wish: ApplicationNew) -> None:
    """An agent has an application that wants keys (ETSI GS QKD 015 `sdqkdn_application_new`)."""
    server, clients = wish.server_app_id, wish.client_app_ids
    if server is None or wish.app_type is AppType.INTERNAL:
        return  # nobody to answer, or the node's own affair
    reasons = _agent_faults(turn, node_id, wish)
    if reasons:
        if not _parked(turn, Parked(node_id=node_id, application=wish)):
            turn.refuse_application(node_id, server, clients, reasons)
        return
    together = wish.qos.clients_shared_keys_required
    for destination, *others in [tuple(dict.fromkeys(clients))] if together else [(one,) for one in clients]:
        further = tuple(others)
        existing = live_between(turn, server, destination, further)
        if existing is not None and existing.source_node == node_id:
            _asked_again(turn, existing, node_id)
            continue
        one = replace(wish, client_app_ids=(destination, *further))
        refused = open_between(
            turn,
            source=server,
            destination=destination,
            further=further,
            qos=wish.qos,
            priority=wish.priority,
            requested_by=turn.state.node_name(node_id),
            app_id=wish.app_id,
            asking_node=node_id,
            service=Service(key_mode=wish.key_mode),
        )
        if refused and not _parked(turn, Parked(node_id=node_id, application=one)):
            notes = tuple(f"instead, it {other.note}" for other in _instead(turn, refused))
            turn.refuse_application(node_id, server, one.client_app_ids, (*refused.reasons, *notes))


def _agent_faults(turn: Turn, node_id: NodeId, wish: ApplicationNew) -> tuple[str, ...]:
    name, server = turn.state.node_name(node_id), wish.server_app_id
    if wish.local_node_id not in (None, node_id):
        return (f"node {name} asks for an application of another node, {wish.local_node_id}",)
    if server is None or turn.state.consumers.get(server) != node_id:
        return (f"node {name} does not serve application {server}",)
    if not wish.client_app_ids:
        return (f"application {server} names no application to share keys with",)
    if len(wish.client_app_ids) > 1 and not wish.qos.clients_shared_keys_required and wish.app_id is not None:
        return ("one application id cannot stand for keys that differ from client to client",)
    return ()


def _asked_again(turn: Turn, association: Association, node_id: NodeId) -> None:
    if association.state is AssociationState.SUSPENDED:
        turn.refuse_application(node_id, association.source, association.destinations, association.reasons)
    elif association.state in (AssociationState.ACTIVE, AssociationState.MOVING):
        edit = NodeEdit(put_applications=(planning.switched_entry(association, node_id),))
        turn.configure(node_id, Phase.REPEAT, edit, association.app_id)
    elif association.asking_node is None:
        association.asking_node = node_id  # opened from the north: the agent hears the outcome too


def requested(turn: Turn, wish: AssociationRequested) -> None:
    """The northbound asks for keys between two applications."""
    answered = turn.state.requests.get(wish.request_id)
    if answered is not None:
        turn.answer(wish.request_id, answered.app_id, answered.reasons, alternatives=answered.alternatives)
        return
    existing = live_between(turn, wish.source, wish.destination, wish.further)
    if existing is not None:
        _join(turn, existing, wish)
        return
    refused = open_between(
        turn,
        source=wish.source,
        destination=wish.destination,
        qos=wish.qos,
        priority=wish.priority,
        requested_by=wish.requester,
        request_id=wish.request_id,
        expires_at=wish.expires_at,
        service=wish.service,
        path_links=wish.path_links,
        other_links=wish.other_links,
        further=wish.further,
    )
    if refused and not _parked(turn, Parked(request=wish)):
        turn.answer(wish.request_id, reasons=refused.reasons, alternatives=_instead(turn, refused))


def _instead(turn: Turn, refused: Refusal) -> tuple[Alternative, ...]:
    return refusals.instead(turn, refused.wanted) if refused.wanted is not None else ()


def _join(turn: Turn, existing: Association, wish: AssociationRequested) -> None:
    """The pair has an association: the same wish shares it, another one must close it first."""
    pair = " and ".join((wish.source, wish.destination, *wish.further))
    if wish.request_id in existing.waiting_requests:
        return
    if existing.state is AssociationState.CLOSING:
        turn.answer(wish.request_id, reasons=(f"the association of {pair} is being closed; ask again",))
    elif (wish.qos != AppQos() and _shared(wish.qos, wish.further) != existing.qos) or (
        _another_service(turn, existing, wish)
        or wish.priority not in (0, existing.priority)
        or wish.expires_at not in (None, existing.expires_at)
    ):
        turn.answer(
            wish.request_id,
            reasons=(f"{pair} are associated as {existing.app_id} with other qualities; close that first",),
        )
    elif wish.path_links and all(path.links != wish.path_links for path in existing.paths):
        turn.answer(
            wish.request_id,
            reasons=(f"{pair} are associated as {existing.app_id} over another path; close that first",),
        )
    elif existing.state in _COMING and not existing.booked:
        existing.waiting_requests += (wish.request_id,)
    else:
        turn.answer(wish.request_id, existing.app_id)


def _another_service(turn: Turn, existing: Association, wish: AssociationRequested) -> bool:
    if wish.service in (DEFAULT_SERVICE, existing.service):
        return False
    several = bool(existing.further)
    settled = terms.settled(turn.state, wish.service, wish.source, tenant=existing.tenant, several=several)
    return settled != existing.service


def open_between(
    turn: Turn,
    *,
    source: SaeId,
    destination: SaeId,
    qos: AppQos,
    priority: int,
    requested_by: str,
    app_id: AppId | None = None,
    asking_node: NodeId | None = None,
    request_id: str | None = None,
    expires_at: float | None = None,
    tenant: str = "",
    service: Service = DEFAULT_SERVICE,
    path_links: tuple[LinkId, ...] = (),
    other_links: tuple[tuple[LinkId, ...], ...] = (),
    further: tuple[SaeId, ...] = (),
) -> Refusal | None:
    """Admit, route and begin; what speaks against it if anything does. The newest association is the one
    opened. `further`: destinations that get the same keys.
    """
    state, qos = turn.state, _shared(qos, further)
    service = terms.settled(state, service, source, tenant=tenant, several=bool(further))
    saes = (source, destination, *further)
    reasons = [*admission.qos_faults(qos), *service.faults(expires_at)]
    if source in (destination, *further):
        reasons.append(f"application {source} asks for keys with itself")
    reasons.extend(
        f"no node serves application {sae}" for sae in dict.fromkeys(saes) if sae not in state.consumers
    )
    if further:
        reasons.extend(branching.faults(state, source, (destination, *further), service))
        if path_links:
            reasons.append("a computed path is for one destination")
    if expires_at is not None and expires_at <= turn.at:
        reasons.append("the association would have expired already")
    past = state.associations.get(app_id) if app_id else None
    if past and (past.live or past.parties != parties(source, destination, further)):
        reasons.append(f"application id {app_id} belongs to another association")
    if reasons:
        return Refusal(reasons=tuple(reasons))
    near, far = state.consumers[source], state.consumers[destination]
    further_nodes = tuple(state.consumers[sae] for sae in further)
    wanted = Wanted(
        source=near,
        destination=far,
        qos=qos,
        priority=priority,
        service=service,
        path_links=path_links,
        other_links=other_links,
        expires_at=expires_at,
        others=tuple(one for one in dict.fromkeys(further_nodes) if one != far),
    )
    rate_bps = admission.promised_bps(qos, service, state.policy)
    beyond = tenants.obstacles(state, source, rate_bps if near != far else 0, tenant=tenant)
    if beyond:
        return Refusal(reasons=beyond)
    if near != far and rate_bps > 0:
        turn.demanded(rate_bps)
    placed = granting.grant(turn, wanted)
    if not isinstance(placed, Placement):
        route = fallback.route_without_key(turn, wanted)
        if route is None:
            return Refusal(reasons=placed, wanted=wanted)
        placed = Placement(routes=(route,), without_key=True)
    state.serial += 1
    association = Association(
        app_id=app_id or planning.application_id(source, destination, state.serial),
        source=source,
        destination=destination,
        source_node=near,
        destination_node=far,
        qos=qos,
        priority=priority,
        state=AssociationState.REQUESTED,
        requested_by=requested_by,
        created_at=turn.at,
        changed_at=turn.at,
        expires_at=expires_at,
        asking_node=asking_node,
        waiting_requests=(request_id,) if request_id else (),
        generation=past.generation if past else 0,
        past_paths=past.past_paths if past else {},
        tenant=tenant,
        service=service,
        further=further,
        further_nodes=further_nodes,
    )
    state.associations.pop(association.app_id, None)  # reopened: it counts as the newest again
    state.associations[association.app_id] = association
    turn.lookups.pairs[association.parties] = association.app_id
    turn.lookups.closed.pop(association.app_id, None)
    turn.lookups.refused.pop(association.app_id, None)
    if expires_at is not None:
        turn.set_timer(f"expire:{association.app_id}", expires_at)
    if scheduling.is_ahead(association, turn.at):
        scheduling.book(turn, association, placed.routes)
        for waiting_id in association.waiting_requests:
            turn.answer(waiting_id, association.app_id)
        association.waiting_requests = ()
    else:
        _go(turn, association, placed)
    return None


def _shared(qos: AppQos, further: tuple[SaeId, ...]) -> AppQos:
    """The qualities as the applications' entries have them."""
    return replace(qos, clients_shared_keys_required=True) if further else qos


def _go(turn: Turn, association: Association, placed: Placement) -> None:
    """Carry a placement out: whoever is in the way goes first."""
    name = f"{association.source} and {association.destination}"
    for app_id in placed.evicted:
        reason = f"preempted by {name}, priority {association.priority}"
        changes.evict(turn, turn.state.associations[app_id], association.app_id, reason)
    if placed.moves:
        waiting.wait(turn, association, placed.routes, placed.moves, association.qos, association.priority)
    else:
        changes.begin(
            turn,
            association,
            placed.routes,
            association.qos,
            association.priority,
            promised=not placed.without_key,
        )


def review_displaced(turn: Turn) -> None:
    """Those whose moves could not be made are placed anew, without asking others to move again."""
    waiting, turn.displaced = turn.displaced, []
    for app_id in waiting:
        association = turn.state.associations.get(app_id)
        if association is None or association.state is not AssociationState.WAITING:
            continue
        placed = granting.grant(turn, placement.as_it_is(association), others_move=False)
        if isinstance(placed, Placement):
            _go(turn, association, placed)
        else:
            changes.refuse(turn, association, placed)


def live_between(
    turn: Turn, source: SaeId, destination: SaeId, further: tuple[SaeId, ...] = ()
) -> Association | None:
    """The association of just these applications, the source first, when one is open."""
    app_id = turn.lookups.pairs.get(parties(source, destination, further))
    association = turn.state.associations.get(app_id) if app_id else None
    return association if association is not None and association.live else None


def qos_update(turn: Turn, node_id: NodeId, wish: ApplicationQosUpdate) -> None:
    """Another grant for an open association; what does not fit leaves the old grant (015 workflow 8.6)."""
    association = turn.state.associations.get(wish.app_id) if wish.app_id else None
    if association is None or node_id not in planning.ends(association):
        return
    if association.state is not AssociationState.ACTIVE or admission.qos_faults(wish.qos):
        return
    if (_shared(wish.qos, association.further), wish.priority) == (association.qos, association.priority):
        return
    if association.configured_as:
        reasons: tuple[str, ...] = (f"its qualities are those configured as {association.configured_as}",)
    else:
        reasons = change(turn, association, wish.qos, wish.priority)
    if reasons:
        # No notification of 015 refuses a change: the agent is shown the grant that stays.
        association.reasons = reasons
        turn.touch_app(association.app_id)
        edit = NodeEdit(put_applications=(planning.granted_entry(association, node_id),))
        turn.configure(node_id, Phase.REPEAT, edit, association.app_id)


def change(
    turn: Turn, association: Association, qos: AppQos, priority: int, service: Service | None = None
) -> tuple[str, ...]:
    """Begin towards other qualities of an ACTIVE association; the reasons when they do not fit.

    `service`: another kind of service, free of faults; None: as it is. Paths that do for it are kept.
    """
    state, path, granted = turn.state, association.path, association.service
    if service is not None:
        granted = terms.settled(
            state,
            service,
            association.source,
            tenant=association.tenant,
            several=bool(association.further),
        )
    qos = _shared(qos, association.further)
    other = granted != association.service
    rate_bps = admission.promised_bps(qos, granted, state.policy)
    routes: tuple[Route, ...] = ()
    if path is not None and (other or rate_bps != path.bandwidth_bps):
        beyond = tenants.obstacles(
            state, association.source, rate_bps, tenant=association.tenant, beside=association
        )
        if beyond and rate_bps > path.bandwidth_bps:
            return beyond
        wanted = replace(placement.as_it_is(association), qos=qos, priority=priority, service=granted)
        routes = _kept(turn, association, wanted) if other else ()
        if not routes:
            placed = granting.grant(turn, wanted, beside=association.paths, others_move=False)
            if not isinstance(placed, Placement):
                return placed
            routes = placed.routes
    changes.begin(turn, association, routes, qos, priority, granted if other else None)
    return ()


def _kept(turn: Turn, association: Association, wanted: Wanted) -> tuple[Route, ...]:
    """The paths that an association has, as many as it wants, when they do for what it wants; else none."""
    service, bounds = wanted.service, wanted.service.constraints
    paths = association.paths[: placement.paths_of(service)]
    crossed = {link_id for path in paths for link_id in path.links}
    visited = {node_id for path in paths for node_id in path.nodes}
    if (
        service.strategy != association.service.strategy
        or not paths
        or association.branches
        or not bounds.include_links <= crossed
        or not bounds.include_nodes <= visited
    ):
        return ()
    named = placement.with_paths(wanted, [path.links for path in paths])
    wish = placement.wish_of(turn.state, named, beside=association.paths)
    placed = placement.pinned(turn.state, turn.mesh, named, wish, at=turn.at)
    return placed.routes if isinstance(placed, Placement) else ()


def settle(turn: Turn) -> None:
    """Every agent has been heard: decide what waited for that."""
    waiting, turn.state.parked = turn.state.parked, []
    for parked in waiting:
        if parked.request is not None:
            requested(turn, parked.request)
        elif parked.application is not None and parked.node_id is not None:
            application_new(turn, parked.node_id, parked.application)


def _parked(turn: Turn, wish: Parked) -> bool:
    """While agents of the inventory have not been heard, a refusal waits for what they say."""
    if not turn.state.settling or len(turn.state.parked) >= _PARKED_MOST:
        return False
    if wish not in turn.state.parked:
        turn.state.parked.append(wish)
    return True
