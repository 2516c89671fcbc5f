"""The suite against a server of ours, whole or broken in one place."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ports import Schema
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.bench import Options
from keyweave_lab.conform.netconf import Choice, run_suite
from keyweave_lab.conform.report import Report, Result
from keyweave_lab.conform.wire import Login
from keyweave_yang.schema import load_schema

from .meddler import Fault, meddled

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
RUNNING = f"""
<qkd_node xmlns="{ETSI}">
  <qkdn_id>aaaaaaaa-0000-4000-8000-000000000001</qkdn_id>
  <qkd_applications>
    <qkd_app><app_id>22222222-0000-4000-8000-000000000001</app_id></qkd_app>
  </qkd_applications>
</qkd_node>
"""
OBSERVED = f'<qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}"><qkdn_status>t:OPERATING</qkdn_status></qkd_node>'

Run = Callable[[Fault, str], Awaitable[list[Result]]]


class Node:
    """Takes every configuration."""

    async def state(self) -> Sequence[etree._Element]:
        return [parse_xml(OBSERVED.encode())]

    async def apply(self, _old: Sequence[etree._Element], _new: Sequence[etree._Element], _user: str) -> None:
        return None

    async def call(self, operation: etree._Element, _user: str) -> None:
        raise KeyError(etree.QName(operation).localname)


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load_schema()


@pytest.fixture(scope="session")
def host_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def new_server(schema: Schema) -> Callable[..., NetconfServer]:
    """Make a server with some limits."""

    def make(**limits: float) -> NetconfServer:
        return NetconfServer(
            schema,
            Node(),
            [parse_xml(RUNNING.encode())],
            clock=SystemClock(),
            limits=NetconfLimits(**limits),  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def run_broken(new_server: Callable[..., NetconfServer], host_key: asyncssh.SSHKey) -> Run:
    """Run the checks of some ids against a server with one broken behaviour."""

    async def run(fault: Fault, only: str) -> list[Result]:
        server = new_server(max_message_bytes=65536, hello_timeout_s=0.3, max_sessions=8)
        async with meddled(server, fault, host_key) as port:
            options = Options(
                login=login(port, host_key),
                other=login(port, host_key, "guest"),
                message_limit_s=0.8,  # a busy machine must not look like a broken server
                check_limit_s=6.0,
                patience_s=0.5,
                bulk=40,
                hello_timeout_s=0.3,
                message_limit_bytes=65536,
                session_limit=8,
            )
            report = await run_suite(options, Choice(only=only.split(",")), SystemClock())
        await server.close()
        return [result for result in report.results if result.id != "restored"]

    return run


def login(port: int, host_key: asyncssh.SSHKey, user: str = "tester") -> Login:
    return Login(host="127.0.0.1", port=port, user=user, password="x", host_key=host_key.convert_to_public())


def told(report: Report) -> str:
    """What failed, for a message."""
    return "\n".join(f"{r.id}: {r.seen}" for r in report.results if r.result.value == "fail")


@pytest.fixture
def edit_file(tmp_path: Path) -> Path:
    path = tmp_path / "edit.xml"
    path.write_text(
        f'<qkd_node xmlns="{ETSI}" xmlns:c="urn:keyweave:conform">'
        '<qkdn_location_id c:other="cellar">attic</qkdn_location_id></qkd_node>'
    )
    return path
