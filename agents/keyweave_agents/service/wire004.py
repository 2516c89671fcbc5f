"""ETSI GS QKD 004 V2.1.1 on the wire. No I/O.

The standard defines calls and no format. This is the one of the open implementation QUBIP/etsi-qkd-004,
version 1.0.1, big endian, each message behind a header of 8 bytes:

    version 3 x uint8 (1, 0, 1) | service type int8 | length of the payload uint32

    type  message                payload
    0x02  OPEN_CONNECT request   source NUL destination NUL QoS 284 KSID 16 (zeros: NULL)
    0x03  OPEN_CONNECT response  status uint32 [QoS 284, KSID 16 when the status is 0 or 7]
    0x04  GET_KEY request        KSID 16, index uint32, Metadata_size uint32
    0x05  GET_KEY response       status uint32 [0: index, length, key, length, metadata; 8: needed size]
    0x08  CLOSE request          KSID 16
    0x09  CLOSE response         status uint32

    QoS: Key_chunk_size, Max_bps, Min_bps, Jitter, Priority, Timeout, TTL as uint32, media type char[256]

Rule of this file: strict where a length or a form could be misread, and every field is bounded before it is
read. Bytes of keys pass through `encode_delivery` alone.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from keyweave_agents.material import Secret
from keyweave_agents.service.streams.values import Delivery, Opening, Outcome, StreamQos
from keyweave_core.errors import MalformedMessage

VERSION = (1, 0, 1)
HEADER_BYTES = 8
KSID_BYTES = 16
MIMETYPE_BYTES = 256
QOS_BYTES = 7 * 4 + MIMETYPE_BYTES
MOST_URI_BYTES = 2048
MOST_REQUEST_BYTES = 2 * (MOST_URI_BYTES + 1) + QOS_BYTES + KSID_BYTES
"""The longest payload that a request can have."""

Edition = Literal["2.1.1"]
"""Editions of the standard whose status codes are known. The draft of edition 3 renumbers them; its codes
belong here once it is published."""

STATUS_CODES: dict[Edition, dict[Outcome, int]] = {
    "2.1.1": {
        Outcome.SUCCESS: 0,
        Outcome.PEER_NOT_YET: 1,
        Outcome.INSUFFICIENT_KEY: 2,
        Outcome.PEER_NOT_CONNECTED: 3,
        Outcome.NO_CONNECTION: 4,
        Outcome.IN_USE: 5,
        Outcome.TIMEOUT: 6,
        Outcome.QOS_NOT_MET: 7,
        Outcome.METADATA_SIZE: 8,
    }
}

_HEADER = struct.Struct(">BBBbI")
_QOS = struct.Struct(f">7I{MIMETYPE_BYTES}s")
_GET = struct.Struct(f">{KSID_BYTES}sII")
_U32 = struct.Struct(">I")
_WITH_QOS = (Outcome.SUCCESS, Outcome.QOS_NOT_MET)


class ServiceType(IntEnum):
    """The service type of a header."""

    OPEN_REQUEST = 0x02
    OPEN_RESPONSE = 0x03
    GET_KEY_REQUEST = 0x04
    GET_KEY_RESPONSE = 0x05
    CLOSE_REQUEST = 0x08
    CLOSE_RESPONSE = 0x09


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """OPEN_CONNECT. `source` and `destination` are URIs, not looked at here."""

    source: str
    destination: str
    qos: StreamQos
    ksid: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GetKeyRequest:
    """GET_KEY. `metadata_bytes` is how much of metadata the caller takes; 0: none."""

    ksid: bytes
    index: int
    metadata_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest:
    """CLOSE."""

    ksid: bytes


Request = OpenRequest | GetKeyRequest | CloseRequest


def read_header(header: bytes) -> tuple[int, int]:
    """Service type (any int8) and payload length of 8 bytes.

    Raises MalformedMessage for a version whose major number is not ours.
    """
    major, minor, patch, kind, length = _HEADER.unpack(header)
    if major != VERSION[0]:
        raise MalformedMessage(f"version {major}.{minor}.{patch} of the framing; this is version 1")
    return kind, length


def frame(kind: ServiceType, payload: bytes) -> bytes:
    """A whole message."""
    return _HEADER.pack(*VERSION, kind, len(payload)) + payload


def decode_request(kind: int, payload: bytes) -> Request | None:
    """The request in a payload; None for a type that is no request (it gets no answer).

    Raises MalformedMessage when the payload is not one of its type.
    """
    match kind:
        case ServiceType.OPEN_REQUEST:
            return _open_request(payload)
        case ServiceType.GET_KEY_REQUEST:
            _exactly(payload, _GET.size, "GET_KEY")
            ksid, index, metadata_bytes = _GET.unpack(payload)
            return GetKeyRequest(ksid=ksid, index=index, metadata_bytes=metadata_bytes)
        case ServiceType.CLOSE_REQUEST:
            _exactly(payload, KSID_BYTES, "CLOSE")
            return CloseRequest(ksid=payload)
        case _:
            return None


def encode_request(request: Request) -> bytes:
    """A whole request. ValueError: a URI with a NUL or too long, a media type that does not fit."""
    match request:
        case OpenRequest():
            uris = [uri.encode() for uri in (request.source, request.destination)]
            if any(b"\0" in uri or len(uri) > MOST_URI_BYTES for uri in uris):
                raise ValueError(f"a URI has no NUL and at most {MOST_URI_BYTES} bytes")
            payload = b"".join(uri + b"\0" for uri in uris) + _encode_qos(request.qos) + request.ksid
            return frame(ServiceType.OPEN_REQUEST, payload)
        case GetKeyRequest():
            payload = _GET.pack(request.ksid, request.index, request.metadata_bytes)
            return frame(ServiceType.GET_KEY_REQUEST, payload)
        case CloseRequest():
            return frame(ServiceType.CLOSE_REQUEST, request.ksid)


def encode_opening(opening: Opening, edition: Edition) -> bytes:
    """The whole response to OPEN_CONNECT."""
    payload = _U32.pack(STATUS_CODES[edition][opening.outcome])
    if opening.outcome in _WITH_QOS:
        payload += _encode_qos(opening.qos) + opening.ksid
    return frame(ServiceType.OPEN_RESPONSE, payload)


def encode_delivery(delivery: Delivery, edition: Edition) -> bytes:
    """The whole response to GET_KEY."""
    parts = [_U32.pack(STATUS_CODES[edition][delivery.outcome])]
    if delivery.key is not None:
        parts += [_U32.pack(delivery.index), _U32.pack(len(delivery.key)), bytes(delivery.key.reveal())]
        parts += [_U32.pack(len(delivery.metadata)), delivery.metadata]
    elif delivery.outcome is Outcome.METADATA_SIZE:
        parts.append(_U32.pack(delivery.metadata_bytes))
    return frame(ServiceType.GET_KEY_RESPONSE, b"".join(parts))


def encode_closing(outcome: Outcome, edition: Edition) -> bytes:
    """The whole response to CLOSE."""
    return frame(ServiceType.CLOSE_RESPONSE, _U32.pack(STATUS_CODES[edition][outcome]))


def decode_opening(payload: bytes, edition: Edition) -> Opening:
    """What a response to OPEN_CONNECT says. Errors as `decode_request`."""
    outcome, rest = _outcome(payload, edition)
    if outcome not in _WITH_QOS:
        _exactly(rest, 0, outcome.name)
        return Opening(outcome=outcome)
    _exactly(rest, QOS_BYTES + KSID_BYTES, outcome.name)
    return Opening(outcome=outcome, qos=_decode_qos(rest[:QOS_BYTES]), ksid=rest[QOS_BYTES:])


def decode_delivery(payload: bytes, edition: Edition) -> Delivery:
    """What a response to GET_KEY says. Errors as `decode_request`."""
    outcome, rest = _outcome(payload, edition)
    if outcome is Outcome.METADATA_SIZE:
        _exactly(rest, 4, outcome.name)
        return Delivery(outcome=outcome, metadata_bytes=_U32.unpack(rest)[0])
    if outcome is not Outcome.SUCCESS:
        _exactly(rest, 0, outcome.name)
        return Delivery(outcome=outcome)
    if len(rest) < 8:
        raise MalformedMessage("a response to GET_KEY ends before its key")
    index = int(_U32.unpack_from(rest)[0])
    key, rest = _counted(rest[4:], "key")
    metadata, rest = _counted(rest, "metadata")
    _exactly(rest, 0, "response to GET_KEY")
    return Delivery(outcome=outcome, index=index, key=Secret(key), metadata=metadata)


def decode_closing(payload: bytes, edition: Edition) -> Outcome:
    """What a response to CLOSE says. Errors as `decode_request`."""
    outcome, rest = _outcome(payload, edition)
    _exactly(rest, 0, "response to CLOSE")
    return outcome


def _open_request(payload: bytes) -> OpenRequest:
    texts: list[str] = []
    at = 0
    for name in ("source", "destination"):
        end = payload.find(b"\0", at, at + MOST_URI_BYTES + 1)
        if end < 0:
            raise MalformedMessage(f"OPEN_CONNECT: {name} does not end within {MOST_URI_BYTES} bytes")
        try:
            texts.append(payload[at:end].decode())
        except UnicodeDecodeError as error:
            raise MalformedMessage(f"OPEN_CONNECT: {name} is not UTF-8") from error
        at = end + 1
    rest = payload[at:]
    _exactly(rest, QOS_BYTES + KSID_BYTES, "OPEN_CONNECT after its URIs")
    return OpenRequest(
        source=texts[0], destination=texts[1], qos=_decode_qos(rest[:QOS_BYTES]), ksid=rest[QOS_BYTES:]
    )


def _encode_qos(qos: StreamQos) -> bytes:
    media = qos.mimetype.encode("latin-1")
    if len(media) > MIMETYPE_BYTES:
        raise ValueError(f"a media type has at most {MIMETYPE_BYTES} bytes")
    return _QOS.pack(
        qos.chunk_bytes,
        qos.max_bps,
        qos.min_bps,
        qos.jitter_bps,
        qos.priority,
        qos.timeout_ms,
        qos.ttl_s,
        media,
    )


def _decode_qos(raw: bytes) -> StreamQos:
    chunk_bytes, max_bps, min_bps, jitter_bps, priority, timeout_ms, ttl_s, media = _QOS.unpack(raw)
    # A C string in a field of fixed size: what stands behind its end means nothing.
    text = media.split(b"\0", 1)[0].decode("latin-1")
    return StreamQos(
        chunk_bytes=chunk_bytes,
        max_bps=max_bps,
        min_bps=min_bps,
        jitter_bps=jitter_bps,
        priority=priority,
        timeout_ms=timeout_ms,
        ttl_s=ttl_s,
        mimetype=text,
    )


def _outcome(payload: bytes, edition: Edition) -> tuple[Outcome, bytes]:
    if len(payload) < 4:
        raise MalformedMessage("a response without a status")
    number = _U32.unpack_from(payload)[0]
    for outcome, code in STATUS_CODES[edition].items():
        if code == number:
            return outcome, payload[4:]
    raise MalformedMessage(f"status {number} is none of edition {edition}")


def _counted(rest: bytes, what: str) -> tuple[bytes, bytes]:
    if len(rest) < 4 or len(rest) - 4 < (length := int(_U32.unpack_from(rest)[0])):
        raise MalformedMessage(f"a response to GET_KEY ends within its {what}")
    return rest[4 : 4 + length], rest[4 + length :]


def _exactly(payload: bytes, length: int, what: str) -> None:
    if len(payload) != length:
        raise MalformedMessage(f"{what}: {len(payload)} bytes where {length} belong")
