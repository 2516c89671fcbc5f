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


class SessionOpener(Protocol):
    """What a listener asks of the server."""

    def open_session(self, transport: Transport) -> Receiver:
        """Begin a session on an authenticated connection; raises Exhausted when there are too many."""
        ...


class Service(Protocol):
    """One way into a server: SSH or TLS, with the users it lets in."""

    async def listen(self, host: str, port: int) -> int:
        """Listen and return the port (port 0: a free one). Raises PeerUnreachable."""
        ...

    async def call(self, host: str, port: int) -> None:
        """Dial a client that waits for calls (RFC 8071), and serve it to the end of the connection.

        Raises OSError, a KeyweaveError or an error of the SSH library when no connection comes about.
        """
        ...

    def stop(self) -> None:
        """Accept nothing new."""
        ...

    async def wait_closed(self) -> None:
        """Drop what still stands and wait until it is gone."""
        ...


class Connection(Protocol):
    """What a client keeps of its connection to a server."""

    @property
    def transport(self) -> Transport:
        """What carries the session."""
        ...

    async def close(self) -> None:
        """Close in order and wait until it is gone."""
        ...

    def abort(self) -> None:
        """Drop it at once."""
        ...
