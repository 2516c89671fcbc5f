"""What a killed agent starts with: nothing that was not confirmed; with startup, what was copied there."""

import asyncio
import datetime as dt
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from keyweave_core.model.application import Application, AppQos, AppType
from keyweave_core.model.ids import AppId, NodeId, SaeId
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.pki import LabPki
from keyweave_yang.decode import decode_node
from keyweave_yang.edits import edit_config, node_filter

NODE = NodeId("aaaaaaaa-0000-4000-8000-000000000000")
FIRST = AppId("22222222-0000-4000-8000-000000000001")
SECOND = AppId("22222222-0000-4000-8000-000000000002")

pytestmark = pytest.mark.system


@dataclass
class Program:
    """An agent without neighbours as a process of its own, every port free."""

    folder: Path
    host_key: str
    key: str
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    async def start(self) -> None:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        self.process = self._spawn(ready)
        async with asyncio.timeout(20):
            while not ready.exists() or not ready.read_text(encoding="utf-8").endswith("\n"):
                assert self.process.poll() is None
                await asyncio.sleep(0.02)
        self.port = json.loads(ready.read_text(encoding="utf-8"))["netconf_port"]

    def _spawn(self, ready: Path) -> subprocess.Popen[bytes]:
        files = ["--config", self.folder / "agent.toml", "--ready-file", ready]
        return subprocess.Popen([sys.executable, "-m", "keyweave_agents", *files], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    @asynccontextmanager
    async def netconf(self) -> AsyncIterator[NetconfClient]:
        client = await connect(
            "127.0.0.1",
            self.port,
            username="controller",
            host_key=self.host_key,
            key=self.key,
            clock=SystemClock(),
        )
        async with client:
            yield client

    async def applications(self) -> set[AppId]:
        async with self.netconf() as client:
            node, _ = decode_node(await client.get(node_filter()))
        return {each.app_id for each in node.applications}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[bool], Program]]:
    made: list[Program] = []

    def make(startup: bool) -> Program:
        pki = LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC))
        tls = pki.node("a", NODE)
        host, user = pki.ssh_key("host"), pki.ssh_key("controller")
        certificates = "\n".join(
            f'{name} = "{path}"'
            for name, path in (
                ("certificate", tls.certificate),
                ("private_key", tls.private_key),
                ("ca", tls.ca),
            )
        )
        (tmp_path / "agent.toml").write_text(
            f"""
[node]
node_id = "{NODE}"
location_id = "room 1"
state_dir = "state"
[netconf]
listen_port = 0
startup = {str(startup).lower()}
host_key = "{host.private_key}"
users = [{{ name = "controller", authorized_keys = "{user.public_key}" }}]
[keys]
[keys_tls]
{certificates}
[service]
listen_port = 0
[service.tls]
{certificates}
[[consumers]]
sae_id = "alice"
""",
            encoding="utf-8",
        )
        key = user.private_key.read_text(encoding="ascii")
        made.append(Program(tmp_path, host.public_line, key))
        return made[-1]

    yield make
    for each in made:
        each.kill()


def config(app_id: AppId) -> etree._Element:
    return edit_config(
        put_applications=[
            Application(
                app_id=app_id,
                type=AppType.CLIENT,
                server_app_id=SaeId("alice"),
                client_app_ids=(SaeId("bob"),),
                qos=AppQos(min_bandwidth_bps=2_000),
                local_node_id=NODE,
            )
        ]
    )


def rpc(text: str) -> etree._Element:
    return etree.fromstring(text.replace(">", f' xmlns="{BASE}">', 1))


CONFIRMED = "<commit><confirmed/><persist>token</persist></commit>"


async def test_a_kill_before_the_confirmation_brings_back_the_configuration_from_before(program) -> None:
    agent = program(False)
    await agent.start()
    async with agent.netconf() as client:
        await client.edit_config("running", config(FIRST))
        await client.edit_config("candidate", config(SECOND))
        await client.rpc(rpc(CONFIRMED))
    assert await agent.applications() == {FIRST, SECOND}
    agent.kill()
    await agent.start()
    assert await agent.applications() == {FIRST}

    async with agent.netconf() as client:
        await client.edit_config("candidate", config(SECOND))
        await client.rpc(rpc(CONFIRMED))
        await client.rpc(rpc("<commit><persist-id>token</persist-id></commit>"))
    agent.kill()
    await agent.start()
    assert await agent.applications() == {FIRST, SECOND}


async def test_with_startup_only_what_was_copied_there_outlives_a_kill(program) -> None:
    agent = program(True)
    await agent.start()
    copy = "<copy-config><target><startup/></target><source><running/></source></copy-config>"
    async with agent.netconf() as client:
        await client.edit_config("running", config(FIRST))
        await client.rpc(rpc(copy))
        await client.edit_config("running", config(SECOND))
    agent.kill()
    await agent.start()
    assert await agent.applications() == {FIRST}
    async with agent.netconf() as client:
        await client.rpc(rpc("<delete-config><target><startup/></target></delete-config>"))
    agent.kill()
    await agent.start()
    assert await agent.applications() == set()
