"""One life of a fibre's connection: the greeting, then key until the light goes out.

Rule of this file: a session ends by raising SessionEnded, which says why; whoever runs it decides about the
next one. What must outlive it (block ids, counters) lies in `Ledger`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from keyweave_agents.material import Secret
from keyweave_agents.quantum.channel import FrameStream
from keyweave_agents.quantum.frames import Ack, Block, Bye, Condition, Frame, Hello, Keepalive, Settled
from keyweave_agents.quantum.intake import KeyBlock, KeySink
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import DownCause
from keyweave_agents.quantum.pace import Pace, interval_s
from keyweave_agents.quantum.pairing import Ends, Receiving, Sending
from keyweave_core.errors import KeyweaveError, MalformedMessage, PeerUnreachable, Unavailable
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import Clock


class SessionEnded(Unavailable):
    """The connection of a fibre is over, and why."""

    def __init__(self, cause: DownCause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What a module keeps between sessions."""

    next_block_id: int  # transmitter: above everything it ever sent
    newest_block_id: int = 0  # the newest it ever deposited
    generated_bits: int = 0
    discarded_bits: int = 0


def hello_of(settings: ModuleSettings, node_id: NodeId, ledger: Ledger) -> Hello:
    """What this end says of itself."""
    return Hello(
        role=settings.role,
        link_id=settings.link_id,
        node_id=node_id,
        interface_id=settings.interface_id,
        profile=settings.profile,
        newest_block_id=ledger.newest_block_id,
    )


async def greet(stream: FrameStream, settings: ModuleSettings, own: Hello) -> Hello:
    """Exchange hellos; the other end's, which fits this one.

    A fibre plant keeps the connection alive while the other end is away, so this may wait long. Raises
    SessionEnded: gone, silent, or not the end that the settings name (it is told so).
    """
    try:
        stream.send(own)
        frame = await stream.receive(silence_s=settings.silence_s)
        while isinstance(frame, Keepalive):
            frame = await stream.receive(silence_s=settings.silence_s)
        if isinstance(frame, Bye):
            _ended_by(frame)
        wrong = _difference(settings, frame) if isinstance(frame, Hello) else "it does not greet"
        if isinstance(frame, Hello) and not wrong:
            return frame
        stream.send(Bye(cause=DownCause.MISMATCH, reason=wrong))
        raise SessionEnded(DownCause.MISMATCH, f"the other end is refused: {wrong}")
    except MalformedMessage as error:
        raise SessionEnded(DownCause.MISMATCH, str(error)) from error
    except PeerUnreachable as error:
        raise SessionEnded(DownCause.FIBRE, str(error)) from error


def _difference(settings: ModuleSettings, hello: Hello) -> str:
    """What is wrong with the other end's hello, '' when it fits."""
    if hello.link_id != settings.link_id:
        return f"link {hello.link_id} there, {settings.link_id} here"
    if hello.node_id != settings.remote_node_id:
        return f"node {hello.node_id}, expected {settings.remote_node_id}"
    if hello.interface_id != settings.remote_interface_id:
        return f"interface {hello.interface_id}, expected {settings.remote_interface_id}"
    if hello.role == settings.role:
        return f"both ends are {hello.role}"
    if hello.profile != settings.profile:
        return f"profile {hello.profile} there, {settings.profile} here"
    return ""


def _ended_by(bye: Bye) -> NoReturn:
    cause = DownCause.PEER_OFF if bye.cause is DownCause.SWITCHED_OFF else bye.cause
    raise SessionEnded(cause, f"the other end closed: {bye.reason}")


class Session:
    """A greeted connection. `rate_bps` tells the rate now, `on_condition` takes what a plant says."""

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
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._sink = sink
        self._ledger = ledger
        self._clock = clock
        self._random_bytes = random_bytes
        self._rate_bps = rate_bps
        self._on_condition = on_condition
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
        ended: KeyweaveError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._keep_alive())
                if isinstance(self._half, Sending):
                    tasks.create_task(self._make(self._half))
        except* KeyweaveError as group:
            ended = _first(group)
        finally:
            self._ledger.discarded_bits += self._half.lost()
        if isinstance(ended, SessionEnded):
            raise ended
        if isinstance(ended, MalformedMessage):
            raise SessionEnded(DownCause.MISMATCH, str(ended)) from ended
        raise SessionEnded(DownCause.FIBRE, str(ended)) from ended

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
            case Bye(), _:
                _ended_by(frame)
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


def _first(group: BaseExceptionGroup[KeyweaveError]) -> KeyweaveError:
    """The first error inside a group; a reason that was said counts more than a connection that broke."""
    flat = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    return next((error for error in flat if isinstance(error, SessionEnded)), flat[0])
