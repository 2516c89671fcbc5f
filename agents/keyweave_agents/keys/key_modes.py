"""What the key mode of an association means at this node, and the door between it and agreements by ML-KEM.

    qkd-only       keys that came over the quantum layer
    hybrid         such keys combined with an ML-KEM secret; none without both
    pqc-fallback   quantum keys; keys of ML-KEM alone while the quantum layer cannot serve

Rule of this file: the mode binds both ends. A source makes no key of an origin that its mode does not allow,
and a destination takes none, whatever the other end believes; so nobody is talked down.
"""

from collections.abc import Callable, Mapping

from keyweave_agents.keys.arrivals import Arrivals
from keyweave_agents.keys.association import Association
from keyweave_agents.keys.flights import Flights
from keyweave_agents.keys.lanes import Lane
from keyweave_agents.keys.plan import MADE_IN, AssociationPlan, FallbackBegan, FallbackEnded, KeyEvent
from keyweave_agents.keys.pqc.agreements import Pqc
from keyweave_agents.keys.pqc.letters import Why
from keyweave_agents.keys.pqc.ports import Party
from keyweave_agents.keys.pqc.watch import QuantumWatch
from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.keys.relaying.records import Complaints, Endpoint
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyMode, KeyOrigin
from keyweave_core.model.ids import AppId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock

Keep = Callable[[AssociationPlan, Batch, Secret], Reason | None]
"""Stores keys at the destination; None when they are stored."""


