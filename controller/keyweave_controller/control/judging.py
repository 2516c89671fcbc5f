"""What is believed of links, kept as the state of who speaks of them changes.

Rule of this file: a link is judged when an end of it spoke, when a node that it names came, went or got
another name, and, while only one end offers it, when it becomes known whether anybody may still come. Nothing
else is part of the judgement, so judging more gives the same.
"""

from collections.abc import Iterable

from keyweave_controller.control import recovery, resting, reverting
from keyweave_controller.control.beliefs import DOWN, arrange, joint_skr_bps, joint_status, link_faults
from keyweave_controller.control.lookups import all_heard
from keyweave_controller.control.state import LinkRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkStatus


def judge_links(turn: Turn, link_ids: Iterable[LinkId]) -> None:
    """Judge those of these links anew that are there, the oldest first."""
    for link_id in turn.lookups.links.ordered(link_ids):
        judge_link(turn, turn.state.links[link_id])


def judge_lone(turn: Turn, others: frozenset[LinkId] = frozenset()) -> None:
    """Judge `others`, and links of one end when it is news that everybody has been heard, or is not."""
    heard_now = all_heard(turn.state)
    lone = turn.lookups.links.lone if heard_now != turn.lookups.all_heard else frozenset()
    turn.lookups.all_heard = heard_now
    judge_links(turn, others | lone)


def judge_link(turn: Turn, link: LinkRecord) -> None:
    """Derive what is believed of a link from what its ends say, and tell whoever depends on it."""
    arrange(link)
    turn.lookups.links.note(link)
    before = (link.status, link.faults, link.skr_bps, link.down_since, link.resting)
    link.faults = link_faults(turn.state, link)
    link.status, link.skr_bps = joint_status(link), joint_skr_bps(link)
    resting.look(turn, link)
    show_figures(link)
    # A link that rests lives on its pool: it is down when that is empty, and nobody's failure then.
    down = link.status in DOWN and not (link.resting and link.status is LinkStatus.PASSIVE)
    if down and link.down_since is None:
        link.down_since, link.restored_at = turn.at, None
        if link.proven and not link.resting:
            recovery.link_failed(turn, link)
        recovery.link_changed(turn, link.link_id)
    elif link.down_since is not None and (link.status is LinkStatus.ACTIVE or (link.resting and not down)):
        rested = before[4] or link.resting
        link.down_since, link.down_reason = None, ""
        link.restored_at = turn.at if link.proven and not rested else None
        recovery.link_changed(turn, link.link_id)
        if link.status is LinkStatus.ACTIVE:
            reverting.repaired(turn, link)
    elif link.status is not before[0]:
        recovery.link_changed(turn, link.link_id)
    link.proven = link.proven or link.status is LinkStatus.ACTIVE
    if before != (link.status, link.faults, link.skr_bps, link.down_since, link.resting):
        turn.touch_link(link.link_id)
        turn.capacity_grew = turn.capacity_grew or link.skr_bps > before[2] or not link.faults


def show_figures(link: LinkRecord) -> None:
    """Figures for people: the worse QBER, and loss and distance as the first end gave them."""
    figures = [end.performance.qber for end in link.ends.values() if end.performance.qber is not None]
    link.qber = max(figures, default=None)
    ends = [link.ends[node] for node in (link.a, link.b) if node in link.ends]
    link.loss_db = next((end.loss_db for end in ends if end.loss_db is not None), None)
    link.distance_km = next((end.distance_km for end in ends if end.distance_km is not None), None)
