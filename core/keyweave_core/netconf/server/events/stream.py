"""The event stream of a server (RFC 5277): one bounded log, read by any number of subscribers.

Rule of this file: memory does not grow with slow readers. The log is the only queue: a subscriber is a place
in it. Whoever keeps up is served as events are published; what becomes of a reader so far behind that the
log has dropped what comes next is for its manner to say: RFC 5277 knows no way to tell of a loss, so the
session ends; RFC 8639 has subscription-suspended and -resumed.

A subscription: replay (events from the start time on) -> told that the replay is complete -> live -> told
that all is complete at the stop time. Without a start time it begins live; with a stop time that has passed
it ends after the replay.
"""

from collections.abc import Callable
from typing import Protocol

from lxml import etree

from keyweave_core.netconf.data.selection import Selection
from keyweave_core.netconf.protocol.elements import Element, element
from keyweave_core.netconf.protocol.messages import (
    NETMOD_NOTIFICATION,
    notification_bytes,
    to_bytes,
)
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.events.event_log import EventLog, LoggedEvent
from keyweave_core.netconf.server.events.outlet import Outlet
from keyweave_core.netconf.server.timers import after
from keyweave_core.runtime.clock import Clock, date_and_time

STREAM = "NETCONF"
# A timer may ring a hair before the clock that set it has come to its moment.
_HAIR_S = 0.001


class Manner(Protocol):
    """What a subscriber is told beside events: RFC 5277 and RFC 8639 differ."""

    def replayed(self) -> bytes:
        """The content that says: all that is old has been sent."""
        ...

    def completed(self) -> bytes:
        """The content that says: the stop time has come."""
        ...

    def ended(self) -> None:
        """`completed` was sent: the subscription is no more."""
        ...

    def lost(self) -> bool:
        """Events were dropped before they could be sent: tell of it. False ends the subscription."""
        ...

    def found_again(self) -> None:
        """After `lost`: the peer takes data again, from the oldest event held."""
        ...


Verdict = Callable[[Element], bool]


