"""One direction of a pool: the blocks that one end may spend, and how far it has.

Rule of this file: strictly in order, block by block and byte by byte. The owner spends and names every range;
the follower hands out a named range and forgets everything before it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from keyweave_agents.material import Pad, Secret, overwrite
from keyweave_core.errors import Exhausted


class Position(NamedTuple):
    """Everything before byte `offset` of block `block_id` is spent. Positions compare in order."""

    block_id: int
    offset: int


class PadRange(NamedTuple):
    """`length` bytes from `offset` of one block."""

    block_id: int
    offset: int
    length: int


class Stock(NamedTuple):
    """What one end says of one direction: how far it is spent and which blocks it holds, ids rising."""

    spent: Position | None
    held: tuple[int, ...]


@dataclass(slots=True)
class _Block:
    material: Secret
    offset: int  # bytes before it are spent
    shared: bool
    since_s: float
    size: int


class Direction:
    """The blocks that one end of a link may spend, oldest first."""

    __slots__ = ("_blocks", "_gone", "shared_bytes", "spent", "stored_bytes")

    def __init__(self, gone: Callable[[int], None] | None = None) -> None:
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self._gone = gone  # is told of every block of which nothing is left
        self.spent: Position | None = None
        self.stored_bytes = 0
        self.shared_bytes = 0

    def __len__(self) -> int:
        """Blocks held."""
        return len(self._blocks)

    def add(self, block_id: int, material: Secret, *, shared: bool, now_s: float) -> None:
        """Append a block; its id must be above all others here."""
        self._blocks[block_id] = _Block(material, 0, shared, now_s, len(material))
        self.stored_bytes += len(material)
        if shared:
            self.shared_bytes += len(material)

    def spend(self, length: int) -> tuple[tuple[PadRange, ...], Pad]:
        """As owner: the next `length` (1 or more) bytes and where they lay. Exhausted when fewer are shared.

        Whoever gets them overwrites them once they are used, before anything else is asked of the pool.
        """
        if length > self.shared_bytes:
            raise Exhausted(f"{length} bytes of pad wanted, {self.shared_bytes} left")
        ranges: list[PadRange] = []
        pieces: list[memoryview] = []
        blocks = self._blocks
        while length > 0:
            block_id = next(iter(blocks))
            block = blocks[block_id]
            if not block.shared:
                self._drop(block_id)
                continue
            offset = block.offset
            piece = min(length, block.size - offset)
            ranges.append(PadRange(block_id, offset, piece))
            pieces.append(block.material.lend(offset, piece))
            self._advance(block_id, block, offset + piece)
            length -= piece
        return tuple(ranges), Pad(pieces)

    def claim(self, ranges: tuple[PadRange, ...]) -> Pad | None:
        """As follower: the named bytes, forgetting all before them. To be overwritten as those of `spend`.

        None, and nothing changes, when not all of them are here.
        """
        if not ranges:
            return None
        blocks, before = self._blocks, (-1, 0)
        for block_id, offset, length in ranges:
            block = blocks.get(block_id)
            until = offset + length
            if (
                block is None
                or length <= 0
                or offset < block.offset
                or until > block.size
                or (block_id, offset) < before
            ):
                return None
            before = (block_id, until)
        pieces = []
        for block_id, offset, length in ranges:
            block = blocks[block_id]
            if offset != block.offset or block_id != next(iter(blocks)):
                self.advance_to(Position(block_id, offset))
            pieces.append(block.material.lend(offset, length))
            self._advance(block_id, block, offset + length)
        return Pad(pieces)

    def advance_to(self, position: Position) -> None:
        """Forget everything before `position` (nothing when that is behind)."""
        if self.spent is not None and position <= self.spent:
            return
        while self._blocks:
            block_id, block = next(iter(self._blocks.items()))
            if block_id > position.block_id:
                break
            if block_id < position.block_id:
                self._drop(block_id)
                continue
            offset = max(block.offset, min(position.offset, len(block.material)))
            overwrite(block.material.lend(block.offset, offset - block.offset))
            self._advance(block_id, block, offset)
            break
        if self.spent is None or position > self.spent:
            self.spent = position

    def share(self, block_id: int) -> bool:
        """The other end holds this block; whether it is held here."""
        block = self._blocks.get(block_id)
        if block is None:
            return False
        if not block.shared:
            block.shared = True
            self.shared_bytes += len(block.material) - block.offset
        return True

    def drop_unshared(self, *, below: int | None = None, before_s: float | None = None) -> None:
        """Drop blocks the other end did not name: ids under `below`, or here since before `before_s`."""
        if self.stored_bytes == self.shared_bytes:
            return
        for block_id, block in list(self._blocks.items()):
            stale = (below is not None and block_id < below) or (
                before_s is not None and block.since_s < before_s
            )
            if stale and not block.shared:
                self._drop(block_id)

    def missing(self, block_ids: Iterable[int]) -> tuple[int, ...]:
        """Those of the blocks that are not here."""
        return tuple(block_id for block_id in block_ids if block_id not in self._blocks)

    def give_up(self, block_ids: Iterable[int]) -> None:
        """Drop these blocks."""
        for block_id in block_ids:
            if block_id in self._blocks:
                self._drop(block_id)

    def ahead(self, length: int) -> Position | None:
        """The position `length` bytes behind the next one (or behind all there is)."""
        position = self.spent
        for block_id, block in self._blocks.items():
            piece = min(length, len(block.material) - block.offset)
            position = Position(block_id, block.offset + piece)
            length -= piece
            if length <= 0:
                break
        return position

    def drop_upto(self, block_id: int) -> None:
        """Drop every block up to this one."""
        for held in [held for held in self._blocks if held <= block_id]:
            self._drop(held)

    def wipe(self) -> None:
        """Overwrite every block in memory, and nowhere else."""
        for block in self._blocks.values():
            block.material.wipe()
        self._blocks.clear()
        self.stored_bytes = self.shared_bytes = 0

    def unshare(self) -> None:
        """The connection is gone: what the other end holds must be told again."""
        for block in self._blocks.values():
            block.shared = False
        self.shared_bytes = 0

    @property
    def since_s(self) -> float | None:
        """When the oldest block came; None while there is none."""
        oldest = next(iter(self._blocks.values()), None)
        return None if oldest is None else oldest.since_s

    def stock(self) -> Stock:
        """What to tell the other end."""
        return Stock(self.spent, tuple(self._blocks))

    def _advance(self, block_id: int, block: _Block, offset: int) -> None:
        gone = offset - block.offset
        self.stored_bytes -= gone
        if block.shared:
            self.shared_bytes -= gone
        block.offset = offset
        self.spent = Position(block_id, offset)
        if offset == block.size:
            del self._blocks[block_id]
            if self._gone is not None:
                self._gone(block_id)

    def _drop(self, block_id: int) -> None:
        block = self._blocks.pop(block_id)
        left = len(block.material) - block.offset
        self.stored_bytes -= left
        if block.shared:
            self.shared_bytes -= left
        block.material.erase(block.offset)  # what lies before may be lent at this moment
        if self._gone is not None:
            self._gone(block_id)
