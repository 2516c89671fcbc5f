"""Hop-by-hop relay of batches: the state machine of one node, without any I/O.

Rule of this file: a batch is taken up once per virtual link and answered as often as it is repeated. Frames
leave through the sessions; what concerns this node's own associations goes through `Endpoint`.

    role      what comes            what happens                                    record
    source    submit                seal towards the next hop                       open
    transit   batch                 prove, strip pad, seal towards the next hop     open, payload kept
    egress    batch                 prove, strip pad, hand over, seal an ack        done
    transit   ack from next hop     prove, wipe payload, seal an ack backwards      done
    source    ack                   prove, keys are confirmed                       gone
    egress    share of a batch      keep it; with the last one: combine, hand over, ack    open until then
    fork      batch                 as transit towards every next hop, as egress if keys end here too
    fork      ack                   keep it; with the last one: as transit                 open until then
    any       batch again           done: ack again; open: forward again
    any open  nack                  seal again (pad lost), or tell the one before; the source tries later
    any open  new pad, connection, route or association: forward what waited

A message sealed on this connection is repeated byte by byte. One sealed on an earlier connection, or whose
pad the other end does not hold, is sealed again with fresh bits: an eavesdropper then knows P^K1 and P^K2,
and as K1 and K2 are independent, uniform and never used elsewhere, the two together tell nothing of P.

The shares of split keys are batches of one id on several virtual links, each with a record of its own. An
acknowledgement of any of them means that all arrived and the keys are stored.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import assert_never

from keyweave_agents.keys.frames import (
    Ack,
    Ask,
    Batch,
    Doubt,
    Frame,
    Held,
    Hello,
    Keeper,
    Letter,
    Missing,
    Nack,
    Reason,
    Sealed,
)
from keyweave_agents.keys.hints import Hints
from keyweave_agents.keys.pad import TAG_KEY_BYTES, proves, reveal, wipe
from keyweave_agents.keys.plan import Route
from keyweave_agents.keys.records import (
    ACK_WAIT_S,
    RECORD_LIFE_S,
    RETRY_MOST_S,
    BatchKey,
    Complaints,
    Endpoint,
    Record,
    Sent,
)
from keyweave_agents.keys.routes import RouteTable
from keyweave_agents.keys.session import LinkSession
from keyweave_agents.keys.split import combine
from keyweave_agents.keys.wire import encode
from keyweave_agents.material import Secret
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import LinkId, NodeId


def _together(keepers: list[bytes]) -> bytes:
    """One keeper for several destinations: another one as soon as any of them is."""
    together = 0
    for keeper in keepers:
        together ^= int.from_bytes(keeper, "big")
    return together.to_bytes(16, "big")


class Relay:
    """All batches under way through this node."""

    def __init__(self, node_id: NodeId, endpoint: Endpoint, *, most_records: int) -> None:
        self._node_id = node_id
        self._endpoint = endpoint
        self._most = most_records
        self.routes = RouteTable()
        self.hints = Hints(self.routes, endpoint)
        self._open: dict[BatchKey, Record] = {}
        self._done: OrderedDict[BatchKey, Record] = OrderedDict()
        self._stuck: dict[BatchKey, None] = {}  # open ones that wait for pad, connection or association
        self._unacked: dict[BatchKey, None] = {}  # done ones whose ack waits for pad
        self._complaints = Complaints(endpoint)

    @property
    def open_batches(self) -> int:
        """Batches not yet acknowledged."""
        return len(self._open)

    def carries(self, batch_id: bytes, link_id: LinkId) -> bool:
        """Whether a batch is under way here over that virtual link."""
        return (batch_id, link_id) in self._open

    def set_routes(self, routes: Iterable[Route], now_s: float) -> None:
        """Hold exactly these; what was under way over others is forgotten."""
        self.routes.set(routes)
        for record in [*self._open.values(), *self._done.values()]:
            if record.batch.link_id not in self.routes:
                self._forget(record)
        self._complaints.keep_only(self.routes)
        self.resume(now_s)

    def submit(self, batch: Batch, payload: Secret, now_s: float) -> None:
        """Send keys of ours on their way; the payload stays ours until `confirmed`. Repeats by itself."""
        record = Record(batch, payload, None, b"", float("inf"))
        self._open[record.key] = record
        self._forward(record, now_s)

    def withdraw(self, batch_id: bytes, link_id: LinkId) -> None:
        """Stop repeating a batch of ours."""
        record = self._open.get((batch_id, link_id))
        if record is not None and record.came_over is None:
            self._forget(record)

    def handle(self, session: LinkSession, frame: Frame, now_s: float) -> None:
        """Act on a message of a neighbour. MalformedMessage: close its connection; nothing was changed."""
        match frame:
            case Sealed():
                if not session.ready:
                    raise MalformedMessage("a relay message before Hello")
                if isinstance(frame.content, Batch):
                    self._on_batch(session, frame, frame.content, now_s)
                else:
                    self._on_ack(session, frame, frame.content, now_s)
            case Nack():
                self._on_nack(session, frame, now_s)
            case Held():
                session.learn(frame)
                self.resume(now_s)
            case Missing():
                session.give_up(frame)
            case Hello():
                session.greeted(frame, now_s)
                self._doubt(self.routes.over(session.remote), session.remote)
                self._reopen(session, now_s)
            case Doubt():
                route = self.routes.get(frame.link_id)
                if route is not None and session.remote in route.next_hops:
                    self._doubt([route], session.remote)
            case Ask():
                self.hints.asked(session, frame)
            case Keeper():
                self.hints.answered(session, frame)
            case Letter():
                self.hints.brought(session, frame)
            case _ as never:
                assert_never(never)

    def lost(self, session: LinkSession) -> None:
        """The connection of a physical link is gone: whoever is behind it may be restarting."""
        session.disconnected()
        self._doubt(self.routes.over(session.remote), session.remote)

    def resume(self, now_s: float) -> None:
        """Something came that batches may have waited for: pad, a connection, a route, an association."""
        for key in list(self._unacked):
            self._acknowledge(self._done[key])
        for key in list(self._stuck):
            record = self._open.get(key)
            if record is not None:
                self._forward(record, now_s, quiet=True)

    def tick(self, now_s: float) -> None:
        """Repeat and expire."""
        for record in list(self._open.values()):
            if record.expires_s <= now_s:
                self._forget(record)
            elif record.came_over is None and record.retry_s <= now_s:
                if record.sent and all(one.fresh for one in record.sent.values()):
                    record.back_off(now_s)
                    if not record.there:
                        late = record.delay_s >= ACK_WAIT_S  # it may wait for pad on the way back
                        self._setback(record, "no acknowledgement from the destination", now_s, tell=late)
                    record.there = False
                self._forward(record, now_s)
        while self._done:
            record = next(iter(self._done.values()))
            if record.expires_s > now_s:
                break
            self._forget(record)

    # --- batches ---------------------------------------------------------------------------------

    def _on_batch(self, session: LinkSession, sealed: Sealed, batch: Batch, now_s: float) -> None:
        key = (batch.batch_id, batch.link_id)
        record = self._open.get(key) or self._done.get(key)
        if record is not None and record.came_over is None:
            raise MalformedMessage("a batch came back to its source")
        if record is not None and record.came_tag == sealed.tag and record.came_over is session:
            self._again(record, now_s)
            return
        pad = session.claim(sealed.pad)
        if pad is None:
            self._nack(session, batch, Reason.PAD_GONE, kept=False)
            return
        try:
            if not proves(sealed.body, sealed.tag, pad):
                self._distrust(session, batch.link_id, now_s)
                self._nack(session, batch, Reason.BAD_TAG, kept=False)
                return
            if self.routes.facing(batch.link_id, session.remote) is None:
                self._nack(session, batch, Reason.UNKNOWN_ROUTE, kept=False)
                return
            if record is not None:
                record.came_over, record.came_tag, record.ack = session, sealed.tag, None
                self._again(record, now_s)
                return
            if len(self._open) >= self._most:
                self._nack(session, batch, Reason.FULL, kept=False)
                return
            bits = reveal(sealed.ciphertext, pad)
        finally:
            wipe(pad)
        record = Record(batch, Secret(bits), session, sealed.tag, now_s + RECORD_LIFE_S)
        wipe(bits)
        self._open[key] = record
        self._forward(record, now_s)

    def _again(self, record: Record, now_s: float) -> None:
        if record.key in self._done:
            self._acknowledge(record, repeat=True)
        else:
            self._forward(record, now_s)

    def _forward(self, record: Record, now_s: float, *, quiet: bool = False) -> None:
        """Towards the next hop, or into our own store. `quiet`: a setback was told before."""
        self._stuck.pop(record.key, None)
        if record.came_over is None:
            record.retry_s = now_s + max(ACK_WAIT_S, record.delay_s)
        payload = record.payload
        if payload is None:
            return
        route, reason = self.routes[record.batch.link_id], None
        for hop in route.next_hops:
            if hop not in record.keepers:
                reason = self._send_on(record, payload, hop) or reason
        if route.delivers and not record.stored:
            here = self._hand_over(record, payload, now_s)
            reason = reason or here
        if reason is None:
            return
        if reason is not Reason.SHARES_MISSING:  # the last share itself will make them keys
            self._stuck[record.key] = None
        if not quiet:
            self._fail(record, reason, self._node_id, now_s)

    def _send_on(self, record: Record, payload: Secret, hop: NodeId) -> Reason | None:
        """Send or repeat a batch towards a next hop; why that cannot be done now."""
        sent = record.sent.get(hop)
        if sent is not None and sent.fresh:
            sent.session.send(sent.frame)
            return None
        session = self.routes.session_to(hop)
        if session is None:
            return Reason.NEXT_HOP_DOWN
        if session.spendable < len(payload) + TAG_KEY_BYTES:
            return Reason.NO_PAD
        record.sent[hop] = Sent(session, session.number, session.seal(record.batch, payload.reveal()))
        return None

    def _hand_over(self, record: Record, payload: Secret, now_s: float) -> Reason | None:
        """Give keys that end here to their association; None when they are stored."""
        batch, parts = record.batch, [record]
        if not batch.links:
            reason = self._endpoint.arrived(batch, payload)
        elif len(parts := self._shares_here(batch)) < len(batch.links):
            parts = [record]
            reason = self._endpoint.arrived(batch, None)
        elif not all(part.batch.same_keys(batch) for part in parts):
            reason = Reason.CONTRADICTION
        else:
            whole = combine(part.payload for part in parts if part.payload is not None)
            reason = self._endpoint.arrived(batch, whole)
            whole.wipe()
        if reason is None:
            for part in parts:
                part.stored = True
                self._settle(part, now_s)
        return reason

    def _settle(self, record: Record, now_s: float) -> None:
        """Acknowledge a batch when it is stored wherever it goes from here."""
        route = self.routes[record.batch.link_id]
        if not record.acknowledged(route.next_hops) or (route.delivers and not record.stored):
            return
        keepers = [record.keepers[hop] for hop in route.next_hops]
        if route.delivers:
            keepers.append(self._endpoint.keeper)
        self._finish(record, _together(keepers), now_s)
        self._acknowledge(record)

    def _shares_here(self, batch: Batch) -> list[Record]:
        """The shares of a batch that arrived and end here."""
        found = (self._open.get((batch.batch_id, link_id)) for link_id in batch.links)
        return [
            record
            for record in found
            if record is not None
            and record.came_over is not None
            and record.payload is not None
            and self.routes[record.batch.link_id].delivers
        ]

    def _fail(self, record: Record, reason: Reason, at_node: NodeId, now_s: float) -> None:
        """Tell the one before; at the source: try later.

        A batch too large for the pool of a hop would wait there until that much key has gathered, on a slow
        link for minutes. It is given up everywhere, and the source makes a smaller one.
        """
        too_large = reason is Reason.NO_PAD and record.batch.count > 1
        if record.came_over is not None:
            self._nack(record.came_over, record.batch, reason, kept=not too_large, at_node=at_node)
            if too_large:
                self._forget(record)
            return
        if reason is Reason.SHARES_MISSING:  # it got through: if anything is wrong, then with another link
            record.there = True
            self._complaints.clear(record.batch.link_id)
            return
        record.back_off(now_s)
        # A pool that gives little for a while is no trouble; one that gives nothing for so long is. And the
        # two ends of an association are not given other links at the same instant.
        patient = reason in (
            Reason.BORDER_PENDING,
            Reason.NO_PAD,
            Reason.OTHER_LINKS,
            Reason.OTHER_MODE,
            Reason.UNAGREED,
        )
        tell = not patient or record.delay_s >= RETRY_MOST_S
        self._setback(record, f"{reason.value} (at node {at_node})", now_s, too_large=too_large, tell=tell)

    # --- acknowledgements ------------------------------------------------------------------------

    def _on_ack(self, session: LinkSession, sealed: Sealed, ack: Ack, now_s: float) -> None:
        pad = session.claim(sealed.pad)
        if pad is None:
            return  # the repeated batch will bring another one
        proved = proves(sealed.body, sealed.tag, pad)
        wipe(pad)
        if not proved:
            self._distrust(session, ack.link_id, now_s)
            return
        record = self._open.get((ack.batch_id, ack.link_id))
        route = self.routes.get(ack.link_id)
        if record is None or route is None or session.remote not in route.next_hops:
            return
        self._complaints.clear(ack.link_id)
        record.keepers[session.remote] = ack.keeper
        record.sent.pop(session.remote, None)
        if record.came_over is not None:
            self._settle(record, now_s)
        elif record.acknowledged(route.next_hops):
            self._forget(record)
            keeper = _together([record.keepers[hop] for hop in route.next_hops])
            self._endpoint.confirmed(ack.batch_id, ack.link_id, keeper)

    def _acknowledge(self, record: Record, *, repeat: bool = False) -> None:
        self._unacked.pop(record.key, None)
        session = record.came_over
        if session is None or not session.ready:
            return  # the one before repeats the batch when the connection stands again
        if repeat and record.ack is not None and record.ack.fresh:
            record.ack_repeats += 1
            if record.ack_repeats % 2:
                session.send(record.ack.frame)
                return
        if session.spendable < TAG_KEY_BYTES:
            self._unacked[record.key] = None
            return
        ack = Ack(batch_id=record.batch.batch_id, link_id=record.batch.link_id, keeper=record.keeper)
        record.ack = Sent(session, session.number, session.seal(ack))

    def _on_nack(self, session: LinkSession, nack: Nack, now_s: float) -> None:
        record = self._open.get((nack.batch_id, nack.link_id))
        sent = record.sent.get(session.remote) if record is not None else None
        if record is None or sent is None or sent.session is not session:
            return
        if not nack.kept:
            del record.sent[session.remote]
            if nack.reason in (Reason.PAD_GONE, Reason.BAD_TAG) and record.reseals < 2:
                record.reseals += 1
                self._forward(record, now_s)
                return
        self._fail(record, nack.reason, nack.at_node, now_s)

    # --- the rest --------------------------------------------------------------------------------

    def _reopen(self, session: LinkSession, now_s: float) -> None:
        """A connection stands: whatever was under way over its predecessor goes again, sealed anew."""
        for record in list(self._open.values()):
            hop = session.remote
            sent = record.sent.get(hop)
            waits = hop in self.routes[record.batch.link_id].next_hops and hop not in record.keepers
            if waits and not (sent is not None and sent.fresh):
                self._forward(record, now_s, quiet=True)
        self.resume(now_s)

    def _nack(
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

    def _distrust(self, session: LinkSession, link_id: LinkId, now_s: float) -> None:
        session.bad_tags += 1
        if link_id in self.routes:
            reason = f"messages from node {session.remote} do not prove themselves (wrong tag)"
            self._complaints.count(link_id, reason, now_s)

    def _setback(
        self, record: Record, reason: str, now_s: float, *, too_large: bool = False, tell: bool = True
    ) -> None:
        self._endpoint.setback(record.batch.batch_id, reason, too_large=too_large)
        if tell and not too_large:
            self._complaints.count(record.batch.link_id, reason, now_s)

    def _doubt(self, routes: list[Route], hop: NodeId) -> None:
        """What is behind a next hop may have restarted: what it acknowledged before counts no more."""
        for route in routes:
            for record in self._of(route.link_id, self._open):
                record.keepers.pop(hop, None)
            if route.prev_hop is not None:
                for record in self._of(route.link_id, self._done):
                    self._forget(record)
            self.hints.doubt(route)

    def _of(self, link_id: LinkId, table: Mapping[BatchKey, Record]) -> list[Record]:
        return [record for record in table.values() if record.batch.link_id == link_id]

    def _finish(self, record: Record, keeper: bytes, now_s: float) -> None:
        """Acknowledged to us (or stored by us): only answers are still to be given."""
        self._open.pop(record.key, None)
        self._stuck.pop(record.key, None)
        record.settle(now_s)
        record.keeper = keeper
        self._done[record.key] = record
        while len(self._done) > self._most:
            self._forget(next(iter(self._done.values())))

    def _forget(self, record: Record) -> None:
        for table in (self._open, self._done, self._stuck, self._unacked):
            table.pop(record.key, None)
        record.wipe()
