"""What a key stream of ETSI GS QKD 004 is asked for, and how its calls end: values only.

Rule of this file: outcomes have names here and numbers in `wire004`, because another edition of the standard
numbers them otherwise.
"""

from dataclasses import dataclass
from enum import Enum

from keyweave_agents.material import Secret

JSON = "application/json"
"""The media type of metadata that every key manager must accept (clause 6 of 004)."""

NULL_KSID = bytes(16)
"""`Key_stream_ID` NULL: the key manager shall choose one."""

NEXT_INDEX = 0xFFFF_FFFF
"""Ours: an index that asks for the next chunk in order, whichever that is. So no chunk has this number."""


class Outcome(Enum):
    """How a call ended."""

    SUCCESS = "done"
    PEER_NOT_YET = "open, but the peer is not connected yet"
    INSUFFICIENT_KEY = "not enough key"
    PEER_NOT_CONNECTED = "the peer application is not connected"
    NO_CONNECTION = "no QKD connection available"
    IN_USE = "the key stream id is in use"
    TIMEOUT = "the time of the call is over"
    QOS_NOT_MET = "the quality of service cannot be met; a proposal is returned"
    METADATA_SIZE = "the metadata is larger than the buffer for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamQos:
    """`QoS` of OPEN_CONNECT; each number 0..2**32-1, and 0 leaves the choice to the key manager.

    `jitter_bps` is the largest deviation of the delivery rate (bit/s, as the standard has it), `mimetype` the
    media type of metadata ("": none is wanted).
    """

    chunk_bytes: int = 0
    max_bps: int = 0
    min_bps: int = 0
    jitter_bps: int = 0
    priority: int = 0
    timeout_ms: int = 0
    ttl_s: int = 0
    mimetype: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How OPEN_CONNECT ended: the quality and the key stream id are for SUCCESS and QOS_NOT_MET.

    A refusal for the media type alone opens nothing: its key stream id is the one of the request.
    """

    outcome: Outcome
    qos: StreamQos = StreamQos()
    ksid: bytes = NULL_KSID


def uuid4_of(raw: bytes) -> bytes:
    """16 random bytes as a UUID of version 4 (RFC 9562 clause 5.4), as a KSID is."""
    marked = bytearray(raw)
    marked[6] = marked[6] & 0x0F | 0x40
    marked[8] = marked[8] & 0x3F | 0x80
    return bytes(marked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How GET_KEY ended: `key` is there with SUCCESS, and whoever writes it on wipes it then.

    `metadata_bytes` is what METADATA_SIZE needs.
    """

    outcome: Outcome
    index: int = 0
    key: Secret | None = None
    metadata: bytes = b""
    metadata_bytes: int = 0
