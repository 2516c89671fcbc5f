"""A ledger on a disk of paper: what was committed outlives a crash, what was only noted does not."""

from collections.abc import Iterator

from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.storage.ledger import Bytes

Place = tuple[str, bytes]


class PaperDisk:
    """What one node has on disk. `full`: nothing more fits. `intact`: as the last run left it."""

    def __init__(self) -> None:
        self.records: dict[Place, bytes] = {}
        self.full = False
        self.intact = True
        self.commits = 0

    def copy(self) -> dict[Place, bytes]:
        return dict(self.records)

    def lose(self) -> None:
        """Another disk takes its place."""
        self.records.clear()

    def put_back(self, records: dict[Place, bytes], *, noticed: bool) -> None:
        """A backup from an earlier time; `noticed`: the store sees that it is not where it was."""
        self.records = dict(records)
        self.intact = not noticed


class PaperShelf:
    def __init__(self, ledger: "PaperLedger", name: str) -> None:
        self._ledger = ledger
        self._name = name

    def put(self, key: bytes, value: Bytes, *, lazy: bool = False) -> None:
        self._ledger.note((self._name, key), bytes(value), lazy=lazy)

    def delete(self, key: bytes, *, lazy: bool = False) -> None:
        self._ledger.note((self._name, key), None, lazy=lazy)

    def items(self) -> Iterator[tuple[bytes, bytearray]]:
        for (shelf, key), value in sorted({**self._ledger.disk.records, **self._ledger.pending}.items()):
            if shelf == self._name and value is not None:
                yield key, bytearray(value)


class PaperLedger:
    """One run of a program on a disk."""

    lasting = True
    slow = False

    def __init__(self, disk: PaperDisk) -> None:
        self.disk = disk
        self.intact = disk.intact
        self.pending: dict[Place, bytes | None] = {}
        self.noted = 0
        self.kept = 0

    @property
    def stale(self) -> bool:
        return bool(self.pending)

    def shelf(self, name: str) -> PaperShelf:
        return PaperShelf(self, name)

    def note(self, place: Place, value: bytes | None, *, lazy: bool) -> None:
        self.pending[place] = value
        self.noted += not lazy

    def commit(self) -> None:
        if self.disk.full:
            raise LedgerFailed("the disk is full")
        for place, value in self.pending.items():
            if value is None:
                self.disk.records.pop(place, None)
            else:
                self.disk.records[place] = value
        self.pending.clear()
        self.disk.intact = True
        self.disk.commits += 1
        self.kept = self.noted

    def close(self) -> None:
        self.commit()
