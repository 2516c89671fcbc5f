"""Events as JSON and back, for the journal.

Rule of this file: the kind is the class name and stands beside the body, so a reader knows what it holds
before it decodes. Only what `events.Event` and `notifications.Notification` name has a kind. Whatever was
encoded decodes to an equal value.
"""

import typing
from typing import Any

import msgspec

from keyweave_controller.control import events
from keyweave_controller.control.events import Event, Notified
from keyweave_core.errors import MalformedMessage
from keyweave_core.model import notifications
from keyweave_core.model.ids import NodeId

_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in typing.get_args(events.Event)}
_NOTIFICATIONS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in typing.get_args(notifications.Notification)
}


class _NotifiedBody(msgspec.Struct, forbid_unknown_fields=True):
    """`Notified` with the kind of its notification beside it."""

    at: float
    node_id: str
    event_time: str
    kind: str
    notification: msgspec.Raw


def encode(event: Event) -> tuple[str, str]:
    """The kind and the JSON text of an event."""
    if isinstance(event, Notified):
        body: Any = _NotifiedBody(
            at=event.at,
            node_id=event.node_id,
            event_time=event.event_time,
            kind=type(event.notification).__name__,
            notification=msgspec.Raw(msgspec.json.encode(event.notification)),
        )
    else:
        body = event
    return type(event).__name__, msgspec.json.encode(body).decode()


def decode(kind: str, body: str) -> Event:
    """The event of a kind and a JSON text. Raises MalformedMessage naming the kind and what does not fit."""
    try:
        if kind == Notified.__name__:
            outer = msgspec.json.decode(body, type=_NotifiedBody)
            notification = msgspec.json.decode(outer.notification, type=_NOTIFICATIONS[outer.kind])
            return Notified(
                at=outer.at,
                node_id=NodeId(outer.node_id),
                notification=notification,
                event_time=outer.event_time,
            )
        event: Event = msgspec.json.decode(body, type=_EVENTS[kind])
    except (msgspec.MsgspecError, ValueError) as error:
        raise MalformedMessage(f"event {kind}: {error}") from error
    except KeyError as error:
        raise MalformedMessage(f"event {kind}: unknown kind {error}") from error
    return event
