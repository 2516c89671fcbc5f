"""The network as the controller knows it: records that only `network.Network` changes.

Rule of this file: plain mutable records without behaviour beyond small derived values. Readers (the
northbound, management) look and never touch. Everything here serialises to JSON for snapshots.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from keyweave_controller.control.actions import Alternative, NodeEdit
from keyweave_controller.control.configuration import (
    ConfiguredAssociation,
    LinkFacts,
    OperatorConfiguration,
    Policy,
    Tenant,
)
from keyweave_controller.control.estimates import Estimates
from keyweave_controller.control.events import AssociationRequested, InventoryNode, ProposedMove
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.service import Service
from keyweave_controller.control.shape import Hop
from keyweave_core.model.application import AppQos, RelayMethod
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Interface, KeyPool, LinkPerformance, LinkStatus, LinkTuning, LinkType
from keyweave_core.model.node import Capabilities, NodeStatus, TrustLevel
from keyweave_core.model.notifications import ApplicationNew


@dataclass(slots=True, kw_only=True)
class NodeRecord:
    """One node. `connected` is about the control session; keys may flow without it.

    `rejected` says why the agent's tree was not believed: the node is not used while it is not empty.
    `faults` are claims of the agent that were ignored (a link id or application that belongs to others).
    """

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
    rejected: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    store_trouble: str = ""  # why it cannot write its key store; empty: it can


@dataclass(slots=True, kw_only=True)
class LinkEnd:
    """What one end of a physical link last said.

    `performance` and `pool` are the newest figures, for showing; `counted_skr_bps` is the rate that was last
    journaled and that decisions use, so that a replay decides the same.
    """

    interface_id: InterfaceId | None = None
    status: LinkStatus | None = None
    performance: LinkPerformance = field(default_factory=LinkPerformance)
    pool: KeyPool | None = None
    at: float = 0.0
    counted_skr_bps: int | None = None
    counted_pool: KeyPool | None = None  # the stored key that decisions use, journaled in coarse steps
    counted_pool_at: float = 0.0  # when; its key has grown older since
    average_bps: float | None = None  # of the rates told until `average_at`; not journaled by itself
    average_at: float = 0.0
    burst_at: float | None = None  # when key last came in a block, and how far apart the blocks are
    burst_every_s: float = 0.0  # 0: not seen to come in blocks
    local_node: NodeId | None = None
    remote_node: NodeId | None = None
    remote_interface: InterfaceId | None = None
    type: LinkType | None = None
    enable: bool = True
    loss_db: float | None = None
    distance_km: float | None = None
    overloaded: bool = False
    quarantine: str = ""  # why it uses no key of the link: somebody may be listening; empty: it does


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What a scheduled association that has not begun will take of a link, tags included, and when.

    From `starts_at` until before `ends_at`, seconds since 1970.
    """

    app_id: AppId
    rate_bps: int
    starts_at: float
    ends_at: float


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
    restored_at: float | None = None
    proven: bool = False
    penalty: float = 0.0  # failures, each counted less as time goes by (`damping`)
    penalty_at: float = 0.0
    failures: float = 0.0  # the same, forgotten more slowly
    suppressed_until: float = 0.0  # fails so often that it is used only at need until then
    settles_at: float = 0.0  # its channel has moved, and it may take until then to make key again
    resting: bool = False  # not expected to make key now: between its windows, or being tuned (`resting`)
    overbooked_since: float | None = None
    bookings: dict[AppId, Booking] = field(default_factory=dict)  # promised for a time that has not come
    claims: dict[NodeId, LinkEnd] = field(default_factory=dict)

    @property
    def quarantine(self) -> str:
        """Why no key of it is used, as its ends say; empty: it is used."""
        return "; ".join(dict.fromkeys(end.quarantine for end in self.ends.values() if end.quarantine))


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An association that is to take another path, given by its nodes and physical links."""

    app_id: AppId
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]


class AssociationState(StrEnum):
    """Life of a key association.

    REQUESTED -> PREPARING -> ACTIVATING -> ACTIVE -> CLOSING -> CLOSED, with MOVING (new path written
    before the old goes) and SUSPENDED (no path now; tried again when the network changes) beside ACTIVE,
    WAITING (for others to make room, or for its time) after REQUESTED, and REFUSED as its other end.
    """

    REQUESTED = "requested"
    WAITING = "waiting"  # others move first to make room for it, or its time has not come
    PREPARING = "preparing"
    ACTIVATING = "activating"
    ACTIVE = "active"
    MOVING = "moving"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    CLOSED = "closed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRecord:
    """One virtual link: the nodes from source to destination and the physical links between them.

    A tree, for several destinations, has steps (`shape`). `bandwidth_bps` is the rate of keys that it is for,
    `hop_bps` what it holds of each link: that and tags. `method`: how keys are hidden on it.
    """

    link_id: LinkId
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    bandwidth_bps: int
    hop_bps: int
    since: float
    steps: tuple[Hop, ...] = ()
    method: RelayMethod = RelayMethod.OTP

    @property
    def hops(self) -> int:
        """Physical links crossed."""
        return len(self.links)


@dataclass(slots=True, kw_only=True)
class Association:
    """Keys shared by a source (server, 014 master) and a destination (client, 014 slave) application.

    `further` are destinations that get the very same keys, `further_nodes` (as many) where they are.
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
    asking_node: NodeId | None = None  # whose application_new opened it; told when it is refused
    waiting_requests: tuple[str, ...] = ()  # northbound requests to answer when it is ACTIVE or refused
    closing_requests: tuple[str, ...] = ()  # the same, for its end
    next_qos: AppQos | None = None  # what the change under way will grant
    next_priority: int | None = None
    next_service: Service | None = None
    switching: bool = False  # MOVING: the new path is written, both ends change over
    move_attempts: int = 0  # refused or lost moves in a row
    trouble: str = ""  # what an agent last complained of
    unproven: bool = False  # ... which was that messages fail their proof
    configured_as: str = ""  # name of its entry in the operator's configuration; that entry governs it
    tenant: str = ""  # on whose account it runs, when that is not the tenant of its source
    service: Service = field(default_factory=Service)
    others: tuple[PathRecord, ...] = ()  # beside `path`: the other shares of 1+1, or the standby of 1:1
    next_others: tuple[PathRecord, ...] = ()  # the same of the change under way
    share_bps: int | None = None  # its fair share now, at least the minimum; None: not reckoned
    written_max_bps: int | None = None  # what agents let it have, while that is less than it asked for
    preempted_by: AppId | None = None  # whose demand took its place; it is restored when there is room
    booked: tuple[tuple[LinkId, ...], ...] = ()  # WAITING for its time: the links of each path that is booked
    room_moves: tuple[Move, ...] = ()  # WAITING: others that move first; the first of them is on its way
    makes_room_for: AppId | None = None  # its present move makes room for this association
    degraded_bps: int | None = None  # what its tightest link still holds for it; None: all it was promised
    left_links: tuple[LinkId, ...] = ()  # failed, so that it moved off them; it may return (`reverting`)
    blocked_by: tuple[LinkId, ...] | None = None  # `stranded`: see `recovery`; None: to be looked at
    further: tuple[SaeId, ...] = ()
    further_nodes: tuple[NodeId, ...] = ()
    fallback: str = ""  # why its keys are made by ML-KEM now, as its source says; empty: they are not
    fallback_since: float | None = None

    @property
    def destinations(self) -> tuple[SaeId, ...]:
        """All of them, as they were named."""
        return (self.destination, *self.further)

    @property
    def destination_nodes(self) -> tuple[NodeId, ...]:
        """Where the destinations are, each node once."""
        return tuple(dict.fromkeys((self.destination_node, *self.further_nodes)))

    @property
    def branches(self) -> bool:
        """Its destinations are at several nodes, so its path is a tree."""
        return any(node_id != self.destination_node for node_id in self.further_nodes)

    @property
    def parties(self) -> tuple[SaeId, ...]:
        """Who shares its keys."""
        return parties(self.source, self.destination, self.further)

    @property
    def paths(self) -> tuple[PathRecord, ...]:
        """Every path that it holds now, the working one first."""
        return (self.path, *self.others) if self.path else self.others

    @property
    def next_paths(self) -> tuple[PathRecord, ...]:
        """Every path of the change under way."""
        return (self.next_path, *self.next_others) if self.next_path else self.next_others

    @property
    def live(self) -> bool:
        """Holds entries on nodes, or will."""
        return self.state not in ENDED

    @property
    def reserved_bps(self) -> int:
        """What its path holds on each physical link; 0 without one."""
        return self.path.bandwidth_bps if self.path else 0


