"""Keys for streams: the association of two applications, drawing at its source, fetching at its destination.

Rule of this file: whatever was drawn or fetched and is not wanted any more is wiped; a stream may end while
its keys are on their way.
"""

from collections.abc import Iterable
from dataclasses import replace

from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.service.streams.book import Book
from keyweave_agents.service.streams.borrowed import Borrowed, together
from keyweave_agents.service.streams.letters import Letter, Offer
from keyweave_agents.service.streams.ports import StreamKeys
from keyweave_agents.service.streams.proof import PROOF_BITS, PROOF_KEYS
from keyweave_agents.service.streams.stream import CREATOR, Stream
from keyweave_agents.service.streams.values import Outcome, StreamQos
from keyweave_core.errors import DeadlineExceeded, InvalidInput, KeyweaveError, Refused, Unavailable
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

DRAW_WAIT_S = 1.0
"""How long one draw waits for key; then fewer chunks are tried."""

GRANT_S, GRANT_LOOK_S = 2.0, 0.05
"""How long a stream waits for its minimum to be reserved besides that of others."""

LEADER_S, FOLLOWER_S = 0.1, 0.5
"""How long a stream with a known id waits for word of its peer before an association is asked for: where this
side would make the keys if both have the same claim, and where it would not."""


class StreamSupply:
    """Does what streams want done with keys."""

    def __init__(self, keys: StreamKeys, book: Book, borrowed: Borrowed, clock: Clock) -> None:
        self._keys = keys
        self._book = book
        self._borrowed = borrowed
        self._clock = clock
        self._proofs: dict[Stream, tuple[SuppliedKey, ...]] = {}  # drawn, and no chunks with them
        self._log = get_logger("streams")

    def drop(self, stream: Stream) -> None:
        """The stream is over."""
        _wipe(self._proofs.pop(stream, ()))

    async def associate(self, stream: Stream, wait_s: float) -> Outcome | None:
        """Have the network join the two applications, and reserve what the stream is to have; what stands
        against it. A stream that cannot have its minimum has what is left from then on.

        The keys that show it are the proof keys of the first offer. Of two that could ask one is slower, so
        that it hears of the other before it asks for a second association.
        """
        if not stream.claim & CREATOR:
            await self._clock.sleep(LEADER_S if stream.makes(stream.claim) else FOLLOWER_S)
            if stream.defers:
                return None
        until_s = self._clock.monotonic() + min(wait_s / 2, GRANT_S)
        try:
            self._proofs[stream] = await self._first_drawn(stream, wait_s)
        except DeadlineExceeded:
            return Outcome.TIMEOUT
        except Unavailable:
            pass  # they are joined, and there is no key now
        except InvalidInput as error:
            self._log.info("stream_refused", caller=stream.own, other=stream.other, reason=str(error))
            return Outcome.NO_CONNECTION
        while stream.qos.min_bps:
            lacking = self._lacking_bps(stream)
            may_grow = self._borrowed.ours((stream.own, stream.other))
            if lacking <= 0 or not may_grow or self._clock.monotonic() >= until_s:
                stream.qos = replace(stream.qos, min_bps=stream.qos.min_bps - max(0, lacking))
                break
            await self._clock.sleep(GRANT_LOOK_S)
        return None

    async def _first_drawn(self, stream: Stream, wait_s: float) -> tuple[SuppliedKey, ...]:
        """The proof keys of the first offer, from an association under the id of the stream if there is none.

        A controller may know the id as that of another association; it is asked once more without.
        """
        pair, until_s = (stream.own, stream.other), self._clock.monotonic() + wait_s
        wanted = self._borrowed.want(stream.ksid, pair, self._qualities(stream))
        try:
            return await self._drawn(stream, PROOF_KEYS, PROOF_BITS, wait_s)
        except Refused:
            if not wanted:
                raise
            self._borrowed.forget(pair)
        return await self._drawn(stream, PROOF_KEYS, PROOF_BITS, max(0.0, until_s - self._clock.monotonic()))

    def _lacking_bps(self, stream: Stream) -> int:
        """What of the minimum of a stream the network has not reserved."""
        every = self._qualities(stream)
        pair, now_s = (stream.own, stream.other), self._clock.monotonic()
        lacking = sum(qos.min_bps for qos in every) - self._borrowed.reserved_bps(pair, every, now_s)
        return min(lacking, stream.qos.min_bps)

    def _qualities(self, stream: Stream) -> list[StreamQos]:
        """Of this stream and of all others that the association of its pair serves."""
        return self._book.qualities().get((stream.own, stream.other)) or [stream.qos]

    async def draw(self, stream: Stream, number: int) -> list[Letter]:
        """Draw chunks for the maker of a stream, and the proof keys of their offer."""
        maker, proofs = stream.maker, self._proofs.pop(stream, ())
        keys: tuple[SuppliedKey, ...] = ()
        if maker is None:
            _wipe(proofs)
            return []
        try:
            proofs = proofs or await self._drawn(stream, PROOF_KEYS, PROOF_BITS, DRAW_WAIT_S)
            keys = await self._drawn(stream, number, 8 * stream.qos.chunk_bytes, DRAW_WAIT_S)
        except KeyweaveError as error:
            self._log.debug("stream_without_key", caller=stream.own, other=stream.other, reason=str(error))
        if stream.maker is not maker:
            _wipe((*proofs, *keys))
        elif keys:
            maker.drawn(keys, proofs, self._hops(stream.own, stream.other), self._clock.monotonic())
        else:
            maker.drew_nothing(number, self._clock.monotonic())
            if proofs:
                self._proofs[stream] = proofs
        return []

    async def _drawn(self, stream: Stream, number: int, bits: int, wait_s: float) -> tuple[SuppliedKey, ...]:
        qos, priority = together(self._qualities(stream))
        return await self._keys.get_keys(
            stream.own, stream.other, number, bits, wait_s, qos=qos, priority=priority
        )

    async def collect(self, stream: Stream, offer: Offer) -> list[Letter]:
        """Fetch the keys of an offer; the answer to it."""
        taker = stream.taker
        if taker is None:
            return []
        fetched: tuple[SuppliedKey, ...] = ()
        try:
            lacking = taker.lacking(offer)
            if lacking:
                fetched = await self._keys.get_keys_by_id(stream.own, stream.other, lacking)
            if stream.taker is not taker:
                _wipe(fetched)
                return []
            key_ids = taker.checked(offer, fetched)
            if not key_ids:
                self._log.warning("stream_offer_unproved", caller=stream.own, other=stream.other)
                return []
            keys = await self._keys.get_keys_by_id(stream.own, stream.other, key_ids)
        except InvalidInput as error:
            self._log.warning("stream_keys_missing", caller=stream.own, other=stream.other, reason=str(error))
            return [taker.missed(offer)]
        except KeyweaveError:
            taker.set_aside()
            return []
        if stream.taker is not taker:
            _wipe(keys)
            return []
        hops = self._hops(stream.other, stream.own)
        return [taker.collected(offer, keys, hops, self._clock.monotonic())]

    def _hops(self, server: SaeId, client: SaeId) -> int | None:
        """Trusted nodes between the two, when this node can tell."""
        ends = self._keys.between(server, client)
        return 0 if ends is not None and ends.direct else None


def _wipe(keys: Iterable[SuppliedKey]) -> None:
    for one in keys:
        one.key.wipe()
