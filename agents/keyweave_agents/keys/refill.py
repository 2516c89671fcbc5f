"""Making keys at the source, ahead of demand: what is missing goes out in batches, fair and bounded.

Rule of this file: random bytes become a key here and nowhere else (keys of ML-KEM come from `pqc`). Batches
are as large as the buffer's deficit and the pool allow, because every batch costs 32 bytes of tag on each hop
whatever its size.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from keyweave_agents.keys.arrivals import Arrivals
from keyweave_agents.keys.association import Association
from keyweave_agents.keys.flights import Flights
from keyweave_agents.keys.key_batch import fresh_ids
from keyweave_agents.keys.lanes import MOST_BATCH_BYTES, Flight, Lane
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.pqc.letters import MOST_OFFERED
from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.keys.relaying.pad import TAG_KEY_BYTES
from keyweave_agents.keys.relaying.relay import Relay
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyMode, KeyOrigin, RelayMethod
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import Clock

RESERVE_BYTES = 8 * TAG_KEY_BYTES
"""Pool bytes that filling a buffer leaves for acknowledgements and waiting requests."""


class Refill:
    """Makes keys for the associations of one node."""

    def __init__(
        self,
        settings: KeySettings,
        node_id: NodeId,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        relay: Relay,
        arrivals: Arrivals,
        flights: Flights,
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._clock = clock
        self._random = random_bytes
        self._relay = relay
        self._arrivals = arrivals
        self._flights = flights
        self._turn = 0

    def run(self, associations: Iterable[Association]) -> None:
        """Make and send what is missing, one batch of each association in turn, the most important first."""
        now_s = self._clock.monotonic()
        sources = [one for one in associations if one.plan.source and one.open]
        if not sources:
            return
        self._turn = (self._turn + 1) % len(sources)
        sources = sources[self._turn :] + sources[: self._turn]
        sources.sort(key=lambda one: -one.plan.priority)
        busy = [(association, lane) for association in sources for lane in association.lanes.values()]
        while busy:
            busy = [pair for pair in busy if self._make(*pair, now_s)]

    def _make(self, association: Association, lane: Lane, now_s: float) -> bool:
        limits = self._settings.limits
        if association.plan.remote_node == self._node_id and self._leads_abroad(association.plan):
            return self._make_abroad(association, lane, now_s)
        if association.given:
            return False
        if association.plan.remote_node == self._node_id:
            number = lane.wanted(limits.keys_per_batch * lane.key_bytes, 0, limits.keys_per_batch)
            return number > 0 and self._make_here(association, lane, number, now_s)
        relayed = self._make_relayed(association, lane, now_s)
        return self._make_spare(association, lane, now_s) or relayed

    def _make_relayed(self, association: Association, lane: Lane, now_s: float) -> bool:
        """Keys over the quantum layer, in mode hybrid combined with the secret of both ends."""
        limits, hybrid = self._settings.limits, association.plan.mode is KeyMode.HYBRID
        spendable = self._spendable(association)
        if spendable is None or lane.batches(spare=False) >= limits.batches_in_flight:
            return False
        pqc = self._flights.pqc
        secret = pqc.secret(association.plan.app_id) if hybrid and pqc is not None else None
        if hybrid and secret is None:
            association.blocked = self._why_unagreed(association)
            return False
        most = min(limits.keys_per_batch, association.most_keys)
        number = lane.wanted(spendable - TAG_KEY_BYTES, RESERVE_BYTES, most)
        if number == 0 and association.wants_proof and spendable >= lane.key_bytes + TAG_KEY_BYTES:
            number = 1
        if number == 0:
            if lane.demand > len(lane.ready) + lane.flying or (lane.lacking and not lane.flights):
                association.blocked = f"{Reason.NO_PAD.value} (at node {self._node_id})"
            return False
        batch = self._named(association, lane.key_bytes, number, association.plan.links)
        if secret is not None:
            batch = replace(batch, secret_id=secret.name, origin=KeyOrigin.HYBRID)
        payload = self._payload(batch, now_s)
        if payload is None:
            return False
        flight = Flight(batch, payload, now_s, association.doubts)
        if secret is not None and pqc is not None:
            flight.combined = secret.combined(batch, payload)
            pqc.count(batch.app_id, number)
        self._flights.launch(association, lane, flight)
        return True

    def _payload(self, batch: Batch, now_s: float) -> Secret | None:
        """What goes out as the keys of a batch: announced whole, they lie in the pool of the first hop."""
        relay = self._relay
        if not batch.links and relay.routes[batch.link_id].method is RelayMethod.XOR_ANNOUNCE:
            return relay.draw(batch, now_s)
        return Secret.taking(bytearray(self._random(batch.payload_bytes)))

    def _make_spare(self, association: Association, lane: Lane, now_s: float) -> bool:
        """Keys of ML-KEM alone, in a fallback: both ends make them, none travels."""
        limits, pqc = self._settings.limits, self._flights.pqc
        if pqc is None or not association.in_fallback or lane.batches(spare=True) >= limits.batches_in_flight:
            return False
        secret = pqc.secret(association.plan.app_id)
        if secret is None:
            association.blocked = self._why_unagreed(association)
            return False
        number = lane.wanted_spare(min(limits.keys_per_batch, MOST_OFFERED))
        if number == 0 and association.wants_proof:
            number = 1
        if number == 0 or not association.plan.links:
            return False
        batch = replace(
            self._named(association, lane.key_bytes, number, association.plan.links),
            secret_id=secret.name,
            origin=KeyOrigin.PQC,
        )
        payload = pqc.offer(batch, association.plan.clients)
        self._flights.note(association, lane, Flight(batch, payload, now_s, association.doubts))
        return True

    def _why_unagreed(self, association: Association) -> str:
        return self._flights.pqc.trouble(association.plan.app_id) if self._flights.pqc is not None else ""

    def _leads_abroad(self, plan: AssociationPlan) -> bool:
        return self._flights.abroad is not None and any(
            self._flights.abroad.holds(client) for client in plan.clients
        )

    def _make_abroad(self, association: Association, lane: Lane, now_s: float) -> bool:
        """The master is at this node and the slave abroad: the other network confirms what goes out."""
        for batch_id, flight in list(lane.flights.items()):
            self._cross(association, flight, batch_id)
        limits = self._settings.limits
        most = 0 if association.given else limits.keys_per_batch
        number = lane.wanted(most * lane.key_bytes, 0, most)
        if number == 0 or len(lane.flights) >= limits.batches_in_flight:
            return False
        batch, payload = self._fresh(association, lane, number, ())
        self._flights.note(association, lane, Flight(batch, payload, now_s))
        return True

    def _cross(self, association: Association, flight: Flight, batch_id: bytes) -> None:
        reason = None
        if self._flights.abroad is not None:
            reason = self._flights.abroad.arrived(association.plan, flight.batch, flight.payload)
        if reason is None:
            self._flights.landed(batch_id, flight.batch.link_id, association.keeper)
        elif reason is Reason.BORDER_REFUSED:
            self._flights.refused(batch_id, reason.value)
        else:
            association.blocked = reason.value

    # --- keys of another network -----------------------------------------------------------------

    def room(self, association: Association, key_bytes: int) -> int:
        """How many keys can be given to an association now, in one batch."""
        limits = self._settings.limits
        most = min(limits.keys_per_batch, association.most_keys, max(1, MOST_BATCH_BYTES // key_bytes))
        if len(association.lane(8 * key_bytes).flights) >= limits.batches_in_flight:
            return 0
        if association.plan.remote_node == self._node_id:
            return most
        if association.plan.mode is KeyMode.HYBRID:
            association.blocked = "keys of another network cannot be combined with a secret of this one"
            return 0
        spendable = self._spendable(association)
        return 0 if spendable is None else max(0, min(most, (spendable - TAG_KEY_BYTES) // key_bytes))

    def give(self, association: Association, batch_id: bytes, key_ids: bytes, payload: Secret) -> None:
        """Send keys that another network made, as many as there is room for.

        `Abroad.landed` or `Abroad.given_up` tells the end, possibly at once. The payload is copied.
        """
        if batch_id in self._flights:
            return
        now_s, plan = self._clock.monotonic(), association.plan
        key_bytes = 16 * len(payload) // len(key_ids)
        here = plan.remote_node == self._node_id
        links = () if here else plan.links
        batch = Batch(
            batch_id=batch_id,
            app_id=plan.app_id,
            link_id=links[0] if links else LinkId(""),
            key_bytes=key_bytes,
            key_ids=key_ids,
            links=links if len(links) > 1 else (),
            threshold=plan.partial if links else 0,
        )
        lane = association.lane(8 * key_bytes)
        flight = Flight(batch, payload.slice(0, len(payload)), now_s, association.doubts, given=True)
        if not here:
            self._flights.launch(association, lane, flight)
            return
        self._flights.note(association, lane, flight)
        if self._leads_abroad(plan):
            self._cross(association, flight, batch_id)
            return
        reason = self._arrivals.accept(plan, batch, payload, self._flights.ttl_s(plan), now_s)
        if reason is None:
            self._flights.landed(batch_id, batch.link_id, association.keeper)
        else:
            association.blocked = reason.value
            self._flights.give_up(lane, batch_id)

    def _spendable(self, association: Association) -> int | None:
        """Bytes that a batch and its tag may take on each link that it needs; None: they lead nowhere.

        With a threshold the links that give least, or nothing now, do not count while enough are left.
        """
        routes, links = self._relay.routes, association.plan.links
        over = {link_id: routes.next_sessions(link_id) for link_id in links if routes.leads_on(link_id)}
        ways = {link_id: sessions for link_id, sessions in over.items() if sessions}
        needed = association.plan.partial or len(links)
        if not links or len(over) < needed:
            association.blocked = "no path is configured"
            return None
        if len(ways) < needed:
            down = next(link_id for link_id in over if link_id not in ways)
            which = f" of virtual link {down}" if len(links) > 1 else ""
            association.blocked = Reason.NEXT_HOP_DOWN.value + which
            return None
        if len(ways) == 1:
            ((link_id, sessions),) = ways.items()
            return min(session.room(routes[link_id].method) for session in sessions)
        # Links that begin over one fibre share its pool.
        used = [session for sessions in ways.values() for session in sessions]
        rooms = [
            min(session.room(routes[link_id].method) // used.count(session) for session in sessions)
            for link_id, sessions in ways.items()
        ]
        return sorted(rooms, reverse=True)[needed - 1]

    def _fresh(
        self, association: Association, lane: Lane, number: int, links: tuple[LinkId, ...]
    ) -> tuple[Batch, Secret]:
        batch = self._named(association, lane.key_bytes, number, links)
        return batch, Secret(self._random(batch.payload_bytes))

    def _named(
        self, association: Association, key_bytes: int, number: int, links: tuple[LinkId, ...]
    ) -> Batch:
        return Batch(
            batch_id=fresh_ids(1, self._random),
            app_id=association.plan.app_id,
            link_id=links[0] if links else LinkId(""),
            key_bytes=key_bytes,
            key_ids=fresh_ids(number, self._random),
            links=links if len(links) > 1 else (),
            threshold=association.plan.partial if links else 0,
        )

    def _make_here(self, association: Association, lane: Lane, number: int, now_s: float) -> bool:
        """Both applications are at this node: what one gets lies here for the other."""
        batch, payload = self._fresh(association, lane, number, ())
        plan = association.plan
        reason = self._arrivals.accept(plan, batch, payload, self._flights.ttl_s(plan), now_s)
        if reason is not None:
            payload.wipe()
            association.blocked = reason.value
            return False
        self._flights.ready(association, lane, Flight(batch, payload, now_s))
        return True
