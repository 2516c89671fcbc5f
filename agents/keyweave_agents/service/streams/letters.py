"""What the key managers at the two ends of a key stream write to each other. Pure, strict, bounded.

The letters travel as `frames.Letter`: they may be lost, repeated, overtaken, or made up by a node on the way.
Each names the stream and both *openings*: 8 random bytes that each side draws when its application opens the
stream, zeros while the writer does not know the other's. A letter to another opening than that of today is
of a stream that is gone.

    kind    from       says
    Opened  both       my application has this stream open, with these qualities and this claim to make it
    Offer   maker      these keys, by id, are the chunks from this index on; proved by a one-time tag
    Taken   follower   I hold the chunks of that offer; proved by a one-time tag
    Lost    follower   I cannot have the keys of that offer
    Wanted  follower   my application is about to need the chunk before this index
    Gone    both       this opening of mine is over, or was never there

Rule of this file: no letter holds key. `Offer` and `Taken` are proved (`proof`); the others can end a stream
or make one wait, and never make its two sides hold different keys.
"""

import struct
from dataclasses import dataclass

from keyweave_agents.service.streams.values import StreamQos
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import SaeId

OPENING_BYTES = 8
UNKNOWN = bytes(OPENING_BYTES)
MOST_CHUNKS = 64
"""Chunks of one offer."""

MOST_CHUNK_BYTES = 8192