class KeyModes:
    """The modes of all associations of one node. Implements `pqc.ports.PqcHost`."""

    def __init__(
        self,
        node_id: NodeId,
        clock: Clock,
        party: Party | None,
        associations: Mapping[AppId, Association],
        flights: Flights,
        arrivals: Arrivals,
        *,
        endpoint: Endpoint,
        write: Callable[[AppId, bytes], bool],
        keep: Keep,
        resume: Callable[[], None],
        serve: Callable[[Association, Lane], None],
        emit: Callable[[KeyEvent], None],
    ) -> None:
        self._node_id = node_id
        self._clock = clock
        self._party = party
        self._associations = associations
        self._flights = flights
        self._arrivals = arrivals
        self._write = write
        self._keep = keep
        self._resume = resume
        self._serve = serve
        self._emit = emit
        self._complaints = Complaints(endpoint)
        self.pqc = Pqc(node_id, party, self) if party is not None else None
        flights.pqc = self.pqc

    # --- configuration ---------------------------------------------------------------------------

    def objection(self, plan: AssociationPlan) -> str | None:
        """Why this node cannot take an association of such a mode; None when it can."""
        if plan.mode is KeyMode.QKD_ONLY:
            return None
        if self.pqc is None:
            return f"key mode {plan.mode} needs the table [keys.pqc], which the settings of this node lack"
        if plan.source and len(plan.clients) > 1:
            return f"key mode {plan.mode} is for one client; {len(plan.clients)} are to get the same keys"
        return None

    def replanned(self, association: Association, before: AssociationPlan) -> None:
        """A source has its plan: what the mode does not allow any more goes, ready or under way."""
        plan, now_s = association.plan, self._clock.monotonic()
        if plan.mode is not before.mode:
            self._flights.give_up_other(association, MADE_IN[plan.mode])
        for lane in association.lanes.values():  # those of the last run, too
            lane.keep_only(MADE_IN[plan.mode])
        if plan.mode is KeyMode.PQC_FALLBACK and association.open and self._party is not None:
            if association.watch is None:
                settings = self._party.settings
                association.watch = QuantumWatch(settings.fallback_after_s, settings.return_after_s, now_s)
        else:
            self.ended(association)

    def ended(self, association: Association) -> None:
        """An association has no fallback any more."""
        if association.in_fallback:
            self._emit(FallbackEnded(app_id=association.plan.app_id))
        association.watch = None

    def associate(self) -> None:
        """The plan as a whole is taken over."""
        if self.pqc is not None:
            self.pqc.associate(one.plan for one in self._associations.values() if one.open)
        self._complaints.keep_only(
            link_id for one in self._associations.values() for link_id in one.plan.links[:1]
        )

    def tick(self) -> None:
        """What time brings: agreements, and whether the quantum layer serves."""
        if self.pqc is None:
            return
        self.pqc.tick()
        now_s = self._clock.monotonic()
        for app_id, association in self._associations.items():
            if not association.open:
                self.ended(association)
            elif self.pqc.overdue(app_id):
                self.forged(app_id, f"there is no secret: {self.pqc.trouble(app_id)}")
            watch = association.watch
            if watch is None:
                continue
            missing = any(lane.lacking for lane in association.lanes.values())
            if not watch.tick(now_s, missing=missing, able=self.pqc.secret(app_id) is not None):
                continue
            if watch.in_fallback:
                reason = association.blocked or "no acknowledgement from the destination"
                self._emit(FallbackBegan(app_id=app_id, reason=reason))
                for lane in association.lanes.values():
                    self._serve(association, lane)
            else:
                self._emit(FallbackEnded(app_id=app_id))

    # --- the destination -------------------------------------------------------------------------

    def takes(self, plan: AssociationPlan, batch: Batch) -> Reason | None:
        """Whether keys of that origin may come to a destination; None when they may."""
        return None if batch.origin in MADE_IN[plan.mode] else Reason.OTHER_MODE

    def store(self, plan: AssociationPlan, batch: Batch, payload: Secret) -> Reason | None:
        """Store what was relayed, combined with the secret that it names; None when it is stored."""
        if batch.origin is KeyOrigin.QKD:
            return self._keep(plan, batch, payload)
        secret = self.pqc.known(batch.app_id, batch.secret_id) if self.pqc is not None else None
        if secret is None:
            return Reason.UNAGREED
        combined = secret.combined(batch, payload)
        reason = self._keep(plan, batch, combined)
        combined.wipe()
        return reason

    # --- for agreements (`pqc.ports.PqcHost`) ----------------------------------------------------

    @property
    def keeper(self) -> bytes:
        """See `PqcHost.keeper`."""
        return self._arrivals.keeper

    def write(self, app_id: AppId, body: bytes) -> bool:
        """See `PqcHost.write`."""
        return self._write(app_id, body)

    def offered(self, batch: Batch, clients: tuple[SaeId, ...], make: Callable[[], Secret]) -> Why | None:
        """See `PqcHost.offered`."""
        association = self._associations.get(batch.app_id)
        if association is None or association.plan.source or association.expired:
            return Why.OTHER_ENDS
        plan = association.plan
        if self.takes(plan, batch) is not None:
            return Why.OTHER_MODE
        backed = association.backed_by(batch.over, self._clock.monotonic())
        if not backed or set(clients) != set(plan.clients) or self._arrivals.has(batch.batch_id):
            return Why.OTHER_ENDS
        keys = make()
        reason = self._keep(plan, batch, keys)
        keys.wipe()
        return None if reason is None else Why.FULL

    def stored(self, batch_id: bytes, keeper: bytes) -> None:
        """See `PqcHost.stored`."""
        self._flights.stored(batch_id, keeper)

    def declined(self, batch_id: bytes, reason: str) -> None:
        """See `PqcHost.declined`."""
        self._flights.setback(batch_id, reason, too_large=False)

    def agreed(self, app_id: AppId) -> None:  # noqa: ARG002 - what waits is few
        """See `PqcHost.agreed`."""
        self._resume()

    def forgotten(self, app_id: AppId, names: frozenset[bytes], keeper: bytes) -> None:
        """See `PqcHost.forgotten`."""
        association = self._associations.get(app_id)
        if association is not None:
            self._flights.forgotten(association, names)
            self._flights.kept(association, keeper)

    def forged(self, app_id: AppId, reason: str) -> None:
        """See `PqcHost.forged`. After three times in a row the operator hears of it."""
        association = self._associations.get(app_id)
        if association is not None and association.plan.links:
            link_id = association.plan.links[0]
            self._complaints.count(link_id, f"letters about ML-KEM: {reason}", self._clock.monotonic())

    def authentic(self, app_id: AppId) -> None:
        """See `PqcHost.authentic`."""
        association = self._associations.get(app_id)
        if association is not None and association.plan.links:
            self._complaints.clear(association.plan.links[0])
