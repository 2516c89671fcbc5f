"""What does one hop of the relay cost beside the bare arithmetic of a one-time pad?

Everything in one process, in processor time, each figure beside its ceiling in the same run. The ceiling is
what no hop can do without: verify Poly1305, xor, xor, Poly1305 over the keys, with `cryptography` and numpy
(or Python's integers where they are faster), on as many messages and pads as the hop has, laid ready
beforehand, each result in a buffer of its own. The hop is what a node between does with a message: read the
frame, claim the pad it names, prove, strip, spend fresh pad, cover, tag, write the frame, wipe the pads. The
node is the whole state machine (`Relay.handle`): besides, routes, records for repetition, and the
acknowledgement that comes back, proved and passed on, with one tag for all of a turn.
"""

import gc
import os
from collections.abc import Callable
from time import process_time

import numpy as np
from cryptography.hazmat.primitives.poly1305 import Poly1305

from keyweave_agents.keys.key_batch import fresh_ids
from keyweave_agents.keys.lanes import MOST_BATCH_BYTES
from keyweave_agents.keys.plan import KeyPlan, Route
from keyweave_agents.keys.plane import KeyPlane
from keyweave_agents.keys.relaying.frames import Batch, Sealed
from keyweave_agents.keys.relaying.records import Endpoint
from keyweave_agents.keys.relaying.relay import Relay
from keyweave_agents.keys.relaying.sealed import write_batch
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.keys.relaying.wire import decode
from keyweave_agents.keys.settings import KeyLimits, KeySettings, Neighbour
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId
from keyweave_core.runtime.clock import SystemClock

KEY_BYTES = 32
BLOCK_BYTES = 262_144  # 2 Mbit: what a finite block of a fast link yields
READ_BYTES = 262_144  # what one turn of the loop reads from a socket
MOST_A_TURN = 64
ROUNDS = 12
SIZES = ((1, 24_000), (32, 12_000), (128, 4_000), (512, 1_200), (4_096, 168))


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


VIRTUAL = LinkId(_id(0x500))
NODES = {number: NodeId(_id(number)) for number in (1, 2, 3)}
LINKS = {(1, 2): LinkId(_id(0x12)), (2, 3): LinkId(_id(0x23))}


class Chain:
    """Three key planes in a row without sockets; the middle one is measured."""

    def __init__(self, method: RelayMethod = RelayMethod.OTP) -> None:
        self._block = 0
        self.planes = {number: self._plane(number) for number in NODES}
        for edge, link_id in LINKS.items():
            for number in edge:
                self.planes[number].connected(link_id)
        self.deliver()
        for number in NODES:
            route = Route(
                link_id=VIRTUAL, prev_hop=NODES.get(number - 1), next_hop=NODES.get(number + 1), method=method
            )
            self.planes[number].configure(KeyPlan(routes=(route,)))

    def _plane(self, number: int) -> KeyPlane:
        neighbours = tuple(
            Neighbour(node_id=NODES[sum(edge) - number], link_id=link_id, host="-", port=1)
            for edge, link_id in LINKS.items()
            if number in edge
        )
        settings = KeySettings(
            neighbours=neighbours,
            pool_capacity_bits=2**32,
            limits=KeyLimits(keys_per_batch=4096, relay_records=4096),
        )
        return KeyPlane(settings, NODES[number], SystemClock(), os.urandom, lambda _event: None)

    def deliver(self) -> None:
        """Carry everything over the wires until they are quiet."""
        busy = True
        while busy:
            busy = False
            for number, plane in self.planes.items():
                for link_id, frame in plane.take_outbox():
                    edge = next(edge for edge, one in LINKS.items() if one == link_id)
                    self.planes[sum(edge) - number].handle(link_id, decode(bytes(frame[4:])))
                    busy = True

    def fill(self, total: int) -> None:
        """So many bytes for each direction that the keys take."""
        for edge, link_id in LINKS.items():
            for owner in edge:
                size = total if owner == edge[0] else total // 4 + BLOCK_BYTES
                for _ in range(0, size, BLOCK_BYTES):
                    self._block += 1
                    bits = os.urandom(BLOCK_BYTES)
                    for number in edge:
                        block = KeyBlock(block_id=self._block, owner=NODES[owner], material=Secret(bits))
                        self.planes[number].deposit(link_id, block)
            self.deliver()

    def session(self, number: int, other: int) -> LinkSession:
        edge = (min(number, other), max(number, other))
        return self.planes[number].sessions[LINKS[edge]]


def batch_of(keys: int) -> tuple[Batch, bytes]:
    """A fresh batch and its keys."""
    batch = Batch(
        batch_id=os.urandom(16),
        app_id=AppId(_id(0xA)),
        link_id=VIRTUAL,
        key_bytes=KEY_BYTES,
        key_ids=fresh_ids(keys, os.urandom),
    )
    return batch, os.urandom(KEY_BYTES * keys)


