"""What of the pools outlives the process: blocks, and how far each direction is spent.

Rule of this file: our own direction is marked as spent *ahead* of where it is (`Mark`), so that one commit
covers many messages; after a crash everything before the mark counts as spent. The other end's direction is
only followed: its owner says how far it is. Blocks come and go lazily: one that was not yet on disk is one
that this end never had, and one that still is there though spent lies before the mark.

    <link id> o <block id>   time of arrival and material of a block that we spend
    <link id> t <block id>   the same of a block that the other end spends
    <link id> O              mark of our own direction
    <link id> T              how far we know the other one to be spent
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from keyweave_agents.keys.storage.ledger import Ledger, Shelf
from keyweave_agents.material import Secret
from keyweave_core.model.ids import LinkId

_ID = struct.Struct(">Q")
_SPENT = struct.Struct(">QQ")
_TIME = struct.Struct(">d")

Spent = tuple[int, int]
"""A position: block and byte (`store.Position`)."""


class StoredBlock(NamedTuple):
    """A block that outlived the process. `came_s` is wall time."""

    own: bool
    block_id: int
    material: Secret
    came_s: float


@dataclass(slots=True)
class Remembered:
    """What the last run left of one pool; blocks in the order of their ids."""

    mark: Spent | None = None
    followed: Spent | None = None
    blocks: list[StoredBlock] = field(default_factory=list)


class PoolMemory:
    """Where one pool notes what must outlive the process."""

    def __init__(self, shelf: Shelf, link_id: LinkId, wall_s: Callable[[], float], left: Remembered) -> None:
        self._shelf = shelf
        self._head = link_id.encode()
        self.wall_s = wall_s
        self.left = left

    def came(self, block_id: int, material: Secret, *, own: bool) -> None:
        """A block is in the pool."""
        value = bytearray(_TIME.pack(self.wall_s()))
        value += material.reveal()
        self._shelf.put(self._block(block_id, own=own), value, lazy=True)
        value[:] = bytes(len(value))

    def gone(self, block_id: int, *, own: bool, lazy: bool = True) -> None:
        """Nothing of a block is left; not `lazy`: it must not come back."""
        self._shelf.delete(self._block(block_id, own=own), lazy=lazy)

    def mark(self, position: Spent, *, lazy: bool = False) -> None:
        """Everything of our own direction before `position` counts as spent from now on."""
        self._shelf.put(self._head + b"O", _SPENT.pack(*position), lazy=lazy)

    def follow(self, position: Spent) -> None:
        """The other end's direction is known to be spent so far."""
        self._shelf.put(self._head + b"T", _SPENT.pack(*position), lazy=True)

    def _block(self, block_id: int, *, own: bool) -> bytes:
        return self._head + (b"o" if own else b"t") + _ID.pack(block_id)


def pool_memories(
    ledger: Ledger, links: list[LinkId], wall_s: Callable[[], float]
) -> dict[LinkId, PoolMemory]:
    """What the pools of these links note, with what was left of each; none when the ledger does not last.

    What belongs to other links is forgotten, and everything when the ledger is not intact.
    """
    if not ledger.lasting:
        return {}
    shelf = ledger.shelf("pools")
    left = {link_id.encode(): Remembered() for link_id in links}
    for key, value in shelf.items():
        link, kind, rest = _parts(key)
        if link not in left or not ledger.intact:
            shelf.delete(key, lazy=True)
        elif kind == b"O":
            left[link].mark = _SPENT.unpack(value)
        elif kind == b"T":
            left[link].followed = _SPENT.unpack(value)
        else:
            material = Secret(memoryview(value)[_TIME.size :])
            (came_s,) = _TIME.unpack_from(value)
            (block_id,) = _ID.unpack(rest)
            left[link].blocks.append(StoredBlock(kind == b"o", block_id, material, came_s))
        value[:] = bytes(len(value))
    return {link_id: PoolMemory(shelf, link_id, wall_s, left[link_id.encode()]) for link_id in links}


def _parts(key: bytes) -> tuple[bytes, bytes, bytes]:
    link, rest = key[:36], key[36:]
    return link, rest[:1], rest[1:]
