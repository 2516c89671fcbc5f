"""A running engine over agents that do what they are told, and real callers over mutual TLS."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import InventoryNode, LinkMeasure, LinksMeasured, NodeRead
from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.engine.simulation import Span, simulate
from keyweave_controller.northbound.configuring import Configurator
from keyweave_controller.northbound.grpc_service import GrpcNorthbound
from keyweave_controller.settings import CallerRole, CallerSettings, GrpcSettings
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    KeyPool,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkType,
    PhysicalSpec,
)
from keyweave_core.model.node import Node, NodeStatus
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.pki import LabPki
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc

NAMES = ("Aldea", "Burgo", "Costa")
NODES = {
    name: NodeId(f"0{letter}000000-0000-4000-8000-000000000000")
    for name, letter in zip(NAMES, "abc", strict=True)
}
SKR_BPS = 10_000


def link_id(a: str, b: str) -> LinkId:
    first, second = sorted((a, b))
    return LinkId(f"{NODES[first][:2]}{NODES[second][:2]}0000-0000-4000-8000-000000000000")


def line_node(name: str, skr_bps: int = SKR_BPS) -> Node:
    """One node of the line Aldea - Burgo - Costa."""
    place = NAMES.index(name)
    links = []
    for number, other in enumerate((place - 1, place + 1), start=1):
        if 0 <= other < len(NAMES):
            far = NAMES[other]
            links.append(
                Link(
                    link_id=link_id(name, far),
                    type=LinkType.PHYS,
                    status=LinkStatus.ACTIVE,
                    local=Endpoint(node_id=NODES[name], interface_id=InterfaceId(number)),
                    remote=Endpoint(node_id=NODES[far]),
                    physical=PhysicalSpec(channel_att_db=4.0, distance_km=20.0),
                    performance=LinkPerformance(skr_bps=skr_bps, qber=0.02),
                    pool=KeyPool(stored_bits=1000, capacity_bits=4000),
                )
            )
    return Node(
        node_id=NODES[name],
        status=NodeStatus.OPERATING,
        version="1",
        location_id=name,
        consumers=(SaeId(f"sae-{name.lower()}"),),
        interfaces=tuple(Interface(interface_id=InterfaceId(number)) for number in (1, 2)),
        links=tuple(links),
    )


class ObedientAgents:
    """Agents that do at once what they are told, unless a node's gate is shut."""

    def __init__(self) -> None:
        self.edits: list[tuple[NodeId, NodeEdit]] = []
        self.released: list[tuple[NodeId, LinkId]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def configure(self, node_id: NodeId, edit: NodeEdit) -> None:
        await self.gate.wait()
        self.edits.append((node_id, edit))

    async def refuse(
        self, node_id: NodeId, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]
    ) -> None:
        return

    async def release(self, node_id: NodeId, link_id: LinkId) -> None:
        self.released.append((node_id, link_id))

    async def read(self, node_id: NodeId) -> None:
        return


class Bench:
    """The running controller of a test, and the ways to it."""

    def __init__(self, engine: ControllerEngine, agents: ObedientAgents, pki: LabPki) -> None:
        self.engine = engine
        self.agents = agents
        self.pki = pki
        self.port = 0
        self.channels: list[grpc.aio.Channel] = []

    def submit_figures(self, skr_bps: int) -> None:
        """Both ends of the first link say another rate."""
        for name in NAMES[:2]:
            measure = LinkMeasure(
                link_id=link_id(*NAMES[:2]),
                status=LinkStatus.ACTIVE,
                performance=LinkPerformance(skr_bps=skr_bps, qber=0.02),
                pool=KeyPool(stored_bits=1000, capacity_bits=4000),
            )
            self.engine.submit(LinksMeasured(at=SystemClock().now(), node_id=NODES[name], links=(measure,)))

    def channel(self, tls: TlsSettings | None) -> grpc.aio.Channel:
        """A channel as the holder of a certificate; None: as nobody."""
        ca = self.pki.ca_path.read_bytes()
        if tls is None:
            credentials = grpc.ssl_channel_credentials(ca)
        else:
            credentials = grpc.ssl_channel_credentials(
                ca, tls.private_key.read_bytes(), tls.certificate.read_bytes()
            )
        channel = grpc.aio.secure_channel(f"localhost:{self.port}", credentials)
        self.channels.append(channel)
        return channel


