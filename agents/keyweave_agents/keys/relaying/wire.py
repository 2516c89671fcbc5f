"""The messages between two key managers on the wire: protocol buffers, each after its length.

Rule of this file: what comes in is checked completely before anybody acts on it; a frame that is not exactly
as it should be is MalformedMessage, and the connection it came on is closed. The length has four bytes, big
endian. Schema: proto/keyweave_proto/v1/relay.proto. Messages that prove themselves stand in `sealed`.
"""

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from keyweave_agents.keys.relaying.frames import (
    Ask,
    Doubt,
    Frame,
    Held,
    Hello,
    Keeper,
    Letter,
    LetterKind,
    Missing,
    Nack,
    Reason,
    uuid_bytes,
    uuid_text,
)
from keyweave_agents.keys.relaying.sealed_layout import MOST_BLOCK_ID, MOST_FRAME_BYTES, SEALED_FIELD
from keyweave_agents.keys.relaying.sealed_reading import bound, read_sealed
from keyweave_agents.keys.relaying.sealed_reading import uuid_field as _uuid
from keyweave_agents.keys.store import MOST_BLOCKS, Position, Stock
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import AppId, LinkId, NodeId
from keyweave_proto.v1 import relay_pb2 as pb

VERSION = 3
"""2 since keys can travel in shares, which a key manager of version 1 would take for keys; 3 with letters."""

MOST_LETTER_BYTES = 65_536

_ENUM = {
    Reason.NO_PAD: pb.Nack.NO_PAD,
    Reason.NEXT_HOP_DOWN: pb.Nack.NEXT_HOP_DOWN,
    Reason.UNKNOWN_ROUTE: pb.Nack.UNKNOWN_ROUTE,
    Reason.UNKNOWN_APPLICATION: pb.Nack.UNKNOWN_APPLICATION,
    Reason.BAD_TAG: pb.Nack.BAD_TAG,
    Reason.PAD_GONE: pb.Nack.PAD_GONE,
    Reason.FULL: pb.Nack.FULL,
    Reason.SHARES_MISSING: pb.Nack.SHARES_MISSING,
    Reason.OTHER_LINKS: pb.Nack.OTHER_LINKS,
    Reason.CONTRADICTION: pb.Nack.CONTRADICTION,
    Reason.OTHER_METHOD: pb.Nack.OTHER_METHOD,
    Reason.KEYS_GONE: pb.Nack.KEYS_GONE,
    Reason.OTHER_MODE: pb.Nack.OTHER_MODE,
    Reason.UNAGREED: pb.Nack.UNAGREED,
    Reason.BORDER_PENDING: pb.Nack.BORDER_PENDING,
    Reason.BORDER_DOWN: pb.Nack.BORDER_DOWN,
    Reason.BORDER_REFUSED: pb.Nack.BORDER_REFUSED,
    Reason.BORDER_PAUSED: pb.Nack.BORDER_PAUSED,
}
_LETTER_KINDS = {
    LetterKind.PQC: pb.Letter.PQC,
    LetterKind.STREAM: pb.Letter.STREAM,
    LetterKind.BORDER: pb.Letter.BORDER,
}
_KINDS = {number: kind for kind, number in _LETTER_KINDS.items()}
_REASONS = {number: reason for reason, number in _ENUM.items()}


def encode(frame: Hello | Held | Missing | Nack | Doubt | Ask | Keeper | Letter) -> bytes:
    """An untagged message, ready for the wire (length in front)."""
    if isinstance(frame, Held):
        return _framed(pb.Frame(held=pb.Held(block_ids=frame.block_ids)))
    if isinstance(frame, Missing):
        return _framed(pb.Frame(missing=pb.Missing(block_ids=frame.block_ids)))
    if isinstance(frame, Doubt):
        return _framed(pb.Frame(doubt=pb.Doubt(link_id=uuid_bytes(frame.link_id))))
    if isinstance(frame, Ask):
        return _framed(pb.Frame(ask=pb.Ask(link_id=uuid_bytes(frame.link_id))))
    if isinstance(frame, Keeper):
        answer = pb.Keeper(link_id=uuid_bytes(frame.link_id), keeper=frame.keeper)
        return _framed(pb.Frame(keeper=answer))
    if isinstance(frame, Letter):
        letter = pb.Letter(
            link_id=uuid_bytes(frame.link_id),
            app_id=uuid_bytes(frame.app_id),
            forward=frame.forward,
            kind=_LETTER_KINDS[frame.kind],
            body=frame.body,
        )
        return _framed(pb.Frame(letter=letter))
    if isinstance(frame, Nack):
        nack = pb.Nack(
            batch_id=frame.batch_id,
            link_id=uuid_bytes(frame.link_id),
            reason=_ENUM[frame.reason],
            at_node=uuid_bytes(frame.at_node),
            kept=frame.kept,
        )
        return _framed(pb.Frame(nack=nack))
    hello = pb.Hello(version=VERSION, node_id=uuid_bytes(frame.node_id), link_id=uuid_bytes(frame.link_id))
    for stock, target in ((frame.dialler, hello.dialler), (frame.acceptor, hello.acceptor)):
        target.SetInParent()
        if stock.spent is not None:
            target.spent.block_id, target.spent.offset = stock.spent
        before = 0
        deltas = []
        for block_id in stock.held:
            deltas.append(block_id - before)
            before = block_id
        target.held_deltas.extend(deltas)
    return _framed(pb.Frame(hello=hello))


