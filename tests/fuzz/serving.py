"""Whole sessions of the server fed with bytes, without a network.

Rule of this file: one server and one session an input. Whatever comes, the server does not fail inside, every
message it sends is well-formed, nothing that is no document is granted, memory stays within its bounds, and
afterwards the server serves the next session from a configuration that is still valid.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from lxml import etree

from keyweave_core.errors import MalformedMessage
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ports import Schema
from keyweave_core.netconf.protocol.framing import Framer, frame
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.transport import Peer
from keyweave_core.runtime.clock import ManualClock
from keyweave_core.runtime.log import Logger

from .mutation import pieces, steady
from .targets import BASE, CONFIG, LIMIT, well_formed

_PENDING = 4096
_ROUNDS = 4000


@dataclass
class Ears:
    """A log that keeps only what must not be said."""

    failures: list[str] = field(default_factory=list)

    def bind(self, **_facts: object) -> "Ears":
        return self

    def exception(self, event: str, **facts: object) -> None:
        self.failures.append(f"{event} {facts}")

    def debug(self, *_: object, **__: object) -> None: ...

    info = warning = error = debug


class Wire:
    """A transport that keeps what the server writes."""

    peer = Peer(username="tester", source_host="192.0.2.1")

    def __init__(self) -> None:
        self.sent = bytearray()
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Node:
    """Takes every configuration."""

    async def state(self) -> Sequence[etree._Element]:
        return []

    async def apply(self, _old: Sequence[etree._Element], _new: Sequence[etree._Element], _user: str) -> None:
        return None

    async def call(self, operation: etree._Element, _user: str) -> None:
        raise KeyError(str(operation.tag))


HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
    "</capabilities></hello>]]>]]>"
).encode()
PROBE = f'<rpc xmlns="{BASE}" message-id="z"><discard-changes/></rpc>'.encode()


@dataclass(slots=True)
class Serving:
    """The target: whole sessions."""

    schema: Schema

    def __call__(self, data: bytes) -> None:
        asyncio.run(self._run(data))

    async def _run(self, data: bytes) -> None:
        ears, clock = Ears(), ManualClock()
        server = NetconfServer(
            self.schema,
            Node(),
            [parse_xml(CONFIG.encode())],
            clock=clock,
            limits=NetconfLimits(max_message_bytes=LIMIT, pending_bytes=_PENDING),
            log=cast("Logger", ears),
        )
        wire = Wire()
        session = server.open_session(wire)
        for part in pieces(data, steady(data)):
            # A network delivers nothing while it is asked not to.
            for _ in range(_ROUNDS):
                if not wire.paused:
                    break
                await asyncio.sleep(0)
            if not wire.closed:
                session.data_received(part)
                held = cast("Any", session)._session.buffered
                assert held <= max(LIMIT, _PENDING) + len(part) + 64, f"{held} bytes held"
            await asyncio.sleep(0)
        session.eof_received()
        for _ in range(_ROUNDS):
            if wire.closed:
                break
            await asyncio.sleep(0)
        assert wire.closed, "the session does not end with its input"
        session.connection_lost(None)
        self._judge(data, bytes(wire.sent))
        await self._still_serves(server)
        self.schema.validate(server.running())
        closing = asyncio.ensure_future(server.close())
        while not closing.done():
            await clock.advance(1.0)
        await closing
        assert not ears.failures, ears.failures

    def _judge(self, data: bytes, sent: bytes) -> None:
        """What was sent is well-formed, and no more is granted than documents came in."""
        hello, _, rest = sent.partition(b"]]>]]>")
        assert well_formed(hello)
        greeting = data.partition(b"]]>]]>")[0]
        chunked = b"netconf:base:1.1" in greeting
        granted = 0
        for message in _split(rest, chunked=chunked):
            assert well_formed(message), message[:200]
            granted += b"<rpc-error" not in message and message.startswith(b"<rpc-reply")
        documents = _split(data[len(greeting) + 6 :], chunked=chunked)
        assert granted <= sum(map(well_formed, documents)), "granted what is no document"

    @staticmethod
    async def _still_serves(server: NetconfServer) -> None:
        wire = Wire()
        session = server.open_session(wire)
        session.data_received(HELLO + frame(PROBE, chunked=True))
        for _ in range(_ROUNDS):
            if b"\n##\n" in wire.sent:
                break
            await asyncio.sleep(0)
        assert b"<ok/>" in wire.sent, "the next session is not served"
        session.connection_lost(None)


def _split(data: bytes, *, chunked: bool) -> list[bytes]:
    framer = Framer(max_message_bytes=1 << 24)
    if chunked:
        framer.use_chunks()
    framer.feed(data)
    found = []
    with suppress(MalformedMessage):
        while (message := framer.next_message()) is not None:
            found.append(message)
    return found