def parties(source: SaeId, destination: SaeId, further: tuple[SaeId, ...] = ()) -> tuple[SaeId, ...]:
    """By whom an association is found: its source, then its destinations, however they were ordered."""
    return (source, *sorted((destination, *further))) if further else (source, destination)


ENDED = frozenset({AssociationState.CLOSED, AssociationState.REFUSED})


class Phase(StrEnum):
    """Why a node is being written."""

    PREPARE = "prepare"  # virtual link and reservation of a path
    SWITCH = "switch"  # client entry at an end: releases keys, or moves them to another path
    REMOVE = "remove"  # entries that must go
    RECONCILE = "reconcile"  # what a read tree lacks or has too much
    REPEAT = "repeat"  # the same client entry again, because its agent asked again
    RETUNE = "retune"  # the quantum channel of a physical link (`retuning`)


@dataclass(slots=True, kw_only=True)
class Step:
    """One `Configure` whose outcome has not come back. `waiting`: to be handed out again by timer."""

    step_id: str
    node_id: NodeId
    phase: Phase
    edit: NodeEdit
    app_id: AppId | None = None
    attempts: int = 1
    waiting: bool = False


@dataclass(slots=True, kw_only=True)
class Leftover:
    """Entries that a node may still hold and must not; kept until the node confirms that they are gone."""

    links: set[LinkId] = field(default_factory=set)
    applications: set[AppId] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Parked:
    """A request that came before every agent of the inventory had been heard; exactly one of two is set."""

    node_id: NodeId | None = None
    application: ApplicationNew | None = None
    request: AssociationRequested | None = None


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """A northbound request already answered, so that a repetition gets the same answer."""

    app_id: AppId | None = None
    reasons: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(slots=True, kw_only=True)