def decode(raw: bytes) -> Frame:
    """The message in `raw` (without its length). MalformedMessage says what is wrong with it."""
    if raw and raw[0] == SEALED_FIELD:
        return read_sealed(raw)
    try:
        frame = pb.Frame.FromString(raw)
    except DecodeError as error:
        raise MalformedMessage("not a relay frame") from error
    match frame.WhichOneof("kind"):
        case "held":
            bound("block ids", len(frame.held.block_ids), MOST_BLOCKS)
            return Held(block_ids=tuple(_block_id(number) for number in frame.held.block_ids))
        case "missing":
            bound("block ids", len(frame.missing.block_ids), MOST_BLOCKS, 1)
            return Missing(block_ids=tuple(_block_id(number) for number in frame.missing.block_ids))
        case "nack":
            return _nack(frame.nack)
        case "doubt":
            return Doubt(link_id=LinkId(uuid_text(_uuid(frame.doubt.link_id, "link id"))))
        case "ask":
            return Ask(link_id=LinkId(uuid_text(_uuid(frame.ask.link_id, "link id"))))
        case "keeper":
            return Keeper(
                link_id=LinkId(uuid_text(_uuid(frame.keeper.link_id, "link id"))),
                keeper=_uuid(frame.keeper.keeper, "keeper"),
            )
        case "letter":
            return _letter(frame.letter)
        case "hello":
            return _hello(frame.hello)
        case _:
            raise MalformedMessage("a relay frame without content, or with more than one")


class Splitter:
    """Cuts a byte stream into frames; holds at most one unfinished frame."""

    __slots__ = ("_buffer", "_most")

    def __init__(self, most_bytes: int = MOST_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._most = most_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes. MalformedMessage: a frame announces more than is allowed."""
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= 4:
                length = int.from_bytes(self._buffer[start : start + 4], "big")
                if not 0 < length <= self._most:
                    raise MalformedMessage(f"a relay frame of {length} bytes; allowed are 1..{self._most}")
                if len(self._buffer) - start - 4 < length:
                    break
                start += 4 + length
                yield bytes(memoryview(self._buffer)[start - length : start])
        finally:
            del self._buffer[:start]


def _framed(frame: pb.Frame) -> bytes:
    raw = frame.SerializeToString()
    return len(raw).to_bytes(4, "big") + raw


def _block_id(number: int) -> int:
    return bound("block id", number, MOST_BLOCK_ID)


def _letter(letter: pb.Letter) -> Letter:
    kind = _KINDS.get(letter.kind)
    if kind is None:
        raise MalformedMessage(f"unknown kind {letter.kind} of a letter")
    bound("letter bytes", len(letter.body), MOST_LETTER_BYTES)
    return Letter(
        link_id=LinkId(uuid_text(_uuid(letter.link_id, "link id"))),
        app_id=AppId(uuid_text(_uuid(letter.app_id, "app id"))),
        forward=letter.forward,
        kind=kind,
        body=letter.body,
    )


def _nack(nack: pb.Nack) -> Nack:
    reason = _REASONS.get(nack.reason)
    if reason is None:
        raise MalformedMessage(f"unknown reason {nack.reason}")
    return Nack(
        batch_id=_uuid(nack.batch_id, "batch id"),
        link_id=LinkId(uuid_text(_uuid(nack.link_id, "link id"))),
        reason=reason,
        at_node=NodeId(uuid_text(_uuid(nack.at_node, "node id"))),
        kept=nack.kept,
    )


def _hello(hello: pb.Hello) -> Hello:
    if hello.version != VERSION:
        raise MalformedMessage(f"relay version {hello.version}; spoken here: {VERSION}")
    return Hello(
        node_id=NodeId(uuid_text(_uuid(hello.node_id, "node id"))),
        link_id=LinkId(uuid_text(_uuid(hello.link_id, "link id"))),
        dialler=_stock(hello.dialler),
        acceptor=_stock(hello.acceptor),
    )


def _stock(stock: pb.Stock) -> Stock:
    bound("held blocks", len(stock.held_deltas), 2 * MOST_BLOCKS)
    spent = Position(_block_id(stock.spent.block_id), stock.spent.offset) if stock.HasField("spent") else None
    held: list[int] = []
    number = 0
    for delta in stock.held_deltas:
        if held and delta == 0:
            raise MalformedMessage("held blocks do not rise")
        number = _block_id(number + delta)
        held.append(number)
    return Stock(spent, tuple(held))
