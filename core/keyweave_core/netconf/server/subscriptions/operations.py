"""The operations of RFC 8639 and RFC 8641 over NETCONF (RFC 8640).

Rule of this file: what a request asks for is settled, and may be refused, before its reply; what it starts
starts behind the reply. A subscription belongs to the session that established it: to any other session but
that of an operator who kills it, it does not exist.
"""

from collections.abc import Mapping

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import PUSH, SUBSCRIBED
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method
from keyweave_core.netconf.server.subscriptions.book import Dynamic, SubscriptionBook
from keyweave_core.netconf.server.subscriptions.pushing import PushSubscription
from keyweave_core.netconf.server.subscriptions.reading_terms import TermsReader, subscription_id
from keyweave_core.netconf.server.subscriptions.refusals import Request, refusal
from keyweave_core.netconf.server.subscriptions.streaming import StreamSubscription
from keyweave_core.netconf.server.subscriptions.terms import OnChange, PushTerms, StreamTerms
from keyweave_core.netconf.server.system import System
from keyweave_core.runtime.clock import date_and_time


def operations(system: System, book: SubscriptionBook) -> Mapping[str, Method]:
    """establish-, modify-, delete-, kill- and resync-subscription."""
    group = _Subscriptions(system, book)
    return {
        f"{{{SUBSCRIBED}}}establish-subscription": group.establish,
        f"{{{SUBSCRIBED}}}modify-subscription": group.modify,
        f"{{{SUBSCRIBED}}}delete-subscription": group.delete,
        f"{{{SUBSCRIBED}}}kill-subscription": group.kill,
        f"{{{PUSH}}}resync-subscription": group.resync,
    }


class _Subscriptions:
    def __init__(self, system: System, book: SubscriptionBook) -> None:
        self._system = system
        self._book = book
        self._reader = TermsReader(system.limits, system.places.namespaces)

    async def establish(self, caller: Caller, operation: Element) -> Answer:
        """A subscription of the caller's own."""
        terms = self._reader.establish(operation, self._system.clock.now())
        made = self._book.add(caller, terms)
        number = made.standing.number
        body = f'<id xmlns="{SUBSCRIBED}">{number}</id>'
        if isinstance(made, StreamSubscription):
            return Answer((body + self._revision(made.terms)).encode(), made.start)
        try:
            scene, view = await made.prepare(made.terms, Request.ESTABLISH)
        except BaseException:
            self._book.remove(number)
            raise
        return Answer(body.encode(), lambda: made.start(scene, view))

    async def modify(self, caller: Caller, operation: Element) -> Answer:
        """Other terms for a subscription of the caller's."""
        found = self._own(caller, subscription_id(operation, alone=False), Request.MODIFY)
        terms = self._reader.modify(operation, found.terms, self._system.clock.now())
        if isinstance(found, StreamSubscription):
            assert isinstance(terms, StreamTerms)  # noqa: S101 - terms keep their kind
            return Answer(then=lambda: found.modify(terms))
        assert isinstance(terms, PushTerms)  # noqa: S101 - terms keep their kind
        scene, view = await found.prepare(terms, Request.MODIFY)
        return Answer(then=lambda: found.modify(terms, scene, view))

    async def delete(self, caller: Caller, operation: Element) -> Answer:
        """End a subscription of the caller's."""
        found = self._own(caller, subscription_id(operation), Request.DELETE)
        self._book.remove(found.standing.number)
        return Answer()

    async def kill(self, _caller: Caller, operation: Element) -> Answer:
        """End anybody's subscription; who may, access control has settled."""
        number = subscription_id(operation)
        found = self._book.find(number)
        if found is None:
            raise refusal("no-such-subscription", f"no subscription {number}", request=Request.DELETE)
        found.standing.terminate("no-such-subscription")
        return Answer()

    async def resync(self, caller: Caller, operation: Element) -> Answer:
        """Everything anew for an on-change subscription of the caller's."""
        number = subscription_id(operation)
        found = self._book.find(number)
        if found is None or found.caller.session_id != caller.session_id:
            raise refusal(
                "no-such-subscription-resync", f"no subscription {number}", request=Request.RESYNC, push=True
            )
        trigger = found.terms.trigger if isinstance(found, PushSubscription) else None
        if not isinstance(found, PushSubscription) or not (isinstance(trigger, OnChange) and trigger.sync):
            raise refusal(
                "on-change-sync-unsupported",
                f"subscription {number} is not on change with sync-on-start",
                request=Request.RESYNC,
                push=True,
            )
        scene, view = await found.prepare(found.terms, Request.RESYNC)
        return Answer(then=lambda: found.resync(scene, view))

    def _own(self, caller: Caller, number: int, request: Request) -> Dynamic:
        found = self._book.find(number)
        if found is None or found.caller.session_id != caller.session_id:
            raise refusal(
                "no-such-subscription", f"no subscription {number} of this session", request=request
            )
        return found

    def _revision(self, terms: StreamTerms) -> str:
        """replay-start-time-revision, when the log does not reach back to the time asked for."""
        log = self._system.stream.log
        reach_s = log.created_s if log.aged_s is None else log.aged_s
        if terms.start_s is None or terms.start_s >= reach_s:
            return ""
        at = date_and_time(reach_s)
        return f'<replay-start-time-revision xmlns="{SUBSCRIBED}">{at}</replay-start-time-revision>'
