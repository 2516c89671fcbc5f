"""Periodic figures of links, and which of them decisions depend on.

Rule of this file: figures come often and mostly say nothing new. `light` names those that only refresh what
is shown (QBER, stored key within a step, a rate whose average is near the one decisions use): they need no
journal entry, because leaving them out of a replay changes no decision. `weighed` puts the average into the
event before it is judged and journaled, so a replay counts what was counted then.
"""

from collections.abc import Iterable
from dataclasses import replace

from keyweave_controller.control import averaging, recovery
from keyweave_controller.control.beliefs import end_status, link_faults
from keyweave_controller.control.events import Event, LinkMeasure, LinksMeasured, Notified
from keyweave_controller.control.judging import judge_link, show_figures
from keyweave_controller.control.lookups import Lookups
from keyweave_controller.control.state import LinkEnd, LinkRecord, NetworkState
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import LinkPerformance
from keyweave_core.model.notifications import LinkPerfUpdate

SMALL_CHANGE = 0.05
"""Share by which an average key rate may differ from the counted one before it counts anew."""


def weighed(state: NetworkState, event: Event) -> Event:
    """The event with the average rate of every link that it tells of; other events as they are.

    A notification of figures becomes the `LinksMeasured` that it is. Asks what is shown, which no journal
    holds: so the engine asks, before it writes the event down.
    """
    if isinstance(event, Notified) and isinstance(event.notification, LinkPerfUpdate):
        told = event.notification
        if told.link_id is None:
            return event
        measure = LinkMeasure(link_id=told.link_id, performance=told.performance)
        event = LinksMeasured(at=event.at, node_id=event.node_id, links=(measure,))
    if not isinstance(event, LinksMeasured):
        return event
    links = tuple(_weighed(state, event.node_id, measure, event.at) for measure in event.links)
    return replace(event, links=links)


def _weighed(state: NetworkState, node_id: NodeId, measure: LinkMeasure, at: float) -> LinkMeasure:
    link = state.links.get(measure.link_id)
    end = link.ends.get(node_id) if link else None
    if end is None:
        return measure
    told = averaging.follow(
        end, measure.performance.skr_bps, measure.status, at, state.policy.rate_smoothing_s
    )
    return replace(measure, smoothed_skr_bps=told.average_bps)


def unsettled(state: NetworkState, node_id: NodeId, link_ids: Iterable[LinkId]) -> tuple[LinkId, ...]:
    """Those of these links whose average moves on although the node tells nothing new."""
    found = ((link_id, state.links.get(link_id)) for link_id in link_ids)
    ends = ((link_id, link.ends.get(node_id)) for link_id, link in found if link is not None)
    return tuple(link_id for link_id, end in ends if end is not None and not averaging.settled(end))


def light(state: NetworkState, lookups: Lookups, event: LinksMeasured) -> bool:
    """The figures change nothing that decisions depend on."""
    floors, ages = lookups.crossings.floors, lookups.crossings.ages
    for measure in event.links:
        link = state.links.get(measure.link_id)
        end = link.ends.get(event.node_id) if link else None
        if link is None or end is None:
            continue
        told = _told(state, end, measure, event.at)
        if end_status(told) is not end_status(end) or told.overloaded != end.overloaded:
            return False
        if _rate_is_news(end, told, _rate(measure), wanted=_wanted(lookups, measure.link_id)):
            return False
        if averaging.pool_is_news(end.counted_pool, measure.pool, floors) or averaging.age_is_news(
            end.counted_pool, measure.pool, ages
        ):
            return False
        trial = replace(link, ends={**link.ends, event.node_id: told})
        if link_faults(state, trial) != link.faults:
            return False
    return True


def _rate_is_news(before: LinkEnd, told: LinkEnd, rate: float | None, *, wanted: bool) -> bool:
    """It differs enough from the rate that counts.

    On the way a small difference means little. Where the average has arrived at what is told, the difference
    would stay: it counts then, and to the last bit/s where somebody waits for it.
    """
    counted = before.counted_skr_bps
    if rate is None or counted is None:
        return rate is not None
    change = abs(rate - counted)
    if change <= 0.5:
        return False
    arrived = rate == told.performance.skr_bps
    return change > SMALL_CHANGE * counted or (arrived and (wanted or change > averaging.SETTLED * counted))


