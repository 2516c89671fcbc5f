"""Applications, as ETSI GS QKD 015 V2.1.1 describes them (`qkd_app`).

Rule of this file: values only, all frozen. Rates are bit/s, times are ISO 8601 text with a zone exactly as
YANG carries them (`yang:date-and-time`), because the model must round-trip what a node said.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId


class AppType(StrEnum):
    """QKD-APP-TYPES: an external consumer, or the network's own use of key (relay, authentication)."""

    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


class AppStatus(StrEnum):
    """APP-STATUS-TYPES."""

    ON = "ON"
    DISCONNECTED = "DISCONNECTED"
    OUT_OF_TIME = "OUT-OF-TIME"
    ZOMBIE = "ZOMBIE"


class KeyMode(StrEnum):
    """What the keys of an association may be made of."""

    QKD_ONLY = "qkd-only"
    HYBRID = "hybrid"  # QKD and ML-KEM combined: secure if either is; none without both
    PQC_FALLBACK = "pqc-fallback"  # QKD; ML-KEM while the quantum layer cannot serve, and marked


class KeyOrigin(StrEnum):
    """What one key was made of."""

    QKD = "qkd"
    HYBRID = "hybrid"
    PQC = "pqc"


class RelayMethod(StrEnum):
    """How keys travel a relayed link (ITU-T Y.3803)."""

    OTP = "one-time-pad"
    AES_256_GCM = "aes-256-gcm"  # under link keys: more keys than pool bits, secure by computation
    XOR_ANNOUNCE = "xor-announce"  # transit nodes tell the destination the xor of adjacent link keys


@dataclass(frozen=True, slots=True, kw_only=True)
class AppQos:
    """`app_qos`; each number 0..2**32-1."""

    max_bandwidth_bps: int | None = None  # above it the key manager answers with an error
    min_bandwidth_bps: int | None = None  # wanted as a minimum: what admission reserves
    jitter_ms: int | None = None
    ttl_s: int | None = None  # longest stay of an unused key in the store
    clients_shared_path_enable: bool = False
    clients_shared_keys_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PathUsage:
    """Bits and keys of one origin delivered in one period, of keys that were relayed over one link.

    Augment of keyweave-qkd-node: 015 only has the sum. `link_id` names the VIRT link, which names the path.
    """

    link_id: LinkId
    delivered_bits: int
    delivered_keys: int
    origin: KeyOrigin = KeyOrigin.QKD


@dataclass(frozen=True, slots=True, kw_only=True)
class AppStatistics:
    """One closed period (`statistics`), keyed by its end. `consumed_bits` is 0..2**32-1."""

    end_time: str
    start_time: str | None = None
    consumed_bits: int | None = None
    paths: tuple[PathUsage, ...] = ()  # augment


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An association of applications as one node holds it.

    While `remote_node_id` is None the node must not deliver keys. `server_app_id` is the application that
    started the association (the 014 master); `client_app_ids` may receive its keys. `key_mode` and
    `share_threshold` are augments of keyweave-qkd-node: of keys split over several links so many shares make
    the key again (None: all of them). `origin` (augment, observed) is what its keys are made of at this time.
    """

    app_id: AppId
    type: AppType | None = None
    status: AppStatus | None = None
    server_app_id: SaeId | None = None
    client_app_ids: tuple[SaeId, ...] = ()
    priority: int = 0
    creation_time: str | None = None
    expiration_time: str | None = None
    statistics: tuple[AppStatistics, ...] = ()
    qos: AppQos = field(default_factory=AppQos)
    backing_link_ids: tuple[LinkId, ...] = ()
    local_node_id: NodeId | None = None
    remote_node_id: NodeId | None = None
    key_mode: KeyMode = KeyMode.QKD_ONLY
    share_threshold: int | None = None
    origin: KeyOrigin | None = None
