import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_KEEPS: _ClassVar[Verdict]
    VERDICT_MOVES: _ClassVar[Verdict]
    VERDICT_FAILS: _ClassVar[Verdict]
VERDICT_UNSPECIFIED: Verdict
VERDICT_KEEPS: Verdict
VERDICT_MOVES: Verdict
VERDICT_FAILS: Verdict

class GetPlantRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PlantReply(_message.Message):
    __slots__ = ("toml", "configured", "fibres", "modules", "classical", "channels", "moving")
    TOML_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    FIBRES_FIELD_NUMBER: _ClassVar[int]
    MODULES_FIELD_NUMBER: _ClassVar[int]
    CLASSICAL_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    MOVING_FIELD_NUMBER: _ClassVar[int]
    toml: str
    configured: bool
    fibres: int
    modules: int
    classical: _containers.RepeatedCompositeFieldContainer[ClassicalChannel]
    channels: _containers.RepeatedCompositeFieldContainer[ChannelJudgement]
    moving: bool
    def __init__(self, toml: _Optional[str] = ..., configured: _Optional[bool] = ..., fibres: _Optional[int] = ..., modules: _Optional[int] = ..., classical: _Optional[_Iterable[_Union[ClassicalChannel, _Mapping]]] = ..., channels: _Optional[_Iterable[_Union[ChannelJudgement, _Mapping]]] = ..., moving: _Optional[bool] = ...) -> None: ...

class SetPlantRequest(_message.Message):
    __slots__ = ("toml", "request_id")
    TOML_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    toml: str
    request_id: str
    def __init__(self, toml: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ClassicalChannel(_message.Message):
    __slots__ = ("name", "source", "fibres", "channel", "launch_dbm")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FIBRES_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_DBM_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    fibres: _containers.RepeatedScalarFieldContainer[str]
    channel: int
    launch_dbm: float
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., fibres: _Optional[_Iterable[str]] = ..., channel: _Optional[int] = ..., launch_dbm: _Optional[float] = ...) -> None: ...

class ModuleRef(_message.Message):
    __slots__ = ("site", "interface_id")
    SITE_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_ID_FIELD_NUMBER: _ClassVar[int]
    site: str
    interface_id: int
    def __init__(self, site: _Optional[str] = ..., interface_id: _Optional[int] = ...) -> None: ...

class ComputeChannelsRequest(_message.Message):
    __slots__ = ("a", "b", "demand_bps", "number", "routes", "link", "without_fibres", "without_ducts")
    A_FIELD_NUMBER: _ClassVar[int]
    B_FIELD_NUMBER: _ClassVar[int]
    DEMAND_BPS_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_FIBRES_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_DUCTS_FIELD_NUMBER: _ClassVar[int]
    a: str
    b: str
    demand_bps: int
    number: int
    routes: int
    link: str
    without_fibres: _containers.RepeatedScalarFieldContainer[str]
    without_ducts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, a: _Optional[str] = ..., b: _Optional[str] = ..., demand_bps: _Optional[int] = ..., number: _Optional[int] = ..., routes: _Optional[int] = ..., link: _Optional[str] = ..., without_fibres: _Optional[_Iterable[str]] = ..., without_ducts: _Optional[_Iterable[str]] = ...) -> None: ...

class ChannelCandidate(_message.Message):
    __slots__ = ("transmitter", "receiver", "fibres", "channel", "wavelength_nm", "loss_db", "distance_km", "skr_bps", "qber", "noise_w_per_nm", "loudest", "ducts")
    TRANSMITTER_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    FIBRES_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    WAVELENGTH_NM_FIELD_NUMBER: _ClassVar[int]
    LOSS_DB_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_KM_FIELD_NUMBER: _ClassVar[int]
    SKR_BPS_FIELD_NUMBER: _ClassVar[int]
    QBER_FIELD_NUMBER: _ClassVar[int]
    NOISE_W_PER_NM_FIELD_NUMBER: _ClassVar[int]
    LOUDEST_FIELD_NUMBER: _ClassVar[int]
    DUCTS_FIELD_NUMBER: _ClassVar[int]
    transmitter: ModuleRef
    receiver: ModuleRef
    fibres: _containers.RepeatedScalarFieldContainer[str]
    channel: int
    wavelength_nm: float
    loss_db: float
    distance_km: float
    skr_bps: int
    qber: float
    noise_w_per_nm: float
    loudest: str
    ducts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, transmitter: _Optional[_Union[ModuleRef, _Mapping]] = ..., receiver: _Optional[_Union[ModuleRef, _Mapping]] = ..., fibres: _Optional[_Iterable[str]] = ..., channel: _Optional[int] = ..., wavelength_nm: _Optional[float] = ..., loss_db: _Optional[float] = ..., distance_km: _Optional[float] = ..., skr_bps: _Optional[int] = ..., qber: _Optional[float] = ..., noise_w_per_nm: _Optional[float] = ..., loudest: _Optional[str] = ..., ducts: _Optional[_Iterable[str]] = ...) -> None: ...

