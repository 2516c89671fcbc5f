"""The seam between a NETCONF session and what carries its bytes (RFC 6241 clause 2).

Rule of this file: a session is written against these two protocols, so that SSH, TLS or a pair of lists in
a test can stand below it.
"""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is at the other end, and how they came here.

    `transport` is an identity of ietf-netconf-monitoring ('netconf-ssh', 'netconf-tls'), `groups` what the
    transport knows of the user's groups (RFC 8341 clause 3.3), `recovery` whether nothing is denied to them
    (clause 3.1.4). `key_exchange` and `cipher` are the names that were negotiated, '' when unknown.
    """

    username: str
    source_host: str
    transport: str = "netconf-ssh"
    groups: frozenset[str] = field(default_factory=frozenset)
    recovery: bool = False
    key_exchange: str = ""
    cipher: str = ""


class Transport(Protocol):
    """What a session asks of its connection. Nothing here waits or raises."""

    @property
    def peer(self) -> Peer:
        """Who was authenticated, and how."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes after all bytes given before; ignored once closed."""
        ...

    def close(self) -> None:
        """Send what was written, then close."""
        ...

    def abort(self) -> None:
        """Close at once; what was written may be lost."""
        ...

    def pause_reading(self) -> None:
        """Deliver no more data until `resume_reading`; the peer is slowed down."""
        ...

    def resume_reading(self) -> None:
        """Deliver data again."""
        ...


class Receiver(Protocol):
    """What a connection tells its session."""

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        ...

    def eof_received(self) -> None:
        """The peer sends no more; it may still read."""
        ...

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; `error` is None when it was closed in order."""
        ...

    def pause_writing(self) -> None:
        """The peer does not read fast enough."""
        ...

    def resume_writing(self) -> None:
        """The peer has caught up."""
        ...
