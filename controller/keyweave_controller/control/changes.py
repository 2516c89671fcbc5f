"""Writing paths or a grant to the network in two phases, and taking them back.

Rule of this file: a first set-up and a later change are the same thing. What an association shall have is in
`next_path`, `next_others`, `next_qos`, `next_priority` and `next_service`; what it has stays untouched until
every node has agreed.

    begin    reserve; PREPARE on every node of the new paths, side by side     PREPARING or MOVING
    prepared SWITCH on both ends (an association's first: keys are released)   ACTIVATING or MOVING
    switched the new is granted; the old paths are removed                     ACTIVE
    failed   the new is removed wherever it may stand, the ends get their old entry back; the reservation
             returns; a first set-up ends REFUSED, a change leaves what was

Old and new stand side by side in between, so keys flow through a change (make before break). A path that
stands already and is wanted again is kept as it is: nothing is written for it.
"""

from collections.abc import Sequence

from keyweave_controller.control import admission, cleanup, planning
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import Protection, Service
from keyweave_controller.control.state import Association, AssociationState, PathRecord, Phase
from keyweave_controller.control.topology import broken_links
from keyweave_controller.control.turn import Turn
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId

_LONGEST_RETRY_S = 60.0


def begin(
    turn: Turn,
    association: Association,
    routes: Sequence[Route],
    qos: AppQos,
    priority: int,
    service: Service | None = None,
    *,
    promised: bool = True,
) -> None:
    """Start towards `routes` (the working one first; none: keep the paths, or need none) and a grant.

    The caller saw that it fits. `service`: another kind of service; None: as it is. `promised` False: it does
    not fit; its first paths take what there is, and it is degraded (`readmission`).
    """
    plan(turn, association, routes, qos, priority, service)
    if association.next_paths:
        fresh = _fresh(association)
        if promised:
            admission.reserve(turn.state, fresh, _going(association))
        else:
            whole = [admission.claim(turn.state, path) for path in fresh]
            association.degraded_bps = None if all(whole) else 0
        for path in fresh:
            turn.touch_promises(*path.links)
    prepare(turn, association)


def plan(
    turn: Turn,
    association: Association,
    routes: Sequence[Route],
    qos: AppQos,
    priority: int,
    service: Service | None = None,
) -> None:
    """Note what the association shall have; nothing is reserved or written yet."""
    state = turn.state
    association.next_qos, association.next_priority = qos, priority
    association.next_service = service
    association.switching = False
    granted = service or association.service
    rate_bps = admission.promised_bps(qos, granted, state.policy)
    hop_bps = admission.hop_bps(rate_bps, granted, state.policy)
    standing = {
        path.links: path
        for path in association.paths
        if path.hop_bps == hop_bps and path.method is granted.method
    }
    paths = []
    for route in routes:
        kept = standing.pop(route.links, None)
        if kept is None:
            association.generation += 1
            kept = PathRecord(
                link_id=planning.virtual_link_id(association.app_id, association.generation),
                nodes=route.nodes,
                links=route.links,
                steps=route.steps,
                bandwidth_bps=rate_bps,
                hop_bps=hop_bps,
                since=turn.at,
                method=granted.method,
            )
            turn.lookups.owners[kept.link_id] = association.app_id
        paths.append(kept)
    association.next_path, association.next_others = (paths[0], tuple(paths[1:])) if paths else (None, ())


def prepare(turn: Turn, association: Association) -> None:
    """What is planned is reserved: write it to the nodes of the new paths."""
    first = association.state in (AssociationState.REQUESTED, AssociationState.WAITING)
    _enter(turn, association, AssociationState.PREPARING if first else AssociationState.MOVING)
    for node_id, edit in planning.path_edits(association, _fresh(association)).items():
        step_id = turn.configure(node_id, Phase.PREPARE, edit, association.app_id)
        association.pending_steps.add(step_id)
    if not association.pending_steps:
        _switch(turn, association)


def _fresh(association: Association) -> tuple[PathRecord, ...]:
    """The paths of the change under way that do not stand yet."""
    standing = association.paths
    return tuple(path for path in association.next_paths if path not in standing)


def _going(association: Association) -> tuple[PathRecord, ...]:
    """The paths that stand and that the change under way replaces."""
    following = association.next_paths
    return tuple(path for path in association.paths if path not in following)


def switch_to_standby(turn: Turn, association: Association) -> bool:
    """Let keys take the standby of 1:1, which is reserved and written already; False when it is not whole."""
    if association.service.protection is not Protection.ONE_TO_ONE or not association.others:
        return False
    standby = association.others[0]
    if broken_links(turn.state, standby):
        return False
    association.next_path, association.next_others = standby, ()
    association.next_qos, association.next_priority = association.qos, association.priority
    _enter(turn, association, AssociationState.MOVING)
    _switch(turn, association)
    return True


def evict(turn: Turn, association: Association, by: AppId, reason: str) -> None:
    """Take the paths of an association that is at rest away for a more important one; it is told."""
    gone = association.paths
    for path in gone:
        admission.release(turn.state, path)
        turn.touch_promises(*path.links)
        association.past_paths[path.link_id] = path
        turn.lookups.held.pop(path.link_id, None)
    association.path, association.others = None, ()
    association.preempted_by, association.reasons = by, (reason,)
    if association.outage_since is None:
        association.outage_since = turn.at
    _enter(turn, association, AssociationState.SUSPENDED)
    turn.state.stranded.add(association.app_id)
    for node_id in planning.ends(association):
        edit = NodeEdit(put_applications=(planning.granted_entry(association, node_id),))
        turn.configure(node_id, Phase.REPEAT, edit, association.app_id)
    withdraw(turn, association, gone, clients=False)
    turn.refuse_application(
        association.source_node, association.source, association.destinations, association.reasons
    )


