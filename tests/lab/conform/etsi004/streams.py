"""Two key managers of 004 in one object, right in everything but the defect they are told to have."""

import asyncio
import os
import ssl
import struct
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from keyweave_core.runtime.tls import TlsSettings

NULL = bytes(16)
MOST = 1_000_000
QOS = struct.Struct(">7I256s")


@dataclass
class Stream:
    """One stream: its qualities, who has it open, what each side has got or lost."""

    qos: list[Any]
    open_at: set[str] = field(default_factory=set)
    closed_at: set[str] = field(default_factory=set)
    both: asyncio.Event = field(default_factory=asyncio.Event)
    chunks: dict[int, bytes] = field(default_factory=dict)
    next: dict[str, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)


class Hub:
    """What both sides know."""

    def __init__(self, defect: str = "", tls: TlsSettings | None = None) -> None:
        self.defect = defect
        self.tls = tls
        self.streams: dict[bytes, Stream] = {}
        self.buffer = os.urandom(4096)
        self.fixed = uuid.uuid4().bytes
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, *names: str) -> bool:
        return self.defect in names

    async def start(self) -> tuple[int, int]:
        context = None
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls.certificate, self.tls.private_key)
            context.load_verify_locations(cafile=self.tls.ca)
            context.verify_mode = ssl.CERT_OPTIONAL if self.has("tls-open") else ssl.CERT_REQUIRED
        ports = []
        for side in ("west", "east"):

            async def client(r: asyncio.StreamReader, w: asyncio.StreamWriter, side: str = side) -> None:
                await self._client(side, r, w)

            server = await asyncio.start_server(client, "127.0.0.1", 0, ssl=context)
            self._servers.append(server)
            ports.append(server.sockets[0].getsockname()[1])
        return ports[0], ports[1]

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, side: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, OSError, ssl.SSLError):
                while True:
                    *_, kind, length = struct.unpack(">3BbI", await reader.readexactly(8))
                    if length > 100_000:
                        if self.has("dies"):
                            for server in self._servers:
                                server.close()
                        break
                    payload = await reader.readexactly(length)
                    answer = await self._answer(side, kind, payload)
                    if answer is None:
                        break
                    if self.has("one-at-a-time"):
                        reader._buffer.clear()  # type: ignore[attr-defined]  # a server that reads too much
                    if answer:
                        writer.write(struct.pack(">3BbI", 1, 0, 1, kind + 1, len(answer)) + answer)
                        await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, side: str, kind: int, payload: bytes) -> bytes | None:
        if kind == 2:
            return await self._open(side, payload)
        if kind == 4 and len(payload) == 24:
            return self._get(side, payload[:16], *struct.unpack(">II", payload[16:]))
        if kind == 8 and len(payload) == 16:
            return struct.pack(">I", self._close(side, payload))
        return b"" if kind not in (2, 4, 8) else None

    async def _open(self, side: str, payload: bytes) -> bytes | None:
        parts = payload.split(b"\0", 2)
        if len(parts) != 3 or len(parts[2]) != QOS.size + 16:
            return struct.pack(">I", 0) if self.has("short-opens") else None
        source, rest = parts[0].decode(), parts[2]
        *numbers, media = QOS.unpack_from(rest)
        ksid = rest[QOS.size :]
        if ":" not in source and not self.has("uri-any"):
            return struct.pack(">I", 4)
        if ksid in self.streams and (side in self.streams[ksid].open_at) and not self.has("in-use-0"):
            return struct.pack(">I", 4 if self.has("in-use-4") else 5)
        status = 0
        text = media.partition(b"\0")[0].decode()
        if text not in ("", "application/json") and not self.has("media-any"):
            return self._opened(7, [*numbers, b"application/json"], NULL)
        if numbers[2] > MOST and not self.has("too-much"):
            status = 7
            numbers[1] = numbers[2] = numbers[2] if self.has("no-proposal") else MOST
        if not self.has("qos-zero"):
            numbers[0] = numbers[0] or 32
            numbers[6] = numbers[6] or 60
        qos = [*numbers, media]
        allocated = ksid == NULL
        if allocated:
            ksid = self._new_ksid()
        elif ksid not in self.streams and self.has("no-predefined"):
            return struct.pack(">I", 4)
        stream = self.streams.setdefault(ksid, Stream(qos))
        stream.open_at.add(side)
        if len(stream.open_at) == 2:
            stream.both.set()
        elif not allocated:
            try:
                await asyncio.wait_for(stream.both.wait(), numbers[5] / 1000)
            except TimeoutError:
                stream.open_at.discard(side)
                return struct.pack(">I", 2 if self.has("timeout-2") else 6)
        given = qos if self.has("qos-asked") else stream.qos
        if self.has("join-other") and not allocated and side == "east" and stream.chunks == {}:
            return self._opened(status, given, uuid.uuid4().bytes)
        return self._opened(status, given, ksid)

    def _new_ksid(self) -> bytes:
        if self.has("ksid-fixed"):
            return self.fixed
        return uuid.uuid1().bytes if self.has("ksid-1") else uuid.uuid4().bytes

    def _opened(self, status: int, qos: list[Any], ksid: bytes) -> bytes:
        return struct.pack(">I", status) + QOS.pack(*qos) + ksid

    def _get(self, side: str, ksid: bytes, index: int, most: int) -> bytes:
        stream = self.streams.get(ksid)
        if stream is None or side not in stream.open_at:
            return struct.pack(">I", 4 if self.has("unknown-4") else 3)
        if not stream.both.is_set() and not self.has("alone-key"):
            return struct.pack(">I", 2 if self.has("alone-2") else 3)
        if self.has("index-ignored"):
            index = stream.next.get(side, 0)
        gone = self.has("close-drops") and stream.closed_at
        if index > 1000 or gone or (index in stream.lost and side == "west"):
            return struct.pack(">I", 2)
        age = int(time.time() * 1000) if self.has("age-clock") else 12
        metadata = b'{"age": %d, "hops": 0}' % age if stream.qos[7].strip(b"\0") else b""
        if self.has("metadata-always"):
            metadata = b'{"age": 1}'
        elif most == 0:
            metadata = b""
        if most and len(metadata) > most:
            if self.has("overflow-cut"):
                metadata = metadata[:most]
            else:
                if self.has("overflow-loses"):
                    stream.lost.add(index)
                return struct.pack(">II", 8, 0 if self.has("overflow-0") else len(metadata))
        key = self._chunk(stream, index, side)
        stream.next[side] = index + 1
        return struct.pack(">III", 0, index, len(key)) + key + struct.pack(">I", len(metadata)) + metadata

    def _chunk(self, stream: Stream, index: int, side: str) -> bytes:
        size = stream.qos[0]
        if self.has("different"):
            return os.urandom(size)
        if self.has("half"):
            size //= 2
        if self.has("repeats"):
            index %= 2
        if self.has("shared"):
            return self.buffer[index * size : (index + 1) * size]
        return stream.chunks.setdefault(index, os.urandom(size))

    def _close(self, side: str, ksid: bytes) -> int:
        stream = self.streams.get(ksid)
        if stream is None or side not in stream.open_at:
            return 3
        stream.closed_at.add(side)
        if not self.has("close-keeps"):
            stream.open_at.discard(side)
        if len(stream.closed_at) == 2 or not stream.open_at:
            del self.streams[ksid]
        return 2 if self.has("close-2") else 0
