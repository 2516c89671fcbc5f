"""The client's end of NETCONF over SSH (RFC 6242) by asyncssh: dialling, and answering a call (RFC 8071).

Rule of this file: only the host key given is trusted, and only the credentials given are offered; no file of
a user's SSH set-up and no agent is asked. Algorithms are asyncssh's defaults, post-quantum hybrids first.
"""

from collections.abc import Callable, Iterable

import asyncssh

from keyweave_core.errors import PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ssh.channel import SUBSYSTEM, Key, SshTransport, private_key, public_key, ssh_peer
from keyweave_core.netconf.transport import Receiver, Transport
from keyweave_core.runtime.clock import Clock


class _ClientChannel(asyncssh.SSHClientSession[bytes]):
    """Hands what a channel brings to a receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is None:
            self._receiver.data_received(data)

    def eof_received(self) -> bool:
        self._receiver.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.connection_lost(exc)

    def pause_writing(self) -> None:
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        self._receiver.resume_writing()


class SshConnection:
    """Our connection to a server, with its one channel."""

    def __init__(self, ssh: asyncssh.SSHClientConnection, transport: Transport) -> None:
        self._ssh = ssh
        self.transport = transport

    async def close(self) -> None:
        """Close channel and connection and wait for both."""
        self.transport.close()
        self._ssh.close()
        await self._ssh.wait_closed()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._ssh.abort()


async def dial(
    host: str,
    port: int,
    *,
    username: str,
    key: Key | None,
    password: str | None,
    host_key: Key,
    receiver: Callable[[], Receiver],
    limits: NetconfLimits,
    clock: Clock,
) -> SshConnection:
    """Connect, log in and open the subsystem within `limits.connect_timeout_s`.

    Raises PeerUnreachable (no answer, another host key, login refused, no such subsystem), DeadlineExceeded,
    SettingsError (a key that is none).
    """
    options = client_options(username, key=key, password=password, host_keys=[host_key], limits=limits)

    async def attempt() -> SshConnection:
        ssh = await asyncssh.connect(host, port, options=options)
        return await open_channel(ssh, username, host, receiver)

    where = f"{username}@{host}:{port}"
    try:
        return await within(clock, attempt(), limits.connect_timeout_s, f"no session with {where}")
    except (OSError, asyncssh.Error) as error:
        raise PeerUnreachable(f"{where}: {str(error) or type(error).__name__}") from error


def client_options(
    username: str,
    *,
    key: Key | None,
    password: str | None,
    host_keys: Iterable[Key],
    limits: NetconfLimits,
) -> asyncssh.SSHClientConnectionOptions:
    """How we log in, and which host keys we trust. SettingsError for a key that is none."""
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        username=username,
        client_keys=[private_key(key)] if key is not None else None,
        password=password,
        known_hosts=([public_key(trusted) for trusted in host_keys], [], []),
        agent_path=None,
        gss_host=None,
        login_timeout=limits.login_timeout_s,
        keepalive_interval=limits.keepalive_s,
        keepalive_count_max=limits.keepalive_misses,
    )


async def open_channel(
    ssh: asyncssh.SSHClientConnection, username: str, host: str, receiver: Callable[[], Receiver]
) -> SshConnection:
    """Open the subsystem on a connection that has logged in; the connection is dropped when it fails."""
    try:
        channel, _ = await ssh.create_session(
            lambda: _ClientChannel(receiver()), subsystem=SUBSYSTEM, encoding=None
        )
    except BaseException:
        ssh.abort()
        raise
    return SshConnection(ssh, SshTransport(channel, ssh_peer(ssh, username, host), ssh.abort))
