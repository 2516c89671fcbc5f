"""Relay messages that somebody spoils: nothing accepted that was not sent, nothing spent twice, an alarm.

`KEYWEAVE_EXAMPLES` makes the histories as many as one likes.
"""

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agents.keys.network import MASTER, SLAVE, chain

from keyweave_agents.keys.plan import RelayRestored, RelayTrouble
from keyweave_agents.keys.relaying.frames import Sealed
from keyweave_agents.keys.relaying.wire import decode
from keyweave_core.model.application import RelayMethod

from .relay_attacks import Attack, change, corpus, frame

SOME = settings(
    derandomize=True,
    max_examples=int(os.environ.get("KEYWEAVE_EXAMPLES", "25")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
DEEDS = ["change", "replay", "elsewhere", "invent", "swap", "repeat", "lose"]
LIFE = ["deliver"] * 8 + ["settle", "tick", "draw", "fetch", "join", "join", "generate"]


def test_the_corpus_has_every_kind_of_message() -> None:
    kinds = {name.split("-")[0] for name, _ in corpus()}
    assert kinds >= {"hello", "held", "batch", "acks", "nack", "doubt", "ask", "keeper", "missing", "letter"}
    for name, raw in corpus():
        decode(raw)
        assert name.split("-")[0] not in ("batch", "acks") or isinstance(decode(raw), Sealed)


def test_frames_of_the_corpus_changed_in_many_ways() -> None:
    source = random.Random(20261121)  # noqa: S311 - repeatable on purpose
    files = [raw for _, raw in corpus()]
    for raw in files:
        frame(raw)
    for _ in range(8000):
        raw = source.choice(files)
        for _ in range(source.randrange(1, 4)):
            if raw:
                raw = change(raw, source.randrange(240), source.randrange(1000), source.choice(files))
        frame(raw)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x1a", b"\x1a\x40\x0a\x13\x09"]))
@SOME
def test_any_bytes(data: bytes, front: bytes) -> None:
    frame(front + data)
    frame(b"\x1a" + bytes((min(127, len(data) + 18),)) + data + b"\x3a\x10" + bytes(16))


@pytest.mark.parametrize("method", list(RelayMethod))
@given(
    st.lists(st.tuples(st.sampled_from(LIFE + DEEDS), st.integers(0, 400), st.integers(0, 400)), max_size=80),
    st.integers(0, 99),
)
@SOME
def test_an_attacker_on_live_planes(
    method: RelayMethod, history: list[tuple[str, int, int]], seed: int
) -> None:
    attack = Attack(method, seed)
    for step in history:
        attack.step(*step)
    attack.recover()


@pytest.mark.parametrize("method", list(RelayMethod))
@pytest.mark.parametrize("where", ["keys", "acknowledgements"])
def test_whoever_spoils_every_message_causes_an_alarm_and_no_key(method: RelayMethod, where: str) -> None:
    network = chain(3)
    network.start()
    link_id, sender = network.link(2, 3), 2 if where == "keys" else 3
    network.associate([1, 2, 3], method=method)
    for _ in range(400):
        if not any(network.wires.values()):
            network.clock.time_s += 1.0
            network.tick()
        for key in [key for key, wire in network.wires.items() if wire]:
            wire = network.wires[key]
            if key == (link_id, sender) and isinstance(decode(wire[0]), Sealed):
                wire[0] = wire[0][:-1] + bytes((wire[0][-1] ^ 1,))
            if wire:
                network.deliver(*key)
    status = network.planes[1].serving.status(MASTER, SLAVE)
    assert status is not None
    assert status.stored_key_count == 0, "an acknowledgement that proves itself makes keys ready"
    hears = 3 if where == "keys" else 2
    troubles = [one for one in network.events[hears] if isinstance(one, RelayTrouble)]
    assert troubles
    assert "do not prove themselves" in troubles[0].reason
    assert network.planes[hears].sessions[link_id].bad_tags > 3
    network.wait(30)
    network.fill()
    network.wait(10)
    assert any(isinstance(one, RelayRestored) for one in network.events[1])
    assert len(network.draw(8)) == 8
