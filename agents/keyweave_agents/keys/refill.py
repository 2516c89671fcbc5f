"""Making keys at the source, ahead of demand: what is missing goes out in batches, fair and bounded.

Rule of this file: random bytes become a key here and nowhere else (keys of ML-KEM come from `pqc`). Batches
are as large as the buffer's deficit and the pool allow, because every batch costs 32 bytes of tag on each hop
whatever its size.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from keyweave_agents.keys.abroad import Abroad
from keyweave_agents.keys.arrivals import Arrivals
from keyweave_agents.keys.association import Association
from keyweave_agents.keys.frames import Batch, Reason
from keyweave_agents.keys.key_batch import KeyBatch, fresh_ids
from keyweave_agents.keys.lanes import MOST_BATCH_BYTES, Flight, Lane
from keyweave_agents.keys.pad import TAG_KEY_BYTES
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.pqc import Pqc
from keyweave_agents.keys.pqc_letters import MOST_OFFERED
from keyweave_agents.keys.relay import Relay
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.split import split
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyMode, KeyOrigin, RelayMethod
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import Clock

RESERVE_BYTES = 8 * TAG_KEY_BYTES
"""Pool bytes that filling a buffer leaves for acknowledgements and waiting requests."""


class Refill:
    """Makes keys for the associations of one node. `serve` answers the requests of a lane."""

    def __init__(
        self,
        settings: KeySettings,
        node_id: NodeId,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        relay: Relay,
        arrivals: Arrivals,
        serve: Callable[[Association, Lane], None],
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._clock = clock
        self._random = random_bytes
        self._relay = relay
        self._arrivals = arrivals
        self._serve = serve
        self._flights: dict[bytes, tuple[Association, Lane]] = {}
        self._turn = 0
        self.abroad: Abroad | None = None
        self.pqc: Pqc | None = None

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
        secret = self.pqc.secret(association.plan.app_id) if hybrid and self.pqc is not None else None
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
        if secret is not None and self.pqc is not None:
            flight.combined = secret.combined(batch, payload)
            self.pqc.count(batch.app_id, number)
        self._launch(association, lane, flight)
        return True

    def _payload(self, batch: Batch, now_s: float) -> Secret | None:
        """What goes out as the keys of a batch: announced whole, they lie in the pool of the first hop."""
        relay = self._relay
        if not batch.links and relay.routes[batch.link_id].method is RelayMethod.XOR_ANNOUNCE:
            return relay.draw(batch, now_s)
        return Secret.taking(bytearray(self._random(batch.payload_bytes)))

    def _make_spare(self, association: Association, lane: Lane, now_s: float) -> bool:
        """Keys of ML-KEM alone, in a fallback: both ends make them, none travels."""
        limits, pqc = self._settings.limits, self.pqc
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
        lane.launch(Flight(batch, payload, now_s, association.doubts))
        self._flights[batch.batch_id] = (association, lane)
        return True

    def _why_unagreed(self, association: Association) -> str:
        return self.pqc.trouble(association.plan.app_id) if self.pqc is not None else ""

    def _launch(self, association: Association, lane: Lane, flight: Flight) -> None:
        """Send a batch on its way, split where the association has several links."""
        batch, payload, now_s = flight.batch, flight.payload, flight.made_s
        if batch.links:
            shares = split(payload, batch.links, self._random, batch.threshold)
            for link_id, share in shares.items():
                if self._relay.routes.leads_on(link_id):  # with a threshold not all need to
                    flight.shares[link_id] = share
                else:
                    share.wipe()
        lane.launch(flight)
        self._flights[batch.batch_id] = (association, lane)
        if not batch.links and not self._relay.carries(batch.batch_id, batch.link_id):
            self._relay.submit(batch, payload, now_s)
        for link_id, share in list(flight.shares.items()):
            if batch.batch_id in self._flights:  # not given up over the link before
                self._relay.submit(replace(batch, link_id=link_id), share, now_s)

    def _leads_abroad(self, plan: AssociationPlan) -> bool:
        return self.abroad is not None and any(self.abroad.holds(client) for client in plan.clients)

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
        lane.launch(Flight(batch, payload, now_s))
        self._flights[batch.batch_id] = (association, lane)
        return True

    def _cross(self, association: Association, flight: Flight, batch_id: bytes) -> None:
        reason = None
        if self.abroad is not None:
            reason = self.abroad.arrived(association.plan, flight.batch, flight.payload)
        if reason is None:
            self.landed(batch_id, flight.batch.link_id, association.keeper)
        elif reason is Reason.BORDER_REFUSED:
            self.refused(batch_id, reason.value)
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
            self._launch(association, lane, flight)
            return
        lane.launch(flight)
        self._flights[batch_id] = (association, lane)
        if self._leads_abroad(plan):
            self._cross(association, flight, batch_id)
            return
        reason = self._arrivals.accept(plan, batch, payload, self.ttl_s(plan), now_s)
        if reason is None:
            self.landed(batch_id, batch.link_id, association.keeper)
        else:
            association.blocked = reason.value
            self._give_up(lane, batch_id)

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
        reason = self._arrivals.accept(plan, batch, payload, self.ttl_s(plan), now_s)
        if reason is not None:
            payload.wipe()
            association.blocked = reason.value
            return False
        self._ready(association, lane, Flight(batch, payload, now_s))
        return True

    def landed(self, batch_id: bytes, link_id: LinkId, keeper: bytes) -> None:
        """The destination holds a batch, and said so over all of its links: its keys are ready."""
        pair = self._flights.get(batch_id)
        if pair is None:
            return
        association, lane = pair
        flight = lane.flights[batch_id]
        if flight.batch.origin is KeyOrigin.PQC:
            return  # it was never relayed
        if flight.batch.links:
            share = flight.shares.pop(link_id, None)
            if share is None:
                return
            share.wipe()
            if flight.keeper not in (b"", keeper):  # it restarted in between
                self._give_up(lane, batch_id)
                return
            flight.keeper = keeper
            flight.acks += 1
            if flight.acks < flight.batch.needed:
                return
            for left in list(flight.shares):
                self._drop_share(flight, left)
        if association.watch is not None:
            association.watch.acknowledged(self._clock.monotonic())
        self._land(association, lane, flight, keeper)

    def stored(self, batch_id: bytes, keeper: bytes) -> None:
        """The destination, as `keeper`, made and stored the keys of a batch that was offered."""
        pair = self._flights.get(batch_id)
        if pair is not None and pair[1].flights[batch_id].batch.origin is KeyOrigin.PQC:
            self._land(*pair, pair[1].flights[batch_id], keeper)

    def _land(self, association: Association, lane: Lane, flight: Flight, keeper: bytes) -> None:
        batch_id = flight.batch.batch_id
        del self._flights[batch_id]
        lane.land(batch_id)
        association.proved(flight, keeper)
        if flight.given:
            bits, batch = 8 * flight.batch.payload_bytes, flight.batch
            link = batch.over[0] if batch.over else None
            association.usage.count(link, bits, batch.count, self._clock.now(), batch.origin)
            flight.wipe()
            if self.abroad is not None:
                self.abroad.landed(batch_id)
            return
        self._ready(association, lane, flight)

    def kept(self, association: Association, keeper: bytes) -> None:
        """The destination says who it is: what another start of it acknowledged in part is given up."""
        association.kept_by(keeper)
        for lane in association.lanes.values():
            for batch_id, flight in list(lane.flights.items()):
                if flight.keeper not in (b"", keeper):
                    self._give_up(lane, batch_id)

    def refused(self, batch_id: bytes, reason: str) -> None:
        """A batch is not taken where it goes: other keys may be."""
        pair = self._flights.get(batch_id)
        if pair is not None:
            association, lane = pair
            association.blocked = reason
            self._give_up(lane, batch_id)

    def setback(
        self, batch_id: bytes, reason: str, *, too_large: bool, link_id: LinkId | None = None
    ) -> None:
        """A batch did not get through yet; one that was too large is made anew, and smaller.

        Unless it is one share of more than are needed: then the others go on without it.
        """
        pair = self._flights.get(batch_id)
        if pair is not None:
            association, lane = pair
            association.blocked = reason
            flight = lane.flights[batch_id]
            spare = flight.acks + len(flight.shares) > flight.batch.needed
            if too_large and spare and link_id is not None:
                self._drop_share(flight, link_id)
            elif too_large:
                half = max(1, flight.batch.count // 2)
                association.most_keys = min(association.most_keys, half)
                self._give_up(lane, batch_id)

    def _drop_share(self, flight: Flight, link_id: LinkId) -> None:
        """The batch gets through without this one."""
        self._relay.withdraw(flight.batch.batch_id, link_id)
        share = flight.shares.pop(link_id, None)
        if share is not None:
            share.wipe()

    def _give_up(self, lane: Lane, batch_id: bytes) -> None:
        """Forget a batch under way; its keys were never supplied to anybody."""
        del self._flights[batch_id]
        flight = lane.land(batch_id)
        if flight.batch.origin is not KeyOrigin.PQC:
            for link_id in flight.batch.over:
                self._relay.withdraw(batch_id, link_id)
        elif self.pqc is not None:
            self.pqc.withdraw(flight.batch)
        flight.wipe()
        if flight.given and self.abroad is not None:
            self.abroad.given_up(batch_id)

    def redirect(self, association: Association) -> None:
        """Send what is under way over the links that the association has now.

        Keys that are split, or shall be, are given up instead, and others made (see `split`).
        """
        links = association.plan.links
        link_id = links[0] if links and self._relay.routes.leads_on(links[0]) else None
        now_s = self._clock.monotonic()
        for lane in association.lanes.values():
            for flight in list(lane.flights.values()):
                batch = flight.batch
                if batch.origin is KeyOrigin.PQC:
                    if batch.over != links:
                        self._give_up(lane, batch.batch_id)
                    continue
                if batch.links or len(links) > 1:
                    carried = all(self._relay.carries(batch.batch_id, one) for one in flight.shares)
                    other = batch.links != links or batch.threshold != association.plan.partial
                    if other or not carried:
                        self._give_up(lane, batch.batch_id)
                    continue
                if batch.link_id == link_id and self._relay.carries(batch.batch_id, link_id):
                    continue
                self._relay.withdraw(batch.batch_id, batch.link_id)
                if link_id is not None:
                    flight.batch = replace(batch, link_id=link_id)
                    self._relay.submit(flight.batch, flight.payload, now_s)

    def give_up_other(self, association: Association, origins: frozenset[KeyOrigin]) -> None:
        """Give up batches under way of other origins than these."""
        for lane in association.lanes.values():
            for batch_id, flight in list(lane.flights.items()):
                if flight.batch.origin not in origins:
                    self._give_up(lane, batch_id)

    def forgotten(self, association: Association, names: frozenset[bytes]) -> None:
        """The destination does not know these secrets: what is under way of them comes to nothing."""
        for lane in association.lanes.values():
            for batch_id, flight in list(lane.flights.items()):
                if flight.batch.secret_id in names:
                    self._give_up(lane, batch_id)

    def drop(self, association: Association, *, made_before_s: float | None = None) -> None:
        """Give up batches under way: all, or those made before a moment."""
        for lane in association.lanes.values():
            for batch_id, flight in list(lane.flights.items()):
                if made_before_s is None or flight.made_s < made_before_s:
                    self._give_up(lane, batch_id)

    def _ready(self, association: Association, lane: Lane, flight: Flight) -> None:
        keys = flight.payload if flight.combined is None else flight.combined
        lives_s = self.ttl_s(association.plan) / 2
        batch = KeyBatch.of(flight.batch, keys, expires_s=flight.made_s + lives_s, lives_s=lives_s)
        lane.put(batch, association.keeper, self._clock.monotonic())
        flight.wipe()
        association.blocked = ""
        self._serve(association, lane)

    def ttl_s(self, plan: AssociationPlan) -> float:
        """Longest stay of an unused key."""
        return float(plan.qos.ttl_s or self._settings.key_ttl_s)
