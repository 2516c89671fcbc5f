"""The table `[gnmi]` of an agent and of the controller.

Rule of this file: it loads nothing of gRPC, so a program reads its settings without paying for it. Bounds are
checked where the value is made; files are named here and read elsewhere.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from keyweave_core.netconf.tls.names import CertToName
from keyweave_core.runtime.tls import TlsSettings
from keyweave_gnmi.limits import GnmiLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class GnmiUser:
    """`[[gnmi.users]]`: a user who comes over gNMI alone; those of `[netconf]` need not be repeated.

    `groups` are what access control (RFC 8341) knows the user by; nothing is denied to one with `recovery`.
    """

    name: str
    groups: tuple[str, ...] = ("operator",)
    recovery: bool = False

    def __post_init__(self) -> None:
        for what, text in (("user name", self.name), *(("group", group) for group in self.groups)):
            if not 1 <= len(text) <= 64 or not text.isprintable() or " " in text:
                raise ValueError(f"{what} {text[:60]!r}: want 1..64 printable characters, no space")


@dataclass(frozen=True, slots=True, kw_only=True)
class GnmiSettings:
    """`[gnmi]`: gNMI over mutual TLS. Clients show certificates of `ca`.

    `cert_to_name` maps them to names of users (RFC 7407), tried in order; without entries the common name is
    the user. 9339 is the port registered for gNMI, 0 takes a free one.
    """

    certificate: Path
    private_key: Path
    ca: Path
    listen_host: str = "127.0.0.1"
    listen_port: int = 9339
    cert_to_name: tuple[CertToName, ...] = ()
    users: tuple[GnmiUser, ...] = ()
    limits: GnmiLimits = field(default_factory=GnmiLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.listen_port <= 65535:
            raise ValueError(f"listen_port {self.listen_port}: not a port (0 takes a free one)")
        names = [user.name for user in self.users]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"user {name} is named twice")

    @property
    def files(self) -> TlsSettings:
        """The certificates, as credentials are made of them."""
        return TlsSettings(certificate=self.certificate, private_key=self.private_key, ca=self.ca)

    def anchored(self, folder: Path) -> "GnmiSettings":
        """The same settings with relative paths taken from `folder`."""
        return replace(
            self,
            certificate=folder / self.certificate,
            private_key=folder / self.private_key,
            ca=folder / self.ca,
        )
