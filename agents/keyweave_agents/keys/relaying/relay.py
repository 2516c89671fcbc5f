"""Hop-by-hop relay of batches: the state machine of one node, without any I/O.

Rule of this file: a batch is taken up once per virtual link and answered as often as it is repeated. Frames
leave through the sessions; what concerns this node's own associations goes through `Endpoint`.

    role      what comes            what happens                                    record
    source    submit, draw          seal towards the next hop                       open
    transit   batch                 prove, strip pad, seal towards the next hop     open, payload kept
    transit   announced batch       prove, add the xor of both link keys            open, nothing kept
    egress    batch                 prove, strip pad, hand over, owe an ack         done
    transit   ack from next hop     prove, wipe payload, owe an ack backwards       done
    source    ack                   prove, keys are confirmed                       gone
    egress    share of a batch      keep it; with enough: combine, hand over, ack   open until then
    fork      batch                 as transit towards every next hop, as egress if keys end here too
    fork      ack                   keep it; with the last one: as transit          open until then
    any       batch again           done: ack again; open: forward again
    any open  nack                  seal again (pad lost), or tell the one before; the source tries later
    any open  new pad, connection, route or association: forward what waited

A message sealed on this connection is repeated byte by byte. One sealed on an earlier connection, or whose
pad the other end does not hold, is sealed again with fresh bits: an eavesdropper then knows P^K1 and P^K2,
and as K1 and K2 are independent, uniform and never used elsewhere, the two together tell nothing of P. What
is announced by a node between cannot be sealed again there, it goes back to the source. A message under a
link key is never repeated, always enciphered again.

A virtual link has one method, and what comes over it by another is refused: nobody on the way can make the
nodes use a weaker one.

The shares of split keys are batches of one id on several virtual links, each with a record of its own. An
acknowledgement of any of them means that enough arrived and the keys are stored.
"""

from collections.abc import Iterable
from typing import assert_never

