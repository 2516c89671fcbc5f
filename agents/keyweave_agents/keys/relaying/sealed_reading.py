"""Reading sealed messages: the way back from `sealed`, and what must be right before anybody acts on one.

Rule of this file: a message laid out as `sealed.lay` does it is read where it lies. Whatever else is valid by
the schema (fields in another order, defaults left out) is read by the generated code, with the same result;
only the tag, and before it the ciphertext, must stand last, because of what the tag proves.
"""

from itertools import pairwise
from struct import error

from google.protobuf.message import DecodeError

from keyweave_agents.keys.key_ids import BEGINNING_BYTES
from keyweave_agents.keys.relaying.frames import Ack, Batch, Sealed, known_app, known_link
from keyweave_agents.keys.relaying.pad import TAG_BYTES, TAG_KEY_BYTES
from keyweave_agents.keys.relaying.sealed import write_acks, write_batch
from keyweave_agents.keys.relaying.sealed_layout import (
    ACK_FIELD,
    BATCH_FIELD,
    CIPHERTEXT_FIELD,
    COUNTER_FIELD,
    KEYS,
    KEYS_FIELDS,
    METHOD_FIELD,
    METHODS,
    MOST_ACKS,
    MOST_BLOCK_ID,
    MOST_KEY_BYTES,
    MOST_KEYS,
    NUMBER,
    NUMBERED,
    NUMBERED_FIELDS,
    PAD_FIELD,
    RANGE,
    RANGE_FIELDS,
    RECEIPT,
    RECEIPT_FIELDS,
    TAG_FIELD,
    TAIL_BYTES,
    varint,
)
from keyweave_agents.keys.relaying.split import MOST_SHARES
from keyweave_agents.keys.store import PadRange
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import KeyOrigin, RelayMethod
from keyweave_proto.v1 import relay_pb2 as pb


def read_sealed(raw: bytes) -> Sealed:
    """The sealed message that is the whole of `raw`, a frame without its length. MalformedMessage."""
    size = len(raw)
    end = size - TAIL_BYTES
    try:
        length, start = _number(raw, 1)
    except (IndexError, OverflowError):
        raise MalformedMessage("not a relay frame") from None
    if start + length != size or end < start or raw[end : end + 2] != TAG_FIELD:
        raise MalformedMessage("a sealed message whose tag does not stand last")
    try:
        sealed = _as_laid(raw, start, end)
    except (IndexError, KeyError, OverflowError, error):
        sealed = None
    if sealed is None:
        sealed = _by_schema(raw, start, end)
    if not _fits(sealed):
        _complain(sealed)
    return sealed


def _fits(sealed: Sealed) -> bool:
    """Whether nothing is wrong with what most messages are: whole keys under a one-time pad."""
    batch = sealed.content
    if not isinstance(batch, Batch) or sealed.method is not RelayMethod.OTP or sealed.counter:
        return False
    ids, number = len(batch.key_ids), batch.number
    if (ids != BEGINNING_BYTES) if number else ids % 16:
        return False
    number = number or ids // 16
    payload, spent = number * batch.key_bytes, 0
    for block_id, _, length in sealed.pad:
        if block_id > MOST_BLOCK_ID:
            return False
        spent += length
    return (
        0 < number <= MOST_KEYS
        and 0 < batch.key_bytes <= MOST_KEY_BYTES
        and len(sealed.ciphertext) == payload == spent - TAG_KEY_BYTES
        and not batch.links
        and not batch.threshold
    )


def _as_laid(raw: bytes, start: int, end: int) -> Sealed | None:
    """A message laid out as `lay` does it, nothing of it checked yet; None: it is laid out otherwise."""
    at, pad = start, []
    while raw[at] == PAD_FIELD:
        field, size, one, block, two, offset, three, length = RANGE.unpack_from(raw, at)
        if (field, size, one, two, three) != RANGE_FIELDS:
            return None
        pad.append(PadRange(block, offset, length))
        at += RANGE.size
    method, counter = RelayMethod.OTP, 0
    if raw[at] == METHOD_FIELD:
        method = METHODS[raw[at + 1]]
        at += 2
    if raw[at] == COUNTER_FIELD:
        (counter,) = NUMBER.unpack_from(raw, at + 1)
        at += 9
    begin = at
    content: Batch | tuple[Ack, ...] | None
    if raw[at] == BATCH_FIELD:
        length, at = raw[at + 1], at + 2
        if length >= 0x80:
            length, at = _number(raw, at - 1)
        content = _keys(raw, at, at + length)
        at += length
    else:
        content, at = _receipts(raw, at, end)
    if content is None:
        return None
    cipher = at
    if at != end:
        if raw[at] != CIPHERTEXT_FIELD:
            return None
        length, at = raw[at + 1], at + 2
        if length >= 0x80:
            length, at = _number(raw, at - 1)
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
    one, batch_id, two, app_id, three, link_id, four, key_bytes = KEYS.unpack_from(raw, at)
    at += KEYS.size
    if (one, two, three, four) != KEYS_FIELDS:
        return None
    if raw[at] == 0x2A:
        length, at = raw[at + 1], at + 2
        if length >= 0x80:
            length, at = _number(raw, at - 1)
        if at + length != until:
            return None
        ids, number = raw[at:until], 0
    else:
        five, ids, six, number = NUMBERED.unpack_from(raw, at)
        if (five, six) != NUMBERED_FIELDS or at + NUMBERED.size != until or not number:
            return None
    return Batch(
        batch_id=batch_id,
        app_id=known_app(app_id),
        link_id=known_link(link_id),
        key_bytes=key_bytes,
        key_ids=ids,
        number=number,
    )


def _receipts(raw: bytes, at: int, end: int) -> tuple[tuple[Ack, ...] | None, int]:
    acks = []
    while at < end and raw[at] == ACK_FIELD:
        zero, one, batch_id, two, link_id, three, keeper = RECEIPT.unpack_from(raw, at)
        if (zero, one, two, three) != RECEIPT_FIELDS:
            return None, at
        acks.append(Ack(batch_id=batch_id, link_id=known_link(link_id), keeper=keeper))
        at += RECEIPT.size
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
        lead = b"\x32" + varint(len(ciphertext))
        cipher = end - len(ciphertext) - len(lead)
        if raw[cipher:end] != lead + ciphertext:
            raise MalformedMessage("a sealed message whose ciphertext does not stand before its tag")
    method = METHODS.get(message.method)
    if method is None:
        raise MalformedMessage(f"unknown relay method {message.method}")
    if message.HasField("batch") is bool(message.acks):
        raise MalformedMessage("a sealed message has either a batch or acknowledgements")
    content: Batch | tuple[Ack, ...]
    if message.acks:
        content = tuple(
            Ack(
                batch_id=uuid_field(ack.batch_id, "batch id"),
                link_id=known_link(uuid_field(ack.link_id, "link id")),
                keeper=uuid_field(ack.keeper, "keeper"),
            )
            for ack in message.acks
        )
        written = write_acks(content)
    else:
        batch = message.batch
        content = Batch(
            batch_id=uuid_field(batch.batch_id, "batch id"),
            app_id=known_app(uuid_field(batch.app_id, "app id")),
            link_id=known_link(uuid_field(batch.link_id, "link id")),
            key_bytes=batch.key_bytes,
            key_ids=batch.id_beginning if batch.number else batch.key_ids,
            number=batch.number,
            links=tuple(known_link(uuid_field(one, "link id")) for one in batch.link_ids),
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


def _complain(sealed: Sealed) -> None:
    """MalformedMessage when the parts of a message do not fit each other; of any message."""
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
