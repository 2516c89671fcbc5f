"""One NETCONF session without I/O, for both roles (RFC 6241 clause 8.1, RFC 6242 clause 4.1).

States, and what ends the session by MalformedMessage in each:

    OPENING   only a <hello> may come: with a common base version; from a client without, from a server
              with a session-id
    OPEN      any well-framed message; XML that cannot be read is an event (`Unreadable`) when chunks keep
              the framing sound, and the end of the session when only the delimiter did
    CLOSED    nothing more is read

Messages come out one by one (`next_event`), in the order they came in: framing changes between the hello
and what follows it, and both may arrive in one packet.
"""

from dataclasses import dataclass
from enum import Enum, auto

from lxml import etree

from keyweave_core.errors import MalformedMessage
from keyweave_core.netconf.protocol.framing import Framer, frame
from keyweave_core.netconf.protocol.messages import (
    BASE_1_0,
    BASE_1_1,
    Hello,
    hello_bytes,
    parse_xml,
    read_hello,
)


class Role(Enum):
    """Which end of the session we are."""

    CLIENT = auto()
    SERVER = auto()


class State(Enum):
    """See the head of this file."""

    OPENING = auto()
    OPEN = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer's hello was accepted; framing is chosen."""

    peer: Hello


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message after the hellos."""

    root: etree._Element


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A well-framed message that is no acceptable XML; the session goes on."""

    fault: MalformedMessage


Event = Opened | Incoming | Unreadable


class Session:
    """The state machine; one object a session, no other resources."""

    def __init__(self, role: Role, hello: Hello, *, max_message_bytes: int) -> None:
        self._role = role
        self._hello = hello
        self._framer = Framer(max_message_bytes=max_message_bytes)
        self.state = State.OPENING

    @property
    def chunked(self) -> bool:
        """True once base:1.1 was agreed on."""
        return self._framer.chunked

    @property
    def buffered(self) -> int:
        """Bytes received and not yet handed out."""
        return self._framer.buffered

    def start(self) -> bytes:
        """Our hello, to be sent at once without waiting for the peer's."""
        return frame(hello_bytes(self._hello), chunked=False)

    def frame(self, payload: bytes) -> bytes:
        """The bytes of one message in the framing agreed on."""
        return frame(payload, chunked=self._framer.chunked)

    def feed(self, data: bytes) -> None:
        """Take received bytes; call `next_event` until it returns None."""
        self._framer.feed(data)

    def next_event(self) -> Event | None:
        """The next event, or None until more bytes are fed (and for ever once closed).

        Raises MalformedMessage when the session must end; the state is CLOSED then.
        """
        if self.state is State.CLOSED:
            return None
        try:
            message = self._framer.next_message()
            if message is None:
                return None
            if self.state is State.OPENING:
                return self._open(message)
        except MalformedMessage:
            self.close()
            raise
        try:
            return Incoming(parse_xml(message))
        except MalformedMessage as fault:
            if not self._framer.chunked:
                self.close()
                raise
            return Unreadable(fault)

    def close(self) -> None:
        """Read nothing more."""
        self.state = State.CLOSED
        # What is buffered can be 4 MiB; a closed session must not hold it.
        chunked = self._framer.chunked
        self._framer = Framer(max_message_bytes=1)
        self._framer.chunked = chunked

    def _open(self, message: bytes) -> Opened:
        peer = read_hello(parse_xml(message))
        common = {BASE_1_0, BASE_1_1}.intersection(self._hello.capabilities, peer.capabilities)
        if not common:
            raise MalformedMessage("no NETCONF base version in common")
        if self._role is Role.SERVER and peer.session_id is not None:
            raise MalformedMessage("a client's <hello> must not have a session-id")
        if self._role is Role.CLIENT and peer.session_id is None:
            raise MalformedMessage("a server's <hello> must have a session-id")
        if BASE_1_1 in common:
            self._framer.use_chunks()
        self.state = State.OPEN
        return Opened(peer)
