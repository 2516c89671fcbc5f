"""Laws of key managers with disks, whatever crashes and whenever.

1. No bit of a pool is used for two different messages (`Network` watches every message that leaves).
2. A key is supplied once per side, with the same bits on both.
3. What the master got the slave can fetch, however often either of them, or anybody between, is killed:
   unless a disk was lost or put back from a backup.

A turn of a node is: it is told something, it commits, and only then frames and answers leave. A crash here
strikes between any two of these.
"""

import contextlib
import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.agents.keys.network import MASTER, SLAVE, chain
from tests.agents.keys.paper import Place

from keyweave_agents.keys.failures import KeysNotFound
from keyweave_agents.keys.plan import KeyBundle, SuppliedKey
from keyweave_agents.keys.relaying.frames import uuid_text

NODES = st.integers(1, 4)
LINKS = st.integers(0, 2)
LAST = 4

SOME = settings(
    max_examples=int(os.environ.get("KEYWEAVE_EXAMPLES", "40")), stateful_step_count=40, deadline=None
)


class Durable(RuleBasedStateMachine):
    """A chain of four nodes with disks; an association from the first to the last."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: dict[str, bytes] = {}
        self.fetched: dict[str, bytes] = {}
        self.forgave = False  # a disk was lost: keys may be missing from now on
        self.backups: dict[int, dict[Place, bytes]] = {}

    @initialize(seed=st.integers(0, 99))
    def begin(self, seed: int) -> None:
        self.network = chain(4, seed=seed, durable=True)
        self.links = list(self.network.links)
        self.network.start()
        self.network.associate([1, 2, 3, 4])

    # --- an ordinary life ----------------------------------------------------------------------------

    @rule()
    def settle(self) -> None:
        self.network.settle()

    @rule(number=st.integers(1, 6), frames=st.integers(0, 30), size=st.integers(64, 600))
    def work(self, number: int, frames: int, size: int) -> None:
        """Everything is connected, and keys are taken; the last messages are still on their way."""
        self.all_connected(size)
        self.network.settle()
        self.draw(number)
        self.fetch()
        self.deliver(frames, frames)

    @rule(number=st.integers(1, 12), frames=st.integers(0, 60), node=NODES)
    def work_and_crash(self, number: int, frames: int, node: int) -> None:
        """A node dies while messages of many keys are on their way."""
        self.all_connected(400)
        self.network.settle()
        self.draw(number)
        self.network.request(number)
        self.deliver(number, frames)
        self.network.restart(node)
        self.network.gather()

    def all_connected(self, size: int) -> None:
        for link_id in self.links:
            self.network.connect(link_id)
            self.network.generate(link_id, size)
        self.network.gather()

    @rule(choice=st.integers(0, 50), times=st.integers(0, 6))
    def deliver(self, choice: int, times: int) -> None:
        for _ in range(times):
            busy = [key for key, wire in self.network.wires.items() if wire]
            if busy:
                self.network.deliver(*busy[choice % len(busy)])

    @rule(tenths=st.integers(0, 30))
    def tick(self, tenths: int) -> None:
        self.network.clock.time_s += tenths / 10
        self.network.tick()

    @rule(number=st.integers(1, 6))
    def draw(self, number: int) -> None:
        self.note(self.drawn, self.network.draw(number))

    @rule(number=st.integers(1, 12))
    def draw_and_fetch_in_bundles(self, number: int) -> None:
        """Without waiting, as one turn does for many applications."""
        drawn = self.network.planes[1].serving.draw(MASTER, SLAVE, number, 256)
        self.network.gather()
        if drawn is None or not self.network.commit(1):
            return
        self.note_bundles(self.drawn, drawn)
        for bundle in drawn:
            try:
                far = self.network.planes[LAST].serving.fetch_bundles(SLAVE, MASTER, bundle.key_ids)
            except KeysNotFound:
                continue
            if self.network.commit(LAST):
                self.note_bundles(self.fetched, far)

    def note_bundles(self, side: dict[str, bytes], bundles: tuple[KeyBundle, ...]) -> None:
        for bundle in bundles:
            bits = bytes(bundle.keys.reveal())
            for index in range(bundle.count):
                key_id = uuid_text(bundle.key_ids[16 * index : 16 * index + 16])
                assert key_id not in side, "a key was supplied twice on one side"
                side[key_id] = bits[32 * index : 32 * index + 32]
            assert all(self.drawn[key_id] == self.fetched.get(key_id, self.drawn[key_id]) for key_id in side)

    @rule(twice=st.booleans())
    def ask_for_keys_that_were_fetched(self, twice: bool) -> None:
        """A slave that was answered asks again, or with another key beside."""
        for key_id in sorted(self.fetched)[-3:]:
            with contextlib.suppress(KeysNotFound):
                keys = self.network.planes[LAST].serving.fetch(SLAVE, MASTER, (key_id,) * (1 + twice))
                self.note(self.fetched, keys)

    @rule()
    def fetch(self) -> None:
        """The slave asks for everything that the master has got and it has not."""
        for key_id in sorted(self.drawn.keys() - self.fetched.keys()):
            try:
                keys = self.network.planes[LAST].serving.fetch(SLAVE, MASTER, (key_id,))
            except KeysNotFound:
                continue
            if self.network.commit(LAST):
                self.note(self.fetched, keys)
                assert self.fetched[key_id] == self.drawn[key_id]

    @rule(link=LINKS, size=st.integers(64, 600))
    def generate(self, link: int, size: int) -> None:
        self.network.generate(self.links[link], size)

    @rule(link=LINKS, end=st.integers(0, 1))
    def generate_at_one_end(self, link: int, end: int) -> None:
        link_id = self.links[link]
        self.network.generate(link_id, 200, only=self.network.links[link_id][end])

    @rule(link=LINKS)
    def cut(self, link: int) -> None:
        self.network.disconnect(self.links[link])

    @rule(link=LINKS)
    def join(self, link: int) -> None:
        self.network.connect(self.links[link])
        self.network.gather()

    # --- crashes -------------------------------------------------------------------------------------

    @rule(node=NODES)
    def crash(self, node: int) -> None:
        """After a turn."""
        self.network.restart(node)
        self.network.gather()

    @rule(choice=st.integers(0, 50))
    def crash_in_the_middle_of_a_turn(self, choice: int) -> None:
        """It was told something; nothing of what follows was committed or left."""
        busy = [key for key, wire in self.network.wires.items() if wire]
        if busy:
            link_id, sender = busy[choice % len(busy)]
            self.network.deliver(link_id, sender, gather=False)
            self.network.restart(self.network.other(link_id, sender))
            self.network.gather()

    @rule(number=st.integers(1, 6))
    def crash_before_a_draw_is_durable(self, number: int) -> None:
        request = self.network.planes[1].serving.draw(MASTER, SLAVE, number, 256)
        self.network.restart(1)
        self.network.gather()
        assert request is None or len(request) > 0

    @rule()
    def crash_before_a_fetch_is_durable(self) -> None:
        wanted = sorted(self.drawn.keys() - self.fetched.keys())[:1]
        if wanted:
            try:
                self.network.planes[LAST].serving.fetch(SLAVE, MASTER, tuple(wanted))
            except KeysNotFound:
                return
            self.network.restart(LAST)
            self.network.gather()

    @rule()
    def crash_of_all(self) -> None:
        for node in self.network.numbers:
            self.network.restart(node)
        self.network.gather()

    # --- disks ---------------------------------------------------------------------------------------

    @rule(node=NODES)
    def the_disk_is_full(self, node: int) -> None:
        self.network.disks[node].full = True

    @rule(node=NODES)
    def there_is_room_again(self, node: int) -> None:
        self.network.disks[node].full = False
        self.network.gather()

    @rule(node=NODES)
    def back_up(self, node: int) -> None:
        self.backups[node] = self.network.disks[node].copy()

    @precondition(lambda self: self.backups)
    @rule(choice=st.integers(0, 3))
    def put_a_backup_back(self, choice: int) -> None:
        """The store notices: it is not the file that it was."""
        node = sorted(self.backups)[choice % len(self.backups)]
        self.network.disks[node].put_back(self.backups[node], noticed=True)
        self.network.restart(node)
        self.network.gather()
        self.forgave = True

    @rule(node=NODES)
    def lose_a_disk(self, node: int) -> None:
        self.network.disks[node].lose()
        self.network.restart(node)
        self.network.gather()
        self.forgave = True

    # --- laws ----------------------------------------------------------------------------------------

    def note(self, side: dict[str, bytes], keys: tuple[SuppliedKey, ...]) -> None:
        for key in keys:
            assert key.key_id not in side, "a key was supplied twice on one side"
            side[key.key_id] = bytes(key.key.reveal())

    def teardown(self) -> None:
        """The faults end: a normal network again, and what it must be able to do."""
        if not hasattr(self, "network"):
            return
        network = self.network
        for disk in network.disks.values():
            disk.full = False
        for link_id in network.links:
            network.disconnect(link_id)
            network.connect(link_id)
        network.settle()
        for _ in range(30):
            for link_id in network.links:
                network.generate(link_id)
            network.wait(0.5)
        self.fetch()
        if not self.forgave:
            assert self.drawn.keys() == self.fetched.keys()
        fresh = network.draw(12)
        assert len(fresh) == 12
        self.note(self.drawn, fresh)
        self.fetch()
        assert {key.key_id for key in fresh} <= self.fetched.keys()


TestDurable = Durable.TestCase
TestDurable.settings = SOME
