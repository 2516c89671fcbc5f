"""The requests of applications: masters draw keys, slaves fetch what their master got.

Rule of this file: a key is supplied to the master only after the destination acknowledged it, once; and to
each slave once. A request ends with all its keys or with an error, never with some.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from keyweave_agents.keys.association import Association
from keyweave_agents.keys.booking import Booking
from keyweave_agents.keys.destination import DestinationStore, StoredBatch
from keyweave_agents.keys.failures import LedgerFailed, RateExceeded
from keyweave_agents.keys.lanes import Lane, Request
from keyweave_agents.keys.plan import (
    MADE_IN,
    AssociationWanted,
    KeyBundle,
    KeyEvent,
    StoreStatus,
    SuppliedKey,
)
from keyweave_agents.keys.register import Register
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_agents.keys.views import rank, store_status
from keyweave_agents.keys.waiting import WaitingRoom
from keyweave_core.errors import Exhausted, Refused
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import Clock


class Serving:
    """Serves the applications of one node from its ready and stored keys."""

    def __init__(
        self,
        settings: KeySettings,
        clock: Clock,
        register: Register,
        store: DestinationStore,
        undecided: Undecided,
        emit: Callable[[KeyEvent], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._register = register
        self._store = store
        self._undecided = undecided
        self._booking = Booking(undecided, clock)
        self._waiting = WaitingRoom(emit)

    # --- requests --------------------------------------------------------------------------------

    def request(self, request: Request) -> None:
        """Answer now, or keep it waiting. Raises as `KeySupply.get_keys` what can be told at once."""
        now_s = self._clock.monotonic()
        if not self._serving(request):
            if len(self._waiting) >= self._settings.limits.waiting_requests:
                raise Exhausted("too many requests wait for keys at this key manager")
            self._waiting.add(request, now_s)
            return
        self._seat(request)
        if request.error is not None:
            raise request.error

    def _serving(self, request: Request) -> Sequence[Association]:
        """The associations whose keys the clients of a request get, and nobody else.

        Who is not named in a request must not be able to fetch its keys (ETSI GS QKD 014 clause 5.4).
        """
        if not request.also:
            return self._register.of_pair(request.server, request.client)
        return self._register.of_group(request.server, request.clients)

    def _seat(self, request: Request) -> None:
        """Put a request to the association it belongs to."""
        association = max(self._serving(request), key=rank)
        if association.expired:
            request.fail(Refused(f"the association of {request.server} with {request.client} has expired"))
            return
        lane = association.lane(request.size_bits)
        if len(lane.waiting) >= self._settings.limits.waiting_requests:
            request.fail(Exhausted("too many requests wait for keys of this association"))
            return
        try:
            self._booking.afford(association, request.bits)
        except RateExceeded as error:
            request.fail(error)
            return
        request.home = association
        lane.waiting.append(request)
        self.serve(association, lane)

    def serve(self, association: Association, lane: Lane) -> None:
        """Answer the requests of a lane that there are keys for now."""
        now_s = self._clock.monotonic()
        if not association.open or association.doubtful(now_s):
            return
        lane.expire(now_s)
        fallback = association.in_fallback
        while lane.waiting and lane.waiting[0].number <= lane.stock(fallback=fallback):
            request = lane.waiting.popleft()
            request.keys = lane.draw(request.number)
            request.settled = False
            self._undecided.add(partial(_settled, request), partial(_undrawn, request))
            request.wake()

    def collect(self, request: Request) -> tuple[SuppliedKey, ...]:
        """Hand the keys of an answered request over, and count them."""
        keys, association = request.keys, request.home
        if keys is None or association is None:
            raise ValueError("a request without answer was collected")
        request.keys = None
        now_s = self._clock.now()
        for key in keys:
            association.usage.count(key.supplied.link_id, request.size_bits, 1, now_s, key.supplied.origin)
        return tuple(key.supplied for key in keys)

    def abandon(self, request: Request) -> None:
        """The caller is gone or its time is over: its keys serve others."""
        association = request.home
        self._waiting.discard(request)
        if association is None:
            return
        lane = association.lane(request.size_bits)
        if request in lane.waiting:
            lane.waiting.remove(request)
        if association.bucket is not None:
            association.bucket.give_back(request.bits)
        if request.keys is not None:
            # While it is not durable that they were drawn they come back by themselves, or are gone.
            if request.settled and self._register.by_id.get(association.plan.app_id) is association:
                lane.give_back(request.keys)
            else:
                for key in request.keys:
                    key.supplied.key.wipe()
            request.keys = None
        self.serve(association, lane)

    def why(self, request: Request) -> str | None:
        """Why a request still waits; None when it waits for an association."""
        association = request.home
        if association is None:
            return None
        if not association.open:
            return "the association is not active"
        lane = association.lane(request.size_bits)
        blocked = f": {association.blocked}" if association.blocked else ""
        stock = lane.stock(fallback=association.in_fallback)
        return f"{stock} of {request.number} keys ready{blocked}"

    # --- keys at once ----------------------------------------------------------------------------

    def draw(
        self,
        server: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        origins: frozenset[KeyOrigin] | None = None,
    ) -> tuple[KeyBundle, ...] | None:
        """See `KeyDraw.draw`."""
        found = self._register.of_pair(server, client)
        if not found:
            return None
        association = found[0] if len(found) == 1 else max(found, key=rank)
        lane, now_s = association.lanes.get(size_bits), self._clock.monotonic()
        if lane is None or lane.waiting or not association.open or association.doubtful(now_s):
            return None
        lane.expire(now_s)
        if origins is not None and origins >= MADE_IN[association.plan.mode]:
            origins = None  # all of them are
        if lane.stock(fallback=association.in_fallback, origins=origins) < number:
            return None
        self._booking.afford(association, number * size_bits)
        drawn = lane.draw_bundles(number, origins)
        self._booking.book([(association, bundle) for bundle in drawn], association.bucket)
        return tuple(drawn)

    def fetch(self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]) -> tuple[SuppliedKey, ...]:
        """See `KeySupply.get_keys_by_id`."""
        found = self._store.fetch(caller, master, key_ids)
        supplied = [
            SuppliedKey(key_id=key_id, key=secret, links=stored.links, origin=stored.origin)
            for key_id, secret, stored in found
        ]
        self._book_fetched([(stored, key) for (_, _, stored), key in zip(found, supplied, strict=True)])
        return tuple(supplied)

    def fetch_bundles(self, caller: SaeId, master: SaeId, key_ids: bytes) -> tuple[KeyBundle, ...]:
        """The same for ids of 16 bytes each, as bundles."""
        supplied = self._store.fetch_bundles(caller, master, key_ids)
        self._book_fetched([(stored, bundle) for bundle, stored in supplied])
        return tuple(bundle for bundle, _ in supplied)

    def _book_fetched(self, supplied: list[tuple[StoredBatch, KeyBundle | SuppliedKey]]) -> None:
        """Within one node the master's side has counted the keys already."""
        found = [(self._register.by_id.get(stored.app_id), bundle) for stored, bundle in supplied]
        self._booking.book(
            [(one, bundle) for one, bundle in found if one is not None and not one.plan.source]
        )

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        """See `KeySupply.status`."""
        found = self._register.of_pair(caller, other)
        if not found:
            return None
        association = max(found, key=rank)
        status = store_status(association, self._settings)
        if association.doubtful(self._clock.monotonic()):
            return replace(status, stored_key_count=0)  # until the destination proved that it still has them
        return status

    # --- associations come, go and are refused ---------------------------------------------------

    def reseat(self) -> None:
        """Associations changed: requests go to those that they waited for."""
        for request in self._waiting.release(lambda one: bool(self._serving(one))):
            self._seat(request)

    def unseat(self, association: Association) -> None:
        """An association is gone: its requests wait for another."""
        now_s = self._clock.monotonic()
        for lane in association.lanes.values():
            for request in lane.waiting:
                request.home = None
                self._waiting.add(request, now_s)
            lane.waiting.clear()

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """End the requests of these pairs that wait for an association or for its activation."""
        self._waiting.refuse(server, clients, reasons)
        closed = [one for one in self._register.within(server, clients) if not one.open]
        for lane in [lane for one in closed for lane in one.lanes.values()]:
            for request in list(lane.waiting):
                lane.waiting.remove(request)
                request.fail(Refused(*reasons))

    @property
    def wanted(self) -> tuple[AssociationWanted, ...]:
        """Pairs of applications that asked and have no association."""
        return self._waiting.wanted

    def tick(self) -> None:
        """Ask the controller again for associations that are still missing."""
        self._waiting.tick(self._clock.monotonic())


def _settled(request: Request) -> None:
    """What was drawn for a request is durable."""
    request.settled = True


def _undrawn(request: Request) -> None:
    """What was drawn for a request cannot be made durable: it gets nothing."""
    for key in request.keys or ():
        key.supplied.key.wipe()
    request.keys = None
    request.fail(LedgerFailed("the key store cannot be written now: no key is supplied"))
