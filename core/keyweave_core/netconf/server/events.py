"""The event stream of a server (RFC 5277): one bounded log, read by any number of subscribers.

Rule of this file: memory does not grow with slow readers. The log is the only queue: a subscriber is a place
in it. Whoever keeps up is served as events are published; whoever falls so far behind that the log has
dropped what comes next is dropped by the rule, with its session.

A subscription: replay (events from startTime on) -> replayComplete -> live -> notificationComplete at
stopTime. Without startTime it begins live; with a stopTime that has passed it ends after the replay.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_core.netconf.data.filters import select
from keyweave_core.netconf.protocol.elements import element
from keyweave_core.netconf.protocol.messages import (
    NETMOD_NOTIFICATION,
    notification_bytes,
    parse_xml,
    to_bytes,
)
from keyweave_core.runtime.clock import Clock, date_and_time

STREAM = "NETCONF"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event as it is sent; `number` counts from 0 without gaps."""

    number: int
    at_s: float
    content: bytes


class EventLog:
    """The newest events, bounded by count and bytes."""

    def __init__(self, *, max_events: int, max_bytes: int, created_s: float) -> None:
        self._events: deque[LoggedEvent] = deque()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self.next_number = 0
        self.created_s = created_s

    @property
    def first_number(self) -> int:
        """The number of the oldest event still held."""
        return self.next_number - len(self._events)

    def append(self, content: bytes, at_s: float) -> LoggedEvent:
        """Add an event, dropping the oldest as the bounds demand; the newest is always held."""
        event = LoggedEvent(self.next_number, at_s, content)
        self.next_number += 1
        self._events.append(event)
        self._bytes += len(content)
        while len(self._events) > 1 and (
            len(self._events) > self._max_events or self._bytes > self._max_bytes
        ):
            self._bytes -= len(self._events.popleft().content)
        return event

    def get(self, number: int) -> LoggedEvent | None:
        """The event of this number, None when it is not yet there; it must not have been dropped."""
        offset = number - self.first_number
        return self._events[offset] if offset < len(self._events) else None

    def number_at(self, at_s: float) -> int:
        """The number of the first held event that is not older than `at_s`."""
        return next((event.number for event in self._events if event.at_s >= at_s), self.next_number)


class Subscription:
    """One subscriber's place in the log.

    `send` writes one message at once and returns False when the peer should get no more for now; it is
    called again after `pump`. `drop` ends the subscriber's session, with the reason. `permits` tells whether
    the subscriber may see an event.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        clock: Clock,
        send: Callable[[bytes], bool],
        drop: Callable[[str], None],
        filters: Sequence[etree._Element] | None,
        permits: Callable[[etree._Element], bool] | None = None,
        start_s: float | None = None,
        stop_s: float | None = None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._send = send
        self._drop = drop
        self._filters = filters
        self._permits = permits
        self._stop_s = stop_s
        self._writable = True
        self._next = log.next_number if start_s is None else log.number_at(start_s)
        # Live begins behind the last event that was there when the subscription was made.
        self._replay_end: int | None = None if start_s is None else log.next_number
        self.done = False
        self.sent = 0

    @property
    def stop_s(self) -> float | None:
        """Seconds since 1970 at which the subscription ends by itself."""
        return self._stop_s

    def resume(self) -> None:
        """The peer takes data again."""
        self._writable = True
        self.pump()

    def pause(self) -> None:
        """The peer takes no data for now."""
        self._writable = False

    def pump(self, fresh: etree._Element | None = None) -> None:
        """Send what can be sent. `fresh` is the content of the newest event, where it is at hand."""
        if not self.done and self._next < self._log.first_number:
            self.done = True
            self._drop("too slow a reader of notifications")
        while self._writable and not self.done:
            if self._replay_end is not None and self._next >= self._replay_end:
                self._replay_end = None
                self._emit(self._clock.now(), self._own("replayComplete"))
                continue
            event = self._log.get(self._next)
            if event is None or (self._stop_s is not None and event.at_s > self._stop_s):
                if self._replay_end is not None:
                    self._replay_end = self._next  # the stop time lies within the replay
                    continue
                self._end_if_due()
                return
            self._next += 1
            newest = fresh if self._next == self._log.next_number else None
            if self._wants(event, newest):
                self._emit(event.at_s, event.content)

    def _end_if_due(self) -> None:
        if self._stop_s is not None and self._clock.now() >= self._stop_s:
            self.done = True
            self._emit(self._clock.now(), self._own("notificationComplete"))

    def _wants(self, event: LoggedEvent, content: etree._Element | None) -> bool:
        if self._filters is None and self._permits is None:
            return True
        element = parse_xml(event.content) if content is None else content
        if self._permits is not None and not self._permits(element):
            return False
        if self._filters is None:
            return True
        # RFC 5277 clause 3.6: a filter picks whole notifications; what it names must be in them.
        return bool(select(self._filters, [element], _no_schema))

    def _emit(self, at_s: float, content: bytes) -> None:
        self.sent += 1
        self._writable = self._send(notification_bytes(date_and_time(at_s), content)) and self._writable

    @staticmethod
    def _own(name: str) -> bytes:
        return f'<{name} xmlns="{NETMOD_NOTIFICATION}"/>'.encode()


class EventStream:
    """The stream named NETCONF: everything published, to everyone subscribed."""

    def __init__(self, *, clock: Clock, max_events: int, max_bytes: int) -> None:
        self._clock = clock
        self.log = EventLog(max_events=max_events, max_bytes=max_bytes, created_s=clock.now())
        self._subscriptions: list[Subscription] = []
        self._watchers: list[Callable[[etree._Element], None]] = []

    def watch(self, watcher: Callable[[etree._Element], None]) -> Callable[[], None]:
        """Call `watcher` with the content of each event; it must not raise or wait. Returns how to stop."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def publish(self, content: etree._Element, at_s: float | None = None) -> None:
        """Log an event and serve everyone who keeps up. `at_s` is now unless given."""
        self.log.append(to_bytes(content), self._clock.now() if at_s is None else at_s)
        for subscription in tuple(self._subscriptions):
            subscription.pump(content)
        for watcher in tuple(self._watchers):
            watcher(content)

    def add(self, subscription: Subscription) -> None:
        """Serve a subscription from now on, its replay first."""
        self._subscriptions.append(subscription)
        subscription.pump()

    def remove(self, subscription: Subscription) -> None:
        """Serve it no more; nothing happens when it is not there."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def describe(self) -> etree._Element:
        """The `netconf/streams` state (RFC 5277 clause 3.2.5.1)."""
        root = element(f"{{{NETMOD_NOTIFICATION}}}netconf", {None: NETMOD_NOTIFICATION})
        streams = etree.SubElement(root, f"{{{NETMOD_NOTIFICATION}}}streams")
        stream = etree.SubElement(streams, f"{{{NETMOD_NOTIFICATION}}}stream")
        for name, text in (
            ("name", STREAM),
            ("description", "All events of this system"),
            ("replaySupport", "true"),
            ("replayLogCreationTime", date_and_time(self.log.created_s)),
        ):
            etree.SubElement(stream, f"{{{NETMOD_NOTIFICATION}}}{name}").text = text
        return root


def _no_schema(_tag: str) -> None:
    return None