def advance(turn: Turn, association: Association, step_id: str) -> None:
    """One awaited step succeeded."""
    association.pending_steps.discard(step_id)
    if association.pending_steps:
        return
    if association.switching:
        _complete(turn, association)
    else:
        _switch(turn, association)


def _switch(turn: Turn, association: Association) -> None:
    association.switching = True
    if association.state is AssociationState.PREPARING:
        _enter(turn, association, AssociationState.ACTIVATING)
    for node_id in planning.ends(association):
        edit = NodeEdit(put_applications=(planning.switched_entry(association, node_id),))
        association.pending_steps.add(turn.configure(node_id, Phase.SWITCH, edit, association.app_id))


def _complete(turn: Turn, association: Association) -> None:
    new = association.next_paths
    if new:
        old = _going(association)
        admission.settle(turn.state, new, old)
        for path in (*old, *new):
            turn.touch_promises(*path.links)
        for path in old:
            association.past_paths[path.link_id] = path
            turn.lookups.held.pop(path.link_id, None)
        for node_id, edit in planning.path_removals(old).items():
            cleanup.remove(turn, node_id, edit, association.app_id)
        association.path, association.others = new[0], new[1:]
        association.trouble = ""  # the complaint was about the old way
        turn.cancel_timer(f"trouble:{association.app_id}")
    association.qos = association.next_qos or association.qos
    association.service = association.next_service or association.service
    if not association.service.falls_back:
        association.fallback, association.fallback_since = "", None
    if association.next_priority not in (None, association.priority):
        association.priority = association.next_priority or 0
        _repeat_reservations(turn, association)
    _clear(association)
    association.move_attempts, association.preempted_by = 0, None
    turn.cancel_timer(f"retry:{association.app_id}")
    active(turn, association)
    # A link of the new path may have failed meanwhile, and the old path's room is free for others.
    turn.state.stranded.add(association.app_id)
    turn.capacity_grew = True
    for request_id in association.waiting_requests:
        turn.answer(request_id, association.app_id)
    association.waiting_requests = ()


def _repeat_reservations(turn: Turn, association: Association) -> None:
    """The reservations on the path carry the priority, too."""
    for path in association.paths:
        for node_id in path.nodes:
            edit = NodeEdit(put_applications=(planning.reservation(association, path, node_id),))
            turn.configure(node_id, Phase.REPEAT, edit, association.app_id)


def active(turn: Turn, association: Association) -> None:
    """The association is served as granted; an outage ends."""
    association.reasons = ()
    if association.outage_since is not None:
        association.outage_s += max(0.0, turn.at - association.outage_since)
        association.outage_since = None
    _enter(turn, association, AssociationState.ACTIVE)


def roll_back(turn: Turn, association: Association, reasons: tuple[str, ...]) -> None:
    """The change cannot be made: leave the network as it was before `begin`."""
    turn.forget_steps(association.pending_steps)
    association.pending_steps.clear()
    first = association.state is not AssociationState.MOVING
    undone, switching = _fresh(association), association.switching
    _clear(association)
    for path in undone:
        admission.release(turn.state, path)
        turn.touch_promises(*path.links)
        if switching:
            association.past_paths[path.link_id] = path  # keys may have taken it already
        else:
            turn.lookups.owners.pop(path.link_id, None)
    if first:
        refuse(turn, association, reasons)
        withdraw(turn, association, undone, clients=switching)
        return
    if switching:
        for node_id in planning.ends(association):
            edit = NodeEdit(put_applications=(planning.granted_entry(association, node_id),))
            turn.configure(node_id, Phase.REPEAT, edit, association.app_id)
    withdraw(turn, association, undone, clients=False)
    association.reasons = reasons
    _enter(
        turn,
        association,
        AssociationState.ACTIVE if association.outage_since is None else AssociationState.SUSPENDED,
    )
    delay_s = min(_LONGEST_RETRY_S, 2.0**association.move_attempts)
    association.move_attempts += 1
    turn.state.stranded.add(association.app_id)
    turn.set_timer(f"retry:{association.app_id}", turn.at + delay_s)


def refuse(turn: Turn, association: Association, reasons: tuple[str, ...]) -> None:
    """End a first set-up: whoever asked is told why."""
    association.reasons = reasons
    _enter(turn, association, AssociationState.REFUSED)
    turn.cancel_timer(f"expire:{association.app_id}")
    turn.state.stranded.discard(association.app_id)
    turn.lookups.refused[association.app_id] = None
    turn.capacity_grew = True
    for request_id in association.waiting_requests:
        turn.answer(request_id, reasons=reasons)
    association.waiting_requests = ()
    if association.asking_node is not None:
        turn.refuse_application(
            association.asking_node, association.source, association.destinations, reasons
        )


def withdraw(turn: Turn, association: Association, paths: Sequence[PathRecord], *, clients: bool) -> set[str]:
    """Remove paths, and with `clients` the entries of both ends, in one edit a node; the steps' ids."""
    edits = planning.path_removals(paths)
    if clients:
        for node_id in planning.ends(association):
            gone = edits.get(node_id, NodeEdit())
            edits[node_id] = NodeEdit(
                remove_links=gone.remove_links,
                remove_applications=(*gone.remove_applications, association.app_id),
            )
    found = (cleanup.remove(turn, node_id, edit, association.app_id) for node_id, edit in edits.items())
    return {step_id for step_id in found if step_id is not None}


def _clear(association: Association) -> None:
    association.next_path = association.next_qos = association.next_priority = None
    association.next_service, association.next_others = None, ()
    association.switching = False


def _enter(turn: Turn, association: Association, state: AssociationState) -> None:
    association.state = state
    association.changed_at = turn.at
    turn.touch_app(association.app_id)
