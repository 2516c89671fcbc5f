"""Going back after a repair: what was moved off a failed link returns to a clearly better path.

Rule of this file: an association that moves because a link of its path failed remembers that link. When the
link is repaired and has been up for long enough (`due`) the association is looked at once, by priority and at
most `move_budget` of them at a time: it moves, hitlessly, when the way that its strategy takes now is clearly
better (`_better`), and forgets the link either way. The longer a link has been failing, the longer it must
have been up, so one that comes and goes moves nobody back and forth.
"""

from keyweave_controller.control import changes, damping, placement, routing, topology, ways
from keyweave_controller.control.crossings import in_order
from keyweave_controller.control.mesh import Way
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import Protection
from keyweave_controller.control.state import Association, AssociationState, LinkRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId

CHEAPER = 0.8
"""A path of as many hops is clearly better when it costs at most this part."""

REMEMBERED = 8
"""Links that an association remembers, the latest."""

PAUSE_S = 5.0
"""Until those are looked at that were not at rest, or beyond the budget."""

MOST_DOUBLINGS = 7.0
"""However often a link has failed, it must have been up for no more than 2 to this many times the wait."""


def left(turn: Turn, association: Association) -> None:
    """It is about to move: the links that made it do so are remembered."""
    failed = [
        link_id
        for path in association.paths
        for link_id in topology.broken_links(turn.state, path)
        if link_id in turn.state.links
    ]
    if failed and turn.state.policy.revert:
        links = dict.fromkeys((*association.left_links, *failed))
        association.left_links = tuple(links)[-REMEMBERED:]
        turn.touch_app(association.app_id)


def repaired(turn: Turn, link: LinkRecord) -> None:
    """A link makes key again: when it is trusted, those that left it are looked at."""
    if turn.crossings.left(link.link_id):
        turn.set_timer(f"revert:{link.link_id}", due(turn, link))


def due(turn: Turn, link: LinkRecord) -> float:
    """When a link that is up is trusted enough to go back to it.

    The usual wait doubles with every failure that is remembered beside the last one.
    """
    policy, since = turn.state.policy, link.restored_at
    if since is None:
        return turn.at
    again = min(MOST_DOUBLINGS, max(0.0, damping.remembered(link, policy, link.penalty_at) - 1.0))
    waits_s: float = policy.wait_to_restore_s * 2.0**again
    return max(topology.shy_until(link, policy), since + waits_s)


def review(turn: Turn, link_id: LinkId) -> None:
    """The link has been up for long enough."""
    state, link = turn.state, turn.state.links.get(link_id)
    waiting = in_order(state.associations, turn.crossings.left(link_id))
    if link is None or not waiting or link.down_since is not None:
        return  # gone, or down again: its next repair is looked at
    if not state.policy.revert:
        for association in waiting:
            _forget(turn, association, link_id)
        return
    if due(turn, link) > turn.at:
        turn.set_timer(f"revert:{link_id}", due(turn, link))
        return
    moves, later = 0, False
    for association in waiting:
        if association.state is not AssociationState.ACTIVE or moves >= state.policy.move_budget:
            later = True
            continue
        _forget(turn, association, link_id)
        route = _better(turn, association)
        if route is not None:
            changes.begin(turn, association, (route,), association.qos, association.priority)
            moves += 1
    if later and state.policy.move_budget:
        turn.set_timer(f"revert:{link_id}", turn.at + PAUSE_S)


def forget(turn: Turn, association: Association) -> None:
    """It ends."""
    for link_id in association.left_links:
        _forget(turn, association, link_id)


def _forget(turn: Turn, association: Association, link_id: LinkId) -> None:
    association.left_links = tuple(one for one in association.left_links if one != link_id)
    turn.touch_app(association.app_id)
    if not turn.crossings.left(link_id):
        turn.cancel_timer(f"revert:{link_id}")


def _better(turn: Turn, association: Association) -> Route | None:
    """A path that is clearly better than the one it has: fewer hops, or markedly cheaper.

    Both are judged without what the association itself holds, so its own load speaks for neither.
    """
    state, mesh, path = turn.state, turn.mesh, association.path
    if path is None or association.service.protection is not Protection.RESTORATION:
        return None
    if any(link_id not in mesh.link_place for link_id in path.links):
        return None
    wish = placement.wish_of(state, placement.as_it_is(association))
    ask = routing.ask_of(state, mesh, wish)
    if ask is None:
        return None
    present: Way = tuple(mesh.link_place[link_id] for link_id in path.links)
    held = [state.links[link_id].reserved_bps.get(path.link_id, 0) for link_id in path.links]
    for place, rate_bps in zip(present, held, strict=True):
        mesh.take((place,), -rate_bps)
    try:
        route = next(iter(placement.find(state, mesh, wish, association.service, at=turn.at)), None)
        if route is None or route.links == path.links:
            return None
        found: Way = tuple(mesh.link_place[link_id] for link_id in route.links)
        if any(mesh.shy_until[place] > turn.at for place in found):
            return None
        priced = routing.strategy_of(wish).prices(mesh)
        cost, now = ways.price_of(priced, found), ways.price_of(priced, present)
    finally:
        for place, rate_bps in zip(present, held, strict=True):
            mesh.take((place,), rate_bps)
    fewer = len(found) < len(present) and cost <= now
    return route if fewer or (len(found) == len(present) and cost <= CHEAPER * now) else None
