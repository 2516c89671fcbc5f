"""Laws of the key plane, whatever the wires and the machines do.

1. No bit of a pool is used for two different messages, no nonce of a link key twice (`Network` watches
   every message).
2. A key is supplied once per side, with the same bits on both.
3. When the faults end, buffers fill again, and what the master gets the slave can fetch.
"""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.keys.network import MASTER, SLAVE, Network, chain

from keyweave_agents.keys.failures import KeysNotFound
from keyweave_agents.keys.plan import SuppliedKey
from keyweave_core.model.application import RelayMethod

SOME = settings(max_examples=int(os.environ.get("KEYWEAVE_EXAMPLES", "60")), deadline=None)

FAIR = ["settle", "deliver", "tick", "draw", "fetch", "cut", "join", "restart", "generate", "half"]
UNFAIR = [*FAIR[:-3], "generate", "half", "lose", "repeat", "swap", "corrupt"]


class Run:
    """One history of an association along `path`: what happens is drawn by hypothesis."""

    def __init__(self, network: Network, path: list[int], method: RelayMethod = RelayMethod.OTP) -> None:
        self.network = network
        self.last = path[-1]
        self.drawn: dict[str, bytes] = {}
        self.fetched: dict[str, bytes] = {}
        network.start()
        network.associate(path, method=method)

    def step(self, name: str, choice: int) -> None:
        network = self.network
        links = list(network.links)
        link_id = links[choice % len(links)]
        wires = [(key, wire) for key, wire in network.wires.items() if wire]
        match name:
            case "deliver" if wires:
                network.deliver(*wires[choice % len(wires)][0])
            case "settle":
                network.settle()
            case "tick":
                network.clock.time_s += 0.1 * (choice % 30)
                network.tick()
            case "draw":
                self.note(self.drawn, network.draw(1 + choice % 3))
            case "fetch":
                self.fetch()
            case "cut":
                network.disconnect(link_id)
            case "join":
                network.connect(link_id)
                network.gather()
            case "restart":
                network.restart(network.numbers[choice % len(network.numbers)])
                network.gather()
            case "generate":
                network.generate(link_id, 64 + choice)
            case "half":
                network.generate(link_id, 200, only=network.links[link_id][choice % 2])
            case "lose" if wires:
                wires[choice % len(wires)][1].popleft()
            case "repeat" if wires:
                network.deliver(*wires[choice % len(wires)][0], copy=True)
            case "swap" if wires:
                wires[choice % len(wires)][1].rotate(1)
            case "corrupt" if wires:
                wire = wires[choice % len(wires)][1]
                raw = bytearray(wire[0])
                raw[choice % len(raw)] ^= 1 << choice % 8
                wire[0] = bytes(raw)

    def note(self, side: dict[str, bytes], keys: tuple[SuppliedKey, ...]) -> None:
        for key in keys:
            assert key.key_id not in side, "a key was supplied twice on one side"
            side[key.key_id] = bytes(key.key.reveal())

    def fetch(self) -> None:
        """The slave asks for everything the master has got and it has not."""
        for key_id in self.drawn.keys() - self.fetched.keys():
            try:
                keys = self.network.planes[self.last].serving.fetch(SLAVE, MASTER, (key_id,))
            except KeysNotFound:
                continue
            self.note(self.fetched, keys)
            assert self.fetched[key_id] == self.drawn[key_id]

    def recover(self) -> None:
        """The faults end: a normal network again, and what it must be able to do."""
        network = self.network
        for link_id in network.links:
            network.disconnect(link_id)
            network.connect(link_id)
        network.settle()
        for _ in range(40):
            for link_id in network.links:
                network.generate(link_id)
            network.wait(0.5)
        source = network.planes[1].serving
        status = source.status(MASTER, SLAVE)
        assert status is not None
        assert status.stored_key_count > 12, "the buffer of 16 did not fill again up to its last quarter"
        self.fetch()
        fresh = network.draw(4)  # from the buffer, however old it is
        request = network.request(24)  # and more than it holds
        network.settle()
        fresh += source.collect(request)
        assert len(fresh) == 28
        self.note(self.drawn, fresh)
        fetched = network.fetch(fresh, at=self.last)
        self.note(self.fetched, fetched)
        assert all(self.fetched[key.key_id] == self.drawn[key.key_id] for key in fresh)


def steps(names: list[str]) -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 400)), max_size=60)


METHODS = st.sampled_from(RelayMethod)


@SOME
@given(steps(FAIR + ["deliver"] * 4 + ["settle", "restart"] * 3), st.integers(0, 99), METHODS)
def test_laws_hold_over_cuts_and_restarts(
    history: list[tuple[str, int]], seed: int, method: RelayMethod
) -> None:
    run = Run(chain(4, seed=seed), [1, 2, 3, 4], method)
    for name, choice in history:
        run.step(name, choice)
    run.recover()


@SOME
@given(steps(UNFAIR + ["deliver"] * 8 + ["settle"] * 2), st.integers(0, 99), METHODS)
def test_laws_hold_over_lost_repeated_reordered_and_corrupt_messages(
    history: list[tuple[str, int]], seed: int, method: RelayMethod
) -> None:
    run = Run(chain(4, seed=seed), [1, 2, 3, 4], method)
    for name, choice in history:
        run.step(name, choice)
    run.recover()
    # Without restarts nothing that was drawn can be missing at the other end.
    assert run.drawn.keys() == run.fetched.keys()


@SOME
@given(steps(FAIR[:7] + ["deliver"] * 8), st.lists(st.tuples(st.booleans(), METHODS), max_size=6))
def test_moving_to_another_path_neither_loses_nor_doubles(
    history: list[tuple[str, int]], moves: list[tuple[bool, RelayMethod]]
) -> None:
    network = Network([(1, 2), (2, 4), (1, 3), (3, 4)])
    run = Run(network, [1, 2, 4])
    every = max(1, len(history) // (len(moves) + 1))
    pending = list(moves)
    for index, (name, choice) in enumerate(history):
        run.step(name, choice)
        if pending and index % every == 0:
            lower, method = pending.pop()
            network.associate([1, 3, 4] if lower else [1, 2, 4], virtual=0x600 + index, method=method)
    run.recover()
    assert run.drawn.keys() == run.fetched.keys()
