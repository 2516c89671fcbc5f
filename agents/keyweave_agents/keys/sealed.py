"""Messages that prove themselves, as bytes: what every key under way is packed into.

Rule of this file: the layout is `Sealed` of proto/keyweave_proto/v1/relay.proto and nothing else, but it is
written and read by hand, because this is what a relay node does most of the time: a message is laid out once,
its payload is enciphered where it lies, and what the tag proves is read where it lies. Whatever is valid and
laid out otherwise (fields in another order, defaults left out) is read by the generated code.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from struct import Struct, error

from google.protobuf.message import DecodeError

from keyweave_agents.keys.frames import Ack, Batch, Sealed, known_bytes, known_text
from keyweave_agents.keys.key_ids import BEGINNING_BYTES, beginning_of
from keyweave_agents.keys.pad import TAG_BYTES, TAG_KEY_BYTES, Raw
from keyweave_agents.keys.split import MOST_SHARES
from keyweave_agents.keys.store import PadRange
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import KeyOrigin, RelayMethod
from keyweave_core.model.ids import AppId, LinkId
from keyweave_proto.v1 import relay_pb2 as pb

MOST_FRAME_BYTES = 1 << 20
MOST_KEYS = 4096
MOST_KEY_BYTES = 8192
MOST_ACKS = 1024
MOST_BLOCK_ID = 2**63 - 1

SEALED_FIELD = 0x1A
"""What a frame with a sealed message begins with (field 3 of Frame, with a length)."""

TAIL_BYTES = 2 + TAG_BYTES
"""The tag and its field, with which a sealed message ends."""

_PAD, _METHOD, _COUNTER, _BATCH, _ACK, _CIPHERTEXT = 0x0A, 0x10, 0x19, 0x22, 0x2A, 0x32
_TAG_FIELD = b"\x3a\x10"
_TAG_SLOT = _TAG_FIELD + bytes(TAG_BYTES)

_RANGE = Struct("<BBBQBIBI")  # field and length, then block id, offset and length, each with its field
_RANGE_FIELDS = (0x0A, 19, 0x09, 0x15, 0x1D)
_KEYS = Struct("<H16sH16sH16sBI")  # batch id, app id, link id, key bytes; the key ids come after
_KEYS_FIELDS = (0x100A, 0x1012, 0x101A, 0x25)
_NUMBERED = Struct("<H14sBI")  # in place of key ids: what they begin with, and how many there are
_NUMBERED_FIELDS = (0x0E42, 0x4D)
_WORTH_NUMBERING = 64
_RECEIPT = Struct("<HH16sH16sH16s")  # field and length of an ack, then batch id, link id, keeper
_RECEIPT_FIELDS = (0x362A, 0x100A, 0x1012, 0x101A)
_NUMBER = Struct("<Q")

_TO_WIRE = {
    RelayMethod.OTP: pb.ONE_TIME_PAD,
    RelayMethod.AES_256_GCM: pb.AES_256_GCM,
    RelayMethod.XOR_ANNOUNCE: pb.XOR_ANNOUNCE,
}
_METHODS = {int(number): method for method, number in _TO_WIRE.items()}


# --- writing -------------------------------------------------------------------------------------


def write_batch(batch: Batch) -> bytes:
    """A batch as it stands in a sealed message; every hop passes these bytes on."""
    ids, number = batch.key_ids, batch.number
    if not number and len(ids) >= _WORTH_NUMBERING:
        beginning = beginning_of(ids)
        if beginning is not None:
            ids, number = beginning, len(ids) // 16
    content = _KEYS.pack(
        _KEYS_FIELDS[0],
        batch.batch_id,
        _KEYS_FIELDS[1],
        known_bytes(batch.app_id),
        _KEYS_FIELDS[2],
        known_bytes(batch.link_id),
        _KEYS_FIELDS[3],
        batch.key_bytes,
    ) + (b"" if number else b"\x2a" + _varint(len(ids)) + ids)
    for link_id in batch.links:
        content += b"\x32\x10" + known_bytes(link_id)
    if batch.threshold:
        content += b"\x38" + _varint(batch.threshold)
    if number:
        content += _NUMBERED.pack(_NUMBERED_FIELDS[0], ids, _NUMBERED_FIELDS[1], number)
    if batch.secret_id:
        content += b"\x7a\x10" + batch.secret_id
    return b"\x22" + _varint(len(content)) + content


def write_acks(acks: Iterable[Ack]) -> bytes:
    """Acknowledgements as they stand in a sealed message."""
    field, batch_id, link_id, keeper = _RECEIPT_FIELDS
    return b"".join(
        _RECEIPT.pack(field, batch_id, ack.batch_id, link_id, known_bytes(ack.link_id), keeper, ack.keeper)
        for ack in acks
    )


def lay(
    pad: Sequence[PadRange],
    written: bytes,
    payload: Raw = b"",
    method: RelayMethod = RelayMethod.OTP,
    counter: int = 0,
) -> tuple[bytearray, int, int]:
    """A frame for the wire, its length in front; where what the tag proves begins, and where it ends before
    the ciphertext's field.

    The payload stands in clear where the ciphertext shall stand, `len(payload)` bytes that end `TAIL_BYTES`
    before the end; the last 16 are for the tag.
    """
    block, offset, length = pad[0]
    head = _RANGE.pack(0x0A, 19, 0x09, block, 0x15, offset, 0x1D, length)
    if len(pad) > 1:
        head += b"".join([_RANGE.pack(0x0A, 19, 0x09, a, 0x15, b, 0x1D, c) for a, b, c in pad[1:]])
    if method is not RelayMethod.OTP:
        head += bytes((_METHOD, _TO_WIRE[method]))
        if counter:
            head += b"\x19" + _NUMBER.pack(counter)
    lead = b"\x32" + _varint(len(payload)) if len(payload) else b""
    size = len(head) + len(written) + len(lead) + len(payload) + TAIL_BYTES
    front = b"\x1a" + _varint(size)
    front = (len(front) + size).to_bytes(4, "big") + front
    frame = bytearray().join((front, head, written, lead, payload, _TAG_SLOT))
    return frame, len(front), len(front) + len(head) + len(written)


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# --- reading -------------------------------------------------------------------------------------


def read_sealed(raw: bytes) -> Sealed:
    """The sealed message that is the whole of `raw`, a frame without its length. MalformedMessage."""
    size = len(raw)
    end = size - TAIL_BYTES
    try:
        length, start = _number(raw, 1)
    except (IndexError, OverflowError):
        raise MalformedMessage("not a relay frame") from None
    if start + length != size or end < start or raw[end : end + 2] != _TAG_FIELD:
        raise MalformedMessage("a sealed message whose tag does not stand last")
    try:
        sealed = _as_laid(raw, start, end)
    except (IndexError, KeyError, OverflowError, error):
        sealed = None
    if sealed is None:
        sealed = _by_schema(raw, start, end)
    _check(sealed)
    return sealed


def _as_laid(raw: bytes, start: int, end: int) -> Sealed | None:
    """A message laid out as `lay` does it, nothing of it checked yet; None: it is laid out otherwise."""
    at, pad = start, []
    while raw[at] == _PAD:
        field, size, one, block, two, offset, three, length = _RANGE.unpack_from(raw, at)
        if (field, size, one, two, three) != _RANGE_FIELDS:
            return None
        pad.append(PadRange(block, offset, length))
        at += _RANGE.size
    method, counter = RelayMethod.OTP, 0
    if raw[at] == _METHOD:
        method = _METHODS[raw[at + 1]]
        at += 2
    if raw[at] == _COUNTER:
        (counter,) = _NUMBER.unpack_from(raw, at + 1)
        at += 9
    begin = at
    content: Batch | tuple[Ack, ...] | None
    if raw[at] == _BATCH:
        length, at = _number(raw, at + 1)
        content = _keys(raw, at, at + length)
        at += length
    else:
        content, at = _receipts(raw, at, end)
    if content is None:
        return None
    cipher = at
    if at != end:
        if raw[at] != _CIPHERTEXT:
            return None
        length, at = _number(raw, at + 1)
        if at + length != end:
            return None
    view = memoryview(raw)
    return Sealed(
        proved=view[start : cipher if method is RelayMethod.AES_256_GCM else end],
        tag=raw[-TAG_BYTES:],
        pad=tuple(pad),
        content=content,
        written=raw[begin:cipher],
        ciphertext=view[at:end],
        method=method,
        counter=counter,
    )


def _keys(raw: bytes, at: int, until: int) -> Batch | None:
    one, batch_id, two, app_id, three, link_id, four, key_bytes = _KEYS.unpack_from(raw, at)
    at += _KEYS.size
    if (one, two, three, four) != _KEYS_FIELDS:
        return None
    if raw[at] == 0x2A:
        length, at = _number(raw, at + 1)
        if at + length != until:
            return None
        ids, number = raw[at:until], 0
    else:
        five, ids, six, number = _NUMBERED.unpack_from(raw, at)
        if (five, six) != _NUMBERED_FIELDS or at + _NUMBERED.size != until or not number:
            return None
    return Batch(
        batch_id=batch_id,
        app_id=AppId(known_text(app_id)),
        link_id=LinkId(known_text(link_id)),
        key_bytes=key_bytes,
        key_ids=ids,
        number=number,
    )


def _receipts(raw: bytes, at: int, end: int) -> tuple[tuple[Ack, ...] | None, int]:
    acks = []
    while at < end and raw[at] == _ACK:
        zero, one, batch_id, two, link_id, three, keeper = _RECEIPT.unpack_from(raw, at)
        if (zero, one, two, three) != _RECEIPT_FIELDS:
            return None, at
        acks.append(Ack(batch_id=batch_id, link_id=LinkId(known_text(link_id)), keeper=keeper))
        at += _RECEIPT.size
    return tuple(acks) or None, at


def _number(raw: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends; OverflowError when it has more than four bytes."""
    byte = raw[at]
    if byte < 0x80:
        return byte, at + 1
    number, shift = byte & 0x7F, 7
    while byte >= 0x80:
        at += 1
        byte = raw[at]
        number |= (byte & 0x7F) << shift
        shift += 7
        if shift > 28:
            raise OverflowError("a length of more than four bytes")
    return number, at + 1


