"""Key association links and QKD modules, as ETSI GS QKD 015 V2.1.1 describes them.

Rule of this file: values only, all frozen. Names follow the standard without its prefixes; units stand in
the names. `None` means "the node did not say", never zero.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId


class LinkType(StrEnum):
    """QKD-LINK-TYPES."""

    PHYS = "PHYS"
    VIRT = "VIRT"


class LinkStatus(StrEnum):
    """LINK-STATUS-TYPES: whether keys are generated, and whether any are left."""

    ACTIVE = "ACTIVE"  # generating
    PASSIVE = "PASSIVE"  # not generating, keys left in the pool
    PENDING = "PENDING"  # awaiting activation, no keys yet
    OFF = "OFF"  # no generation, no keys


class Role(StrEnum):
    """QKD-ROLE-TYPES."""

    TRANSMITTER = "TRANSMITTER"
    RECEIVER = "RECEIVER"
    TRANSCEIVER = "TRANSCEIVER"


class Technology(StrEnum):
    """QKD-TECHNOLOGY-TYPES (all four derive from the base directly)."""

    CV_QKD = "CV-QKD"
    DV_QKD = "DV-QKD"
    DV_QKD_COW = "DV-QKD-COW"
    DV_QKD_2WS = "DV-QKD-2Ws"


class InterfaceStatus(StrEnum):
    """IFACE-STATUS-TYPES."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One end of a link: a node and, on physical links, the module inside it."""

    node_id: NodeId
    interface_id: InterfaceId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A QKD module seen as an interface (`qkd_interface`)."""

    interface_id: InterfaceId
    model: str | None = None
    technology: Technology | None = None
    device: str | None = None  # qkdi_att_point/device
    port: int | None = None  # qkdi_att_point/port
    role_support: Role | None = None
    wavelength_range: str | None = None  # WDM channels, e.g. "1,12-20,40"
    max_absorption_db: float | None = None
    status: InterfaceStatus | None = None  # observed


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPerformance:
    """`qkdl_performance`: rates in bit/s, 0..2**32-1; QBER as a ratio 0..0.5; SNR in dB.

    On the wire QBER is a percentage with three decimals (the profile this project fixes, since 015 leaves
    the unit open); the codec converts.
    """

    expected_consumption_bps: int | None = None
    skr_bps: int | None = None
    eskr_bps: int | None = None
    qber: float | None = None
    snr_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPool:
    """Stored key of a physical link, in bits (augment of keyweave-qkd-node; 015 has none)."""

    stored_bits: int
    capacity_bits: int
    oldest_age_s: int | None = None  # how long the oldest of it has lain there


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Why no key of a physical link is used although there may be some: somebody may be listening.

    Of the key that was made under suspicion `discarded_bits` were destroyed unused, `spent_bits` had been
    used before anybody knew. Augment of keyweave-qkd-node.
    """

    reason: str
    discarded_bits: int = 0
    spent_bits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualSpec:
    """What only a VIRT link has: this node's place on the relay path, adjacent hops only.

    Ingress has only next hops, egress only `prev_hop`. More than one next hop means multicast. `onward` are
    the nodes behind the next hop to the end of the path, for agents that want them told; it is not part of
    what the link is.
    """

    prev_hop: NodeId | None = None
    next_hops: tuple[NodeId, ...] = ()
    bandwidth_bps: int | None = None  # reserved on each underlying physical link
    onward: tuple[NodeId, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalSpec:
    """What only a PHYS link has: the expected quantum channel."""

    channel_att_db: float | None = None
    wavelength: int | None = None  # WDM channel number 1..9999
    role: Role | None = None
    distance_km: float | None = None  # augment


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTuning:
    """What one end of a PHYS link is told of its quantum channel; everything else of the link stays.

    `wavelength` is a channel number 1..9999, `channel_att_db` the loss to expect (three decimals).
    """

    link_id: LinkId
    wavelength: int
    channel_att_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A key association link as one node holds it (`qkd_link`).

    `requested_status` is the written (config) value, a wish; `status` is what the node observes. Exactly
    one of `virtual` and `physical` is set, by `type`; both are None when the node left the type out.
    """

    link_id: LinkId
    type: LinkType | None = None
    status: LinkStatus | None = None
    requested_status: LinkStatus | None = None
    enable: bool = True
    local: Endpoint | None = None
    remote: Endpoint | None = None
    applications: tuple[AppId, ...] = ()
    virtual: VirtualSpec | None = None
    physical: PhysicalSpec | None = None
    performance: LinkPerformance = field(default_factory=LinkPerformance)
    pool: KeyPool | None = None  # augment
    relay_method: RelayMethod | None = None  # augment, VIRT only
    quarantine: Quarantine | None = None  # augment, PHYS only, observed