class Former:
    """What an association was granted before a change of configuration. `booked`: as `Association.booked`."""

    qos: AppQos
    priority: int
    service: Service = field(default_factory=Service)
    expires_at: float | None = None
    booked: tuple[tuple[LinkId, ...], ...] = ()


@dataclass(slots=True, kw_only=True)
class Configuring:
    """A change of configuration under way: what shall be, what is still to be begun, and what was begun.

    `todo` waits (for an association of the same pair to end or to come to rest). `under_way` maps what was
    begun to the name of its entry; `opened` and `changed` are what is undone when anything is refused.
    """

    request_id: str
    requester: str
    wanted: OperatorConfiguration
    kept: bool = True
    todo: dict[str, ConfiguredAssociation] = field(default_factory=dict)
    under_way: dict[AppId, str] = field(default_factory=dict)
    opened: dict[AppId, str] = field(default_factory=dict)
    changed: dict[AppId, Former] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTuning:
    """One end of a physical link that is told another wavelength, and what it was told before.

    `link` is its name in the plant.
    """

    node_id: NodeId
    link: str
    wanted: LinkTuning
    former: LinkTuning


@dataclass(slots=True, kw_only=True)
class Retuning:
    """Quantum channels on their way to other wavelengths: one end at a time, in this order.

    `after` is the plant once all have moved, `done` how many ends have. `reasons` not empty: it is taken back
    (`order` is then what is undone). `request_id` waits for the answer; empty for nobody.
    """

    after: Plant
    order: tuple[EndTuning, ...]
    request_id: str = ""
    configured: bool = False  # `after` is what the northbound configured
    done: int = 0
    step_id: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def links(self) -> frozenset[LinkId]:
        """The links concerned."""
        return frozenset(one.wanted.link_id for one in self.order)