class ComputeChannelsResponse(_message.Message):
    __slots__ = ("candidates", "reasons")
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedCompositeFieldContainer[ChannelCandidate]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, candidates: _Optional[_Iterable[_Union[ChannelCandidate, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class ChannelJudgement(_message.Message):
    __slots__ = ("link", "link_id", "verdict", "demand_bps", "channel", "fibres", "skr_bps", "qber", "loss_db", "loudest", "move", "reasons")
    LINK_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    DEMAND_BPS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    FIBRES_FIELD_NUMBER: _ClassVar[int]
    SKR_BPS_FIELD_NUMBER: _ClassVar[int]
    QBER_FIELD_NUMBER: _ClassVar[int]
    LOSS_DB_FIELD_NUMBER: _ClassVar[int]
    LOUDEST_FIELD_NUMBER: _ClassVar[int]
    MOVE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    link: str
    link_id: str
    verdict: Verdict
    demand_bps: int
    channel: int
    fibres: _containers.RepeatedScalarFieldContainer[str]
    skr_bps: int
    qber: float
    loss_db: float
    loudest: str
    move: ChannelCandidate
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, link: _Optional[str] = ..., link_id: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., demand_bps: _Optional[int] = ..., channel: _Optional[int] = ..., fibres: _Optional[_Iterable[str]] = ..., skr_bps: _Optional[int] = ..., qber: _Optional[float] = ..., loss_db: _Optional[float] = ..., loudest: _Optional[str] = ..., move: _Optional[_Union[ChannelCandidate, _Mapping]] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class ReviewChannelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReviewChannelsResponse(_message.Message):
    __slots__ = ("channels",)
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedCompositeFieldContainer[ChannelJudgement]
    def __init__(self, channels: _Optional[_Iterable[_Union[ChannelJudgement, _Mapping]]] = ...) -> None: ...

class PermitClassicalRequest(_message.Message):
    __slots__ = ("channel",)
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    channel: ClassicalChannel
    def __init__(self, channel: _Optional[_Union[ClassicalChannel, _Mapping]] = ...) -> None: ...

class PermitClassicalResponse(_message.Message):
    __slots__ = ("granted", "channels", "reasons", "most_dbm")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    MOST_DBM_FIELD_NUMBER: _ClassVar[int]
    granted: bool
    channels: _containers.RepeatedCompositeFieldContainer[ChannelJudgement]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    most_dbm: float
    def __init__(self, granted: _Optional[bool] = ..., channels: _Optional[_Iterable[_Union[ChannelJudgement, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ..., most_dbm: _Optional[float] = ...) -> None: ...

class AddClassicalRequest(_message.Message):
    __slots__ = ("channel", "request_id")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    channel: ClassicalChannel
    request_id: str
    def __init__(self, channel: _Optional[_Union[ClassicalChannel, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RemoveClassicalRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AvailabilityRequest(_message.Message):
    __slots__ = ("links",)
    LINKS_FIELD_NUMBER: _ClassVar[int]
    links: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, links: _Optional[_Iterable[str]] = ...) -> None: ...

class KeyWindow(_message.Message):
    __slots__ = ("starts_at", "ends_at", "rate_bps")
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    RATE_BPS_FIELD_NUMBER: _ClassVar[int]
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    rate_bps: int
    def __init__(self, starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rate_bps: _Optional[int] = ...) -> None: ...

class LinkAvailability(_message.Message):
    __slots__ = ("link", "link_id", "always", "windows")
    LINK_FIELD_NUMBER: _ClassVar[int]
    LINK_ID_FIELD_NUMBER: _ClassVar[int]
    ALWAYS_FIELD_NUMBER: _ClassVar[int]
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    link: str
    link_id: str
    always: bool
    windows: _containers.RepeatedCompositeFieldContainer[KeyWindow]
    def __init__(self, link: _Optional[str] = ..., link_id: _Optional[str] = ..., always: _Optional[bool] = ..., windows: _Optional[_Iterable[_Union[KeyWindow, _Mapping]]] = ...) -> None: ...

class AvailabilityResponse(_message.Message):
    __slots__ = ("links",)
    LINKS_FIELD_NUMBER: _ClassVar[int]
    links: _containers.RepeatedCompositeFieldContainer[LinkAvailability]
    def __init__(self, links: _Optional[_Iterable[_Union[LinkAvailability, _Mapping]]] = ...) -> None: ...
