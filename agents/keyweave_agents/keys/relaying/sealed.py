"""Messages that prove themselves, as bytes: what every key under way is packed into.

Rule of this file: the layout is that of the schema (`sealed_layout`), but it is written by hand, because this
is what a relay node does most of the time: a message is laid out once, its payload is enciphered where it
lies, and what stands for a batch is passed on as it came.
"""

from collections.abc import Iterable, Sequence

from keyweave_agents.keys.key_ids import beginning_of
from keyweave_agents.keys.relaying.frames import Ack, Batch, known_bytes
from keyweave_agents.keys.relaying.pad import TAG_BYTES
from keyweave_agents.keys.relaying.sealed_layout import (
    KEYS,
    KEYS_FIELDS,
    METHOD_FIELD,
    NUMBER,
    NUMBERED,
    NUMBERED_FIELDS,
    RANGE,
    RECEIPT,
    RECEIPT_FIELDS,
    TAG_FIELD,
    TAIL_BYTES,
    TO_WIRE,
    varint,
)
from keyweave_agents.keys.store import PadRange
from keyweave_agents.material import LARGE_BYTES
from keyweave_core.model.application import RelayMethod

_WORTH_NUMBERING = 64
_TAG_SLOT = TAG_FIELD + bytes(TAG_BYTES)


def write_batch(batch: Batch) -> bytes:
    """A batch as it stands in a sealed message; every hop passes these bytes on."""
    ids, number = batch.key_ids, batch.number
    if not number and len(ids) >= _WORTH_NUMBERING:
        beginning = beginning_of(ids)
        if beginning is not None:
            ids, number = beginning, len(ids) // 16
    content = KEYS.pack(
        KEYS_FIELDS[0],
        batch.batch_id,
        KEYS_FIELDS[1],
        known_bytes(batch.app_id),
        KEYS_FIELDS[2],
        known_bytes(batch.link_id),
        KEYS_FIELDS[3],
        batch.key_bytes,
    ) + (b"" if number else b"\x2a" + varint(len(ids)) + ids)
    for link_id in batch.links:
        content += b"\x32\x10" + known_bytes(link_id)
    if batch.threshold:
        content += b"\x38" + varint(batch.threshold)
    if number:
        content += NUMBERED.pack(NUMBERED_FIELDS[0], ids, NUMBERED_FIELDS[1], number)
    if batch.secret_id:
        content += b"\x7a\x10" + batch.secret_id
    return b"\x22" + varint(len(content)) + content


def write_acks(acks: Iterable[Ack]) -> bytes:
    """Acknowledgements as they stand in a sealed message."""
    field, batch_id, link_id, keeper = RECEIPT_FIELDS
    return b"".join(
        RECEIPT.pack(field, batch_id, ack.batch_id, link_id, known_bytes(ack.link_id), keeper, ack.keeper)
        for ack in acks
    )


def lay(
    pad: Sequence[PadRange],
    written: bytes,
    size: int = 0,
    method: RelayMethod = RelayMethod.OTP,
    counter: int = 0,
) -> tuple[bytearray, int, int]:
    """A frame for the wire, its length in front; where what the tag proves begins, and where it ends before
    the ciphertext's field.

    There are zeros where the ciphertext shall stand, `size` bytes that end `TAIL_BYTES` before the end, and
    for the tag, the last 16.
    """
    block, offset, length = pad[0]
    head = RANGE.pack(0x0A, 19, 0x09, block, 0x15, offset, 0x1D, length)
    if len(pad) > 1:
        head += b"".join([RANGE.pack(0x0A, 19, 0x09, a, 0x15, b, 0x1D, c) for a, b, c in pad[1:]])
    if method is not RelayMethod.OTP:
        head += bytes((METHOD_FIELD, TO_WIRE[method]))
        if counter:
            head += b"\x19" + NUMBER.pack(counter)
    lead = b"\x32" + varint(size) if size else b""
    length = len(head) + len(written) + len(lead) + size + TAIL_BYTES
    front = b"\x1a" + varint(length)
    front = (len(front) + length).to_bytes(4, "big") + front
    proved = len(front)
    until = proved + len(head) + len(written)
    if size <= LARGE_BYTES:
        return bytearray().join((front, head, written, lead, bytes(size), _TAG_SLOT)), proved, until
    frame = bytearray(proved + length)
    frame[: until + len(lead)] = b"".join((front, head, written, lead))
    frame[-TAIL_BYTES:-TAG_BYTES] = TAG_FIELD
    return frame, proved, until
