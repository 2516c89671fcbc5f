"""A session's way out for notifications: who writes into it, and when it takes no more.

Rule of this file: nothing is queued here. A reader writes one message and is told whether another may
follow; what waits, waits where it came from (a place in the event log, the newest tree), so a peer that does
not read costs the transport's buffer and one message a reader.
"""

from collections.abc import Callable
from typing import Protocol


class Reader(Protocol):
    """A subscription as its session sees it."""

    def resume(self) -> None:
        """The peer takes data again: send what waits."""
        ...

    def close(self) -> None:
        """The session is over: send nothing more, free everything."""
        ...


class Outlet:
    """Notifications of one session.

    `write` sends one message on the session, `drop` ends it because of the reason given.
    """

    def __init__(self, write: Callable[[bytes], None], drop: Callable[[str], None]) -> None:
        self._write = write
        self.drop = drop
        self._readers: list[Reader] = []
        self.writable = True
        self.closed = False

    @property
    def readers(self) -> tuple[Reader, ...]:
        """All that write here."""
        return tuple(self._readers)

    def send(self, message: bytes) -> bool:
        """Write one message; False when the peer should get no more for now."""
        if not self.closed:
            self._write(message)
        return self.writable and not self.closed

    def attach(self, reader: Reader) -> None:
        """Tell a reader from now on what becomes of the session."""
        self._readers.append(reader)

    def detach(self, reader: Reader) -> None:
        """Tell it no more; nothing happens when it is not there."""
        if reader in self._readers:
            self._readers.remove(reader)

    def pause(self) -> None:
        """The peer takes no data for now."""
        self.writable = False

    def resume(self) -> None:
        """The peer takes data again: serve the readers in turn, each time another one first."""
        self.writable = True
        if self._readers:
            self._readers.append(self._readers.pop(0))
        for reader in tuple(self._readers):
            if not self.writable or self.closed:
                return
            reader.resume()

    def close(self) -> None:
        """The session is over."""
        self.closed = True
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()
