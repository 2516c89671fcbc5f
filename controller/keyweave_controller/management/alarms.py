"""Alarms as values, after RFC 8632 (YANG alarm management), with the types of a QKD network.

Rule of this file: an alarm is known by what it is about (`resource`) and what is wrong (`type`); it is
raised once, changes text while it lasts, and is cleared once.
"""

from dataclasses import dataclass
from enum import StrEnum

from keyweave_core.model.ids import AppId


class AlarmType(StrEnum):
    """What can be wrong (`alarm-type-id`)."""

    LINK_DOWN = "link-down"
    NODE_UNREACHABLE = "node-unreachable"
    INTERFACE_FAILED = "interface-failed"
    CONFIG_MISMATCH = "config-mismatch"
    CAPACITY_OVERBOOKED = "capacity-overbooked"
    CHANNEL_BELOW_DEMAND = "channel-below-demand"
    RELAY_FAILED = "relay-failed"
    APP_QOS_VIOLATED = "app-qos-violated"
    LINK_FLAPPING = "link-flapping"
    ASSOCIATION_DEGRADED = "association-degraded"
    ASSOCIATION_PREEMPTED = "association-preempted"
    FALLBACK_ACTIVE = "fallback-active"
    EAVESDROPPING_SUSPECTED = "eavesdropping-suspected"
    KEY_STORE_FAILED = "key-store-failed"
    AUTHENTICATION_FAILED = "authentication-failed"


class AlarmSeverity(StrEnum):
    """`severity` of RFC 8632 section 4.3."""

    WARNING = "warning"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class OperatorState(StrEnum):
    """What an operator has made of an alarm (`operator-state` of RFC 8632 section 4.7)."""

    NONE = "none"
    ACK = "ack"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorNote:
    """One change of the operator's state of an alarm."""

    at: float
    operator: str
    state: OperatorState
    text: str = ""


@dataclass(slots=True, kw_only=True)
class Alarm:
    """One alarm. Times are seconds since 1970; `cleared_at` None while it lasts.

    `resource` reads `link:<id>`, `node:<id>`, `interface:<node>/<id>`, `association:<id>`,
    `configured:<entry>` or `agent:<name>`;
    `resource_name` is for people. `affected` are the associations hurt by it, kept after they have moved
    away, because that is what the trouble did. `cause` is the alarm this one hangs under. `notes` are what
    operators made of it, oldest first.
    """

    alarm_id: str
    resource: str
    resource_name: str
    type: AlarmType
    severity: AlarmSeverity
    text: str
    raised_at: float
    changed_at: float
    cleared_at: float | None = None
    affected: tuple[AppId, ...] = ()
    cause: str | None = None
    notes: tuple[OperatorNote, ...] = ()

    @property
    def active(self) -> bool:
        """It lasts."""
        return self.cleared_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChanged:
    """An alarm was raised, changed or cleared; `alarm` is as it looks now (a copy)."""

    alarm: Alarm
