import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NodeStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_STATUS_UNSPECIFIED: _ClassVar[NodeStatus]
    NODE_STATUS_NEW: _ClassVar[NodeStatus]
    NODE_STATUS_OPERATING: _ClassVar[NodeStatus]
    NODE_STATUS_DOWN: _ClassVar[NodeStatus]
    NODE_STATUS_FAILURE: _ClassVar[NodeStatus]
    NODE_STATUS_OUT: _ClassVar[NodeStatus]

class TrustLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUST_LEVEL_UNSPECIFIED: _ClassVar[TrustLevel]
    TRUST_LEVEL_TRUSTED: _ClassVar[TrustLevel]
    TRUST_LEVEL_UNTRUSTED: _ClassVar[TrustLevel]

class LinkStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_STATUS_UNSPECIFIED: _ClassVar[LinkStatus]
    LINK_STATUS_ACTIVE: _ClassVar[LinkStatus]
    LINK_STATUS_PASSIVE: _ClassVar[LinkStatus]
    LINK_STATUS_PENDING: _ClassVar[LinkStatus]
    LINK_STATUS_OFF: _ClassVar[LinkStatus]

class InterfaceStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTERFACE_STATUS_UNSPECIFIED: _ClassVar[InterfaceStatus]
    INTERFACE_STATUS_ENABLED: _ClassVar[InterfaceStatus]
    INTERFACE_STATUS_DISABLED: _ClassVar[InterfaceStatus]
    INTERFACE_STATUS_FAILED: _ClassVar[InterfaceStatus]

