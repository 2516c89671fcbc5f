"""Who holds rate on a link, as the searches that make room see it.

Rule of this file: only associations at rest are told of. What a path looks like does not change while it
stands, so it is reckoned once (`Lookups.held`, by virtual link, thrown away with the mesh) unless constraints
make it depend on the moment. Movable is what has one path and may take another; what is protected keeps its
disjoint paths.
"""

from collections.abc import Sequence

from keyweave_controller.control import placement, routing
from keyweave_controller.control.making_room import Held, Holders
from keyweave_controller.control.mesh import CLOSED
from keyweave_controller.control.service import Constraints, Protection
from keyweave_controller.control.state import Association, AssociationState, NetworkState, PathRecord
from keyweave_controller.control.turn import Turn
from keyweave_controller.control.ways import Ask


def holders(turn: Turn) -> Holders:
    """Whoever holds rate on the link at a place, in the order in which they came to it."""
    state, mesh, owners, seen = turn.state, turn.mesh, turn.lookups.owners, turn.lookups.held
    told: dict[int, list[Held]] = {}
    away = any(not node.connected for node in state.nodes.values())

    def on(link: int) -> Sequence[Held]:
        found = told.get(link)
        if found is None:
            found = told[link] = []
            for virtual in state.links[mesh.link_ids[link]].reserved_bps:
                app_id = owners.get(virtual)
                association = state.associations.get(app_id) if app_id is not None else None
                if association is None or association.state is not AssociationState.ACTIVE:
                    continue
                path = association.path
                if path is None or path.link_id != virtual or association.makes_room_for is not None:
                    continue
                held = seen.get(virtual)
                if held is None or held.priority != association.priority:
                    held = _held(turn, association, path)
                    if held is None:
                        continue
                    if association.service.constraints == _NONE:
                        seen[virtual] = held
                if not away or reached(state, association):
                    found.append(held)
        return found

    return on


_NONE = Constraints()


def reached(state: NetworkState, association: Association) -> bool:
    """All ends can be written now."""
    ends = (association.source_node, *association.destination_nodes)
    nodes = (state.nodes.get(node_id) for node_id in ends)
    return all(node is not None and node.connected for node in nodes)


def may_move(association: Association) -> bool:
    """It has one path, which may be any that the searches find: they know of no nodes or links to visit.

    They know of no trees either.
    """
    service = association.service
    if association.branches:
        return False
    visits = service.constraints.include_links or service.constraints.include_nodes
    return service.protection is Protection.RESTORATION and not visits


def bounds(turn: Turn, association: Association) -> tuple[Ask, frozenset[int]] | None:
    """What every way of an association must keep, and the links that its constraints keep it from.

    None: an end takes no entries.
    """
    state, mesh = turn.state, turn.mesh
    wish = placement.wish_of(state, placement.as_it_is(association))
    ask = routing.ask_of(state, mesh, wish)
    if ask is None:
        return None
    rooms, barred = routing.restrictions(state, mesh, wish, at=turn.at)
    closed = {link for link, room in rooms.items() if room == CLOSED}
    closed.update(link for node in barred for link, _ in mesh.around[node])
    return ask, frozenset(closed)


def _held(turn: Turn, association: Association, path: PathRecord) -> Held | None:
    mesh = turn.mesh
    known = bounds(turn, association)
    if known is None or any(link_id not in mesh.link_place for link_id in path.links):
        return None
    ask, closed = known
    return Held(
        key=association.app_id,
        ask=ask,
        way=tuple(mesh.link_place[link_id] for link_id in path.links),
        priority=association.priority,
        preemptible=association.service.preemptible,
        movable=may_move(association),
        since=path.since,
        closed=closed,
    )
