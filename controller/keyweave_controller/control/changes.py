"""Writing a path or a grant to the network in two phases, and taking it back.

Rule of this file: a first set-up and a later change are the same thing. What an association shall have is
in `next_path`, `next_qos` and `next_priority`; what it has stays untouched until every node has agreed.

    begin    reserve; PREPARE on every node of the new path, side by side      PREPARING or MOVING
    prepared SWITCH on both ends (an association's first: keys are released)   ACTIVATING or MOVING
    switched the new is granted; the old path is removed                       ACTIVE
    failed   the new is removed wherever it may stand, the ends get their old entry back; the reservation
             returns; a first set-up ends REFUSED, a change leaves what was

Old and new stand side by side in between, so keys flow through a change (make before break).
"""

from keyweave_controller.control import admission, cleanup, planning
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.routing import Route
from keyweave_controller.control.state import Association, AssociationState, PathRecord, Phase
from keyweave_controller.control.turn import Turn
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import NodeId

_LONGEST_RETRY_S = 60.0


def begin(turn: Turn, association: Association, route: Route | None, qos: AppQos, priority: int) -> None:
    """Start towards `route` (None: keep the path, or need none) and a grant; the caller saw that it fits."""
    first = association.state is AssociationState.REQUESTED
    association.next_qos, association.next_priority = qos, priority
    association.switching = False
    if route is not None:
        association.generation += 1
        rate_bps = admission.wanted_bps(qos, turn.state.policy)
        path = PathRecord(
            link_id=planning.virtual_link_id(association.app_id, association.generation),
            nodes=route.nodes,
            links=route.links,
            bandwidth_bps=rate_bps,
            hop_bps=admission.hop_bps(rate_bps, association.service.key_bits, turn.state.policy),
            since=turn.at,
        )
        association.next_path = path
        admission.reserve(turn.state, path, association.path)
        turn.touch_promises(*path.links)
    _enter(turn, association, AssociationState.PREPARING if first else AssociationState.MOVING)
    if association.next_path is None:
        _switch(turn, association)
        return
    for node_id in association.next_path.nodes:
        edit = planning.path_edit(association, association.next_path, node_id)
        step_id = turn.configure(node_id, Phase.PREPARE, edit, association.app_id)
        association.pending_steps.add(step_id)


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
    old, new = association.path, association.next_path
    if new is not None:
        if old is not None:
            admission.settle(turn.state, new, old)
            turn.touch_promises(*old.links)
            association.past_paths[old.link_id] = old
            for node_id in old.nodes:
                cleanup.remove(turn, node_id, planning.path_removal(old), association.app_id)
        association.path, association.trouble = new, ""  # the complaint was about the old way
        turn.cancel_timer(f"trouble:{association.app_id}")
        turn.touch_promises(*new.links)
    association.qos = association.next_qos or association.qos
    if association.next_priority not in (None, association.priority):
        association.priority = association.next_priority or 0
        _repeat_reservations(turn, association)
    _clear(association)
    association.move_attempts = 0
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
    path = association.path
    if path is None:
        return
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
    undone, switching = association.next_path, association.switching
    _clear(association)
    if undone is not None:
        admission.release(turn.state, undone)
        turn.touch_promises(*undone.links)
        if switching:
            association.past_paths[undone.link_id] = undone  # keys may have taken it already
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
    turn.capacity_grew = True
    for request_id in association.waiting_requests:
        turn.answer(request_id, reasons=reasons)
    association.waiting_requests = ()
    if association.asking_node is not None:
        turn.refuse_application(
            association.asking_node, association.source, (association.destination,), reasons
        )


def withdraw(turn: Turn, association: Association, path: PathRecord | None, *, clients: bool) -> set[str]:
    """Remove a path, and with `clients` the entries of both ends, in one edit a node; the steps' ids."""
    nodes: dict[NodeId, None] = dict.fromkeys(path.nodes if path else ())
    if clients:
        nodes.update(dict.fromkeys(planning.ends(association)))
    steps: set[str] = set()
    for node_id in nodes:
        gone = planning.path_removal(path) if path and node_id in path.nodes else NodeEdit()
        if clients and node_id in planning.ends(association):
            gone = NodeEdit(
                remove_links=gone.remove_links,
                remove_applications=(*gone.remove_applications, association.app_id),
            )
        step_id = cleanup.remove(turn, node_id, gone, association.app_id)
        if step_id is not None:
            steps.add(step_id)
    return steps


def _clear(association: Association) -> None:
    association.next_path = association.next_qos = association.next_priority = None
    association.switching = False


def _enter(turn: Turn, association: Association, state: AssociationState) -> None:
    association.state = state
    association.changed_at = turn.at
    turn.touch_app(association.app_id)
