"""Key streams as a running thing: streams with key supply, letters, time and waiting around them.

Rule of this file: nothing is decided here. What a stream wants done (`stream.Effect`) is done, and what comes
of it is told to the stream; calls of applications wait until their stream changes or their time is over.
Streams end with the process: whatever was drawn for them is never handed out afterwards, and the other side
hears at its next letter that this opening is gone.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from keyweave_agents.keys.storage.ledger import Shelf
from keyweave_agents.service.streams.book import Book
from keyweave_agents.service.streams.borrowed import Borrowed
from keyweave_agents.service.streams.chunks import Chunk, Room, Verdict
from keyweave_agents.service.streams.letters import OPENING_BYTES, Letter
from keyweave_agents.service.streams.ports import StreamKeys
from keyweave_agents.service.streams.post import StreamPost
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
)
from keyweave_agents.service.streams.supplying import StreamSupply
from keyweave_agents.service.streams.values import (
    JSON,
    NULL_KSID,
    Delivery,
    Opening,
    Outcome,
    StreamQos,
    uuid4_of,
)
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

TICK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """OPEN_CONNECT with its applications found: `caller` opens with `other`; `source`: it is the source."""

    caller: SaeId
    other: SaeId
    source: bool
    qos: StreamQos
    ksid: bytes


class StreamDesk:
    """The streams of one key manager. `serves`: whether an application is one of ours; `shelf` notes which
    associations streams asked for.
    """

    def __init__(
        self,
        keys: StreamKeys,
        clock: Clock,
        *,
        shelf: Shelf | None,
        random_bytes: Callable[[int], bytes],
        serves: Callable[[SaeId], bool],
        most_streams: int,
        most_each: int,
        most_chunks: int,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._room = Room(most_chunks)
        self._book = Book(most=most_streams, most_each=most_each)
        self._borrowed = Borrowed(keys, shelf, clock.monotonic())
        self._supply = StreamSupply(keys, self._book, self._borrowed, clock)
        self._post = StreamPost(keys, self._book, clock, serves=serves, heard=self._heard)
        self._changed: dict[Stream, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger("streams")

    def start(self) -> None:
        """Read letters and keep time, until `close`."""
        self._post.start()
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
        ksid = uuid4_of(self._random_bytes(16)) if created else wish.ksid
        before = self._book.find(ksid, wish.caller)
        if before is not None and before.proposal and before.other == wish.other:
            before.proposal = False  # the application takes up what was proposed to it
            return Opening(outcome=Outcome.SUCCESS, qos=before.qos, ksid=ksid)
        obstacle = self._book.obstacle(ksid, wish.caller, wish.other)
        if obstacle is not None:
            if obstacle is Outcome.NO_CONNECTION:
                self._log.warning("stream_refused", caller=wish.caller, reason="too many streams")
            return Opening(outcome=obstacle)
        stream = Stream(
            ksid=ksid,
            own=wish.caller,
            other=wish.other,
            opening=self._random_bytes(OPENING_BYTES),
            claim=CREATOR * created + SOURCE * wish.source,
            qos=qos,
            room=self._room,
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
        if stream.taker is not None:
            self._supply.drop(stream)  # what was drawn before it was known who makes the keys
        met = met and stream.qos.min_bps == qos.min_bps
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
            metadata = chunk.metadata(now_s)
            if len(metadata) > metadata_bytes:
                return Delivery(outcome=Outcome.METADATA_SIZE, metadata_bytes=len(metadata))
        stream.chunks.hand_out(chunk.index)
        self._stir(stream)
        return Delivery(outcome=Outcome.SUCCESS, index=chunk.index, key=chunk.key, metadata=metadata)

    async def _meet(self, stream: Stream, *, alone: bool) -> Outcome:
        """Ask for an association if it is ours to ask, and wait for the peer (`alone`: not for the peer)."""
        wait_s = stream.qos.timeout_ms / 1000
        until_s = self._clock.monotonic() + wait_s
        announced = self._post.announced(stream)
        if announced is not None:
            self._heard(stream, announced)
        asking: asyncio.Future[Outcome | None] | None = None
        if stream.claim and not stream.defers:
            asking = asyncio.ensure_future(self._supply.associate(stream, wait_s))
        associated = False
        try:
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

    # --- what streams want -----------------------------------------------------------------------

    def _heard(self, stream: Stream, letter: Letter) -> None:
        with self._fence(stream):
            self._stir(stream, stream.heard(letter, self._clock.monotonic()))

    def _stir(self, stream: Stream, effects: Iterable[Effect] = ()) -> None:
        """Do what a stream wants, and wake who waits for it."""
        for effect in [*effects, *stream.due(self._clock.monotonic())]:
            match effect:
                case Write():
                    self._post.write(stream, effect.letter)
                case Draw():
                    self._spawn(self._work(stream, self._supply.draw(stream, effect.number)))
                case Collect():
                    self._spawn(self._work(stream, self._supply.collect(stream, effect.offer)))
        event = self._changed.pop(stream, None)
        if event is not None:
            event.set()

    async def _work(self, stream: Stream, work: Coroutine[None, None, list[Letter]]) -> None:
        with self._fence(stream):
            letters = await work
            self._stir(stream, [Write(letter=letter) for letter in letters])

    @contextlib.contextmanager
    def _fence(self, stream: Stream) -> Iterator[None]:
        """A defect of one stream ends that stream, not what it happened in."""
        try:
            yield
        except Exception:  # noqa: BLE001 - the last fence
            self._log.exception("stream_failed", caller=stream.own, other=stream.other)
            if self._book.drop(stream):
                stream.phase = Phase.OVER
                self._forget(stream)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            now_s = self._clock.monotonic()
            self._book.expire(now_s)
            self._borrowed.tick(self._book.qualities(), now_s)
            for stream in self._book:
                if stream.idle(now_s):
                    self._log.info("stream_unused", caller=stream.own, other=stream.other)
                    self._end(stream)
                else:
                    with self._fence(stream):
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
        if self._book.drop(stream):
            self._stir(stream, stream.close())
            self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self._supply.drop(stream)
        self._post.drop(stream)
        event = self._changed.pop(stream, None)
        if event is not None:
            event.set()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
