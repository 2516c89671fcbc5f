"""The side of a stream that makes it: how much key to draw next, and its offer to the other side. Pure.

    draw -> offer, repeated until it is answered -> taken: the chunks may be handed out
                                                 -> lost: they are wiped, and their indexes stay empty

Rule of this file: one offer at a time, and a chunk is handed out here only when the other side has proved
that it holds it. Chunks are made for who asks: an idle stream draws nothing.
"""

from dataclasses import dataclass

from keyweave_agents.keys.buffers import TokenBucket
from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.keys.relaying.frames import uuid_bytes
from keyweave_agents.service.streams.chunks import Chunk, Chunks
from keyweave_agents.service.streams.letters import MOST_CHUNKS, Head, Lost, Offer, Taken
from keyweave_agents.service.streams.proof import PROOF_BITS, PROOF_KEYS, prove, proves
from keyweave_agents.service.streams.values import NEXT_INDEX, StreamQos

FEWEST_AHEAD, LEAST_AHEAD_BITS = 8, 16_384
"""What is kept ready at the least: enough for the proof keys of an offer to weigh little."""

REPEAT_S, REPEAT_MOST_S = 0.2, 2.0
"""An offer without answer is repeated after so long, then after twice that, and so on."""

RETRY_S = 0.5
"""After a draw that brought nothing."""


@dataclass(slots=True, kw_only=True)
class _Block:
    """An offer under way with its keys."""

    offer: Offer
    keys: tuple[SuppliedKey, ...]
    answer_key: SuppliedKey
    hops: int | None
    again_s: float
    pause_s: float = REPEAT_S

    def wipe(self) -> None:
        for one in (*self.keys, self.answer_key):
            one.key.wipe()


class Maker:
    """Makes the chunks of one stream; `head` is of its letters, `frontier` what the other side asked for."""

    def __init__(self, chunks: Chunks, head: Head, qos: StreamQos, now_s: float) -> None:
        self._chunks = chunks
        self._head = head
        self._chunk_bytes = qos.chunk_bytes
        self._bits = 8 * qos.chunk_bytes
        self._ahead = min(
            MOST_CHUNKS, max(FEWEST_AHEAD, LEAST_AHEAD_BITS // self._bits, qos.min_bps // self._bits)
        )
        self._bucket = TokenBucket(qos.max_bps, max(qos.max_bps, self._cost(1)), now_s)
        self._block: _Block | None = None
        self._drawing = False
        self._hungry = False
        self._most = FEWEST_AHEAD  # at a time: few for the first to come soon, or while key is short
        self._retry_s = now_s
        self.frontier = 0

    def draw(self, now_s: float) -> int:
        """How many chunks to draw now; a draw that is under way ends with `drawn` or `drew_nothing`."""
        chunks, asked = self._chunks, max(self._chunks.frontier, self.frontier)
        self._hungry = self._hungry or asked > chunks.made > 0
        if self._block is not None or self._drawing or now_s < self._retry_s:
            return 0
        if self._hungry:  # somebody waited: who reads fast gets more at a time
            self._hungry, self._ahead = False, min(MOST_CHUNKS, 2 * self._ahead)
        missing = asked + self._ahead - chunks.made
        if missing <= self._ahead // 2:
            return 0
        number = min(missing, self._most, NEXT_INDEX - chunks.made)
        while number and not chunks.room(number):
            number //= 2
        # What the rate allows at once, and not less: many small offers would be spent on their proofs.
        number = min(number, max(1, (int(self._bucket.burst_bits) - self._cost(0)) // self._bits))
        self._drawing = number > 0 and self._bucket.take(self._cost(number), now_s)
        return number if self._drawing else 0

    def _cost(self, number: int) -> int:
        """Bits that so many chunks take from the network."""
        return number * self._bits + PROOF_KEYS * PROOF_BITS

    def drew_nothing(self, number: int, now_s: float) -> None:
        """The network had no key."""
        self._drawing = False
        self._most = max(1, number // 2)
        self._bucket.give_back(self._cost(number))
        self._retry_s = now_s + RETRY_S

    def drawn(
        self, keys: tuple[SuppliedKey, ...], proofs: tuple[SuppliedKey, ...], hops: int | None, now_s: float
    ) -> None:
        """Offer these keys as the next chunks, proved by the first of `proofs`."""
        self._drawing = False
        self._most = min(MOST_CHUNKS, 2 * self._most)
        offer = Offer(
            head=self._head,
            first=self._chunks.made,
            chunk_bytes=self._chunk_bytes,
            key_ids=tuple(uuid_bytes(key.key_id) for key in keys),
            proof_ids=(uuid_bytes(proofs[0].key_id), uuid_bytes(proofs[1].key_id)),
            tag=b"",
        )
        sealed = Offer(
            head=offer.head,
            first=offer.first,
            chunk_bytes=offer.chunk_bytes,
            key_ids=offer.key_ids,
            proof_ids=offer.proof_ids,
            tag=prove(offer.proved(), proofs[0].key),
        )
        proofs[0].key.wipe()
        self._block = _Block(offer=sealed, keys=keys, answer_key=proofs[1], hops=hops, again_s=now_s)

    def due(self, now_s: float) -> Offer | None:
        """The offer, when it is to be sent (again)."""
        block = self._block
        if block is None or now_s < block.again_s:
            return None
        block.again_s = now_s + block.pause_s
        block.pause_s = min(REPEAT_MOST_S, 2 * block.pause_s)
        return block.offer

    def taken(self, answer: Taken, now_s: float) -> None:
        """The other side holds the chunks, if it proves it."""
        block = self._block
        if block is None or (answer.first, answer.count) != (block.offer.first, len(block.keys)):
            return
        if not proves(answer.proved(), answer.tag, block.answer_key.key):
            return
        self._block = None
        block.answer_key.key.wipe()
        self.frontier = max(self.frontier, answer.frontier)
        self._chunks.put(
            [
                Chunk(index=index, key=one.key, origin=one.origin, hops=block.hops, ready_s=now_s)
                for index, one in enumerate(block.keys, block.offer.first)
            ]
        )

    def lost(self, answer: Lost, now_s: float) -> None:
        """The other side cannot have the keys: nobody gets them, and their indexes are never used again."""
        block = self._block
        if block is None or answer.first != block.offer.first:
            return
        self._block = None
        self._chunks.skip_to(block.offer.first + len(block.keys))
        self._retry_s = now_s + RETRY_S
        block.wipe()

    def wipe(self) -> None:
        """Overwrite what nobody holds for certain."""
        if self._block is not None:
            self._block.wipe()
            self._block = None
