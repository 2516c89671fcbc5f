"""Links that make less than they promised: who keeps what, and who gets back what when there is room again.

Rule of this file: a link whose promises exceed what may be promised on it is *overbooked*. A dip shorter than
`overbooked_hold_s` costs nobody anything. Then its associations are admitted anew, by priority and then the
older: each keeps what is left of its promise, and what does not fit is cut (`degraded_bps`). Whoever was cut
is `stranded`, so `recovery` moves it in the same turn when another way fits; otherwise it runs on as best it
can. What the link makes again, or others give back, goes to those that were cut before anybody new can have
it, again by priority. So the promises on a link that is up exceed its rate for no longer than the hold, and
never stands one of lower priority on what one of higher priority lacks.

One that has everything back counts as whole when each of its links could promise `SPARE` more than it does,
or has kept its promises for another hold. A link that is down keeps its promises: it may be back in a moment,
and its pool still serves. One that makes key in windows only is the affair of `calendar`.
"""

from keyweave_controller.control import admission, facts
from keyweave_controller.control.crossings import in_order
from keyweave_controller.control.state import Association, LinkRecord, PathRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import AppId, LinkId
from keyweave_core.model.link import LinkStatus

SPARE = 0.05
"""Part of its promises by which what a link may promise must exceed them to be trusted at once."""


def review(turn: Turn) -> None:
    """Look at what changed on links and associations; in every event, before anybody new is admitted."""
    for link_id in turn.changed_links:
        link = turn.state.links.get(link_id)
        if link is not None:
            _look_at(turn, link)
    short = turn.crossings.short
    if short:
        concerned = set(turn.touched_apps)
        for link_id in turn.changed_links:
            concerned |= turn.crossings.over(link_id)
        for association in in_order(turn.state.associations, short & concerned):
            _reckon(turn, association)


def _look_at(turn: Turn, link: LinkRecord) -> None:
    policy = turn.state.policy
    over, short = admission.overbooked(link, policy), turn.crossings.short
    if not over and not short and link.overbooked_since is None:
        return
    timer_id, counts = f"overbooked:{link.link_id}", _counts(turn, link)
    if over and counts:
        if link.overbooked_since is None:
            link.overbooked_since = turn.at
            turn.touch_link(link.link_id)
            turn.set_timer(timer_id, turn.at + policy.overbooked_hold_s)
        return
    if link.overbooked_since is not None:
        link.overbooked_since = None
        turn.touch_link(link.link_id)
        turn.cancel_timer(timer_id)
    if short and counts:
        _give_back(turn, link)


def _counts(turn: Turn, link: LinkRecord) -> bool:
    """What it makes is known: it is up, told a rate (first of all 0 is told), and is no link of passes."""
    return (
        link.status is LinkStatus.ACTIVE
        and link.skr_bps > 0
        and not link.faults
        and facts.of_link(turn.state, link).windows is None
    )


def overbooked(turn: Turn, link_id: LinkId) -> None:
    """The hold is over: the link cannot keep its promises, and they are made anew."""
    link = turn.state.links.get(link_id)
    if link is None or link.overbooked_since is None:
        return
    link.overbooked_since = None
    room = admission.usable_bps(link, turn.state.policy)
    for association, path in _holders(turn, link):
        held = link.reserved_bps[path.link_id]
        kept = min(held, room)
        room -= kept
        if kept < held:
            link.reserved_bps[path.link_id] = kept
            _cut(turn, association)
    turn.touch_link(link_id)
    turn.touch_promises(link_id)


def _holders(turn: Turn, link: LinkRecord) -> list[tuple[Association, PathRecord]]:
    """Who holds what on a link, in the order in which it is given out."""
    found = in_order(turn.state.associations, turn.crossings.over(link.link_id))
    return [
        (association, path)
        for association in found
        for path in dict.fromkeys((*association.paths, *association.next_paths))
        if path.link_id in link.reserved_bps
    ]


def _cut(turn: Turn, association: Association) -> None:
    association.degraded_bps = _left(turn, association)
    turn.state.stranded.add(association.app_id)
    turn.touch_app(association.app_id)


def _give_back(turn: Turn, link: LinkRecord) -> None:
    """What is free goes to those that were cut here."""
    free = admission.available_bps(link, turn.state.policy)
    short = turn.crossings.short & turn.crossings.over(link.link_id)
    for association in in_order(turn.state.associations, short):
        if free <= 0:
            return
        for path in association.paths:
            held = link.reserved_bps.get(path.link_id)
            if held is not None and held < path.hop_bps:
                more = min(free, path.hop_bps - held)
                link.reserved_bps[path.link_id] = held + more
                free -= more
                turn.touch_promises(link.link_id)
                turn.touch_app(association.app_id)


def _left(turn: Turn, association: Association) -> int:
    """The rate of keys that its tightest link still holds for it, bit/s."""
    links = turn.state.links
    shares = [
        path.bandwidth_bps * links[link_id].reserved_bps.get(path.link_id, 0) // path.hop_bps
        for path in (association.paths or association.next_paths)
        if path.hop_bps
        for link_id in path.links
        if link_id in links
    ]
    return min(shares, default=0)


def _reckon(turn: Turn, association: Association) -> None:
    """One that was cut looks different now: is it whole?"""
    app_id, timer_id = association.app_id, f"degraded:{association.app_id}"
    if not association.live or not (association.paths or association.next_paths):
        association.degraded_bps = None
        turn.cancel_timer(timer_id)
        return
    if association.next_paths:
        return  # on its way elsewhere
    left = _left(turn, association)
    if not _whole(turn, association):
        turn.cancel_timer(timer_id)
        association.degraded_bps = left
        turn.state.stranded.add(app_id)
    elif _spare(turn, association, SPARE):
        _made_whole(turn, association)
    else:
        association.degraded_bps = left
        if not _spare(turn, association, 0.0):
            turn.cancel_timer(timer_id)
        elif timer_id not in turn.state.timers:
            turn.set_timer(timer_id, turn.at + turn.state.policy.overbooked_hold_s)


def confirmed(turn: Turn, app_id: AppId) -> None:
    """The hold after it got everything back is over."""
    association = turn.state.associations.get(app_id)
    if association is not None and association.degraded_bps is not None and _whole(turn, association):
        _made_whole(turn, association)


def _made_whole(turn: Turn, association: Association) -> None:
    association.degraded_bps = None
    turn.cancel_timer(f"degraded:{association.app_id}")
    turn.state.stranded.add(association.app_id)  # so that `recovery` takes its reasons back
    turn.touch_app(association.app_id)


def _whole(turn: Turn, association: Association) -> bool:
    links = turn.state.links
    return all(
        links[link_id].reserved_bps.get(path.link_id, 0) >= path.hop_bps
        for path in association.paths
        for link_id in path.links
        if link_id in links
    )


def _spare(turn: Turn, association: Association, part: float) -> bool:
    """Each of its links may promise so much more than it does."""
    state = turn.state
    return all(
        admission.usable_bps(link, state.policy) >= admission.reserved_bps(link) * (1 + part)
        for path in association.paths
        for link_id in path.links
        if (link := state.links.get(link_id)) is not None
    )
