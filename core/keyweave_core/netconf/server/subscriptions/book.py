"""All dynamic subscriptions of a server: their ids, their bounds, their state (RFC 8639).

Rule of this file: a subscription is on this list from the moment its request is accepted to its end, and
ends with its session. Ids are never used twice in the life of a server (they wrap after 2^32).
"""

from collections.abc import Callable, Iterator

from lxml import etree

from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.elements import Element, element
from keyweave_core.netconf.protocol.messages import SUBSCRIBED
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.events.stream import STREAM, Subscription
from keyweave_core.netconf.server.operations.calls import Caller
from keyweave_core.netconf.server.subscriptions.observer import Observer
from keyweave_core.netconf.server.subscriptions.pushing import PushSubscription
from keyweave_core.netconf.server.subscriptions.refusals import refusal
from keyweave_core.netconf.server.subscriptions.standing import Standing
from keyweave_core.netconf.server.subscriptions.streaming import StreamSubscription
from keyweave_core.netconf.server.subscriptions.terms import StreamTerms, Terms
from keyweave_core.netconf.server.subscriptions.written_terms import put_terms
from keyweave_core.netconf.server.system import System
from keyweave_core.runtime.clock import date_and_time

Dynamic = StreamSubscription | PushSubscription


class SubscriptionBook:
    """The list of subscriptions."""

    def __init__(self, system: System, observer: Observer, *, limits: NetconfLimits) -> None:
        self._system = system
        self._observer = observer
        self._limits = limits
        self._all: dict[int, Dynamic] = {}
        self._last = 0

    def add(self, caller: Caller, terms: Terms) -> Dynamic:
        """A new subscription, which is not started yet. Raises RpcError when there are too many."""
        readers = caller.outlet.readers
        if any(isinstance(reader, Subscription) for reader in readers):
            message = "this session has a subscription by create-subscription"
            raise RpcError("operation-not-supported", message)
        if (
            len(readers) >= self._limits.max_subscriptions_per_session
            or len(self._all) >= self._limits.max_subscriptions
        ):
            push = not isinstance(terms, StreamTerms)
            raise refusal("insufficient-resources", "there are as many subscriptions as allowed", push=push)
        self._last = self._last % (2**32 - 1) + 1
        number = self._last
        standing = Standing(
            number,
            caller.outlet,
            clock=self._system.clock,
            suspension_s=self._limits.suspension_timeout_s,
            forget=lambda: self.remove(number),
        )
        made: Dynamic
        if isinstance(terms, StreamTerms):
            made = StreamSubscription(caller, terms, system=self._system, standing=standing)
        else:
            made = PushSubscription(
                caller,
                terms,
                observer=self._observer,
                standing=standing,
                clock=self._system.clock,
                limits=self._limits,
            )
        self._all[number] = made
        caller.outlet.attach(_Entry(made, lambda: self.remove(number)))
        return made

    def find(self, number: int) -> Dynamic | None:
        """The subscription of this id."""
        return self._all.get(number)

    def remove(self, number: int) -> None:
        """End a subscription without telling anybody; nothing happens when there is none."""
        found = self._all.pop(number, None)
        if found is None:
            return
        found.close()
        for reader in found.caller.outlet.readers:
            if isinstance(reader, _Entry) and reader.of is found:
                found.caller.outlet.detach(reader)

    def streams(self) -> Element:
        """The state `streams`."""
        root = element(f"{{{SUBSCRIBED}}}streams", {None: SUBSCRIBED})
        stream = _sub(root, "stream")
        _sub(stream, "name", STREAM)
        _sub(stream, "description", "All events of this system")
        _sub(stream, "replay-support")
        log = self._system.stream.log
        _sub(stream, "replay-log-creation-time", date_and_time(log.created_s))
        if log.aged_s is not None:
            _sub(stream, "replay-log-aged-time", date_and_time(log.aged_s))
        return root

    def subscriptions(self) -> Element:
        """The state `subscriptions`."""
        root = element(f"{{{SUBSCRIBED}}}subscriptions", {None: SUBSCRIBED})
        for number, found in self._all.items():
            entry = _sub(root, "subscription")
            _sub(entry, "id", str(number))
            put_terms(entry, found.terms)
            receiver = _sub(_sub(entry, "receivers"), "receiver")
            _sub(receiver, "name", f"session {found.caller.session_id} of {found.caller.user.name}")
            _sub(receiver, "sent-event-records", str(found.sent))
            _sub(receiver, "excluded-event-records", str(found.excluded))
            _sub(receiver, "state", "suspended" if found.standing.suspended else "active")
        return root

    def __iter__(self) -> Iterator[Dynamic]:
        return iter(tuple(self._all.values()))


class _Entry:
    """A subscription as the `Reader` of its session: when that ends, it leaves the list."""

    def __init__(self, of: Dynamic, forget: Callable[[], None]) -> None:
        self.of = of
        self._forget = forget

    def resume(self) -> None:
        """The peer takes data again."""
        self.of.resume()

    def close(self) -> None:
        """The session is over."""
        self._forget()


def _sub(parent: Element, name: str, text: str | None = None) -> Element:
    child = etree.SubElement(parent, f"{{{SUBSCRIBED}}}{name}")
    child.text = text
    return child
