"""The seam between a NETCONF session and what carries its bytes (RFC 6241 clause 2).

Rule of this file: a session is written against these two protocols, so that SSH, TLS or a pair of lists in
a test can stand below it.
"""

from typing import Protocol


class Transport(Protocol):
    """What a session asks of its connection. Nothing here waits or raises."""

    @property
    def username(self) -> str:
        """Who was authenticated."""
        ...

    @property
    def source_host(self) -> str:
        """The address of the peer, without port."""
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
