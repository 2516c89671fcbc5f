"""Stored keys: found by id however it was made, given once to each client, back after a restart."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.keys.paper import PaperDisk, PaperLedger

from keyweave_agents.keys.buffers import ReadyBuffer
from keyweave_agents.keys.destination import DestinationStore, StoredBatch
from keyweave_agents.keys.failures import KeysNotFound, LedgerFailed, NotEntitled
from keyweave_agents.keys.key_batch import KeyBatch, fresh_ids, raw_id
from keyweave_agents.keys.relaying.frames import Batch, uuid_text
from keyweave_agents.keys.storage.ready_memory import LaneName, ReadyMemory
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, SaeId

APP = AppId("00000000-0000-4000-8000-000000000a00")
MASTER, SLAVE, THIRD = SaeId("master"), SaeId("slave"), SaeId("third")
LINK = LinkId("00000000-0000-4000-8000-000000000500")


def keys(ids: bytes, *, expires_s: float = 100.0, origin: KeyOrigin = KeyOrigin.QKD) -> KeyBatch:
    batch = Batch(batch_id=os.urandom(16), app_id=APP, link_id=LINK, key_bytes=32, key_ids=ids, origin=origin)
    return KeyBatch.of(batch, Secret(os.urandom(2 * len(ids))), expires_s=expires_s, lives_s=100.0)


def stored(made: KeyBatch, clients: tuple[SaeId, ...] = (SLAVE,)) -> StoredBatch:
    return StoredBatch(os.urandom(16), made, APP, MASTER, clients)


def texts(made: KeyBatch) -> tuple[str, ...]:
    return tuple(uuid_text(made.id_at(index)) for index in range(made.count))


class Node:
    """A store on a disk of paper, and its next life."""

    def __init__(self, disk: PaperDisk | None = None, at_s: float = 0.0) -> None:
        self.disk = disk or PaperDisk()
        self.ledger = PaperLedger(self.disk)
        self.undecided = Undecided(self.ledger)
        self.store = DestinationStore(self.ledger, self.undecided)
        self.store.restore(wall_s=1000.0 + at_s, now_s=0.0)

    def put(self, batch: StoredBatch) -> None:
        assert self.store.takes(batch.keys)
        self.store.put(batch, wall_s=1000.0, now_s=0.0)
        self.commit()

    def commit(self) -> None:
        self.ledger.commit()
        self.undecided.settle()

    def killed(self, at_s: float = 0.0) -> "Node":
        return Node(self.disk, at_s)


# --- ids ---------------------------------------------------------------------------------------------


@given(st.integers(1, 700), st.integers(0, 2**32))
def test_fresh_ids_are_uuids_of_version_4_that_need_no_table(number: int, seed: int) -> None:
    import random
    import uuid

    ids = fresh_ids(number, random.Random(seed).randbytes)  # noqa: S311 - a repeatable test
    made = keys(ids)
    assert made.numbered
    assert len(made.ids) == 14
    assert made.ids_of(0, number) == ids
    for index in {0, number // 2, number - 1}:
        one = uuid.UUID(bytes=made.id_at(index))
        assert (one.version, one.variant) == (4, uuid.RFC_4122)
    assert len({ids[at : at + 16] for at in range(0, len(ids), 16)}) == number


def test_what_is_no_uuid_text_is_no_id() -> None:
    assert raw_id("0123abcd-0000-4000-8000-00000000000F") == bytes.fromhex("0123abcd00004000800000000000000f")
    for text in ("", "x" * 36, "0123abcd000040008000000000000000", "0123abcd-0000-4000-8000-0000000000 f"):
        assert raw_id(text) is None


# --- the destination ---------------------------------------------------------------------------------


@pytest.mark.parametrize("foreign", [False, True])
def test_a_key_is_found_by_its_id_and_given_once(foreign: bool) -> None:
    node = Node()
    made = keys(os.urandom(16 * 5) if foreign else fresh_ids(5, os.urandom))
    assert made.numbered is not foreign
    node.put(stored(made))
    ids, bits = texts(made), [bytes(made.keys_of(index, 1)) for index in range(5)]
    assert all(key_id in node.store for key_id in ids)
    assert node.store.count(APP) == 5
    got = node.store.fetch(SLAVE, MASTER, (ids[3], ids[0].upper()))
    assert [bytes(secret.reveal()) for _, secret, _ in got] == [bits[3], bits[0]]
    node.commit()
    assert node.store.count(APP) == 3
    for again in ((ids[3],), (ids[1], ids[3]), (ids[1], ids[1]), (ids[1], "nothing")):
        with pytest.raises(KeysNotFound) as caught:
            node.store.fetch(SLAVE, MASTER, again)
        assert caught.value.key_ids == again[-1:]
    ((bundle, batch),) = node.store.fetch_bundles(SLAVE, MASTER, made.ids_of(1, 2))
    assert bytes(bundle.keys.reveal()) == bits[1] + bits[2]
    assert (bundle.key_ids, bundle.links, batch.app_id) == (made.ids_of(1, 2), (LINK,), APP)


def test_ids_that_are_here_are_not_taken_again() -> None:
    node = Node()
    own, strange = keys(fresh_ids(4, os.urandom)), keys(os.urandom(32))
    node.put(stored(own))
    assert not node.store.takes(keys(own.ids_of(0, 4)))
    node.put(stored(strange))
    assert not node.store.takes(keys(own.ids_of(2, 1) + os.urandom(16)))
    assert not node.store.takes(keys(strange.id_at(1) + os.urandom(16)))
    twice = os.urandom(16)
    assert not node.store.takes(keys(twice + twice))


def test_every_client_has_its_own_copy_also_after_a_kill() -> None:
    node = Node()
    made = keys(fresh_ids(3, os.urandom))
    node.put(stored(made, (SLAVE, THIRD)))
    ids = texts(made)
    node.store.fetch(SLAVE, MASTER, ids[:2])
    node.commit()
    node = node.killed()
    assert node.store.count(APP) == 3
    with pytest.raises(KeysNotFound):
        node.store.fetch(SLAVE, MASTER, ids[:1])
    with pytest.raises(NotEntitled):
        node.store.fetch(MASTER, MASTER, ids[:1])
    node.store.fetch(THIRD, MASTER, ids)
    node.store.fetch(SLAVE, MASTER, ids[2:])
    node.commit()
    node.commit()
    assert node.store.count(APP) == 0
    assert not node.disk.records, "of a batch that everybody fetched nothing is left"


def test_a_fetch_that_cannot_be_noted_is_as_if_it_never_was() -> None:
    node = Node()
    made = keys(fresh_ids(2, os.urandom))
    node.put(stored(made, (SLAVE, THIRD)))
    ids, bits = texts(made), bytes(made.keys_of(0, 2))
    node.disk.full = True
    for client in (SLAVE, THIRD):
        node.store.fetch(client, MASTER, ids)
    assert node.store.count(APP) == 0
    with pytest.raises(LedgerFailed):
        node.ledger.commit()
    node.undecided.undo()
    assert node.store.count(APP) == 2
    node.disk.full = False
    node.commit()
    node = node.killed()
    for client in (SLAVE, THIRD):
        got = node.store.fetch(client, MASTER, ids)
        assert b"".join(bytes(secret.reveal()) for _, secret, _ in got) == bits


def test_keys_live_by_the_clock_on_the_wall_across_a_kill_and_no_longer_than_their_kind() -> None:
    node = Node()
    node.put(stored(keys(fresh_ids(4, os.urandom))))
    later = node.killed(at_s=60.0)
    assert (later.store.expire(39.0), later.store.expire(41.0)) == (0, 4)
    set_back = node.killed(at_s=-5000.0)
    assert (set_back.store.expire(99.0), set_back.store.expire(101.0)) == (0, 4)
    set_forward = node.killed(at_s=5000.0)
    assert set_forward.store.expire(0.0) == 4
    set_forward.commit()
    assert not node.disk.records


def test_a_store_that_was_put_back_gives_nothing() -> None:
    node = Node()
    node.put(stored(keys(fresh_ids(4, os.urandom))))
    node.disk.put_back(node.disk.copy(), noticed=True)
    again = node.killed()
    assert len(again.store) == 0
    again.commit()
    assert not node.disk.records


def test_withdrawn_keys_are_gone_and_stay_so() -> None:
    node = Node()
    made = keys(fresh_ids(3, os.urandom))
    node.put(stored(made, (SLAVE, THIRD)))
    ids = texts(made)
    node.store.fetch(THIRD, MASTER, ids[1:2])
    assert node.store.withdraw(APP, ids) == [ids[0], ids[2]], "one was fetched by somebody"
    assert node.store.withdraw(AppId("other"), ids) == []
    node.commit()
    node = node.killed()
    with pytest.raises(KeysNotFound):
        node.store.fetch(SLAVE, MASTER, ids[:1])
    node.store.fetch(SLAVE, MASTER, ids[1:2])


# --- the source --------------------------------------------------------------------------------------


class Source:
    """A ready buffer on a disk of paper, and its next life."""

    name = LaneName(APP, 32, spare=False)

    def __init__(self, disk: PaperDisk | None = None) -> None:
        self.disk = disk or PaperDisk()
        self.ledger = PaperLedger(self.disk)
        self.undecided = Undecided(self.ledger)
        self.memory = ReadyMemory(self.ledger, self.undecided, lambda: 1000.0)
        self.memory.restore(intact=self.ledger.intact, now_s=0.0)
        self.buffer = ReadyBuffer(self.memory, self.name)
        self.keeper = b""
        left = self.memory.left(APP)
        if left is not None:
            self.keeper = left.keeper
            self.buffer.restore(left.lanes[self.name])

    def commit(self) -> None:
        self.ledger.commit()
        self.undecided.settle()

    def drawn(self, number: int) -> list[str]:
        return [key.supplied.key_id for key in self.buffer.draw(number)]


def test_a_crash_costs_at_most_the_window_and_gives_no_key_twice() -> None:
    source = Source()
    batches = [keys(fresh_ids(32, os.urandom)) for _ in range(4)]
    everything = [key_id for batch in batches for key_id in texts(batch)]
    for batch in batches:
        source.buffer.put(batch, keeper=b"k" * 16)
    first = source.drawn(40)
    assert first == everything[:40]
    source.commit()
    second = source.drawn(8)
    assert source.ledger.noted == source.ledger.kept, "within the mark no commit is needed"
    source = Source(source.disk)
    assert source.keeper == b"k" * 16
    left = source.drawn(len(source.buffer))
    assert not set(left) & {*first, *second}
    assert left == everything[40 + (128 - 40) // 8 :]


def test_a_proper_end_costs_nothing() -> None:
    source = Source()
    batch = keys(fresh_ids(32, os.urandom))
    everything = texts(batch)
    source.buffer.put(batch)
    assert source.drawn(5) == list(everything[:5])
    source.buffer.close()
    source.commit()
    source = Source(source.disk)
    assert source.drawn(27) == list(everything[5:])


def test_a_draw_that_cannot_be_noted_is_as_if_it_never_was() -> None:
    source = Source()
    batch = keys(fresh_ids(16, os.urandom))
    everything, bits = list(texts(batch)), bytes(batch.keys_of(0, 16))
    source.buffer.put(batch)
    source.disk.full = True
    one, two = source.buffer.draw(3), source.buffer.draw_bundles(13)
    assert len(source.buffer) == 0
    with pytest.raises(LedgerFailed):
        source.ledger.commit()
    source.undecided.undo()
    source.disk.full = False
    again = source.buffer.draw(16)
    assert [key.supplied.key_id for key in again] == everything
    assert b"".join(bytes(key.supplied.key.reveal()) for key in again) == bits
    assert len(one) == 3
    assert two[0].count == 13


def test_keys_are_drawn_by_origin_and_withdrawn_by_id() -> None:
    source = Source()
    qkd, hybrid = keys(fresh_ids(4, os.urandom)), keys(fresh_ids(4, os.urandom), origin=KeyOrigin.HYBRID)
    source.buffer.put(qkd)
    source.buffer.put(hybrid)
    only = frozenset({KeyOrigin.HYBRID})
    assert source.buffer.count(only) == 4
    assert [key.supplied.origin for key in source.buffer.draw(2, only)] == [KeyOrigin.HYBRID] * 2
    gone = {texts(qkd)[1], texts(hybrid)[0], texts(hybrid)[3]}
    assert source.buffer.withdraw(gone) == [texts(qkd)[1], texts(hybrid)[3]], "one of them was drawn"
    assert source.drawn(4) == [*texts(qkd)[:1], *texts(qkd)[2:], texts(hybrid)[2]]
    source.commit()
    assert len(Source(source.disk).buffer) == 0


def test_ready_keys_that_nobody_plans_are_forgotten() -> None:
    source = Source()
    source.buffer.put(keys(fresh_ids(16, os.urandom)))
    source.commit()
    ledger = PaperLedger(source.disk)
    memory = ReadyMemory(ledger, Undecided(ledger), lambda: 1000.0)
    memory.restore(intact=True, now_s=0.0)
    memory.forsake()
    assert memory.left(APP) is None
    ledger.commit()
    assert not source.disk.records
