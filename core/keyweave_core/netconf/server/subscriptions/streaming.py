"""A dynamic subscription to the event stream (RFC 8639 clause 2.4).

Rule of this file: it is a place in the log like any other. When the log drops what the peer has not read,
the subscription is suspended and told so; when the peer reads again it is resumed with the oldest event held.
"""

from keyweave_core.netconf.protocol.messages import to_bytes
from keyweave_core.netconf.server.events.stream import Subscription, Verdict, matcher
from keyweave_core.netconf.server.operations.calls import Caller
from keyweave_core.netconf.server.subscriptions.standing import Standing
from keyweave_core.netconf.server.subscriptions.terms import StreamTerms
from keyweave_core.netconf.server.system import System


class StreamSubscription:
    """Events of the stream for one subscriber; a `Reader` of its session and the `Manner` of its place."""

    def __init__(self, caller: Caller, terms: StreamTerms, *, system: System, standing: Standing) -> None:
        self.caller = caller
        self.terms = terms
        self.standing = standing
        self._system = system
        self._place: Subscription | None = None

    @property
    def sent(self) -> int:
        """Event records sent."""
        return 0 if self._place is None else self._place.sent

    @property
    def excluded(self) -> int:
        """Event records left out by the filter or by access control."""
        return 0 if self._place is None else self._place.excluded

    def start(self) -> None:
        """Begin, once the reply is written."""
        access, user = self._system.access, self.caller.user
        self._place = Subscription(
            self._system.stream.log,
            clock=self._system.clock,
            outlet=self.caller.outlet,
            manner=self,
            matches=self._matcher(),
            permits=lambda content: access.may_receive(user, content),
            start_s=self.terms.start_s,
            stop_s=self.terms.stop_s,
        )
        self._system.stream.add(self._place)

    def modify(self, terms: StreamTerms) -> None:
        """Go on by other terms, once the reply is written."""
        self.standing.modified(terms)
        self.terms = terms
        if self._place is not None:
            self._place.matches = self._matcher()
            self._place.set_stop(terms.stop_s)
            self._place.pump()

    def resume(self) -> None:
        """The peer takes data again."""
        if self._place is not None:
            self._place.resume()

    def close(self) -> None:
        """Send nothing more."""
        self.standing.close()
        if self._place is not None:
            self._system.stream.remove(self._place)

    def replayed(self) -> bytes:
        """See `Manner`."""
        return to_bytes(self.standing.content("replay-completed"))

    def completed(self) -> bytes:
        """See `Manner`."""
        return to_bytes(self.standing.content("subscription-completed"))

    def ended(self) -> None:
        """See `Manner`."""
        self.standing.forget()

    def lost(self) -> bool:
        """See `Manner`."""
        self.standing.suspend("unsupportable-volume")
        return True

    def found_again(self) -> None:
        """See `Manner`."""
        self.standing.resume()

    def _matcher(self) -> Verdict | None:
        return None if self.terms.filter is None else matcher(self.terms.filter.selection)
