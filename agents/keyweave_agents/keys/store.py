"""The pool of one physical link: blocks of key in two directions, each bit leaving once.

Rule of this file: a direction belongs to the one end that may spend it (its owner); the other end follows.
The owner spends strictly in order, block by block and byte by byte, and names every range it spends; the
follower hands out a named range and forgets everything before it. So how far a direction is spent is one
`Position`, and after a loss both ends agree by taking the larger one.

A block is *shared* once the other end said that it holds it too; only shared blocks are spent. Ids of a
link only rise, at both ends, so a block below one that the other end holds and it never named will never
be shared: it is dropped.

With a `PoolMemory` the pool outlives its process: see there, and `LinkPool.spend` for the mark.
"""

from collections import deque
from collections.abc import Iterable

from keyweave_agents.keys.direction import Direction, PadRange, Position, Stock
from keyweave_agents.keys.storage.pool_memory import PoolMemory
from keyweave_agents.material import Pad, Secret
from keyweave_core.errors import Exhausted
from keyweave_core.model.ids import LinkId, NodeId

__all__ = ["Direction", "LinkPool", "PadRange", "Position", "Stock"]

MOST_RECENT = 1_024
"""Blocks remembered after they are spent, for the account of what somebody may have overheard."""

MOST_BLOCKS = 65_536
"""Blocks in one pool: what bounds the size of a Hello."""

UNSHARED_LIFE_S = 5.0
"""How long the other end may take to name a block that it should have too."""

LEAST_AHEAD_BYTES = 2_048
MOST_AHEAD_BYTES = 65_536
"""How far the mark of a direction runs ahead: an eighth of what is there, within these bounds. A crash costs
at most so much; a commit is needed once for so much."""


