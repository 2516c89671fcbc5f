"""The suite against two key managers of ours with a fibre between them, and as a command."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.keys.settings import KeySettings, Neighbour
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_agents.service.etsi014 import Etsi014Server
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.cli import app
from keyweave_lab.conform.etsi014.suite import run_suite
from keyweave_lab.conform.report import Verdict
from keyweave_lab.ports import free_ports

from .conftest import NODE, Papers

A, B = NODE, NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a02")
FIBRE = LinkId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f01")
VIRTUAL = LinkId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f02")
APP = AppId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f03")
BOTH = AppId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f04")
ALICE, BOB, CAROL = SaeId("alice"), SaeId("bob"), SaeId("carol")
BLOCK_BYTES = 16_384
BLOCKS = 24


@dataclass
class Pair:
    """Where the two key managers answer."""

    west: str
    east: str


@pytest.fixture
async def pair(papers: Papers) -> AsyncIterator[Pair]:
    """alice at one node shares keys with bob at the other; the fibre has made plenty."""
    ports = dict(zip((A, B), free_ports(2), strict=True))
    managers: dict[NodeId, KeyManager] = {}
    servers, tasks, urls = [], [], []
    for node, other in ((A, B), (B, A)):
        neighbour = Neighbour(node_id=other, link_id=FIBRE, host="127.0.0.1", port=ports[other])
        managers[node] = KeyManager(
            KeySettings(listen_port=ports[node], neighbours=(neighbour,)),
            node_id=node,
            clock=SystemClock(),
            random_bytes=random.Random(node).randbytes,  # noqa: S311 - a test repeats itself
            tls_server=None,
            tls_client=None,
        )
        tasks.append(asyncio.create_task(managers[node].run()))
        consumers = [ConsumerSettings(sae_id=sae) for sae in ((ALICE,) if node == A else (BOB, CAROL))]
        settings = ServiceSettings(
            listen_port=0, tls=papers.node, request_wait_s=2.0, max_additional_slaves=2
        )
        server = Etsi014Server(settings, consumers, managers[node], SystemClock(), node_id=node)
        urls.append(f"https://localhost:{await server.start()}")
        servers.append(server)
    source = random.Random(7)  # noqa: S311 - a test repeats itself
    for number in range(1, BLOCKS + 1):
        owner, content = (A, B)[number % 2], source.randbytes(BLOCK_BYTES)
        for manager in managers.values():
            manager.deposit(FIBRE, KeyBlock(block_id=number, owner=owner, material=Secret(content)))
    for node, other in ((A, B), (B, A)):
        route = Route(link_id=VIRTUAL, prev_hop=A if node == B else None, next_hop=B if node == A else None)
        associations = tuple(
            AssociationPlan(
                app_id=app_id,
                server=ALICE,
                clients=clients,
                source=node == A,
                links=(VIRTUAL,),
                remote_node=other,
            )
            for app_id, clients in ((APP, (BOB,)), (BOTH, (BOB, CAROL)))
        )
        managers[node].configure(KeyPlan(routes=(route,), associations=associations))
    yield Pair(*urls)
    for server in servers:
        await server.close()
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_our_key_managers_pass(papers: Papers, pair: Pair) -> None:
    options = replace(papers.options(pair.west, pair.east), patience_s=8.0, message_limit_s=10.0)
    report = await run_suite(options, SystemClock())
    found = {r.id: r.seen for r in report.results if r.result is Verdict.FAIL}
    assert found == {}
    reasons = {r.id: r.seen for r in report.results if r.result is Verdict.NOT_APPLICABLE}
    assert reasons == {}
    assert report.server["status"]["stored_key_count"] >= 0
    assert report.server["master"]["tls"] == "TLSv1.3"


async def test_the_command_tells_and_writes(papers: Papers, pair: Pair, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    arguments = ["conform", "014", pair.west, pair.east, "--ca", str(papers.node.ca), "--json", str(target)]
    for role, name in (("master", "alice"), ("slave", "bob"), ("third", "carol")):
        tls = papers.sae[name]
        arguments += [f"--{role}-sae", name, f"--{role}-cert", str(tls.certificate)]
        arguments += [f"--{role}-key", str(tls.private_key)]
    arguments += ["--only", "A,B,D2.again"]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    assert document["suite"] == "etsi-014"
    assert document["counts"]["fail"] == 0
    known = {one["id"]: one for one in document["results"]}
    assert known["D2.again"]["clause"] == "014 5.4"
    assert known["A2.foreign"]["result"] == "not-applicable"


def test_wrong_commands_are_told(papers: Papers) -> None:
    tls = papers.sae["alice"]
    given = ["--ca", str(tls.ca), "--master-sae", "a", "--slave-sae", "b"]
    for role in ("master", "slave"):
        given += [f"--{role}-cert", str(tls.certificate), f"--{role}-key", str(tls.private_key)]
    for arguments, text in (
        (["http://x", "https://y", *given], "want https"),
        (["https://x", "https://y", *given, "--third-sae", "c"], "--third-cert"),
        (["https://x", "https://y", *given, "--foreign-cert", "/nowhere"], "--foreign-key"),
        (["https://x", "https://y", *given, "--slave-ca", "/nowhere"], "no such file"),
        (["https://localhost:1", "https://localhost:1", *given, "--only", "Z9"], "no check"),
    ):
        result = CliRunner().invoke(app, ["conform", "014", *arguments])
        assert (result.exit_code, text in result.output) == (2, True), result.output
    result = CliRunner().invoke(app, ["conform", "014", "https://localhost:1", "https://localhost:1", *given])
    assert result.exit_code == 1, result.output
