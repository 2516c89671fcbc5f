"""ETSI GS QKD 004 V2.1.1 in the framing of the open code QUBIP/etsi-qkd-004, written for the suite alone.

The standard defines calls, no bytes. Header of 8 bytes: version 1.0.1, service type, length of the payload.

Rule of this file: it shares no code with any key manager, so that a misreading is not agreed upon; and a key
becomes digests where it is read.
"""

import asyncio
import hashlib
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass, replace

from keyweave_core.errors import DeadlineExceeded, PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_core.runtime.clock import Clock
from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.https import Closed

OPEN, OPENED, GET, GOT, CLOSE, CLOSED = 0x02, 0x03, 0x04, 0x05, 0x08, 0x09
NULL = bytes(16)
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024
_HEADER = struct.Struct(">3BbI")
_QOS = struct.Struct(">7I256s")
_BLOCK_BYTES = 16

STATUS = {
    0: "success",
    1: "peer not connected yet",
    2: "insufficient key",
    3: "peer application not connected",
    4: "no QKD connection available",
    5: "KSID in use",
    6: "timeout",
    7: "QoS not met",
    8: "metadata buffer too small",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Qos:
    """The fields of QoS in their order; 0 leaves the choice to the key manager."""

    chunk_bytes: int = 32
    max_bps: int = 0
    min_bps: int = 0
    jitter_bps: int = 0
    priority: int = 0
    timeout_ms: int = 2000
    ttl_s: int = 60
    mimetype: str = "application/json"

    def packed(self) -> bytes:
        """284 bytes."""
        media = self.mimetype.encode("ascii")
        numbers = (self.chunk_bytes, self.max_bps, self.min_bps, self.jitter_bps)
        return _QOS.pack(*numbers, self.priority, self.timeout_ms, self.ttl_s, media)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The answer to OPEN_CONNECT; `qos` is None and `ksid` NULL where the status comes alone."""

    status: int
    qos: Qos | None = None
    ksid: bytes = NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """The answer to GET_KEY. `blocks` are salted digests of each 16 bytes of the key, `needed` is for 8."""

    status: int
    index: int = 0
    key_bytes: int = 0
    blocks: tuple[bytes, ...] = ()
    metadata: bytes = b""
    needed: int = 0


def shown(status: int) -> str:
    """A status with its name."""
    return f"status {status} ({STATUS.get(status, 'none of the standard')})"


class Wire:
    """One connection of an application; calls go one after the other."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock, salt: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._salt = salt

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS layer, None over plain TCP."""
        found: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return found

    async def open(
        self, source: str, destination: str, qos: Qos, ksid: bytes = NULL, *, limit_s: float
    ) -> Opened:
        """OPEN_CONNECT."""
        uris = b"".join(text.encode() + b"\0" for text in (source, destination))
        payload = await self.call(OPEN, uris + qos.packed() + ksid, OPENED, limit_s=limit_s)
        return opened_of(payload)

    async def get(self, ksid: bytes, index: int, metadata_bytes: int = 1024, *, limit_s: float) -> Got:
        """GET_KEY."""
        said = ksid + struct.pack(">II", index, metadata_bytes)
        return got_of(await self.call(GET, said, GOT, limit_s=limit_s), self._salt)

    async def close_stream(self, ksid: bytes, *, limit_s: float) -> int:
        """CLOSE; the status."""
        payload = await self.call(CLOSE, ksid, CLOSED, limit_s=limit_s)
        if len(payload) != 4:
            raise Failed(f"CLOSE is answered with {len(payload)} bytes instead of 4")
        return int.from_bytes(payload)

    async def call(self, kind: int, payload: bytes, wanted: int, *, limit_s: float) -> bytes:
        """One request and its answer's payload. Raises Failed or Closed for what the server does wrong."""
        await self.send(framed(kind, payload))
        return await self.answer(wanted, limit_s=limit_s)

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        with suppress(OSError):  # whoever closed may have answered before
            self._writer.write(data)
            await self._writer.drain()

    async def answer(self, wanted: int, *, limit_s: float) -> bytes:
        """The payload of the next message, which must be of the type `wanted`."""
        try:
            return await within(self._clock, self._message(wanted), limit_s, "no whole answer")
        except DeadlineExceeded as error:
            raise Failed(str(error)) from error

    async def close(self) -> None:
        """Part."""
        self._writer.transport.abort()
        with suppress(OSError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1.0)

    async def _message(self, wanted: int) -> bytes:
        try:
            header = await self._reader.readexactly(_HEADER.size)
            major, _, _, kind, length = _HEADER.unpack(header)
            if major != 1:
                raise Failed(f"the answer has version {major} of the framing")
            if kind != wanted:
                raise Failed(f"service type {kind:#04x} where {wanted:#04x} belongs")
            if length > MAX_PAYLOAD_BYTES:
                raise Failed(f"an answer of {length} bytes")
            return await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise Closed("the connection ended before a whole answer") from error
        except (OSError, ssl.SSLError) as error:
            raise Closed(f"the connection was cut: {type(error).__name__}") from error


def framed(kind: int, payload: bytes) -> bytes:
    """A whole message."""
    return _HEADER.pack(1, 0, 1, kind, len(payload)) + payload


def header(version: tuple[int, int, int], kind: int, length: int) -> bytes:
    """A header alone, with whatever in it."""
    return _HEADER.pack(*version, kind, length)


def opened_of(payload: bytes) -> Opened:
    """Read an answer to OPEN_CONNECT; Failed when it has another form."""
    status = _status(payload)
    rest = payload[4:]
    if not rest:
        return Opened(status=status)
    if len(rest) != _QOS.size + 16:
        raise Failed(f"{shown(status)} of OPEN_CONNECT with {len(rest)} bytes behind it")
    *numbers, media = _QOS.unpack_from(rest)
    names = ("chunk_bytes", "max_bps", "min_bps", "jitter_bps", "priority", "timeout_ms", "ttl_s")
    text = media.partition(b"\0")[0].decode("ascii", "replace")
    qos = replace(Qos(mimetype=text), **dict(zip(names, numbers, strict=True)))
    return Opened(status=status, qos=qos, ksid=rest[-16:])


def got_of(payload: bytes, salt: bytes) -> Got:
    """Read an answer to GET_KEY; Failed when it has another form."""
    status = _status(payload)
    rest = payload[4:]
    if status == 8:
        if len(rest) != 4:
            raise Failed(f"{shown(status)} with {len(rest)} bytes behind it instead of 4")
        return Got(status=status, needed=int.from_bytes(rest))
    if status != 0:
        if rest:
            raise Failed(f"{shown(status)} of GET_KEY with {len(rest)} bytes behind it")
        return Got(status=status)
    key, after = _counted(rest[4:])
    metadata, after = _counted(after)
    if after:
        raise Failed(f"GET_KEY is answered with {len(after)} bytes too many")
    blocks = tuple(
        hashlib.blake2b(key[at : at + _BLOCK_BYTES], key=salt, digest_size=16).digest()
        for at in range(0, len(key), _BLOCK_BYTES)
    )
    return Got(
        status=status,
        index=int.from_bytes(rest[:4]),
        key_bytes=len(key),
        blocks=blocks,
        metadata=metadata,
    )


def _status(payload: bytes) -> int:
    if len(payload) < 4:
        raise Failed(f"an answer of {len(payload)} bytes has no status")
    return int.from_bytes(payload[:4])


def _counted(rest: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(rest[:4])
    if len(rest) < 4 or len(rest) - 4 < length:
        raise Failed("the answer to GET_KEY ends early")
    return rest[4 : 4 + length], rest[4 + length :]


async def open_wire(
    host: str, port: int, context: ssl.SSLContext | None, clock: Clock, salt: bytes, *, limit_s: float
) -> Wire:
    """Connect. Raises PeerUnreachable (nobody listens there), Closed (the handshake was refused)."""
    dial = asyncio.open_connection(
        host,
        port,
        ssl=context,
        server_hostname=host if context else None,
        ssl_handshake_timeout=limit_s if context else None,
        ssl_shutdown_timeout=1.0 if context else None,
    )
    try:
        reader, writer = await within(clock, dial, limit_s + 1.0, f"{host}:{port}: no connection")
    except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
        raise Closed(f"{host}:{port}: TLS handshake: {error}") from error
    except OSError as error:
        raise PeerUnreachable(f"{host}:{port}: {error}") from error
    return Wire(reader, writer, clock, salt)
