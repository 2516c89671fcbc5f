"""One life of a fibre's connection, from the greeting on: key until the light goes out.

Rule of this file: a session ends by raising SessionEnded, which says why; whoever runs it decides about the
next one. What must outlive it (block ids, counters) lies in `Ledger`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from keyweave_agents.material import Secret
from keyweave_agents.quantum.channel import FrameStream
from keyweave_agents.quantum.frames import (
    Ack,
    Block,
    Bye,
    Condition,
    Frame,
    Hello,
    Keepalive,
    Settled,
    Suspect,
    Trust,
)
from keyweave_agents.quantum.greeting import SessionEnded, ending_of
from keyweave_agents.quantum.intake import KeyBlock, KeySink
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import DownCause
from keyweave_agents.quantum.pace import Pace, interval_s
from keyweave_agents.quantum.pairing import Ends, Receiving, Sending
from keyweave_core.errors import MalformedMessage, PeerUnreachable
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import Clock


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What a module keeps between sessions."""

    next_block_id: int  # transmitter: above everything it ever sent
    newest_block_id: int = 0  # the newest it ever deposited
    generated_bits: int = 0
    discarded_bits: int = 0


class Session:
    """A greeted connection. `rate_bps` tells the rate now, `on_condition` takes what a plant says.

    `word` is said first: what this end thinks of the fibre; `on_word` takes what the other end does.
    `on_block` hears of every block that was put into the pool.
    """

    def __init__(
        self,
        stream: FrameStream,
        settings: ModuleSettings,
        sink: KeySink,
        ledger: Ledger,
        *,
        node_id: NodeId,
        peer: Hello,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        rate_bps: Callable[[], int],
        on_condition: Callable[[Condition], None],
        on_word: Callable[[Suspect | Trust], None],
        word: Suspect | Trust,
        on_block: Callable[[int], None],
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._sink = sink
        self._ledger = ledger
        self._clock = clock
        self._random_bytes = random_bytes
        self._rate_bps = rate_bps
        self._on_condition = on_condition
        self._on_word = on_word
        self._word = word
        self._on_block = on_block
        self._half: Sending | Receiving
        if settings.role == "transmitter":
            ends = Ends(transmitter=node_id, receiver=settings.remote_node_id)
            # Above what the other end has, too: a clock may have been set back between two runs.
            ledger.next_block_id = max(ledger.next_block_id, peer.newest_block_id + 1)
            self._half = Sending(ends, self._deposit, first_block_id=ledger.next_block_id)
        else:
            ends = Ends(transmitter=settings.remote_node_id, receiver=node_id)
            self._half = Receiving(ends, self._deposit, newest_block_id=ledger.newest_block_id)

    async def run(self) -> NoReturn:
        """Make or take key until the connection ends; always raises SessionEnded (or is cancelled)."""
        self._stream.send(self._word)
        # No TaskGroup: when a task fails in the moment this one is cancelled, it would lose the cancellation.
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._keep_alive())]
        if isinstance(self._half, Sending):
            tasks.append(asyncio.create_task(self._make(self._half)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            self._ledger.discarded_bits += self._half.lost()
        self._raise_reason([outcome for outcome in outcomes if isinstance(outcome, Exception)])

    def _raise_reason(self, errors: list[Exception]) -> NoReturn:
        """Raise what ended the session; a reason that was said counts more than a connection that broke."""
        for error in errors:
            if isinstance(error, SessionEnded):
                raise error
        for error in errors:
            if isinstance(error, MalformedMessage):
                raise SessionEnded(DownCause.MISMATCH, str(error)) from error
        for error in errors:
            if not isinstance(error, PeerUnreachable):
                raise error
        raise SessionEnded(DownCause.FIBRE, str(errors[0])) from errors[0]

    async def _read(self) -> None:
        while True:
            frame = await self._stream.receive(silence_s=self._settings.silence_s)
            for answer in self._handle(frame):
                self._stream.send(answer)

    def _handle(self, frame: Frame) -> list[Ack] | list[Settled]:
        match frame, self._half:
            case Keepalive(), _:
                return []
            case Condition(), _:
                self._on_condition(frame)
                return []
            case ((Suspect() | Trust()), _):
                self._on_word(frame)
                return []
            case Bye(), _:
                raise ending_of(frame)
            case Block(), Receiving() as half:
                self._ledger.generated_bits += frame.material.bits
                return half.arrived(frame)
            case Settled(), Receiving() as half:
                return half.settled(frame)
            case Ack(), Sending() as half:
                answer = half.acknowledged(frame)
                return [answer] if answer is not None else []
            case _:
                raise MalformedMessage(
                    f"a {self._settings.role} does not expect a {type(frame).__name__.upper()} frame"
                )

    async def _keep_alive(self) -> None:
        while True:
            self._stream.send(Keepalive())
            await self._clock.sleep(self._settings.silence_s / 4)

    async def _make(self, half: Sending) -> None:
        pace = Pace(self._clock.monotonic())
        rate = self._rate_bps()
        while True:
            await self._clock.sleep(interval_s(rate))
            for size in pace.due(rate, self._clock.monotonic()):
                self._offer(half, size)
            await self._stream.drain()
            rate = self._rate_bps()

    def _offer(self, half: Sending, size: int) -> None:
        """Make one block of `size` bytes, unless nobody has room for it."""
        self._ledger.generated_bits += size * 8
        try:
            owner = None if half.full else self._sink.next_owner(self._settings.link_id)
        except KeyError as error:
            raise SessionEnded(DownCause.MISMATCH, "the key manager does not know this link") from error
        if owner is None:
            self._ledger.discarded_bits += size * 8
            return
        self._stream.send(half.send(owner, Secret(self._random_bytes(size))))
        self._ledger.next_block_id = half.next_block_id

    def _deposit(self, block: KeyBlock) -> None:
        try:
            self._sink.deposit(self._settings.link_id, block)
        except KeyError as error:
            raise SessionEnded(DownCause.MISMATCH, "the key manager does not know this link") from error
        self._ledger.newest_block_id = block.block_id
        self._on_block(block.block_id)
