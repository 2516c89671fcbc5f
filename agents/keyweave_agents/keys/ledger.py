"""What of the key manager outlives its process: the port, and a ledger that forgets.

Rule of this file: whoever changes something that must not be lost (a bit spent, a key supplied, a transfer
accepted) notes it here first; nothing that follows from it leaves the process before `commit` came back. The
key manager commits once at the end of each turn of its loop, so what happens together is one write.
"""

from collections.abc import Iterator
from typing import Protocol


class Shelf(Protocol):
    """Small records of one room of the agent, by key. Values are encrypted where they rest."""

    def put(self, key: bytes, value: bytes) -> None:
        """Note a record, in place of one with this key."""
        ...

    def delete(self, key: bytes) -> None:
        """Forget a record (nothing when there is none)."""
        ...

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every record as it stood at the last commit before the process began, and changed since."""
        ...


class Ledger(Protocol):
    """The durable memory of one key manager."""

    def shelf(self, name: str) -> Shelf:
        """The records of a room; the same name gives the same shelf."""
        ...

    def commit(self) -> None:
        """Make durable what was noted. Raises LedgerFailed (disk full, broken): nothing may leave then."""
        ...


class MemoryShelf:
    """A shelf without a disk."""

    def __init__(self) -> None:
        self._records: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        """See `Shelf.put`."""
        self._records[key] = value

    def delete(self, key: bytes) -> None:
        """See `Shelf.delete`."""
        self._records.pop(key, None)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """See `Shelf.items`."""
        return iter(list(self._records.items()))


class MemoryLedger:
    """Forgets with the process: everything is lost then, and nothing is used twice."""

    def __init__(self) -> None:
        self._shelves: dict[str, MemoryShelf] = {}

    def shelf(self, name: str) -> MemoryShelf:
        """See `Ledger.shelf`."""
        return self._shelves.setdefault(name, MemoryShelf())

    def commit(self) -> None:
        """See `Ledger.commit`."""
