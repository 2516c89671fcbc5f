"""The listening end of NETCONF over SSH (RFC 6242) by asyncssh.

Rule of this file: a connection may open the subsystem `netconf` and nothing else: no shell, no command, no
forwarding. Algorithms are asyncssh's defaults, whose key exchange begins with hybrids of a classical and a
post-quantum method. No file of a user's SSH set-up is read.
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from typing import Protocol

import asyncssh

from keyweave_core.errors import Exhausted, PeerUnreachable, SettingsError
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ssh.channel import SUBSYSTEM, Key, SshTransport, private_key, public_key, ssh_peer
from keyweave_core.netconf.transport import Peer, Receiver, Transport
from keyweave_core.runtime.log import Logger


class SessionOpener(Protocol):
    """What a listener asks of the server."""

    def open_session(self, transport: Transport) -> Receiver:
        """Begin a session; raises Exhausted when there are too many."""
        ...


class _ServerChannel(asyncssh.SSHServerSession[bytes]):
    """One channel of a client; becomes a NETCONF session when it asks for the subsystem."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._receiver: Receiver | None = None

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == SUBSYSTEM and self._connection.may_open()

    def session_started(self) -> None:
        assert self._channel is not None  # noqa: S101 - asyncssh calls connection_made first
        connection = self._connection
        transport = SshTransport(self._channel, connection.peer(), connection.abort_if_alone)
        try:
            self._receiver = self._connection.open(transport)
        except Exhausted:
            transport.close()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self._receiver is not None and datatype is None:
            self._receiver.data_received(data)

    def eof_received(self) -> bool:
        if self._receiver is not None:
            self._receiver.eof_received()
        return self._receiver is not None  # stay open for the replies still due

    def connection_lost(self, exc: Exception | None) -> None:
        if self._receiver is not None:
            self._receiver.connection_lost(exc)
        self._connection.closed_one()

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.pause_writing()

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.resume_writing()


class _Connection(asyncssh.SSHServer):
    """One SSH connection of a client: authentication, and channels for sessions."""

    def __init__(self, listener: "SshListener") -> None:
        self._listener = listener
        self._connection: asyncssh.SSHServerConnection | None = None
        self._open = 0
        self.username = ""
        self.source_host = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        peer = conn.get_extra_info("peername")
        self.source_host = str(peer[0]) if peer else ""
        self._listener.connected(self, conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncssh's signature
        self._listener.disconnected(self)

    def begin_auth(self, username: str) -> bool:
        self.username = username
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data in self._listener.public_keys.get(username, ())

    def password_auth_supported(self) -> bool:
        return bool(self._listener.passwords)

    def validate_password(self, username: str, password: str) -> bool:
        return self._listener.password_is(username, password)

    def session_requested(
        self,
    ) -> "tuple[asyncssh.SSHServerChannel[bytes], asyncssh.SSHServerSession[bytes]]":
        assert self._connection is not None  # noqa: S101 - asyncssh calls connection_made first
        if not self.may_open():
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, "as many NETCONF sessions as allowed are open"
            )
        return self._connection.create_server_channel(encoding=None), _ServerChannel(self)

    def may_open(self) -> bool:
        return self._listener.may_open()

    def peer(self) -> Peer:
        assert self._connection is not None  # noqa: S101 - asyncssh calls connection_made first
        return ssh_peer(
            self._connection,
            self.username,
            self.source_host,
            groups=self._listener.groups.get(self.username, frozenset()),
            recovery=self.username in self._listener.recovery,
        )

    def open(self, transport: Transport) -> Receiver:
        receiver = self._listener.opener.open_session(transport)
        self._open += 1
        return receiver

    def abort_if_alone(self) -> None:
        """Drop the connection at once, unless another session lives on it."""
        if self._open <= 1 and self._connection is not None:
            self._connection.abort()

    def closed_one(self) -> None:
        """A channel is gone; a connection without sessions serves nothing."""
        self._open -= 1
        if self._open <= 0 and self._connection is not None:
            self._connection.close()


class SshListener:
    """A listening socket and the connections that came of it."""

    def __init__(
        self,
        opener: SessionOpener,
        *,
        public_keys: Mapping[str, frozenset[bytes]],
        passwords: Mapping[str, str],
        groups: Mapping[str, frozenset[str]],
        recovery: frozenset[str],
        limits: NetconfLimits,
        log: Logger,
    ) -> None:
        self.opener = opener
        self.public_keys = public_keys
        self.passwords = passwords
        self.groups = groups
        self.recovery = recovery
        self._limits = limits
        self._log = log
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: dict[_Connection, asyncssh.SSHServerConnection] = {}
        self._stopped = False

    @property
    def port(self) -> int:
        """The TCP port listened on."""
        return self._acceptor.get_port() if self._acceptor is not None else 0

    def listens(self, acceptor: asyncssh.SSHAcceptor) -> None:
        """The socket is there."""
        self._acceptor = acceptor

    def password_is(self, username: str, password: str) -> bool:
        """Compare in constant time; a user without password has none that fits."""
        expected = self.passwords.get(username)
        given = password.encode()
        return hmac.compare_digest((expected or "").encode(), given) and expected is not None

    def may_open(self) -> bool:
        """True while the listener lives; the server counts its sessions itself."""
        return not self._stopped

    def connected(self, connection: _Connection, ssh: asyncssh.SSHServerConnection) -> None:
        """Count a new connection, closing it again beyond the bound."""
        self._connections[connection] = ssh
        if len(self._connections) > self._limits.max_connections or self._stopped:
            self._log.warning("ssh connection refused", peer=connection.source_host, reason="too many")
            ssh.abort()

    def disconnected(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)

    def stop(self) -> None:
        """Accept nothing new."""
        self._stopped = True
        if self._acceptor is not None:
            self._acceptor.close()

    async def wait_closed(self) -> None:
        """Close all connections and wait until socket and connections are gone."""
        open_now = list(self._connections.values())
        for ssh in open_now:
            ssh.abort()
        await asyncio.gather(*(ssh.wait_closed() for ssh in open_now), return_exceptions=True)
        if self._acceptor is not None:
            await self._acceptor.wait_closed()


async def listen(
    opener: SessionOpener,
    host: str,
    port: int,
    *,
    host_keys: Sequence[Key],
    authorized_keys: Mapping[str, Sequence[Key]],
    passwords: Mapping[str, str],
    groups: Mapping[str, frozenset[str]],
    recovery: frozenset[str],
    limits: NetconfLimits,
    log: Logger,
) -> SshListener:
    """Serve sessions of `opener` on a TCP address; errors as `NetconfServer.start_ssh`."""
    if not host_keys:
        raise SettingsError("an SSH server wants a host key")
    listener = SshListener(
        opener,
        public_keys={
            user: frozenset(public_key(key).public_data for key in keys)
            for user, keys in authorized_keys.items()
        },
        passwords=passwords,
        groups=groups,
        recovery=recovery,
        limits=limits,
        log=log,
    )
    try:
        acceptor = await asyncssh.create_server(
            lambda: _Connection(listener),
            host,
            port,
            config=None,
            server_host_keys=[private_key(key) for key in host_keys],
            gss_host=None,
            kbdint_auth=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            login_timeout=limits.login_timeout_s,
            keepalive_interval=limits.keepalive_s,
            keepalive_count_max=limits.keepalive_misses,
        )
    except OSError as error:
        raise PeerUnreachable(f"cannot listen on {host}:{port}: {error}") from error
    listener.listens(acceptor)
    return listener
