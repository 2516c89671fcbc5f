"""Asking a rehearsed network for associations."""

from typing import Any

from keyweave_controller.control.actions import Answer
from keyweave_controller.control.events import AssociationRequested
from keyweave_controller.control.state import Association
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_core.model.application import AppQos


def ask(show: Rehearsal, a: str, b: str, *, rate_bps: int | None = 1_000, **more: Any) -> Answer:
    """Keys of site `a` with site `b` (applications `sae:<site>`), and everybody does what it is told."""
    request_id = f"{a}{b} {len(show.events)}"
    wish = AssociationRequested(
        at=show.now,
        request_id=request_id,
        source=f"sae:{a}",
        destination=f"sae:{b}",
        qos=more.pop("qos", AppQos(min_bandwidth_bps=rate_bps)),
        **more,
    )
    show.feed(wish)
    show.settle()
    return show.answers()[request_id]


def live_one(show: Rehearsal) -> Association:
    """The newest association that lives."""
    return [one for one in show.network.associations.values() if one.live][-1]


def nodes_over(show: Rehearsal, one: Association) -> set[tuple[str, ...]]:
    """The names along every path of an association."""
    name = show.network.state.node_name
    return {tuple(name(node_id) for node_id in path.nodes) for path in one.paths}
