"""Who holds rate on a link, as the searches that make room see it.

Rule of this file: only associations at rest are told of, each once a question however many links ask for it.
Movable is what has one path and may take another; what is protected keeps its disjoint paths.
"""

from collections.abc import Sequence

from keyweave_controller.control import placement, routing
from keyweave_controller.control.making_room import Held, Holders
from keyweave_controller.control.mesh import CLOSED
from keyweave_controller.control.service import Protection
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import AppId


def holders(turn: Turn) -> Holders:
    """Whoever holds rate on the link at a place, in the order in which they came to it."""
    state, mesh, owners = turn.state, turn.mesh, turn.lookups.owners
    seen: dict[AppId, Held | None] = {}

    def on(link: int) -> Sequence[Held]:
        found = []
        for virtual in state.links[mesh.link_ids[link]].reserved_bps:
            app_id = owners.get(virtual)
            association = state.associations.get(app_id) if app_id is not None else None
            if association is None:
                continue
            if association.app_id not in seen:
                seen[association.app_id] = _held(turn, association)
            held = seen[association.app_id]
            if held is not None and link in held.way:
                found.append(held)
        return found

    return on


def _held(turn: Turn, association: Association) -> Held | None:
    state, mesh, path = turn.state, turn.mesh, association.path
    if association.state is not AssociationState.ACTIVE or path is None or association.makes_room_for:
        return None
    wish = placement.wish_of(state, placement.as_it_is(association))
    ask = routing.ask_of(state, mesh, wish)
    if ask is None or any(link_id not in mesh.link_place for link_id in path.links):
        return None
    rooms, barred = routing.restrictions(state, mesh, wish, at=turn.at)
    closed = {link for link, room in rooms.items() if room == CLOSED}
    closed.update(link for node in barred for link, _ in mesh.around[node])
    return Held(
        key=association.app_id,
        ask=ask,
        way=tuple(mesh.link_place[link_id] for link_id in path.links),
        priority=association.priority,
        preemptible=association.service.preemptible,
        movable=association.service.protection is Protection.RESTORATION,
        since=path.since,
        closed=frozenset(closed),
    )
