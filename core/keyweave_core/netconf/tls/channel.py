"""A TLS connection as a transport of NETCONF (RFC 7589), for either end.

Rule of this file: with `listen` (server) and `dial` (client) it is all that knows TLS. Framing and hello are
as over SSH. TLS knows no half-closed connection here: the peer's end is the end of both directions.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from keyweave_core.netconf.transport import Peer, Receiver, Transport

# What is written at once is one TLS record, as far as it fits. ncclient reads 4096 bytes, then waits for the
# socket, and so never sees the rest of a larger record.
_RECORD = 4096

Begin = Callable[["TlsTransport"], Receiver | None]
"""Called once the handshake is done; None refuses the connection, which is then closed."""


class TlsTransport:
    """A `Transport` over one TLS connection."""

    def __init__(self, connection: asyncio.Transport, peer: Peer) -> None:
        self._connection = connection
        self.peer = peer

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), _RECORD):
            if self._connection.is_closing():
                return
            self._connection.write(data[start : start + _RECORD])

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._connection.abort()

    def pause_reading(self) -> None:
        self._connection.pause_reading()

    def resume_reading(self) -> None:
        if not self._connection.is_closing():
            self._connection.resume_reading()


class TlsChannel(asyncio.Protocol):
    """Hands what a TLS connection brings to the receiver that `begin` gives."""

    def __init__(self, who: Callable[[ssl.SSLObject], Peer | None], begin: Begin) -> None:
        self._who = who
        self._begin = begin
        self._receiver: Receiver | None = None
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast("asyncio.Transport", transport)
        peer = self._who(connection.get_extra_info("ssl_object"))
        if peer is not None:
            self._receiver = self._begin(TlsTransport(connection, peer))
        if self._receiver is None:
            connection.close()

    def data_received(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.data_received(data)

    def eof_received(self) -> bool:
        if self._receiver is not None:
            self._receiver.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._receiver is not None:
            self._receiver.connection_lost(exc)
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.pause_writing()

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.resume_writing()


def session_facts(tls: ssl.SSLObject) -> tuple[str, str]:
    """Key exchange and cipher of a finished handshake, '' where Python cannot tell.

    TLS 1.3 names no key exchange in its cipher suites; which group was used is told from Python 3.15 on.
    """
    group = getattr(tls, "group", None)
    cipher = tls.cipher()
    return str(group() or "") if callable(group) else "", cipher[0] if cipher else ""


if TYPE_CHECKING:

    def _is_transport(transport: TlsTransport) -> Transport:
        return transport
