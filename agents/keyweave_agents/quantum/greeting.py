"""How the two ends of a fibre find that they belong together: hellos, then welcomes.

Rule of this file: nothing flows before both ends have said that the other one fits, so a fibre plugged into
the wrong device is never called up, on either side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from keyweave_agents.quantum.channel import FrameStream
from keyweave_agents.quantum.frames import Bye, Condition, Hello, Keepalive, Welcome
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import DownCause
from keyweave_core.errors import MalformedMessage, PeerUnreachable, Unavailable
from keyweave_core.model.ids import NodeId

Awaited = TypeVar("Awaited", Hello, Welcome)


class SessionEnded(Unavailable):
    """The connection of a fibre is over, and why."""

    def __init__(self, cause: DownCause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


def hello_of(settings: ModuleSettings, node_id: NodeId, *, newest_block_id: int, wavelength: int) -> Hello:
    """What this end says of itself; `wavelength`: the channel that it is on now."""
    return Hello(
        role=settings.role,
        link_id=settings.link_id,
        node_id=node_id,
        interface_id=settings.interface_id,
        profile=settings.profile,
        newest_block_id=newest_block_id,
        wavelength=wavelength,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The other end, and what a plant said of the fibre meanwhile."""

    peer: Hello
    condition: Condition | None


async def greet(stream: FrameStream, settings: ModuleSettings, own: Hello) -> Greeting:
    """Exchange hellos, then welcomes, so that both ends agree that they fit.

    A fibre plant keeps the connection alive while the other end is away, so this may wait long. Raises
    SessionEnded: gone, silent, or not the end that the settings name (it is told so).
    """
    try:
        stream.send(own)
        peer = await _await(stream, settings, Hello)
        wrong = _difference(settings, peer)
        if wrong:
            stream.send(Bye(cause=DownCause.MISMATCH, reason=wrong))
            raise SessionEnded(DownCause.MISMATCH, f"the other end is refused: {wrong}")
        if peer.wavelength != own.wavelength:
            # No light of the one arrives at the other; whoever is told the next channel comes again.
            apart = f"channel {peer.wavelength} there, {own.wavelength} here"
            stream.send(Bye(cause=DownCause.WAVELENGTH, reason=apart))
            raise SessionEnded(DownCause.WAVELENGTH, apart)
        stream.send(Welcome())
        condition: list[Condition] = []
        await _await(stream, settings, Welcome, condition.append)
    except MalformedMessage as error:
        raise SessionEnded(DownCause.MISMATCH, str(error)) from error
    except PeerUnreachable as error:
        raise SessionEnded(DownCause.FIBRE, str(error)) from error
    return Greeting(peer=peer, condition=condition[-1] if condition else None)


async def _await(
    stream: FrameStream,
    settings: ModuleSettings,
    shape: type[Awaited],
    on_condition: Callable[[Condition], None] | None = None,
) -> Awaited:
    """The next frame of this shape; keepalives (and conditions, when wanted) may come before it."""
    while True:
        frame = await stream.receive(silence_s=settings.silence_s)
        if isinstance(frame, shape):
            return frame
        if isinstance(frame, Bye):
            raise ending_of(frame)
        if isinstance(frame, Condition) and on_condition is not None:
            on_condition(frame)
        elif not isinstance(frame, Keepalive):
            raise MalformedMessage(
                f"a {type(frame).__name__.upper()} frame, expected {shape.__name__.upper()}"
            )


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


def ending_of(bye: Bye) -> SessionEnded:
    """What a goodbye of the other end means here."""
    cause = DownCause.PEER_OFF if bye.cause is DownCause.SWITCHED_OFF else bye.cause
    return SessionEnded(cause, f"the other end closed: {bye.reason}")
