"""The events of a stream, the newest of them: for replay, and as the queue of everyone who lags."""

from collections import deque
from dataclasses import dataclass

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import notification_bytes, parse_xml, read_notification
from keyweave_core.runtime.clock import date_and_time


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event as it is sent, in its envelope; `number` counts from 0 without gaps."""

    number: int
    at_s: float
    message: bytes

    def content(self) -> Element:
        """The event itself, parsed anew."""
        return read_notification(parse_xml(self.message)).content


class EventLog:
    """The newest events, bounded by count and bytes."""

    def __init__(self, *, max_events: int, max_bytes: int, created_s: float) -> None:
        self._events: deque[LoggedEvent] = deque()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self.next_number = 0
        self.created_s = created_s
        self.aged_s: float | None = None  # the time of the last event that was dropped

    @property
    def first_number(self) -> int:
        """The number of the oldest event still held."""
        return self.next_number - len(self._events)

    def append(self, content: bytes, at_s: float) -> LoggedEvent:
        """Add an event, dropping the oldest as the bounds demand; the newest is always held."""
        event = LoggedEvent(self.next_number, at_s, notification_bytes(date_and_time(at_s), content))
        self.next_number += 1
        self._events.append(event)
        self._bytes += len(event.message)
        while len(self._events) > 1 and (
            len(self._events) > self._max_events or self._bytes > self._max_bytes
        ):
            dropped = self._events.popleft()
            self._bytes -= len(dropped.message)
            self.aged_s = dropped.at_s
        return event

    def get(self, number: int) -> LoggedEvent | None:
        """The event of this number, None when it is not yet there; it must not have been dropped."""
        offset = number - self.first_number
        return self._events[offset] if offset < len(self._events) else None

    def number_at(self, at_s: float) -> int:
        """The number of the first held event that is not older than `at_s`."""
        return next((event.number for event in self._events if event.at_s >= at_s), self.next_number)
