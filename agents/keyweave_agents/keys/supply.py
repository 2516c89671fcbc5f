"""Supplying keys: associations, their buffers and the requests of applications. No I/O.

Rule of this file: a key is supplied to the master only after the destination acknowledged it, once; and to
each slave once. A request ends with all its keys or with an error, never with some.

The life of a key: made at the source -> under way (`Flight`) -> ready at the source and stored at the
destination -> supplied at both. Whatever is not supplied is wiped: at the source after half of its ttl, so
that a slave has at least the other half to fetch what its master got.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from keyweave_agents.keys.abroad import Abroad
from keyweave_agents.keys.arrivals import Arrivals
from keyweave_agents.keys.association import Association
from keyweave_agents.keys.buffers import TokenBucket
from keyweave_agents.keys.destination import DestinationStore, StoredBatch
from keyweave_agents.keys.failures import LedgerFailed, RateExceeded
from keyweave_agents.keys.flights import Flights
from keyweave_agents.keys.key_modes import KeyModes
from keyweave_agents.keys.lanes import Lane, Request
from keyweave_agents.keys.plan import (
    MADE_IN,
    AssociationEnds,
    AssociationExpired,
    AssociationPlan,
    AssociationRemoved,
    AssociationView,
    AssociationWanted,
    KeyBundle,
    KeyEvent,
    RelayRestored,
    RelayTrouble,
    StoreStatus,
    SuppliedKey,
)
from keyweave_agents.keys.pqc.identity import PqcIdentity
from keyweave_agents.keys.pqc.ports import Party
from keyweave_agents.keys.refill import Refill
from keyweave_agents.keys.relaying.frames import Batch, Letter, LetterKind, Reason
from keyweave_agents.keys.relaying.relay import Relay
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.storage.ledger import Ledger, MemoryLedger
from keyweave_agents.keys.storage.ready_memory import ReadyMemory
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_agents.keys.usage_memory import UsageMemory
from keyweave_agents.keys.views import association_view, rank, store_status
from keyweave_agents.keys.waiting import WaitingRoom
from keyweave_agents.material import Secret
from keyweave_core.errors import Exhausted, Refused
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock

LetterHandler = Callable[[AppId, bytes], None]
"""Gets the association and the body of a letter."""

FLIGHT_LIFE_S = 60.0
"""A batch that nobody acknowledged for so long is given up, and its keys are made anew."""

FORSAKEN_S = 60.0
"""How long after the start ready keys of the last run wait for their association to be planned again."""

DOUBT_S = 3.0
"""How long ready keys wait for the proof that the destination still holds them. After that the path is more
likely broken than the destination restarted, and they serve."""


class Supply:
    """All associations that end at one node. Implements `records.Endpoint`."""

    def __init__(
        self,
        settings: KeySettings,
        node_id: NodeId,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        emit: Callable[[KeyEvent], None],
        identity: PqcIdentity | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._clock = clock
        self._emit = emit
        self.relay = Relay(node_id, self, most_records=settings.limits.relay_records)
        self._associations: dict[AppId, Association] = {}
        # Whose source is here, by who gets the keys and nobody else: one client, or exactly these.
        self._by_pair: dict[tuple[SaeId, SaeId], list[Association]] = {}
        self._by_group: dict[tuple[SaeId, frozenset[SaeId]], list[Association]] = {}
        self._by_ends: dict[tuple[SaeId, SaeId], list[Association]] = {}  # ... or destination
        ledger = ledger or MemoryLedger()
        self.undecided = Undecided(ledger)
        store = DestinationStore(ledger, self.undecided)
        self._arrivals = Arrivals(store, settings.limits.stored_keys, random_bytes(16), clock, ledger)
        self._ready_memory = ReadyMemory(ledger, self.undecided, clock.now)
        self._ready_memory.restore(intact=ledger.intact, now_s=clock.monotonic())
        self._usages = UsageMemory(ledger)
        self._forsake_s = clock.monotonic() + FORSAKEN_S
        self._flights = Flights(settings, clock, random_bytes, self.relay, self._serve)
        self._refill = Refill(
            settings, node_id, clock, random_bytes, self.relay, self._arrivals, self._flights
        )
        party = None
        if settings.pqc is not None and identity is not None:
            party = Party(identity=identity, settings=settings.pqc, clock=clock, random_bytes=random_bytes)
        self.modes = KeyModes(
            node_id,
            clock,
            party,
            self._associations,
            self._flights,
            self._arrivals,
            endpoint=self,
            write=lambda app_id, body: self.send_letter(app_id, LetterKind.PQC, body),
            keep=self._keep,
            resume=self.resume,
            serve=self._serve,
            emit=emit,
        )
        self._waiting = WaitingRoom(emit)
        self._readers: dict[LetterKind, LetterHandler] = {}
        self._abroad: Abroad | None = None
        if self.modes.pqc is not None:
            self.on_letters(LetterKind.PQC, self.modes.pqc.handle)

    # --- configuration ---------------------------------------------------------------------------

    def plan(self, plans: Iterable[AssociationPlan]) -> None:
        """Hold exactly these associations; the relay has its routes already."""
        now_s = self._clock.monotonic()
        wanted = {plan.app_id: plan for plan in plans}
        for app_id in [app_id for app_id in self._associations if app_id not in wanted]:
            self._remove(self._associations.pop(app_id), now_s)
        for app_id, plan in wanted.items():
            association = self._associations.get(app_id)
            if association is None:
                usage = self._usages.usage(app_id, self._settings.statistics_period_s)
                association = self._associations[app_id] = Association(plan, usage, self._ready_memory)
                self._restore(association, now_s)
            self._update(association, plan, now_s)
        self._by_pair, self._by_group, self._by_ends = {}, {}, {}
        for association in self._associations.values():
            server, clients = association.plan.server, association.plan.clients
            for client in clients:
                self._by_ends.setdefault((server, client), []).append(association)
            if association.plan.source:
                self._by_group.setdefault((server, frozenset(clients)), []).append(association)
                if len(clients) == 1:
                    self._by_pair.setdefault((server, clients[0]), []).append(association)
        self.modes.associate()
        self._check_expiry()
        for request in self._waiting.release(lambda one: bool(self._serving(one))):
            self._seat(request)

    def _update(self, association: Association, plan: AssociationPlan, now_s: float) -> None:
        old = association.plan
        association.replan(plan, now_s)
        if plan.expires_at != old.expires_at:
            association.expired = False
        if not plan.source:
            return
        default = self._settings.default_key_bits
        association.given = self._abroad is not None and self._abroad.holds(plan.server)
        association.lane(default).target = 0 if association.given else self._settings.buffer_keys
        limit = plan.qos.max_bandwidth_bps
        burst = max(limit or 0, self._settings.buffer_keys * default)
        if limit is None:
            association.bucket = None
        elif association.bucket is None:
            association.bucket = TokenBucket(limit, burst, now_s)
        else:
            association.bucket.change(limit, burst, now_s)
        self.modes.replanned(association, old)
        self._flights.redirect(association)
        for lane in association.lanes.values():
            self._serve(association, lane)

    def _restore(self, association: Association, now_s: float) -> None:
        """Ready keys of the last run serve again, once the destination proved that it still has them."""
        left = self._ready_memory.left(association.plan.app_id) if association.plan.source else None
        if left is not None:
            association.restore(left)
            if association.plan.remote_node != self._node_id:
                association.doubt(now_s)

    def _remove(self, association: Association, now_s: float) -> None:
        self._flights.drop(association)
        self.modes.ended(association)
        for lane in association.lanes.values():
            for request in lane.waiting:
                request.home = None
                self._waiting.add(request, now_s)
            lane.waiting.clear()
        association.wipe()
        periods = association.usage.finish(self._clock.now())
        self._usages.forget(association.plan.app_id)
        if periods:  # nobody can read them here any more
            self._emit(AssociationRemoved(app_id=association.plan.app_id, statistics=periods))

    def close(self) -> None:
        """Overwrite every key in memory; what the ledger holds is there for the next run."""
        for association in self._associations.values():
            self._usages.note(association.plan.app_id, association.usage)
            association.close()
        self._arrivals.store.wipe()

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

    def _serving(self, request: Request) -> list[Association]:
        """The associations whose keys the clients of a request get, and nobody else.

        Who is not named in a request must not be able to fetch its keys (ETSI GS QKD 014 clause 5.4).
        """
        if not request.also:
            return self._by_pair.get((request.server, request.client), [])
        return self._by_group.get((request.server, frozenset(request.clients)), [])

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
            self._afford(association, request.bits)
        except RateExceeded as error:
            request.fail(error)
            return
        request.home = association
        lane.waiting.append(request)
        self._serve(association, lane)

    def draw(
        self,
        server: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        origins: frozenset[KeyOrigin] | None = None,
    ) -> tuple[KeyBundle, ...] | None:
        """See `KeyDraw.draw`."""
        found = self._by_pair.get((server, client))
        if not found:
            return None
        association = found[0] if len(found) == 1 else max(found, key=rank)
        lane = association.lanes.get(size_bits)
        if lane is None or lane.waiting or not association.open or self._doubtful(association):
            return None
        lane.expire(self._clock.monotonic())
        if origins is not None and origins >= MADE_IN[association.plan.mode]:
            origins = None  # all of them are
        if lane.stock(fallback=association.in_fallback, origins=origins) < number:
            return None
        self._afford(association, number * size_bits)
        drawn = lane.draw_bundles(number, origins)
        self._book([(association, bundle) for bundle in drawn], association.bucket)
        return tuple(drawn)

    def _book(
        self, supplied: list[tuple[Association, KeyBundle | SuppliedKey]], bucket: TokenBucket | None = None
    ) -> None:
        """Count what was handed out once that is durable; give its rate back when it cannot be made so."""
        counted = [  # now: its keys may be wiped by then
            (one, keys.links[0] if keys.links else None, *_size(keys), keys.origin) for one, keys in supplied
        ]

        def settle() -> None:
            now_s = self._clock.now()
            for association, link_id, bits, keys, origin in counted:
                association.usage.count(link_id, bits, keys, now_s, origin)

        def undo() -> None:
            if bucket is not None:
                bucket.give_back(sum(entry[2] for entry in counted))

        self.undecided.add(settle, undo)

    def _afford(self, association: Association, bits: int) -> None:
        bucket = association.bucket
        if bucket is not None and not bucket.take(bits, self._clock.monotonic()):
            raise RateExceeded(
                f"{bits} bit more would exceed the max_bandwidth of this association: "
                f"{bucket.rate_bps:.0f} bit/s, at most {bucket.burst_bits:.0f} bit at once"
            )

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
            if request.settled and self._associations.get(association.plan.app_id) is association:
                lane.give_back(request.keys)
            else:
                for key in request.keys:
                    key.supplied.key.wipe()
            request.keys = None
        self._serve(association, lane)

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

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """End the requests of these pairs that wait for an association or for its activation."""
        self._waiting.refuse(server, clients, reasons)
        for (master, group), found in self._by_group.items():
            if master != server or not group.issubset(clients):
                continue
            for lane in [lane for one in found if not one.open for lane in one.lanes.values()]:
                for request in list(lane.waiting):
                    lane.waiting.remove(request)
                    request.fail(Refused(*reasons))

    def fetch(self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]) -> tuple[SuppliedKey, ...]:
        """See `KeySupply.get_keys_by_id`."""
        found = self._arrivals.store.fetch(caller, master, key_ids)
        supplied = [
            SuppliedKey(key_id=key_id, key=secret, links=stored.links, origin=stored.origin)
            for key_id, secret, stored in found
        ]
        self._book_fetched([(stored, key) for (_, _, stored), key in zip(found, supplied, strict=True)])
        return tuple(supplied)

    def fetch_bundles(self, caller: SaeId, master: SaeId, key_ids: bytes) -> tuple[KeyBundle, ...]:
        """The same for ids of 16 bytes each, as bundles."""
        supplied = self._arrivals.store.fetch_bundles(caller, master, key_ids)
        self._book_fetched([(stored, bundle) for bundle, stored in supplied])
        return tuple(bundle for bundle, _ in supplied)

    def _book_fetched(self, supplied: list[tuple[StoredBatch, KeyBundle | SuppliedKey]]) -> None:
        """Within one node the master's side has counted the keys already."""
        found = [(self._associations.get(stored.app_id), bundle) for stored, bundle in supplied]
        self._book([(one, bundle) for one, bundle in found if one is not None and not one.plan.source])

    def _serve(self, association: Association, lane: Lane) -> None:
        if not association.open or self._doubtful(association):
            return
        lane.expire(self._clock.monotonic())
        fallback = association.in_fallback
        while lane.waiting and lane.waiting[0].number <= lane.stock(fallback=fallback):
            request = lane.waiting.popleft()
            request.keys = lane.draw(request.number)
            request.settled = False
            self.undecided.add(partial(_settled, request), partial(_undrawn, request))
            request.wake()

    # --- time, and what the relay tells ----------------------------------------------------------

    def refill(self) -> None:
        """Make and send what is missing."""
        self._refill.run(self._associations.values())

    def tick(self) -> None:
        """Expire, ask again, close statistics periods."""
        now_s = self._clock.monotonic()
        self._check_expiry()
        self._waiting.tick(now_s)
        self._arrivals.expire(now_s)
        if now_s >= self._forsake_s:
            self._ready_memory.forsake()
            self._usages.forsake()
        self.modes.tick()
        wall_s = self._clock.now()
        for association in self._associations.values():
            association.usage.roll(wall_s)
            self._usages.note(association.plan.app_id, association.usage)
            if association.plan.source:
                if association.doubted_s is not None:
                    for link_id in association.plan.links:
                        self.relay.hints.ask(link_id)
                ttl_s = self._flights.ttl_s(association.plan)
                self._flights.drop(association, made_before_s=now_s - min(FLIGHT_LIFE_S, ttl_s / 2))
                for lane in list(association.lanes.values()):
                    lane.expire(now_s)
                    self._serve(association, lane)
                    if lane.idle:
                        del association.lanes[lane.size_bits]

    def _check_expiry(self) -> None:
        wall_s = self._clock.now()
        for association in self._associations.values():
            until_s = association.plan.expires_at
            if until_s is None or association.expired or wall_s < until_s:
                continue
            association.expired = True
            self._emit(AssociationExpired(app_id=association.plan.app_id))
            self._flights.drop(association)
            for lane in association.lanes.values():
                while lane.waiting:
                    lane.waiting.popleft().fail(Refused("the association has expired"))
            association.wipe()

    def arrived(self, batch: Batch, payload: Secret | None) -> Reason | None:
        """See `records.Endpoint`."""
        association = self._associations.get(batch.app_id)
        if association is None or association.plan.source or association.expired:
            return Reason.UNKNOWN_APPLICATION
        if self._arrivals.has(batch.batch_id):
            return None
        other_mode = self.modes.takes(association.plan, batch)
        if other_mode is not None:
            return other_mode
        if not association.takes(batch, self._clock.monotonic()):
            return Reason.OTHER_LINKS
        if payload is None:
            return Reason.SHARES_MISSING
        return self.modes.store(association.plan, batch, payload)

    def _keep(self, plan: AssociationPlan, batch: Batch, payload: Secret) -> Reason | None:
        """Store keys at their destination, or give them to the other network; None when that is done."""
        now_s, abroad = self._clock.monotonic(), self._abroad
        if abroad is not None and any(abroad.holds(client) for client in plan.clients):
            return abroad.arrived(plan, batch, payload)
        reason = self._arrivals.accept(plan, batch, payload, self._flights.ttl_s(plan), now_s)
        if reason is None and abroad is not None:
            self._arrivals.store.withdraw(plan.app_id, abroad.recalled(batch.key_ids))
        return reason

    @property
    def keeper(self) -> bytes:
        """See `records.Endpoint`."""
        return self._arrivals.keeper

    def confirmed(self, batch_id: bytes, link_id: LinkId, keeper: bytes) -> None:
        """See `records.Endpoint`."""
        self._flights.landed(batch_id, link_id, keeper)

    def doubted(self, link_id: LinkId) -> None:
        """See `records.Endpoint`."""
        for association in self._associations.values():
            if association.plan.source and link_id in association.plan.links:
                association.doubt(self._clock.monotonic())
                self.relay.hints.ask(link_id)

    def kept(self, link_id: LinkId, keeper: bytes) -> None:
        """See `records.Endpoint`."""
        for association in self._associations.values():
            if association.plan.source and link_id in association.plan.links:
                self._flights.kept(association, keeper)

    def _doubtful(self, association: Association) -> bool:
        since_s = association.doubted_s
        return since_s is not None and self._clock.monotonic() < since_s + DOUBT_S

    def setback(self, batch_id: bytes, reason: str, *, too_large: bool, link_id: LinkId) -> None:
        """See `records.Endpoint`."""
        self._flights.setback(batch_id, reason, too_large=too_large, link_id=link_id)

    def refused(self, batch_id: bytes, reason: str) -> None:
        """See `records.Endpoint`."""
        self._flights.refused(batch_id, reason)

    # --- the border to other networks (`abroad.Home`) ----------------------------------------------

    def cross(self, abroad: Abroad) -> None:
        """Who stands at the border of this node, before any association is planned."""
        self._abroad = self._flights.abroad = abroad

    def room(self, server: SaeId, clients: tuple[SaeId, ...], key_bytes: int) -> int | None:
        """See `abroad.Home`."""
        association = self._given(server, clients)
        return None if association is None else self._refill.room(association, key_bytes)

    def association(self, server: SaeId, clients: tuple[SaeId, ...]) -> AppId | None:
        """See `abroad.Home`."""
        association = self._given(server, clients)
        return None if association is None else association.plan.app_id

    def trouble(self, server: SaeId, clients: tuple[SaeId, ...]) -> str:
        """See `abroad.Home`."""
        association = self._given(server, clients)
        return "" if association is None else association.blocked

    def give(
        self, server: SaeId, clients: tuple[SaeId, ...], batch_id: bytes, key_ids: bytes, payload: Secret
    ) -> AppId | None:
        """See `abroad.Home`."""
        association = self._given(server, clients)
        if association is None:
            return None
        self._refill.give(association, batch_id, key_ids, payload)
        return association.plan.app_id

    def _given(self, server: SaeId, clients: tuple[SaeId, ...]) -> Association | None:
        """The open association that keys of another network go to."""
        for association in self._by_group.get((server, frozenset(clients)), ()):
            if association.given and association.open:
                return association
        return None

    def recall(self, app_id: AppId, key_ids: tuple[str, ...]) -> frozenset[str]:
        """See `abroad.Home`."""
        association = self._associations.get(app_id)
        found = self._arrivals.store.withdraw(app_id, key_ids)
        if association is not None:
            for lane in association.lanes.values():
                found += lane.ready.withdraw(frozenset(key_ids))
                found += lane.spare.withdraw(frozenset(key_ids))
        return frozenset(found)

    def both_here(self, app_id: AppId) -> bool:
        """See `abroad.Home`."""
        association = self._associations.get(app_id)
        return association is not None and association.plan.remote_node == self._node_id

    def count(self, batch: Batch) -> None:
        """See `abroad.Home`."""
        association = self._associations.get(batch.app_id)
        if association is not None and not association.plan.source:
            link = batch.over[0] if batch.over else None
            bits = 8 * batch.payload_bytes
            association.usage.count(link, bits, batch.count, self._clock.now(), batch.origin)

    def resume(self) -> None:
        """See `abroad.Home`."""
        self.relay.resume(self._clock.monotonic())

    # --- letters ---------------------------------------------------------------------------------

    def ends(self, app_id: AppId) -> AssociationEnds | None:
        """See `ports.KeyLetters`."""
        association = self._associations.get(app_id)
        if association is None:
            return None
        plan = association.plan
        routes = [self.relay.routes.get(link_id) for link_id in plan.links]
        direct = all(
            route is not None
            and (route.next_hops if plan.source else (route.prev_hop,)) == (plan.remote_node,)
            for route in routes
        )
        return AssociationEnds(
            app_id=app_id, server=plan.server, clients=plan.clients, direct=direct, qos=plan.qos
        )

    def between(self, server: SaeId, client: SaeId) -> AssociationEnds | None:
        """See `ports.KeyLetters`."""
        found = [one for one in self._by_ends.get((server, client), ()) if not one.expired]
        return self.ends(max(found, key=rank).plan.app_id) if found else None

    def on_letters(self, kind: LetterKind, handler: LetterHandler) -> None:
        """Who reads letters of a kind."""
        self._readers[kind] = handler

    def send_letter(self, app_id: AppId, kind: LetterKind, body: bytes) -> bool:
        """Write to the other end of an association; False when there is no way to it now."""
        association = self._associations.get(app_id)
        if association is None:
            return False
        forward = association.plan.source
        return any(
            self.relay.hints.write(
                Letter(link_id=link_id, app_id=app_id, forward=forward, kind=kind, body=body)
            )
            for link_id in association.plan.links
        )

    def letter(self, letter: Letter) -> None:
        """See `records.Endpoint`."""
        association = self._associations.get(letter.app_id)
        reader = self._readers.get(letter.kind)
        if association is None or reader is None or association.plan.source is letter.forward:
            return
        if letter.link_id in (*association.plan.links, *association.former):
            reader(letter.app_id, letter.body)

    def troubled(self, link_id: LinkId, reason: str) -> None:
        """See `records.Endpoint`."""
        self._emit(RelayTrouble(link_id=link_id, reason=reason))

    def restored(self, link_id: LinkId) -> None:
        """See `records.Endpoint`."""
        self._emit(RelayRestored(link_id=link_id))

    # --- views -----------------------------------------------------------------------------------

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        """See `KeySupply.status`."""
        found = self._by_pair.get((caller, other))
        if not found:
            return None
        association = max(found, key=rank)
        status = store_status(association, self._settings)
        # Held back until the destination has proved that it still has them.
        return replace(status, stored_key_count=0) if self._doubtful(association) else status

    def waiting(self) -> tuple[AssociationWanted, ...]:
        """Pairs of applications that asked and have no association."""
        return self._waiting.wanted

    def views(self) -> dict[AppId, AssociationView]:
        """Every association as observed."""
        wall_s, size = self._clock.now(), self._settings.default_key_bits
        return {
            app_id: association_view(association, size, self._arrivals.store.count(app_id), wall_s)
            for app_id, association in self._associations.items()
        }


def _settled(request: Request) -> None:
    """What was drawn for a request is durable."""
    request.settled = True


def _undrawn(request: Request) -> None:
    """What was drawn for a request cannot be made durable: it gets nothing."""
    for key in request.keys or ():
        key.supplied.key.wipe()
    request.keys = None
    request.fail(LedgerFailed("the key store cannot be written now: no key is supplied"))


def _size(keys: KeyBundle | SuppliedKey) -> tuple[int, int]:
    """Bits, and how many keys they are."""
    return (keys.keys.bits, keys.count) if isinstance(keys, KeyBundle) else (keys.key.bits, 1)
