"""Subscriptions to notifications in their first form (RFC 5277 clause 2.1.1).

Rule of this file: a session has one such subscription at most, and none beside those of RFC 8639 (RFC 8640
clause 3). A reader too slow for the log loses its session: RFC 5277 has no other way to tell of a loss.
"""

from collections.abc import Mapping

from lxml import etree

from keyweave_core.netconf.protocol.messages import NETMOD_NOTIFICATION, NOTIFICATION
from keyweave_core.netconf.protocol.rpc_errors import RpcError, bad_element
from keyweave_core.netconf.server.events.outlet import Outlet
from keyweave_core.netconf.server.events.stream import STREAM, Subscription, Verdict, matcher
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method
from keyweave_core.netconf.server.operations.parameters import moment, parameters, read_filter, text_of
from keyweave_core.netconf.server.system import System


def operations(system: System) -> Mapping[str, Method]:
    """create-subscription."""
    group = _Subscribing(system)
    return {f"{{{NOTIFICATION}}}create-subscription": group.create_subscription}


class _Manner:
    """What RFC 5277 tells beside events."""

    def __init__(self, system: System, outlet: Outlet) -> None:
        self._system = system
        self._outlet = outlet
        self.subscription: Subscription | None = None

    def replayed(self) -> bytes:
        return f'<replayComplete xmlns="{NETMOD_NOTIFICATION}"/>'.encode()

    def completed(self) -> bytes:
        return f'<notificationComplete xmlns="{NETMOD_NOTIFICATION}"/>'.encode()

    def ended(self) -> None:
        assert self.subscription is not None  # noqa: S101 - it is what has ended
        self._system.stream.remove(self.subscription)
        self._outlet.detach(self.subscription)

    def lost(self) -> bool:
        self._outlet.drop("too slow a reader of notifications")
        return False

    def found_again(self) -> None:
        """Never: its session has ended."""


class _Subscribing:
    def __init__(self, system: System) -> None:
        self._system = system
        self._costs = system.limits.for_subscriptions()

    async def create_subscription(self, caller: Caller, operation: etree._Element) -> Answer:
        """Start the one subscription of a session."""
        found = parameters(operation, "stream", "filter", "startTime", "stopTime")
        name = text_of(found, "stream")
        if name is not None and name != STREAM:
            raise bad_element("invalid-value", f"no stream {name[:60]!r}", "stream")
        selection = read_filter(found, self._costs)
        start_s, stop_s = moment(found, "startTime"), moment(found, "stopTime")
        if stop_s is not None and start_s is None:
            raise bad_element("missing-element", "stopTime wants a startTime", "startTime")
        if start_s is not None and start_s > self._system.clock.now():
            raise bad_element("bad-element", "startTime is in the future", "startTime")
        if start_s is not None and stop_s is not None and stop_s < start_s:
            raise bad_element("bad-element", "stopTime is before startTime", "stopTime")
        for reader in caller.outlet.readers:
            if isinstance(reader, Subscription):
                raise RpcError("in-use", "this session has a subscription already", type="protocol")
            message = "this session has subscriptions by establish-subscription"
            raise RpcError("operation-not-supported", message, type="protocol")
        matches = None if selection is None else matcher(selection)
        return Answer(then=lambda: self._start(caller, matches, start_s, stop_s))

    def _start(
        self, caller: Caller, matches: Verdict | None, start_s: float | None, stop_s: float | None
    ) -> None:
        access, user = self._system.access, caller.user
        manner = _Manner(self._system, caller.outlet)
        subscription = Subscription(
            self._system.stream.log,
            clock=self._system.clock,
            outlet=caller.outlet,
            manner=manner,
            matches=matches,
            permits=lambda content: access.may_receive(user, content),
            start_s=start_s,
            stop_s=stop_s,
        )
        manner.subscription = subscription
        caller.outlet.attach(subscription)
        self._system.stream.add(subscription)
