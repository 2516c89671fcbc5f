"""Keeping associations served when links fail, and taking up again what could not be.

Rule of this file: an association that wants something better than it has is `stranded`:

    without a whole path    a link of it makes no key, or its place was taken by somebody more important
    on a path that does not do any more   less key stored than it wants, a relay no longer trusted, ...
    degraded                a link holds less for it than it was promised (`readmission`)
    without its standby     1:1, and the other path broke

The stranded are looked at by priority (a higher number goes first, then the older). Each either is whole
again, or moves (another path fits; the new one is written before the old goes), or waits: ACTIVE with reasons
while every broken link still has key in its pool, SUSPENDED once one has none. Waiting keeps the old path and
its reservation, so keys in the pools still serve and a repair restores service at once. One that may fall
back to keys of ML-KEM stays ACTIVE with an empty pool, too.

One that found no way is not looked at again until something changed that may help it: `blocked_by` are the
links of which one must open or get room first (`reach`); without any it waits for whatever grows. When many
links fail at once (`STORM_FAILURES` within `STORM_WINDOW_S`) the stranded are looked at together, once the
reports cease for a moment: by priority over all of them, and never onto a link that fails a moment later.
"""

from keyweave_controller.control import (
    admission,
    changes,
    condition,
    damping,
    placement,
    reach,
    reverting,
    routing,
)
from keyweave_controller.control.crossings import in_order
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import Protection, ServiceClass
from keyweave_controller.control.state import Association, AssociationState, LinkRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId, NodeId

STORM_FAILURES = 4
STORM_WINDOW_S = 0.1
STORM_PAUSE_S = 0.1
STORM_LONGEST_S = 1.0
"""Reports that never cease postpone a review by no more than this."""

EXPLAINED_MOST = 8
"""While more are stranded, none is told at length why it found no way: that is slow work."""

_SETTLED = frozenset({AssociationState.ACTIVE, AssociationState.SUSPENDED})


def strand(turn: Turn, association: Association) -> None:
    """It may want something better than it has: it is looked at at the end of this event."""
    turn.state.stranded.add(association.app_id)
    turn.touch_app(association.app_id)


def link_changed(turn: Turn, link_id: LinkId) -> None:
    """A link went down, lost its last key, or came back: whoever crosses it is looked at.

    Not searched for again is who had no way before and loses one link more.
    """
    link = turn.state.links.get(link_id)
    fewer = link is None or link.down_since is not None
    for association in in_order(turn.state.associations, turn.crossings.over(link_id)):
        if fewer and association.blocked_by is not None and association.app_id in turn.state.stranded:
            _suspend_when_dry(turn, association)
        elif any(link_id in path.links for path in association.paths):
            strand(turn, association)
    turn.capacity_grew = True


def link_failed(turn: Turn, link: LinkRecord) -> None:
    """A link makes no key any more."""
    damping.failed(turn, link)
    state = turn.state
    state.failures = (*state.failures, turn.at)[-STORM_FAILURES:]


def store_changed(turn: Turn, link_id: LinkId) -> None:
    """The stored key of a link crossed a level: whoever wants some kept is looked at, here or elsewhere."""
    for association in in_order(turn.state.associations, turn.crossings.over(link_id)):
        if association.service.constraints != condition.PLAIN:
            strand(turn, association)
    turn.capacity_grew = True


def node_changed(turn: Turn, node_id: NodeId) -> None:
    """What a node may relay changed: whoever crosses it is looked at."""
    for association in in_order(turn.state.associations, turn.crossings.through(node_id)):
        strand(turn, association)


def restarted(turn: Turn) -> None:
    """The settings may say something else of sites and links: whoever has constraints is looked at."""
    for association in turn.state.associations.values():
        if association.live and association.paths and association.service.constraints != condition.PLAIN:
            strand(turn, association)


def review(turn: Turn) -> None:
    """Look at the stranded for whom something may have changed; at the end of every event."""
    state, awake = turn.state, turn.state.awake
    if not state.stranded:
        return
    _wake(turn)
    if not awake or _in_storm(turn):
        return
    looked_at = in_order(state.associations, awake & state.stranded)
    awake.clear()
    brief = len(state.stranded) > EXPLAINED_MOST
    for association in looked_at:
        if association.state in _SETTLED:
            _review_one(turn, association, brief=brief)
        elif not association.live or association.state is AssociationState.CLOSING:
            state.stranded.discard(association.app_id)


def _wake(turn: Turn) -> None:
    """The stranded that were touched, and those for whom a link opened."""
    state, crossings = turn.state, turn.crossings
    awake = state.awake
    woken = set(turn.touched_apps)
    if turn.capacity_grew:
        woken |= state.stranded if turn.widely_changed else crossings.vague
    for link_id in turn.changed_links:
        waiting = crossings.blocked(link_id) - woken
        if waiting:
            woken.update(
                one.app_id for one in in_order(state.associations, waiting) if _opened(turn, one, link_id)
            )
    for app_id in woken & state.stranded:
        association = state.associations.get(app_id)
        if association is None:
            state.stranded.discard(app_id)
        else:
            association.blocked_by = None
            turn.renote_app(app_id)
            awake.add(app_id)


