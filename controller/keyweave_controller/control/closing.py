"""The end of a key association: entries gone, promises returned, and a bounded memory of what was.

Rule of this file: an association ends once. Its reservation returns the moment the end is decided; CLOSED is
said when every node that could be asked has answered.
"""

from keyweave_controller.control import admission, changes, planning
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
    paths = [path for path in (association.path, association.next_path) if path]
    for path in paths:
        admission.release(turn.state, path)
        turn.touch_promises(*path.links)
        association.past_paths[path.link_id] = path
    for timer in ("expire", "retry", "trouble"):
        turn.cancel_timer(f"{timer}:{association.app_id}")
    if association.outage_since is not None:
        association.outage_s += max(0.0, turn.at - association.outage_since)
        association.outage_since = None
    association.state, association.changed_at = AssociationState.CLOSING, turn.at
    association.next_path = association.next_qos = association.next_priority = None
    association.path, association.switching, association.reasons = None, False, ()
    association.trouble = ""
    turn.state.stranded.discard(association.app_id)
    turn.capacity_grew = True
    turn.touch_app(association.app_id)
    for path in paths[:-1]:
        association.pending_steps |= changes.withdraw(turn, association, path, clients=False)
    last = paths[-1] if paths else None
    association.pending_steps |= changes.withdraw(turn, association, last, clients=True)
    if not association.pending_steps:
        finish(turn, association)


def finish(turn: Turn, association: Association) -> None:
    """Every node that could be asked has answered; the others are remembered as leftovers."""
    association.state, association.changed_at = AssociationState.CLOSED, turn.at
    turn.touch_app(association.app_id)
    for request_id in association.closing_requests:
        turn.answer(request_id, association.app_id)
    association.closing_requests = ()


def forget_oldest(turn: Turn) -> None:
    """Keep a bounded number of ended associations, so that usage reported late still finds its path."""
    ended = [one for one in turn.state.associations.values() if not one.live]
    ended.sort(key=lambda one: one.state is not AssociationState.REFUSED)  # those never carried a key
    for association in ended[: max(0, len(ended) - turn.state.policy.closed_kept)]:
        del turn.state.associations[association.app_id]
