"""Nothing leaves before it is durable, everything leaves in order, and a failing disk loses nothing."""

import asyncio
import threading

import pytest
from tests.agents.keys.paper import PaperDisk, PaperLedger

from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.storage.gate import Frames, Gate
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_core.model.ids import LinkId

LINK = LinkId("link")


class Slow(PaperLedger):
    """A ledger whose commits take as long as a test wants."""

    slow = True

    def __init__(self, disk: PaperDisk) -> None:
        super().__init__(disk)
        self.going = threading.Event()
        self.going.set()

    def commit(self) -> None:
        upto = self.noted
        self.going.wait(5)
        super().commit()
        self.kept = upto


class Door:
    """A gate and what comes out of it."""

    def __init__(self, ledger: PaperLedger) -> None:
        self.ledger = ledger
        self.out: list[object] = []
        self.told: list[str | None] = []
        self.decided: list[bool] = []
        self.gate = Gate(ledger, self._sent, self.told.append, self.decided.append, lambda: 0.0)

    def _sent(self, frames: Frames) -> None:
        self.out += [frame for _, _, frame in frames]

    def push(self, frame: bytes) -> None:
        self.gate.push([(LINK, 1, frame)])

    def answer(self, name: str) -> None:
        self.gate.once_durable(lambda error: self.out.append((name, error and str(error))))

    def note(self, *, lazy: bool = False) -> None:
        self.ledger.shelf("room").put(b"key", b"value", lazy=lazy)


def test_frames_and_answers_leave_in_order_after_the_commit() -> None:
    door = Door(PaperLedger(PaperDisk()))
    door.push(b"before")
    door.note()
    door.push(b"after")
    door.answer("done")
    assert door.out == []
    door.gate.turn()
    assert door.out == [b"before", b"after", ("done", None)]
    assert door.ledger.disk.commits == 1


def test_nothing_is_committed_where_nobody_waits_for_it() -> None:
    door = Door(PaperLedger(PaperDisk()))
    door.note(lazy=True)
    door.push(b"free")
    door.gate.turn()
    assert (door.out, door.ledger.disk.commits) == ([b"free"], 0)
    door.gate.beat()
    door.gate.beat()
    assert door.ledger.disk.commits == 1, "a beat makes durable what is lazy"


def test_a_full_disk_refuses_answers_and_holds_frames_until_there_is_room() -> None:
    door = Door(PaperLedger(PaperDisk()))
    door.ledger.disk.full = True
    door.note()
    door.push(b"frame")
    door.answer("first")
    door.gate.turn()
    assert door.out == [("first", "the disk is full")]
    assert (door.told, door.decided) == (["the disk is full"], [False])
    door.answer("second")
    door.gate.turn()
    assert len(door.out) == 1, "tried again with the beat, not with every turn"
    door.gate.beat()
    assert door.out[1:] == [("second", "the disk is full")]
    assert len(door.told) == 1, "told once"
    door.ledger.disk.full = False
    door.answer("third")
    door.gate.beat()
    assert door.out[2:] == [b"frame", ("third", None)]
    assert (door.told[1:], door.decided[-1]) == ([None], True)


async def test_a_slow_commit_holds_what_comes_meanwhile_for_the_next_one() -> None:
    ledger = Slow(PaperDisk())
    door = Door(ledger)
    ledger.going.clear()
    door.gate.cost_s = 1.0  # the disk was slow before
    door.note()
    door.push(b"one")
    door.gate.turn()
    await asyncio.sleep(0.02)
    door.note()
    door.push(b"two")
    door.push(b"three")
    door.gate.turn()
    assert door.out == []
    ledger.going.set()
    await door.gate.durable()
    assert door.out == [b"one", b"two", b"three"]
    assert ledger.disk.commits == 2


async def test_who_waits_hears_that_it_cannot_be_made_durable() -> None:
    door = Door(PaperLedger(PaperDisk()))
    await door.gate.durable()
    door.ledger.disk.full = True
    door.note()
    with pytest.raises(LedgerFailed, match="the disk is full"):
        await door.gate.durable()
    door.ledger.disk.full = False
    door.gate.beat()
    await door.gate.durable()


def test_what_was_handed_out_goes_or_comes_back_the_latest_first() -> None:
    ledger = PaperLedger(PaperDisk())
    undecided, acts = Undecided(ledger), list[str]()

    def hand_out(name: str) -> None:
        undecided.add(lambda: acts.append(f"{name} gone"), lambda: acts.append(f"{name} back"))

    hand_out("a")
    assert acts == ["a gone"], "nothing was noted"
    shelf = ledger.shelf("room")
    shelf.put(b"key", b"1")
    hand_out("b")
    ledger.commit()
    shelf.put(b"key", b"2")
    hand_out("c")
    hand_out("d")
    undecided.undo()
    assert acts == ["a gone", "b gone", "d back", "c back"]
