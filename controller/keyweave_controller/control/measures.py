"""Periodic figures of links, and which of them decisions depend on.

Rule of this file: figures come often and mostly say nothing new. `light` names those that only refresh what
is shown (stored key, QBER, a rate within `SMALL_CHANGE` of the one decisions use): they need no journal
entry, because leaving them out of a replay changes no decision.
"""

from dataclasses import replace

from keyweave_controller.control.beliefs import end_status, link_faults
from keyweave_controller.control.events import LinkMeasure, LinksMeasured
from keyweave_controller.control.judging import judge_link, show_figures
from keyweave_controller.control.state import LinkEnd, LinkRecord, NetworkState
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import LinkPerformance

SMALL_CHANGE = 0.05
"""Share by which a key rate may differ from the counted one before it counts anew."""


def light(state: NetworkState, event: LinksMeasured) -> bool:
    """The figures change nothing that decisions depend on."""
    for measure in event.links:
        link = state.links.get(measure.link_id)
        end = link.ends.get(event.node_id) if link else None
        if link is None or end is None:
            continue
        told = _told(end, measure, event.at)
        if end_status(told) is not end_status(end) or told.overloaded != end.overloaded:
            return False
        counted, skr = end.counted_skr_bps, measure.performance.skr_bps
        if skr is not None and (counted is None or abs(skr - counted) > SMALL_CHANGE * counted):
            return False
        trial = replace(link, ends={**link.ends, event.node_id: told})
        if link_faults(state, trial) != link.faults:
            return False
    return True


def show(turn: Turn, event: LinksMeasured) -> None:
    """Refresh what is shown, and nothing else; for `light` figures."""
    for link, measure in _known(turn.state, event.node_id, event.links):
        link.ends[event.node_id] = _told(link.ends[event.node_id], measure, event.at)
        show_figures(link)
        turn.touch_link(link.link_id)


def measured(turn: Turn, node_id: NodeId, measures: tuple[LinkMeasure, ...]) -> None:
    """Take figures into account."""
    for link, measure in _known(turn.state, node_id, measures):
        told = _told(link.ends[node_id], measure, turn.at)
        if measure.performance.skr_bps is not None:
            told.counted_skr_bps = measure.performance.skr_bps
        link.ends[node_id] = told
        turn.touch_link(link.link_id)
        judge_link(turn, link)


def overloaded(turn: Turn, node_id: NodeId, measure: LinkMeasure) -> None:
    """015 `sdqkdn_link_overloaded`: more key is drawn than made, until figures say otherwise."""
    measured(turn, node_id, (measure,))
    for link, _ in _known(turn.state, node_id, (measure,)):
        link.ends[node_id].overloaded = True


def _known(
    state: NetworkState, node_id: NodeId, measures: tuple[LinkMeasure, ...]
) -> list[tuple[LinkRecord, LinkMeasure]]:
    found = [(state.links.get(measure.link_id), measure) for measure in measures]
    return [(link, measure) for link, measure in found if link is not None and node_id in link.ends]


def _told(end: LinkEnd, measure: LinkMeasure, at: float) -> LinkEnd:
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
    )


def _newer(new: int | None, old: int | None) -> int | None:
    return old if new is None else new
