"""What is promised on a link, and to whom.

Rule of this file: looks and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keyweave_controller.control import admission
from keyweave_controller.control.state import Association, LinkRecord, NetworkState
from keyweave_core.model.ids import AppId, LinkId, SaeId

MOST_HOLDERS = 20
"""Most holders told of one link; who has the highest priority is told first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What an association holds of a link."""

    app_id: AppId
    source: SaeId
    destination: SaeId
    priority: int
    reserved_bps: int
    preemptible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLoad:
    """What is promised on a link, and to whom: highest priority first, then who holds most."""

    link_id: LinkId
    skr_bps: int
    usable_bps: int
    reserved_bps: int
    holders: tuple[Holder, ...]


def load_of(state: NetworkState, link: LinkRecord) -> LinkLoad:
    """What is promised on a link, and to whom."""
    holders = []
    for one in state.associations.values():
        held = sum(link.reserved_bps.get(path.link_id, 0) for path in (*one.paths, *one.next_paths))
        if held:
            holders.append(
                Holder(
                    app_id=one.app_id,
                    source=one.source,
                    destination=one.destination,
                    priority=one.priority,
                    reserved_bps=held,
                    preemptible=one.service.preemptible,
                )
            )
    holders.sort(key=lambda each: (-each.priority, -each.reserved_bps, each.app_id))
    return LinkLoad(
        link_id=link.link_id,
        skr_bps=link.skr_bps,
        usable_bps=admission.usable_bps(link, state.policy),
        reserved_bps=admission.reserved_bps(link),
        holders=tuple(holders[:MOST_HOLDERS]),
    )


def tightest(state: NetworkState, links: Sequence[LinkId], one: Association) -> LinkLoad | None:
    """The link of a path that has least room, what `one` holds there counted as free; None without links."""
    known = [state.links[link_id] for link_id in links if link_id in state.links]
    if not known:
        return None
    return load_of(state, min(known, key=lambda link: admission.available_bps(link, state.policy, one.paths)))
