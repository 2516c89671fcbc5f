"""A listening TCP socket that hands each connection, still raw, to a task of its own, within bounds.

Rule of this file: what counts is the connection, from the moment it is accepted to the end of its task: one
that never finishes its handshake counts like any other, and ends by the deadline of whoever handles it.
"""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from keyweave_core.errors import PeerUnreachable
from keyweave_core.runtime.log import Logger

Handler = Callable[[socket.socket, str], Awaitable[None]]
"""Serves one connection, given its socket (which it must close) and the address of the peer."""

_BACKLOG = 128
_PAUSE_S = 0.1


class Acceptor:
    """One listening socket; made by `accept_on`."""

    def __init__(
        self,
        listening: socket.socket,
        handle: Handler,
        *,
        most: int,
        most_per_host: int,
        log: Logger,
    ) -> None:
        self._listening = listening
        self._handle = handle
        self._most = most
        self._most_per_host = most_per_host
        self._log = log
        self._hosts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    @property
    def port(self) -> int:
        """The TCP port listened on."""
        return int(self._listening.getsockname()[1])

    def stop(self) -> None:
        """Accept nothing new; connections go on."""
        self._accepting.cancel()
        self._accepting.add_done_callback(lambda _: self._listening.close())

    async def wait_closed(self) -> None:
        """Cancel what still serves and wait until all is gone."""
        tasks = [self._accepting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError as error:
                # Out of descriptors, or a peer that was gone before it was accepted: the next one may do.
                self._log.warning("connection not accepted", reason=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            host = str(address[0])
            if len(self._tasks) >= self._most or self._hosts[host] >= self._most_per_host:
                self._log.warning("connection refused", peer=host, reason="too many")
                connection.close()
                continue
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._hosts[host] += 1
            task = loop.create_task(self._serve(connection, host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, host: str) -> None:
        try:
            await self._handle(connection, host)
        except Exception:  # noqa: BLE001 - the last fence: one connection's defect never stops the listener
            self._log.exception("connection failed", peer=host)
            connection.close()
        finally:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]


async def accept_on(
    host: str, port: int, handle: Handler, *, most: int, most_per_host: int, log: Logger
) -> Acceptor:
    """Listen on a TCP address (port 0: a free one). Raises PeerUnreachable when it cannot be had."""
    try:
        family, kind, protocol, _, address = await _resolved(host, port, passive=True)
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise PeerUnreachable(f"cannot listen on {host}:{port}: {error}") from error
    return Acceptor(listening, handle, most=most, most_per_host=most_per_host, log=log)


async def connected_socket(host: str, port: int) -> socket.socket:
    """A connected TCP socket that does not block. Raises OSError; the caller bounds the time."""
    family, kind, protocol, _, address = await _resolved(host, port, passive=False)
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def keep_alive(connection: socket.socket, quiet_s: float, misses: int) -> None:
    """Let TCP ask a quiet peer for a sign of life; one that stays silent counts as gone."""
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(quiet_s)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(quiet_s)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, misses)


_Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


async def _resolved(host: str, port: int, *, passive: bool) -> _Address:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE if passive else 0
    )
    family, kind, protocol, name, address = found[0]
    return family, kind, protocol, name, address  # type: ignore[return-value] # TCP has no other forms