class Technology(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TECHNOLOGY_UNSPECIFIED: _ClassVar[Technology]
    TECHNOLOGY_CV_QKD: _ClassVar[Technology]
    TECHNOLOGY_DV_QKD: _ClassVar[Technology]
    TECHNOLOGY_DV_QKD_COW: _ClassVar[Technology]
    TECHNOLOGY_DV_QKD_2WS: _ClassVar[Technology]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_TRANSMITTER: _ClassVar[Role]
    ROLE_RECEIVER: _ClassVar[Role]
    ROLE_TRANSCEIVER: _ClassVar[Role]

class AssociationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ASSOCIATION_STATE_UNSPECIFIED: _ClassVar[AssociationState]
    ASSOCIATION_STATE_REQUESTED: _ClassVar[AssociationState]
    ASSOCIATION_STATE_PREPARING: _ClassVar[AssociationState]
    ASSOCIATION_STATE_ACTIVATING: _ClassVar[AssociationState]
    ASSOCIATION_STATE_ACTIVE: _ClassVar[AssociationState]
    ASSOCIATION_STATE_MOVING: _ClassVar[AssociationState]
    ASSOCIATION_STATE_SUSPENDED: _ClassVar[AssociationState]
    ASSOCIATION_STATE_CLOSING: _ClassVar[AssociationState]
    ASSOCIATION_STATE_CLOSED: _ClassVar[AssociationState]
    ASSOCIATION_STATE_REFUSED: _ClassVar[AssociationState]
    ASSOCIATION_STATE_WAITING: _ClassVar[AssociationState]

class ServiceClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICE_CLASS_UNSPECIFIED: _ClassVar[ServiceClass]
    SERVICE_CLASS_GUARANTEED: _ClassVar[ServiceClass]
    SERVICE_CLASS_BEST_EFFORT: _ClassVar[ServiceClass]
    SERVICE_CLASS_SCHEDULED: _ClassVar[ServiceClass]

class Protection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROTECTION_UNSPECIFIED: _ClassVar[Protection]
    PROTECTION_RESTORATION: _ClassVar[Protection]
    PROTECTION_ONE_TO_ONE: _ClassVar[Protection]
    PROTECTION_ONE_PLUS_ONE: _ClassVar[Protection]

class Disjointness(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISJOINTNESS_UNSPECIFIED: _ClassVar[Disjointness]
    DISJOINTNESS_LINKS: _ClassVar[Disjointness]
    DISJOINTNESS_NODES: _ClassVar[Disjointness]
    DISJOINTNESS_RISKS: _ClassVar[Disjointness]

class KeyMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_MODE_UNSPECIFIED: _ClassVar[KeyMode]
    KEY_MODE_QKD_ONLY: _ClassVar[KeyMode]
    KEY_MODE_HYBRID: _ClassVar[KeyMode]
    KEY_MODE_PQC_FALLBACK: _ClassVar[KeyMode]

class KeyOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_ORIGIN_UNSPECIFIED: _ClassVar[KeyOrigin]
    KEY_ORIGIN_QKD: _ClassVar[KeyOrigin]
    KEY_ORIGIN_HYBRID: _ClassVar[KeyOrigin]
    KEY_ORIGIN_PQC: _ClassVar[KeyOrigin]

class RelayMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELAY_METHOD_UNSPECIFIED: _ClassVar[RelayMethod]
    RELAY_METHOD_ONE_TIME_PAD: _ClassVar[RelayMethod]
    RELAY_METHOD_AES_256_GCM: _ClassVar[RelayMethod]
    RELAY_METHOD_XOR_ANNOUNCE: _ClassVar[RelayMethod]

class OperatorState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATOR_STATE_UNSPECIFIED: _ClassVar[OperatorState]
    OPERATOR_STATE_NONE: _ClassVar[OperatorState]
    OPERATOR_STATE_ACK: _ClassVar[OperatorState]
    OPERATOR_STATE_CLOSED: _ClassVar[OperatorState]

class AlarmSeverity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALARM_SEVERITY_UNSPECIFIED: _ClassVar[AlarmSeverity]
    ALARM_SEVERITY_WARNING: _ClassVar[AlarmSeverity]
    ALARM_SEVERITY_MINOR: _ClassVar[AlarmSeverity]
    ALARM_SEVERITY_MAJOR: _ClassVar[AlarmSeverity]
    ALARM_SEVERITY_CRITICAL: _ClassVar[AlarmSeverity]

class Fate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FATE_UNSPECIFIED: _ClassVar[Fate]
    FATE_CARRIED: _ClassVar[Fate]
    FATE_MOVED: _ClassVar[Fate]
    FATE_LOST: _ClassVar[Fate]
    FATE_PREEMPTED: _ClassVar[Fate]
    FATE_DEGRADED: _ClassVar[Fate]
    FATE_WAITING: _ClassVar[Fate]
NODE_STATUS_UNSPECIFIED: NodeStatus
NODE_STATUS_NEW: NodeStatus
NODE_STATUS_OPERATING: NodeStatus
NODE_STATUS_DOWN: NodeStatus
NODE_STATUS_FAILURE: NodeStatus
NODE_STATUS_OUT: NodeStatus
TRUST_LEVEL_UNSPECIFIED: TrustLevel
TRUST_LEVEL_TRUSTED: TrustLevel
TRUST_LEVEL_UNTRUSTED: TrustLevel
LINK_STATUS_UNSPECIFIED: LinkStatus
LINK_STATUS_ACTIVE: LinkStatus
LINK_STATUS_PASSIVE: LinkStatus
LINK_STATUS_PENDING: LinkStatus
LINK_STATUS_OFF: LinkStatus
INTERFACE_STATUS_UNSPECIFIED: InterfaceStatus
INTERFACE_STATUS_ENABLED: InterfaceStatus
INTERFACE_STATUS_DISABLED: InterfaceStatus
INTERFACE_STATUS_FAILED: InterfaceStatus
TECHNOLOGY_UNSPECIFIED: Technology
TECHNOLOGY_CV_QKD: Technology
TECHNOLOGY_DV_QKD: Technology
TECHNOLOGY_DV_QKD_COW: Technology
TECHNOLOGY_DV_QKD_2WS: Technology
ROLE_UNSPECIFIED: Role
ROLE_TRANSMITTER: Role
ROLE_RECEIVER: Role
ROLE_TRANSCEIVER: Role
ASSOCIATION_STATE_UNSPECIFIED: AssociationState
ASSOCIATION_STATE_REQUESTED: AssociationState
ASSOCIATION_STATE_PREPARING: AssociationState
ASSOCIATION_STATE_ACTIVATING: AssociationState
ASSOCIATION_STATE_ACTIVE: AssociationState
ASSOCIATION_STATE_MOVING: AssociationState
ASSOCIATION_STATE_SUSPENDED: AssociationState
ASSOCIATION_STATE_CLOSING: AssociationState
ASSOCIATION_STATE_CLOSED: AssociationState
ASSOCIATION_STATE_REFUSED: AssociationState
ASSOCIATION_STATE_WAITING: AssociationState
SERVICE_CLASS_UNSPECIFIED: ServiceClass
SERVICE_CLASS_GUARANTEED: ServiceClass
SERVICE_CLASS_BEST_EFFORT: ServiceClass
SERVICE_CLASS_SCHEDULED: ServiceClass
PROTECTION_UNSPECIFIED: Protection
PROTECTION_RESTORATION: Protection
PROTECTION_ONE_TO_ONE: Protection
PROTECTION_ONE_PLUS_ONE: Protection
DISJOINTNESS_UNSPECIFIED: Disjointness
DISJOINTNESS_LINKS: Disjointness
DISJOINTNESS_NODES: Disjointness
DISJOINTNESS_RISKS: Disjointness
KEY_MODE_UNSPECIFIED: KeyMode
KEY_MODE_QKD_ONLY: KeyMode
KEY_MODE_HYBRID: KeyMode
KEY_MODE_PQC_FALLBACK: KeyMode
KEY_ORIGIN_UNSPECIFIED: KeyOrigin
KEY_ORIGIN_QKD: KeyOrigin
KEY_ORIGIN_HYBRID: KeyOrigin
KEY_ORIGIN_PQC: KeyOrigin
RELAY_METHOD_UNSPECIFIED: RelayMethod
RELAY_METHOD_ONE_TIME_PAD: RelayMethod
RELAY_METHOD_AES_256_GCM: RelayMethod
RELAY_METHOD_XOR_ANNOUNCE: RelayMethod
OPERATOR_STATE_UNSPECIFIED: OperatorState
OPERATOR_STATE_NONE: OperatorState
OPERATOR_STATE_ACK: OperatorState
OPERATOR_STATE_CLOSED: OperatorState
ALARM_SEVERITY_UNSPECIFIED: AlarmSeverity
ALARM_SEVERITY_WARNING: AlarmSeverity
ALARM_SEVERITY_MINOR: AlarmSeverity
ALARM_SEVERITY_MAJOR: AlarmSeverity
ALARM_SEVERITY_CRITICAL: AlarmSeverity
FATE_UNSPECIFIED: Fate
FATE_CARRIED: Fate
FATE_MOVED: Fate
FATE_LOST: Fate
FATE_PREEMPTED: Fate
FATE_DEGRADED: Fate
FATE_WAITING: Fate

class Node(_message.Message):
    __slots__ = ("node_id", "name", "connected", "status", "location_id", "version", "trust_level", "relays_keys", "reports_link_statistics", "reports_application_statistics", "consumers", "interfaces", "lost_reason", "changed_at", "faults", "trust", "domain")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LOCATION_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TRUST_LEVEL_FIELD_NUMBER: _ClassVar[int]
    RELAYS_KEYS_FIELD_NUMBER: _ClassVar[int]
    REPORTS_LINK_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    REPORTS_APPLICATION_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    INTERFACES_FIELD_NUMBER: _ClassVar[int]
    LOST_REASON_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    name: str
    connected: bool
    status: NodeStatus
    location_id: str
    version: str
    trust_level: TrustLevel
    relays_keys: bool
    reports_link_statistics: bool
    reports_application_statistics: bool
    consumers: _containers.RepeatedScalarFieldContainer[str]
    interfaces: _containers.RepeatedCompositeFieldContainer[Interface]
    lost_reason: str
    changed_at: _timestamp_pb2.Timestamp
    faults: _containers.RepeatedScalarFieldContainer[str]
    trust: int
    domain: str
    def __init__(self, node_id: _Optional[str] = ..., name: _Optional[str] = ..., connected: _Optional[bool] = ..., status: _Optional[_Union[NodeStatus, str]] = ..., location_id: _Optional[str] = ..., version: _Optional[str] = ..., trust_level: _Optional[_Union[TrustLevel, str]] = ..., relays_keys: _Optional[bool] = ..., reports_link_statistics: _Optional[bool] = ..., reports_application_statistics: _Optional[bool] = ..., consumers: _Optional[_Iterable[str]] = ..., interfaces: _Optional[_Iterable[_Union[Interface, _Mapping]]] = ..., lost_reason: _Optional[str] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., faults: _Optional[_Iterable[str]] = ..., trust: _Optional[int] = ..., domain: _Optional[str] = ...) -> None: ...

class Interface(_message.Message):
    __slots__ = ("interface_id", "model", "technology", "role_support", "status", "attached_device", "attached_port", "wavelength_range", "max_absorption_db")
    INTERFACE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TECHNOLOGY_FIELD_NUMBER: _ClassVar[int]
    ROLE_SUPPORT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_DEVICE_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_PORT_FIELD_NUMBER: _ClassVar[int]
    WAVELENGTH_RANGE_FIELD_NUMBER: _ClassVar[int]
    MAX_ABSORPTION_DB_FIELD_NUMBER: _ClassVar[int]
    interface_id: int
    model: str
    technology: Technology
    role_support: Role
    status: InterfaceStatus
    attached_device: str
    attached_port: int
    wavelength_range: str
    max_absorption_db: float
    def __init__(self, interface_id: _Optional[int] = ..., model: _Optional[str] = ..., technology: _Optional[_Union[Technology, str]] = ..., role_support: _Optional[_Union[Role, str]] = ..., status: _Optional[_Union[InterfaceStatus, str]] = ..., attached_device: _Optional[str] = ..., attached_port: _Optional[int] = ..., wavelength_range: _Optional[str] = ..., max_absorption_db: _Optional[float] = ...) -> None: ...

class Link(_message.Message):
    __slots__ = ("link_id", "a_node_id", "b_node_id", "a_name", "b_name", "status", "distance_km", "loss_db", "qber", "skr_bps", "reserved_bps", "available_bps", "stored_bits", "capacity_bits", "faults", "down_since", "down_reason", "reservations", "ends", "risk_groups", "latency_ms", "technologies", "limited_in_time", "windows", "shy_until", "overbooked_since", "bookings", "quarantine")
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    A_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    B_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    A_NAME_FIELD_NUMBER: _ClassVar[int]
    B_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_KM_FIELD_NUMBER: _ClassVar[int]
    LOSS_DB_FIELD_NUMBER: _ClassVar[int]
    QBER_FIELD_NUMBER: _ClassVar[int]
    SKR_BPS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BPS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_BPS_FIELD_NUMBER: _ClassVar[int]
    STORED_BITS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BITS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    DOWN_SINCE_FIELD_NUMBER: _ClassVar[int]
    DOWN_REASON_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    RISK_GROUPS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    TECHNOLOGIES_FIELD_NUMBER: _ClassVar[int]
    LIMITED_IN_TIME_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    SHY_UNTIL_FIELD_NUMBER: _ClassVar[int]
    OVERBOOKED_SINCE_FIELD_NUMBER: _ClassVar[int]
    BOOKINGS_FIELD_NUMBER: _ClassVar[int]
    QUARANTINE_FIELD_NUMBER: _ClassVar[int]
    link_id: str
    a_node_id: str
    b_node_id: str
    a_name: str
    b_name: str
    status: LinkStatus
    distance_km: float
    loss_db: float
    qber: float
    skr_bps: int
    reserved_bps: int
    available_bps: int
    stored_bits: int
    capacity_bits: int
    faults: _containers.RepeatedScalarFieldContainer[str]
    down_since: _timestamp_pb2.Timestamp
    down_reason: str
    reservations: _containers.RepeatedCompositeFieldContainer[Reservation]
    ends: _containers.RepeatedCompositeFieldContainer[LinkEnd]
    risk_groups: _containers.RepeatedScalarFieldContainer[str]
    latency_ms: float
    technologies: _containers.RepeatedScalarFieldContainer[Technology]
    limited_in_time: bool
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    shy_until: _timestamp_pb2.Timestamp
    overbooked_since: _timestamp_pb2.Timestamp
    bookings: _containers.RepeatedCompositeFieldContainer[Booking]
    quarantine: str
    def __init__(self, link_id: _Optional[str] = ..., a_node_id: _Optional[str] = ..., b_node_id: _Optional[str] = ..., a_name: _Optional[str] = ..., b_name: _Optional[str] = ..., status: _Optional[_Union[LinkStatus, str]] = ..., distance_km: _Optional[float] = ..., loss_db: _Optional[float] = ..., qber: _Optional[float] = ..., skr_bps: _Optional[int] = ..., reserved_bps: _Optional[int] = ..., available_bps: _Optional[int] = ..., stored_bits: _Optional[int] = ..., capacity_bits: _Optional[int] = ..., faults: _Optional[_Iterable[str]] = ..., down_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., down_reason: _Optional[str] = ..., reservations: _Optional[_Iterable[_Union[Reservation, _Mapping]]] = ..., ends: _Optional[_Iterable[_Union[LinkEnd, _Mapping]]] = ..., risk_groups: _Optional[_Iterable[str]] = ..., latency_ms: _Optional[float] = ..., technologies: _Optional[_Iterable[_Union[Technology, str]]] = ..., limited_in_time: _Optional[bool] = ..., windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ..., shy_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., overbooked_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., bookings: _Optional[_Iterable[_Union[Booking, _Mapping]]] = ..., quarantine: _Optional[str] = ...) -> None: ...

class Booking(_message.Message):
    __slots__ = ("app_id", "rate_bps", "starts_at", "ends_at")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    rate_bps: int
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    def __init__(self, app_id: _Optional[str] = ..., rate_bps: _Optional[int] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("starts_at", "ends_at", "rate_bps")
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    rate_bps: int
    def __init__(self, starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rate_bps: _Optional[int] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("virtual_link_id", "bandwidth_bps")
    VIRTUAL_LINK_ID_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    virtual_link_id: str
    bandwidth_bps: int
    def __init__(self, virtual_link_id: _Optional[str] = ..., bandwidth_bps: _Optional[int] = ...) -> None: ...

class LinkEnd(_message.Message):
    __slots__ = ("node_id", "interface_id", "status", "skr_bps", "effective_skr_bps", "qber", "snr_db", "stored_bits", "capacity_bits", "at")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SKR_BPS_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_SKR_BPS_FIELD_NUMBER: _ClassVar[int]
    QBER_FIELD_NUMBER: _ClassVar[int]
    SNR_DB_FIELD_NUMBER: _ClassVar[int]
    STORED_BITS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BITS_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    interface_id: int
    status: LinkStatus
    skr_bps: int
    effective_skr_bps: int
    qber: float
    snr_db: float
    stored_bits: int
    capacity_bits: int
    at: _timestamp_pb2.Timestamp
    def __init__(self, node_id: _Optional[str] = ..., interface_id: _Optional[int] = ..., status: _Optional[_Union[LinkStatus, str]] = ..., skr_bps: _Optional[int] = ..., effective_skr_bps: _Optional[int] = ..., qber: _Optional[float] = ..., snr_db: _Optional[float] = ..., stored_bits: _Optional[int] = ..., capacity_bits: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class ListLinksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLinksResponse(_message.Message):
    __slots__ = ("links",)
    LINKS_FIELD_NUMBER: _ClassVar[int]
    links: _containers.RepeatedCompositeFieldContainer[Link]
    def __init__(self, links: _Optional[_Iterable[_Union[Link, _Mapping]]] = ...) -> None: ...

class WatchTopologyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReleaseLinkRequest(_message.Message):
    __slots__ = ("link",)
    LINK_FIELD_NUMBER: _ClassVar[int]
    link: str
    def __init__(self, link: _Optional[str] = ...) -> None: ...

class ReleaseLinkResponse(_message.Message):
    __slots__ = ("link",)
    LINK_FIELD_NUMBER: _ClassVar[int]
    link: Link
    def __init__(self, link: _Optional[_Union[Link, _Mapping]] = ...) -> None: ...

class TopologyUpdate(_message.Message):
    __slots__ = ("snapshot", "nodes", "links", "removed_node_ids", "removed_link_ids")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    snapshot: bool
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    links: _containers.RepeatedCompositeFieldContainer[Link]
    removed_node_ids: _containers.RepeatedScalarFieldContainer[str]
    removed_link_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, snapshot: _Optional[bool] = ..., nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[Link, _Mapping]]] = ..., removed_node_ids: _Optional[_Iterable[str]] = ..., removed_link_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Constraints(_message.Message):
    __slots__ = ("max_hops", "max_latency_ms", "min_trust", "exclude_links", "exclude_nodes", "include_links", "include_nodes", "exclude_risks", "technologies", "domains", "min_stored_bits", "max_key_age_s", "direct_only")
    MAX_HOPS_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    MIN_TRUST_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_LINKS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_NODES_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LINKS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_NODES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_RISKS_FIELD_NUMBER: _ClassVar[int]
    TECHNOLOGIES_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    MIN_STORED_BITS_FIELD_NUMBER: _ClassVar[int]
    MAX_KEY_AGE_S_FIELD_NUMBER: _ClassVar[int]
    DIRECT_ONLY_FIELD_NUMBER: _ClassVar[int]
    max_hops: int
    max_latency_ms: float
    min_trust: int
    exclude_links: _containers.RepeatedScalarFieldContainer[str]
    exclude_nodes: _containers.RepeatedScalarFieldContainer[str]
    include_links: _containers.RepeatedScalarFieldContainer[str]
    include_nodes: _containers.RepeatedScalarFieldContainer[str]
    exclude_risks: _containers.RepeatedScalarFieldContainer[str]
    technologies: _containers.RepeatedScalarFieldContainer[Technology]
    domains: _containers.RepeatedScalarFieldContainer[str]
    min_stored_bits: int
    max_key_age_s: int
    direct_only: bool
    def __init__(self, max_hops: _Optional[int] = ..., max_latency_ms: _Optional[float] = ..., min_trust: _Optional[int] = ..., exclude_links: _Optional[_Iterable[str]] = ..., exclude_nodes: _Optional[_Iterable[str]] = ..., include_links: _Optional[_Iterable[str]] = ..., include_nodes: _Optional[_Iterable[str]] = ..., exclude_risks: _Optional[_Iterable[str]] = ..., technologies: _Optional[_Iterable[_Union[Technology, str]]] = ..., domains: _Optional[_Iterable[str]] = ..., min_stored_bits: _Optional[int] = ..., max_key_age_s: _Optional[int] = ..., direct_only: _Optional[bool] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("service_class", "protection", "disjointness", "ways", "preemptible", "key_bits", "strategy", "starts_at", "constraints", "key_mode", "relay_method", "share_threshold")
    SERVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    PROTECTION_FIELD_NUMBER: _ClassVar[int]
    DISJOINTNESS_FIELD_NUMBER: _ClassVar[int]
    WAYS_FIELD_NUMBER: _ClassVar[int]
    PREEMPTIBLE_FIELD_NUMBER: _ClassVar[int]
    KEY_BITS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    KEY_MODE_FIELD_NUMBER: _ClassVar[int]
    RELAY_METHOD_FIELD_NUMBER: _ClassVar[int]
    SHARE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    service_class: ServiceClass
    protection: Protection
    disjointness: Disjointness
    ways: int
    preemptible: bool
    key_bits: int
    strategy: str
    starts_at: _timestamp_pb2.Timestamp
    constraints: Constraints
    key_mode: KeyMode
    relay_method: RelayMethod
    share_threshold: int
    def __init__(self, service_class: _Optional[_Union[ServiceClass, str]] = ..., protection: _Optional[_Union[Protection, str]] = ..., disjointness: _Optional[_Union[Disjointness, str]] = ..., ways: _Optional[int] = ..., preemptible: _Optional[bool] = ..., key_bits: _Optional[int] = ..., strategy: _Optional[str] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., constraints: _Optional[_Union[Constraints, _Mapping]] = ..., key_mode: _Optional[_Union[KeyMode, str]] = ..., relay_method: _Optional[_Union[RelayMethod, str]] = ..., share_threshold: _Optional[int] = ...) -> None: ...

class Alternatives(_message.Message):
    __slots__ = ("alternatives",)
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    alternatives: _containers.RepeatedCompositeFieldContainer[Alternative]
    def __init__(self, alternatives: _Optional[_Iterable[_Union[Alternative, _Mapping]]] = ...) -> None: ...

class Alternative(_message.Message):
    __slots__ = ("rate_bps", "starts_at", "service_class", "note")
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    rate_bps: int
    starts_at: _timestamp_pb2.Timestamp
    service_class: ServiceClass
    note: str
    def __init__(self, rate_bps: _Optional[int] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., service_class: _Optional[_Union[ServiceClass, str]] = ..., note: _Optional[str] = ...) -> None: ...

class Qos(_message.Message):
    __slots__ = ("min_bandwidth_bps", "max_bandwidth_bps", "jitter_ms", "ttl_s", "shared_path", "shared_keys")
    MIN_BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    JITTER_MS_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    SHARED_PATH_FIELD_NUMBER: _ClassVar[int]
    SHARED_KEYS_FIELD_NUMBER: _ClassVar[int]
    min_bandwidth_bps: int
    max_bandwidth_bps: int
    jitter_ms: int
    ttl_s: int
    shared_path: bool
    shared_keys: bool
    def __init__(self, min_bandwidth_bps: _Optional[int] = ..., max_bandwidth_bps: _Optional[int] = ..., jitter_ms: _Optional[int] = ..., ttl_s: _Optional[int] = ..., shared_path: _Optional[bool] = ..., shared_keys: _Optional[bool] = ...) -> None: ...

class Path(_message.Message):
    __slots__ = ("virtual_link_id", "node_ids", "node_names", "link_ids", "hops", "bandwidth_bps", "since", "hop_bps", "steps", "relay_method")
    VIRTUAL_LINK_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    NODE_NAMES_FIELD_NUMBER: _ClassVar[int]
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    HOP_BPS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    RELAY_METHOD_FIELD_NUMBER: _ClassVar[int]
    virtual_link_id: str
    node_ids: _containers.RepeatedScalarFieldContainer[str]
    node_names: _containers.RepeatedScalarFieldContainer[str]
    link_ids: _containers.RepeatedScalarFieldContainer[str]
    hops: int
    bandwidth_bps: int
    since: _timestamp_pb2.Timestamp
    hop_bps: int
    steps: _containers.RepeatedCompositeFieldContainer[PathStep]
    relay_method: RelayMethod
    def __init__(self, virtual_link_id: _Optional[str] = ..., node_ids: _Optional[_Iterable[str]] = ..., node_names: _Optional[_Iterable[str]] = ..., link_ids: _Optional[_Iterable[str]] = ..., hops: _Optional[int] = ..., bandwidth_bps: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hop_bps: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[PathStep, _Mapping]]] = ..., relay_method: _Optional[_Union[RelayMethod, str]] = ...) -> None: ...

class PathStep(_message.Message):
    __slots__ = ("from_node_id", "to_node_id")
    FROM_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    TO_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    from_node_id: str
    to_node_id: str
    def __init__(self, from_node_id: _Optional[str] = ..., to_node_id: _Optional[str] = ...) -> None: ...

class Association(_message.Message):
    __slots__ = ("app_id", "source", "destination", "source_node_id", "destination_node_id", "source_node", "destination_node", "state", "reasons", "qos", "priority", "requested_by", "created_at", "changed_at", "expires_at", "path", "next_path", "past_paths", "outage_since", "outage_s", "configured_as", "tenant", "service", "others", "next_others", "share_bps", "degraded", "preempted_by", "trouble", "booked", "degraded_bps", "further_destinations", "further_node_ids", "further_nodes", "fallback", "fallback_since")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NODE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_NODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    NEXT_PATH_FIELD_NUMBER: _ClassVar[int]
    PAST_PATHS_FIELD_NUMBER: _ClassVar[int]
    OUTAGE_SINCE_FIELD_NUMBER: _ClassVar[int]
    OUTAGE_S_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_AS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_OTHERS_FIELD_NUMBER: _ClassVar[int]
    SHARE_BPS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    PREEMPTED_BY_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    BOOKED_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_BPS_FIELD_NUMBER: _ClassVar[int]
    FURTHER_DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    FURTHER_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    FURTHER_NODES_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_SINCE_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    source: str
    destination: str
    source_node_id: str
    destination_node_id: str
    source_node: str
    destination_node: str
    state: AssociationState
    reasons: _containers.RepeatedScalarFieldContainer[str]
    qos: Qos
    priority: int
    requested_by: str
    created_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    path: Path
    next_path: Path
    past_paths: _containers.RepeatedCompositeFieldContainer[Path]
    outage_since: _timestamp_pb2.Timestamp
    outage_s: float
    configured_as: str
    tenant: str
    service: Service
    others: _containers.RepeatedCompositeFieldContainer[Path]
    next_others: _containers.RepeatedCompositeFieldContainer[Path]
    share_bps: int
    degraded: _containers.RepeatedScalarFieldContainer[str]
    preempted_by: str
    trouble: str
    booked: _containers.RepeatedCompositeFieldContainer[BookedPath]
    degraded_bps: int
    further_destinations: _containers.RepeatedScalarFieldContainer[str]
    further_node_ids: _containers.RepeatedScalarFieldContainer[str]
    further_nodes: _containers.RepeatedScalarFieldContainer[str]
    fallback: str
    fallback_since: _timestamp_pb2.Timestamp
    def __init__(self, app_id: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., source_node_id: _Optional[str] = ..., destination_node_id: _Optional[str] = ..., source_node: _Optional[str] = ..., destination_node: _Optional[str] = ..., state: _Optional[_Union[AssociationState, str]] = ..., reasons: _Optional[_Iterable[str]] = ..., qos: _Optional[_Union[Qos, _Mapping]] = ..., priority: _Optional[int] = ..., requested_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., path: _Optional[_Union[Path, _Mapping]] = ..., next_path: _Optional[_Union[Path, _Mapping]] = ..., past_paths: _Optional[_Iterable[_Union[Path, _Mapping]]] = ..., outage_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outage_s: _Optional[float] = ..., configured_as: _Optional[str] = ..., tenant: _Optional[str] = ..., service: _Optional[_Union[Service, _Mapping]] = ..., others: _Optional[_Iterable[_Union[Path, _Mapping]]] = ..., next_others: _Optional[_Iterable[_Union[Path, _Mapping]]] = ..., share_bps: _Optional[int] = ..., degraded: _Optional[_Iterable[str]] = ..., preempted_by: _Optional[str] = ..., trouble: _Optional[str] = ..., booked: _Optional[_Iterable[_Union[BookedPath, _Mapping]]] = ..., degraded_bps: _Optional[int] = ..., further_destinations: _Optional[_Iterable[str]] = ..., further_node_ids: _Optional[_Iterable[str]] = ..., further_nodes: _Optional[_Iterable[str]] = ..., fallback: _Optional[str] = ..., fallback_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BookedPath(_message.Message):
    __slots__ = ("link_ids",)
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    link_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, link_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class OpenAssociationRequest(_message.Message):
    __slots__ = ("request_id", "source", "destination", "qos", "priority", "expires_at", "service", "further_destinations")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    FURTHER_DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    source: str
    destination: str
    qos: Qos
    priority: int
    expires_at: _timestamp_pb2.Timestamp
    service: Service
    further_destinations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., qos: _Optional[_Union[Qos, _Mapping]] = ..., priority: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., service: _Optional[_Union[Service, _Mapping]] = ..., further_destinations: _Optional[_Iterable[str]] = ...) -> None: ...

class OpenAssociationResponse(_message.Message):
    __slots__ = ("association",)
    ASSOCIATION_FIELD_NUMBER: _ClassVar[int]
    association: Association
    def __init__(self, association: _Optional[_Union[Association, _Mapping]] = ...) -> None: ...

class DeployPathRequest(_message.Message):
    __slots__ = ("path_id", "association")
    PATH_ID_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATION_FIELD_NUMBER: _ClassVar[int]
    path_id: str
    association: OpenAssociationRequest
    def __init__(self, path_id: _Optional[str] = ..., association: _Optional[_Union[OpenAssociationRequest, _Mapping]] = ...) -> None: ...

class CloseAssociationRequest(_message.Message):
    __slots__ = ("request_id", "app_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    app_id: str
    def __init__(self, request_id: _Optional[str] = ..., app_id: _Optional[str] = ...) -> None: ...

class CloseAssociationResponse(_message.Message):
    __slots__ = ("association",)
    ASSOCIATION_FIELD_NUMBER: _ClassVar[int]
    association: Association
    def __init__(self, association: _Optional[_Union[Association, _Mapping]] = ...) -> None: ...

class GetAssociationRequest(_message.Message):
    __slots__ = ("app_id",)
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    def __init__(self, app_id: _Optional[str] = ...) -> None: ...

class ListAssociationsRequest(_message.Message):
    __slots__ = ("include_ended",)
    INCLUDE_ENDED_FIELD_NUMBER: _ClassVar[int]
    include_ended: bool
    def __init__(self, include_ended: _Optional[bool] = ...) -> None: ...

class ListAssociationsResponse(_message.Message):
    __slots__ = ("associations",)
    ASSOCIATIONS_FIELD_NUMBER: _ClassVar[int]
    associations: _containers.RepeatedCompositeFieldContainer[Association]
    def __init__(self, associations: _Optional[_Iterable[_Union[Association, _Mapping]]] = ...) -> None: ...

class WatchAssociationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AssociationUpdate(_message.Message):
    __slots__ = ("snapshot", "associations", "removed_app_ids")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATIONS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_APP_IDS_FIELD_NUMBER: _ClassVar[int]
    snapshot: bool
    associations: _containers.RepeatedCompositeFieldContainer[Association]
    removed_app_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, snapshot: _Optional[bool] = ..., associations: _Optional[_Iterable[_Union[Association, _Mapping]]] = ..., removed_app_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class OperatorNote(_message.Message):
    __slots__ = ("at", "operator", "state", "text")
    AT_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    operator: str
    state: OperatorState
    text: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., operator: _Optional[str] = ..., state: _Optional[_Union[OperatorState, str]] = ..., text: _Optional[str] = ...) -> None: ...

class SetAlarmStateRequest(_message.Message):
    __slots__ = ("alarm_id", "state", "text")
    ALARM_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    alarm_id: str
    state: OperatorState
    text: str
    def __init__(self, alarm_id: _Optional[str] = ..., state: _Optional[_Union[OperatorState, str]] = ..., text: _Optional[str] = ...) -> None: ...

class PurgeAlarmsRequest(_message.Message):
    __slots__ = ("clearance", "older_than_s", "severities", "operator_state", "operator")
    class Clearance(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CLEARANCE_UNSPECIFIED: _ClassVar[PurgeAlarmsRequest.Clearance]
        CLEARANCE_CLEARED: _ClassVar[PurgeAlarmsRequest.Clearance]
        CLEARANCE_NOT_CLEARED: _ClassVar[PurgeAlarmsRequest.Clearance]
        CLEARANCE_ANY: _ClassVar[PurgeAlarmsRequest.Clearance]
    CLEARANCE_UNSPECIFIED: PurgeAlarmsRequest.Clearance
    CLEARANCE_CLEARED: PurgeAlarmsRequest.Clearance
    CLEARANCE_NOT_CLEARED: PurgeAlarmsRequest.Clearance
    CLEARANCE_ANY: PurgeAlarmsRequest.Clearance
    CLEARANCE_FIELD_NUMBER: _ClassVar[int]
    OLDER_THAN_S_FIELD_NUMBER: _ClassVar[int]
    SEVERITIES_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_STATE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    clearance: PurgeAlarmsRequest.Clearance
    older_than_s: float
    severities: _containers.RepeatedScalarFieldContainer[AlarmSeverity]
    operator_state: OperatorState
    operator: str
    def __init__(self, clearance: _Optional[_Union[PurgeAlarmsRequest.Clearance, str]] = ..., older_than_s: _Optional[float] = ..., severities: _Optional[_Iterable[_Union[AlarmSeverity, str]]] = ..., operator_state: _Optional[_Union[OperatorState, str]] = ..., operator: _Optional[str] = ...) -> None: ...

class PurgeAlarmsResponse(_message.Message):
    __slots__ = ("purged",)
    PURGED_FIELD_NUMBER: _ClassVar[int]
    purged: int
    def __init__(self, purged: _Optional[int] = ...) -> None: ...

class Alarm(_message.Message):
    __slots__ = ("alarm_id", "type", "severity", "resource", "resource_name", "text", "raised_at", "changed_at", "cleared_at", "affected_app_ids", "cause_alarm_id", "notes")
    ALARM_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RAISED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    CLEARED_AT_FIELD_NUMBER: _ClassVar[int]
    AFFECTED_APP_IDS_FIELD_NUMBER: _ClassVar[int]
    CAUSE_ALARM_ID_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    alarm_id: str
    type: str
    severity: AlarmSeverity
    resource: str
    resource_name: str
    text: str
    raised_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    cleared_at: _timestamp_pb2.Timestamp
    affected_app_ids: _containers.RepeatedScalarFieldContainer[str]
    cause_alarm_id: str
    notes: _containers.RepeatedCompositeFieldContainer[OperatorNote]
    def __init__(self, alarm_id: _Optional[str] = ..., type: _Optional[str] = ..., severity: _Optional[_Union[AlarmSeverity, str]] = ..., resource: _Optional[str] = ..., resource_name: _Optional[str] = ..., text: _Optional[str] = ..., raised_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cleared_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., affected_app_ids: _Optional[_Iterable[str]] = ..., cause_alarm_id: _Optional[str] = ..., notes: _Optional[_Iterable[_Union[OperatorNote, _Mapping]]] = ...) -> None: ...

class ListAlarmsRequest(_message.Message):
    __slots__ = ("include_cleared",)
    INCLUDE_CLEARED_FIELD_NUMBER: _ClassVar[int]
    include_cleared: bool
    def __init__(self, include_cleared: _Optional[bool] = ...) -> None: ...

class ListAlarmsResponse(_message.Message):
    __slots__ = ("alarms",)
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    alarms: _containers.RepeatedCompositeFieldContainer[Alarm]
    def __init__(self, alarms: _Optional[_Iterable[_Union[Alarm, _Mapping]]] = ...) -> None: ...

class WatchAlarmsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AlarmUpdate(_message.Message):
    __slots__ = ("snapshot", "alarms")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    snapshot: bool
    alarms: _containers.RepeatedCompositeFieldContainer[Alarm]
    def __init__(self, snapshot: _Optional[bool] = ..., alarms: _Optional[_Iterable[_Union[Alarm, _Mapping]]] = ...) -> None: ...

class UsageRecord(_message.Message):
    __slots__ = ("app_id", "source", "destination", "virtual_link_id", "node_ids", "node_names", "hops", "delivered_bits", "delivered_keys", "first_at", "last_at", "further_destinations", "origin")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_LINK_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    NODE_NAMES_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_BITS_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_KEYS_FIELD_NUMBER: _ClassVar[int]
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    FURTHER_DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    source: str
    destination: str
    virtual_link_id: str
    node_ids: _containers.RepeatedScalarFieldContainer[str]
    node_names: _containers.RepeatedScalarFieldContainer[str]
    hops: int
    delivered_bits: int
    delivered_keys: int
    first_at: _timestamp_pb2.Timestamp
    last_at: _timestamp_pb2.Timestamp
    further_destinations: _containers.RepeatedScalarFieldContainer[str]
    origin: KeyOrigin
    def __init__(self, app_id: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., virtual_link_id: _Optional[str] = ..., node_ids: _Optional[_Iterable[str]] = ..., node_names: _Optional[_Iterable[str]] = ..., hops: _Optional[int] = ..., delivered_bits: _Optional[int] = ..., delivered_keys: _Optional[int] = ..., first_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., further_destinations: _Optional[_Iterable[str]] = ..., origin: _Optional[_Union[KeyOrigin, str]] = ...) -> None: ...

class ListUsageRequest(_message.Message):
    __slots__ = ("app_id",)
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    def __init__(self, app_id: _Optional[str] = ...) -> None: ...

class ListUsageResponse(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[UsageRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[UsageRecord, _Mapping]]] = ...) -> None: ...

class GetBillRequest(_message.Message):
    __slots__ = ("app_ids",)
    APP_IDS_FIELD_NUMBER: _ClassVar[int]
    app_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, app_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class BillLine(_message.Message):
    __slots__ = ("app_id", "source", "destination", "node_names", "hops", "delivered_bits", "delivered_keys", "amount", "further_destinations", "origin")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    NODE_NAMES_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_BITS_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_KEYS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FURTHER_DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    source: str
    destination: str
    node_names: _containers.RepeatedScalarFieldContainer[str]
    hops: int
    delivered_bits: int
    delivered_keys: int
    amount: str
    further_destinations: _containers.RepeatedScalarFieldContainer[str]
    origin: KeyOrigin
    def __init__(self, app_id: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., node_names: _Optional[_Iterable[str]] = ..., hops: _Optional[int] = ..., delivered_bits: _Optional[int] = ..., delivered_keys: _Optional[int] = ..., amount: _Optional[str] = ..., further_destinations: _Optional[_Iterable[str]] = ..., origin: _Optional[_Union[KeyOrigin, str]] = ...) -> None: ...

class Tariff(_message.Message):
    __slots__ = ("per_mbit", "per_key", "per_further_hop", "currency", "decimals", "hybrid_per_mbit", "hybrid_per_key", "pqc_per_mbit", "pqc_per_key")
    PER_MBIT_FIELD_NUMBER: _ClassVar[int]
    PER_KEY_FIELD_NUMBER: _ClassVar[int]
    PER_FURTHER_HOP_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    DECIMALS_FIELD_NUMBER: _ClassVar[int]
    HYBRID_PER_MBIT_FIELD_NUMBER: _ClassVar[int]
    HYBRID_PER_KEY_FIELD_NUMBER: _ClassVar[int]
    PQC_PER_MBIT_FIELD_NUMBER: _ClassVar[int]
    PQC_PER_KEY_FIELD_NUMBER: _ClassVar[int]
    per_mbit: str
    per_key: str
    per_further_hop: str
    currency: str
    decimals: int
    hybrid_per_mbit: str
    hybrid_per_key: str
    pqc_per_mbit: str
    pqc_per_key: str
    def __init__(self, per_mbit: _Optional[str] = ..., per_key: _Optional[str] = ..., per_further_hop: _Optional[str] = ..., currency: _Optional[str] = ..., decimals: _Optional[int] = ..., hybrid_per_mbit: _Optional[str] = ..., hybrid_per_key: _Optional[str] = ..., pqc_per_mbit: _Optional[str] = ..., pqc_per_key: _Optional[str] = ...) -> None: ...

class Bill(_message.Message):
    __slots__ = ("currency", "lines", "total", "tariff")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TARIFF_FIELD_NUMBER: _ClassVar[int]
    currency: str
    lines: _containers.RepeatedCompositeFieldContainer[BillLine]
    total: str
    tariff: Tariff
    def __init__(self, currency: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[BillLine, _Mapping]]] = ..., total: _Optional[str] = ..., tariff: _Optional[_Union[Tariff, _Mapping]] = ...) -> None: ...

