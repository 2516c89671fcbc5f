"""The ways into a NETCONF server as its settings describe them: read the files, then open.

Rule of this file: every file is read before anything is opened, and `check-config` reads the same way; each
complaint names the file and the key of the settings.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyweave_core.errors import SettingsError
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.settings import NetconfSettings, NetconfUser
from keyweave_core.netconf.ssh.channel import Key, private_key, public_key
from keyweave_core.netconf.tls.names import NameMap, authorities_of
from keyweave_core.runtime.retry import Uniform
from keyweave_core.runtime.tls import server_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where an open server is to be reached; None: not there."""

    ssh: int | None
    tls: int | None


class Entrances:
    """What the settings name, read and found usable. Made by `read_entrances`."""

    def __init__(
        self,
        settings: NetconfSettings,
        host_key: Key,
        authorized_keys: Mapping[str, list[Key]],
        tls: tuple[ssl.SSLContext, NameMap] | None,
    ) -> None:
        self._settings = settings
        self._host_key = host_key
        self._authorized_keys = authorized_keys
        self._tls = tls

    async def open(self, server: NetconfServer, uniform: Uniform) -> Ports:
        """Listen and begin to call home. Raises PeerUnreachable when an address cannot be had."""
        settings = self._settings
        over_ssh = server.ssh(
            [self._host_key],
            self._authorized_keys,
            passwords={user.name: user.password_hash for user in settings.users if user.password_hash},
            groups=settings.groups,
            recovery=settings.recovery,
        )
        ssh_port = (
            await over_ssh.listen(settings.listen_host, settings.listen_port) if settings.listen else None
        )
        tls_port, over_tls = None, None
        if self._tls is not None and settings.tls is not None:
            over_tls = server.tls(*self._tls, settings.groups, recovery=settings.recovery)
            if settings.tls.listen:
                tls_port = await over_tls.listen(settings.tls.listen_host, settings.tls.listen_port)
        for call in settings.call_home:
            service = over_tls if call.transport == "tls" and over_tls is not None else over_ssh
            server.call_home(
                service, call.host, call.number, backoff=settings.call_home_backoff, uniform=uniform
            )
        return Ports(ssh=ssh_port, tls=tls_port)


def read_entrances(settings: NetconfSettings, where: str = "netconf") -> Entrances:
    """Read every file that the settings name; SettingsError for the first that fails. `where`: the table."""
    path = settings.host_key
    try:
        host_key: Key = private_key(_read(path, f"{where}.host_key"))
    except SettingsError as error:
        raise _of_file(path, error) from error
    users = {user.name: _keys_of(user, where) for user in settings.users}
    tls = None
    if settings.tls is not None:
        files = settings.tls.files
        context = server_context(files)
        tls = context, NameMap(settings.tls.cert_to_name, authorities_of(files.ca.read_bytes()))
    return Entrances(settings, host_key, users, tls)


def _keys_of(user: NetconfUser, where: str) -> list[Key]:
    """The public keys of a user: the lines of the file that are neither empty nor comment."""
    path = user.authorized_keys
    if path is None:
        return []
    lines = [line.strip() for line in _read(path, f"{where}.users {user.name}").splitlines()]
    try:
        keys: list[Key] = [public_key(line) for line in lines if line and not line.startswith("#")]
    except SettingsError as error:
        raise _of_file(path, error) from error
    if not keys:
        raise SettingsError(f"{path}: no key for user {user.name}")
    return keys


def _of_file(path: Path, error: SettingsError) -> SettingsError:
    return error if str(path) in str(error) else SettingsError(f"{path}: {error}")


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot read ({what}): {error}") from error
