"""How two modules come to hold the same blocks: the transmitter's half and the receiver's half.

Rule of this file: no I/O and no waiting. One law holds at every moment, whatever is lost and wherever the
connection breaks: *the owner of a block deposits it only when the other end already has it.* The owner is the
one who spends, so no key is ever spent that the other end lacks; and a block that only the follower has is
never named by the owner and is skipped there (the ends agree on positions, ARCHITECTURE section 5).

    transmitter owns   BLOCK -> receiver deposits   <- ACK  transmitter deposits
    receiver owns      BLOCK -> receiver holds      <- ACK  transmitter deposits
                       SETTLED -> receiver deposits

When the connection ends, both forget what is on its way (`lost`): nothing is ever sent again under the same
id, so nothing can be deposited twice. What that costs is at most one window of key a cut:
- ACK lost, transmitter owns: the receiver has a block that its owner never spends.
- SETTLED lost, receiver owns: the transmitter has a block that its owner never spends.
Blocks are deposited in the order of their ids at both ends: the receiver keeps later blocks back while an
earlier one is not settled, and acknowledges them only then.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from keyweave_agents.material import Secret
from keyweave_agents.quantum.frames import MAX_BLOCK_BYTES, Ack, Block, Settled
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_agents.quantum.module_settings import ModuleRole
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import NodeId

WINDOW = 32
"""Most blocks that wait for their acknowledgement; at 20 blocks a second it covers 1.6 s of fibre."""

Deposit = Callable[[KeyBlock], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Which node plays which role on a fibre."""

    transmitter: NodeId
    receiver: NodeId

    def node(self, role: ModuleRole) -> NodeId:
        """The node of a role."""
        return self.transmitter if role == "transmitter" else self.receiver

    def role(self, node: NodeId) -> ModuleRole:
        """The role of a node; ValueError when it is at neither end."""
        if node == self.transmitter:
            return "transmitter"
        if node == self.receiver:
            return "receiver"
        raise ValueError(f"node {node} is at neither end of the fibre")


class Sending:
    """The transmitter's half of one connection. `first_block_id` must be above everything sent before."""

    def __init__(self, ends: Ends, deposit: Deposit, *, first_block_id: int) -> None:
        self._ends = ends
        self._deposit = deposit
        self._waiting: deque[KeyBlock] = deque()
        self.next_block_id = first_block_id

    @property
    def full(self) -> bool:
        """No further block may be sent before an acknowledgement comes."""
        return len(self._waiting) >= WINDOW

    def send(self, owner: NodeId, material: Secret) -> Block:
        """The frame of a new block; ValueError when the window is full or the owner is at neither end."""
        if self.full:
            raise ValueError(f"{WINDOW} blocks wait for their acknowledgement already")
        role = self._ends.role(owner)
        block = KeyBlock(block_id=self.next_block_id, owner=owner, material=material)
        self.next_block_id += 1
        self._waiting.append(block)
        return Block(block_id=block.block_id, owner=role, material=material)

    def acknowledged(self, ack: Ack) -> Settled | None:
        """Deposit the oldest waiting block; the answer, when its owner waits for one.

        MalformedMessage when the acknowledgement is for another block: the ends disagree.
        """
        if not self._waiting or self._waiting[0].block_id != ack.block_id:
            raise MalformedMessage(f"block {ack.block_id} was acknowledged out of turn")
        block = self._waiting.popleft()
        self._deposit(block)
        return Settled(block_id=block.block_id) if block.owner == self._ends.receiver else None

    def lost(self) -> int:
        """Forget what is on its way; how many bits that were."""
        bits = sum(block.material.bits for block in self._waiting)
        for block in self._waiting:
            block.material.wipe()
        self._waiting.clear()
        return bits


class Receiving:
    """The receiver's half of one connection. `newest_block_id` is the newest block it ever deposited."""

    def __init__(self, ends: Ends, deposit: Deposit, *, newest_block_id: int) -> None:
        self._ends = ends
        self._deposit = deposit
        self._held: deque[KeyBlock] = deque()
        self._newest_arrived = newest_block_id
        self.newest_block_id = newest_block_id

    def arrived(self, frame: Block) -> list[Ack]:
        """Take a block; the acknowledgements that are due now.

        MalformedMessage for an id that is not new, or more blocks than the window allows.
        """
        if frame.block_id <= self._newest_arrived:
            raise MalformedMessage(f"block {frame.block_id} after block {self._newest_arrived}")
        if len(self._held) >= WINDOW or len(frame.material) > MAX_BLOCK_BYTES:
            raise MalformedMessage(f"block {frame.block_id} is more than the window of {WINDOW}")
        self._newest_arrived = frame.block_id
        owner = self._ends.node(frame.owner)
        self._held.append(KeyBlock(block_id=frame.block_id, owner=owner, material=frame.material))
        return self._advance() if len(self._held) == 1 else []

    def settled(self, frame: Settled) -> list[Ack]:
        """Deposit the own block that waited for this; the acknowledgements that are due now."""
        head = self._held[0] if self._held else None
        if head is None or head.block_id != frame.block_id or head.owner != self._ends.receiver:
            raise MalformedMessage(f"block {frame.block_id} was settled out of turn")
        self._take()
        return self._advance()

    def lost(self) -> int:
        """Forget what is not deposited; how many bits that were."""
        bits = sum(block.material.bits for block in self._held)
        for block in self._held:
            block.material.wipe()
        self._held.clear()
        return bits

    def _advance(self) -> list[Ack]:
        """Deposit the followed blocks up to the next own one, which is acknowledged and then waits."""
        acks: list[Ack] = []
        while self._held:
            head = self._held[0]
            acks.append(Ack(block_id=head.block_id))
            if head.owner == self._ends.receiver:
                break
            self._take()
        return acks

    def _take(self) -> None:
        block = self._held.popleft()
        self._deposit(block)
        self.newest_block_id = block.block_id
