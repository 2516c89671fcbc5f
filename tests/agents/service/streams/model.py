"""Two sides of a stream without sockets: a post that a test drives, and a model of key supply.

Whatever a side hands out is remembered, so that the laws can be looked at: `handed[side][index]` of one
opening. `forge` is what a node on the way can do to a letter.
"""

import random
from collections import deque
from dataclasses import replace

from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.keys.relaying.frames import uuid_bytes, uuid_text
from keyweave_agents.material import Secret
from keyweave_agents.service.streams.chunks import Chunk, Room
from keyweave_agents.service.streams.letters import Letter, Offer, Opened, decode_letter, encode_letter
from keyweave_agents.service.streams.proof import PROOF_BITS
from keyweave_agents.service.streams.stream import (
    CREATOR,
    SOURCE,
    Collect,
    Draw,
    Effect,
    Phase,
    Stream,
    Write,
    refusals,
)
from keyweave_agents.service.streams.values import NEXT_INDEX, StreamQos
from keyweave_core.model.ids import SaeId

KSID = b"K" * 16
NAMES = (SaeId("alice"), SaeId("bob"))
QOS = StreamQos(chunk_bytes=32, max_bps=2**31, timeout_ms=1000, ttl_s=30)


class World:
    """Sides 0 and 1. The network has key while `rich`; the destination keeps it while `kept`."""

    def __init__(self, seed: int = 0, qos: StreamQos = QOS, room: int = 10_000) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
        self.now_s = 1000.0
        self.qos = qos
        self.rooms = (Room(room), Room(room))
        self.rich = True
        self.sides: list[Stream | None] = [None, None]
        self.wires: list[deque[bytes]] = [deque(), deque()]  # by writer
        self.stored: dict[bytes, bytes] = {}
        self.supplied: list[bytes] = []
        self.handed: list[dict[bytes, dict[int, bytes]]] = [{}, {}]
        self.partners: list[dict[bytes, bytes]] = [{}, {}]  # opening -> opening of the other side

    # --- what a test does ------------------------------------------------------------------------

    def open(self, side: int, *, creates: bool = False, source: bool | None = None) -> None:
        """The application of a side opens the stream, unless it has."""
        if self.sides[side] is None:
            claim = CREATOR * creates + SOURCE * (side == 0 if source is None else source)
            stream = Stream(
                ksid=KSID,
                own=NAMES[side],
                other=NAMES[1 - side],
                opening=self.random.randbytes(8),
                claim=claim,
                qos=self.qos,
                room=self.rooms[side],
                now_s=self.now_s,
            )
            self.sides[side] = stream
            self.handed[side][stream.opening] = {}
            self._do(side, stream.due(self.now_s))

    def close(self, side: int, *, crash: bool = False) -> None:
        """It closes the stream; `crash`: its key manager is gone without a word."""
        stream = self.sides[side]
        if stream is not None:
            effects = stream.close()
            self.sides[side] = None
            if not crash:
                self._do(side, effects, stream)

    def get(self, side: int, index: int = NEXT_INDEX) -> bytes | None:
        """What it gets now."""
        stream = self.sides[side]
        if stream is None or stream.phase not in (Phase.JOINED, Phase.LEFT):
            return None
        found = stream.chunks.look(index)
        content = None
        if isinstance(found, Chunk):
            content = bytes(stream.chunks.hand_out(found.index).key.reveal())
            handed = self.handed[side][stream.opening]
            assert found.index not in handed, "an index was handed out twice"
            assert index in (NEXT_INDEX, found.index)
            handed[found.index] = content
            self.partners[side][stream.opening] = stream.head.yours
        self._do(side, stream.due(self.now_s))
        return content

    def wait(self, duration_s: float) -> None:
        """Time passes; nothing is delivered."""
        self.now_s += duration_s
        for side in (0, 1):
            stream = self.sides[side]
            if stream is not None:
                self._do(side, stream.due(self.now_s))

    def deliver(self, writer: int, position: int = 0, *, copy: bool = False) -> None:
        """One letter arrives; `copy`: and once more later."""
        wire = self.wires[writer]
        raw = wire[position]
        if not copy:
            del wire[position]
        self.arrives(1 - writer, decode_letter(raw))

    def settle(self, rounds: int = 400) -> None:
        """Deliver everything in order, with a little time between."""
        for _ in range(rounds):
            self.wait(0.05)
            for writer in (0, 1):
                while self.wires[writer]:
                    self.deliver(writer)

    def arrives(self, reader: int, letter: Letter) -> None:
        """A letter, true or not, is read."""
        stream = self.sides[reader]
        if stream is None:
            if not isinstance(letter, Opened):
                self._do(reader, refusals(letter))
            return
        self._do(reader, stream.heard(letter, self.now_s))

    def check(self) -> None:
        """Both sides got equal chunks, and no two chunks are the same."""
        for opening, near in self.handed[0].items():
            far = self.handed[1].get(self.partners[0].get(opening, b""), {})
            if self.partners[1].get(self.partners[0].get(opening, b"")) != opening:
                continue
            for index in near.keys() & far.keys():
                assert near[index] == far[index], "the two sides hold different keys"
        for side in (0, 1):
            every = [key for handed in self.handed[side].values() for key in handed.values()]
            assert len(set(every)) == len(every), "two chunks share material"

    # --- what the key manager does ---------------------------------------------------------------

    def _do(self, side: int, effects: list[Effect], stream: Stream | None = None) -> None:
        stream = stream or self.sides[side]
        for effect in effects:
            match effect:
                case Write():
                    self.wires[side].append(encode_letter(effect.letter))
                case Draw() if stream is not None:
                    self._draw(side, stream, effect.number)
                case Collect() if stream is not None:
                    self._collect(side, stream, effect.offer)

    def _key(self, bits: int) -> SuppliedKey:
        raw_id, content = self.random.randbytes(16), self.random.randbytes(bits // 8)
        self.stored[raw_id] = content
        self.supplied.append(content)
        return SuppliedKey(key_id=uuid_text(raw_id), key=Secret(content))

    def _draw(self, side: int, stream: Stream, number: int) -> None:
        assert stream.maker is not None
        if not self.rich:
            stream.maker.drew_nothing(number, self.now_s)
            return
        keys = tuple(self._key(8 * stream.qos.chunk_bytes) for _ in range(number))
        proofs = (self._key(PROOF_BITS), self._key(PROOF_BITS))
        stream.maker.drawn(keys, proofs, 0, self.now_s)
        self._do(side, stream.due(self.now_s))

    def _fetch(self, ids: tuple[str, ...]) -> tuple[SuppliedKey, ...] | None:
        raw = [uuid_bytes(one) for one in ids]
        if any(one not in self.stored for one in raw) or len(set(raw)) < len(raw):
            return None
        return tuple(SuppliedKey(key_id=uuid_text(one), key=Secret(self.stored.pop(one))) for one in raw)

    def _collect(self, side: int, stream: Stream, offer: Offer) -> None:
        taker = stream.taker
        assert taker is not None
        lacking = taker.lacking(offer)
        fetched = self._fetch(lacking) if lacking else ()
        if fetched is None:
            self._do(side, [Write(letter=taker.missed(offer))])
            return
        ids = taker.checked(offer, fetched)
        if not ids:
            return
        keys = self._fetch(ids)
        answer = taker.missed(offer) if keys is None else taker.collected(offer, keys, None, self.now_s)
        self._do(side, [Write(letter=answer)])


def forged(letter: Letter, chance: random.Random) -> Letter:
    """What a node on the way may make of a letter that passes: other numbers, other order, another tag."""
    if isinstance(letter, Offer):
        choice = chance.randrange(4)
        ids = list(letter.key_ids)
        if choice == 0:
            chance.shuffle(ids)
            return replace(letter, key_ids=tuple(ids))
        if choice == 1:
            return replace(letter, first=letter.first + chance.randrange(1, 9))
        if choice == 2:
            return replace(letter, proof_ids=(ids[0], ids[-1]))
        return replace(letter, key_ids=tuple(ids[1:]) or letter.key_ids)
    if hasattr(letter, "first"):
        return replace(letter, first=letter.first + chance.randrange(9))
    if hasattr(letter, "frontier"):
        return replace(letter, frontier=chance.randrange(2**32))
    return letter
