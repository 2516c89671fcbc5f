"""What is wrong with what an association has: its paths broken, unfit, short of what was promised.

Rule of this file: looks and changes nothing; `recovery` acts on what it says.
"""

from keyweave_controller.control import routing, shape, topology
from keyweave_controller.control.service import Constraints, Protection
from keyweave_controller.control.state import Association, NetworkState, PathRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkStatus

PLAIN = Constraints()
"""No constraint at all."""


def broken(turn: Turn, association: Association) -> bool:
    """No keys can be relayed, or not for long."""
    if association.source_node == association.destination_node:
        return False
    paths = needed(association)
    whole = sum(not topology.broken_links(turn.state, path) for path in paths)
    return not paths or whole < least(association)


def needed(association: Association) -> tuple[PathRecord, ...]:
    """The paths that keys take: all at once where they are split."""
    if association.service.protection is Protection.ONE_PLUS_ONE:
        return association.paths
    return (association.path,) if association.path else ()


def least(association: Association) -> int:
    """So many of `needed` must be whole for keys to flow: all, but for a share threshold."""
    return association.service.share_threshold or len(needed(association))


def wants(turn: Turn, association: Association) -> tuple[str, ...]:
    """What is wrong with the paths that it has, besides that they are broken."""
    found = [reason for path in association.paths for reason in _unfit(turn, association, path)]
    if association.degraded_bps is not None:
        found.extend(_short(turn, association))
    if association.service.share_threshold is not None:
        found.extend(_lost_shares(turn, association))
    if association.service.protection is Protection.ONE_TO_ONE and association.path is not None:
        standby = association.others[0] if association.others else None
        if standby is None or topology.broken_links(turn.state, standby):
            found.append("no path stands by")
    return tuple(dict.fromkeys(found))


def dry(turn: Turn, association: Association) -> bool:
    """So many paths have a broken link without any key left that no keys can be had."""
    paths, state = needed(association), turn.state
    wet = sum(not any(_empty(state, one) for one in topology.broken_links(state, path)) for path in paths)
    return not paths or wet < least(association)


def _empty(state: NetworkState, link_id: LinkId) -> bool:
    link = state.links.get(link_id)
    return link is None or link.status is LinkStatus.OFF


def in_brief(turn: Turn, association: Association) -> tuple[str, ...]:
    """Why it is not served, without looking how it could be."""
    state, paths = turn.state, needed(association)
    links = [
        f"link {state.link_name(link_id)} makes no key"
        for path in paths
        for link_id in topology.broken_links(state, path)
    ]
    return (*links, "no other way has room") if links else ("no way has room",)


def _unfit(turn: Turn, association: Association, path: PathRecord) -> list[str]:
    """Constraints that a path does not keep any more."""
    state, bounds = turn.state, association.service.constraints
    found: list[str] = []
    for link_id, (near, _) in zip(path.links, shape.steps_of(path), strict=True):
        link = state.links.get(link_id)
        if link is None:
            continue
        name = state.link_name(link_id, near)
        if bounds != PLAIN:
            refusals = routing.link_refusals(state, link, bounds, at=turn.at)
            found.extend(f"link {name} {reason}" for reason in refusals)
        if not all(end.enable for end in link.ends.values()):
            found.append(f"link {name} is switched off")
    for node_id in shape.relays(path):
        name = state.node_name(node_id)
        found.extend(f"node {name} {reason}" for reason in topology.relay_obstacles(state.nodes.get(node_id)))
        if bounds != PLAIN and node_id not in association.destination_nodes:
            found.extend(f"node {name} {reason}" for reason in routing.node_refusals(state, node_id, bounds))
    return found


def _lost_shares(turn: Turn, association: Association) -> list[str]:
    """Links of a path that carries no shares, while the others are enough."""
    state = turn.state
    return [
        f"link {state.link_name(link_id)} carries no shares"
        for path in association.paths
        for link_id in topology.broken_links(state, path)
    ]


def _short(turn: Turn, association: Association) -> list[str]:
    state = turn.state
    return [
        f"link {state.link_name(link_id)} keeps {held} of {path.hop_bps} bit/s for it"
        for path in association.paths
        for link_id in path.links
        if link_id in state.links
        and (held := state.links[link_id].reserved_bps.get(path.link_id, 0)) < path.hop_bps
    ] or ["it waits whether its links keep what they make"]
