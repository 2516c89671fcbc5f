"""The graph that routes are found on: usable links between nodes that may carry keys.

Rule of this file: one place decides what "usable" means. A link is usable when nothing about it is in
doubt, both ends make key and both its nodes can be configured now. A node relays when it is trusted and
able to; a node without control session cannot be configured, so it takes no new path (old ones stay).
"""

from collections.abc import Iterator

from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.state import LinkRecord, NetworkState, NodeRecord, PathRecord
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.node import NodeStatus, TrustLevel


def node_obstacles(node: NodeRecord | None) -> Iterator[str]:
    """Why a node can take no new entry now."""
    if node is None:
        yield "is not known"
        return
    if node.rejected:
        yield f"is not believed: {'; '.join(node.rejected)}"
    if not node.connected:
        yield "cannot be reached by the controller"
    elif node.status in (NodeStatus.DOWN, NodeStatus.OUT):
        yield f"is {node.status}"


def relay_obstacles(node: NodeRecord | None) -> Iterator[str]:
    """Why a node cannot stand inside a path, besides `node_obstacles`."""
    if node is None:
        return
    if not node.capabilities.key_relay_mode_enable:
        yield "does not relay keys"
    if node.trust_level is not TrustLevel.TRUSTED:
        yield "is not trusted to relay keys"


def link_obstacles(link: LinkRecord) -> Iterator[str]:
    """Why a link carries no new path now, its rate aside."""
    if link.faults:
        yield f"is not believed: {'; '.join(link.faults)}"
    elif link.quarantine:
        yield f"is in quarantine ({link.quarantine})"
    elif link.status is not LinkStatus.ACTIVE:
        yield f"is {link.status}" + (f" ({link.down_reason})" if link.down_reason else "")
    elif not all(end.enable for end in link.ends.values()):
        yield "is switched off"


def usable(link: LinkRecord) -> bool:
    """No obstacle."""
    return next(link_obstacles(link), None) is None


def between_passes(link: LinkRecord) -> bool:
    """Nothing speaks against a link but that it makes no key now."""
    return not link.faults and all(end.enable for end in link.ends.values())


def may_relay(node: NodeRecord | None) -> bool:
    """The node may stand inside a new path."""
    return next(node_obstacles(node), None) is None and next(relay_obstacles(node), None) is None


def broken_links(state: NetworkState, path: PathRecord) -> tuple[LinkId, ...]:
    """Links of a path that make no key now (doubts about figures do not count: keys may well flow)."""
    return tuple(
        link_id
        for link_id in path.links
        if link_id not in state.links or state.links[link_id].down_since is not None
    )


def shy_until(link: LinkRecord, policy: Policy) -> float:
    """Until when a link is used only when nothing else fits, because it was repaired lately or fails often
    (`damping`); 0: it is not.
    """
    waits = 0.0 if link.restored_at is None else link.restored_at + policy.wait_to_restore_s
    return max(waits, link.suppressed_until)
