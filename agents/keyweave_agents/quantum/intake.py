"""Where the quantum layer hands its key to the key management layer (ITU-T Y.3802 reference point Kq-1).

Rule of this file: the port only. The key manager implements it; the modules call it. Both ends of a fibre
call `deposit` with the same bits under the same block id.
"""

from dataclasses import dataclass
from typing import Protocol

from keyweave_agents.material import Secret
from keyweave_core.model.ids import LinkId, NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Distrusted:
    """What became of key that is not trusted any more, bits of one end's pool: destroyed, or used before."""

    discarded_bits: int
    spent_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBlock:
    """Fresh key of one physical link, equal at both ends.

    `block_id` is 0..2**63-1 and strictly increasing along the life of a link, also across restarts of its
    transmitter. `owner` is the one end that may spend the block; the other follows it.
    """

    block_id: int
    owner: NodeId
    material: Secret


class KeySink(Protocol):
    """The key manager as the quantum layer sees it."""

    def next_owner(self, link_id: LinkId) -> NodeId | None:
        """Whose the next block shall be; None when the pool has no room (the key is then not kept).

        Asked at the transmitter only. KeyError for a link the key manager does not know.
        """
        ...

    def deposit(self, link_id: LinkId, block: KeyBlock) -> None:
        """Put a block into the pool; an id not above the newest one there is ignored (a repeat)."""
        ...

    def distrust(self, link_id: LinkId, since_block_id: int) -> Distrusted:
        """Destroy every block from this id on, and neither take nor use any key of the link until `trust`.

        The other end does the same; a block that only one of them destroyed is used by neither. May be said
        again, with an older block. KeyError for a link the key manager does not know.
        """
        ...

    def trust(self, link_id: LinkId) -> None:
        """The link is used again. Without a `distrust` before, nothing changes."""
        ...
