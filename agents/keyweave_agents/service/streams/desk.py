"""Key streams as a running thing: streams with key supply, letters, time and waiting around them.

Rule of this file: nothing is decided here. What a stream wants done (`stream.Effect`) is done, and what comes
of it is told to the stream; calls of applications wait until their stream changes or their time is over.
Streams end with the process: whatever was drawn for them is never handed out afterwards, and the other side
hears at its next letter that this opening is gone.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from keyweave_agents.keys.frames import LetterKind
from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.keys.ports import KeyLetters, KeySupply
from keyweave_agents.service.streams.book import Book
from keyweave_agents.service.streams.chunks import Chunk, Verdict
from keyweave_agents.service.streams.letters import (
    OPENING_BYTES,
    Letter,
    Offer,
    Opened,
    decode_letter,
    encode_letter,
)
from keyweave_agents.service.streams.proof import PROOF_BITS, PROOF_KEYS
from keyweave_agents.service.streams.qos import QosBounds, known_mimetype, negotiate
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
from keyweave_agents.service.streams.values import JSON, NULL_KSID, Delivery, Opening, Outcome, StreamQos
from keyweave_core.errors import (
    DeadlineExceeded,
    InvalidInput,
    KeyweaveError,
    MalformedMessage,
    Unavailable,
)
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

TICK_S = 0.2
DRAW_WAIT_S = 5.0
"""How long one draw waits for key; then fewer chunks are tried."""

LEADER_S, FOLLOWER_S = 0.1, 0.5
"""How long a stream with a known id waits for word of its peer before an association is asked for: where this
side would make the keys if both have the same claim, and where it would not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """OPEN_CONNECT with its applications found: `caller` opens with `other`; `source`: it is the source."""

    caller: SaeId
    other: SaeId
    source: bool
    qos: StreamQos
    ksid: bytes


