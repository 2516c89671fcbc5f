"""The server's end of NETCONF over TLS (RFC 7589): listening, and calling home (RFC 8071).

Rule of this file: both ends show certificates. The client's is verified by the context, mapped to a user by
cert-to-name, and the user must be one that the operator named; everybody else is turned away after the
handshake without a byte of NETCONF.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping

from keyweave_core.errors import Exhausted
from keyweave_core.netconf.accepting import Acceptor, accept_on, connected_socket, keep_alive
from keyweave_core.netconf.deadline import within
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.tls.channel import TlsChannel, TlsTransport, session_facts
from keyweave_core.netconf.tls.names import NameMap
from keyweave_core.netconf.transport import Peer, Receiver, SessionOpener
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger


class TlsService:
    """Serves NETCONF sessions of `opener` over TLS connections, whoever dialled.

    `users` maps each user that may come in to its groups; nothing is denied to those of `recovery`.
    """

    def __init__(
        self,
        opener: SessionOpener,
        *,
        context: ssl.SSLContext,
        names: NameMap,
        users: Mapping[str, frozenset[str]],
        recovery: frozenset[str],
        limits: NetconfLimits,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._opener = opener
        self._context = context
        self._names = names
        self._users = users
        self._recovery = recovery
        self._limits = limits
        self._clock = clock
        self._log = log
        self._acceptor: Acceptor | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen and return the port. Raises PeerUnreachable when the address cannot be had."""
        self._acceptor = await accept_on(
            host,
            port,
            self._serve,
            most=self._limits.max_connections,
            most_per_host=self._limits.max_connections_per_host,
            log=self._log,
        )
        return self._acceptor.port

    async def call(self, host: str, port: int) -> None:
        """Dial a client that waits for calls, and serve it to the end of the connection.

        Raises OSError or DeadlineExceeded when no connection comes about.
        """
        connection = await within(
            self._clock, connected_socket(host, port), self._limits.connect_timeout_s, f"{host}:{port}"
        )
        await self._serve(connection, host)

    def stop(self) -> None:
        """Accept nothing new."""
        if self._acceptor is not None:
            self._acceptor.stop()

    async def wait_closed(self) -> None:
        """Drop what still stands and wait until it is gone."""
        if self._acceptor is not None:
            await self._acceptor.wait_closed()

    async def _serve(self, connection: socket.socket, host: str) -> None:
        keep_alive(connection, self._limits.keepalive_s, self._limits.keepalive_misses)
        # Held here: uvloop returns a protocol of its own.
        channel = TlsChannel(lambda tls: self._who(tls, host), self._open)
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: channel,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.login_timeout_s,
            )
        except (OSError, ssl.SSLError) as error:
            connection.close()
            self._log.warning("tls login refused", peer=host, reason=str(error) or type(error).__name__)
            return
        try:
            await channel.closed
        finally:
            transport.abort()

    def _who(self, tls: ssl.SSLObject, host: str) -> Peer | None:
        der = tls.getpeercert(binary_form=True)
        name = self._names.user_of(der) if der else None
        if name is None or name not in self._users:
            why = "no cert-to-name entry fits" if name is None else f"{name!r} is no user here"
            self._log.warning("tls login refused", peer=host, reason=why)
            return None
        key_exchange, cipher = session_facts(tls)
        return Peer(
            username=name,
            source_host=host,
            transport="netconf-tls",
            groups=self._users[name],
            recovery=name in self._recovery,
            key_exchange=key_exchange,
            cipher=cipher,
        )

    def _open(self, transport: TlsTransport) -> Receiver | None:
        try:
            return self._opener.open_session(transport)
        except Exhausted as reason:
            self._log.warning("session refused", peer=transport.peer.source_host, reason=str(reason))
            return None