class Caller:
    """The stubs of one caller."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.topology = pb_grpc.TopologyStub(channel)
        self.associations = pb_grpc.AssociationsStub(channel)
        self.alarms = pb_grpc.AlarmsStub(channel)
        self.accounting = pb_grpc.AccountingStub(channel)
        self.planning = pb_grpc.PlanningStub(channel)
        self.configuration = pb_grpc.ConfigurationStub(channel)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> LabPki:
    folder: Path = tmp_path_factory.mktemp("pki")
    return LabPki(folder, now=dt.datetime.now(dt.UTC))


@pytest.fixture(scope="session")
def server_tls(pki: LabPki) -> TlsSettings:
    return pki.controller()


@pytest.fixture(scope="session")
def operator_tls(pki: LabPki) -> TlsSettings:
    return pki.operator()


@pytest.fixture(scope="session")
def viewer_tls(pki: LabPki) -> TlsSettings:
    return pki.operator("viewer")


@asynccontextmanager
async def running_bench(
    store: Path,
    pki: LabPki,
    server_tls: TlsSettings,
    nodes: Mapping[str, Node],
    inventory: tuple[InventoryNode, ...],
    link_facts: tuple[LinkFacts, ...] = (),
) -> AsyncIterator[Bench]:
    """A controller over obedient nodes, and its endpoint."""
    clock = SystemClock()
    engine = ControllerEngine(
        store_url=f"sqlite:///{store / 'store.sqlite'}",
        clock=clock,
        policy=Policy(rate_smoothing_s=0.0),
        inventory=inventory,
        link_facts=link_facts,
        ask_limit_s=1.0,
    )
    agents = ObedientAgents()
    running = asyncio.create_task(engine.run(agents))
    for name, node in nodes.items():
        engine.submit(NodeRead(at=clock.now(), name=name, node=node))
    numbers = iter(range(1_000_000))
    northbound = GrpcNorthbound(
        settings=GrpcSettings(
            certificate=server_tls.certificate,
            private_key=server_tls.private_key,
            ca=server_tls.ca,
            listen_port=0,
            callers=(
                CallerSettings(name="operator"),
                CallerSettings(name="viewer", role=CallerRole.VIEWER),
            ),
        ),
        clock=clock,
        new_id=lambda: f"id-{next(numbers)}",
    )
    bench = Bench(engine, agents, pki)
    bench.port = northbound.bind()
    await northbound.start(engine, Configurator(engine, clock, lambda: f"c-{next(numbers)}"))
    async with asyncio.timeout(10):
        while len(engine.network.nodes) < len(nodes):
            await asyncio.sleep(0.01)
    try:
        yield bench
    finally:
        for channel in bench.channels:
            await channel.close()
        await northbound.stop(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def bench(tmp_path: Path, pki: LabPki, server_tls: TlsSettings) -> AsyncIterator[Bench]:
    """A controller over three obedient nodes in a line."""
    nodes = {name: line_node(name) for name in NAMES}
    inventory = tuple(InventoryNode(name=name) for name in NAMES)
    async with running_bench(tmp_path, pki, server_tls, nodes, inventory) as bench:
        yield bench


@pytest.fixture
async def square(tmp_path: Path, pki: LabPki, server_tls: TlsSettings) -> AsyncIterator[Bench]:
    """Norte - Este - Sur and, narrower, Norte - Oeste - Sur. Both fibres at Sur lie in one duct.

    The inventory trusts Oeste less, and both transit nodes are of other domains.
    """
    spans = [
        Span(a="Norte", b="Este", skr_bps=100_000),
        Span(a="Este", b="Sur", skr_bps=100_000),
        Span(a="Norte", b="Oeste", skr_bps=20_000),
        Span(a="Oeste", b="Sur", skr_bps=20_000),
    ]
    names = ("Norte", "Este", "Sur", "Oeste")
    nodes = simulate(spans, {name: (f"sae-{name.lower()}",) for name in names})
    inventory = (
        InventoryNode(name="Norte"),
        InventoryNode(name="Este", domain="east"),
        InventoryNode(name="Sur"),
        InventoryNode(name="Oeste", trust=40, domain="west"),
    )
    known = (
        LinkFacts(link="Este-Sur", risk_groups=("duct7",), latency_ms=2.0),
        LinkFacts(link="Oeste-Sur", risk_groups=("duct7",)),
    )
    trees = {node.name: node.tree() for node in nodes.values()}
    async with running_bench(tmp_path, pki, server_tls, trees, inventory, known) as bench:
        yield bench


@pytest.fixture
def planner(square: Bench, operator_tls: TlsSettings) -> Caller:
    """The operator of the square."""
    return Caller(square.channel(operator_tls))


@pytest.fixture
def operator(bench: Bench, operator_tls: TlsSettings) -> Caller:
    return Caller(bench.channel(operator_tls))


@pytest.fixture
def viewer(bench: Bench, viewer_tls: TlsSettings) -> Caller:
    return Caller(bench.channel(viewer_tls))


@pytest.fixture
def call_as(bench: Bench) -> Callable[[TlsSettings | None], Caller]:
    return lambda tls: Caller(bench.channel(tls))
