"""Whether a demand is granted: where it fits, else who makes room for it, else why not and what would fit.

Rule of this file: decides and changes nothing. First the network as it is; then hitless moves of others
(nobody loses anything); then, for a demand of higher priority, the place of those that may be preempted.
Making room is for demands with one path that begin now; what is booked ahead or protected, and what has
several destinations, takes what is free.
"""

from collections.abc import Sequence

from keyweave_controller.control import calendar, holders, making_room, placement, routing
from keyweave_controller.control.calendar import Taken
from keyweave_controller.control.making_room import Room
from keyweave_controller.control.mesh import Way
from keyweave_controller.control.placement import Placement, Wanted
from keyweave_controller.control.routing import RouteWish
from keyweave_controller.control.service import Protection, ServiceClass
from keyweave_controller.control.state import Move, PathRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId


def grant(
    turn: Turn, wanted: Wanted, *, beside: Sequence[PathRecord] = (), others_move: bool = True
) -> Placement | tuple[str, ...]:
    """Where it may run and what has to happen first, or why it may not run.

    `beside`: the paths that it has and would give back. `others_move`: others may be moved or preempted for
    it.
    """
    placed = placement.place(turn, wanted, beside=beside)
    if isinstance(placed, Placement) or not others_move or not _may_ask_others(turn, wanted):
        return placed
    room = _room(turn, wanted, placement.wish_of(turn.state, wanted, beside=beside))
    if room is None:
        return placed
    mesh, source = turn.mesh, turn.mesh.node_place[wanted.source]
    moves = []
    for app_id, way in room.moves:
        route = routing.route_of(mesh, mesh.node_place[turn.state.associations[app_id].source_node], way)
        moves.append(Move(app_id=app_id, nodes=route.nodes, links=route.links))
    return Placement(
        routes=(routing.route_of(mesh, source, room.way),), moves=tuple(moves), evicted=room.evicted
    )


def _may_ask_others(turn: Turn, wanted: Wanted) -> bool:
    service = wanted.service
    bounds = service.constraints
    ahead = service.starts_at is not None and service.starts_at > turn.at
    return (
        service.service_class is not ServiceClass.BEST_EFFORT
        and service.protection is Protection.RESTORATION
        and not ahead
        and not wanted.path_links
        and not bounds.include_links
        and not bounds.include_nodes
        and not wanted.others
        and wanted.source != wanted.destination
    )


def _room(turn: Turn, wanted: Wanted, wish: RouteWish) -> Room | None:
    state, mesh = turn.state, turn.mesh
    ask = routing.ask_of(state, mesh, wish)
    if ask is None:
        return None
    strategy, who = routing.strategy_of(wish), holders.holders(turn)
    rooms, barred = routing.restrictions(state, mesh, wish, at=turn.at)
    with mesh.apart(rooms, barred):
        room = making_room.make_room(mesh, strategy, ask, who, most_moves=state.policy.most_moves)
        if room is None and state.policy.preemption:
            room = making_room.displace(mesh, strategy, ask, who, priority=wanted.priority)
    return room if room is None or _keeps_bookings(turn, wish, room) else None


def _keeps_bookings(turn: Turn, wish: RouteWish, room: Room) -> bool:
    """What is promised for later stands, too: who leaves now might have left by then anyway."""
    state, mesh = turn.state, turn.mesh
    if not mesh.timed:
        return True

    def links(way: Way) -> tuple[LinkId, ...]:
        return tuple(mesh.link_ids[link] for link in way)

    taken = [Taken(links=links(room.way), rate_bps=wish.rate_bps, ends_at=wish.ends_at)]
    leaving = list(wish.beside)
    for app_id, way in room.moves:
        mover = state.associations[app_id]
        leaving += mover.paths
        rate_bps = mover.path.hop_bps if mover.path else 0
        taken.append(Taken(links=links(way), rate_bps=rate_bps, ends_at=mover.expires_at))
    for app_id in room.evicted:
        leaving += state.associations[app_id].paths
    expiry_of = calendar.expiries(state, mesh.owners)
    return calendar.fit_together(state, taken, leaving, at=turn.at, expiry_of=expiry_of)
