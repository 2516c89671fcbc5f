"""Key supply of one node: its parts, and what makes them act: a plan, time, and what the relay tells. No I/O.

The life of a key: made at the source (`refill`) -> under way (`flights`) -> ready at the source and stored
at the destination -> supplied at both (`serving`). Whatever is not supplied is wiped: at the source after
half of its ttl, so that a slave has at least the other half to fetch what its master got.

Rule of this file: the parts are joined here and none of them knows this file. Who wants something of one of
them asks that part.
"""

from collections.abc import Callable, Iterable

from keyweave_agents.keys.arrivals import Arrivals
from keyweave_agents.keys.association import Association
from keyweave_agents.keys.destination import DestinationStore
from keyweave_agents.keys.flights import Flights
from keyweave_agents.keys.home import HomeSide
from keyweave_agents.keys.key_modes import KeyModes
from keyweave_agents.keys.letters import Letters
from keyweave_agents.keys.plan import (
    AssociationExpired,
    AssociationPlan,
    AssociationRemoved,
    AssociationView,
    KeyEvent,
    RelayRestored,
    RelayTrouble,
)
from keyweave_agents.keys.pqc.identity import PqcIdentity
from keyweave_agents.keys.pqc.ports import Party
from keyweave_agents.keys.refill import Refill
from keyweave_agents.keys.register import Register
from keyweave_agents.keys.relaying.frames import Batch, Letter, LetterKind, Reason
from keyweave_agents.keys.relaying.relay import Relay
from keyweave_agents.keys.serving import Serving
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.storage.ledger import Ledger, MemoryLedger
from keyweave_agents.keys.storage.ready_memory import ReadyMemory
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_agents.keys.usage_memory import UsageMemory
from keyweave_agents.keys.views import association_view
from keyweave_agents.material import Secret
from keyweave_core.errors import Refused
from keyweave_core.model.ids import AppId, LinkId, NodeId
from keyweave_core.runtime.clock import Clock

FLIGHT_LIFE_S = 60.0
"""A batch that nobody acknowledged for so long is given up, and its keys are made anew."""

FORSAKEN_S = 60.0
"""How long after the start ready keys of the last run wait for their association to be planned again."""


