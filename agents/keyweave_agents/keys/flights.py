"""Batches under way from a source: what became of them.

Rule of this file: a batch ends once, as ready keys or given up, and its keys are supplied to nobody before
the destination said that it holds them. Whatever changes while it is under way is decided here.
"""

from collections.abc import Callable
from dataclasses import replace

from keyweave_agents.keys.abroad import Abroad
from keyweave_agents.keys.association import Association
from keyweave_agents.keys.key_batch import KeyBatch
from keyweave_agents.keys.lanes import Flight, Lane
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.pqc.agreements import Pqc
from keyweave_agents.keys.relaying.relay import Relay
from keyweave_agents.keys.relaying.split import split
from keyweave_agents.keys.settings import KeySettings
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import LinkId
from keyweave_core.runtime.clock import Clock


class Flights:
    """The batches of one node's associations. `serve` answers the requests of a lane.

    `abroad` stands at the border, `pqc` makes keys by ML-KEM, where the node has them.
    """

    def __init__(
        self,
        settings: KeySettings,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        relay: Relay,
        serve: Callable[[Association, Lane], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random_bytes
        self._relay = relay
        self._serve = serve
        self._flights: dict[bytes, tuple[Association, Lane]] = {}
        self.abroad: Abroad | None = None
        self.pqc: Pqc | None = None

    def __contains__(self, batch_id: bytes) -> bool:
        return batch_id in self._flights

    # --- taking off --------------------------------------------------------------------------------

    def note(self, association: Association, lane: Lane, flight: Flight) -> None:
        """A batch is under way, by whatever means."""
        lane.launch(flight)
        self._flights[flight.batch.batch_id] = (association, lane)

    def launch(self, association: Association, lane: Lane, flight: Flight) -> None:
        """Send a batch on its way, split where the association has several links."""
        batch, payload, now_s = flight.batch, flight.payload, flight.made_s
        if batch.links:
            shares = split(payload, batch.links, self._random, batch.threshold)
            for link_id, share in shares.items():
                if self._relay.routes.leads_on(link_id):  # with a threshold not all need to
                    flight.shares[link_id] = share
                else:
                    share.wipe()
        self.note(association, lane, flight)
        if not batch.links and not self._relay.carries(batch.batch_id, batch.link_id):
            self._relay.submit(batch, payload, now_s)
        for link_id, share in list(flight.shares.items()):
            if batch.batch_id in self._flights:  # not given up over the link before
                self._relay.submit(replace(batch, link_id=link_id), share, now_s)

    # --- landing -----------------------------------------------------------------------------------

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
                self.give_up(lane, batch_id)
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
        self.ready(association, lane, flight)

    def kept(self, association: Association, keeper: bytes) -> None:
        """The destination says who it is: what another start of it acknowledged in part is given up."""
        association.kept_by(keeper)
        for lane in association.lanes.values():
            for batch_id, flight in list(lane.flights.items()):
                if flight.keeper not in (b"", keeper):
                    self.give_up(lane, batch_id)

    def refused(self, batch_id: bytes, reason: str) -> None:
        """A batch is not taken where it goes: other keys may be."""
        pair = self._flights.get(batch_id)
        if pair is not None:
            association, lane = pair
            association.blocked = reason
            self.give_up(lane, batch_id)

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
                self.give_up(lane, batch_id)

    def _drop_share(self, flight: Flight, link_id: LinkId) -> None:
        """The batch gets through without this one."""
        self._relay.withdraw(flight.batch.batch_id, link_id)
        share = flight.shares.pop(link_id, None)
        if share is not None:
            share.wipe()

    def give_up(self, lane: Lane, batch_id: bytes) -> None:
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
                        self.give_up(lane, batch.batch_id)
                    continue
                if batch.links or len(links) > 1:
                    carried = all(self._relay.carries(batch.batch_id, one) for one in flight.shares)
                    other = batch.links != links or batch.threshold != association.plan.partial
                    if other or not carried:
                        self.give_up(lane, batch.batch_id)
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
                    self.give_up(lane, batch_id)

    def forgotten(self, association: Association, names: frozenset[bytes]) -> None:
        """The destination does not know these secrets: what is under way of them comes to nothing."""
        for lane in association.lanes.values():
            for batch_id, flight in list(lane.flights.items()):
                if flight.batch.secret_id in names:
                    self.give_up(lane, batch_id)

    def drop(self, association: Association, *, made_before_s: float | None = None) -> None:
        """Give up batches under way: all, or those made before a moment."""
        for lane in association.lanes.values():
            for batch_id, flight in list(lane.flights.items()):
                if made_before_s is None or flight.made_s < made_before_s:
                    self.give_up(lane, batch_id)

    def ready(self, association: Association, lane: Lane, flight: Flight) -> None:
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
