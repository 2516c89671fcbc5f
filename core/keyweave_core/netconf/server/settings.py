"""Settings of a NETCONF server: the table `[netconf]` of an agent and of the controller.

Rule of this file: bounds are checked where the value is made; files are named here and read in `entrances`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ssh.passwords import is_hash
from keyweave_core.netconf.tls.names import CertToName
from keyweave_core.runtime.retry import Backoff
from keyweave_core.runtime.tls import TlsSettings

_CALL_HOME_PORTS = {"ssh": 4334, "tls": 4335}  # RFC 8071 clause 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NetconfUser:
    """`[[netconf.users]]`: one user, and how they prove themselves.

    `authorized_keys` is a file in the form of OpenSSH, `password_hash` what `keyweave password` prints;
    a user with neither can only come over TLS. `groups` are what access control (RFC 8341) knows the user by;
    nothing is denied to a user with `recovery`.
    """

    name: str
    authorized_keys: Path | None = None
    password_hash: str = ""
    groups: tuple[str, ...] = ("operator",)
    recovery: bool = False

    def __post_init__(self) -> None:
        for what, text in (("user name", self.name), *(("group", group) for group in self.groups)):
            if not 1 <= len(text) <= 64 or not text.isprintable() or " " in text:
                raise ValueError(f"{what} {text[:60]!r}: want 1..64 printable characters, no space")
        if self.password_hash and not is_hash(self.password_hash):
            raise ValueError(f"user {self.name}: password_hash is not what `keyweave password` prints")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetconfTls:
    """`[netconf.tls]`: NETCONF over TLS (RFC 7589). Clients show certificates of `ca`.

    `cert_to_name` maps them to names of users (RFC 7407), tried in order; without entries the common name
    is the user. `listen` false: no port, TLS is for calling home alone.
    """

    certificate: Path
    private_key: Path
    ca: Path
    listen: bool = True
    listen_host: str = "127.0.0.1"
    listen_port: int = 6513
    minimum_version: Literal["1.2", "1.3"] = "1.3"
    cert_to_name: tuple[CertToName, ...] = ()

    def __post_init__(self) -> None:
        _check_port("tls.listen_port", self.listen_port)

    @property
    def files(self) -> TlsSettings:
        """The certificates, as contexts are made of them."""
        return TlsSettings(
            certificate=self.certificate,
            private_key=self.private_key,
            ca=self.ca,
            minimum_version=self.minimum_version,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHome:
    """`[[netconf.call_home]]`: a client that waits for our call (RFC 8071).

    `port` 0 is the registered one: 4334 over SSH, 4335 over TLS.
    """

    host: str
    port: int = 0
    transport: Literal["ssh", "tls"] = "ssh"

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("call_home: host must not be empty")
        _check_port("call_home.port", self.port)

    @property
    def number(self) -> int:
        """The TCP port to dial."""
        return self.port or _CALL_HOME_PORTS[self.transport]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetconfSettings:
    """`[netconf]`: where the NETCONF server listens, whom it calls, whom it lets in and how much it bears.

    `host_key` is the private SSH key of this server, unencrypted, in the form of OpenSSH or PEM.
    `listen_port` 0 takes a free port; `listen` false: no SSH port, the server calls home. `call_home_backoff`
    spaces the attempts. `startup`: a startup datastore of its own; a change of running then outlives the
    process only after it was copied there.
    """

    host_key: Path
    users: tuple[NetconfUser, ...]
    listen: bool = True
    listen_host: str = "127.0.0.1"
    listen_port: int = 830
    tls: NetconfTls | None = None
    call_home: tuple[CallHome, ...] = ()
    call_home_backoff: Backoff = field(default_factory=lambda: Backoff(first_s=1.0, most_s=60.0))
    limits: NetconfLimits = field(default_factory=NetconfLimits)
    startup: bool = False

    def __post_init__(self) -> None:
        _check_port("listen_port", self.listen_port)
        if not self.users:
            raise ValueError("no users: nobody could configure this server")
        names = [user.name for user in self.users]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"user {name} is named twice")
        if self.tls is None and any(call.transport == "tls" for call in self.call_home):
            raise ValueError("call_home over tls wants the table [netconf.tls]")
        if not self.listen and not self.call_home and not (self.tls and self.tls.listen):
            raise ValueError("nobody could reach this server: no listen, no tls.listen, no call_home")
        if self.tls is None:
            for user in self.users:
                if user.authorized_keys is None and not user.password_hash:
                    raise ValueError(f"user {user.name} has neither authorized_keys nor password_hash")

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """The groups of each user."""
        return {user.name: frozenset(user.groups) for user in self.users}

    @property
    def recovery(self) -> frozenset[str]:
        """The users that nothing is denied to."""
        return frozenset(user.name for user in self.users if user.recovery)

    def anchored(self, folder: Path) -> "NetconfSettings":
        """The same settings with relative paths taken from `folder`."""
        users = tuple(
            replace(user, authorized_keys=user.authorized_keys and folder / user.authorized_keys)
            for user in self.users
        )
        tls = self.tls and replace(
            self.tls,
            certificate=folder / self.tls.certificate,
            private_key=folder / self.tls.private_key,
            ca=folder / self.tls.ca,
        )
        return replace(self, host_key=folder / self.host_key, users=users, tls=tls)


def _check_port(name: str, port: int) -> None:
    if not 0 <= port <= 65535:
        raise ValueError(f"{name} {port}: not a port (0 takes a free one)")