class Supply:
    """All associations that end at one node. Implements `records.Endpoint`.

    `register` finds associations, `serving` is for applications, `letters` go between both ends of an
    association, `home` is for the border, `modes` knows what keys may be made of, `undecided` what was handed
    out and is not durable yet.
    """

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
        ledger = ledger or MemoryLedger()
        self.relay = Relay(node_id, self, most_records=settings.limits.relay_records)
        self.register = Register()
        self.undecided = Undecided(ledger)
        store = DestinationStore(ledger, self.undecided)
        self._arrivals = Arrivals(store, settings.limits.stored_keys, random_bytes(16), clock, ledger)
        self._ready_memory = ReadyMemory(ledger, self.undecided, clock.now)
        self._ready_memory.restore(intact=ledger.intact, now_s=clock.monotonic())
        self._usages = UsageMemory(ledger)
        self._forsake_s = clock.monotonic() + FORSAKEN_S
        self.serving = Serving(settings, clock, self.register, store, self.undecided, emit)
        self._flights = Flights(settings, clock, random_bytes, self.relay, self.serving.serve)
        self._refill = Refill(
            settings, node_id, clock, random_bytes, self.relay, self._arrivals, self._flights
        )
        self.letters = Letters(self.register, self.relay)
        self.home = HomeSide(
            node_id, clock, self.register, self.relay, self._arrivals, self._flights, self._refill
        )
        party = None
        if settings.pqc is not None and identity is not None:
            party = Party(identity=identity, settings=settings.pqc, clock=clock, random_bytes=random_bytes)
        self.modes = KeyModes(
            node_id,
            clock,
            party,
            self.register.by_id,
            self._flights,
            self._arrivals,
            endpoint=self,
            write=lambda app_id, body: self.letters.send_letter(app_id, LetterKind.PQC, body),
            keep=self.home.keep,
            resume=self.home.resume,
            serve=self.serving.serve,
            emit=emit,
        )
        if self.modes.pqc is not None:
            self.letters.on_letters(LetterKind.PQC, self.modes.pqc.handle)

    # --- configuration ---------------------------------------------------------------------------

    def plan(self, plans: Iterable[AssociationPlan]) -> None:
        """Hold exactly these associations; the relay has its routes already."""
        now_s, held = self._clock.monotonic(), self.register.by_id
        wanted = {plan.app_id: plan for plan in plans}
        for app_id in [app_id for app_id in held if app_id not in wanted]:
            self._remove(held.pop(app_id))
        for app_id, plan in wanted.items():
            association = held.get(app_id)
            if association is None:
                usage = self._usages.usage(app_id, self._settings.statistics_period_s)
                association = held[app_id] = Association(plan, usage, self._ready_memory)
                self._restore(association, now_s)
            self._update(association, plan, now_s)
        self.register.index()
        self.modes.associate()
        self._check_expiry()
        self.serving.reseat()

    def _update(self, association: Association, plan: AssociationPlan, now_s: float) -> None:
        old = association.plan
        association.replan(plan, now_s)
        if plan.expires_at != old.expires_at:
            association.expired = False
        if not plan.source:
            return
        default, buffer = self._settings.default_key_bits, self._settings.buffer_keys
        association.given = self.home.gets(plan)
        association.lane(default).target = 0 if association.given else buffer
        association.limit(plan.qos.max_bandwidth_bps, buffer * default, now_s)
        self.modes.replanned(association, old)
        self._flights.redirect(association)
        for lane in association.lanes.values():
            self.serving.serve(association, lane)

    def _restore(self, association: Association, now_s: float) -> None:
        """Ready keys of the last run serve again, once the destination proved that it still has them."""
        left = self._ready_memory.left(association.plan.app_id) if association.plan.source else None
        if left is not None:
            association.restore(left)
            if association.plan.remote_node != self._node_id:
                association.doubt(now_s)

    def _remove(self, association: Association) -> None:
        self._flights.drop(association)
        self.modes.ended(association)
        self.serving.unseat(association)
        association.wipe()
        periods = association.usage.finish(self._clock.now())
        self._usages.forget(association.plan.app_id)
        if periods:  # nobody can read them here any more
            self._emit(AssociationRemoved(app_id=association.plan.app_id, statistics=periods))

    def close(self) -> None:
        """Overwrite every key in memory; what the ledger holds is there for the next run."""
        for association in self.register.by_id.values():
            self._usages.note(association.plan.app_id, association.usage)
            association.close()
        self._arrivals.store.wipe()

    # --- time ------------------------------------------------------------------------------------

    def refill(self) -> None:
        """Make and send what is missing."""
        self._refill.run(self.register.by_id.values())

    def tick(self) -> None:
        """Expire, ask again, close statistics periods."""
        now_s = self._clock.monotonic()
        self._check_expiry()
        self.serving.tick()
        self._arrivals.expire(now_s)
        if now_s >= self._forsake_s:
            self._ready_memory.forsake()
            self._usages.forsake()
        self.modes.tick()
        wall_s = self._clock.now()
        for association in self.register.by_id.values():
            association.usage.roll(wall_s)
            self._usages.note(association.plan.app_id, association.usage)
            if association.plan.source:
                self._tick_source(association, now_s)

    def _tick_source(self, association: Association, now_s: float) -> None:
        if association.doubted_s is not None:
            for link_id in association.plan.links:
                self.relay.hints.ask(link_id)
        ttl_s = self._flights.ttl_s(association.plan)
        self._flights.drop(association, made_before_s=now_s - min(FLIGHT_LIFE_S, ttl_s / 2))
        for lane in list(association.lanes.values()):
            lane.expire(now_s)
            self.serving.serve(association, lane)
            if lane.idle:
                del association.lanes[lane.size_bits]

    def _check_expiry(self) -> None:
        wall_s = self._clock.now()
        for association in self.register.by_id.values():
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

    # --- what the relay tells (`records.Endpoint`) -----------------------------------------------

    def arrived(self, batch: Batch, payload: Secret | None) -> Reason | None:
        """See `records.Endpoint`."""
        association = self.register.by_id.get(batch.app_id)
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

    @property
    def keeper(self) -> bytes:
        """See `records.Endpoint`."""
        return self._arrivals.keeper

    def confirmed(self, batch_id: bytes, link_id: LinkId, keeper: bytes) -> None:
        """See `records.Endpoint`."""
        self._flights.landed(batch_id, link_id, keeper)

    def doubted(self, link_id: LinkId) -> None:
        """See `records.Endpoint`."""
        for association in self.register.sources_over(link_id):
            association.doubt(self._clock.monotonic())
            self.relay.hints.ask(link_id)

    def kept(self, link_id: LinkId, keeper: bytes) -> None:
        """See `records.Endpoint`."""
        for association in self.register.sources_over(link_id):
            self._flights.kept(association, keeper)

    def setback(self, batch_id: bytes, reason: str, *, too_large: bool, link_id: LinkId) -> None:
        """See `records.Endpoint`."""
        self._flights.setback(batch_id, reason, too_large=too_large, link_id=link_id)

    def refused(self, batch_id: bytes, reason: str) -> None:
        """See `records.Endpoint`."""
        self._flights.refused(batch_id, reason)

    def letter(self, letter: Letter) -> None:
        """See `records.Endpoint`."""
        self.letters.deliver(letter)

    def troubled(self, link_id: LinkId, reason: str) -> None:
        """See `records.Endpoint`."""
        self._emit(RelayTrouble(link_id=link_id, reason=reason))

    def restored(self, link_id: LinkId) -> None:
        """See `records.Endpoint`."""
        self._emit(RelayRestored(link_id=link_id))

    # --- views -----------------------------------------------------------------------------------

    def views(self) -> dict[AppId, AssociationView]:
        """Every association as observed."""
        wall_s, size = self._clock.now(), self._settings.default_key_bits
        return {
            app_id: association_view(association, size, self._arrivals.store.count(app_id), wall_s)
            for app_id, association in self.register.by_id.items()
        }
