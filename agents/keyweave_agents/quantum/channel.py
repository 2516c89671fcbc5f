"""The fibre as a TCP connection: frames in and out, how an end connects or listens.

Rule of this file: foreign errors end here. A closed, reset or silent connection is PeerUnreachable, bytes
that are no frame are MalformedMessage; the caller never sees an OSError.
"""

import asyncio

from keyweave_agents.quantum.frames import HEADER, MAX_BODY_BYTES, Frame, body_length, decode, encode
from keyweave_core.errors import PeerUnreachable

_READ_LIMIT = MAX_BODY_BYTES + HEADER.size
_MAX_BACKLOG_BYTES = 4 * 1024 * 1024


class FrameStream:
    """One connection, seen as frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self, *, silence_s: float | None = None) -> Frame:
        """The next frame; PeerUnreachable on the end, or when nothing is heard for `silence_s` seconds."""
        header, body = await self.receive_raw(silence_s=silence_s)
        return decode(header, body)

    async def receive_raw(self, *, silence_s: float | None = None) -> tuple[bytes, bytes]:
        """Header and body of the next frame, for whoever passes it on unread; errors as `receive`."""
        try:
            async with asyncio.timeout(silence_s):
                header = await self._reader.readexactly(HEADER.size)
                length = body_length(header)
                body = await self._reader.readexactly(length) if length else b""
        except TimeoutError as error:
            raise PeerUnreachable(f"nothing was heard for {silence_s} s") from error
        except (asyncio.IncompleteReadError, OSError) as error:
            raise PeerUnreachable("the connection is closed") from error
        return header, body

    def send(self, frame: Frame) -> None:
        """Queue a frame; PeerUnreachable when the connection is gone or the other end has stopped reading."""
        self.send_raw(encode(frame))

    def send_raw(self, *parts: bytes) -> None:
        """Queue bytes that are whole frames; errors as `send`."""
        transport = self._writer.transport
        if transport.is_closing():
            raise PeerUnreachable("the connection is closed")
        if transport.get_write_buffer_size() > _MAX_BACKLOG_BYTES:
            raise PeerUnreachable("the other end has stopped reading")
        self._writer.writelines(parts)

    async def drain(self) -> None:
        """Wait until the other end has room; PeerUnreachable when it is gone."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise PeerUnreachable("the connection is closed") from error

    def abort(self) -> None:
        """Break the connection now; what was queued is lost. The other end notices at once."""
        self._writer.transport.abort()

    def finish(self) -> None:
        """Send what is queued and close, without waiting for it; from here on nothing can be sent."""
        self._writer.close()

    async def close(self) -> None:
        """Send what is queued and close; never raises for a connection that is gone."""
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            pass
        finally:
            self._writer.transport.abort()  # whatever a peer that does not read left queued


async def connect(host: str, port: int, *, timeout_s: float) -> FrameStream:
    """Open a connection; PeerUnreachable naming the address when it cannot be made in `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, limit=_READ_LIMIT)
    except (OSError, TimeoutError) as error:
        raise PeerUnreachable(f"cannot connect to {host}:{port}: {error}") from error
    return FrameStream(reader, writer)


class Listener:
    """A listening socket that hands each new connection to whoever waits in `accept`."""

    def __init__(self, server: asyncio.Server, arrivals: asyncio.Queue[FrameStream]) -> None:
        self._server = server
        self._arrivals = arrivals

    @property
    def port(self) -> int:
        """The port, also when 0 was asked for."""
        return int(self._server.sockets[0].getsockname()[1])

    async def accept(self) -> FrameStream:
        """The next connection."""
        return await self._arrivals.get()

    def close(self) -> None:
        """Stop listening, and break what nobody accepted."""
        self._server.close()
        while not self._arrivals.empty():
            self._arrivals.get_nowait().abort()


async def listen(host: str, port: int, *, backlog: int = 8) -> Listener:
    """Listen on `host:port`; at most `backlog` connections wait. PeerUnreachable when it cannot be bound."""
    arrivals: asyncio.Queue[FrameStream] = asyncio.Queue(backlog)

    def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = FrameStream(reader, writer)
        try:
            arrivals.put_nowait(stream)
        except asyncio.QueueFull:
            stream.abort()

    try:
        server = await asyncio.start_server(arrived, host, port, limit=_READ_LIMIT)
    except OSError as error:
        raise PeerUnreachable(f"cannot listen on {host}:{port}: {error}") from error
    return Listener(server, arrivals)
