"""The background optimiser, as far as it decides: when a better placement is sought, and what of it is done.

Rule of this file: the search itself is slow and happens at the rim. A problem goes out as an action, a
proposal comes back as an event, and in between the network has gone on; so a proposal is a list of wishes.
Its moves are begun one after the other in the order told, each checked against the network as it is then.

    timer `optimise`      something changed since last time  -> Optimise(problem)
    PlacementProposed     of the problem asked last          -> its moves wait in `state.proposed_moves`
    end of every event    the first of them fits -> begun;  can never be made -> dropped;  may fit once a move
                          under way is made -> waited for
"""

from keyweave_controller.control import admission, changes, holders, routing, topology
from keyweave_controller.control.events import PlacementProposed, ProposedMove
from keyweave_controller.control.mesh import CLOSED, Mesh
from keyweave_controller.control.problem import Commodity, PlacementProblem
from keyweave_controller.control.state import Association, AssociationState, NetworkState
from keyweave_controller.control.turn import Turn

TIMER = "optimise"

_AT_REST = frozenset({AssociationState.ACTIVE, AssociationState.SUSPENDED})


def review(turn: Turn) -> None:
    """Keep the timer as the policy wants it, and go on with the moves proposed; at the end of every event."""
    state = turn.state
    every_s = state.policy.optimise_every_s
    if every_s > 0 and state.policy.move_budget > 0:
        if TIMER not in state.timers:
            turn.set_timer(TIMER, turn.at + every_s)
    elif TIMER in state.timers:
        turn.cancel_timer(TIMER)
    if state.proposed_moves:
        _go_on(turn)


def due(turn: Turn) -> None:
    """The timer ran out: ask for a better placement, unless nothing changed since the last answer."""
    state, mesh = turn.state, turn.mesh
    looks = _looks(state, mesh)
    if state.proposed_moves or (looks == state.optimised and not state.optimising):
        return
    found = problem(turn)
    if not found.commodities:
        return
    state.optimised, state.optimising = looks, f"placement/{state.serial}/{turn.at:.3f}"
    turn.optimise(state.optimising, found)


def proposed(turn: Turn, event: PlacementProposed) -> None:
    """The solver answered; an answer to another problem than the last is too old."""
    state = turn.state
    if event.problem_id != state.optimising:
        return
    state.optimising = ""
    state.proposed_moves = event.moves[: state.policy.move_budget]


def problem(turn: Turn) -> PlacementProblem:
    """What is to be placed better: associations at rest with one path, whole, lost or taken from them.

    Links not trusted yet after a repair take nobody new, nor do those whose room depends on the time.
    """
    state, mesh = turn.state, turn.mesh
    commodities = (
        _commodity(turn, mesh, one) for one in state.associations.values() if one.state in _AT_REST
    )
    rooms = (
        CLOSED if mesh.shy_until[link] > turn.at or link in mesh.timed else room
        for link, room in enumerate(mesh.room)
    )
    return PlacementProblem(
        link_ids=tuple(mesh.link_ids),
        a=tuple(mesh.a),
        b=tuple(mesh.b),
        inside=tuple(mesh.inside),
        rooms=tuple(rooms),
        usable=tuple(mesh.usable),
        latency_us=tuple(mesh.latency_us),
        commodities=tuple(one for one in commodities if one is not None and one.rate_bps > 0),
        most_moves=state.policy.move_budget,
    )


def _commodity(turn: Turn, mesh: Mesh, association: Association) -> Commodity | None:
    path = association.path
    if association.makes_room_for or not holders.may_move(association):
        return None
    held = turn.lookups.held.get(path.link_id) if path is not None else None
    known = (held.ask, held.closed) if held is not None else holders.bounds(turn, association)
    if known is None or not holders.reached(turn.state, association):
        return None
    ask, closed = known
    whole = path is not None and not topology.broken_links(turn.state, path)
    if whole and association.state is not AssociationState.ACTIVE:
        return None  # about to be taken up again
    way = tuple(mesh.link_place[link_id] for link_id in path.links) if path is not None and whole else None
    return Commodity(
        app_id=association.app_id,
        source=ask.source,
        target=ask.target,
        rate_bps=ask.rate_bps,
        max_hops=ask.max_hops,
        max_latency_us=ask.max_latency_us,
        closed=closed,
        way=way,
        priority=association.priority,
    )


def _looks(state: NetworkState, mesh: Mesh) -> tuple[int, int]:
    """Different whenever something was opened, moved or closed, or a rate changed."""
    return state.serial, sum(mesh.usable)


def _go_on(turn: Turn) -> None:
    state = turn.state
    while state.proposed_moves:
        move = state.proposed_moves[0]
        association = state.associations.get(move.app_id)
        if association is not None and _may(turn, association, move):
            if _fits(turn, association, move):
                route = routing.route_of(turn.mesh, *_start_and_way(turn.mesh, association, move))
                changes.begin(turn, association, (route,), association.qos, association.priority)
            elif _under_way(state):
                return
        state.proposed_moves = state.proposed_moves[1:]


def _may(turn: Turn, association: Association, move: ProposedMove) -> bool:
    """It still stands where it stood, and the new way is one that it may take."""
    mesh, path = turn.mesh, association.path
    if association.state is not AssociationState.ACTIVE or association.makes_room_for or path is None:
        return False
    if path.links != move.present or move.links == move.present:
        return False
    if not holders.may_move(association) or not holders.reached(turn.state, association):
        return False
    known = holders.bounds(turn, association)
    if known is None or any(link_id not in mesh.link_place for link_id in move.links):
        return False
    ask, closed = known
    start, way = _start_and_way(mesh, association, move)
    here, met = start, [start]
    for link in way:
        if here not in (mesh.a[link], mesh.b[link]) or (len(met) > 1 and not mesh.inside[here]):
            return False
        here = mesh.b[link] if here == mesh.a[link] else mesh.a[link]
        met.append(here)
    time_us = sum(mesh.latency_us[link] for link in way)
    return (
        here == ask.target
        and len(set(met)) == len(met)
        and len(way) <= ask.max_hops
        and (ask.max_latency_us is None or time_us <= ask.max_latency_us)
        and not closed & set(way)
        and all(mesh.is_up(link) and link not in mesh.timed for link in way)
    )


def _start_and_way(mesh: Mesh, association: Association, move: ProposedMove) -> tuple[int, tuple[int, ...]]:
    return mesh.node_place[association.source_node], tuple(mesh.link_place[one] for one in move.links)


def _fits(turn: Turn, association: Association, move: ProposedMove) -> bool:
    """There is room for the new way while the old one still stands."""
    state, path = turn.state, association.path
    needs = path.hop_bps if path else 0
    links = [state.links[link_id] for link_id in move.links]
    return all(admission.available_bps(link, state.policy, association.paths) >= needs for link in links)


def _under_way(state: NetworkState) -> bool:
    return any(one.state is AssociationState.MOVING for one in state.associations.values())
