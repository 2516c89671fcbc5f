"""The suite against two key managers of ours with a fibre between them, and as a command."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.cli import app
from keyweave_lab.conform.etsi014.suite import run_suite
from keyweave_lab.conform.report import Verdict

from .conftest import Papers
from .our_pair import Pair, pair_of


@pytest.fixture
async def pair(papers: Papers) -> AsyncIterator[Pair]:
    async with pair_of(papers.node) as found:
        yield found


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
