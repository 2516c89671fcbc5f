"""What of the ready keys of a source outlives the process: the keys, and how far each buffer is drawn.

Rule of this file: keys of one association and size have serial numbers and are drawn in their order. A mark
runs ahead of what was drawn, so that most requests need no commit; after a crash everything before the mark
counts as drawn. Batches come and go lazily: one that was not yet on disk was never ready.

    ready   <lane> <serial of the first key>   keys, and who acknowledged them
    drawn   <lane>                             mark

where a lane is named by its application, the bytes of a key, and whether its keys are spare ones (`lanes`).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from keyweave_agents.keys.key_batch import KeyBatch
from keyweave_agents.keys.storage.ledger import Ledger
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_core.model.ids import AppId

_LANE = struct.Struct(">I?")
_SERIAL = struct.Struct(">Q")


class LaneName(NamedTuple):
    """Which buffer: of an application, a size in bytes, and of ordinary or of spare keys."""

    app_id: AppId
    key_bytes: int
    spare: bool

    def encoded(self) -> bytes:
        """As part of a key of a shelf."""
        return self.app_id.encode() + _LANE.pack(self.key_bytes, self.spare)

    @classmethod
    def decoded(cls, text: bytes) -> "LaneName":
        """The name again."""
        key_bytes, spare = _LANE.unpack(text[-_LANE.size :])
        return cls(AppId(text[: -_LANE.size].decode()), key_bytes, spare)


@dataclass(slots=True)
class ReadyBatch:
    """Keys that are ready, the first `drawn` of them gone; the first of all has the number `serial`."""

    serial: int
    keys: KeyBatch
    drawn: int = 0

    @property
    def left(self) -> int:
        """How many are there to draw."""
        return self.keys.count - self.drawn


@dataclass(slots=True)
class LeftReady:
    """What the last run left of one association: who acknowledged the keys, and the keys by their lane."""

    keeper: bytes = b""
    lanes: dict[LaneName, list[ReadyBatch]] = field(default_factory=dict)


class ReadyMemory:
    """The shelves of all ready buffers of one node."""

    def __init__(self, ledger: Ledger, undecided: Undecided, wall_s: Callable[[], float]) -> None:
        self.undecided = undecided
        self._lasting = ledger.lasting
        self._ready = ledger.shelf("ready")
        self._drawn = ledger.shelf("drawn")
        self._wall_s = wall_s
        self._serial = 0
        self._left: dict[AppId, LeftReady] = {}

    def restore(self, *, intact: bool, now_s: float) -> None:
        """Read what the last run left; nothing, when it may be older than the truth."""
        if not self._lasting:
            return
        marks = {key: _SERIAL.unpack(value)[0] for key, value in self._drawn.items()}
        for key, record in self._ready.items():
            lane, serial = key[:-8], _SERIAL.unpack(key[-8:])[0]
            keys, keeper = KeyBatch.from_record(record, wall_s=self._wall_s(), now_s=now_s)
            self._serial = max(self._serial, serial + keys.count)
            if not intact or serial + keys.count <= marks.get(lane, 0) or keys.expires_s <= now_s:
                keys.wipe()
                self._ready.delete(key, lazy=True)
                continue
            name = LaneName.decoded(lane)
            left = self._left.setdefault(name.app_id, LeftReady())
            if isinstance(keeper, bytes):
                left.keeper = keeper
            drawn = max(0, marks.get(lane, 0) - serial)
            left.lanes.setdefault(name, []).append(ReadyBatch(serial, keys, drawn))
        self._serial = max([self._serial, *marks.values()])

    def left(self, app_id: AppId) -> LeftReady | None:
        """Take what was left of an association; None: nothing."""
        return self._left.pop(app_id, None)

    def forsake(self) -> None:
        """Nobody came for what is still left: forget it."""
        for left in self._left.values():
            for name, lane in left.lanes.items():
                for batch in lane:
                    batch.keys.wipe()
                    self.gone(name, batch.serial)
                self.unmark(name)
        self._left.clear()

    def next_serial(self, number: int) -> int:
        """Serials for so many keys: the first."""
        self._serial += number
        return self._serial - number

    def put(self, name: LaneName, batch: ReadyBatch, keeper: bytes, now_s: float) -> None:
        """Keys are ready."""
        if self._lasting:
            record = batch.keys.record(keeper, wall_s=self._wall_s(), now_s=now_s)
            self._ready.put(name.encoded() + _SERIAL.pack(batch.serial), record, lazy=True)
            record[:] = bytes(len(record))

    def gone(self, name: LaneName, serial: int, *, lazy: bool = True) -> None:
        """Nothing of a batch is left, or nothing that may come back."""
        if self._lasting:
            self._ready.delete(name.encoded() + _SERIAL.pack(serial), lazy=lazy)

    def mark(self, name: LaneName, serial: int) -> None:
        """Every key before this serial counts as drawn from now on."""
        if self._lasting:
            self._drawn.put(name.encoded(), _SERIAL.pack(serial))

    def unmark(self, name: LaneName) -> None:
        """There is no such buffer any more."""
        if self._lasting:
            self._drawn.delete(name.encoded(), lazy=True)