def _wanted(lookups: Lookups, link_id: LinkId) -> bool:
    """Somebody has less on a link than it was promised, or waits for room on it."""
    crossings = lookups.crossings
    return bool(crossings.blocked(link_id)) or not crossings.short.isdisjoint(crossings.over(link_id))


def show(turn: Turn, event: LinksMeasured) -> None:
    """Refresh what is shown, and nothing else; for `light` figures."""
    for link, measure in _known(turn.state, event.node_id, event.links):
        link.ends[event.node_id] = _told(turn.state, link.ends[event.node_id], measure, event.at)
        show_figures(link)
        turn.touch_link(link.link_id)


def measured(turn: Turn, node_id: NodeId, measures: tuple[LinkMeasure, ...]) -> None:
    """Take figures into account."""
    crossings = turn.crossings
    for link, measure in _known(turn.state, node_id, measures):
        before = link.ends[node_id]
        told = _told(turn.state, before, measure, turn.at)
        rate = _rate(measure)
        if rate is not None:
            told.counted_skr_bps = round(rate)
        if averaging.pool_is_news(before.counted_pool, measure.pool, crossings.floors) or (
            averaging.age_is_news(before.counted_pool, measure.pool, crossings.ages)
        ):
            told.counted_pool, told.counted_pool_at = measure.pool, turn.at
        link.ends[node_id] = told
        turn.touch_link(link.link_id)
        judge_link(turn, link)
        if told.counted_pool is not before.counted_pool:
            recovery.store_changed(turn, link.link_id)


def overloaded(turn: Turn, node_id: NodeId, measure: LinkMeasure) -> None:
    """015 `sdqkdn_link_overloaded`: more key is drawn than made, until figures say otherwise.

    Its figures are of the moment in which it was drawn too fast: the rate counts only where none does yet.
    """
    for link, _ in _known(turn.state, node_id, (measure,)):
        if link.ends[node_id].counted_skr_bps is not None:
            measure = replace(measure, performance=replace(measure.performance, skr_bps=None))
    measured(turn, node_id, (measure,))
    for link, _ in _known(turn.state, node_id, (measure,)):
        link.ends[node_id].overloaded = True


def _rate(measure: LinkMeasure) -> float | None:
    """The rate to count: the average, or what was told when nobody weighed it."""
    told = measure.performance.skr_bps
    return told if measure.smoothed_skr_bps is None else measure.smoothed_skr_bps


def _known(
    state: NetworkState, node_id: NodeId, measures: tuple[LinkMeasure, ...]
) -> list[tuple[LinkRecord, LinkMeasure]]:
    found = [(state.links.get(measure.link_id), measure) for measure in measures]
    return [(link, measure) for link, measure in found if link is not None and node_id in link.ends]


def _told(state: NetworkState, end: LinkEnd, measure: LinkMeasure, at: float) -> LinkEnd:
    """The end as it looks with the new figures; what they leave out stays."""
    new, old = measure.performance, end.performance
    expected = new.expected_consumption_bps
    performance = LinkPerformance(
        expected_consumption_bps=_newer(expected, old.expected_consumption_bps),
        skr_bps=_newer(new.skr_bps, old.skr_bps),
        eskr_bps=_newer(new.eskr_bps, old.eskr_bps),
        qber=new.qber if new.qber is not None else old.qber,
        snr_db=new.snr_db if new.snr_db is not None else old.snr_db,
    )
    average = averaging.follow(end, new.skr_bps, measure.status, at, state.policy.rate_smoothing_s)
    if measure.smoothed_skr_bps is not None:
        average = replace(average, average_bps=measure.smoothed_skr_bps)
    elif new.skr_bps is not None:
        average = replace(average, average_bps=float(new.skr_bps))
    # The counted rate, not the shown one: a replay without light figures must come to the same.
    rate = new.skr_bps if new.skr_bps is not None else end.counted_skr_bps
    relieved = expected is not None and expected <= (rate or 0)
    return replace(
        end,
        status=measure.status or end.status,
        performance=performance,
        pool=measure.pool or end.pool,
        overloaded=end.overloaded and not relieved,
        at=at,
        average_bps=average.average_bps,
        average_at=average.average_at,
        burst_at=average.burst_at,
        burst_every_s=average.burst_every_s,
    )


def _newer(new: int | None, old: int | None) -> int | None:
    return old if new is None else new
