"""HTTP/1.1 of one connection: uvicorn's parser and cycle, our limits around them, and a quick way past them.

    a client that sends slowly        `receive_s` from the first byte of a request to its last, then aborted
    a client that reads slowly        `send_s` while the write buffer is full, then aborted
    a head without end                `max_head_bytes`, then 431 and closed
    no Host, or two (RFC 9112 3.2)    400 and closed; not HTTP/1: 505 and closed
    more than `_MOST_PIPELINED`       aborted: nobody sends so much without reading
    a client that went away           `Connection.while_waiting` ends the work that nobody waits for

The quick way: a request that came whole, on a connection that has nothing else in work, is offered to the
server's quick handler before any task, scope or cycle is made for it. What that does not take goes the way of
every ASGI application.

Rule of this file: it knows nothing of keys.
"""

import asyncio
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from keyweave_agents.service.connections import Connection, certificate_of
from keyweave_agents.service.exchange import Headers, Shared

_MOST_PIPELINED = 512


class LimitedProtocol(HttpToolsProtocol):
    """See the file head. Implements `Exchange` for the request that the quick handler is working on."""

    def __init__(self, config: Config, shared: Shared) -> None:
        super().__init__(config, shared.state, {})
        self._shared = shared
        self._head_bytes = 0
        self._in_head = True
        self._begun = False  # a message whose end has not come yet
        self._ended = False  # a message ended within the bytes at hand
        self._held: list[bytes] | None = None  # body of the message that may go the quick way
        self._held_bytes = 0
        self._replying = False  # the quick handler has a request and has not replied
        self._stopping = False
        self._receive_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self.idle_since_s = 0.0
        self.method = b""
        self.url = b""
        self.body = b""

    # --- the connection --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        self.connection = Connection(
            certificate_of(transport.get_extra_info("peercert"), lambda: secured.getpeercert(True) or b"")
        )
        self.app_state = {"connection": self.connection}
        self.idle_since_s = self._shared.clock.monotonic()
        if not self._shared.make_room():
            self._shared.log.warning("connection_refused", reason="max_connections", peer=self.client)
            transport.close()
            return
        self._arm_receive()

    @property
    def in_work(self) -> bool:
        """Whether a request waits for its answer."""
        # None before the first request, whatever uvicorn says
        cycle: RequestResponseCycle | None = self.cycle
        return self._replying or (cycle is not None and not cycle.response_complete)

    @property
    def resting(self) -> bool:
        """Whether nothing is under way, in either direction."""
        return not self.in_work and not self._begun and not self._in_send

    @property
    def _in_send(self) -> bool:
        return self._send_timer is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm_receive()
        self._disarm_send()
        self._replying = False
        super().connection_lost(exc)
        self.connection.lost()

    def shutdown(self) -> None:
        if self._replying:
            self._stopping = True
        else:
            super().shutdown()

    # --- receiving -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        shared = self._shared
        shared.refresh_date()
        if self._in_head:
            self._head_bytes += len(data)
        self._ended = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # an offer (RFC 9110 section 7.8): it is not taken, and the request is answered
        except httptools.HttpParserError as error:
            refusal = error.__context__
            if isinstance(refusal, _Refusal):
                self._refuse(refusal.status, str(refusal))
            else:
                self._refuse(400, "malformed HTTP request")
            return
        if self._in_head and self._head_bytes > shared.settings.max_head_bytes:
            self._refuse(431, "the head of the request is too large")
        elif self._begun:
            if not self.in_work:
                self._arm_receive()
        elif not self._ended:
            self._arm_receive()  # blank lines are no request

    def on_message_begin(self) -> None:
        self._in_head = True
        self._begun = True
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        hosts = 0
        plain = self._shared.quick is not None and not self.in_work and not self._in_send
        for name, _ in self.headers:
            if name == b"host":
                hosts += 1
            elif name in _NOT_PLAIN:
                plain = False
        parser = self.parser
        version = parser.get_http_version()
        if hosts != 1 and (hosts or version != "1.0"):
            raise _Refusal(400, "a request has exactly one Host")
        if version not in _VERSIONS:
            raise _Refusal(505, "this is HTTP/1.1")
        if plain and version == "1.1" and parser.should_keep_alive():
            self.method = parser.get_method()
            self._held = []
            self._held_bytes = 0
        else:
            self._go_the_long_way()

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
            return
        self._held.append(body)
        self._held_bytes += len(body)
        if self._held_bytes > self._shared.settings.max_body_bytes:
            self._unhold()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._begun = False
        self._ended = True
        if self._receive_timer is not None:
            self._disarm_receive()
        if self._held is not None:
            self.body = b"".join(self._held)
            self._replying = True
            quick = self._shared.quick
            if quick is not None and quick(self):
                self._held = None
                return
            self._replying = False
            self._unhold()
        super().on_message_complete()

    def _unhold(self) -> None:
        """What was held for the quick way goes to the application."""
        held, self._held = self._held or [], None
        self._go_the_long_way()
        for part in held:
            super().on_body(part)

    def _go_the_long_way(self) -> None:
        """Make of this message a request for the application."""
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._shared.log.info("client_aborted", reason="too many requests at once", peer=self.client)
            self.transport.abort()
            return
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers = self.scope["headers"] = headers
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        if self._replying:
            self.cycle = _Before()  # type: ignore[assignment]  # what uvicorn asks of a cycle that is not over
        super().on_headers_complete()

    # --- answering -------------------------------------------------------------------------------

    def reply(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """See `Exchange.reply`."""
        if not self._replying:
            return  # the client has gone
        self._replying = False
        head = self._shared.head(status)
        if headers or not body:
            head = self._shared.head_with(status, headers, has_body=bool(body))
        self.transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        if self._stopping:
            self.transport.close()
        self._answered()

    def leave(self) -> bool:
        """See `Exchange.leave`."""
        if not self._replying:
            return True  # the client has gone
        if self._begun or self.pipeline:
            return False  # what the parser knows is of a later request
        self._replying = False
        self._held = [self.body]
        self._unhold()
        super().on_message_complete()
        if self._stopping:
            self.cycle.keep_alive = False
        return True

    def on_response_complete(self) -> None:
        # uvicorn's makes a timer for every answer; here `HttpsServer` looks for idle connections.
        self._answered()

    def _answered(self) -> None:
        self.idle_since_s = self._shared.clock.monotonic()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._begun:
            self._arm_receive()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _unsupported_upgrade_warning(self) -> None:
        """See `data_received`."""

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self._shared.settings.send_s, self._too_slow, "send_s")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._disarm_send()

    def _disarm_send(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _arm_receive(self) -> None:
        if self._receive_timer is None:
            wait_s = self._shared.settings.receive_s
            self._receive_timer = self.loop.call_later(wait_s, self._too_slow, "receive_s")

    def _disarm_receive(self) -> None:
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

    def _too_slow(self, limit: str) -> None:
        self._shared.log.info("client_too_slow", limit=limit, peer=self.client)
        self.transport.abort()

    def _refuse(self, status: int, message: str) -> None:
        """Answer outside of any request of the application, and close."""
        if self.transport.is_closing():
            return
        body = msgspec.json.encode({"message": message})
        head = self._shared.head_with(status, ((b"connection", b"close"),), has_body=True)
        self.transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        self.transport.close()


_VERSIONS = frozenset(("1.1", "1.0"))
_NOT_PLAIN = frozenset((b"expect", b"upgrade"))
"""Fields that want more than the quick way gives."""


class _Refusal(Exception):
    """Raised inside a callback of the parser, which stops then: the request is refused with this text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Before:
    """Stands where uvicorn looks for the request before: one that the quick handler has not answered yet."""

    def __init__(self) -> None:
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True
        self.message_event: Any = asyncio.Event()
