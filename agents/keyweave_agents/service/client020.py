"""Requests to key managers of other networks: over TLS, and who answers is known before a byte leaves.

An HTTP library would send the request, keys and all, on a connection whose certificate it accepts by its own
rule. Here the peer's name and authority are compared first (`peers020`). One request at a time on each of a
few kept connections; what goes wrong becomes PeerUnreachable, and whoever asked tries again.

Rule of this file: it knows hosts, bytes and times, and nothing of keys.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import httptools

from keyweave_core.errors import PeerUnreachable, Refused
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.tls import PeerNames, names_of

MOST_ANSWER_BYTES = 4 * 1024 * 1024
IDLE_S = 20.0
_KEPT = 4

CheckPeer = Callable[[PeerNames, bytes], None]
"""Raises Refused when the certificate (names, DER) is not that of the peer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body of an answer."""

    status: int
    body: bytes


class _Reading:
    """One answer as httptools reads it."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.done = False
        self.status = 0
        self.keeps = False
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.keeps = bool(self.parser.should_keep_alive())

    def on_message_complete(self) -> None:
        self.done = self.status >= 200  # 1xx are not the answer

    def on_message_begin(self) -> None:
        self.body.clear()


class _Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.idle_since_s = 0.0

    def close(self) -> None:
        self.writer.transport.abort()

    async def ask(self, request: bytes) -> tuple[Reply, bool]:
        """Send and read; the answer, and whether the connection can be used again."""
        reading = _Reading()
        self.writer.write(request)
        await self.writer.drain()
        while not reading.done:
            data = await self.reader.read(65_536)
            if not data:
                raise ConnectionError("the connection was closed before the answer was whole")
            reading.parser.feed_data(data)
            if len(reading.body) > MOST_ANSWER_BYTES:
                raise ConnectionError(f"an answer of more than {MOST_ANSWER_BYTES} bytes")
        return Reply(reading.status, bytes(reading.body)), reading.keeps


class BorderClient:
    """Requests to one host and port. `answer_s` bounds connecting and answering together."""

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext,
        check: CheckPeer,
        clock: Clock,
        *,
        answer_s: float,
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._check = check
        self._clock = clock
        self._answer_s = answer_s
        self._idle: deque[_Line] = deque()
        self._busy: set[_Line] = set()

    async def ask(self, method: str, path: str, body: bytes = b"", *, answer_s: float | None = None) -> Reply:
        """Ask and wait for the answer. PeerUnreachable: none came, or not from the peer."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {host}:{self._port}\r\naccept: application/json\r\n"
            f"content-type: application/json; charset=UTF-8\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        where = f"https://{host}:{self._port}{path}"
        try:
            async with asyncio.timeout(self._answer_s if answer_s is None else answer_s):
                return await self._ask(head.encode("ascii") + body)
        except Refused as error:
            raise PeerUnreachable(f"{where}: {error}") from error
        except TimeoutError as error:
            raise PeerUnreachable(f"{where}: no answer in time") from error
        except (OSError, httptools.HttpParserError) as error:
            raise PeerUnreachable(f"{where}: {error}") from error

    async def _ask(self, request: bytes) -> Reply:
        while (line := self._kept()) is not None:
            with contextlib.suppress(OSError):
                return await self._ask_over(line, request)
            # A kept connection may have been closed by the other end at any moment; requests here are such
            # that asking twice is asking once.
        return await self._ask_over(await self._connect(), request)

    async def _ask_over(self, line: _Line, request: bytes) -> Reply:
        self._busy.add(line)
        keep = False
        try:
            reply, keep = await line.ask(request)
            return reply
        finally:
            self._busy.discard(line)
            if keep and len(self._idle) < _KEPT:
                line.idle_since_s = self._clock.monotonic()
                self._idle.append(line)
            else:
                line.close()

    def _kept(self) -> _Line | None:
        oldest_s = self._clock.monotonic() - IDLE_S
        while self._idle:
            line = self._idle.pop()
            if line.idle_since_s > oldest_s and not line.reader.at_eof() and not line.writer.is_closing():
                return line
            line.close()
        return None

    async def _connect(self) -> _Line:
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._context, server_hostname=self._host
        )
        line = _Line(reader, writer)
        secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
        try:
            self._check(names_of(secured.getpeercert()), secured.getpeercert(binary_form=True) or b"")
        except Refused:
            line.close()
            raise
        return line

    def close(self) -> None:
        """Close all connections. Idempotent."""
        for line in (*self._idle, *self._busy):
            line.close()
        self._idle.clear()
