"""Keeping associations served when links fail, and taking up again what could not be.

Rule of this file: an association whose path is broken is `stranded` until it has a whole path again. The
stranded are looked at by priority (a higher number goes first, then the older) whenever something may have
made room. Each either stays (its path is whole again), moves (another path fits), or waits: ACTIVE with
reasons while every broken link still has key in its pool, SUSPENDED once one has none. Waiting keeps the
old path and its reservation, so keys in the pools still serve and a repair restores service at once.

An association that was moved stays where it is when its old link is repaired.
"""

from keyweave_controller.control import changes, placement, topology
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkStatus

_SETTLED = frozenset({AssociationState.ACTIVE, AssociationState.SUSPENDED})


def over_link(turn: Turn, link_id: LinkId) -> list[Association]:
    """Live associations whose path crosses a link now."""
    return [
        association
        for association in turn.state.associations.values()
        if association.live and association.path and link_id in association.path.links
    ]


def link_changed(turn: Turn, link_id: LinkId) -> None:
    """A link went down, lost its last key, or came back: whoever crosses it is looked at."""
    for association in over_link(turn, link_id):
        turn.state.stranded.add(association.app_id)
        turn.touch_app(association.app_id)
    turn.capacity_grew = True


def review(turn: Turn) -> None:
    """Look at every stranded association once."""
    state = turn.state
    stranded = [state.associations[app_id] for app_id in state.stranded if app_id in state.associations]
    stranded.sort(key=lambda one: (-one.priority, one.created_at, one.app_id))
    for association in stranded:
        if association.state in _SETTLED:
            _review_one(turn, association)
        elif not association.live or association.state is AssociationState.CLOSING:
            state.stranded.discard(association.app_id)


def _review_one(turn: Turn, association: Association) -> None:
    state, path = turn.state, association.path
    broken = topology.broken_links(state, path) if path else ()
    if path is None or not broken:
        state.stranded.discard(association.app_id)
        turn.cancel_timer(f"retry:{association.app_id}")
        if association.state is AssociationState.SUSPENDED or association.reasons:
            changes.active(turn, association)
        return
    if f"retry:{association.app_id}" not in state.timers:
        routes = placement.place_again(turn, association)
        if routes:
            changes.begin(turn, association, routes, association.qos, association.priority)
            return
        reasons = placement.why_not_again(turn, association)
        if reasons != association.reasons:
            association.reasons = reasons
            turn.touch_app(association.app_id)
    if association.state is AssociationState.ACTIVE and any(_empty(turn, link_id) for link_id in broken):
        association.state = AssociationState.SUSPENDED
        association.changed_at = turn.at
        association.outage_since = turn.at
        turn.touch_app(association.app_id)


def _empty(turn: Turn, link_id: LinkId) -> bool:
    link = turn.state.links.get(link_id)
    return link is None or link.status is LinkStatus.OFF