class StreamDesk:
    """The streams of one key manager. `serves`: whether an application is one of ours."""

    def __init__(
        self,
        keys: KeySupply,
        letters: KeyLetters,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes],
        serves: Callable[[SaeId], bool],
        most_streams: int,
        most_each: int,
    ) -> None:
        self._keys = keys
        self._letters = letters
        self._clock = clock
        self._random_bytes = random_bytes
        self._serves = serves
        self._book = Book(most=most_streams, most_each=most_each)
        self._changed: dict[Stream, asyncio.Event] = {}
        self._proofs: dict[Stream, tuple[SuppliedKey, ...]] = {}  # drawn while the association was asked for
        self._vias: dict[Stream, AppId] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger("streams")

    def start(self) -> None:
        """Read letters and keep time, until `close`."""
        self._letters.on_letters(LetterKind.STREAM, self._letter_came)
        self._spawn(self._beat())

    async def close(self) -> None:
        """End every stream and wait until nothing runs."""
        for stream in self._book:
            self._end(stream)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- calls of applications -------------------------------------------------------------------

    async def open(self, wish: Wish, bounds: QosBounds) -> Opening:
        """OPEN_CONNECT (004 clause 6): waits at most the `timeout_ms` that was assigned."""
        qos, met = negotiate(wish.qos, bounds)
        if not known_mimetype(wish.qos.mimetype):
            return Opening(outcome=Outcome.QOS_NOT_MET, qos=qos, ksid=wish.ksid)
        created = wish.ksid == NULL_KSID
        ksid = _uuid4(self._random_bytes(16)) if created else wish.ksid
        before = self._book.find(ksid, wish.caller)
        if before is not None and before.proposal and before.other == wish.other:
            before.proposal = False  # the application takes up what was proposed to it
            return Opening(outcome=Outcome.SUCCESS, qos=before.qos, ksid=ksid)
        obstacle = self._book.obstacle(ksid, wish.caller, wish.other)
        if obstacle is not None:
            return Opening(outcome=obstacle)
        stream = Stream(
            ksid=ksid,
            own=wish.caller,
            other=wish.other,
            opening=self._random_bytes(OPENING_BYTES),
            claim=CREATOR * created + SOURCE * wish.source,
            qos=qos,
            now_s=self._clock.monotonic(),
        )
        self._book.put(stream)
        outcome = Outcome.TIMEOUT
        try:
            outcome = await self._meet(stream, alone=created)
        finally:
            if outcome not in (Outcome.SUCCESS, Outcome.PEER_NOT_YET):
                self._end(stream)
        stream.told = True
        if outcome is Outcome.SUCCESS and not met and stream.taker is None:
            outcome, stream.proposal = Outcome.QOS_NOT_MET, True
        return Opening(outcome=outcome, qos=stream.qos, ksid=ksid)

    async def get(self, caller: SaeId, ksid: bytes, index: int, metadata_bytes: int) -> Delivery:
        """GET_KEY: waits at most the `timeout_ms` of the stream."""
        stream = self._book.find(ksid, caller)
        if stream is None:
            return Delivery(outcome=Outcome.PEER_NOT_CONNECTED)
        stream.proposal = False
        until_s = self._clock.monotonic() + stream.qos.timeout_ms / 1000
        while True:
            stream.used_s = now_s = self._clock.monotonic()
            if stream.phase in (Phase.JOINED, Phase.LEFT):
                found = stream.chunks.look(index)
                if isinstance(found, Chunk):
                    return self._hand_out(stream, found, metadata_bytes, now_s)
                if found is not Verdict.NOT_YET:
                    return Delivery(outcome=Outcome.INSUFFICIENT_KEY)
                self._stir(stream)
            if stream.phase in (Phase.LEFT, Phase.OVER):
                return Delivery(outcome=Outcome.PEER_NOT_CONNECTED)
            if now_s >= until_s:
                waits = stream.phase is Phase.WAITING
                return Delivery(outcome=Outcome.PEER_NOT_CONNECTED if waits else Outcome.TIMEOUT)
            await self._change(stream, until_s - now_s)

    def close_stream(self, caller: SaeId, ksid: bytes) -> Outcome:
        """CLOSE: at once. The other side keeps what it has until it closes, or its ttl ends."""
        stream = self._book.find(ksid, caller)
        if stream is None:
            return Outcome.PEER_NOT_CONNECTED
        self._end(stream)
        return Outcome.SUCCESS

    def _hand_out(self, stream: Stream, chunk: Chunk, metadata_bytes: int, now_s: float) -> Delivery:
        metadata = b""
        if metadata_bytes and stream.qos.mimetype == JSON:
            facts: dict[str, int | str] = {"age": round(1000 * (now_s - chunk.ready_s))}
            if chunk.hops is not None:
                facts["hops"] = chunk.hops
            facts["keyweave_origin"] = chunk.origin.value
            metadata = json.dumps(facts, separators=(",", ":")).encode()
            if len(metadata) > metadata_bytes:
                return Delivery(outcome=Outcome.METADATA_SIZE, metadata_bytes=len(metadata))
        stream.chunks.hand_out(chunk.index)
        self._stir(stream)
        return Delivery(outcome=Outcome.SUCCESS, index=chunk.index, key=chunk.key, metadata=metadata)

    # --- OPEN_CONNECT ----------------------------------------------------------------------------

    async def _meet(self, stream: Stream, *, alone: bool) -> Outcome:
        """Ask for an association if it is ours to ask, and wait for the peer (`alone`: not for the peer)."""
        wait_s = stream.qos.timeout_ms / 1000
        until_s = self._clock.monotonic() + wait_s
        announced = self._book.announced(stream.ksid, stream.other, stream.own)
        asking = None
        if stream.claim and (announced is None or stream.makes(announced.letter.claim)):
            asking = asyncio.ensure_future(self._associate(stream, wait_s))
        associated = False
        try:
            if announced is not None:
                self._heard(stream, announced.letter, announced.via)
            self._stir(stream)
            while True:
                if asking is not None and asking.done():
                    refused, associated, asking = asking.result(), True, None
                    if refused is not None:
                        return refused
                    stream.say_again(self._clock.monotonic())
                    self._stir(stream)
                if stream.phase is Phase.OVER:
                    return Outcome.PEER_NOT_CONNECTED
                if stream.phase is not Phase.WAITING or (alone and associated):
                    return Outcome.SUCCESS
                now_s = self._clock.monotonic()
                if now_s >= until_s:
                    return Outcome.PEER_NOT_YET if associated else Outcome.TIMEOUT
                await self._change(stream, until_s - now_s, asking)
        finally:
            if asking is not None:
                asking.cancel()

    async def _associate(self, stream: Stream, wait_s: float) -> Outcome | None:
        """Have the network join the two applications; what stands against it.

        The keys that show it are the proof keys of the first offer. Of two that could ask one is slower, so
        that it hears of the other before it asks for a second association.
        """
        if not stream.claim & CREATOR:
            await self._clock.sleep(LEADER_S if stream.makes(stream.claim) else FOLLOWER_S)
            if stream.defers:
                return None
        try:
            self._proofs[stream] = await self._draw_keys(stream, PROOF_KEYS, PROOF_BITS, wait_s)
        except DeadlineExceeded:
            return Outcome.TIMEOUT
        except Unavailable:
            return None  # they are joined, and there is no key now
        except InvalidInput as error:
            self._log.info("stream_refused", caller=stream.own, other=stream.other, reason=str(error))
            return Outcome.NO_CONNECTION
        return None

    # --- effects ---------------------------------------------------------------------------------

    def _stir(self, stream: Stream, effects: Iterable[Effect] = ()) -> None:
        """Do what a stream wants, and wake who waits for it."""
        for effect in [*effects, *stream.due(self._clock.monotonic())]:
            match effect:
                case Write():
                    self._write(stream, effect.letter)
                case Draw():
                    self._spawn(self._draw(stream, effect.number))
                case Collect():
                    self._spawn(self._collect(stream, effect.offer))
        event = self._changed.pop(stream, None)
        if event is not None:
            event.set()

    async def _draw(self, stream: Stream, number: int) -> None:
        maker, proofs = stream.maker, self._proofs.pop(stream, ())
        keys: tuple[SuppliedKey, ...] = ()
        if maker is None:
            return
        try:
            proofs = proofs or await self._draw_keys(stream, PROOF_KEYS, PROOF_BITS, DRAW_WAIT_S)
            keys = await self._draw_keys(stream, number, 8 * stream.qos.chunk_bytes, DRAW_WAIT_S)
        except KeyweaveError as error:
            self._log.debug("stream_without_key", caller=stream.own, other=stream.other, reason=str(error))
        if stream.maker is not maker:
            _wipe((*proofs, *keys))
            return
        now_s = self._clock.monotonic()
        if keys:
            maker.drawn(keys, proofs, self._hops(stream.own, stream.other), now_s)
        else:
            if proofs:
                self._proofs[stream] = proofs
            maker.drew_nothing(number, now_s)
        self._stir(stream)

    async def _draw_keys(
        self, stream: Stream, number: int, bits: int, wait_s: float
    ) -> tuple[SuppliedKey, ...]:
        qos = stream.qos
        wanted = AppQos(min_bandwidth_bps=qos.min_bps or None, max_bandwidth_bps=qos.max_bps, ttl_s=qos.ttl_s)
        return await self._keys.get_keys(
            stream.own, stream.other, number, bits, wait_s, qos=wanted, priority=qos.priority
        )

    async def _collect(self, stream: Stream, offer: Offer) -> None:
        taker = stream.taker
        if taker is None:
            return
        fetched: tuple[SuppliedKey, ...] = ()
        try:
            lacking = taker.lacking(offer)
            if lacking:
                fetched = await self._keys.get_keys_by_id(stream.own, stream.other, lacking)
            if stream.taker is not taker:
                _wipe(fetched)
                return
            key_ids = taker.checked(offer, fetched)
            if not key_ids:
                self._log.warning("stream_offer_unproved", caller=stream.own, other=stream.other)
                return
            keys = await self._keys.get_keys_by_id(stream.own, stream.other, key_ids)
        except InvalidInput as error:
            self._log.warning("stream_keys_missing", caller=stream.own, other=stream.other, reason=str(error))
            self._stir(stream, [Write(letter=taker.missed(offer))])
            return
        except Unavailable:
            taker.set_aside()
            return
        if stream.taker is not taker:
            _wipe(keys)
            return
        hops = self._hops(stream.other, stream.own)
        answer = taker.collected(offer, keys, hops, self._clock.monotonic())
        self._stir(stream, [Write(letter=answer)])

    def _hops(self, server: SaeId, client: SaeId) -> int | None:
        """Trusted nodes between the two, when this node can tell."""
        ends = self._letters.between(server, client)
        return 0 if ends is not None and ends.direct else None

    # --- letters ---------------------------------------------------------------------------------

    def _write(self, stream: Stream, letter: Letter) -> None:
        if self._serves(stream.other):
            asyncio.get_running_loop().call_soon(self._local_letter, letter, stream.other, stream.own)
            return
        body = encode_letter(letter)
        pairs = ((stream.own, stream.other), (stream.other, stream.own))
        known = (self._letters.between(server, client) for server, client in pairs)
        vias = [self._vias.get(stream), *(ends.app_id for ends in known if ends is not None)]
        for via in vias:
            if via is not None and self._letters.send_letter(via, LetterKind.STREAM, body):
                return

    def _letter_came(self, app_id: AppId, body: bytes) -> None:
        ends = self._letters.ends(app_id)
        if ends is None:
            return
        try:
            letter = decode_letter(body)
        except MalformedMessage as error:
            self._log.warning("stream_letter_malformed", association=app_id, reason=str(error))
            return
        parties = frozenset((ends.server, *ends.clients))
        stream = self._book.addressed(letter.head.ksid, parties)
        if isinstance(letter, Opened) and not parties.issuperset((letter.writer, letter.reader)):
            return
        if stream is not None:
            self._heard(stream, letter, app_id)
        elif isinstance(letter, Opened) and self._serves(letter.reader):
            self._book.announce(letter, app_id, self._clock.monotonic())
        for effect in () if stream is not None else refusals(letter):
            if isinstance(effect, Write):
                self._letters.send_letter(app_id, LetterKind.STREAM, encode_letter(effect.letter))

    def _local_letter(self, letter: Letter, reader: SaeId, writer: SaeId) -> None:
        """A letter between two applications of this node."""
        stream = self._book.find(letter.head.ksid, reader)
        if stream is not None and stream.other == writer:
            self._heard(stream, letter, None)
        elif stream is None and isinstance(letter, Opened):
            self._book.announce(letter, None, self._clock.monotonic())
        elif stream is None:
            source = self._book.find(letter.head.ksid, writer)
            for effect in refusals(letter):
                if isinstance(effect, Write) and source is not None:
                    self._heard(source, effect.letter, None)

    def _heard(self, stream: Stream, letter: Letter, via: AppId | None) -> None:
        if via is not None:
            self._vias[stream] = via
        self._stir(stream, stream.heard(letter, self._clock.monotonic()))

    # --- time ------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            now_s = self._clock.monotonic()
            self._book.expire(now_s)
            for stream in self._book:
                if stream.idle(now_s):
                    self._log.info("stream_unused", caller=stream.own, other=stream.other)
                    self._end(stream)
                else:
                    self._stir(stream)

    async def _change(
        self, stream: Stream, wait_s: float, also: asyncio.Future[Outcome | None] | None = None
    ) -> None:
        """Wait until something happens to a stream (or `also` is done), at most so long."""
        event = self._changed.setdefault(stream, asyncio.Event())
        changed = asyncio.ensure_future(event.wait())
        timer = asyncio.ensure_future(self._clock.sleep(wait_s))
        watched: list[asyncio.Future[Any]] = [changed, timer] if also is None else [changed, timer, also]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            timer.cancel()

    def _end(self, stream: Stream) -> None:
        if not self._book.drop(stream):
            return
        self._stir(stream, stream.close())
        _wipe(self._proofs.pop(stream, ()))
        self._vias.pop(stream, None)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _uuid4(raw: bytes) -> bytes:
    """Random bytes as a UUID of version 4 (RFC 9562 clause 5.4)."""
    marked = bytearray(raw)
    marked[6] = marked[6] & 0x0F | 0x40
    marked[8] = marked[8] & 0x3F | 0x80
    return bytes(marked)


def _wipe(keys: Iterable[SuppliedKey]) -> None:
    for one in keys:
        one.key.wipe()