def _opened(turn: Turn, association: Association, link_id: LinkId) -> bool:
    """The link has room for it now."""
    mesh, link = turn.mesh, turn.state.links.get(link_id)
    place = mesh.link_place.get(link_id)
    if link is None or place is None or not mesh.is_up(place):
        return False
    own = sum(link.reserved_bps.get(path.link_id, 0) for path in association.paths)
    return mesh.room[place] + own >= _hop_bps(turn, association)


def _hop_bps(turn: Turn, association: Association) -> int:
    policy = turn.state.policy
    rate_bps = admission.promised_bps(association.qos, association.service, policy)
    return admission.hop_bps(rate_bps, association.service, policy)


def _in_storm(turn: Turn) -> bool:
    """So many links fail now that it is better to wait until their reports cease."""
    state = turn.state
    many = len(state.failures) == STORM_FAILURES
    if many and turn.at - state.failures[0] <= STORM_WINDOW_S:
        if state.storm_since is None:
            state.storm_since = turn.at
        if turn.at - state.storm_since < STORM_LONGEST_S:
            if "review" not in state.timers:
                turn.set_timer("review", turn.at + STORM_PAUSE_S)
            return True
    if state.storm_since is not None:
        state.storm_since = None
        turn.cancel_timer("review")
    return False


def _review_one(turn: Turn, association: Association, *, brief: bool) -> None:
    """Look at one; `brief`: say no more than that it has no way."""
    state, app_id = turn.state, association.app_id
    broken = condition.broken(turn, association)
    wants = () if broken else condition.wants(turn, association)
    if not broken and not wants:
        state.stranded.discard(app_id)
        turn.cancel_timer(f"retry:{app_id}")
        if association.state is AssociationState.SUSPENDED or association.reasons:
            changes.active(turn, association)
        return
    if f"retry:{app_id}" not in state.timers:
        if broken and changes.switch_to_standby(turn, association):
            return
        blocked_by = _blocked_by(turn, association, surely=False)
        routes = () if blocked_by else placement.place_again(turn, association)
        if routes and not _same(association, routes) and not _too_soon(turn, association, routes):
            reverting.left(turn, association)
            changes.begin(turn, association, routes, association.qos, association.priority)
            return
        association.blocked_by = blocked_by or _blocked_by(turn, association, surely=True)
        turn.renote_app(app_id)
        if association.preempted_by and association.reasons:
            pass  # who took its place says more than what is full
        elif broken and not brief:
            _tell(turn, association, placement.why_not_again(turn, association))
        elif wants or not association.reasons:
            _tell(turn, association, wants or condition.in_brief(turn, association))
    if not broken and association.state is AssociationState.SUSPENDED:
        reasons = association.reasons
        changes.active(turn, association)
        association.reasons = reasons
    elif broken:
        _suspend_when_dry(turn, association)


def _suspend_when_dry(turn: Turn, association: Association) -> None:
    """Keys flow over a broken path as long as its pools last, and of those that may fall back beyond that."""
    if association.service.falls_back and association.paths:
        return  # its agents go on, without quantum keys
    if association.state is AssociationState.ACTIVE and condition.dry(turn, association):
        association.state = AssociationState.SUSPENDED
        association.changed_at = turn.at
        association.outage_since = turn.at
        turn.touch_app(association.app_id)


def _same(association: Association, routes: tuple[Route, ...]) -> bool:
    """That is where it is already."""
    return [route.links for route in routes] == [path.links for path in association.paths]


def _too_soon(turn: Turn, association: Association, routes: tuple[Route, ...]) -> bool:
    """It would move onto a link that fails often, and moved only lately: it waits until its turn comes."""
    state, path = turn.state, association.path
    links = [state.links[link_id] for route in routes for link_id in route.links]
    if path is None or not any(damping.suppressed(link, turn.at) for link in links):
        return False
    until = path.since + state.policy.damping_half_life_s
    if turn.at >= until or not association.past_paths:
        return False
    turn.set_timer(f"retry:{association.app_id}", until)
    return True


def _blocked_by(turn: Turn, association: Association, *, surely: bool) -> tuple[LinkId, ...]:
    """The links of which one must open before a search makes sense; none: that is not known.

    Not `surely`: only what is seen at a glance.
    """
    service = association.service
    if (
        service.constraints != condition.PLAIN
        or service.protection is not Protection.RESTORATION
        or service.service_class is ServiceClass.SCHEDULED
        or association.branches
    ):
        return ()
    mesh, state = turn.mesh, turn.state
    wish = placement.wish_of(state, placement.as_it_is(association), beside=association.paths)
    ask = routing.ask_of(state, mesh, wish)
    if ask is None or mesh.timed:
        return ()
    rooms, barred = routing.restrictions(state, mesh, wish, at=turn.at)
    with mesh.apart(rooms, barred):
        links = reach.blocking(mesh, ask, surely=surely)
    return tuple(mesh.link_ids[link] for link in links or ())


def _tell(turn: Turn, association: Association, reasons: tuple[str, ...]) -> None:
    if reasons != association.reasons:
        association.reasons = reasons
        turn.touch_app(association.app_id)
