"""What both ends of NETCONF over SSH (RFC 6242) share: keys, and a channel as a transport.

Rule of this file: with `listen` (server) and `dial` (client) it is all that knows asyncssh.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import asyncssh

from keyweave_core.errors import SettingsError
from keyweave_core.netconf.transport import Peer, Transport

SUBSYSTEM = "netconf"

Key = asyncssh.SSHKey | str
"""A key of asyncssh, or its text (OpenSSH form; PEM too for private keys)."""


def private_key(key: Key) -> asyncssh.SSHKey:
    """A private key; SettingsError when its text is none (the text is not repeated)."""
    if isinstance(key, asyncssh.SSHKey):
        return key
    try:
        return asyncssh.import_private_key(key)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise SettingsError(f"not an SSH private key: {error}") from error


def public_key(key: Key) -> asyncssh.SSHKey:
    """A public key, of a private one too; SettingsError when its text is none."""
    if isinstance(key, asyncssh.SSHKey):
        return key.convert_to_public()
    try:
        return asyncssh.import_public_key(key)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise SettingsError(f"not an SSH public key: {key[:80]!r}: {error}") from error


def ssh_peer(
    connection: "asyncssh.SSHServerConnection | asyncssh.SSHClientConnection",
    username: str,
    source_host: str,
    *,
    groups: frozenset[str] = frozenset(),
    recovery: bool = False,
) -> Peer:
    """What a connection that has come through key exchange and login says of its other end."""
    return Peer(
        username=username,
        source_host=source_host,
        groups=groups,
        recovery=recovery,
        key_exchange=key_exchange_of(connection),
        cipher=str(connection.get_extra_info("send_cipher") or ""),
    )


def key_exchange_of(connection: object) -> str:
    """The key exchange method that a connection negotiated, '' when it cannot be told.

    asyncssh does not publish it, but keeps the KEXINIT packets of both sides: the method is the first of the
    client's list that the server has too (RFC 4253 clause 7.1).
    """
    offered = _methods(getattr(connection, "_client_kexinit", b""))
    served = set(_methods(getattr(connection, "_server_kexinit", b"")))
    return next((name for name in offered if name in served and not name.startswith(_MARKERS)), "")


_MARKERS = ("ext-info-", "kex-strict-")  # names in the list that are signals, not methods
_NAMES_AT = 17  # after the message number and the cookie


def _methods(packet: bytes) -> list[str]:
    length = int.from_bytes(packet[_NAMES_AT : _NAMES_AT + 4], "big")
    names = packet[_NAMES_AT + 4 : _NAMES_AT + 4 + length]
    return names.decode("ascii", "replace").split(",") if names else []


class SshTransport:
    """A `Transport` over one SSH channel; `abort_connection` drops what carries it."""

    def __init__(
        self,
        channel: "asyncssh.SSHServerChannel[bytes] | asyncssh.SSHClientChannel[bytes]",
        peer: Peer,
        abort_connection: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._abort_connection = abort_connection
        self.peer = peer

    def write(self, data: bytes) -> None:
        if not self._channel.is_closing():
            self._channel.write(data)

    def close(self) -> None:
        if isinstance(self._channel, asyncssh.SSHServerChannel):
            self._channel.exit(0)
        else:
            self._channel.close()

    def abort(self) -> None:
        # To close a channel alone takes a peer that still reads.
        self._channel.abort()
        self._abort_connection()

    def pause_reading(self) -> None:
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        self._channel.resume_reading()


if TYPE_CHECKING:

    def _is_transport(channel: SshTransport) -> Transport:
        return channel
