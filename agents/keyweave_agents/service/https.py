"""HTTP/1.1 over mutual TLS inside a running loop: uvicorn's parser and cycle, our limits around them.

uvicorn's own `Server` owns the process (signals, exits, logging set-up); here only its protocol is used.
What this file adds to it, all bounded by settings:

    the peer's verified certificate   read once a connection, in `scope["state"]["connection"]`
    a client that sends slowly        `receive_s` from the first byte of a request to its last
    a client that reads slowly        `send_s` while the write buffer is full
    a head without end                `max_head_bytes`, then 431
    too many connections              `max_connections`, then the newest is closed
    a client that went away           `Connection.while_waiting` ends the work that nobody waits for

Rule of this file: it knows nothing of keys; any ASGI application can stand on it, which is how the
benchmarks measure what the key delivery itself costs.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import msgspec
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger, get_logger
from keyweave_core.runtime.tls import PeerNames, names_of, server_context


class ClientGone(Exception):
    """The client closed its connection while its request was in work; there is nobody to answer."""


class Connection:
    """One client connection as the application sees it; `note` is the application's own to keep."""

    __slots__ = ("_gone", "_waiting", "names", "note")

    def __init__(self, names: PeerNames) -> None:
        self.names = names
        self.note: Any = None
        self._gone = False
        self._waiting: asyncio.Task[Any] | None = None

    def lost(self) -> None:
        """The transport is closed: end what waits inside `while_waiting`."""
        self._gone = True
        if self._waiting is not None:
            self._waiting.cancel()

    @contextlib.contextmanager
    def while_waiting(self) -> Iterator[None]:
        """Work inside is cancelled when the client goes away, and ClientGone comes out."""
        if self._gone:
            raise ClientGone
        self._waiting = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if self._gone:
                raise ClientGone from None
            raise
        finally:
            self._waiting = None


class _Limits:
    """What the protocols of one server share."""

    def __init__(self, settings: ServiceSettings, clock: Clock, log: Logger) -> None:
        self.settings = settings
        self.clock = clock
        self.log = log
        self.state = ServerState()
        self._second = -1

    def refresh_date(self) -> None:
        """Keep the `Date` header of every answer within the second (RFC 9110 section 6.6.1)."""
        now = self.clock.now()
        if int(now) != self._second:
            self._second = int(now)
            date = formatdate(now, usegmt=True).encode()
            self.state.default_headers = [(b"date", date), (b"cache-control", b"no-store")]


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the limits of the file head."""

    def __init__(self, config: Config, limits: _Limits) -> None:
        super().__init__(config, limits.state, {})
        self._limits = limits
        self._head_bytes = 0
        self._in_head = True
        self._receive_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        connection = Connection(names_of(transport.get_extra_info("peercert")))
        self.app_state = {"connection": connection}
        self._connection = connection
        if len(self.connections) > self._limits.settings.max_connections:
            self._limits.log.warning("connection_refused", reason="max_connections", peer=self.client)
            transport.close()
            return
        self._arm_receive()

    @property
    def _in_work(self) -> bool:
        cycle: RequestResponseCycle | None = (
            self.cycle
        )  # None before the first request, whatever uvicorn says
        return cycle is not None and not cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm_receive()
        self.resume_writing_timer()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._connection.lost()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._in_work:
            self._arm_receive()
        if self._in_head:
            self._head_bytes += len(data)
        self._limits.refresh_date()
        super().data_received(data)
        if self._in_head and self._head_bytes > self._limits.settings.max_head_bytes:
            self._refuse(431, "the head of the request is too large")

    def on_message_begin(self) -> None:
        self._in_head = True
        self._arm_receive()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._disarm_receive()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "malformed HTTP request" if msg.startswith("Invalid HTTP") else msg)

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade is an offer (RFC 9110 section 7.8): it is not taken, and the request is answered."""

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self._limits.settings.send_s, self._too_slow, "send_s")

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resume_writing_timer()

    def resume_writing_timer(self) -> None:
        """Forget the bound of a full write buffer: it has drained, or the connection is gone."""
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _arm_receive(self) -> None:
        if self._receive_timer is None:
            wait_s = self._limits.settings.receive_s
            self._receive_timer = self.loop.call_later(wait_s, self._too_slow, "receive_s")

    def _disarm_receive(self) -> None:
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

    def _too_slow(self, limit: str) -> None:
        self._limits.log.info("client_too_slow", limit=limit, peer=self.client)
        self.transport.abort()

    def _refuse(self, status: int, message: str) -> None:
        """Answer outside of any request of the application, and close."""
        if self.transport.is_closing():
            return
        body = msgspec.json.encode({"message": message})
        head = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            head += [name, b": ", value, b"\r\n"]
        head.append(
            b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        )
        self.transport.write(b"".join(head) + body)
        self.transport.close()


class HttpsServer:
    """One listening socket for one ASGI application, over mutual TLS."""

    def __init__(self, app: ASGI3Application, settings: ServiceSettings, clock: Clock) -> None:
        self._app = app
        self._settings = settings
        self._log = get_logger("service")
        self._limits = _Limits(settings, clock, self._log)
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; the port is returned. Raises SettingsError: TLS files, or the address cannot be had."""
        settings = self._settings
        context: ssl.SSLContext = server_context(settings.tls)
        config = Config(
            self._app,
            http=HttpToolsProtocol,
            ws=None,  # type: ignore[arg-type]  # uvicorn takes None for no WebSockets, its annotation does not
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]  # only handed to call_later
        )
        config.load()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: LimitedProtocol(config, self._limits),
                settings.listen_host,
                settings.listen_port,
                ssl=context,
                ssl_handshake_timeout=settings.handshake_s,
                ssl_shutdown_timeout=1.0,
                backlog=256,
            )
        except OSError as error:
            raise SettingsError(
                f"[service] cannot listen on {settings.listen_host}:{settings.listen_port}: {error.strerror}"
            ) from error
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening, let running requests end within `close_s`, then end them. Idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        state = self._limits.state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=self._settings.close_s)
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=self._settings.close_s)
        for connection in list(state.connections):
            connection.transport.abort()
        for _ in range(100):
            if not state.connections:
                break
            await asyncio.sleep(0.01)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), self._settings.close_s)
