"""The table `[gnmi]` of a settings file, for agent and controller.

Rule of this file: it loads nothing of gRPC, so a program reads its settings without paying for it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from keyweave_core.runtime.tls import TlsSettings

_MAX_NAME = 256


class NameSource(StrEnum):
    """Which name of a client certificate tells the user."""

    COMMON_NAME = "common-name"
    ALTERNATIVE_NAME = "alternative-name"  # any subjectAltName, the first that is on the list


@dataclass(frozen=True, slots=True, kw_only=True)
class GnmiUser:
    """One user of the gNMI server.

    `certificate_name` is what the client certificate says ('' takes `name`), `groups` are the access control
    groups besides those that the configuration gives; nothing is denied to a user with `recovery`.
    """

    name: str
    certificate_name: str = ""
    groups: tuple[str, ...] = ()
    recovery: bool = False

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("certificate_name", self.certificate_name or self.name)):
            if not 1 <= len(text) <= _MAX_NAME or not text.isprintable():
                raise ValueError(f"user {what} {text[:60]!r}: want 1..{_MAX_NAME} printable characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class GnmiSettings:
    """Where the gNMI server listens and whom it lets in. `listen_port` 0 takes a free port.

    Both ends always show certificates. 9339 is the port registered for gNMI.
    """

    tls: TlsSettings
    users: tuple[GnmiUser, ...]
    listen_host: str = "127.0.0.1"
    listen_port: int = 9339
    identity: NameSource = NameSource.COMMON_NAME

    def __post_init__(self) -> None:
        if not 0 <= self.listen_port <= 65535:
            raise ValueError(f"listen_port {self.listen_port}: not a port (0 takes a free one)")
        if not self.users:
            raise ValueError("no users: nobody could call")
        names = [user.certificate_name or user.name for user in self.users]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"users: certificate {name} is named twice")

    def relative_to(self, folder: Path) -> "GnmiSettings":
        """The same settings with relative paths taken from `folder` (where the settings file lies)."""
        return replace(self, tls=self.tls.relative_to(folder))
