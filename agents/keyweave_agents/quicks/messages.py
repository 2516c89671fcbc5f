# ruff: noqa: N815 - members are spelled as the interface spells them
"""Messages of the QuicKS interface between a key manager and its SDN agent, version 2.1, as values.

Rule of this file: shapes and bounds only. Unknown members are let pass, because the interface is open and
vendors add to it; a missing or wrong one is refused by name. Rates of key are Byte/s here (bit/s in ETSI GS
QKD 015), stored key is Byte, sizes of ETSI GS QKD 014 are bit and of 004 Byte, as everywhere in these.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from keyweave_core.errors import InvalidInput

VERSION = "2.1.0"
VENDOR = "Keyweave"
BASE = "/api/v2/sdn"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=64)]
Rate = Annotated[float, msgspec.Meta(ge=0)]

Level = Literal["debug", "info", "warning", "error", "critical"]
State = Literal["online", "stopped", "offline"]
Operation = Literal["normal operation", "warnings", "errors", "critical"]


class _Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    pass


class Version(_Message, frozen=True, kw_only=True):
    """`GET /version` of either side."""

    version: Name


class Qos014(_Message, frozen=True, kw_only=True):
    """What a 014 request wants: so many keys of so many bit."""

    number: Count
    size: Count
    extensions: tuple[dict[str, Any], ...] = ()


class Qos004(_Message, frozen=True, kw_only=True):
    """What a 004 stream wants: chunks in Byte, rates in bit/s, `timeout` in ms, `ttl` in s."""

    key_chunk_size: Count
    max_bps: Count
    min_bps: Count
    ttl: Count
    jitter: Count = 0
    priority: Count = 0
    timeout: Count = 0
    metadata_mimetype: Text = ""


class QosRequest(_Message, frozen=True, kw_only=True):
    """One of the two, as `type` says."""

    type: Literal["etsi_004", "etsi_014"]
    etsi_014: Qos014 | None = None
    etsi_004: Qos004 | None = None

    def __post_init__(self) -> None:
        if getattr(self, self.type) is None:
            raise ValueError(f"type says {self.type} and there is no member of that name")


class QosGranted(_Message, frozen=True, kw_only=True):
    """What the network grants a key stream."""

    max_bps: Count
    min_bps: Count
    jitter: Count = 0
    priority: Count = 0
    ttl: Count = 0


class Kpi(_Message, frozen=True, kw_only=True):
    """Figures of one link over the last `delta_t` ms: rates in Byte/s, `KAV` in Byte.

    `IKR` goes into the network's own use (relay), `EXKR` to applications, `SKR` comes from the devices.
    """

    timestamp: Name
    delta_t: Count
    IKR: Rate = 0.0
    EXKR: Rate = 0.0
    SKR: Rate = 0.0
    KAV: Annotated[int, msgspec.Meta(ge=0)] = 0


class Performance(_Message, frozen=True, kw_only=True):
    """`GET /link/performance/{link_id}`: the newest figures, and those before, newest first."""

    current: Kpi
    history: tuple[Kpi, ...] = ()


class LinkKpi(_Message, frozen=True, kw_only=True):
    """Figures of a link as a registration carries them."""

    link_id: Name
    current_kpi: Kpi


class Options(_Message, frozen=True, kw_only=True):
    """What else a registration wants."""

    multipath: bool = False


class Registration(_Message, frozen=True, kw_only=True):
    """`POST /link/registration`: an application wants keys with others."""

    source: Name
    destination: Names
    qos_request: QosRequest
    performance: tuple[LinkKpi, ...] = ()
    options: Options = Options()


class Registered(_Message, frozen=True, kw_only=True):
    """The answer: the key stream that serves them, once it stands along the whole path."""

    key_stream_id: Name
    next_node_info: tuple[Name, ...]
    qos: QosGranted


class Joined(_Message, frozen=True, kw_only=True):
    """`PATCH /link/registration`: the application at the far end opened its side."""

    key_stream_id: Name
    destination: Name


class Model(_Message, frozen=True, kw_only=True):
    """Whose key manager it is."""

    device_vendor: Text
    device_model: Text
    device_version: Text


class Introduction(_Message, frozen=True, kw_only=True):
    """`POST /notification/registration`: a key manager has started."""

    kms_id: Name
    model: Model
    qkd_device_ids: tuple[Name, ...] = ()
    link_ids: tuple[Name, ...] = ()


class StatusReport(_Message, frozen=True, kw_only=True):
    """`PATCH /notification/status`."""

    state: State
    reason: Text


class EventReport(_Message, frozen=True, kw_only=True):
    """`PUT /notification/event`."""

    level: Level
    code: int
    reason: Text


class Info014(_Message, frozen=True, kw_only=True):
    """What a key manager offers by 014; sizes in bit."""

    KME_ID: Name
    key_size: Count
    stored_key_count: Count
    max_key_count: Count
    max_key_per_request: Count
    max_key_size: Count
    min_key_size: Count
    max_SAE_ID_count: Count = 0


class Capabilities(_Message, frozen=True, kw_only=True):
    """`GET /monitor/capabilities`."""

    key_relay_support: bool
    app_api_support: tuple[Name, ...]
    etsi_014_info: Info014 | None = None


class DeviceInfo(_Message, frozen=True, kw_only=True):
    """`GET /monitor/device-info`."""

    vendor: Text
    model: Text
    version: Text


class MonitorStatus(_Message, frozen=True, kw_only=True):
    """`GET /monitor/status`."""

    state: State
    operation: Operation


class StateChange(_Message, frozen=True, kw_only=True):
    """`PUT /control/status`."""

    state: State


class QkdDevice(_Message, frozen=True, kw_only=True):
    """A QKD module under a key manager; `state` is what it does, or shall do."""

    device_id: Name | None = None
    label: Text = ""
    state: State | None = None
    interface: Literal["etsi_004", "etsi_014"] | None = None
    protocol: Text = ""
    peer_kms: Text = ""
    server_address: Text = ""


class QkdDevices(_Message, frozen=True, kw_only=True):
    """`GET /monitor/qkd-device`."""

    qkd_devices: tuple[QkdDevice, ...]


class Addition(_Message, frozen=True, kw_only=True):
    """What our agent adds for a key manager that says it is ours: the id of the association in the 015 tree,
    so that a node in two programs and one in a single program mean the same, and the node at its far end."""

    app_id: Name | None = None
    remote_node_id: Name | None = None


class RelayOrder(_Message, frozen=True, kw_only=True):
    """`POST /link/relay/{key_stream_id}`: relay keys of these applications between these neighbours.

    `next_node_info` are the URI authorities (host:port) of all neighbouring key managers of the stream here.
    """

    source: Name
    destination: Names
    next_node_info: Annotated[tuple[Name, ...], msgspec.Meta(max_length=64)]
    qos_request: QosRequest
    keyweave: Addition | None = None


class RelayChange(_Message, frozen=True, kw_only=True):
    """`PUT /link/relay/{key_stream_id}`: what is named is changed."""

    source: Name | None = None
    destination: Names | None = None
    next_node_info: Annotated[tuple[Name, ...], msgspec.Meta(max_length=64)] | None = None
    qos_request: QosRequest | None = None
    keyweave: Addition | None = None


class Status014(_Message, omit_defaults=False, frozen=True, kw_only=True):
    """`GET /link/status`: the status of 014 over the path."""

    source_KME_ID: str
    target_KME_ID: str
    master_SAE_ID: str
    slave_SAE_ID: str
    key_size: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size: int
    min_key_size: int
    max_SAE_ID_count: int


class Problem(_Message, frozen=True, kw_only=True):
    """Every error, as `application/problem+json` (RFC 9457)."""

    title: Text
    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    detail: Text
    type: Text = "about:blank"


M = TypeVar("M", bound=_Message)


def read(body: bytes, shape: type[M]) -> M:
    """The message in `body`. InvalidInput names the member that is wrong."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is no {shape.__name__}: {error}") from error


def write(message: _Message) -> bytes:
    """A message as JSON."""
    return msgspec.json.encode(message)
