"""Where acknowledgements come in: an HTTPS listener of the suite's own, with mutual TLS.

Rule of this file: whoever calls may be anybody: one request a connection, 1 MiB and ten seconds for it, and a
bounded number of them remembered. Bodies hold no keys; nothing of them is told but what `form` reads.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h11
import msgspec

from keyweave_core.errors import DeadlineExceeded, InvalidInput
from keyweave_core.netconf.deadline import within
from keyweave_core.runtime.clock import Clock
from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.etsi020.form import Ack, acks_of

_MOST_BODY = 1024 * 1024
_MOST_HEARD = 10_000
_REQUEST_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request to the listener."""

    method: str
    path: str
    acks: tuple[Ack, ...]
    flaws: tuple[str, ...]
    refused: bool


class Listener:
    """The listener; `heard` grows, `refuse_next` makes it answer 503 so many times."""

    def __init__(self, clock: Clock) -> None:
        self._context: ssl.SSLContext | None = None
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self.heard: list[Heard] = []
        self.connections = 0
        self.refuse_next = 0

    async def start(self, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Listen; the port is returned. Without a context it only counts who connects.

        Raises InvalidInput when the address cannot be had.
        """
        self._context = context
        try:
            self._server = await asyncio.start_server(self._client, host, port, ssl=self._context)
        except OSError as error:
            raise InvalidInput(f"cannot listen on {host}:{port}: {error.strerror}") from error
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop listening and end what is under way."""
        if self._server is not None:
            self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait(self, wanted: Callable[[Heard], bool], limit_s: float, since: int = 0) -> Heard | None:
        """The first request after the first `since` that is `wanted`; None when none comes in time."""
        end_s = self._clock.monotonic() + limit_s
        while True:
            for one in self.heard[since:]:
                if wanted(one):
                    return one
            left_s = end_s - self._clock.monotonic()
            if left_s <= 0:
                return None
            self._news.clear()
            with suppress(TimeoutError):  # looked at again now and then, whatever was missed
                await asyncio.wait_for(self._news.wait(), min(left_s, 0.2))

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            if self._context is not None and len(self.heard) < _MOST_HEARD:
                with suppress(OSError, ssl.SSLError, h11.ProtocolError, DeadlineExceeded):
                    await within(self._clock, self._serve(reader, writer), _REQUEST_S, "callback")
            writer.close()
            with suppress(OSError, ssl.SSLError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1.0)
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MOST_BODY:
                    return
            else:
                break
        if request is None:
            return
        one = self._read(request, bytes(body))
        status = 503 if one.refused else 200
        answer: list[Any] = [
            h11.Response(status_code=status, headers=[("content-length", "0"), ("connection", "close")]),
            h11.EndOfMessage(),
        ]
        writer.write(b"".join(connection.send(event) or b"" for event in answer))
        await writer.drain()
        self.heard.append(one)
        self._news.set()

    def _read(self, request: h11.Request, body: bytes) -> Heard:
        flaws: list[str] = []
        acks: list[Ack] = []
        path = request.target.decode("latin-1")[:200]
        try:
            if not path.endswith("/void"):  # the peer takes keys back, which is no acknowledgement
                acks, flaws = acks_of(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            flaws.append(f"{len(body)} bytes that are no JSON")
        except Failed as failure:
            flaws.append(str(failure))
        if request.method != b"POST":
            flaws.append(f"method {request.method.decode('latin-1')[:20]}")
        refused = self.refuse_next > 0
        self.refuse_next -= int(refused)
        return Heard(
            method=request.method.decode("latin-1"),
            path=path,
            acks=tuple(acks),
            flaws=tuple(flaws),
            refused=refused,
        )
