"""The bytes of a NETCONF session over SSH, with nothing between them and a check.

Rule of this file: it sends whatever it is given and reads strictly. It shares no code with the stack of the
product below the SSH library, so that a mistake there is not made here as well. Every wait has an end.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncssh

from keyweave_core.errors import DeadlineExceeded, PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_core.runtime.clock import Clock
from keyweave_lab.conform.check import Failed

END = b"]]>]]>"
_Trusted = tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]
_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})|(#))\n")
_LONGEST_HEADER = 13
_LARGEST_CHUNK = 4_294_967_295


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to get in. `host_key` None trusts whoever answers."""

    host: str
    port: int
    user: str
    password: str | None = None
    keys: tuple[str, ...] = ()  # files of private keys
    host_key: asyncssh.SSHKey | None = None
    timeout_s: float = 15.0


class Deframer:
    """Splits what a server sends into messages and raises Failed where its framing is wrong."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message = bytearray()
        self._missing = 0
        self._searched = 0
        self.chunked = False

    @property
    def rest(self) -> bytes:
        """The beginning of what is held and not yet a message."""
        return bytes((self._message or self._buffer)[:200])

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._buffer += data

    def message(self) -> bytes | None:
        """The next whole message, None until more bytes come."""
        return self._of_chunks() if self.chunked else self._of_delimiter()

    def _of_delimiter(self) -> bytes | None:
        at = self._buffer.find(END, self._searched)
        if at < 0:
            self._searched = max(0, len(self._buffer) - len(END))
            return None
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(END)]
        self._searched = 0
        return found

    def _of_chunks(self) -> bytes | None:
        while self._buffer:
            if self._missing:
                taken = bytes(self._buffer[: self._missing])
                del self._buffer[: len(taken)]
                self._message += taken
                self._missing -= len(taken)
                continue
            header = _HEADER.match(self._buffer)
            if header is None:
                wrong = not self._buffer.startswith(b"\n#"[: len(self._buffer)])
                if wrong or len(self._buffer) >= _LONGEST_HEADER:
                    raise Failed(f"no chunk header but {bytes(self._buffer[:60])!r}")
                return None
            size, end_of_chunks = header.groups()  # before the bytes go: a match looks into them
            del self._buffer[: header.end()]
            if end_of_chunks:
                if not self._message:
                    raise Failed("a message without a chunk")
                found = bytes(self._message)
                self._message.clear()
                return found
            self._missing = int(size)
            if self._missing > _LARGEST_CHUNK:
                raise Failed(f"a chunk of {self._missing} bytes")
        return None


class _Inlet(asyncssh.SSHClientSession[bytes]):
    """Collects what the channel brings."""

    def __init__(self) -> None:
        self.deframer = Deframer()
        self.received = 0
        self.closed = False
        self.news = asyncio.Event()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is None:
            self.received += len(data)
            self.deframer.feed(data)
            self.news.set()

    def eof_received(self) -> bool:
        self.closed = True
        self.news.set()
        return True  # whether the server closes its side as well is its own affair

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncssh's signature
        self.closed = True
        self.news.set()


class Wire:
    """One channel with the subsystem `netconf`, and the connection below it."""

    def __init__(self, ssh: asyncssh.SSHClientConnection, inlet: _Inlet, channel: Any, clock: Clock) -> None:
        self.ssh = ssh
        self._inlet = inlet
        self._channel = channel
        self._clock = clock

    @property
    def received(self) -> int:
        """Bytes that came so far."""
        return self._inlet.received

    @property
    def over(self) -> bool:
        """True once the server has closed or ended its side."""
        return self._inlet.closed

    def use_chunks(self) -> None:
        """Read chunks from here on."""
        self._inlet.deframer.chunked = True

    def send(self, data: bytes) -> None:
        """Send bytes as they are; nothing happens once the channel is closed."""
        if not self._channel.is_closing():
            self._channel.write(data)

    def pause(self) -> None:
        """Read nothing, so that the server feels a slow reader."""
        self._channel.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._channel.resume_reading()

    def end_input(self) -> None:
        """Say that nothing more is sent, and go on reading."""
        self._channel.write_eof()

    async def message(self, limit_s: float) -> bytes | None:
        """The next message, None when the server has closed; Failed for bad framing or silence."""
        inlet = self._inlet

        async def wait() -> bytes | None:
            while True:
                found = inlet.deframer.message()
                if found is not None or inlet.closed:
                    return found
                inlet.news.clear()
                await inlet.news.wait()

        try:
            return await within(self._clock, wait(), limit_s, "no message")
        except DeadlineExceeded as error:
            held = f"; held so far {inlet.deframer.rest!r}" if inlet.deframer.rest else ""
            raise Failed(f"{error}{held}") from error

    async def close(self) -> None:
        """Drop the connection without a word of NETCONF."""
        self.ssh.abort()
        await self.ssh.wait_closed()


async def connect(login: Login, clock: Clock) -> asyncssh.SSHClientConnection:
    """An authenticated SSH connection; PeerUnreachable or DeadlineExceeded when there is none."""
    trusted: _Trusted | None = None if login.host_key is None else ([login.host_key], [], [])
    attempt = asyncssh.connect(
        login.host,
        login.port,
        config=None,
        username=login.user,
        password=login.password,
        client_keys=list(login.keys) or None,
        known_hosts=trusted,
        agent_path=None,
        gss_host=None,
        login_timeout=login.timeout_s,
    )
    where = f"{login.user}@{login.host}:{login.port}"
    try:
        return await within(clock, attempt, login.timeout_s, f"{where}: no SSH session")
    except (OSError, asyncssh.Error) as error:
        raise PeerUnreachable(f"{where}: {str(error) or type(error).__name__}") from error


async def open_wire(
    login: Login, clock: Clock, opened: Callable[[asyncssh.SSHClientConnection], None] | None = None
) -> Wire:
    """Connect and open the subsystem `netconf`; errors as `connect`."""
    ssh = await connect(login, clock)
    if opened is not None:
        opened(ssh)
    inlet = _Inlet()
    attempt = ssh.create_session(lambda: inlet, subsystem="netconf", encoding=None)
    try:
        channel, _ = await within(clock, attempt, login.timeout_s, "no subsystem netconf")
    except (OSError, asyncssh.Error) as error:
        ssh.abort()
        raise PeerUnreachable(f"subsystem netconf: {str(error) or type(error).__name__}") from error
    except BaseException:
        ssh.abort()
        raise
    return Wire(ssh, inlet, channel, clock)
