"""The client's end of NETCONF over TLS (RFC 7589): dialling, and answering a call (RFC 8071).

Rule of this file: the server's chain is verified by the context, and one of the names in its certificate
must be the one expected; there is no way around either.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from keyweave_core.errors import PeerUnreachable
from keyweave_core.netconf.accepting import connected_socket, keep_alive
from keyweave_core.netconf.deadline import within
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.tls.channel import TlsChannel, TlsTransport, session_facts
from keyweave_core.netconf.transport import Peer, Receiver
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.tls import PeerNames, peer_names


class TlsConnection:
    """Our TLS connection to a server."""

    def __init__(self, connection: asyncio.Transport, channel: TlsChannel, transport: TlsTransport) -> None:
        self._connection = connection
        self._channel = channel
        self.transport = transport

    async def close(self) -> None:
        """Close and wait until it is gone."""
        self._connection.close()
        await asyncio.shield(self._channel.closed)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._connection.abort()


async def dial_tls(
    host: str,
    port: int,
    *,
    context: ssl.SSLContext,
    expected_name: str,
    receiver: Callable[[], Receiver],
    limits: NetconfLimits,
    clock: Clock,
) -> TlsConnection:
    """Connect within `limits.connect_timeout_s`; `context` must not check host names itself.

    Raises PeerUnreachable (no answer, handshake refused, another name in the certificate), DeadlineExceeded.
    """
    where = f"{host}:{port}"

    async def attempt() -> TlsConnection:
        connection = await connected_socket(host, port)
        return await shake_hands(
            connection, host, context=context, known={expected_name}, receiver=receiver, limits=limits
        )

    try:
        return await within(clock, attempt(), limits.connect_timeout_s, f"no session with {where}")
    except OSError as error:  # ssl.SSLError is one
        raise PeerUnreachable(f"{where}: {str(error) or type(error).__name__}") from error


async def shake_hands(
    connection: socket.socket,
    host: str,
    *,
    context: ssl.SSLContext,
    known: set[str],
    receiver: Callable[[], Receiver],
    limits: NetconfLimits,
) -> TlsConnection:
    """Be the TLS client on a connected socket, whoever dialled; the socket is closed when it fails.

    `known` are the names of which the server's certificate must carry one (`transport.peer.username` then
    tells which). Raises OSError, or PeerUnreachable for an unknown name.
    """
    keep_alive(connection, limits.keepalive_s, limits.keepalive_misses)
    transports: list[TlsTransport] = []

    def begin(transport: TlsTransport) -> Receiver:
        transports.append(transport)
        return receiver()

    def who(tls: ssl.SSLObject) -> Peer | None:
        name = next((name for name in all_names(peer_names(tls)) if name in known), None)
        if name is None:
            return None
        key_exchange, cipher = session_facts(tls)
        return Peer(
            username=name,
            source_host=host,
            transport="netconf-tls",
            key_exchange=key_exchange,
            cipher=cipher,
        )

    channel = TlsChannel(who, begin)  # held here: uvloop returns a protocol of its own
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: channel,
            sock=connection,
            ssl=context,
            server_hostname="",
            ssl_handshake_timeout=limits.login_timeout_s,
        )
    except BaseException:
        with contextlib.suppress(OSError):
            connection.close()
        raise
    if not transports:
        transport.abort()
        raise PeerUnreachable(f"{host}: its certificate carries none of the names expected")
    return TlsConnection(transport, channel, transports[0])


def all_names(names: PeerNames) -> tuple[str, ...]:
    """Every name in a certificate: URIs, DNS names, common names."""
    return names.uris + names.dns + names.common_names
