"""Settings of the interface between a key manager and its SDN agent: the table `[quicks]` of either.

Rule of this file: bounds are checked where the value is made; files are named here and read elsewhere.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.runtime.tls import TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class QuicksSettings:
    """Which half of a node this process is, where it listens, where the other half is and who that must be.

    `peer_url` is `https://host:port`; `peer_identity` stands in its certificate (URI or DNS name of
    subjectAltName, or common name). Times in seconds: `answer_s` is the longest wait for an ordinary
    answer, `registration_s` for that to a registration, which waits for the controller (the side that answers
    gives up a little earlier, so that the two never wait for each other), `poll_s` how often an agent reads
    figures.
    """

    role: Literal["agent", "key-manager"]
    listen_host: str = "127.0.0.1"
    listen_port: int
    tls: TlsSettings
    peer_url: str
    peer_identity: str
    answer_s: float = 5.0
    registration_s: float = 30.0
    poll_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.listen_port <= 65535:
            raise ValueError(f"quicks.listen_port {self.listen_port}: not a port (0 takes a free one)")
        parts = urlsplit(self.peer_url)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(
                f"quicks.peer_url {self.peer_url[:80]!r}: want https://host:port and nothing behind"
            )
        if not self.peer_identity or not self.peer_identity.isprintable():
            raise ValueError("quicks.peer_identity: the name in the certificate of the other side is wanted")
        for name in ("answer_s", "registration_s", "poll_s"):
            if not 0.05 <= getattr(self, name) <= 600:
                raise ValueError(f"quicks.{name} {getattr(self, name)}: not within 0.05..600 s")

    def anchored(self, folder: Path) -> "QuicksSettings":
        """The same settings with relative paths taken from `folder`."""
        return replace(self, tls=self.tls.relative_to(folder))

    def serving(self) -> ServiceSettings:
        """How the HTTPS server of this side behaves."""
        return ServiceSettings(
            listen_host=self.listen_host,
            listen_port=self.listen_port,
            tls=self.tls,
            request_wait_s=self.registration_s,
            max_connections=64,
        )
