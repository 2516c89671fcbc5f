"""A small agent made of the product's own NETCONF server, and a watcher of what the fleet says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from lxml import etree

from keyweave_controller.settings import AgentSettings, SouthboundSettings
from keyweave_controller.southbound.diallers import Diallers
from keyweave_controller.southbound.fleet import Fleet
from keyweave_core.model.application import Application, AppStatistics, AppType
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
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
from keyweave_core.model.notifications import Notification
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.transport import Service
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.retry import Backoff
from keyweave_yang.encode import encode_configuration, encode_state
from keyweave_yang.notify import encode_notification
from keyweave_yang.schema import ModelSchema, load_schema

NODE_A = NodeId("0a000000-0000-4000-8000-000000000001")
NODE_B = NodeId("0b000000-0000-4000-8000-000000000002")
LINK = LinkId("0c000000-0000-4000-8000-000000000003")
APP = AppId("0d000000-0000-4000-8000-000000000004")


def small_node(node_id: NodeId = NODE_A) -> Node:
    """A node with one module, one fibre and one application that has used key."""
    return Node(
        node_id=node_id,
        status=NodeStatus.OPERATING,
        version="1",
        location_id="here",
        consumers=(SaeId("sae-a"),),
        interfaces=(Interface(interface_id=InterfaceId(1), model="box"),),
        links=(
            Link(
                link_id=LINK,
                type=LinkType.PHYS,
                status=LinkStatus.ACTIVE,
                local=Endpoint(node_id=NODE_A, interface_id=InterfaceId(1)),
                remote=Endpoint(node_id=NODE_B, interface_id=InterfaceId(1)),
                physical=PhysicalSpec(channel_att_db=5.0, distance_km=20.0),
                performance=LinkPerformance(skr_bps=10_000, qber=0.02),
                pool=KeyPool(stored_bits=500_000, capacity_bits=1_000_000),
            ),
        ),
        applications=(
            Application(
                app_id=APP,
                type=AppType.CLIENT,
                server_app_id=SaeId("sae-a"),
                client_app_ids=(SaeId("sae-b"),),
                local_node_id=NODE_A,
                remote_node_id=NODE_B,
                statistics=(AppStatistics(end_time="2026-11-21T10:00:00Z", consumed_bits=256),),
            ),
        ),
    )


class SmallAgent:
    """A NETCONF server over a node value that a test may change at any time."""

    def __init__(self, schema: ModelSchema, user_key: asyncssh.SSHKey, folder: Path, name: str) -> None:
        self._schema = schema
        self._user_key = user_key
        self.name = name
        self.node = small_node()
        self.raw_state: Callable[[], Sequence[etree._Element]] | None = None
        self.drop_capabilities: tuple[str, ...] = ()
        self.keep_capabilities: tuple[str, ...] = ()
        self.rewrite_capability = ("", "")
        self.judge: Callable[[Sequence[etree._Element]], None] | None = None
        self.applied: list[Any] = []
        self.calls: list[etree._Element] = []
        self.refusal: Exception | None = None
        self._read = asyncio.Semaphore(0)
        self.port = 0
        self.server: NetconfServer | None = None
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key_path = folder / f"{name}.pub"
        self.host_key_path.write_bytes(self._host_key.export_public_key())

    async def start(self, *, limits: NetconfLimits | None = None) -> None:
        """Serve; the port stays the same over restarts."""
        self.server = NetconfServer(
            self._schema, self, [encode_configuration(self.node)], clock=SystemClock(), limits=limits
        )
        self.server.capabilities = tuple(
            uri.replace(*self.rewrite_capability)
            for uri in self.server.capabilities
            if not any(part in uri for part in self.drop_capabilities)
            or any(part in uri for part in self.keep_capabilities)
        )
        user_key = self._user_key.export_public_key().decode()
        self.port = await self.server.start_ssh(
            "127.0.0.1", self.port, [self._host_key], {"controller": [user_key]}
        )

    def ssh_service(self) -> Service:
        """Sessions over SSH that may be called home with."""
        assert self.server is not None
        return self.server.ssh([self._host_key], {"controller": [self._user_key]})

    async def stop(self) -> None:
        """Close every session and listen no more."""
        if self.server is not None:
            await self.server.close()
            self.server = None

    def publish(self, notification: Notification, at_s: float | None = None) -> None:
        """Send a notification."""
        assert self.server is not None
        self.server.publish(encode_notification(notification), at_s)

    def change_link(self, **changes: Any) -> None:
        """Let the fibre show something else from now on."""
        (link,) = self.node.links
        self.node = replace(self.node, links=(replace(link, **changes),))

    async def polled(self, times: int = 4) -> None:
        """Return after it was read so often from now on."""
        self._read = asyncio.Semaphore(0)
        async with asyncio.timeout(10):
            for _ in range(times):
                await self._read.acquire()

    @property
    def settings(self) -> AgentSettings:
        """Its inventory entry."""
        return AgentSettings(name=self.name, host="127.0.0.1", port=self.port, host_key=self.host_key_path)

    # Device of the NETCONF server.

    async def state(self) -> Sequence[etree._Element]:
        self._read.release()
        return self.raw_state() if self.raw_state else [encode_state(self.node)]

    async def apply(self, _old: Sequence[etree._Element], new: Sequence[etree._Element], _user: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        if self.judge is not None:
            self.judge(new)
        self.applied.append(new)

    async def call(self, operation: etree._Element, _user: str) -> Sequence[etree._Element] | None:
        self.calls.append(operation)
        return None


class Heard:
    """The events a fleet submitted, in order."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        self._changed.set()

    def of(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, kind: type, count: int | Callable[[Any], bool] = 1) -> Any:
        """The `count`-th event of a kind, or the first that fits, once it is there."""
        async with asyncio.timeout(10):
            while not (fitting := self._fitting(kind, count)):
                self._changed.clear()
                await self._changed.wait()
        return fitting[0]

    def _fitting(self, kind: type, wanted: int | Callable[[Any], bool]) -> list[Any]:
        if isinstance(wanted, int):
            return self.of(kind)[wanted - 1 :]
        return [event for event in self.of(kind) if wanted(event)]


