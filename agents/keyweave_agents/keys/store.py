"""The pool of one physical link: blocks of key in two directions, each bit leaving once.

Rule of this file: a direction belongs to the one end that may spend it (its owner); the other end follows.
The owner spends strictly in order, block by block and byte by byte, and names every range it spends; the
follower hands out a named range and forgets everything before it. So how far a direction is spent is one
`Position`, and after a loss both ends agree by taking the larger one.

A block is *shared* once the other end said that it holds it too; only shared blocks are spent. Ids of a
link only rise, at both ends, so a block below one that the other end holds and it never named will never
be shared: it is dropped.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from keyweave_agents.material import Secret
from keyweave_core.errors import Exhausted
from keyweave_core.model.ids import LinkId, NodeId

MOST_BLOCKS = 65_536
"""Blocks in one pool: what bounds the size of a Hello."""

UNSHARED_LIFE_S = 5.0
"""How long the other end may take to name a block that it should have too."""


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


class Direction:
    """The blocks that one end of a link may spend, oldest first."""

    __slots__ = ("_blocks", "shared_bytes", "spent", "stored_bytes")

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self.spent: Position | None = None
        self.stored_bytes = 0
        self.shared_bytes = 0

    def __len__(self) -> int:
        """Blocks held."""
        return len(self._blocks)

    def add(self, block_id: int, material: Secret, *, shared: bool, now_s: float) -> None:
        """Append a block; its id must be above all others here."""
        self._blocks[block_id] = _Block(material, 0, shared, now_s)
        self.stored_bytes += len(material)
        if shared:
            self.shared_bytes += len(material)

    def spend(self, length: int) -> tuple[tuple[PadRange, ...], bytearray]:
        """As owner: the next `length` bytes and where they lay. Exhausted when fewer are shared."""
        if length > self.shared_bytes:
            raise Exhausted(f"{length} bytes of pad wanted, {self.shared_bytes} left")
        ranges: list[PadRange] = []
        taken = bytearray()
        while length > 0:
            block_id, block = next(iter(self._blocks.items()))
            if not block.shared:
                self._drop(block_id)
                continue
            piece = min(length, len(block.material) - block.offset)
            ranges.append(PadRange(block_id, block.offset, piece))
            taken += block.material.cut(block.offset, piece)
            self._advance(block_id, block, block.offset + piece)
            length -= piece
        return tuple(ranges), taken

    def claim(self, ranges: tuple[PadRange, ...]) -> bytearray | None:
        """As follower: the named bytes, forgetting all before them.

        None, and nothing changes, when not all of them are here.
        """
        if not ranges:
            return None
        before: PadRange | None = None
        for item in ranges:
            block = self._blocks.get(item.block_id)
            if (
                block is None
                or item.length <= 0
                or item.offset < block.offset
                or item.offset + item.length > len(block.material)
                or (before is not None and item[:2] < (before.block_id, before.offset + before.length))
            ):
                return None
            before = item
        taken = bytearray()
        for item in ranges:
            taken += self._blocks[item.block_id].material.cut(item.offset, item.length)
        last = ranges[-1]
        self.advance_to(Position(last.block_id, last.offset + last.length))
        return taken

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
            block.material.cut(block.offset, max(0, min(position.offset, len(block.material)) - block.offset))
            self._advance(block_id, block, max(block.offset, min(position.offset, len(block.material))))
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
        if offset == len(block.material):
            del self._blocks[block_id]

    def _drop(self, block_id: int) -> None:
        block = self._blocks.pop(block_id)
        left = len(block.material) - block.offset
        self.stored_bytes -= left
        if block.shared:
            self.shared_bytes -= left
        block.material.wipe()


class LinkPool:
    """Both directions of one physical link, seen from the end `local`."""

    def __init__(self, link_id: LinkId, local: NodeId, remote: NodeId, capacity_bits: int) -> None:
        self.link_id = link_id
        self.local = local
        self.remote = remote
        self.capacity_bits = capacity_bits
        self.own = Direction()
        self.their = Direction()
        self.taken_bytes = 0  # spent so far over both directions, for the consumption rate
        self._newest = -1
        self._parted_at = -1  # newest block when an agreement last ended
        self._ahead: set[int] = set()  # named by the other end, not yet deposited here

    @property
    def stored_bits(self) -> int:
        """Level over both directions."""
        return 8 * (self.own.stored_bytes + self.their.stored_bytes)

    def oldest_age_s(self, now_s: float) -> int | None:
        """Whole seconds that the oldest key has lain here; None while there is none."""
        since = [direction.since_s for direction in (self.own, self.their) if direction.since_s is not None]
        return max(0, int(now_s - min(since))) if since else None

    def next_owner(self) -> NodeId | None:
        """The end with less stock; None when the pool is full.

        Full leaves an eighth of the capacity free: blocks that are on their way must still fit.
        """
        if (
            self.stored_bits >= self.capacity_bits - self.capacity_bits // 8
            or len(self.own) + len(self.their) >= MOST_BLOCKS
        ):
            return None
        return self.local if self.own.stored_bytes <= self.their.stored_bytes else self.remote

    def deposit(self, block_id: int, owner: NodeId, material: Secret, now_s: float) -> bool:
        """Keep a copy of a block; False when it is a repeat, empty, nobody's or there is no room."""
        if (
            block_id <= self._newest
            or not len(material)
            or owner not in (self.local, self.remote)
            or self.stored_bits + material.bits > self.capacity_bits
            or len(self.own) + len(self.their) >= MOST_BLOCKS + 1024
        ):
            return False
        self._newest = block_id
        direction = self.own if owner == self.local else self.their
        shared = block_id in self._ahead
        direction.add(block_id, Secret(material.reveal()), shared=shared, now_s=now_s)
        if self._ahead:
            self._ahead = {other for other in self._ahead if other > block_id}
        return True

    def spend(self, length: int) -> tuple[tuple[PadRange, ...], bytearray]:
        """`Direction.spend` of our own direction."""
        spent = self.own.spend(length)
        self.taken_bytes += length
        return spent

    def claim(self, ranges: tuple[PadRange, ...]) -> bytearray | None:
        """`Direction.claim` of the other end's direction."""
        taken = self.their.claim(ranges)
        if taken is not None:
            self.taken_bytes += len(taken)
        return taken

    def learn(self, block_ids: Iterable[int]) -> None:
        """The other end holds these blocks since now."""
        for block_id in block_ids:
            for direction in (self.own, self.their):
                direction.share(block_id)
                direction.drop_unshared(below=block_id)
            if block_id > self._newest and len(self._ahead) < MOST_BLOCKS:
                self._ahead.add(block_id)

    def stocks(self) -> tuple[Stock, Stock]:
        """What to tell the other end: our own direction, and theirs."""
        return self.own.stock(), self.their.stock()

    def reconcile(self, own: Stock, their: Stock, now_s: float) -> None:
        """Take over what the other end said in its Hello of our own direction and of theirs.

        Larger positions win. A block that the other end does not hold goes, unless it is so new that it may
        still be on its way there: it is in the Hello that we sent, so the other end may count on it even when
        that end knows nothing yet (its module may deliver between its Hello and ours). An end that agreed
        before and knows nothing now has restarted: what we had when we parted is worthless.
        """
        self._ahead.clear()
        newest = max((stock.held[-1] for stock in (own, their) if stock.held), default=-1)
        blank = newest < 0 and own.spent is None and their.spent is None
        stale = self._parted_at + 1 if blank else -1
        for direction, stock in ((self.own, own), (self.their, their)):
            direction.unshare()
            if stock.spent is not None:
                direction.advance_to(stock.spent)
            for block_id in stock.held:
                if not direction.share(block_id) and block_id > self._newest:
                    self._ahead.add(block_id)
            direction.drop_unshared(below=max(newest, stale), before_s=now_s - UNSHARED_LIFE_S)

    def parted(self) -> None:
        """The agreement with the other end is over: its connection broke."""
        self._parted_at = self._newest
        self.separate()

    def separate(self) -> None:
        """The connection to the other end is gone (or a new one begins)."""
        self._ahead.clear()
        self.own.unshare()
        self.their.unshare()

    def forget_unshared(self, now_s: float) -> None:
        """Drop blocks that the other end should have named long ago. Only while connected."""
        for direction in (self.own, self.their):
            direction.drop_unshared(before_s=now_s - UNSHARED_LIFE_S)
