"""The server's end of NETCONF over SSH (RFC 6242) by asyncssh: listening, and calling home (RFC 8071).

Rule of this file: a connection may open the subsystem `netconf` and nothing else: no shell, no command, no
forwarding. Algorithms are asyncssh's defaults, whose key exchange begins with hybrids of a classical and a
post-quantum method. No file of a user's SSH set-up is read.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import asyncssh

from keyweave_core.errors import Exhausted, PeerUnreachable, SettingsError
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ssh.channel import SUBSYSTEM, Key, SshTransport, private_key, public_key, ssh_peer
from keyweave_core.netconf.ssh.passwords import password_fits
from keyweave_core.netconf.transport import Peer, Receiver, SessionOpener, Transport
from keyweave_core.runtime.log import Logger


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

    def __init__(self, listener: "SshService") -> None:
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

    async def validate_password(self, username: str, password: str) -> bool:
        return await self._listener.password_is(username, password)

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


class SshService:
    """Serves NETCONF sessions of `opener` over SSH connections, whoever dialled.

    `authorized_keys` and `passwords` (hashes of `passwords.hash_password`) are what a user may log in with,
    `groups` their groups; nothing is denied to those of `recovery`.
    """

    def __init__(
        self,
        opener: SessionOpener,
        *,
        host_keys: Sequence[Key],
        authorized_keys: Mapping[str, Sequence[Key]],
        passwords: Mapping[str, str],
        groups: Mapping[str, frozenset[str]],
        recovery: frozenset[str],
        limits: NetconfLimits,
        log: Logger,
    ) -> None:
        """Raises SettingsError for a key that cannot be used, or when there is no host key."""
        if not host_keys:
            raise SettingsError("an SSH server wants a host key")
        self.opener = opener
        self.public_keys = {
            user: frozenset(public_key(key).public_data for key in keys)
            for user, keys in authorized_keys.items()
        }
        self.passwords = passwords
        self.groups = groups
        self.recovery = recovery
        self._limits = limits
        self._log = log
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: dict[_Connection, asyncssh.SSHServerConnection] = {}
        self._hosts: Counter[str] = Counter()
        self._stopped = False
        self._options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: _Connection(self),
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

    async def listen(self, host: str, port: int) -> int:
        """Listen and return the port. Raises PeerUnreachable when the address cannot be had."""
        try:
            self._acceptor = await asyncssh.listen(host, port, options=self._options)
        except OSError as error:
            raise PeerUnreachable(f"cannot listen on {host}:{port}: {error}") from error
        return self._acceptor.get_port()

    async def call(self, host: str, port: int) -> None:
        """Dial a client that waits for calls, and serve it to the end of the connection.

        Raises OSError or asyncssh.Error when no connection comes about.
        """
        connection = await asyncssh.connect_reverse(host, port, options=self._options)
        try:
            await connection.wait_closed()
        finally:
            connection.abort()

    async def password_is(self, username: str, password: str) -> bool:
        """Compare with the hash of the user's password; a user without one has none that fits."""
        stored = self.passwords.get(username)
        # Hashing takes milliseconds and releases the interpreter: other sessions go on.
        return stored is not None and await asyncio.to_thread(password_fits, stored, password)

    def may_open(self) -> bool:
        """True while the service lives; the server counts its sessions itself."""
        return not self._stopped

    def connected(self, connection: _Connection, ssh: asyncssh.SSHServerConnection) -> None:
        """Count a new connection, closing it again beyond the bounds."""
        host = connection.source_host
        self._connections[connection] = ssh
        self._hosts[host] += 1
        if (
            self._stopped
            or len(self._connections) > self._limits.max_connections
            or self._hosts[host] > self._limits.max_connections_per_host
        ):
            self._log.warning("ssh connection refused", peer=host, reason="too many")
            ssh.abort()

    def disconnected(self, connection: _Connection) -> None:
        """Forget a connection."""
        if self._connections.pop(connection, None) is not None:
            self._hosts[connection.source_host] -= 1
            if not self._hosts[connection.source_host]:
                del self._hosts[connection.source_host]

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