@dataclass(slots=True, kw_only=True)
class NetworkState:
    """Everything the controller knows; what a snapshot holds.

    `settling` are the inventory names not heard of since the controller started. `rejected` maps an agent's
    name to why its tree was refused altogether (so it has no node record of its own). `serial` counts what
    was ever opened or handed out, and makes ids unique. `stranded` want a path better than what they have.
    `policy` and `tenants` are in force, `operator` is what was configured last; while a change of it is under
    way (`configuring`) its policy and tenants are in force already. `kept` is the configuration that a start
    goes back to, None when that is `operator`. `unserved`: entries of `operator` that have no association,
    and why. `settings_policy` is the policy of the settings file.
    """

    policy: Policy = field(default_factory=Policy)
    settings_policy: Policy = field(default_factory=Policy)
    operator: OperatorConfiguration = field(default_factory=OperatorConfiguration)
    kept: OperatorConfiguration | None = None
    configuring: Configuring | None = None
    unserved: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    tenant_of: dict[SaeId, str] = field(default_factory=dict)
    inventory: dict[str, InventoryNode] = field(default_factory=dict)
    link_facts: dict[str, LinkFacts] = field(default_factory=dict)  # by link id, or by names, `A-B`
    settling: set[str] = field(default_factory=set)
    nodes: dict[NodeId, NodeRecord] = field(default_factory=dict)
    links: dict[LinkId, LinkRecord] = field(default_factory=dict)
    associations: dict[AppId, Association] = field(default_factory=dict)
    consumers: dict[SaeId, NodeId] = field(default_factory=dict)
    unreached: dict[str, str] = field(default_factory=dict)  # inventory name -> why, never read yet
    rejected: dict[str, tuple[str, ...]] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    leftovers: dict[NodeId, Leftover] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    parked: list[Parked] = field(default_factory=list)
    requests: dict[str, RequestRecord] = field(default_factory=dict)
    stranded: set[AppId] = field(default_factory=set)
    awake: set[AppId] = field(default_factory=set)  # of the stranded: those to be looked at
    failures: tuple[float, ...] = ()  # when links failed last; many at once are a storm (`recovery`)
    storm_since: float | None = None
    optimising: str = ""  # the problem that a solver works at
    optimised: tuple[int, int] = (0, 0)  # how the network looked when it was given (`optimising`)
    proposed_moves: tuple[ProposedMove, ...] = ()  # of its answer: those still to be begun, in order
    serial: int = 0
    estimates: Estimates = field(default_factory=Estimates)  # of the demands; strategies price by them
    plant: Plant | None = None  # the fibre plant as it is now, its links named as its operator names them
    settings_plant: Plant | None = None  # as the settings gave it last
    plant_configured: bool = False  # `plant` is what the northbound configured; the settings do not count
    plant_facts: dict[str, LinkFacts] = field(default_factory=dict)  # what the plant says of links
    plant_faults: dict[LinkId, str] = field(default_factory=dict)  # channels that do not do what is asked
    retuning: Retuning | None = None
    not_moved_before: dict[str, float] = field(default_factory=dict)  # links of the plant that refused a move

    def node_name(self, node_id: NodeId) -> str:
        """What people call a node; its id when the controller never read it."""
        record = self.nodes.get(node_id)
        return record.name if record else node_id

    def link_name(self, link_id: LinkId, first: NodeId | None = None) -> str:
        """`Norte-Distrito`, seen from `first` when that is one of its ends; the id when unknown."""
        record = self.links.get(link_id)
        if record is None:
            return link_id
        a, b = (record.b, record.a) if first == record.b else (record.a, record.b)
        return f"{self.node_name(a)}-{self.node_name(b)}"
