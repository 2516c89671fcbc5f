"""What becomes of one batch at one node: on to the next hops, into the store, back with a reason.

Rule of this file: it moves records of `UnderWay` as the table in `relay` says. Who may hand a batch in, and
what messages mean, is decided there.
"""

from keyweave_agents.keys.plan import Route
from keyweave_agents.keys.relaying.frames import Batch, Nack, Reason, Sealed
from keyweave_agents.keys.relaying.landing import Landing
from keyweave_agents.keys.relaying.receipts import Receipts
from keyweave_agents.keys.relaying.records import (
    ACK_WAIT_S,
    RETRY_MOST_S,
    Complaints,
    Endpoint,
    Record,
    Sent,
    UnderWay,
)
from keyweave_agents.keys.relaying.routes import RouteTable
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.keys.relaying.wire import encode
from keyweave_agents.material import overwrite, xor_into
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import NodeId


def together(keepers: list[bytes]) -> bytes:
    """One keeper for several destinations: another one as soon as any of them is."""
    if len(keepers) == 1:
        return keepers[0]
    together = 0
    for keeper in keepers:
        together ^= int.from_bytes(keeper, "big")
    return together.to_bytes(16, "big")


class Passage:
    """Moves batches on."""

    def __init__(
        self,
        node_id: NodeId,
        endpoint: Endpoint,
        routes: RouteTable,
        under_way: UnderWay,
        complaints: Complaints,
    ) -> None:
        self._node_id = node_id
        self._endpoint = endpoint
        self._routes = routes
        self._under_way = under_way
        self._complaints = complaints
        self.landing = Landing(endpoint, under_way, routes)
        self.receipts = Receipts()

    def again(self, record: Record, now_s: float) -> None:
        if record.key in self._under_way.done:
            self.receipts.again(record)
        else:
            self.forward(record, now_s)

    def forward(self, record: Record, now_s: float, *, quiet: bool = False) -> None:
        """Towards the next hop, or into our own store. `quiet`: a setback was told before."""
        self._under_way.stuck.pop(record.key, None)
        if record.came_over is None:
            record.retry_s = now_s + max(ACK_WAIT_S, record.delay_s)
        route, reason = self._routes[record.batch.link_id], None
        for hop in route.next_hops:
            if hop not in record.keepers:
                reason = self._send_on(record, hop) or reason
        payload = record.payload
        if route.delivers and not record.stored and payload is not None:
            here, stored = self.landing.hand_over(record, payload, now_s)
            if here is None:
                for part in stored:
                    part.stored = True
                    self.settle(part, now_s)
            reason = reason or here
        if reason is None:
            return
        if reason is not Reason.SHARES_MISSING:  # the last share itself will make them keys
            self._under_way.stuck[record.key] = None
        if not quiet or reason is Reason.KEYS_GONE:
            self.fail(record, reason, self._node_id, now_s)

    def _send_on(self, record: Record, hop: NodeId) -> Reason | None:
        """Send or repeat a batch towards a next hop; why that cannot be done now."""
        sent, payload, method = record.sent.get(hop), record.payload, record.method
        if sent is not None and sent.fresh and method is not RelayMethod.AES_256_GCM:
            sent.session.send(sent.frame)
            return None
        if payload is None:
            return Reason.KEYS_GONE
        session = self._routes.session_to(hop, method)
        if session is None:
            return Reason.NEXT_HOP_DOWN
        if not session.affords(len(payload), method):
            return Reason.NO_PAD
        frame = session.seal(record.written, payload.reveal(), method)
        record.sent[hop] = Sent(session, session.number, frame, method)
        return None

    def settle(self, record: Record, now_s: float) -> None:
        """Acknowledge a batch when it is stored wherever it goes from here."""
        route = self._routes[record.batch.link_id]
        if not record.acknowledged(route.next_hops) or (route.delivers and not record.stored):
            return
        keepers = [record.keepers[hop] for hop in route.next_hops]
        if route.delivers:
            keepers.append(self._endpoint.keeper)
            self._complaints.clear(record.batch.link_id)
        self._under_way.finish(record, together(keepers), now_s)
        self.receipts.owe(record)

    def fail(
        self, record: Record, reason: Reason, at_node: NodeId, now_s: float, *, kept: bool = False
    ) -> None:
        """Tell the one before; at the source: try later.

        A batch too large for the pool of a hop would wait there until that much key has gathered, on a slow
        link for minutes. It is given up everywhere, and the source makes a smaller one. What was announced
        and is `kept` nowhere further on is given up likewise.
        """
        too_large = reason is Reason.NO_PAD and record.batch.count > 1
        gone = record.payload is None and not kept
        link_id = record.batch.link_id
        if reason is Reason.CONTRADICTION and record.came_over is not None and at_node == self._node_id:
            self._complaints.count(link_id, f"{reason.value} (batch over this link)", now_s)
        if record.came_over is not None:
            given_up = too_large or gone
            self.refuse(record.came_over, record.batch, reason, kept=not given_up, at_node=at_node)
            if given_up:
                self._under_way.forget(record)
            return
        if reason is Reason.SHARES_MISSING:  # it got through: if anything is wrong, then with another link
            record.there = True
            self._complaints.clear(link_id)
            return
        record.back_off(now_s)
        # A pool that gives little for a while is no trouble; one that gives nothing for so long is. And the
        # two ends of an association are not given other links at the same instant.
        patient = reason in (
            Reason.BORDER_PENDING,
            Reason.BORDER_PAUSED,
            Reason.KEYS_GONE,
            Reason.NO_PAD,
            Reason.OTHER_LINKS,
            Reason.OTHER_MODE,
            Reason.UNAGREED,
        )
        tell = not patient or record.delay_s >= RETRY_MOST_S
        text = f"{reason.value} (at node {at_node})"
        self.setback(record, text, now_s, too_large=too_large, tell=tell)
        if reason is Reason.BORDER_REFUSED:  # however often it is sent
            self._endpoint.refused(record.batch.batch_id, text)

    def announce(self, record: Record, route: Route, sealed: Sealed, link_key: bytearray) -> bool:
        """Announced keys came: make them whole where they end, or pass on what is announced of them.

        Whether the batch is taken up. Nothing secret stays here; what cannot go on now never will.
        """
        if route.next_hop is None:
            if sealed.ciphertext:
                xor_into(link_key, sealed.ciphertext)
            return True
        try:
            session = self._routes.session_to(route.next_hop)
            if session is None or not session.affords(len(link_key), sealed.method):
                reason = Reason.NEXT_HOP_DOWN if session is None else Reason.NO_PAD
                if record.came_over is not None:
                    self.refuse(record.came_over, record.batch, reason, kept=False)
                return False
            frame = session.announce(sealed.written, link_key, sealed.ciphertext)
        finally:
            overwrite(memoryview(link_key))
        record.sent[session.remote] = Sent(session, session.number, frame, sealed.method)
        self._under_way.open[record.key] = record
        return True

    def setback(
        self,
        record: Record,
        reason: str,
        now_s: float,
        *,
        too_large: bool = False,
        tell: bool = True,
    ) -> None:
        batch_id, link_id = record.key
        self._endpoint.setback(batch_id, reason, too_large=too_large, link_id=link_id)
        if tell and not too_large:
            self._complaints.count(link_id, reason, now_s)

    def refuse(
        self, session: LinkSession, batch: Batch, reason: Reason, *, kept: bool, at_node: NodeId | None = None
    ) -> None:
        if session.ready:
            nack = Nack(
                batch_id=batch.batch_id,
                link_id=batch.link_id,
                reason=reason,
                at_node=at_node or self._node_id,
                kept=kept,
            )
            session.send(encode(nack))