async def measure() -> str:
    rows = ["keys a batch   bare keys/s    hop keys/s         node keys/s   (one-time pad, 256 bits each)"]
    for keys, number in SIZES:
        bare, hop, node = _row(keys, number)
        rows.append(
            f"{keys:12d} {keys / bare:13,.0f} {keys / hop:13,.0f} = {bare / hop:4.2f}"
            f" {keys / node:13,.0f} = {bare / node:4.2f}"
        )
        if keys == 1:
            singles = (hop, node)
    for method in (RelayMethod.AES_256_GCM, RelayMethod.XOR_ANNOUNCE):
        for keys, number in (SIZES[0], SIZES[-1]):
            _, hop, node = _row(keys, number // 2, method)
            rows.append(f"{method.value}, {keys} a batch: node {keys / node:,.0f} keys/s")
    rows.append(
        f"single keys: {1 / singles[0]:,.0f} hops/s of arithmetic and wire, {1 / singles[1]:,.0f} with the "
        "whole state machine and its acknowledgement"
    )
    rows.append("goal: batches of 4,096 at 0.5 of bare or more, single keys 65,000 hops/s or more")
    return "\n".join(rows) + "\n"


def _row(keys: int, number: int, method: RelayMethod = RelayMethod.OTP) -> tuple[float, float, float]:
    """Seconds a message: bare, hop, node; the best of some rounds, taken in turn."""
    best = [float("inf")] * 3
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            part = max(1, number // ROUNDS)
            measured = (
                _bare(keys, part),
                _hop(keys, part) if method is RelayMethod.OTP else float("inf"),
                _node(keys, part, method),
            )
            best = [min(pair) for pair in zip(best, measured, strict=True)]
    finally:
        gc.enable()
    return best[0], best[1], best[2]


def _timed(work: Callable[[], object], number: int) -> float:
    started = process_time()
    work()
    return (process_time() - started) / number


def _bare(keys: int, number: int) -> float:
    size = KEY_BYTES * keys
    key = os.urandom(32)
    messages = [
        (message, Poly1305.generate_tag(key, message), os.urandom(size), os.urandom(size))
        for message in (os.urandom(size) for _ in range(number))
    ]

    def large() -> None:
        for message, tag, pad, other in messages:
            Poly1305.verify_tag(key, message, tag)
            payload = np.bitwise_xor(np.frombuffer(message, np.uint8), np.frombuffer(pad, np.uint8))
            Poly1305.generate_tag(key, np.bitwise_xor(payload, np.frombuffer(other, np.uint8)))

    def small() -> None:
        for message, tag, pad, other in messages:
            Poly1305.verify_tag(key, message, tag)
            number = int.from_bytes(message, "little") ^ int.from_bytes(pad, "little")
            number ^= int.from_bytes(other, "little")
            Poly1305.generate_tag(key, number.to_bytes(size, "little"))

    return min(_timed(large, number), _timed(small, number)) if size <= 8192 else _timed(large, number)


def _hop(keys: int, number: int) -> float:
    chain = Chain()
    chain.fill((KEY_BYTES * keys + 32) * number + BLOCK_BYTES)
    sender, came, goes = chain.session(1, 2), chain.session(2, 1), chain.session(2, 3)
    frames = []
    for _ in range(number):
        batch, payload = batch_of(keys)
        frames.append(bytes(sender.seal(write_batch(batch), payload))[4:])

    turn, take_outbox = _turn(keys), chain.planes[2].take_outbox

    def work() -> None:
        for at in range(0, number, turn):
            for raw in frames[at : at + turn]:
                sealed = decode(raw)
                assert isinstance(sealed, Sealed)
                payload = came.open(sealed)
                assert isinstance(payload, bytearray)
                goes.seal(sealed.written, payload)
            assert take_outbox()

    return _timed(work, number)


def _turn(keys: int) -> int:
    """Messages that come in one turn."""
    return max(1, min(MOST_A_TURN, READ_BYTES // (KEY_BYTES * keys + 150)))


class _Far:
    """The association at the far end: takes everything."""

    keeper = bytes(16)

    def arrived(self, _batch: Batch, _payload: Secret | None) -> None:
        return None

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_named: None


def _node(keys: int, number: int, method: RelayMethod) -> float:
    chain = Chain(method)
    chain.fill((KEY_BYTES * keys + 32) * number + BLOCK_BYTES)
    far: Endpoint = _Far()  # type: ignore[assignment]  # answers by __getattr__
    middle, last = chain.planes[2], chain.planes[3]
    last.relay = Relay(NODES[3], far, most_records=4096)
    for session in last.sessions.values():
        last.relay.routes.add_session(session)
    last.relay.set_routes((Route(link_id=VIRTUAL, prev_hop=NODES[2], next_hop=None, method=method),), 0.0)
    sender, came, goes = chain.session(1, 2), chain.session(2, 1), chain.session(2, 3)
    took, done = 0.0, 0
    while done < number:
        turn = min(_turn(keys), number - done)
        frames = []
        for _ in range(turn):
            batch, payload = batch_of(keys)
            frames.append(bytes(sender.seal(write_batch(batch), payload, method))[4:])
        started = process_time()
        for raw in frames:
            middle.relay.handle(came, decode(raw), 0.0)
        outbox = middle.take_outbox()
        took += process_time() - started
        assert len(outbox) == turn
        for _, frame in outbox:
            last.relay.handle(chain.session(3, 2), decode(bytes(frame[4:])), 0.0)
        acks = [bytes(frame[4:]) for _, frame in last.take_outbox()]
        started = process_time()
        for raw in acks:
            middle.relay.handle(goes, decode(raw), 0.0)
        back = middle.take_outbox()
        took += process_time() - started
        assert len(back) == 1, "one message acknowledges all of a turn"
        assert middle.relay.open_batches == 0
        chain.planes[1].take_outbox()
        done += turn
    return took / number


assert KEY_BYTES * SIZES[-1][0] <= MOST_BATCH_BYTES
