"""The eleven notifications of ETSI GS QKD 015 V2.1.1, as a closed union of values.

Rule of this file: 015 makes every leaf optional, ids included, so every field that the standard leaves out
may be None here; whoever handles a notification decides what it can do without it. None of them carries
the node (but application_new) or a time: both come from the NETCONF session and the RFC 5277 envelope.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from keyweave_core.model.application import AppQos, AppStatistics, AppStatus, AppType, KeyMode, KeyOrigin
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Interface, InterfaceStatus, LinkPerformance, LinkStatus


class Severity(StrEnum):
    """SEVERITY-TYPES."""

    MAJOR = "MAJOR"
    MINOR = "MINOR"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationNew:
    """`sdqkdn_application_new`. Augments: `app_id`, set when the caller brought one, and `key_mode`, what its
    keys may be made of (None: as the controller's policy says).
    """

    app_type: AppType | None = None
    server_app_id: SaeId | None = None
    client_app_ids: tuple[SaeId, ...] = ()
    priority: int = 0
    local_node_id: NodeId | None = None
    qos: AppQos = field(default_factory=AppQos)
    app_id: AppId | None = None
    key_mode: KeyMode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationQosUpdate:
    """`sdqkdn_application_qos_update`."""

    app_id: AppId | None = None
    qos: AppQos = field(default_factory=AppQos)
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationDisconnected:
    """`sdqkdn_application_disconnected`."""

    app_id: AppId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceNew:
    """`sdqkdn_interface_new` (no status on the wire)."""

    interface: Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceDown:
    """`sdqkdn_interface_down`."""

    interface_id: InterfaceId | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceOut:
    """`sdqkdn_interface_out`."""

    interface_id: InterfaceId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown:
    """`sdqkdn_link_down`."""

    link_id: LinkId | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPerfUpdate:
    """`sdqkdn_link_perf_update`."""

    link_id: LinkId | None = None
    performance: LinkPerformance = field(default_factory=LinkPerformance)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOverloaded:
    """`sdqkdn_link_overloaded`."""

    link_id: LinkId | None = None
    performance: LinkPerformance = field(default_factory=LinkPerformance)


class Concern(StrEnum):
    """What a report about a link is about: an alarm begins it, an event ends it (augment of ours)."""

    INTRUSION = "intrusion"  # somebody may be listening: no key of the link is used
    KEY_STORE = "key-store"  # the node cannot write its key store
    AUTHENTICATION = "authentication"  # messages of relay fail their proof


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """The `link` container of `alarm` and `event`. `concern`: an augment; None where nobody says."""

    link_id: LinkId | None = None
    status: LinkStatus | None = None
    message: str | None = None
    severity: Severity | None = None
    concern: Concern | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceReport:
    """The `interface` container of `alarm` and `event`."""

    interface_id: InterfaceId | None = None
    status: InterfaceStatus | None = None
    message: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationReport:
    """The `application` container of `alarm` and `event`.

    Augments of keyweave-qkd-node: `last_periods` (of `event` alone) is what an application that was taken
    from the node had received, `origin` what keys of an application are made of from now on.
    """

    app_id: AppId | None = None
    status: AppStatus | None = None
    message: str | None = None
    severity: Severity | None = None
    last_periods: tuple[AppStatistics, ...] = ()
    origin: KeyOrigin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """`alarm`: attention needed. Names no type, no id and no clearing; see the controller's faults."""

    link: LinkReport | None = None
    interface: InterfaceReport | None = None
    application: ApplicationReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`event`: information, in the same shape as `alarm`. A link that is up again says so here."""

    link: LinkReport | None = None
    interface: InterfaceReport | None = None
    application: ApplicationReport | None = None


Notification = (
    ApplicationNew
    | ApplicationQosUpdate
    | ApplicationDisconnected
    | InterfaceNew
    | InterfaceDown
    | InterfaceOut
    | LinkDown
    | LinkPerfUpdate
    | LinkOverloaded
    | Alarm
    | Event
)