from keyweave_agents.keys.plan import Route
from keyweave_agents.keys.relaying.frames import (
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
from keyweave_agents.keys.relaying.hints import Hints
from keyweave_agents.keys.relaying.passage import Passage, together
from keyweave_agents.keys.relaying.receipts import ack_method
from keyweave_agents.keys.relaying.records import (
    ACK_WAIT_S,
    RECORD_LIFE_S,
    Complaints,
    Endpoint,
    Record,
    Sent,
    UnderWay,
)
from keyweave_agents.keys.relaying.routes import RouteTable
from keyweave_agents.keys.relaying.sealed import write_batch
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.material import Secret, overwrite
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import LinkId, NodeId

_SEAL_AGAIN = (Reason.PAD_GONE, Reason.BAD_TAG, Reason.KEYS_GONE)
"""With other bits it may get through at once."""


class Relay:
    """All batches under way through this node."""

    def __init__(self, node_id: NodeId, endpoint: Endpoint, *, most_records: int) -> None:
        self._endpoint = endpoint
        self.routes = RouteTable()
        self.hints = Hints(self.routes, endpoint)
        self._under_way = UnderWay(most_records)
        self._complaints = Complaints(endpoint)
        self._passage = Passage(node_id, endpoint, self.routes, self._under_way, self._complaints)

    @property
    def open_batches(self) -> int:
        """Batches not yet acknowledged."""
        return len(self._under_way.open)

    def carries(self, batch_id: bytes, link_id: LinkId) -> bool:
        """Whether a batch is under way here over that virtual link."""
        return (batch_id, link_id) in self._under_way.open

    # --- orders of this node ---------------------------------------------------------------------

    def set_routes(self, routes: Iterable[Route], now_s: float) -> None:
        """Hold exactly these; what was under way over others (or by another method) is forgotten."""
        self.routes.set(routes)
        for record in [*self._under_way.open.values(), *self._under_way.done.values()]:
            route = self.routes.get(record.batch.link_id)
            if route is None or route.method is not record.method:
                self._under_way.forget(record)
        self._complaints.keep_only(self.routes)
        self.resume(now_s)

    def submit(self, batch: Batch, payload: Secret, now_s: float) -> None:
        """Send keys of ours on their way; the payload stays ours until `confirmed`. Repeats by itself."""
        method = self.routes[batch.link_id].method
        record = Record(batch, write_batch(batch), payload, None, b"", float("inf"), method)
        self._under_way.open[record.key] = record
        self._passage.forward(record, now_s)

    def draw(self, batch: Batch, now_s: float) -> Secret | None:
        """Take the keys of a batch out of the pool of the first hop and announce them; None: not now.

        From then on as `submit`: should the announcement get lost, what goes out is the xor of these keys and
        of fresh bits.
        """
        route = self.routes[batch.link_id]
        session = self.routes.session_to(route.next_hops[0])
        size = batch.payload_bytes
        if session is None or not session.affords(size, route.method):
            return None
        written = write_batch(batch)
        frame, keys = session.draw(written, size)
        payload = Secret.taking(keys)
        record = Record(batch, written, payload, None, b"", float("inf"), route.method)
        record.retry_s = now_s + ACK_WAIT_S
        record.sent[session.remote] = Sent(session, session.number, frame, route.method)
        self._under_way.open[record.key] = record
        return payload

    def withdraw(self, batch_id: bytes, link_id: LinkId) -> None:
        """Stop repeating a batch of ours."""
        record = self._under_way.open.get((batch_id, link_id))
        if record is not None and record.came_over is None:
            self._under_way.forget(record)

    def flush(self) -> None:
        """Send the acknowledgements that were gathered: at the end of each turn."""
        self._passage.receipts.flush()

    # --- what neighbours say ---------------------------------------------------------------------

    def handle(self, session: LinkSession, frame: Frame, now_s: float) -> None:
        """Act on a message of a neighbour. MalformedMessage: close its connection; nothing was changed."""
        match frame:
            case Sealed():
                if not session.ready:
                    raise MalformedMessage("a relay message before Hello")
                if isinstance(frame.content, Batch):
                    self._on_batch(session, frame, frame.content, now_s)
                else:
                    self._on_acks(session, frame, frame.content, now_s)
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
        under_way = self._under_way
        for key in list(under_way.stuck):
            record = under_way.open.get(key)
            if record is not None:
                self._passage.forward(record, now_s, quiet=True)

    def tick(self, now_s: float) -> None:
        """Repeat and expire."""
        for record in list(self._under_way.open.values()):
            if record.expires_s <= now_s:
                self._under_way.forget(record)
            elif record.came_over is None and record.retry_s <= now_s:
                if record.sent and all(one.fresh for one in record.sent.values()):
                    record.back_off(now_s)
                    if not record.there:
                        late = record.delay_s >= ACK_WAIT_S  # it may wait for pad on the way back
                        self._passage.setback(
                            record, "no acknowledgement from the destination", now_s, tell=late
                        )
                    record.there = False
                if record.key in self._under_way.open:
                    self._passage.forward(record, now_s)
        self._under_way.expire(now_s)
        self._passage.landing.expire(now_s)

    # --- batches ---------------------------------------------------------------------------------

    def _on_batch(self, session: LinkSession, sealed: Sealed, batch: Batch, now_s: float) -> None:
        key = (batch.batch_id, batch.link_id)
        under_way = self._under_way
        record = under_way.open.get(key) or under_way.done.get(key)
        if record is not None:
            if record.came_over is None:
                raise MalformedMessage("a batch came back to its source")
            if record.came_tag == sealed.tag and record.came_over is session:
                self._passage.again(record, now_s)
                return
        opened = session.open(sealed)
        if isinstance(opened, Reason):
            if opened is Reason.BAD_TAG:
                self._distrust(session, batch.link_id, now_s)
            self._passage.refuse(session, batch, opened, kept=False)
            return
        route = self.routes.facing(batch.link_id, session.remote)
        reason = None
        if route is None:
            reason = Reason.UNKNOWN_ROUTE
        elif route.method is not sealed.method:
            reason = Reason.OTHER_METHOD
            self._complaints.count(batch.link_id, f"{reason.value} (by node {session.remote})", now_s)
        elif record is None and under_way.full:
            reason = Reason.FULL
        if route is None or reason is not None:
            overwrite(memoryview(opened))
            self._passage.refuse(session, batch, reason or Reason.UNKNOWN_ROUTE, kept=False)
            return
        if record is not None:
            overwrite(memoryview(opened))
            record.came_over, record.came_tag, record.ack = session, sealed.tag, None
            self._passage.again(record, now_s)
            return
        if route.delivers:
            batch = batch.spelled()
        record = Record(
            batch, sealed.written, None, session, sealed.tag, now_s + RECORD_LIFE_S, sealed.method
        )
        if sealed.method is RelayMethod.XOR_ANNOUNCE and not self._passage.announce(
            record, route, sealed, opened
        ):
            return
        if record.sent:
            return
        record.payload = Secret.taking(opened)
        under_way.open[key] = record
        self._passage.forward(record, now_s)

    # --- acknowledgements ------------------------------------------------------------------------

    def _on_acks(self, session: LinkSession, sealed: Sealed, acks: tuple[Ack, ...], now_s: float) -> None:
        opened = session.open(sealed)
        if isinstance(opened, Reason):  # the repeated batch will bring another one
            if opened is Reason.BAD_TAG:
                self._distrust(session, acks[0].link_id, now_s)
            return
        for ack in acks:
            self._on_ack(session, ack, sealed.method, now_s)

    def _on_ack(self, session: LinkSession, ack: Ack, method: RelayMethod, now_s: float) -> None:
        record = self._under_way.open.get((ack.batch_id, ack.link_id))
        route = self.routes.get(ack.link_id)
        if record is None or route is None or session.remote not in route.next_hops:
            return
        if ack_method(route.method) is not method:
            self._complaints.count(
                ack.link_id, f"acknowledged by another method (by node {session.remote})", now_s
            )
            return
        self._complaints.clear(ack.link_id)
        record.keepers[session.remote] = ack.keeper
        record.sent.pop(session.remote, None)
        if record.came_over is not None:
            self._passage.settle(record, now_s)
        elif record.acknowledged(route.next_hops):
            self._under_way.forget(record)
            keeper = together([record.keepers[hop] for hop in route.next_hops])
            self._endpoint.confirmed(ack.batch_id, ack.link_id, keeper)

    def _on_nack(self, session: LinkSession, nack: Nack, now_s: float) -> None:
        record = self._under_way.open.get((nack.batch_id, nack.link_id))
        sent = record.sent.get(session.remote) if record is not None else None
        if record is None or sent is None or sent.session is not session:
            return
        if not nack.kept:
            del record.sent[session.remote]
            if nack.reason in _SEAL_AGAIN and record.payload is not None and record.reseals < 2:
                record.reseals += 1
                if record.method is RelayMethod.AES_256_GCM:
                    session.another_key()
                self._passage.forward(record, now_s)
                return
        self._passage.fail(record, nack.reason, nack.at_node, now_s, kept=nack.kept)

    # --- the rest --------------------------------------------------------------------------------

    def _reopen(self, session: LinkSession, now_s: float) -> None:
        """A connection stands: whatever was under way over its predecessor goes again, sealed anew."""
        for record in list(self._under_way.open.values()):
            hop = session.remote
            sent = record.sent.get(hop)
            waits = hop in self.routes[record.batch.link_id].next_hops and hop not in record.keepers
            if waits and not (sent is not None and sent.fresh):
                self._passage.forward(record, now_s, quiet=True)
        self.resume(now_s)

    def _distrust(self, session: LinkSession, link_id: LinkId, now_s: float) -> None:
        if link_id in self.routes:
            reason = f"messages from node {session.remote} do not prove themselves (wrong tag)"
            self._complaints.count(link_id, reason, now_s)

    def _doubt(self, routes: list[Route], hop: NodeId) -> None:
        """What is behind a next hop may have restarted: what it acknowledged before counts no more."""
        for route in routes:
            for record in self._under_way.over(route.link_id):
                record.keepers.pop(hop, None)
            if route.prev_hop is not None:
                for record in self._under_way.over(route.link_id, done=True):
                    self._under_way.forget(record)
            self.hints.doubt(route)