class ComputePathsRequest(_message.Message):
    __slots__ = ("source", "destination", "min_bandwidth_bps", "max_hops", "exclude_link_ids", "exclude_nodes", "include_link_ids", "include_nodes", "number", "service", "more_destinations", "expires_at")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    MIN_BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_HOPS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_NODES_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_NODES_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    MORE_DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    source: str
    destination: str
    min_bandwidth_bps: int
    max_hops: int
    exclude_link_ids: _containers.RepeatedScalarFieldContainer[str]
    exclude_nodes: _containers.RepeatedScalarFieldContainer[str]
    include_link_ids: _containers.RepeatedScalarFieldContainer[str]
    include_nodes: _containers.RepeatedScalarFieldContainer[str]
    number: int
    service: Service
    more_destinations: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, source: _Optional[str] = ..., destination: _Optional[str] = ..., min_bandwidth_bps: _Optional[int] = ..., max_hops: _Optional[int] = ..., exclude_link_ids: _Optional[_Iterable[str]] = ..., exclude_nodes: _Optional[_Iterable[str]] = ..., include_link_ids: _Optional[_Iterable[str]] = ..., include_nodes: _Optional[_Iterable[str]] = ..., number: _Optional[int] = ..., service: _Optional[_Union[Service, _Mapping]] = ..., more_destinations: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PathCandidate(_message.Message):
    __slots__ = ("path_id", "node_ids", "node_names", "link_ids", "hops", "cost", "bottleneck_bps", "distance_km", "latency_ms", "expires_at", "others", "total_cost", "shared_risks")
    PATH_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    NODE_NAMES_FIELD_NUMBER: _ClassVar[int]
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    BOTTLENECK_BPS_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_KM_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COST_FIELD_NUMBER: _ClassVar[int]
    SHARED_RISKS_FIELD_NUMBER: _ClassVar[int]
    path_id: str
    node_ids: _containers.RepeatedScalarFieldContainer[str]
    node_names: _containers.RepeatedScalarFieldContainer[str]
    link_ids: _containers.RepeatedScalarFieldContainer[str]
    hops: int
    cost: float
    bottleneck_bps: int
    distance_km: float
    latency_ms: float
    expires_at: _timestamp_pb2.Timestamp
    others: _containers.RepeatedCompositeFieldContainer[CandidateWay]
    total_cost: float
    shared_risks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, path_id: _Optional[str] = ..., node_ids: _Optional[_Iterable[str]] = ..., node_names: _Optional[_Iterable[str]] = ..., link_ids: _Optional[_Iterable[str]] = ..., hops: _Optional[int] = ..., cost: _Optional[float] = ..., bottleneck_bps: _Optional[int] = ..., distance_km: _Optional[float] = ..., latency_ms: _Optional[float] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., others: _Optional[_Iterable[_Union[CandidateWay, _Mapping]]] = ..., total_cost: _Optional[float] = ..., shared_risks: _Optional[_Iterable[str]] = ...) -> None: ...