class Subscription:
    """One subscriber's place in the log; a `Reader` of its session's outlet.

    `matches` is its filter, `permits` tells whether access control lets the subscriber see an event.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        clock: Clock,
        outlet: Outlet,
        manner: Manner,
        matches: Verdict | None = None,
        permits: Verdict | None = None,
        start_s: float | None = None,
        stop_s: float | None = None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._outlet = outlet
        self._manner = manner
        self.matches = matches
        self._permits = permits
        self._start_s = start_s
        self._stop_s = stop_s
        self._next = log.next_number if start_s is None else log.number_at(start_s)
        # Live begins behind the last event that was there when the subscription was made.
        self._replay_end: int | None = None if start_s is None else log.next_number
        self._behind = False
        self._busy = False
        self._cancel_stop: Callable[[], None] | None = None
        self.done = False
        self.sent = 0  # events, not what is told beside them
        self.excluded = 0

    @property
    def stop_s(self) -> float | None:
        """Seconds since 1970 at which the subscription ends by itself."""
        return self._stop_s

    def start(self) -> None:
        """Send what is old, and arm the stop time."""
        self.set_stop(self._stop_s)
        self.pump()

    def set_stop(self, stop_s: float | None) -> None:
        """End at another time, None: not by itself."""
        self._call_off()
        self._stop_s = stop_s
        if stop_s is not None and not self.done:
            self._cancel_stop = after(self._clock, stop_s - self._clock.now() + _HAIR_S, self._stop_due)

    def _stop_due(self) -> None:
        """The timer woke: a loop that counts in milliseconds does so a little early at times."""
        if self._stop_s is not None and self._clock.now() < self._stop_s:
            self.set_stop(self._stop_s)
        else:
            self.pump()

    def resume(self) -> None:
        """The peer takes data again."""
        self.pump()

    def close(self) -> None:
        """Send nothing more."""
        self.done = True
        self._call_off()

    def pump(self, fresh: Element | None = None) -> None:
        """Send what can be sent. `fresh` is the content of the newest event, where it is at hand."""
        if self._busy:  # a session that resumes while we write
            return
        self._busy = True
        try:
            self._pump(fresh)
        finally:
            self._busy = False

    def _pump(self, fresh: Element | None) -> None:
        log = self._log
        if not self.done and self._next < log.first_number:
            self._next = log.first_number
            if not self._behind:
                self._behind = True
                if not self._manner.lost():
                    self.close()
        while not self.done and self._outlet.writable:
            if self._behind:
                self._behind = False
                self._manner.found_again()
                continue
            if self._replay_end is not None and self._next >= self._replay_end:
                self._replay_end = None
                self._tell(self._manner.replayed())
                continue
            event = log.get(self._next)
            if event is None or (self._stop_s is not None and event.at_s > self._stop_s):
                if self._replay_end is not None:
                    self._replay_end = self._next  # the stop time lies within the replay
                    continue
                self._end_if_due()
                return
            self._next += 1
            if self._wants(event, fresh if self._next == log.next_number else None):
                self.sent += 1
                self._outlet.send(event.message)

    def _end_if_due(self) -> None:
        if self._stop_s is not None and self._clock.now() >= self._stop_s:
            self.close()
            self._tell(self._manner.completed())
            self._manner.ended()

    def _wants(self, event: LoggedEvent, content: Element | None) -> bool:
        if self._start_s is not None and event.at_s < self._start_s:
            return False  # logged late
        if self.matches is None and self._permits is None:
            return True
        content = event.content() if content is None else content
        # RFC 5277 clause 3.6: a filter picks whole notifications; what it names must be in them.
        wanted = (self._permits is None or self._permits(content)) and (
            self.matches is None or self.matches(content)
        )
        self.excluded += not wanted
        return wanted

    def _tell(self, content: bytes) -> None:
        self._outlet.send(notification_bytes(date_and_time(self._clock.now()), content))

    def _call_off(self) -> None:
        if self._cancel_stop is not None:
            self._cancel_stop()
            self._cancel_stop = None


class EventStream:
    """The stream named NETCONF: everything published, to everyone subscribed."""

    def __init__(self, *, clock: Clock, max_events: int, max_bytes: int) -> None:
        self._clock = clock
        self.log = EventLog(max_events=max_events, max_bytes=max_bytes, created_s=clock.now())
        self._subscriptions: list[Subscription] = []
        self._watchers: list[Callable[[Element], None]] = []

    def watch(self, watcher: Callable[[Element], None]) -> Callable[[], None]:
        """Call `watcher` with the content of each event; it must not raise or wait. Returns how to stop."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def publish(self, content: Element, at_s: float | None = None) -> None:
        """Log an event and serve everyone who keeps up. `at_s` is now unless given."""
        self.log.append(to_bytes(content), self._clock.now() if at_s is None else at_s)
        serving = tuple(self._subscriptions)
        for subscription in serving:
            subscription.pump(content)
        if any(subscription.done for subscription in serving):  # their sessions are over
            self._subscriptions = [each for each in self._subscriptions if not each.done]
        for watcher in tuple(self._watchers):
            watcher(content)

    def add(self, subscription: Subscription) -> None:
        """Serve a subscription from now on, its replay first."""
        self._subscriptions.append(subscription)
        subscription.start()

    def remove(self, subscription: Subscription) -> None:
        """Serve it no more; nothing happens when it is not there."""
        subscription.close()
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def describe(self) -> Element:
        """The `netconf/streams` state (RFC 5277 clause 3.2.5.1)."""
        root = element(f"{{{NETMOD_NOTIFICATION}}}netconf", {None: NETMOD_NOTIFICATION})
        streams = etree.SubElement(root, f"{{{NETMOD_NOTIFICATION}}}streams")
        stream = etree.SubElement(streams, f"{{{NETMOD_NOTIFICATION}}}stream")
        facts = [
            ("name", STREAM),
            ("description", "All events of this system"),
            ("replaySupport", "true"),
            ("replayLogCreationTime", date_and_time(self.log.created_s)),
        ]
        if self.log.aged_s is not None:
            facts.append(("replayLogAgedTime", date_and_time(self.log.aged_s)))
        for name, text in facts:
            etree.SubElement(stream, f"{{{NETMOD_NOTIFICATION}}}{name}").text = text
        return root


def matcher(selection: Selection) -> Verdict:
    """The question whether a filter picks a notification (its content element)."""

    def matches(content: Element) -> bool:
        try:
            return selection.matches_notification(content)
        except RpcError:
            return False  # an event so large that the filter would cost too much

    return matches
