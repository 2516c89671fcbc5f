"""A batch of our network's keys on its way into another network, and how it looks on the shelf.

Rule of this file: values and their bytes. The shelf has ids, never the keys: after a restart the source in
our network repeats them, or nobody waits for them any more.

    state      what it means                                             answer in the relay
    OFFERED    offered to the peer, or about to be                        BORDER_PENDING, BORDER_DOWN
    RELAYED    the peer acknowledged every key                            acknowledged
    VOIDING    given up; the peer is asked to take back what it has       BORDER_REFUSED
    GONE       given up, and nothing is open                              BORDER_REFUSED
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import msgspec

from keyweave_agents.keys.border.values import Parties
from keyweave_agents.keys.relaying.frames import Batch, Reason, uuid_text
from keyweave_agents.material import Secret
from keyweave_core.model.ids import AppId, LinkId, SaeId


class SendState(Enum):
    """Where a batch stands."""

    OFFERED = 1
    RELAYED = 2
    VOIDING = 3
    GONE = 4


@dataclass(slots=True)
class Part:
    """Keys of a batch that are offered in one message. `due_s`: when to offer them (again)."""

    key_ids: tuple[str, ...]
    first: int  # place of its first key in the batch
    due_s: float
    delay_s: float
    posted: bool = False  # an answer is awaited
    taken: bool = False  # the peer said that it has them
    clear: bool = True  # the peer has nothing of it for sure


@dataclass(slots=True, eq=False)
class Sending:
    """One batch. Times are monotonic; `heard_s`: when our network last asked for it."""

    batch: Batch
    peer: str
    parties: Parties
    state: SendState
    heard_s: float
    until_s: float
    ttl_s: float
    payload: Secret | None = None
    optional: bytes = b""  # extensions that came with the keys from a network before ours
    parts: list[Part] = field(default_factory=list)
    open: set[tuple[str, SaeId]] = field(default_factory=set)  # not acknowledged, or (VOIDING) not taken back
    reason: Reason = Reason.BORDER_PENDING
    void_due_s: float = 0.0
    void_delay_s: float = 0.0
    void_posted: bool = False

    def open_for(self, key_ids: Iterable[str]) -> set[tuple[str, SaeId]]:
        """These keys, for every target."""
        return {(key_id, target) for key_id in key_ids for target in self.parties.targets}

    @property
    def open_ids(self) -> frozenset[str]:
        """Keys that are open for any target."""
        return frozenset(key_id for key_id, _ in self.open)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys."""
        raw = self.batch.key_ids
        return tuple(uuid_text(raw[place : place + 16]) for place in range(0, len(raw), 16))

    def value(self, place: int) -> Secret:
        """A copy of the key at a place of the batch (its payload must be there)."""
        if self.payload is None:
            raise ValueError("a batch without its keys was offered")
        size = self.batch.key_bytes
        return self.payload.slice(place * size, size)

    def wipe(self) -> None:
        """Overwrite the keys."""
        if self.payload is not None:
            self.payload.wipe()
            self.payload = None


class _Record(msgspec.Struct, array_like=True):
    peer: str
    initiator: str
    targets: tuple[str, ...]
    state: int
    until_s: float  # seconds since 1970
    ttl_s: float
    app_id: str
    link_id: str
    links: tuple[str, ...]
    key_bytes: int
    key_ids: bytes
    open: tuple[tuple[str, str], ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)


def to_record(one: Sending, wall_less_monotonic_s: float) -> bytes:
    """A batch for the shelf."""
    batch = one.batch
    return _encoder.encode(
        _Record(
            one.peer,
            one.parties.initiator,
            one.parties.targets,
            one.state.value,
            one.until_s + wall_less_monotonic_s,
            one.ttl_s,
            batch.app_id,
            batch.link_id,
            batch.links,
            batch.key_bytes,
            batch.key_ids,
            tuple(one.open),
        )
    )


def from_record(
    batch_id: bytes, raw: bytes | bytearray, now_s: float, wall_less_monotonic_s: float
) -> Sending:
    """A batch from the shelf: without its keys."""
    record = _decoder.decode(raw)
    return Sending(
        batch=Batch(
            batch_id=batch_id,
            app_id=AppId(record.app_id),
            link_id=LinkId(record.link_id),
            links=tuple(LinkId(each) for each in record.links),
            key_bytes=record.key_bytes,
            key_ids=record.key_ids,
        ),
        peer=record.peer,
        parties=Parties(
            initiator=SaeId(record.initiator), targets=tuple(SaeId(each) for each in record.targets)
        ),
        state=SendState(record.state),
        heard_s=now_s,
        until_s=record.until_s - wall_less_monotonic_s,
        ttl_s=record.ttl_s,
        open={(key_id, SaeId(target)) for key_id, target in record.open},
    )
