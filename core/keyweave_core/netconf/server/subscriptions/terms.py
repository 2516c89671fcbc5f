"""What a subscription is about: the terms of RFC 8639 and RFC 8641 as values.

Rule of this file: terms are settled when they exist; reading them from an operation is `reading_terms`,
writing them into notifications and state `written_terms`.
"""

from dataclasses import dataclass
from enum import StrEnum

from keyweave_core.netconf.data.selection import Selection
from keyweave_core.netconf.protocol.elements import Element


class Datastore(StrEnum):
    """The datastores that can be subscribed to, by the names of ietf-datastores."""

    RUNNING = "running"
    OPERATIONAL = "operational"


class Edit(StrEnum):
    """change-type of ietf-yang-push."""

    CREATE = "create"
    DELETE = "delete"
    INSERT = "insert"
    MOVE = "move"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter as something to apply, and as the parameter it came as.

    Filters with equal `key` select the same.
    """

    selection: Selection
    parameter: Element
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTerms:
    """Events of the stream NETCONF; times in seconds since 1970."""

    filter: Filter | None = None
    start_s: float | None = None  # replay from here on
    stop_s: float | None = None


@dataclass(frozen=True, slots=True)
class Periodic:
    """A push-update every `period_s`, at moments that are whole periods from `anchor_s`."""

    period_s: float
    anchor_s: float | None = None


@dataclass(frozen=True, slots=True)
class OnChange:
    """A push-change-update after each change, no two within `dampening_s`."""

    dampening_s: float = 0.0
    sync: bool = True
    excluded: frozenset[Edit] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PushTerms:
    """The content of a datastore."""

    datastore: Datastore
    trigger: Periodic | OnChange
    filter: Filter | None = None
    stop_s: float | None = None


Terms = StreamTerms | PushTerms
