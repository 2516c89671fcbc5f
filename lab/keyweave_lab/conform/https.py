"""One HTTPS exchange at a time with a server that may be slow, broken or hostile.

    connection   TCP and TLS within the time of one exchange; the caller's context says whom it trusts
    answer       HTTP/1.1 read by h11: head of 64 KiB, body of 16 MiB at most; nothing is unpacked or followed
    JSON         UTF-8, nested no deeper than the reader, no NaN
    time         one bound over all of an exchange, so that a byte a second does not hold the run up

Rule of this file: whatever the server does wrong is `Failed` (or `Closed`, when it parts before a whole
answer), and no text of such a failure holds any of the body, because bodies hold keys.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
import msgspec

from keyweave_core.errors import DeadlineExceeded, InvalidInput, PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_core.runtime.clock import Clock
from keyweave_lab.conform.check import Failed

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024
_READ_BYTES = 64 * 1024


class Closed(Failed):
    """The server refused the handshake or parted before a whole answer came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server is: `https://host[:port][/prefix]`."""

    host: str
    port: int
    prefix: str

    @property
    def authority(self) -> str:
        """`host:port` as the Host header wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def place_of(url: str) -> Place:
    """The place that an URL names; InvalidInput when it is no absolute https URL without query."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{url[:100]!r} is no URL: {error}") from error
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise InvalidInput(f"{url[:100]!r}: want https://host[:port][/prefix]")
    if not all(0x21 <= ord(letter) <= 0x7E for letter in url):
        raise InvalidInput(f"{url[:100]!r}: an URL has printable ASCII only")
    return Place(host=parts.hostname, port=port or 443, prefix=parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One whole answer. Header names are in lower case; the body is not part of the repr."""

    status: int
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """All values of a header, with commas between; '' when it is not there."""
        return ", ".join(value for known, value in self.headers if known == name)

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().casefold()

    def json(self) -> Any:
        """The body as JSON (RFC 8259); Failed when it is none."""
        try:
            return msgspec.json.decode(self.body)
        except UnicodeDecodeError as error:
            raise Failed(f"status {self.status}: the body is not UTF-8") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise Failed(f"status {self.status}: the body ({len(self.body)} bytes) is no JSON") from error

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; Failed when it is something else."""
        value = self.json()
        if not isinstance(value, dict):
            raise Failed(f"status {self.status}: the body is JSON, but no object")
        return value


class Line:
    """One connection; exchanges go one after the other."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place, clock: Clock
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._place = place
        self._clock = clock
        self._ended = False
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)

    @property
    def tls(self) -> ssl.SSLObject:
        """The TLS layer, for what was negotiated."""
        found: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        return found

    @property
    def reusable(self) -> bool:
        """Whether the last answer leaves the connection open for another exchange."""
        return self._h11.our_state is h11.IDLE and not self._reader.at_eof()

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        limit_s: float,
    ) -> Reply:
        """One exchange. Raises Failed or Closed for what the server does wrong or too slowly."""
        said = {"host": self._place.authority, "accept": "application/json", **(headers or {})}
        if body or method in ("POST", "PUT"):
            said |= {"content-length": str(len(body))}
        request = h11.Request(method=method, target=target, headers=list(said.items()))
        events: list[Any] = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
        data = b"".join(self._h11.send(event) or b"" for event in events)
        return await self._timed(self._exchange(data), limit_s)

    async def say(self, data: bytes, *, limit_s: float) -> Reply:
        """Send bytes that need not be HTTP and read one answer."""
        self._h11.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
        self._h11.send(h11.EndOfMessage())
        return await self._timed(self._exchange(data), limit_s)

    async def close(self) -> None:
        """Part, without waiting for the server's consent for more than a second."""
        self._writer.transport.abort()
        with suppress(OSError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1.0)

    async def _timed(self, work: Any, limit_s: float) -> Reply:
        try:
            reply: Reply = await within(self._clock, work, limit_s, "no whole answer")
        except DeadlineExceeded as error:
            raise Failed(str(error)) from error
        return reply

    async def _exchange(self, data: bytes) -> Reply:
        # A server may answer (413) and close before it has read everything: what it said counts.
        with suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()
        return await self._answer()

    async def _answer(self) -> Reply:
        head: h11.Response | None = None
        body = bytearray()
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY_BYTES:
                    raise Failed(f"an answer of more than {MAX_BODY_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise Closed("the connection ended without an answer")
        self._rewind()
        return Reply(
            status=head.status_code,
            version=head.http_version.decode("ascii"),
            headers=tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in head.headers),
            body=bytes(body),
        )

    def _rewind(self) -> None:
        with suppress(h11.ProtocolError):
            self._h11.start_next_cycle()

    async def _event(self) -> Any:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                if self._ended:
                    raise Closed("the connection ended before a whole answer") from error
                raise Failed(f"the answer is no HTTP/1.1: {error}") from error
            if event is not h11.NEED_DATA:
                return event
            try:
                data = await self._reader.read(_READ_BYTES)
            except (OSError, ssl.SSLError) as error:
                raise Closed(f"the connection was cut: {_reason(error)}") from error
            self._ended = not data
            self._h11.receive_data(data)


async def open_line(
    place: Place, context: ssl.SSLContext, clock: Clock, *, limit_s: float, server_name: str | None = None
) -> Line:
    """Connect. Raises PeerUnreachable (nobody listens there), Closed (the handshake was refused)."""
    dial = asyncio.open_connection(
        place.host,
        place.port,
        ssl=context,
        server_hostname=server_name or place.host,
        ssl_handshake_timeout=limit_s,
        ssl_shutdown_timeout=1.0,
    )
    where = place.authority
    try:
        reader, writer = await within(clock, dial, limit_s + 1.0, f"{where}: no connection")
    except ssl.SSLError as error:
        raise Closed(f"{where}: TLS handshake: {_reason(error)}") from error
    except ConnectionRefusedError as error:
        raise PeerUnreachable(f"{where}: nobody listens there") from error
    except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
        raise Closed(f"{where}: cut in the handshake: {_reason(error)}") from error
    except OSError as error:  # names that do not resolve, no route, silence
        raise PeerUnreachable(f"{where}: {_reason(error)}") from error
    return Line(reader, writer, place, clock)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.casefold().replace("_", " ")
    return str(error) or type(error).__name__
