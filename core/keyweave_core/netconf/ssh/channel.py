"""What both ends of NETCONF over SSH (RFC 6242) share: keys, and a channel as a transport.

Rule of this file: with `over_ssh` (server) and `dial_ssh` (client) it is all that knows asyncssh.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import asyncssh

from keyweave_core.errors import SettingsError
from keyweave_core.netconf.transport import Transport

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


class SshTransport:
    """A `Transport` over one SSH channel; `abort_connection` drops what carries it."""

    def __init__(
        self,
        channel: "asyncssh.SSHServerChannel[bytes] | asyncssh.SSHClientChannel[bytes]",
        username: str,
        source_host: str,
        abort_connection: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._abort_connection = abort_connection
        self.username = username
        self.source_host = source_host

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
