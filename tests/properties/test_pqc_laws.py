"""Laws of hybrid keys and of the fallback to ML-KEM, whatever happens to letters, batches and machines.

1. What both ends hold is the same, or one of them holds nothing; no key id comes twice on one side.
2. The origin that both applications are told is the same, true, and one that the mode allows: a key of ML-KEM
   alone never travelled, every other did, and a hybrid one under the name of a secret.
3. When the faults end, keys come again: quantum keys where there are some, of ML-KEM where there are none.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.keys.pqc_network import PqcNetwork
from tests.properties.test_key_laws import FAIR, SOME, Run

from keyweave_agents.keys.plan import MADE_IN, SuppliedKey
from keyweave_agents.keys.relaying.frames import Letter
from keyweave_agents.keys.relaying.wire import encode
from keyweave_core.model.application import KeyMode, KeyOrigin

MODES = st.sampled_from([KeyMode.HYBRID, KeyMode.PQC_FALLBACK])
UNFAIR = ["lose", "repeat", "swap", "corrupt", "replay", "reflect", "forge"]
STEPS = [*FAIR, *UNFAIR, *UNFAIR, *["settle", "deliver", "tick", "empty"] * 3]


class PqcRun(Run):
    """A history in which letters are attacked as well, and pools run dry."""

    def __init__(self, network: PqcNetwork) -> None:
        self.told: dict[str, KeyOrigin] = {}
        self.net = network
        super().__init__(network, network.path)

    def step(self, name: str, choice: int) -> None:
        match name:
            case "replay" if self.net.heard:
                self.write(self.net.heard[choice % len(self.net.heard)], choice)
            case "reflect" if self.net.heard:
                letter = self.net.heard[choice % len(self.net.heard)]
                back = Letter(
                    link_id=letter.link_id,
                    app_id=letter.app_id,
                    forward=not letter.forward,
                    kind=letter.kind,
                    body=letter.body,
                )
                self.write(back, choice)
            case "forge" if self.net.heard:
                letter = self.net.heard[choice % len(self.net.heard)]
                body = bytearray(letter.body)
                body[choice * 7919 % len(body)] ^= 1 << choice % 8
                forged = Letter(
                    link_id=letter.link_id,
                    app_id=letter.app_id,
                    forward=letter.forward,
                    kind=letter.kind,
                    body=bytes(body),
                )
                self.write(forged, choice)
            case "empty":
                for link_id in self.net.links:
                    for number in self.net.links[link_id]:
                        pool = self.net.planes[number].sessions[link_id].pool
                        pool.own.give_up(tuple(range(self.net._block + 1)))
            case _:
                super().step(name, choice)

    def write(self, letter: Letter, choice: int) -> None:
        """Somebody on the way puts a letter onto a wire towards the node that it is for."""
        edges = list(self.net.links.items())
        link_id, (one, two) = edges[choice % len(edges)]
        if link_id in self.net.up:
            frame = encode(letter)[4:]
            self.net.wires[link_id, one if letter.forward else two].append(frame)

    def note(self, side: dict[str, bytes], keys: tuple[SuppliedKey, ...]) -> None:
        super().note(side, keys)
        for key in keys:
            assert key.origin in MADE_IN[self.net.mode]
            assert self.told.setdefault(key.key_id, key.origin) is key.origin, "told otherwise elsewhere"
            assert (key.key_id in self.net.relayed) is (key.origin is not KeyOrigin.PQC)
            if key.origin is KeyOrigin.HYBRID:
                assert len(self.net.relayed[key.key_id]) == 16


histories = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 400)), max_size=60)


@SOME
@given(histories, MODES, st.integers(0, 99))
def test_both_ends_or_neither_and_the_origin_is_true(
    history: list[tuple[str, int]], mode: KeyMode, seed: int
) -> None:
    run = PqcRun(PqcNetwork(3, mode, seed=seed))
    for name, choice in history:
        run.step(name, choice)
    run.recover()


@settings(SOME, max_examples=30)
@given(histories, st.integers(0, 99))
def test_whatever_happened_keys_flow_without_the_quantum_layer(
    history: list[tuple[str, int]], seed: int
) -> None:
    run = PqcRun(PqcNetwork(3, KeyMode.PQC_FALLBACK, seed=seed))
    for name, choice in history:
        run.step(name, choice)
    network = run.net
    for link_id in network.links:
        network.disconnect(link_id)
        network.connect(link_id)
    network.settle()
    run.step("empty", 0)
    network.wait(4.0)  # until nobody doubts the destination any more
    run.fetch()
    network.drain()
    network.wait(15.0)
    keys = network.draw(8)
    assert [key.origin for key in keys] == [KeyOrigin.PQC] * 8
    run.note(run.drawn, keys)
    run.fetch()
    assert {key.key_id for key in keys} <= run.fetched.keys()
