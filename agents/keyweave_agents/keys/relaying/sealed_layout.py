"""The layout of sealed messages, for the two files that write and read them by hand.

Rule of this file: `Sealed`, `Batch` and `Ack` of proto/keyweave_proto/v1/relay.proto as bytes, and the bounds
of what is in them; tests hold it against the generated code.
"""

from struct import Struct

from keyweave_agents.keys.relaying.pad import TAG_BYTES
from keyweave_core.model.application import RelayMethod
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

PAD_FIELD, METHOD_FIELD, COUNTER_FIELD, BATCH_FIELD, ACK_FIELD, CIPHERTEXT_FIELD = (
    0x0A,
    0x10,
    0x19,
    0x22,
    0x2A,
    0x32,
)
TAG_FIELD = b"\x3a\x10"

RANGE = Struct("<BBBQBIBI")  # field and length, then block id, offset and length, each with its field
RANGE_FIELDS = (0x0A, 19, 0x09, 0x15, 0x1D)
KEYS = Struct("<H16sH16sH16sBI")  # batch id, app id, link id, key bytes; the key ids come after
KEYS_FIELDS = (0x100A, 0x1012, 0x101A, 0x25)
NUMBERED = Struct("<H14sBI")  # in place of key ids: what they begin with, and how many there are
NUMBERED_FIELDS = (0x0E42, 0x4D)
RECEIPT = Struct("<HH16sH16sH16s")  # field and length of an ack, then batch id, link id, keeper
RECEIPT_FIELDS = (0x362A, 0x100A, 0x1012, 0x101A)
NUMBER = Struct("<Q")

TO_WIRE = {
    RelayMethod.OTP: pb.ONE_TIME_PAD,
    RelayMethod.AES_256_GCM: pb.AES_256_GCM,
    RelayMethod.XOR_ANNOUNCE: pb.XOR_ANNOUNCE,
}
METHODS = {int(number): method for method, number in TO_WIRE.items()}


def varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