def _by_schema(raw: bytes, start: int, end: int) -> Sealed:
    """Any serialisation of the schema whose tag, and before it the ciphertext, stand last."""
    try:
        message = pb.Sealed.FromString(raw[start:])
    except DecodeError as problem:
        raise MalformedMessage("not a relay frame") from problem
    if message.tag != raw[-TAG_BYTES:]:
        raise MalformedMessage("a sealed message with two tags")
    ciphertext = message.ciphertext
    cipher = end
    if ciphertext:
        lead = b"\x32" + _varint(len(ciphertext))
        cipher = end - len(ciphertext) - len(lead)
        if raw[cipher:end] != lead + ciphertext:
            raise MalformedMessage("a sealed message whose ciphertext does not stand before its tag")
    method = _METHODS.get(message.method)
    if method is None:
        raise MalformedMessage(f"unknown relay method {message.method}")
    if message.HasField("batch") is bool(message.acks):
        raise MalformedMessage("a sealed message has either a batch or acknowledgements")
    content: Batch | tuple[Ack, ...]
    if message.acks:
        content = tuple(
            Ack(
                batch_id=uuid_field(ack.batch_id, "batch id"),
                link_id=LinkId(known_text(uuid_field(ack.link_id, "link id"))),
                keeper=uuid_field(ack.keeper, "keeper"),
            )
            for ack in message.acks
        )
        written = write_acks(content)
    else:
        batch = message.batch
        content = Batch(
            batch_id=uuid_field(batch.batch_id, "batch id"),
            app_id=AppId(known_text(uuid_field(batch.app_id, "app id"))),
            link_id=LinkId(known_text(uuid_field(batch.link_id, "link id"))),
            key_bytes=batch.key_bytes,
            key_ids=batch.id_beginning if batch.number else batch.key_ids,
            number=batch.number,
            links=tuple(LinkId(known_text(uuid_field(one, "link id"))) for one in batch.link_ids),
            threshold=batch.threshold,
            secret_id=uuid_field(batch.secret_id, "secret id") if batch.secret_id else b"",
            origin=KeyOrigin.HYBRID if batch.secret_id else KeyOrigin.QKD,
        )
        written = write_batch(content)
    view = memoryview(raw)
    return Sealed(
        proved=view[start : cipher if method is RelayMethod.AES_256_GCM else end],
        tag=raw[-TAG_BYTES:],
        pad=tuple(PadRange(item.block_id, item.offset, item.length) for item in message.pad),
        content=content,
        written=written,
        ciphertext=ciphertext,
        method=method,
        counter=message.counter,
    )


