"""The side of a stream that follows: it takes what the maker offers, by id, and says so. Pure.

    offer -> its two proof keys by id -> the tag is right -> the chunks by id -> taken (the same answer again
                                                                                 for the same offer)
                                      -> it is not: the true offer may still come
          -> keys that are not here: lost

Rule of this file: no chunk is fetched for an offer that does not prove itself, so a forger can cost two proof
keys of an offer that he saw, and never move a chunk to another index.
"""

from dataclasses import dataclass

from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.keys.relaying.frames import uuid_text
from keyweave_agents.service.streams.chunks import Chunk, Chunks
from keyweave_agents.service.streams.letters import Head, Lost, Offer, Taken, Wanted
from keyweave_agents.service.streams.proof import PROOF_KEYS, prove, proves
from keyweave_agents.service.streams.values import NEXT_INDEX

ATTEMPTS = 8
"""Offers that name the same proof keys and do not prove themselves; then these keys are wiped."""

PROOFS_KEPT = 4

NEWS = 4
"""Chunks that were asked for since the maker was told: half of what it keeps ready at the least."""

WANTED_AGAIN_S = 1.0


@dataclass(slots=True, kw_only=True)
class _Proofs:
    keys: tuple[SuppliedKey, ...]
    failures: int = 0

    def wipe(self) -> None:
        for one in self.keys:
            one.key.wipe()


class Taker:
    """Takes the chunks of one stream; `head` is of its letters."""

    def __init__(self, chunks: Chunks, head: Head, chunk_bytes: int) -> None:
        self._chunks = chunks
        self._head = head
        self._chunk_bytes = chunk_bytes
        self._proofs: dict[tuple[bytes, bytes], _Proofs] = {}
        self._collecting = False
        self._answer: Taken | None = None
        self._told = 0
        self._told_s = 0.0

    def offered(self, offer: Offer) -> Taken | Offer | None:
        """The offer again, when its keys are to be fetched; the answer of before; None: nothing now.

        What is fetched ends with `collected` or `missed`.
        """
        if self._answer is not None and offer.first == self._answer.first:
            return self._answer
        last = offer.first + len(offer.key_ids)
        if (
            offer.first < self._chunks.made
            or offer.chunk_bytes != self._chunk_bytes
            or last > NEXT_INDEX
            or self._collecting
            or not self._chunks.room(len(offer.key_ids))
        ):
            return None
        self._collecting = True
        return offer

    def lacking(self, offer: Offer) -> tuple[str, ...]:
        """The ids of the proof keys that must be fetched to check the offer; none when they are here."""
        return () if offer.proof_ids in self._proofs else tuple(map(uuid_text, offer.proof_ids))

    def checked(self, offer: Offer, fetched: tuple[SuppliedKey, ...]) -> tuple[str, ...]:
        """The ids of the chunks of an offer that proves itself; none: it does not, nothing is collected."""
        if len(fetched) == PROOF_KEYS:
            self._proofs[offer.proof_ids] = _Proofs(keys=fetched)
            if len(self._proofs) > PROOFS_KEPT:
                self._proofs.pop(next(iter(self._proofs))).wipe()
        proofs = self._proofs.get(offer.proof_ids)
        if proofs is not None and proves(offer.proved(), offer.tag, proofs.keys[0].key):
            return tuple(map(uuid_text, offer.key_ids))
        self._collecting = False
        if proofs is not None:
            proofs.failures += 1
            if proofs.failures >= ATTEMPTS:
                self._proofs.pop(offer.proof_ids).wipe()
        return ()

    def collected(
        self, offer: Offer, keys: tuple[SuppliedKey, ...], hops: int | None, now_s: float
    ) -> Taken | Lost:
        """Hold the chunks of a checked offer; the answer."""
        if any(len(one.key) != self._chunk_bytes for one in keys):
            for one in keys:
                one.key.wipe()
            return self.missed(offer)
        self._collecting = False
        proofs = self._proofs.pop(offer.proof_ids)
        self._chunks.skip_to(offer.first)
        self._chunks.put(
            [
                Chunk(index=index, key=one.key, origin=one.origin, hops=hops, ready_s=now_s)
                for index, one in enumerate(keys, offer.first)
            ]
        )
        bare = Taken(
            head=self._head, first=offer.first, count=len(keys), frontier=self._chunks.frontier, tag=b""
        )
        tag = prove(bare.proved(), proofs.keys[1].key)
        proofs.wipe()
        self._answer = Taken(
            head=bare.head, first=bare.first, count=bare.count, frontier=bare.frontier, tag=tag
        )
        return self._answer

    def missed(self, offer: Offer) -> Lost:
        """The keys of an offer are not here."""
        self._collecting = False
        return Lost(head=self._head, first=offer.first)

    def set_aside(self) -> None:
        """The keys of an offer cannot be fetched now; it will be repeated."""
        self._collecting = False

    def due(self, now_s: float) -> Wanted | None:
        """What the maker shall hear of the application's wishes, when it is time."""
        frontier, waits = self._chunks.frontier, self._chunks.frontier > self._chunks.made
        news = frontier >= self._told + (1 if waits else NEWS)
        if not news and not (waits and now_s >= self._told_s + WANTED_AGAIN_S):
            return None
        self._told, self._told_s = frontier, now_s
        return Wanted(head=self._head, frontier=frontier)

    def wipe(self) -> None:
        """Overwrite the proof keys that are here."""
        for proofs in self._proofs.values():
            proofs.wipe()
        self._proofs.clear()
