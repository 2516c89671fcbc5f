"""What of the key manager outlives its process: the port, and a ledger that forgets.

Rule of this file: whoever changes something that must not be lost (a bit spent, a key supplied, a transfer
accepted) notes it here first; nothing that follows from it leaves the process before it is durable. The key
manager commits once at the end of each turn of its loop, so what happens together is one write (`gate`).

Where the ledger lives: `KeyPlane.ledger`, given when the plane is made. A room takes its shelf there
(`plane.ledger.shelf("my-room")`), reads `items` once when it is made, and notes from then on. Who answers a
caller outside the relay waits for `KeyManager.durable` first.
"""

from collections.abc import Iterator
from typing import Protocol

Bytes = bytes | bytearray | memoryview


class Shelf(Protocol):
    """Small records of one room of the agent, by key. Values are encrypted where they rest; keys are not."""

    def put(self, key: bytes, value: Bytes, *, lazy: bool = False) -> None:
        """Note a record, in place of one with this key. The value is read at once: wipe it when you like.

        `lazy`: nothing waits for it; it becomes durable with the next commit, a beat later at the latest.
        """
        ...

    def delete(self, key: bytes, *, lazy: bool = False) -> None:
        """Forget a record (nothing when there is none)."""
        ...

    def items(self) -> Iterator[tuple[bytes, bytearray]]:
        """Every record as noted, in order of keys; the values are the caller's to wipe."""
        ...


class Ledger(Protocol):
    """The durable memory of one key manager."""

    @property
    def lasting(self) -> bool:
        """Whether it outlives the process; bulky secrets are not put into one that does not."""
        ...

    @property
    def slow(self) -> bool:
        """Whether a commit waits for a disk, and so has a thread of its own."""
        ...

    @property
    def intact(self) -> bool:
        """Whether it is as its last owner left it.

        Not, when the file was copied or put back, or lost its end: then what is spent may look unspent.
        """
        ...

    @property
    def noted(self) -> int:
        """Number of changes so far that something waits for."""
        ...

    @property
    def kept(self) -> int:
        """How many of these are durable."""
        ...

    @property
    def stale(self) -> bool:
        """Whether anything at all, lazy changes too, is not durable yet."""
        ...

    def shelf(self, name: str) -> Shelf:
        """The records of a room; the same name gives the same shelf."""
        ...

    def commit(self) -> None:
        """Make durable what was noted, all or nothing. Blocks for the time of the disk.

        Raises LedgerFailed (disk full, broken): what was noted stays noted and goes with the next commit.
        """
        ...

    def close(self) -> None:
        """Commit, and let go of the disk: this run ends well. Raises LedgerFailed."""
        ...


class MemoryShelf:
    """A shelf without a disk."""

    def __init__(self, ledger: "MemoryLedger") -> None:
        self._ledger = ledger
        self._records: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: Bytes, *, lazy: bool = False) -> None:
        """See `Shelf.put`."""
        self._records[key] = bytes(value)
        self._ledger.noted += not lazy

    def delete(self, key: bytes, *, lazy: bool = False) -> None:
        """See `Shelf.delete`."""
        self._records.pop(key, None)
        self._ledger.noted += not lazy

    def items(self) -> Iterator[tuple[bytes, bytearray]]:
        """See `Shelf.items`."""
        return ((key, bytearray(value)) for key, value in sorted(self._records.items()))


class MemoryLedger:
    """Forgets with the process: everything is lost then, and nothing is used twice."""

    lasting = False
    slow = False
    intact = True
    stale = False

    def __init__(self) -> None:
        self._shelves: dict[str, MemoryShelf] = {}
        self.noted = 0

    @property
    def kept(self) -> int:
        """See `Ledger.kept`."""
        return self.noted

    def shelf(self, name: str) -> MemoryShelf:
        """See `Ledger.shelf`."""
        return self._shelves.setdefault(name, MemoryShelf(self))

    def commit(self) -> None:
        """See `Ledger.commit`."""

    def close(self) -> None:
        """See `Ledger.close`."""
