"""The law of pairing under every loss: the owner never has a block that the other end lacks."""

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.material import Secret
from keyweave_agents.quantum.frames import Ack, Block, Settled
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_agents.quantum.pairing import WINDOW, Ends, Receiving, Sending
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import NodeId

ALICE, BOB = NodeId("alice"), NodeId("bob")
ENDS = Ends(transmitter=ALICE, receiver=BOB)


@dataclass
class Fibre:
    """Both halves and the wire between them; every deposit checks the law."""

    deposits: dict[NodeId, list[KeyBlock]] = field(default_factory=lambda: {ALICE: [], BOB: []})
    sent: int = 0

    def __post_init__(self) -> None:
        self.forth: deque[Block | Settled] = deque()
        self.back: deque[Ack] = deque()
        self.sending = Sending(ENDS, lambda block: self.deposit(ALICE, block), first_block_id=100)
        self.receiving = Receiving(ENDS, lambda block: self.deposit(BOB, block), newest_block_id=0)

    def deposit(self, node: NodeId, block: KeyBlock) -> None:
        mine, other = self.deposits[node], self.deposits[BOB if node == ALICE else ALICE]
        assert not mine or block.block_id > mine[-1].block_id, "ids rise strictly at each end"
        if block.owner == node:
            same = [theirs for theirs in other if theirs.block_id == block.block_id]
            assert same, "the owner deposits only what the follower has"
            assert same[0].material.same_as(block.material)
            assert same[0].owner == node
        # A copy: what is wiped on a loss must not be what was deposited.
        copy = block.material.slice(0, len(block.material))
        mine.append(KeyBlock(block_id=block.block_id, owner=block.owner, material=copy))

    def send(self, owner: NodeId) -> None:
        if not self.sending.full:
            self.sent += 1
            frame = self.sending.send(owner, Secret(self.sent.to_bytes(4, "big")))
            copy = frame.material.slice(0, len(frame.material))  # a wire carries bytes, not objects
            self.forth.append(Block(block_id=frame.block_id, owner=frame.owner, material=copy))

    def deliver_forth(self) -> None:
        if self.forth:
            frame = self.forth.popleft()
            acks = (
                self.receiving.arrived(frame) if isinstance(frame, Block) else self.receiving.settled(frame)
            )
            self.back += acks

    def deliver_back(self) -> None:
        if self.back:
            answer = self.sending.acknowledged(self.back.popleft())
            if answer is not None:
                self.forth.append(answer)

    def cut(self) -> None:
        """Everything on the wire is gone; both ends begin again as after a new greeting."""
        self.forth.clear()
        self.back.clear()
        self.sending.lost()
        self.receiving.lost()
        following, newest = self.sending.next_block_id, self.receiving.newest_block_id
        self.sending = Sending(ENDS, lambda block: self.deposit(ALICE, block), first_block_id=following)
        self.receiving = Receiving(ENDS, lambda block: self.deposit(BOB, block), newest_block_id=newest)

    def drain(self) -> None:
        while self.forth or self.back:
            self.deliver_forth()
            self.deliver_back()


STEPS = st.sampled_from(["send to alice", "send to bob", "forth", "back", "cut"])


@given(st.lists(STEPS, max_size=200))
def test_whatever_is_lost_no_owner_is_alone(steps: list[str]) -> None:
    fibre = Fibre()
    for step in steps:
        match step:
            case "send to alice":
                fibre.send(ALICE)
            case "send to bob":
                fibre.send(BOB)
            case "forth":
                fibre.deliver_forth()
            case "back":
                fibre.deliver_back()
            case _:
                fibre.cut()


@given(st.lists(st.sampled_from([ALICE, BOB]), max_size=WINDOW))
def test_without_a_loss_both_ends_hold_everything(owners: list[NodeId]) -> None:
    fibre = Fibre()
    for owner in owners:
        fibre.send(owner)
    fibre.drain()
    for node in (ALICE, BOB):
        assert [block.owner for block in fibre.deposits[node]] == owners
        assert [block.block_id for block in fibre.deposits[node]] == list(range(100, 100 + len(owners)))


def test_a_lost_acknowledgement_leaves_the_block_with_its_follower_only() -> None:
    fibre = Fibre()
    fibre.send(ALICE)
    fibre.deliver_forth()
    fibre.cut()
    fibre.send(ALICE)
    fibre.drain()
    assert [block.block_id for block in fibre.deposits[ALICE]] == [101]
    assert [block.block_id for block in fibre.deposits[BOB]] == [100, 101]


def test_a_lost_settlement_leaves_the_block_with_its_follower_only() -> None:
    fibre = Fibre()
    fibre.send(BOB)
    fibre.deliver_forth()
    fibre.deliver_back()
    fibre.cut()
    fibre.send(BOB)
    fibre.drain()
    assert [block.block_id for block in fibre.deposits[ALICE]] == [100, 101]
    assert [block.block_id for block in fibre.deposits[BOB]] == [101]


def test_a_followed_block_waits_behind_an_unsettled_one() -> None:
    fibre = Fibre()
    fibre.send(BOB)
    fibre.send(ALICE)
    fibre.deliver_forth()
    fibre.deliver_forth()
    assert fibre.deposits[BOB] == []
    assert list(fibre.back) == [Ack(block_id=100)]
    fibre.drain()
    assert len(fibre.deposits[BOB]) == len(fibre.deposits[ALICE]) == 2


def test_lost_wipes_and_counts() -> None:
    fibre = Fibre()
    material = Secret(b"\xff" * 8)
    fibre.sending.send(ALICE, material)
    assert fibre.sending.lost() == 64
    assert material.same_as(Secret(bytes(8)))
    held = Secret(b"\xff" * 8)
    fibre.receiving.arrived(Block(block_id=5, owner="receiver", material=held))
    assert fibre.receiving.lost() == 64
    assert held.same_as(Secret(bytes(8)))


def test_the_window_is_bounded_at_both_ends() -> None:
    fibre = Fibre()
    for _ in range(WINDOW):
        fibre.send(BOB)
    assert fibre.sending.full
    with pytest.raises(ValueError, match="wait for their acknowledgement"):
        fibre.sending.send(BOB, Secret(b"x"))
    for _ in range(WINDOW):
        fibre.deliver_forth()
    with pytest.raises(MalformedMessage, match="more than the window"):
        fibre.receiving.arrived(Block(block_id=999, owner="receiver", material=Secret(b"x")))


def test_a_peer_that_does_not_follow_the_protocol_is_refused() -> None:
    fibre = Fibre()
    with pytest.raises(MalformedMessage, match="acknowledged out of turn"):
        fibre.sending.acknowledged(Ack(block_id=1))
    with pytest.raises(MalformedMessage, match="settled out of turn"):
        fibre.receiving.settled(Settled(block_id=1))
    fibre.receiving.arrived(Block(block_id=7, owner="transmitter", material=Secret(b"x")))
    with pytest.raises(MalformedMessage, match="block 7 after block 7"):
        fibre.receiving.arrived(Block(block_id=7, owner="transmitter", material=Secret(b"x")))
    with pytest.raises(ValueError, match="at neither end"):
        fibre.sending.send(NodeId("eve"), Secret(b"x"))
