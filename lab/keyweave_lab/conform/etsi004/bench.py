"""What the checks of 004 stand on: the two key managers, applications on them, streams between these.

Rule of this file: it knows how to call, not what is right. Each check has streams of its own, closed at its
end whatever came of it.
"""

import asyncio
import secrets
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from keyweave_core.errors import KeyweaveError
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.etsi004.wire import NULL, Got, Opened, Qos, Wire, open_wire, shown

_RETRY_S = 0.1
OPEN_STATES = (0, 1, 7)
"""Statuses of OPEN_CONNECT after which there may be a stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One key manager and the application that uses it. `tls` None: plain TCP."""

    host: str
    port: int
    tls: TlsSettings | None = None
    source: str
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller decides. Times in seconds."""

    first: Side
    second: Side
    check_name: bool = True
    qos: Qos = field(default_factory=Qos)
    message_limit_s: float = 10.0  # one call, above what QoS.Timeout allows
    check_limit_s: float = 60.0  # one check
    patience_s: float = 10.0  # what the network may take until there is a key


@dataclass(slots=True)
class App:
    """One application's connection and its side."""

    bench: "Bench"
    side: Side
    wire: Wire

    async def open(self, ksid: bytes = NULL, qos: Qos | None = None, **uris: str) -> Opened:
        """OPEN_CONNECT; `source` and `destination` of the side unless told."""
        wanted = qos or self.bench.options.qos
        return await self.wire.open(
            uris.get("source", self.side.source),
            uris.get("destination", self.side.destination),
            wanted,
            ksid,
            limit_s=self.bench.limit_s(wanted),
        )

    async def get(self, ksid: bytes, index: int, metadata_bytes: int = 1024) -> Got:
        """GET_KEY, once."""
        limit_s = self.bench.limit_s(self.bench.options.qos)
        return await self.wire.get(ksid, index, metadata_bytes, limit_s=limit_s)

    async def key(self, ksid: bytes, index: int, metadata_bytes: int = 1024) -> Got:
        """GET_KEY, again while key is missing; Failed for anything but a key."""
        waited = 0.0
        while True:
            got = await self.get(ksid, index, metadata_bytes)
            if got.status not in (2, 3, 6) or waited >= self.bench.options.patience_s:
                break
            await self.bench.clock.sleep(_RETRY_S)
            waited += _RETRY_S + (self.bench.options.qos.timeout_ms / 1000 if got.status == 6 else 0)
        if got.status != 0:
            raise Failed(f"GET_KEY of index {index}: {shown(got.status)}")
        return got

    async def end(self, ksid: bytes) -> int:
        """CLOSE."""
        return await self.wire.close_stream(ksid, limit_s=self.bench.options.message_limit_s)


@dataclass(slots=True)
class Stream:
    """A stream that both applications have open."""

    ksid: bytes
    a: App
    b: App
    opened: Opened
    joined: Opened

    @property
    def chunk_bytes(self) -> int:
        """The size that was assigned; Failed when none was told."""
        if self.opened.qos is None:
            raise Failed("OPEN_CONNECT returned no QoS")
        return self.opened.qos.chunk_bytes


@dataclass(slots=True)
class Bench:
    """Two key managers under test."""

    options: Options
    clock: Clock
    facts: dict[str, Any] = field(default_factory=dict)
    _salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    async def learn(self) -> None:
        """Reach both. Raises PeerUnreachable, Failed (TLS) or SettingsError (files)."""
        for what, side in (("first", self.options.first), ("second", self.options.second)):
            async with self.app(side) as app:
                tls = app.wire.tls
                self.facts[what] = {"tls": tls.version() if tls else "none", "source": side.source}

    def lacks(self, need: str) -> str | None:
        """Why a need is not met: 'tls'."""
        del need
        return None if self.options.first.tls else "the connection is plain TCP"

    def limit_s(self, qos: Qos) -> float:
        """How long a call may take whose own time is in the QoS."""
        return self.options.message_limit_s + qos.timeout_ms / 1000

    def context(self, side: Side) -> ssl.SSLContext | None:
        """The context that shows the side's certificate."""
        if side.tls is None:
            return None
        return client_context(
            replace(side.tls, minimum_version="1.2"), check_hostname=self.options.check_name
        )

    @asynccontextmanager
    async def app(self, side: Side, context: ssl.SSLContext | None = None) -> AsyncIterator[App]:
        """A connection of an application."""
        wire = await open_wire(
            side.host,
            side.port,
            context or self.context(side),
            self.clock,
            self._salt,
            limit_s=self.options.message_limit_s,
        )
        try:
            yield App(self, side, wire)
        finally:
            await wire.close()

    @asynccontextmanager
    async def apps(self) -> AsyncIterator[tuple[App, App]]:
        """An application at each key manager."""
        async with self.app(self.options.first) as a, self.app(self.options.second) as b:
            yield a, b

    @asynccontextmanager
    async def closing(self, *ends: tuple[App, bytes]) -> AsyncIterator[None]:
        """Whatever happens inside, the streams are closed afterwards, each over a new connection."""
        try:
            yield
        finally:
            for app, ksid in ends:
                with suppress(KeyweaveError):
                    async with self.app(app.side) as other:
                        await other.end(ksid)

    @asynccontextmanager
    async def stream(self, qos: Qos | None = None, joining: Qos | None = None) -> AsyncIterator[Stream]:
        """A stream allocated by the first key manager and joined by the second."""
        async with AsyncExitStack() as stack:
            a, b = await stack.enter_async_context(self.apps())
            opened = await self.allocated(a, qos)
            await stack.enter_async_context(self.closing((a, opened.ksid), (b, opened.ksid)))
            joined = await b.open(opened.ksid, joining or qos)
            if joined.status not in (0, 7):
                raise Failed(f"the peer's OPEN_CONNECT: {shown(joined.status)}")
            yield Stream(opened.ksid, a, b, opened, joined)

    async def allocated(self, app: App, qos: Qos | None = None) -> Opened:
        """OPEN_CONNECT with KSID NULL that gave a KSID; Failed otherwise."""
        opened = await app.open(qos=qos)
        if opened.status not in OPEN_STATES:
            raise Failed(f"OPEN_CONNECT with KSID NULL: {shown(opened.status)}")
        if opened.ksid == NULL:
            raise Failed(f"OPEN_CONNECT with KSID NULL: {shown(opened.status)}, and no KSID with it")
        return opened

    async def together(self, *calls: Any) -> list[Any]:
        """Calls at the same time; the first failure is raised after all have ended."""
        done = await asyncio.gather(*calls, return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException):
                raise one
        return list(done)

    def new_ksid(self) -> bytes:
        """A KSID that two applications might have agreed upon."""
        return uuid.uuid4().bytes