class LinkPool:
    """Both directions of one physical link, seen from the end `local`."""

    def __init__(
        self,
        link_id: LinkId,
        local: NodeId,
        remote: NodeId,
        capacity_bits: int,
        memory: PoolMemory | None = None,
    ) -> None:
        self.link_id = link_id
        self.local = local
        self.remote = remote
        self.capacity_bits = capacity_bits
        self._memory = memory
        self._mark: Position | None = None
        self.own = Direction(lambda block_id: self._gone(block_id, own=True))
        self.their = Direction(lambda block_id: self._gone(block_id, own=False))
        self.taken_bytes = 0  # spent so far over both directions, for the consumption rate
        self._newest = -1
        self._parted_at = -1  # newest block when an agreement last ended
        self._ahead: set[int] = set()  # named by the other end, not yet deposited here
        self._restored = -1  # newest block that the last run of this program left
        self._recent: deque[tuple[int, bool, int]] = deque(maxlen=MOST_RECENT)  # block, own?, its bytes
        self.shut = False  # somebody may be listening: nothing is taken in or spent

    def restore(self, now_s: float) -> None:
        """Take over what the last run left; everything before the mark of our direction counts as spent."""
        if self._memory is None:
            return
        left, wall_s = self._memory.left, self._memory.wall_s()
        for block in left.blocks:
            direction = self.own if block.own else self.their
            since_s = now_s - max(0.0, wall_s - block.came_s)
            direction.add(block.block_id, block.material, shared=False, now_s=since_s)
        left.blocks.clear()
        for direction, spent in ((self.own, left.mark), (self.their, left.followed)):
            if spent is not None:
                direction.advance_to(Position(*spent))
        self._mark = self.own.spent
        known = [block_id for direction in (self.own, self.their) for block_id in direction.stock().held]
        known += [spent[0] for spent in (left.mark, left.followed) if spent is not None]
        self._newest = self._parted_at = self._restored = max(known, default=-1)

    def close(self) -> None:
        """Note exactly how far both directions are spent, and overwrite what lies in memory."""
        if self._memory is not None:
            if self.own.spent is not None:
                self._memory.mark(self.own.spent)
            if self.their.spent is not None:
                self._memory.follow(self.their.spent)
        self.own.wipe()
        self.their.wipe()

    def _gone(self, block_id: int, *, own: bool) -> None:
        if self._memory is not None:
            self._memory.gone(block_id, own=own)

    @property
    def newest(self) -> int:
        """Id of the newest block that was ever here; -1: none."""
        return self._newest

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
            self.shut
            or self.stored_bits >= self.capacity_bits - self.capacity_bits // 8
            or len(self.own) + len(self.their) >= MOST_BLOCKS
        ):
            return None
        return self.local if self.own.stored_bytes <= self.their.stored_bytes else self.remote

    def deposit(self, block_id: int, owner: NodeId, material: Secret, now_s: float) -> bool:
        """Keep a copy of a block; False when it is a repeat, empty, nobody's, or there is no room for it."""
        if (
            self.shut
            or block_id <= self._newest
            or not len(material)
            or owner not in (self.local, self.remote)
            or self.stored_bits + material.bits > self.capacity_bits
            or len(self.own) + len(self.their) >= MOST_BLOCKS + 1024
        ):
            return False
        self._newest = block_id
        direction = self.own if owner == self.local else self.their
        shared = block_id in self._ahead
        kept = Secret(material.reveal())
        direction.add(block_id, kept, shared=shared, now_s=now_s)
        self._recent.append((block_id, direction is self.own, len(kept)))
        if self._memory is not None:
            self._memory.came(block_id, kept, own=direction is self.own)
        if self._ahead:
            self._ahead = {other for other in self._ahead if other > block_id}
        return True

    def spend(self, length: int) -> tuple[tuple[PadRange, ...], Pad]:
        """`Direction.spend` of our own direction, within what is marked as spent, or marking more."""
        if self.shut:
            raise Exhausted("the link is in quarantine: somebody may be listening")
        spent = self.own.spend(length)
        self.taken_bytes += length
        self._mark_ahead()
        return spent

    def _mark_ahead(self) -> None:
        memory, spent = self._memory, self.own.spent
        if memory is None or spent is None or (self._mark is not None and spent <= self._mark):
            return
        window = min(MOST_AHEAD_BYTES, max(LEAST_AHEAD_BYTES, self.own.shared_bytes // 8))
        self._mark = self.own.ahead(window) or spent
        memory.mark(self._mark)

    def claim(self, ranges: tuple[PadRange, ...]) -> Pad | None:
        """`Direction.claim` of the other end's direction."""
        taken = self.their.claim(ranges)
        if taken is not None:
            self.taken_bytes += len(taken)
            self._follow()
        return taken

    def _follow(self) -> None:
        if self._memory is not None and self.their.spent is not None:
            self._memory.follow(self.their.spent)

    def distrust(self, since_block_id: int) -> tuple[int, int]:
        """Destroy the blocks from this id on, and take or spend nothing until `trust`.

        The bits destroyed, and those of such blocks that were spent before (as far as blocks are remembered).
        """
        self.shut = True
        spent = sum(
            self._spent_of(block_id, length, self.own if own else self.their)
            for block_id, own, length in self._recent
            if block_id >= since_block_id
        )
        before = self.stored_bits
        for direction in (self.own, self.their):
            suspect = [block_id for block_id in direction.stock().held if block_id >= since_block_id]
            direction.give_up(suspect)
            if self._memory is not None:
                for block_id in suspect:
                    self._memory.gone(block_id, own=direction is self.own, lazy=False)
        self._ahead.clear()
        return before - self.stored_bits, 8 * spent

    def trust(self) -> None:
        """The link is used again."""
        self.shut = False

    @staticmethod
    def _spent_of(block_id: int, length: int, direction: Direction) -> int:
        spent = direction.spent
        if spent is None or block_id > spent.block_id:
            return 0
        return length if block_id < spent.block_id else min(length, spent.offset)

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

        Nobody can know our own direction to be spent further than we do, unless what we remember is older
        than the truth (a disk put back from a backup): then what that memory gave us is not used any more.
        """
        self._ahead.clear()
        if own.spent is not None and (self.own.spent is None or own.spent > self.own.spent):
            self.own.drop_upto(self._restored)
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
        self._follow()
        spent = self.own.spent
        if self._memory is not None and spent is not None and (self._mark is None or spent > self._mark):
            self._mark = spent
            self._memory.mark(spent, lazy=True)

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
