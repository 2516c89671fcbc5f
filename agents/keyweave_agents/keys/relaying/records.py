"""What the relay remembers of one batch, and of failures over one virtual link.

Rule of this file: values and counting; what is done about them stands in `relay`.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from keyweave_agents.keys.relaying.frames import Batch, Letter, Reason
from keyweave_agents.keys.relaying.pad import Raw
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.material import Secret
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import LinkId, NodeId

RECORD_LIFE_S = 30.0
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 4.0
ACK_WAIT_S = 1.0
REPEATS_BEFORE_TROUBLE = 3
TROUBLE_EVERY_S = 10.0

BatchKey = tuple[bytes, LinkId]


class Endpoint(Protocol):
    """The associations of this node, as the relay sees them."""

    def arrived(self, batch: Batch, payload: Secret | None) -> Reason | None:
        """Keys for us: None when they are stored (now or before), else why not.

        `payload` are the whole keys; None while shares of them are missing.
        """
        ...

    @property
    def keeper(self) -> bytes:
        """16 random bytes of this start of the key manager: what it stored it holds until they change."""
        ...

    def confirmed(self, batch_id: bytes, link_id: LinkId, keeper: bytes) -> None:
        """The destination, as `keeper`, holds the keys of a batch; it says so over this virtual link."""
        ...

    def doubted(self, link_id: LinkId) -> None:
        """The destination of a virtual link that begins here may have restarted."""
        ...

    def kept(self, link_id: LinkId, keeper: bytes) -> None:
        """The destination of a virtual link that begins here says who it is (unproved)."""
        ...

    def setback(self, batch_id: bytes, reason: str, *, too_large: bool, link_id: LinkId) -> None:
        """A batch that was submitted here did not get through yet over a virtual link.

        `too_large`: for the pool of some hop.
        """
        ...

    def refused(self, batch_id: bytes, reason: str) -> None:
        """A batch that was submitted here will not be taken where it goes: it is of no use any more."""
        ...

    def letter(self, letter: Letter) -> None:
        """A letter of the other end of a virtual link came."""
        ...

    def troubled(self, link_id: LinkId, reason: str) -> None:
        """Relay over a virtual link keeps failing."""
        ...

    def restored(self, link_id: LinkId) -> None:
        """Something got through after `troubled`."""
        ...


@dataclass(slots=True)
class Sent:
    """A sealed message and the connection it was sealed for."""

    session: LinkSession
    number: int
    frame: Raw
    method: RelayMethod = RelayMethod.OTP

    @property
    def fresh(self) -> bool:
        """Whether that connection still stands."""
        return self.session.ready and self.session.number == self.number


@dataclass(slots=True)
class Record:
    """One batch on one virtual link. `came_over` None: submitted at this node.

    `written` is the batch as it stands in messages. Nodes between keep nothing of announced keys: no payload.
    """

    batch: Batch
    written: bytes
    payload: Secret | None
    came_over: LinkSession | None
    came_tag: bytes
    expires_s: float
    method: RelayMethod = RelayMethod.OTP
    retry_s: float = 0.0
    delay_s: float = RETRY_FIRST_S
    sent: dict[NodeId, Sent] = field(default_factory=dict)  # by next hop
    keepers: dict[NodeId, bytes] = field(default_factory=dict)  # who acknowledged it over which next hop
    stored: bool = False  # by this node's own applications
    reseals: int = 0
    ack: Sent | None = None
    ack_repeats: int = 0
    keeper: bytes = b""  # what the acknowledgement says
    there: bool = False  # said by the destination since the last repetition: it waits for other shares
    key: BatchKey = field(init=False)  # what names it here

    def __post_init__(self) -> None:
        self.key = (self.batch.batch_id, self.batch.link_id)

    def acknowledged(self, hops: tuple[NodeId, ...]) -> bool:
        """Whether acknowledgements came back over all these next hops."""
        if len(hops) == 1:
            return hops[0] in self.keepers
        return all(hop in self.keepers for hop in hops)

    def back_off(self, now_s: float, least_s: float = 0.0) -> None:
        """Set the time of the next attempt, each wait twice the one before."""
        self.retry_s = now_s + max(self.delay_s, least_s)
        self.delay_s = min(RETRY_MOST_S, 2 * self.delay_s)

    def settle(self, now_s: float) -> None:
        """Only answers are still to be given: keep no keys, no ids and no message."""
        self.wipe()
        self.sent.clear()
        batch = self.batch
        self.batch = Batch(
            batch_id=batch.batch_id,
            app_id=batch.app_id,
            link_id=batch.link_id,
            key_bytes=batch.key_bytes,
            key_ids=b"",
        )
        self.written = b""
        self.expires_s = now_s + RECORD_LIFE_S

    def wipe(self) -> None:
        """Overwrite the keys, when they are the relay's."""
        if self.came_over is not None and self.payload is not None:
            self.payload.wipe()
        self.payload = None


class UnderWay:
    """Every batch that this node knows of, open or done, and which of the open ones wait for something."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: dict[BatchKey, Record] = {}
        self.done: OrderedDict[BatchKey, Record] = OrderedDict()
        self.stuck: dict[BatchKey, None] = {}  # open ones that wait for pad, connection or association

    @property
    def full(self) -> bool:
        """Whether there is no place for one more."""
        return len(self.open) >= self.most

    def finish(self, record: Record, keeper: bytes, now_s: float) -> None:
        """Acknowledged to us (or stored by us): only answers are still to be given."""
        key = record.key
        self.open.pop(key, None)
        self.stuck.pop(key, None)
        record.settle(now_s)
        record.keeper = keeper
        self.done[key] = record
        while len(self.done) > self.most:
            self.done.popitem(last=False)[1].wipe()

    def forget(self, record: Record) -> None:
        """Know nothing of it any more."""
        for table in (self.open, self.done, self.stuck):
            table.pop(record.key, None)
        record.wipe()

    def expire(self, now_s: float) -> None:
        """Forget what is done long ago."""
        while self.done:
            record = next(iter(self.done.values()))
            if record.expires_s > now_s:
                break
            self.forget(record)

    def over(self, link_id: LinkId, *, done: bool = False) -> list[Record]:
        """The open (or done) batches of a virtual link."""
        table = self.done if done else self.open
        return [record for record in table.values() if record.batch.link_id == link_id]


class Complaints:
    """Failures in a row per virtual link: an operator hears of the third, and then every ten seconds."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._in_a_row: dict[LinkId, int] = {}
        self._told_s: dict[LinkId, float] = {}
        self._standing: set[LinkId] = set()

    def count(self, link_id: LinkId, reason: str, now_s: float) -> None:
        """One more failure."""
        times = self._in_a_row[link_id] = self._in_a_row.get(link_id, 0) + 1
        last_s = self._told_s.get(link_id, float("-inf"))
        if times >= REPEATS_BEFORE_TROUBLE and now_s - last_s >= TROUBLE_EVERY_S:
            self._told_s[link_id] = now_s
            self._standing.add(link_id)
            self._endpoint.troubled(link_id, reason)

    def clear(self, link_id: LinkId) -> None:
        """Something got through."""
        self._in_a_row.pop(link_id, None)
        if link_id in self._standing:
            self._standing.discard(link_id)
            self._endpoint.restored(link_id)

    def keep_only(self, link_ids: Iterable[LinkId]) -> None:
        """Forget virtual links that are gone."""
        known = set(link_ids)
        self._standing &= known
        for table in (self._in_a_row, self._told_s):
            for link_id in [link_id for link_id in table if link_id not in known]:
                del table[link_id]
