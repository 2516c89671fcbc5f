"""The end of a key association: entries gone, promises returned, and a bounded memory of what was.

Rule of this file: an association ends once. Its reservation returns the moment the end is decided; CLOSED is
said when every node that could be asked has answered.
"""

from keyweave_controller.control import admission, changes, planning, reverting, scheduling
from keyweave_controller.control.events import AssociationClosed
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import AppId, NodeId


def closed(turn: Turn, wish: AssociationClosed) -> None:
    """The northbound gives an association back."""
    answered = turn.state.requests.get(wish.request_id)
    association = turn.state.associations.get(wish.app_id)
    if answered is not None:
        turn.answer(wish.request_id, answered.app_id, answered.reasons)
    elif association is None:
        turn.answer(wish.request_id, reasons=(f"there is no association {wish.app_id}",))
    elif not association.live:
        turn.answer(wish.request_id, association.app_id)
    elif association.configured_as and association.state is not AssociationState.CLOSING:
        reason = f"association {wish.app_id} is configured as {association.configured_as}; delete it there"
        turn.answer(wish.request_id, reasons=(reason,))
    else:
        if wish.request_id not in association.closing_requests:
            association.closing_requests += (wish.request_id,)
        close(turn, association)


def disconnected(turn: Turn, node_id: NodeId, app_id: AppId | None) -> None:
    """An agent says that an application is gone (015 `sdqkdn_application_disconnected`).

    An association that the operator configured stays: the application may come back.
    """
    association = turn.state.associations.get(app_id) if app_id else None
    if association is None or not association.live or node_id not in planning.ends(association):
        return
    if not association.configured_as:
        close(turn, association)


def close(turn: Turn, association: Association) -> None:
    """Take everything away; the reservation returns at once, the state CLOSED follows the nodes."""
    if association.state is AssociationState.CLOSING:
        return
    turn.forget_steps(association.pending_steps)
    association.pending_steps.clear()
    for request_id in association.waiting_requests:
        turn.answer(request_id, reasons=("the association was closed before it was ready",))
    association.waiting_requests = ()
    paths = tuple(dict.fromkeys((*association.paths, *association.next_paths)))
    for path in paths:
        admission.release(turn.state, path)
        turn.touch_promises(*path.links)
        association.past_paths[path.link_id] = path
        turn.lookups.held.pop(path.link_id, None)
    if any(path.hop_bps > 0 for path in paths):
        turn.state.estimates.left(turn.at - association.created_at)
    scheduling.unbook(turn, association)
    reverting.forget(turn, association)
    for timer in ("expire", "retry", "trouble", "degraded"):
        turn.cancel_timer(f"{timer}:{association.app_id}")
    if association.outage_since is not None:
        association.outage_s += max(0.0, turn.at - association.outage_since)
        association.outage_since = None
    association.state, association.changed_at = AssociationState.CLOSING, turn.at
    association.next_path = association.next_qos = association.next_priority = None
    association.path, association.switching, association.reasons = None, False, ()
    association.others, association.next_others, association.room_moves = (), (), ()
    association.trouble, association.preempted_by = "", None
    association.degraded_bps = association.blocked_by = None
    turn.state.stranded.discard(association.app_id)
    turn.capacity_grew = True
    turn.touch_app(association.app_id)
    association.pending_steps |= changes.withdraw(turn, association, paths, clients=True)
    if not association.pending_steps:
        finish(turn, association)


def finish(turn: Turn, association: Association) -> None:
    """Every node that could be asked has answered; the others are remembered as leftovers."""
    association.state, association.changed_at = AssociationState.CLOSED, turn.at
    turn.lookups.closed[association.app_id] = None
    turn.touch_app(association.app_id)
    for request_id in association.closing_requests:
        turn.answer(request_id, association.app_id)
    association.closing_requests = ()


def forget_oldest(turn: Turn) -> None:
    """Keep a bounded number of ended associations, so that usage reported late still finds its path.

    Those that were refused never carried a key: they go first.
    """
    state, refused, closed = turn.state, turn.lookups.refused, turn.lookups.closed
    while len(refused) + len(closed) > state.policy.closed_kept:
        ended = refused or closed
        app_id = next(iter(ended))
        del ended[app_id]
        for link_id in state.associations.pop(app_id).past_paths:
            turn.lookups.owners.pop(link_id, None)