@pytest.fixture(scope="session")
def schema() -> ModelSchema:
    return load_schema("agent")


@pytest.fixture(scope="session")
def user_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def southbound(tmp_path: Path, user_key: asyncssh.SSHKey) -> SouthboundSettings:
    """Settings in a hurry."""
    path = tmp_path / "user"
    path.write_bytes(user_key.export_private_key())
    return SouthboundSettings(
        user="controller",
        private_key=path,
        poll_interval_s=0.05,
        audit_interval_s=0.3,
        connect_timeout_s=2.0,
        rpc_timeout_s=1.0,
        backoff=Backoff(first_s=0.02, most_s=0.1),
    )


@pytest.fixture
async def new_agent(
    schema: ModelSchema, user_key: asyncssh.SSHKey, tmp_path: Path
) -> AsyncIterator[Callable[..., SmallAgent]]:
    """Makes agents, not yet started; all are stopped at the end."""
    made: list[SmallAgent] = []

    def make(name: str = "a", other: Any = None) -> SmallAgent:
        made.append(SmallAgent(other or schema, user_key, tmp_path, name))
        return made[-1]

    yield make
    for agent in made:
        await agent.stop()


@pytest.fixture
async def agent(new_agent: Callable[[str], SmallAgent]) -> SmallAgent:
    """One agent that serves."""
    made = new_agent("a")
    await made.start()
    return made


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def run_fleet(southbound: SouthboundSettings, heard: Heard) -> AsyncIterator[Callable[..., Fleet]]:
    """Runs a fleet over agents until the end of the test."""
    tasks: list[asyncio.Task[None]] = []

    def run(*agents: Any) -> Fleet:
        entries = [each if isinstance(each, AgentSettings) else each.settings for each in agents]
        fleet = Fleet(
            settings=southbound,
            agents=entries,
            dialler=Diallers(southbound, entries, SystemClock()).dial,
            clock=SystemClock(),
            uniform=lambda: 0.5,
        )
        tasks.append(asyncio.create_task(fleet.run(heard)))
        return fleet

    yield run
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
