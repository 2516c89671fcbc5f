"""The load on NETCONF servers: a bare client of asyncssh that sends prepared bytes and looks for the end.

One client for every server, so that what differs is the server. Replies are not parsed; an <rpc-error> in
one ends the benchmark.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self

import asyncssh

from benchmarks.netconf_node import BASE

HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
    f"</capabilities></hello>]]>]]>"
).encode()
END = b"\n##\n"
HELLO_END = b"]]>]]>"
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens and how to get in; no host key is asked of a server on the loopback."""

    host: str
    port: int
    user: str
    key: asyncssh.SSHKey | None = None
    password: str | None = None


def framed(operation: str, message_id: str = "1") -> bytes:
    """An rpc as one chunk (RFC 6242)."""
    text = f'<rpc xmlns="{BASE}" message-id="{message_id}">{operation}</rpc>'.encode()
    return b"\n#%d\n%b%b" % (len(text), text, END)


class Wire(asyncssh.SSHClientSession[bytes]):
    """One session: bytes out, and a wait for the end of the next message."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._arrived: deque[bytes] = deque()
        self._rest = bytearray()
        self._end = HELLO_END
        self._waiting: asyncio.Future[None] | None = None
        self._lost = False
        self.notifications = 0
        self.hello = b""
        self.connect_s = self.hello_s = 0.0
        self._connection = connection
        self._channel: Any = None

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect, log in, open the subsystem and exchange hellos; the two times are kept."""
        began = perf_counter()
        connection = await asyncssh.connect(
            address.host,
            address.port,
            username=address.user,
            client_keys=None if address.key is None else [address.key],
            password=address.password,
            known_hosts=None,
            config=None,
            agent_path=None,
            gss_host=None,
        )
        connected = perf_counter()
        _, wire = await connection.create_session(lambda: cls(connection), subsystem="netconf", encoding=None)
        await wire.greet()
        wire.connect_s, wire.hello_s = connected - began, perf_counter() - connected
        return wire

    async def greet(self) -> None:
        """Send our hello and take the server's."""
        self._channel.write(HELLO)
        self.hello = await self.message()
        self._end = END

    def connection_made(self, chan: "asyncssh.SSHClientChannel[bytes]") -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:  # noqa: ARG002
        rest = self._rest
        rest += data
        if self._end not in data and self._end not in rest[-len(data) - len(self._end) :]:
            return
        while (at := rest.find(self._end)) >= 0:
            message = bytes(rest[:at])
            del rest[: at + len(self._end)]
            if b"<rpc-reply" in message[:400] or b"<hello" in message[:400]:
                self._arrived.append(message)
            else:
                self.notifications += message.count(b"</eventTime>")
        if self._arrived and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the server ended the session"))

    async def message(self) -> bytes:
        """The next reply."""
        if not self._arrived:
            if self._lost:
                raise ConnectionError("the server ended the session")
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._arrived.popleft()

    async def ask(self, data: bytes) -> bytes:
        """Send framed bytes and wait for the reply, which must be no error."""
        self._channel.write(data)
        reply = await self.message()
        if b"rpc-error>" in reply:
            raise RuntimeError(f"the server refused: {reply[:1500].decode(errors='replace')}")
        return reply

    async def close(self) -> None:
        """Drop the connection."""
        self._connection.abort()
        await self._connection.wait_closed()


async def open_all(stack: AsyncExitStack, address: Address, count: int) -> list[Wire]:
    """`count` sessions, ten at a time, closed with the stack."""
    wires: list[Wire] = []
    while len(wires) < count:
        some = min(10, count - len(wires))
        for wire in await asyncio.gather(*(Wire.open(address) for _ in range(some))):
            stack.push_async_callback(wire.close)
            wires.append(wire)
    return wires


Messages = Callable[[int, int], Sequence[bytes]]
"""(session, turn) -> the messages of one operation, sent one after the other."""


async def rate(wires: Sequence[Wire], messages: Messages, seconds: float) -> tuple[float, int]:
    """Operations a second over all sessions, one outstanding on each, and how many were done."""
    done = 0
    began = perf_counter()
    stop = began + seconds

    async def work(number: int, wire: Wire) -> None:
        nonlocal done
        turns = [messages(number, turn) for turn in range(2)]
        turn = 0
        while perf_counter() < stop:
            for data in turns[turn % 2]:
                await wire.ask(data)
            turn += 1
            done += 1

    async with asyncio.timeout(seconds + LIMIT_S):
        await asyncio.gather(*(work(number, wire) for number, wire in enumerate(wires)))
    return done / (perf_counter() - began), done
