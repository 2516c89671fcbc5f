"""The network as the controller knows it: records that only `network.Network` changes.

Rule of this file: plain mutable records without behaviour beyond small derived values. Readers (the
northbound, management) look and never touch. Everything here serialises to JSON for snapshots.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Interface, KeyPool, LinkPerformance, LinkStatus
from keyweave_core.model.node import Capabilities, NodeStatus, TrustLevel


@dataclass(slots=True, kw_only=True)
class NodeRecord:
    """One node. `connected` is about the control session; keys may flow without it."""

    node_id: NodeId
    name: str
    connected: bool
    status: NodeStatus
    location_id: str = ""
    version: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    trust_level: TrustLevel = TrustLevel.TRUSTED
    consumers: tuple[SaeId, ...] = ()
    interfaces: dict[InterfaceId, Interface] = field(default_factory=dict)
    lost_reason: str = ""
    changed_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class LinkEnd:
    """What one end of a physical link last said."""

    interface_id: InterfaceId | None = None
    status: LinkStatus | None = None
    performance: LinkPerformance = field(default_factory=LinkPerformance)
    pool: KeyPool | None = None
    at: float = 0.0


@dataclass(slots=True, kw_only=True)
class LinkRecord:
    """One physical link. `a` < `b` as text, so that a link is one thing whichever end spoke first.

    `faults` says why a link is not used although an agent offers it (ends disagree, figures impossible, far
    end unknown). `reserved_bps` maps each virtual link to what it holds here.
    """

    link_id: LinkId
    a: NodeId
    b: NodeId
    ends: dict[NodeId, LinkEnd] = field(default_factory=dict)
    distance_km: float | None = None
    loss_db: float | None = None
    status: LinkStatus = LinkStatus.PENDING
    faults: tuple[str, ...] = ()
    skr_bps: int = 0  # what both ends can vouch for: the smaller of the two
    qber: float | None = None
    reserved_bps: dict[LinkId, int] = field(default_factory=dict)
    down_since: float | None = None
    down_reason: str = ""


class AssociationState(StrEnum):
    """Life of a key association.

    REQUESTED -> PREPARING -> ACTIVATING -> ACTIVE -> CLOSING -> CLOSED, with MOVING (new path written
    before the old goes) and SUSPENDED (no path now; tried again when the network changes) beside ACTIVE, and
    REFUSED as the other end of REQUESTED.
    """

    REQUESTED = "requested"
    PREPARING = "preparing"
    ACTIVATING = "activating"
    ACTIVE = "active"
    MOVING = "moving"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    CLOSED = "closed"
    REFUSED = "refused"


@dataclass(slots=True, kw_only=True)
class PathRecord:
    """One virtual link: the nodes from source to destination and the physical links between them."""

    link_id: LinkId
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    bandwidth_bps: int
    since: float

    @property
    def hops(self) -> int:
        """Physical links crossed."""
        return len(self.links)


@dataclass(slots=True, kw_only=True)
class Association:
    """Keys shared by a source (server, 014 master) and a destination (client, 014 slave) application.

    `path` is what keys take now, `next_path` what is being written, `past_paths` those already left (kept
    so that usage of keys relayed earlier still finds its path). `reasons` explain SUSPENDED and REFUSED.
    """

    app_id: AppId
    source: SaeId
    destination: SaeId
    source_node: NodeId
    destination_node: NodeId
    qos: AppQos
    priority: int
    state: AssociationState
    requested_by: str
    created_at: float
    changed_at: float
    expires_at: float | None = None
    path: PathRecord | None = None
    next_path: PathRecord | None = None
    past_paths: dict[LinkId, PathRecord] = field(default_factory=dict)
    generation: int = 0  # virtual links ever made, so that each gets an id of its own
    pending_steps: set[str] = field(default_factory=set)
    reasons: tuple[str, ...] = ()
    outage_since: float | None = None
    outage_s: float = 0.0
