"""What a node does for its border to other networks: keys from there are given, those for there handed over.

Rule of this file: who stands at the border is known in one place, `Flights.abroad`. What becomes of keys at
the other side is the border's business (`keys.border`).
"""

from keyweave_agents.keys.abroad import Abroad
from keyweave_agents.keys.arrivals import Arrivals
from keyweave_agents.keys.association import Association
from keyweave_agents.keys.flights import Flights
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.refill import Refill
from keyweave_agents.keys.register import Register
from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.keys.relaying.relay import Relay
from keyweave_agents.material import Secret
from keyweave_core.model.ids import AppId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock


class HomeSide:
    """Our side of the border. Implements `abroad.Home`."""

    def __init__(
        self,
        node_id: NodeId,
        clock: Clock,
        register: Register,
        relay: Relay,
        arrivals: Arrivals,
        flights: Flights,
        refill: Refill,
    ) -> None:
        self._node_id = node_id
        self._clock = clock
        self._register = register
        self._relay = relay
        self._arrivals = arrivals
        self._flights = flights
        self._refill = refill

    def cross(self, abroad: Abroad) -> None:
        """See `abroad.Home`."""
        self._flights.abroad = abroad

    # --- for the associations of this node -------------------------------------------------------

    def gets(self, plan: AssociationPlan) -> bool:
        """Whether the keys of an association come from another network: its master is abroad."""
        abroad = self._flights.abroad
        return abroad is not None and abroad.holds(plan.server)

    def keep(self, plan: AssociationPlan, batch: Batch, payload: Secret) -> Reason | None:
        """Store keys at their destination, or give them to the other network; None when that is done."""
        now_s, abroad = self._clock.monotonic(), self._flights.abroad
        if abroad is not None and any(abroad.holds(client) for client in plan.clients):
            return abroad.arrived(plan, batch, payload)
        reason = self._arrivals.accept(plan, batch, payload, self._flights.ttl_s(plan), now_s)
        if reason is None and abroad is not None:
            self._arrivals.store.withdraw(plan.app_id, abroad.recalled(batch.key_ids))
        return reason

    # --- for the border --------------------------------------------------------------------------

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
        for association in self._register.of_group(server, clients):
            if association.given and association.open:
                return association
        return None

    def recall(self, app_id: AppId, key_ids: tuple[str, ...]) -> frozenset[str]:
        """See `abroad.Home`."""
        association = self._register.by_id.get(app_id)
        found = self._arrivals.store.withdraw(app_id, key_ids)
        if association is not None:
            for lane in association.lanes.values():
                found += lane.ready.withdraw(frozenset(key_ids))
                found += lane.spare.withdraw(frozenset(key_ids))
        return frozenset(found)

    def both_here(self, app_id: AppId) -> bool:
        """See `abroad.Home`."""
        association = self._register.by_id.get(app_id)
        return association is not None and association.plan.remote_node == self._node_id

    def count(self, batch: Batch) -> None:
        """See `abroad.Home`."""
        association = self._register.by_id.get(batch.app_id)
        if association is not None and not association.plan.source:
            link = batch.over[0] if batch.over else None
            bits = 8 * batch.payload_bytes
            association.usage.count(link, bits, batch.count, self._clock.now(), batch.origin)

    def resume(self) -> None:
        """See `abroad.Home`."""
        self._relay.resume(self._clock.monotonic())
