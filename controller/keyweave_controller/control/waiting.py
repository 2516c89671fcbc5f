"""Associations that wait until others have moved out of their way.

Rule of this file: a demand that fits once others have moved is WAITING. It holds what is free on its links
from the first moment, and takes what a mover leaves in the very turn in which it leaves it, so nobody can
come between. The moves are hitless and go one after the other. When one cannot be made the demand is placed
anew, once.
"""

from collections.abc import Sequence

from keyweave_controller.control import admission, changes
from keyweave_controller.control.routing import Route
from keyweave_controller.control.state import Association, AssociationState, Move
from keyweave_controller.control.turn import Turn
from keyweave_core.model.application import AppQos


def wait(
    turn: Turn,
    association: Association,
    routes: Sequence[Route],
    moves: Sequence[Move],
    qos: AppQos,
    priority: int,
) -> None:
    """Begin with the first move; the association follows when the last is made."""
    changes.plan(turn, association, routes, qos, priority)
    association.state, association.changed_at = AssociationState.WAITING, turn.at
    association.room_moves = tuple(moves)
    turn.touch_app(association.app_id)
    _claim(turn, association)
    _next(turn, association)


def review(turn: Turn) -> None:
    """Movers that have come to rest, and those whose demand waits for nobody any more; at the end of every
    event.
    """
    state = turn.state
    for app_id in sorted(turn.touched_apps):
        mover = state.associations.get(app_id)
        if mover is None or mover.makes_room_for is None or mover.state is AssociationState.MOVING:
            continue
        waiting = state.associations.get(mover.makes_room_for)
        mover.makes_room_for = None
        if waiting is not None and waiting.room_moves and waiting.room_moves[0].app_id == app_id:
            made = mover.path is None or mover.path.links == waiting.room_moves[0].links
            waiting.room_moves = waiting.room_moves[1:] if made else ()
            _claim(turn, waiting)
            _next(turn, waiting)


def give_up(turn: Turn, association: Association) -> None:
    """Return what it holds; nothing was written for it yet."""
    for path in association.next_paths:
        admission.release(turn.state, path)
        turn.touch_promises(*path.links)
        turn.lookups.owners.pop(path.link_id, None)
    association.next_path, association.next_others, association.room_moves = None, (), ()


def _claim(turn: Turn, association: Association) -> bool:
    whole = [admission.claim(turn.state, path) for path in association.next_paths]
    for path in association.next_paths:
        turn.touch_promises(*path.links)
    return all(whole)


def _next(turn: Turn, association: Association) -> None:
    """The next move; without one left the association goes on, or is left to be placed anew."""
    state = turn.state
    while association.room_moves:
        move = association.room_moves[0]
        mover = state.associations.get(move.app_id)
        if mover is None or mover.state is not AssociationState.ACTIVE or mover.path is None:
            break
        if mover.path.links == move.links:
            association.room_moves = association.room_moves[1:]
            continue
        if not _fits(turn, mover, move):
            break
        mover.makes_room_for = association.app_id
        changes.begin(turn, mover, (Route(nodes=move.nodes, links=move.links),), mover.qos, mover.priority)
        return
    if not association.room_moves and _claim(turn, association):
        changes.prepare(turn, association)
        return
    give_up(turn, association)
    turn.displaced.append(association.app_id)


def _fits(turn: Turn, mover: Association, move: Move) -> bool:
    state = turn.state
    needs = mover.path.hop_bps if mover.path else 0
    links = [state.links.get(link_id) for link_id in move.links]
    return all(
        link is not None and admission.available_bps(link, state.policy, mover.paths) >= needs
        for link in links
    )
