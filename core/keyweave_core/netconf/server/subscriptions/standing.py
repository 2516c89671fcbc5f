"""Whether a subscription is active or suspended, and how its subscriber is told (RFC 8639 clause 2.7).

Rule of this file: state notifications are few and small, so they are written whether or not the peer reads:
that is how it learns, once it does, that something was lost in between. A subscription that stays suspended
for too long is terminated.
"""

from collections.abc import Callable

from lxml import etree

from keyweave_core.netconf.protocol.elements import Element, element
from keyweave_core.netconf.protocol.messages import SUBSCRIBED, notification_bytes, to_bytes
from keyweave_core.netconf.server.events.outlet import Outlet
from keyweave_core.netconf.server.subscriptions.refusals import put_reason
from keyweave_core.netconf.server.subscriptions.terms import Terms
from keyweave_core.netconf.server.subscriptions.written_terms import put_terms
from keyweave_core.netconf.server.timers import after
from keyweave_core.runtime.clock import Clock, date_and_time


class Standing:
    """One subscription's relation to its subscriber."""

    def __init__(
        self,
        number: int,
        outlet: Outlet,
        *,
        clock: Clock,
        suspension_s: float,
        forget: Callable[[], None],
    ) -> None:
        """`number` is the id; `forget` takes the subscription off every list, once it is terminated."""
        self.number = number
        self._outlet = outlet
        self._clock = clock
        self._suspension_s = suspension_s
        self.forget = forget
        self._cancel: Callable[[], None] | None = None
        self.suspended = False

    def content(self, name: str) -> Element:
        """A state notification with its id."""
        root = element(f"{{{SUBSCRIBED}}}{name}", {None: SUBSCRIBED})
        etree.SubElement(root, f"{{{SUBSCRIBED}}}id").text = str(self.number)
        return root

    def tell(self, content: Element) -> None:
        """Send a state notification."""
        self._outlet.send(notification_bytes(date_and_time(self._clock.now()), to_bytes(content)))

    def suspend(self, reason: str) -> None:
        """Send nothing more for now; `reason` is an identity of subscription-suspended-reason."""
        if self.suspended:
            return
        self.suspended = True
        content = self.content("subscription-suspended")
        put_reason(content, reason)
        self.tell(content)
        self._cancel = after(self._clock, self._suspension_s, lambda: self.terminate("suspension-timeout"))

    def resume(self) -> None:
        """Go on; told only when it was suspended."""
        if self.suspended:
            self.close()
            self.tell(self.content("subscription-resumed"))

    def modified(self, terms: Terms) -> None:
        """Tell the terms that hold from here on; they end a suspension."""
        self.close()
        content = self.content("subscription-modified")
        put_terms(content, terms)
        self.tell(content)

    def terminate(self, reason: str) -> None:
        """End for good; `reason` is an identity of subscription-terminated-reason."""
        content = self.content("subscription-terminated")
        put_reason(content, reason)
        self.tell(content)
        self.forget()

    def complete(self) -> None:
        """The stop time has come."""
        self.tell(self.content("subscription-completed"))
        self.forget()

    def close(self) -> None:
        """No longer suspended, no timer left."""
        self.suspended = False
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
