"""A key delivery server on loopback over a small model of the key manager, and clients with certificates."""

import asyncio
import datetime as dt
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from keyweave_agents.keys.failures import KeysNotFound, NotEntitled
from keyweave_agents.keys.plan import KeyBundle, StoreStatus, SuppliedKey, bundles
from keyweave_agents.material import Secret
from keyweave_agents.service.etsi014 import Etsi014Server
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.errors import Refused
from keyweave_core.model.application import AppQos, KeyMode, KeyOrigin
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock, SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki

NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
REMOTE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a02")
LINK = LinkId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f10")
CONSUMERS = ("alice", "bob", "carol", "urn:sae:site/1:dora")


@dataclass
class Asked:
    """One call of `get_keys` as the model saw it."""

    caller: str
    client: str
    number: int
    size_bits: int
    deadline_s: float
    qos: AppQos | None
    priority: int
    also: tuple[str, ...] = ()


@dataclass
class KeyModel:
    """Keys of known applications, delivered once; `trouble` is raised, `gate` is waited for.

    Asked without waiting (`KeyDraw`) it has keys while `ready`, `left` at most; what was drawn is durable at
    once, or when the test calls what lies in `undecided` (while `slow_ledger`). `origin` is that of its keys.
    """

    known: frozenset[str] = frozenset(CONSUMERS)
    stored: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    handed_out: list[SuppliedKey] = field(default_factory=list)
    trouble: BaseException | None = None
    gate: asyncio.Event | None = None
    cancelled: int = 0
    ready: bool = True
    left: int = 1_000_000
    slow_ledger: bool = False
    undecided: list[Callable[[Exception | None], None]] = field(default_factory=list)
    drawn: list[KeyBundle] = field(default_factory=list)
    mode: KeyMode = KeyMode.QKD_ONLY
    origin: KeyOrigin = KeyOrigin.QKD

    def draw(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        *,
        origins: frozenset[KeyOrigin] | None = None,
    ) -> tuple[KeyBundle, ...] | None:
        if not self.ready or self.gate is not None or self.trouble is not None or client not in self.known:
            return None
        if number > self.left:
            return None
        self.left -= number
        if origins is not None and self.origin not in origins:
            return None
        made = bundles(self._make(caller, client, size_bits) for _ in range(number))
        self.drawn += made
        return made

    def fetch(self, caller: SaeId, master: SaeId, key_ids: bytes) -> tuple[KeyBundle, ...] | None:
        texts = [str(uuid.UUID(bytes=key_ids[at : at + 16])) for at in range(0, len(key_ids), 16)]
        if not self.ready or any(self.stored.get(text, ("", ""))[:2] != (master, caller) for text in texts):
            return None
        made = bundles(SuppliedKey(key_id=text, key=Secret(self.stored.pop(text)[2])) for text in texts)
        self.drawn += made
        return made

    def once_durable(self, call: Callable[[Exception | None], None]) -> None:
        if self.slow_ledger:
            self.undecided.append(call)
        else:
            asyncio.get_running_loop().call_soon(call, None)

    async def get_keys(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        deadline_s: float,
        *,
        qos: AppQos | None = None,
        priority: int = 0,
        also: tuple[SaeId, ...] = (),
    ) -> tuple[SuppliedKey, ...]:
        self.asked.append(Asked(caller, client, number, size_bits, deadline_s, qos, priority, also))
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.trouble is not None:
            raise self.trouble
        if client not in self.known:
            raise Refused(f"no node serves {client}")
        return tuple(self._make(caller, client, size_bits) for _ in range(number))

    def _make(self, caller: str, client: str, size_bits: int) -> SuppliedKey:
        key_id = str(uuid.uuid4())
        content = uuid.uuid4().bytes * (size_bits // 128 + 1)
        self.stored[key_id] = (caller, client, content[: size_bits // 8])
        key = SuppliedKey(
            key_id=key_id, key=Secret(self.stored[key_id][2]), links=(LINK,), origin=self.origin
        )
        self.handed_out.append(key)
        return key

    async def get_keys_by_id(
        self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]
    ) -> tuple[SuppliedKey, ...]:
        if self.trouble is not None:
            raise self.trouble
        missing = tuple(key_id for key_id in key_ids if key_id not in self.stored)
        for key_id in key_ids:
            if key_id not in missing and self.stored[key_id][:2] != (master, caller):
                raise NotEntitled(f"{caller} is not entitled to the key")
        if missing:
            raise KeysNotFound(missing)
        return tuple(SuppliedKey(key_id=k, key=Secret(self.stored.pop(k)[2])) for k in key_ids)

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        if caller not in self.known or other not in self.known:
            return None
        return StoreStatus(
            stored_key_count=len(self.stored),
            max_key_count=1000,
            remote_node=REMOTE,
            mode=self.mode,
            in_fallback=self.origin is KeyOrigin.PQC,
        )


@dataclass
class Service:
    """A running server, its settings, its model and a way to connect to it."""

    port: int
    model: KeyModel
    settings: ServiceSettings
    server: Etsi014Server
    tls_of: Callable[[str], TlsSettings]

    @property
    def base(self) -> str:
        return f"https://localhost:{self.port}"

    def context_of(self, sae: str) -> ssl.SSLContext:
        return client_context(self.tls_of(sae))

    async def ask(
        self, sae: str, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any]:
        """Status and JSON (None for an empty body) of one request by `sae`; `body` as JSON or raw bytes."""
        if body is not None:
            options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            options.setdefault("headers", {"content-type": "application/json"})
        async with httpx.AsyncClient(verify=self.context_of(sae), timeout=10) as client:
            response = await client.request(method, f"{self.base}{path}", **options)
        return response.status_code, response.json() if response.content else None

    async def raw(self, sae: str, data: bytes) -> bytes:
        """Send bytes as `sae` and return everything until the server closes."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context_of(sae), server_hostname="localhost"
        )
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


@pytest.fixture(autouse=True)
def plain_logging() -> None:
    """Logging as no program configured it, whatever a test before did to the process."""
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> LabPki:
    """One authority for all tests of the service."""
    return LabPki(tmp_path_factory.mktemp("pki"), now=dt.datetime.now(dt.UTC))


@pytest.fixture(scope="session")
def node_tls(pki: LabPki) -> TlsSettings:
    """The certificate of the key manager."""
    return pki.node("here", NODE)


@pytest.fixture(scope="session")
def tls_of(pki: LabPki) -> Callable[[str], TlsSettings]:
    """The certificate of an application, made once."""
    made: dict[str, TlsSettings] = {}

    def of(sae: str) -> TlsSettings:
        if sae not in made:
            made[sae] = pki.application(SaeId(sae))
        return made[sae]

    return of


@pytest.fixture
async def service_with(
    node_tls: TlsSettings, tls_of: Callable[[str], TlsSettings]
) -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    """Start servers with settings of one's own; they are closed when the test ends."""
    servers: list[Etsi014Server] = []

    async def start(
        *,
        quick: bool = False,
        clock: Clock | None = None,
        certificates: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Service:
        wanted = ServiceSettings(**{"listen_port": 0, "tls": node_tls, **settings})
        model = KeyModel()
        consumers = [ConsumerSettings(sae_id=SaeId(name)) for name in CONSUMERS]
        consumers[0] = ConsumerSettings(sae_id=SaeId("alice"), min_bandwidth_bps=512, priority=3, ttl_s=60)
        for place, consumer in enumerate(consumers):
            listed = (certificates or {}).get(consumer.sae_id, ())
            consumers[place] = replace(consumer, certificates=tuple(listed))
        server = Etsi014Server(
            wanted,
            consumers,
            model,
            clock or SystemClock(),
            node_id=NODE,
            draw=model if quick else None,
        )
        servers.append(server)
        return Service(await server.start(), model, wanted, server, tls_of)

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def quick(service_with: Callable[..., Awaitable[Service]]) -> Service:
    """A server that may ask its model without waiting, with default settings."""
    return await service_with(quick=True)


@pytest.fixture
async def service(service_with: Callable[..., Awaitable[Service]]) -> Service:
    """A server with default settings."""
    return await service_with()


@pytest.fixture
def stranger(tmp_path: Path) -> TlsSettings:
    """A certificate for alice by an authority that nobody here accepts, which trusts the real one."""
    other = LabPki(tmp_path / "other", now=dt.datetime.now(dt.UTC))
    return other.application(SaeId("alice"))