def uuid_field(raw: bytes, name: str) -> bytes:
    """The 16 bytes of a UUID; MalformedMessage when there are others."""
    if len(raw) != 16:
        raise MalformedMessage(f"{name} has {len(raw)} bytes, not 16")
    return raw


def bound(name: str, value: int, most: int, least: int = 0) -> int:
    """`value` when it is within its bounds, else MalformedMessage."""
    if not least <= value <= most:
        raise MalformedMessage(f"{name}: {value} is not within {least}..{most}")
    return value


def _check(sealed: Sealed) -> None:
    """MalformedMessage when the parts of a message do not fit each other."""
    content, method, size = sealed.content, sealed.method, len(sealed.ciphertext)
    if isinstance(content, Batch):
        if content.number:
            bound("bytes of the beginning of ids", len(content.key_ids), BEGINNING_BYTES, BEGINNING_BYTES)
        elif len(content.key_ids) % 16:
            raise MalformedMessage("key ids are not 16 bytes each")
        bound("keys", content.count, MOST_KEYS, 1)
        bound("key bytes", content.key_bytes, MOST_KEY_BYTES, 1)
        wanted = content.payload_bytes
        if content.links or content.threshold:
            _check_shares(content)
        if size or method is not RelayMethod.XOR_ANNOUNCE:
            bound("ciphertext bytes", size, wanted, wanted)
    else:
        bound("acknowledgements", len(content), MOST_ACKS, 1)
        wanted = 0
        bound("ciphertext bytes", size, 0)
        if method is RelayMethod.XOR_ANNOUNCE:
            raise MalformedMessage("acknowledgements that are announced")
    if method is RelayMethod.AES_256_GCM:
        wanted = 0
    elif sealed.counter:
        raise MalformedMessage("a counter without a link key")
    spent = 0
    for block_id, _, length in sealed.pad:
        if block_id > MOST_BLOCK_ID:
            raise MalformedMessage(f"block id: {block_id} is not within 0..{MOST_BLOCK_ID}")
        spent += length
    wanted += TAG_KEY_BYTES
    if spent != wanted:
        raise MalformedMessage(f"pad bytes: {spent}, not {wanted}")


def _check_shares(batch: Batch) -> None:
    bound("shares", len(batch.links), MOST_SHARES, 2)
    if any(one >= other for one, other in pairwise(batch.links)):
        raise MalformedMessage("the links of the shares do not rise")
    if batch.link_id not in batch.links:
        raise MalformedMessage("a share over a link that is none of its links")
    if batch.threshold:
        bound("threshold of shares", batch.threshold, len(batch.links) - 1, 2)
