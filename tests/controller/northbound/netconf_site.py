"""A controller with its NETCONF endpoint over simulated agents, and the XML that its operators write."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lxml import etree

from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import InventoryNode
from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.engine.simulation import (
    SimulatedAgents,
    SimulatedNode,
    Span,
    simulate,
    simulated_id,
    simulated_link_id,
)
from keyweave_controller.northbound.agents_view import AgentsView
from keyweave_controller.northbound.configuring import Configurator
from keyweave_controller.northbound.markup import kwn
from keyweave_controller.northbound.netconf_service import NetconfNorthbound
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.settings import NetconfSettings, NetconfUser
from keyweave_core.netconf.ssh.channel import private_key, public_key
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.pki import LabPki

A, B, C = (simulated_id(name) for name in "ABC")
AB = simulated_link_id("A", "B")
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
KWN = 'xmlns="urn:keyweave:yang:keyweave-qkd-network"'


def xml(text: str) -> etree._Element:
    return parse_xml(text.encode())


def entry(name: str = "one", source: str = "sae:a", destination: str = "sae:c", more: str = "") -> str:
    return (
        f"<association><name>{name}</name><source>{source}</source>"
        f"<destination>{destination}</destination>{more}</association>"
    )


def associations(*entries: str) -> etree._Element:
    return xml(f"<key-associations {KWN}>{''.join(entries)}</key-associations>")


def deleted(name: str = "one") -> etree._Element:
    return xml(
        f'<key-associations {KWN}><association xmlns:nc="{BASE}" nc:operation="delete">'
        f"<name>{name}</name></association></key-associations>"
    )


def rate(bps: int) -> str:
    return f"<qos><min-bandwidth-bps>{bps}</min-bandwidth-bps></qos>"


LINE = (Span(a="A", b="B", skr_bps=100_000), Span(a="B", b="C", skr_bps=100_000))
SERVED = {"A": ("sae:a", "sae:a2"), "B": ("sae:b",), "C": ("sae:c",)}


class Site:
    """A controller over simulated nodes, three in a line of 100 kbit/s, and its NETCONF endpoint."""

    def __init__(
        self,
        folder: Path,
        pki: LabPki,
        *,
        spans: Sequence[Span] = LINE,
        served: Mapping[str, tuple[str, ...]] = SERVED,
        link_facts: tuple[LinkFacts, ...] = (),
        domains: Mapping[str, tuple[int, str]] | None = None,
    ) -> None:
        """`domains`: trust and domain of the sites where they are not the usual."""
        self.folder = folder
        self.keys = {name: pki.ssh_key(f"user-{name}") for name in ("operator", "viewer")}
        self.host = pki.ssh_key("host-controller")
        self.nodes: dict[str, SimulatedNode] = simulate(spans, served)
        self.link_facts, self.domains = link_facts, domains or {}
        self.port = 0
        self.clock = SystemClock()
        self.ask_limit_s = 5.0

    @property
    def settings(self) -> NetconfSettings:
        return NetconfSettings(
            host_key=self.host.private_key,
            users=tuple(
                NetconfUser(
                    name=name,
                    authorized_keys=key.public_key,
                    groups=(name,),
                )
                for name, key in self.keys.items()
            ),
            listen_port=0,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Site"]:
        """The controller lives inside; what is stored survives."""
        numbers = itertools.count()
        self.engine = ControllerEngine(
            store_url=f"sqlite:///{self.folder / 'store.sqlite'}",
            clock=self.clock,
            policy=Policy(closed_kept=50),
            inventory=tuple(map(self._listed, (node.name for node in self.nodes.values()))),
            link_facts=self.link_facts,
            ask_limit_s=self.ask_limit_s,
        )
        agents = SimulatedAgents(self.nodes, self.clock, self.engine.submit)
        life = asyncio.create_task(self.engine.run(agents))
        await asyncio.sleep(0)
        agents.connect_all()
        await self.until(lambda: self.engine.network.nodes and not self.engine.network.state.settling)
        self.configurator = Configurator(
            self.engine, self.clock, lambda: f"{self.engine.epoch}-{next(numbers)}"
        )
        northbound = NetconfNorthbound(
            settings=self.settings,
            agents=AgentsView(()),
            clock=self.clock,
            new_id=lambda: f"n{self.engine.epoch}-{next(numbers)}",
            uniform=lambda: 0.5,
        )
        self.northbound = northbound
        ports = await northbound.start(self.engine, self.configurator)
        self.port = ports.ssh or 0
        following = asyncio.create_task(northbound.follow())
        try:
            yield self
        finally:
            await northbound.stop()
            for task in (following, life):
                task.cancel()
            await asyncio.gather(following, life, return_exceptions=True)

    def _listed(self, name: str) -> InventoryNode:
        trust, domain = self.domains.get(name, (100, ""))
        return InventoryNode(name=name, trust=trust, domain=domain)

    @asynccontextmanager
    async def client(self, user: str = "operator") -> AsyncIterator[NetconfClient]:
        client = await connect(
            "127.0.0.1",
            self.port,
            username=user,
            host_key=public_key(self.host.public_key.read_text()),
            key=private_key(self.keys[user].private_key.read_text()),
            clock=self.clock,
        )
        async with client:
            yield client

    @staticmethod
    async def until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)


async def shown(client: NetconfClient, name: str = "one") -> etree._Element | None:
    """The entry of an association in <get>."""
    tops = await client.get(xml(f"<key-associations {KWN}/>"))
    for top in tops:
        for one in top.iterchildren(kwn("association")):
            if one.findtext(kwn("name")) == name:
                return one
    return None


def status(element: etree._Element | None) -> str | None:
    return None if element is None else element.findtext(f"{kwn('state')}/{kwn('status')}")