class CandidateWay(_message.Message):
    __slots__ = ("node_ids", "node_names", "link_ids", "hops", "cost", "bottleneck_bps", "distance_km", "latency_ms")
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    NODE_NAMES_FIELD_NUMBER: _ClassVar[int]
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    BOTTLENECK_BPS_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_KM_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    node_ids: _containers.RepeatedScalarFieldContainer[str]
    node_names: _containers.RepeatedScalarFieldContainer[str]
    link_ids: _containers.RepeatedScalarFieldContainer[str]
    hops: int
    cost: float
    bottleneck_bps: int
    distance_km: float
    latency_ms: float
    def __init__(self, node_ids: _Optional[_Iterable[str]] = ..., node_names: _Optional[_Iterable[str]] = ..., link_ids: _Optional[_Iterable[str]] = ..., hops: _Optional[int] = ..., cost: _Optional[float] = ..., bottleneck_bps: _Optional[int] = ..., distance_km: _Optional[float] = ..., latency_ms: _Optional[float] = ...) -> None: ...

class ComputePathsResponse(_message.Message):
    __slots__ = ("paths", "reasons", "strategy")
    PATHS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    paths: _containers.RepeatedCompositeFieldContainer[PathCandidate]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    strategy: str
    def __init__(self, paths: _Optional[_Iterable[_Union[PathCandidate, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ..., strategy: _Optional[str] = ...) -> None: ...

class WhatIfRequest(_message.Message):
    __slots__ = ("fail_link_ids", "fail_nodes", "add_demands", "fail_risks", "link_rates")
    FAIL_LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    FAIL_NODES_FIELD_NUMBER: _ClassVar[int]
    ADD_DEMANDS_FIELD_NUMBER: _ClassVar[int]
    FAIL_RISKS_FIELD_NUMBER: _ClassVar[int]
    LINK_RATES_FIELD_NUMBER: _ClassVar[int]
    fail_link_ids: _containers.RepeatedScalarFieldContainer[str]
    fail_nodes: _containers.RepeatedScalarFieldContainer[str]
    add_demands: _containers.RepeatedCompositeFieldContainer[Demand]
    fail_risks: _containers.RepeatedScalarFieldContainer[str]
    link_rates: _containers.RepeatedCompositeFieldContainer[LinkRate]
    def __init__(self, fail_link_ids: _Optional[_Iterable[str]] = ..., fail_nodes: _Optional[_Iterable[str]] = ..., add_demands: _Optional[_Iterable[_Union[Demand, _Mapping]]] = ..., fail_risks: _Optional[_Iterable[str]] = ..., link_rates: _Optional[_Iterable[_Union[LinkRate, _Mapping]]] = ...) -> None: ...

class LinkRate(_message.Message):
    __slots__ = ("link", "rate_bps")
    LINK_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    link: str
    rate_bps: int
    def __init__(self, link: _Optional[str] = ..., rate_bps: _Optional[int] = ...) -> None: ...

class Demand(_message.Message):
    __slots__ = ("id", "source", "destination", "min_bandwidth_bps", "priority", "max_bandwidth_bps", "service", "expires_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    MIN_BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    source: str
    destination: str
    min_bandwidth_bps: int
    priority: int
    max_bandwidth_bps: int
    service: Service
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., min_bandwidth_bps: _Optional[int] = ..., priority: _Optional[int] = ..., max_bandwidth_bps: _Optional[int] = ..., service: _Optional[_Union[Service, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("id", "source", "destination", "fate", "node_ids", "node_names", "link_ids", "reasons", "priority", "before_bps", "after_bps", "hops_before", "hops", "preempted_by", "alternatives", "demand")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    FATE_FIELD_NUMBER: _ClassVar[int]
    NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    NODE_NAMES_FIELD_NUMBER: _ClassVar[int]
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_BPS_FIELD_NUMBER: _ClassVar[int]
    AFTER_BPS_FIELD_NUMBER: _ClassVar[int]
    HOPS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    PREEMPTED_BY_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    DEMAND_FIELD_NUMBER: _ClassVar[int]
    id: str
    source: str
    destination: str
    fate: Fate
    node_ids: _containers.RepeatedScalarFieldContainer[str]
    node_names: _containers.RepeatedScalarFieldContainer[str]
    link_ids: _containers.RepeatedScalarFieldContainer[str]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    priority: int
    before_bps: int
    after_bps: int
    hops_before: int
    hops: int
    preempted_by: str
    alternatives: _containers.RepeatedCompositeFieldContainer[Alternative]
    demand: bool
    def __init__(self, id: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., fate: _Optional[_Union[Fate, str]] = ..., node_ids: _Optional[_Iterable[str]] = ..., node_names: _Optional[_Iterable[str]] = ..., link_ids: _Optional[_Iterable[str]] = ..., reasons: _Optional[_Iterable[str]] = ..., priority: _Optional[int] = ..., before_bps: _Optional[int] = ..., after_bps: _Optional[int] = ..., hops_before: _Optional[int] = ..., hops: _Optional[int] = ..., preempted_by: _Optional[str] = ..., alternatives: _Optional[_Iterable[_Union[Alternative, _Mapping]]] = ..., demand: _Optional[bool] = ...) -> None: ...

class WhatIfResponse(_message.Message):
    __slots__ = ("outcomes", "links")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    links: _containers.RepeatedCompositeFieldContainer[LinkImpact]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[LinkImpact, _Mapping]]] = ...) -> None: ...

class LinkImpact(_message.Message):
    __slots__ = ("link_id", "a_name", "b_name", "reserved_before_bps", "reserved_bps", "usable_bps")
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    A_NAME_FIELD_NUMBER: _ClassVar[int]
    B_NAME_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BEFORE_BPS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BPS_FIELD_NUMBER: _ClassVar[int]
    USABLE_BPS_FIELD_NUMBER: _ClassVar[int]
    link_id: str
    a_name: str
    b_name: str
    reserved_before_bps: int
    reserved_bps: int
    usable_bps: int
    def __init__(self, link_id: _Optional[str] = ..., a_name: _Optional[str] = ..., b_name: _Optional[str] = ..., reserved_before_bps: _Optional[int] = ..., reserved_bps: _Optional[int] = ..., usable_bps: _Optional[int] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("association", "source", "destination")
    ASSOCIATION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    association: str
    source: str
    destination: str
    def __init__(self, association: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("association", "summary", "since", "strategy", "paths", "alternatives", "bottlenecks", "reasons", "waiting_for", "would_fit")
    ASSOCIATION_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    BOTTLENECKS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    WOULD_FIT_FIELD_NUMBER: _ClassVar[int]
    association: Association
    summary: str
    since: _timestamp_pb2.Timestamp
    strategy: str
    paths: _containers.RepeatedCompositeFieldContainer[PricedPath]
    alternatives: _containers.RepeatedCompositeFieldContainer[PricedPath]
    bottlenecks: _containers.RepeatedCompositeFieldContainer[LinkLoad]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    waiting_for: _containers.RepeatedScalarFieldContainer[str]
    would_fit: _containers.RepeatedCompositeFieldContainer[Alternative]
    def __init__(self, association: _Optional[_Union[Association, _Mapping]] = ..., summary: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., strategy: _Optional[str] = ..., paths: _Optional[_Iterable[_Union[PricedPath, _Mapping]]] = ..., alternatives: _Optional[_Iterable[_Union[PricedPath, _Mapping]]] = ..., bottlenecks: _Optional[_Iterable[_Union[LinkLoad, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ..., waiting_for: _Optional[_Iterable[str]] = ..., would_fit: _Optional[_Iterable[_Union[Alternative, _Mapping]]] = ...) -> None: ...

class PricedPath(_message.Message):
    __slots__ = ("node_names", "link_ids", "cost", "bottleneck_bps", "verdict", "latency_ms")
    NODE_NAMES_FIELD_NUMBER: _ClassVar[int]
    LINK_IDS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    BOTTLENECK_BPS_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    node_names: _containers.RepeatedScalarFieldContainer[str]
    link_ids: _containers.RepeatedScalarFieldContainer[str]
    cost: float
    bottleneck_bps: int
    verdict: str
    latency_ms: float
    def __init__(self, node_names: _Optional[_Iterable[str]] = ..., link_ids: _Optional[_Iterable[str]] = ..., cost: _Optional[float] = ..., bottleneck_bps: _Optional[int] = ..., verdict: _Optional[str] = ..., latency_ms: _Optional[float] = ...) -> None: ...

class LinkLoad(_message.Message):
    __slots__ = ("link_id", "a_name", "b_name", "skr_bps", "usable_bps", "reserved_bps", "holders")
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    A_NAME_FIELD_NUMBER: _ClassVar[int]
    B_NAME_FIELD_NUMBER: _ClassVar[int]
    SKR_BPS_FIELD_NUMBER: _ClassVar[int]
    USABLE_BPS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BPS_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    link_id: str
    a_name: str
    b_name: str
    skr_bps: int
    usable_bps: int
    reserved_bps: int
    holders: _containers.RepeatedCompositeFieldContainer[LinkHolder]
    def __init__(self, link_id: _Optional[str] = ..., a_name: _Optional[str] = ..., b_name: _Optional[str] = ..., skr_bps: _Optional[int] = ..., usable_bps: _Optional[int] = ..., reserved_bps: _Optional[int] = ..., holders: _Optional[_Iterable[_Union[LinkHolder, _Mapping]]] = ...) -> None: ...

class LinkHolder(_message.Message):
    __slots__ = ("app_id", "source", "destination", "priority", "reserved_bps", "preemptible")
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BPS_FIELD_NUMBER: _ClassVar[int]
    PREEMPTIBLE_FIELD_NUMBER: _ClassVar[int]
    app_id: str
    source: str
    destination: str
    priority: int
    reserved_bps: int
    preemptible: bool
    def __init__(self, app_id: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., priority: _Optional[int] = ..., reserved_bps: _Optional[int] = ..., preemptible: _Optional[bool] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("default_min_bandwidth_bps", "max_relay_hops", "usable_share", "wait_to_restore_s", "closed_kept", "guaranteed_strategy", "best_effort_strategy", "scheduled_strategy", "preemption", "most_moves", "optimise_every_s", "move_budget", "revert", "rate_smoothing_s", "overbooked_hold_s", "damping_half_life_s", "damping_suppress", "damping_reuse", "keys_per_batch", "share_spare_rate", "path_validity_s", "guaranteed_key_mode", "best_effort_key_mode", "scheduled_key_mode", "guaranteed_relay_method", "best_effort_relay_method", "scheduled_relay_method", "gcm_key_bits_per_pool_bit")
    DEFAULT_MIN_BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_RELAY_HOPS_FIELD_NUMBER: _ClassVar[int]
    USABLE_SHARE_FIELD_NUMBER: _ClassVar[int]
    WAIT_TO_RESTORE_S_FIELD_NUMBER: _ClassVar[int]
    CLOSED_KEPT_FIELD_NUMBER: _ClassVar[int]
    GUARANTEED_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    BEST_EFFORT_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    PREEMPTION_FIELD_NUMBER: _ClassVar[int]
    MOST_MOVES_FIELD_NUMBER: _ClassVar[int]
    OPTIMISE_EVERY_S_FIELD_NUMBER: _ClassVar[int]
    MOVE_BUDGET_FIELD_NUMBER: _ClassVar[int]
    REVERT_FIELD_NUMBER: _ClassVar[int]
    RATE_SMOOTHING_S_FIELD_NUMBER: _ClassVar[int]
    OVERBOOKED_HOLD_S_FIELD_NUMBER: _ClassVar[int]
    DAMPING_HALF_LIFE_S_FIELD_NUMBER: _ClassVar[int]
    DAMPING_SUPPRESS_FIELD_NUMBER: _ClassVar[int]
    DAMPING_REUSE_FIELD_NUMBER: _ClassVar[int]
    KEYS_PER_BATCH_FIELD_NUMBER: _ClassVar[int]
    SHARE_SPARE_RATE_FIELD_NUMBER: _ClassVar[int]
    PATH_VALIDITY_S_FIELD_NUMBER: _ClassVar[int]
    GUARANTEED_KEY_MODE_FIELD_NUMBER: _ClassVar[int]
    BEST_EFFORT_KEY_MODE_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_KEY_MODE_FIELD_NUMBER: _ClassVar[int]
    GUARANTEED_RELAY_METHOD_FIELD_NUMBER: _ClassVar[int]
    BEST_EFFORT_RELAY_METHOD_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_RELAY_METHOD_FIELD_NUMBER: _ClassVar[int]
    GCM_KEY_BITS_PER_POOL_BIT_FIELD_NUMBER: _ClassVar[int]
    default_min_bandwidth_bps: int
    max_relay_hops: int
    usable_share: float
    wait_to_restore_s: float
    closed_kept: int
    guaranteed_strategy: str
    best_effort_strategy: str
    scheduled_strategy: str
    preemption: bool
    most_moves: int
    optimise_every_s: float
    move_budget: int
    revert: bool
    rate_smoothing_s: float
    overbooked_hold_s: float
    damping_half_life_s: float
    damping_suppress: float
    damping_reuse: float
    keys_per_batch: int
    share_spare_rate: bool
    path_validity_s: float
    guaranteed_key_mode: str
    best_effort_key_mode: str
    scheduled_key_mode: str
    guaranteed_relay_method: str
    best_effort_relay_method: str
    scheduled_relay_method: str
    gcm_key_bits_per_pool_bit: int
    def __init__(self, default_min_bandwidth_bps: _Optional[int] = ..., max_relay_hops: _Optional[int] = ..., usable_share: _Optional[float] = ..., wait_to_restore_s: _Optional[float] = ..., closed_kept: _Optional[int] = ..., guaranteed_strategy: _Optional[str] = ..., best_effort_strategy: _Optional[str] = ..., scheduled_strategy: _Optional[str] = ..., preemption: _Optional[bool] = ..., most_moves: _Optional[int] = ..., optimise_every_s: _Optional[float] = ..., move_budget: _Optional[int] = ..., revert: _Optional[bool] = ..., rate_smoothing_s: _Optional[float] = ..., overbooked_hold_s: _Optional[float] = ..., damping_half_life_s: _Optional[float] = ..., damping_suppress: _Optional[float] = ..., damping_reuse: _Optional[float] = ..., keys_per_batch: _Optional[int] = ..., share_spare_rate: _Optional[bool] = ..., path_validity_s: _Optional[float] = ..., guaranteed_key_mode: _Optional[str] = ..., best_effort_key_mode: _Optional[str] = ..., scheduled_key_mode: _Optional[str] = ..., guaranteed_relay_method: _Optional[str] = ..., best_effort_relay_method: _Optional[str] = ..., scheduled_relay_method: _Optional[str] = ..., gcm_key_bits_per_pool_bit: _Optional[int] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetPolicyRequest(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: Policy
    def __init__(self, policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...

class PolicyReply(_message.Message):
    __slots__ = ("policy", "configured", "strategies")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    STRATEGIES_FIELD_NUMBER: _ClassVar[int]
    policy: Policy
    configured: bool
    strategies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, policy: _Optional[_Union[Policy, _Mapping]] = ..., configured: _Optional[bool] = ..., strategies: _Optional[_Iterable[str]] = ...) -> None: ...

class GetTariffRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetTariffRequest(_message.Message):
    __slots__ = ("tariff",)
    TARIFF_FIELD_NUMBER: _ClassVar[int]
    tariff: Tariff
    def __init__(self, tariff: _Optional[_Union[Tariff, _Mapping]] = ...) -> None: ...

class TariffReply(_message.Message):
    __slots__ = ("tariff", "configured")
    TARIFF_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    tariff: Tariff
    configured: bool
    def __init__(self, tariff: _Optional[_Union[Tariff, _Mapping]] = ..., configured: _Optional[bool] = ...) -> None: ...

class Tenant(_message.Message):
    __slots__ = ("name", "description", "applications", "max_associations", "max_bandwidth_bps", "associations", "reserved_bps", "key_mode", "relay_method")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_ASSOCIATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_BANDWIDTH_BPS_FIELD_NUMBER: _ClassVar[int]
    ASSOCIATIONS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BPS_FIELD_NUMBER: _ClassVar[int]
    KEY_MODE_FIELD_NUMBER: _ClassVar[int]
    RELAY_METHOD_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    applications: _containers.RepeatedScalarFieldContainer[str]
    max_associations: int
    max_bandwidth_bps: int
    associations: int
    reserved_bps: int
    key_mode: KeyMode
    relay_method: RelayMethod
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., applications: _Optional[_Iterable[str]] = ..., max_associations: _Optional[int] = ..., max_bandwidth_bps: _Optional[int] = ..., associations: _Optional[int] = ..., reserved_bps: _Optional[int] = ..., key_mode: _Optional[_Union[KeyMode, str]] = ..., relay_method: _Optional[_Union[RelayMethod, str]] = ...) -> None: ...

class ListTenantsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTenantsResponse(_message.Message):
    __slots__ = ("tenants",)
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedCompositeFieldContainer[Tenant]
    def __init__(self, tenants: _Optional[_Iterable[_Union[Tenant, _Mapping]]] = ...) -> None: ...

class PutTenantRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ...) -> None: ...

class DeleteTenantRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteTenantResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConfiguredAssociation(_message.Message):
    __slots__ = ("name", "source", "destination", "qos", "priority", "expires_at", "tenant", "app_id", "service")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    destination: str
    qos: Qos
    priority: int
    expires_at: _timestamp_pb2.Timestamp
    tenant: str
    app_id: str
    service: Service
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., qos: _Optional[_Union[Qos, _Mapping]] = ..., priority: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant: _Optional[str] = ..., app_id: _Optional[str] = ..., service: _Optional[_Union[Service, _Mapping]] = ...) -> None: ...

class ListConfiguredRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListConfiguredResponse(_message.Message):
    __slots__ = ("associations",)
    ASSOCIATIONS_FIELD_NUMBER: _ClassVar[int]
    associations: _containers.RepeatedCompositeFieldContainer[ConfiguredAssociation]
    def __init__(self, associations: _Optional[_Iterable[_Union[ConfiguredAssociation, _Mapping]]] = ...) -> None: ...

class PutConfiguredRequest(_message.Message):
    __slots__ = ("association",)
    ASSOCIATION_FIELD_NUMBER: _ClassVar[int]
    association: ConfiguredAssociation
    def __init__(self, association: _Optional[_Union[ConfiguredAssociation, _Mapping]] = ...) -> None: ...

class DeleteConfiguredRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteConfiguredResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
