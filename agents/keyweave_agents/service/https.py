"""HTTP/1.1 over mutual TLS inside a running loop, for any ASGI application.

uvicorn's own `Server` owns the process (signals, exits, logging set-up); here only its protocol is used. What
this room adds, all bounded by settings: limits of a connection in `http_protocol`, of those that come in in
`entrance`, and here of all together: above `max_connections` the longest idle one of whoever holds most makes
room (`connections.who_goes`); when none is idle the newest is closed. Idle ones end after `keep_alive_s`.

Rule of this file: it knows nothing of keys; any ASGI application can stand on it, which is how the
benchmarks measure what the key delivery itself costs.
"""

import asyncio
import socket
import ssl

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keyweave_agents.service.connections import ClientGone, Connection, Place, who_goes
from keyweave_agents.service.entrance import Entrance, room_for
from keyweave_agents.service.exchange import Exchange, QuickHandler, Shared
from keyweave_agents.service.http_protocol import LimitedProtocol
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import server_context

__all__ = ["ClientGone", "Connection", "Exchange", "HttpsServer", "QuickHandler"]

_BACKLOG = 1024


class HttpsServer:
    """One listening socket for one ASGI application, over mutual TLS.

    `quick`, when there is one, is asked first (see `http_protocol`).
    """

    def __init__(
        self,
        app: ASGI3Application,
        settings: ServiceSettings,
        clock: Clock,
        quick: QuickHandler | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._clock = clock
        self._log = get_logger("service")
        self._shared = Shared(settings, clock, self._log, quick)
        self._entrances: list[Entrance] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._most = settings.max_connections

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
        )
        config.load()
        listeners = await self._listen()
        self._most = room_for(settings, self._log)
        self._shared.make_room = self._make_room
        for listener in listeners:
            entrance = Entrance(
                listener, context, lambda: LimitedProtocol(config, self._shared), settings, self._log
            )
            entrance.open()
            self._entrances.append(entrance)
        self._sweep_later()
        port: int = listeners[0].getsockname()[1]
        return port

    async def _listen(self) -> list[socket.socket]:
        """A socket for each address of the host, all on one port."""
        host, port = self._settings.listen_host, self._settings.listen_port
        listeners: list[socket.socket] = []
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, kind, protocol, _, address in dict.fromkeys(found):
                listener = socket.socket(family, kind, protocol)
                listeners.append(listener)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address[0], port, *address[2:]))
                listener.listen(_BACKLOG)
                port = listener.getsockname()[1]
        except OSError as error:
            for listener in listeners:
                listener.close()
            raise SettingsError(
                f"[service] cannot listen on {host}:{port}: {error.strerror or error}"
            ) from error
        return listeners

    def _protocols(self) -> list[LimitedProtocol]:
        return [one for one in self._shared.state.connections if isinstance(one, LimitedProtocol)]

    def _make_room(self) -> bool:
        """Whether the newest connection may stay; idle ones go for it when there are too many."""
        above = len(self._shared.state.connections) - self._most
        if above <= 0:
            return True
        # Some more than needed: looking at all of them for each newcomer would be what a flood wants.
        protocols = [one for one in self._protocols() if not one.transport.is_closing()]
        above = len(protocols) - self._most
        if above <= 0:
            return True
        places = [Place(one.connection.names, one.idle_since_s if one.resting else None) for one in protocols]
        going = who_goes(places, above + self._most // 64)
        for position in going:
            protocols[position].transport.close()
        if going:
            self._log.info("connections_closed", reason="max_connections", count=len(going))
        return len(going) >= above

    def _sweep_later(self) -> None:
        every_s = min(1.0, self._settings.keep_alive_s / 2)
        self._sweep = asyncio.get_running_loop().call_later(every_s, self._close_idle)

    def _close_idle(self) -> None:
        oldest_s = self._clock.monotonic() - self._settings.keep_alive_s
        for protocol in self._protocols():
            if protocol.idle_since_s <= oldest_s and protocol.resting:
                protocol.transport.close()
        self._sweep_later()

    async def close(self) -> None:
        """Stop listening, let running requests end within `close_s`, then end them. Idempotent."""
        entrances, self._entrances = self._entrances, []
        if not entrances:
            return
        if self._sweep is not None:
            self._sweep.cancel()
        for entrance in entrances:
            await entrance.close()
        state = self._shared.state
        for connection in list(state.connections):
            connection.shutdown()
        for _ in range(max(1, round(self._settings.close_s * 100))):
            if not any(one.in_work for one in self._protocols()):
                break
            await asyncio.sleep(0.01)
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
