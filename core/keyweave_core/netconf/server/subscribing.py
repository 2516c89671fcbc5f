"""Subscriptions to notifications (RFC 5277 clause 2.1.1)."""

from collections.abc import Mapping

from lxml import etree

from keyweave_core.netconf.protocol.messages import NOTIFICATION
from keyweave_core.netconf.protocol.rpc_errors import RpcError, bad_element
from keyweave_core.netconf.server.calls import Answer, Caller, Method
from keyweave_core.netconf.server.events import STREAM
from keyweave_core.netconf.server.parameters import moment, parameters, subtree_filter, text_of
from keyweave_core.netconf.server.system import System


def operations(system: System) -> Mapping[str, Method]:
    """create-subscription."""
    group = _Subscribing(system)
    return {f"{{{NOTIFICATION}}}create-subscription": group.create_subscription}


class _Subscribing:
    def __init__(self, system: System) -> None:
        self._system = system

    async def create_subscription(self, caller: Caller, operation: etree._Element) -> Answer:
        """Start the one subscription of a session."""
        found = parameters(operation, "stream", "filter", "startTime", "stopTime")
        name = text_of(found, "stream")
        if name is not None and name != STREAM:
            raise bad_element("invalid-value", f"no stream {name[:60]!r}", "stream")
        filters = subtree_filter(found)
        start_s, stop_s = moment(found, "startTime"), moment(found, "stopTime")
        if stop_s is not None and start_s is None:
            raise bad_element("missing-element", "stopTime wants a startTime", "startTime")
        if start_s is not None and start_s > self._system.clock.now():
            raise bad_element("bad-element", "startTime is in the future", "startTime")
        if start_s is not None and stop_s is not None and stop_s < start_s:
            raise bad_element("bad-element", "stopTime is before startTime", "stopTime")
        if caller.subscribed:
            raise RpcError("in-use", "this session has a subscription already", type="protocol")
        return Answer(then=lambda: caller.subscribe(filters, start_s, stop_s))
