"""A server of ours behind somebody who meddles: whole, but for the one behaviour that a test breaks.

Rule of this file: it stands between the SSH channel and a session of `NetconfServer`. A `Fault` changes bytes
or messages on their way in, answers instead of the server, or changes what the server sends.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh

from keyweave_core.errors import Exhausted, MalformedMessage
from keyweave_core.netconf.protocol.framing import Framer, frame
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.transport import Peer

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
_ID = re.compile(rb'message-id="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken behaviour; what is None is as it should be.

    `answer` is sent for an rpc in which `when` is found (MUTE: nothing at all), without asking the server.
    """

    when: bytes = b"(?!)"
    answer: bytes | None = None
    raw_in: Callable[[bytes], bytes] | None = None  # received bytes, before framing
    message_in: Callable[[bytes], bytes] | None = None
    message_out: Callable[[bytes], bytes] | None = None
    hello_out: Callable[[bytes], bytes] | None = None
    raw_out: Callable[[bytes], bytes] | None = None  # whole messages with their framing
    stays: bool = False  # the channel is not closed when the session ends
    forgetful: bool = False  # the session lives on when the channel is gone


MUTE = b"MUTE"
OK = b"<ok/>"
DATA = b"<data/>"


def says(tag: str, kind: str = "protocol") -> bytes:
    """An rpc-error."""
    return (
        f"<rpc-error><error-type>{kind}</error-type><error-tag>{tag}</error-tag>"
        f"<error-severity>error</error-severity></rpc-error>"
    ).encode()


class _Channel(asyncssh.SSHServerSession[bytes]):
    """One channel: the transport of a real session and what meddles with it."""

    def __init__(self, server: NetconfServer, fault: Fault, username: str) -> None:
        self._server = server
        self._fault = fault
        self.peer = Peer(username=username, source_host="192.0.2.9")
        self._in = Framer(max_message_bytes=1 << 26)
        self._out = Framer(max_message_bytes=1 << 26)
        self._greeted_in = self._greeted_out = False
        self._blind = False  # framing of what comes in is left to the server

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf" or self._fault.when == b"any-subsystem"

    def session_started(self) -> None:
        try:
            self._session = self._server.open_session(self)
        except Exhausted:
            self._chan.exit(0)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        fault = self._fault
        if fault.raw_in is not None:
            data = fault.raw_in(data)
        if self._blind:
            self._session.data_received(data)
            return
        self._in.feed(data)
        try:
            while (message := self._in.next_message()) is not None:
                self._take(message)
        except MalformedMessage:
            self._blind = True
            self._session.data_received(data)

    def _take(self, message: bytes) -> None:
        fault = self._fault
        if self._greeted_in and fault.answer is not None and re.search(fault.when, message):
            if fault.answer != MUTE:
                self._reply(message, fault.answer)
            return
        if fault.message_in is not None:
            message = fault.message_in(message)
        self._session.data_received(frame(message, chunked=self._in.chunked))
        if not self._greeted_in:
            self._greeted_in = True
            if b"base:1.1" in message:
                self._in.use_chunks()

    def _reply(self, message: bytes, body: bytes) -> None:
        found = _ID.search(message)
        attribute = b' message-id="%b"' % found[1] if found else b""
        self._send(b'<rpc-reply xmlns="%b"%b>%b</rpc-reply>' % (BASE.encode(), attribute, body))

    def write(self, data: bytes) -> None:
        self._out.feed(data)
        self._out.chunked = self._greeted_out and self._in.chunked
        while (message := self._out.next_message()) is not None:
            if not self._greeted_out:
                self._greeted_out = True
                change = self._fault.hello_out
                hello = message if change is None else change(message)
                if hello:
                    self._chan.write(hello + b"]]>]]>")
                continue
            if self._fault.message_out is not None:
                message = self._fault.message_out(message)
            if message:
                self._send(message)

    def _send(self, message: bytes) -> None:
        framed = frame(message, chunked=self._in.chunked)
        if not self._chan.is_closing():
            self._chan.write(framed if self._fault.raw_out is None else self._fault.raw_out(framed))

    def close(self) -> None:
        if not self._fault.stays:
            self._chan.exit(0)

    def abort(self) -> None:
        if not self._fault.stays:
            self._chan.abort()

    def pause_reading(self) -> None:
        self._chan.pause_reading()

    def resume_reading(self) -> None:
        self._chan.resume_reading()

    def eof_received(self) -> bool:
        if not self._fault.forgetful:
            self._session.eof_received()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._fault.forgetful:
            self._session.connection_lost(exc)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: NetconfServer, fault: Fault) -> None:
        self._server = server
        self._fault = fault
        self._username = ""

    def begin_auth(self, username: str) -> bool:
        self._username = username
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username in ("tester", "guest") or self._fault.when == b"any-user"

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], _Channel]:
        channel = self._connection.create_server_channel(encoding=None)
        return channel, _Channel(self._server, self._fault, self._username)

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn


@asynccontextmanager
async def meddled(server: NetconfServer, fault: Fault, host_key: asyncssh.SSHKey) -> AsyncIterator[int]:
    """The port of an SSH server in front of `server`, broken as `fault` says."""
    acceptor = await asyncssh.create_server(
        lambda: _Login(server, fault), "127.0.0.1", 0, config=None, server_host_keys=[host_key]
    )
    try:
        yield acceptor.get_port()
    finally:
        acceptor.close()
        await acceptor.wait_closed()
