"""Laws of split keys, whatever the wires and the machines do and whenever the links are changed.

1. A key is supplied once per side, with the same bits on both: shares of different batches never meet.
2. What the master got over several links no node between ever had in its hands.
3. When the faults end, buffers fill again, and what the master gets the slave can fetch.
4. What is under way is bounded, and gone some time after the association is.
"""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.agents.keys.network import MASTER, SLAVE
from tests.agents.keys.protected import (
    DESTINATION,
    LOWER,
    OUTER,
    SOURCE,
    UPPER,
    back,
    configure,
    lay,
    ready,
    three_ways,
    virtual,
)

from keyweave_agents.keys.failures import KeysNotFound
from keyweave_agents.keys.plan import KeyPlan, SuppliedKey
from keyweave_core.model.application import RelayMethod

PATHS = {
    0x501: (UPPER, RelayMethod.OTP),
    0x502: (LOWER, RelayMethod.OTP),
    0x503: (OUTER, RelayMethod.XOR_ANNOUNCE),
    0x504: (UPPER, RelayMethod.AES_256_GCM),
}
Backing = tuple[tuple[int, ...], int | None]
SETS: list[Backing] = [
    ((0x501,), None),
    ((0x503,), None),
    ((0x501, 0x502), None),
    ((0x502, 0x503), None),
    ((0x503, 0x504), None),
    ((0x501, 0x502, 0x503), None),
    ((0x501, 0x502, 0x503), 2),
    ((0x502, 0x503, 0x504), 2),
]
BETWEEN = (2, 3, 5)

some = st.integers(0, 400)


class Switched(RuleBasedStateMachine):
    """One association whose links are changed, at one end and then at the other, over wires that lose."""

    @initialize(seed=st.integers(0, 99), first=st.sampled_from(SETS))
    def begin(self, seed: int, first: Backing) -> None:
        self.network = three_ways(seed=seed)
        self.drawn: dict[str, bytes] = {}
        self.fetched: dict[str, bytes] = {}
        self.between: set[bytes] = set()
        self.restarted = False
        self.links = dict.fromkeys((SOURCE, DESTINATION), first)
        for number, (path, method) in PATHS.items():
            lay(self.network, path, number, method)
        back(self.network, *first[0], threshold=first[1])

    def wires(self, choice: int) -> tuple[tuple[str, int], ...]:
        busy = [key for key, wire in self.network.wires.items() if wire]
        return (busy[choice % len(busy)],) if busy else ()

    @rule(choice=some)
    def deliver(self, choice: int) -> None:
        for key in self.wires(choice):
            self.network.deliver(*key)  # type: ignore[arg-type]  # ids are texts

    @rule()
    def settle(self) -> None:
        self.network.settle()

    @rule(choice=some)
    def lose(self, choice: int) -> None:
        for key in self.wires(choice):
            self.network.wires[key].popleft()  # type: ignore[index]  # ids are texts

    @rule(choice=some)
    def repeat(self, choice: int) -> None:
        for key in self.wires(choice):
            self.network.deliver(*key, copy=True)  # type: ignore[arg-type]  # ids are texts

    @rule(choice=some)
    def reorder(self, choice: int) -> None:
        for key in self.wires(choice):
            self.network.wires[key].rotate(1)  # type: ignore[index]  # ids are texts

    @rule(tenths=st.integers(0, 40))
    def time_passes(self, tenths: int) -> None:
        self.network.clock.time_s += tenths / 10
        self.network.tick()

    @rule(choice=some)
    def cut(self, choice: int) -> None:
        self.network.disconnect(list(self.network.links)[choice % 6])

    @rule(choice=some)
    def join(self, choice: int) -> None:
        self.network.connect(list(self.network.links)[choice % 6])
        self.network.gather()

    @rule(choice=some)
    def generate(self, choice: int) -> None:
        self.network.generate(list(self.network.links)[choice % 6], 64 + choice)

    @rule(end=st.sampled_from([SOURCE, DESTINATION]), links=st.sampled_from(SETS))
    def switch(self, end: int, links: Backing) -> None:
        self.links[end] = links
        back(self.network, *links[0], at=(end,), threshold=links[1])

    @rule(node=st.sampled_from([*BETWEEN, DESTINATION]))
    @precondition(lambda self: not self.restarted)
    def restart(self, node: int) -> None:
        self.restarted = True
        self.network.restart(node)
        self.network.gather()

    @rule(number=st.integers(1, 3))
    def draw(self, number: int) -> None:
        self.note(self.drawn, self.network.draw(number))

    @rule()
    def fetch(self) -> None:
        for key_id in self.drawn.keys() - self.fetched.keys():
            try:
                self.note(
                    self.fetched, self.network.planes[DESTINATION].serving.fetch(SLAVE, MASTER, (key_id,))
                )
            except KeysNotFound:
                continue
            assert self.fetched[key_id] == self.drawn[key_id]

    def note(self, side: dict[str, bytes], keys: tuple[SuppliedKey, ...]) -> None:
        for key in keys:
            assert key.key_id not in side, "a key was supplied twice on one side"
            side[key.key_id] = bytes(key.key.reveal())
            if side is self.drawn and len(key.links) > 1:
                assert side[key.key_id] not in self.between, "a node between had the key"

    @invariant()
    def watch_the_nodes_between(self) -> None:
        if not hasattr(self, "network"):
            return
        for node in BETWEEN:
            for record in self.network.planes[node].relay._under_way.open.values():
                if record.payload is not None:
                    size, raw = record.batch.key_bytes, bytes(record.payload.reveal())
                    self.between.update(raw[at : at + size] for at in range(0, len(raw), size))

    def teardown(self) -> None:
        if not hasattr(self, "network"):
            return
        network = self.network
        last = self.links[SOURCE]
        back(network, *last[0], at=(DESTINATION,), threshold=last[1])
        for link_id in network.links:
            network.disconnect(link_id)
            network.connect(link_id)
        network.settle()
        for _ in range(40):
            for link_id in network.links:
                network.generate(link_id)
            network.wait(0.5)
        assert ready(network) > 12, "the buffer of 16 did not fill again up to its last quarter"
        self.fetch()
        fresh = network.draw(4)
        request = network.request(24)
        network.settle()
        fresh += network.planes[SOURCE].serving.collect(request)
        self.note(self.drawn, fresh)
        self.note(self.fetched, network.fetch(fresh, at=DESTINATION))
        assert all(self.fetched[key.key_id] == self.drawn[key.key_id] for key in fresh)
        assert fresh[-1].links == tuple(sorted(virtual(number) for number in last[0]))
        if not self.restarted:
            assert self.drawn.keys() == self.fetched.keys(), "a key that the master got is lost"
        configure(network, SOURCE, KeyPlan())
        network.wait(62, step_s=2)
        assert all(plane.relay.open_batches == 0 for plane in network.planes.values())


TestSwitched = Switched.TestCase
TestSwitched.settings = settings(
    max_examples=int(os.environ.get("KEYWEAVE_EXAMPLES", "40")), stateful_step_count=50, deadline=None
)