TAG_BYTES = 16
_ID_BYTES = 16
_HEAD = struct.Struct(f">B16s{OPENING_BYTES}s{OPENING_BYTES}s")
_OPENED = struct.Struct(">BB6IHH")
_OFFER = struct.Struct(f">IIH{_ID_BYTES}s{_ID_BYTES}s")
_TAKEN = struct.Struct(f">IHI{TAG_BYTES}s")
_U32 = struct.Struct(">I")
_MOST_NAME_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every letter says: the stream, the writer's opening and the reader's (zeros: not known)."""

    ksid: bytes
    mine: bytes
    yours: bytes = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`claim`: see `stream`. Of `qos`, `timeout_ms` and the media type are each side's own and do not travel.

    `joined`: the writer knows that the reader knows it, so nothing is to be answered.
    """

    head: Head
    writer: SaeId
    reader: SaeId
    claim: int
    joined: bool
    qos: StreamQos


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Chunks `first`.. of `chunk_bytes` each under `key_ids`; the two proof keys are named besides."""

    head: Head
    first: int
    chunk_bytes: int
    key_ids: tuple[bytes, ...]
    proof_ids: tuple[bytes, bytes]
    tag: bytes

    def proved(self) -> bytes:
        """What the tag proves."""
        return b"keyweave 004 offer" + _offer_body(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The chunks of an offer are held. `frontier`: one more than the highest index that was asked for."""

    head: Head
    first: int
    count: int
    frontier: int
    tag: bytes

    def proved(self) -> bytes:
        """What the tag proves."""
        return b"keyweave 004 taken" + _taken_body(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The keys of the offer that begins with `first` cannot be had."""

    head: Head
    first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """See `Taken.frontier`."""

    head: Head
    frontier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The writer's opening (`head.mine`) is no more."""

    head: Head


Letter = Opened | Offer | Taken | Lost | Wanted | Gone

_KINDS: dict[type[Letter], int] = {Opened: 1, Offer: 2, Taken: 3, Lost: 4, Wanted: 5, Gone: 6}


def encode_letter(letter: Letter) -> bytes:
    """The bytes of a letter."""
    match letter:
        case Opened():
            body = _opened_body(letter)
        case Offer():
            return _offer_body(letter) + letter.tag
        case Taken():
            return _taken_body(letter) + letter.tag
        case Lost():
            body = _U32.pack(letter.first)
        case Wanted():
            body = _U32.pack(letter.frontier)
        case Gone():
            body = b""
    return _head(letter) + body


def decode_letter(raw: bytes) -> Letter:
    """The letter in `raw`. Raises MalformedMessage when there is none."""
    if len(raw) < _HEAD.size:
        raise MalformedMessage("a stream letter ends within its head")
    kind, ksid, mine, yours = _HEAD.unpack_from(raw)
    head = Head(ksid=ksid, mine=mine, yours=yours)
    rest = raw[_HEAD.size :]
    try:
        match kind:
            case 1:
                return _opened(head, rest)
            case 2:
                return _offer(head, rest)
            case 3:
                first, count, frontier, tag = _TAKEN.unpack(rest)
                return Taken(first=first, count=count, frontier=frontier, tag=tag, head=head)
            case 4:
                return Lost(first=_U32.unpack(rest)[0], head=head)
            case 5:
                return Wanted(frontier=_U32.unpack(rest)[0], head=head)
            case 6 if not rest:
                return Gone(head=head)
    except struct.error as error:
        raise MalformedMessage(f"a stream letter of kind {kind} has the wrong length") from error
    raise MalformedMessage(f"no stream letter of kind {kind}")


def _head(letter: Letter) -> bytes:
    head = letter.head
    return _HEAD.pack(_KINDS[type(letter)], head.ksid, head.mine, head.yours)


def _opened_body(letter: Opened) -> bytes:
    qos, names = letter.qos, (letter.writer.encode(), letter.reader.encode())
    numbers = (qos.chunk_bytes, qos.max_bps, qos.min_bps, qos.jitter_bps, qos.priority, qos.ttl_s)
    return _OPENED.pack(letter.claim, letter.joined, *numbers, *map(len, names)) + b"".join(names)


def _opened(head: Head, rest: bytes) -> Opened:
    claim, joined, *numbers, writer_bytes, reader_bytes = _OPENED.unpack_from(rest)
    names = rest[_OPENED.size :]
    if len(names) != writer_bytes + reader_bytes or max(writer_bytes, reader_bytes) > _MOST_NAME_BYTES:
        raise MalformedMessage("a stream letter names its applications with the wrong length")
    chunk_bytes, max_bps, min_bps, jitter_bps, priority, ttl_s = numbers
    if not (1 <= chunk_bytes <= MOST_CHUNK_BYTES and max_bps and ttl_s):
        raise MalformedMessage("a stream letter names qualities that no stream has")
    try:
        writer, reader = names[:writer_bytes].decode(), names[writer_bytes:].decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage("a stream letter names its applications in no UTF-8") from error
    qos = StreamQos(
        chunk_bytes=chunk_bytes,
        max_bps=max_bps,
        min_bps=min_bps,
        jitter_bps=jitter_bps,
        priority=priority,
        ttl_s=ttl_s,
    )
    return Opened(
        head=head, writer=SaeId(writer), reader=SaeId(reader), claim=claim, joined=bool(joined), qos=qos
    )


def _offer_body(letter: Offer) -> bytes:
    numbers = (letter.first, letter.chunk_bytes, len(letter.key_ids))
    return _head(letter) + _OFFER.pack(*numbers, *letter.proof_ids) + b"".join(letter.key_ids)


def _offer(head: Head, rest: bytes) -> Offer:
    first, chunk_bytes, count, *proof_ids = _OFFER.unpack_from(rest)
    ids = rest[_OFFER.size : -TAG_BYTES]
    if not 1 <= count <= MOST_CHUNKS or len(rest) != _OFFER.size + count * _ID_BYTES + TAG_BYTES:
        raise MalformedMessage("an offer of chunks has the wrong length")
    return Offer(
        first=first,
        chunk_bytes=chunk_bytes,
        key_ids=tuple(ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)),
        proof_ids=(proof_ids[0], proof_ids[1]),
        tag=rest[-TAG_BYTES:],
        head=head,
    )


def _taken_body(letter: Taken) -> bytes:
    raw = _TAKEN.pack(letter.first, letter.count, letter.frontier, b"")
    return _head(letter) + raw[:-TAG_BYTES]
