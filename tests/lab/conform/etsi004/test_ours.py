"""The 004 suite against two key managers of ours, and as a command."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.agents.service.streams.pair import ALICE, ALICE_URI, BOB, BOB_URI, pair_of
from typer.testing import CliRunner

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.cli import app
from keyweave_lab.conform.etsi004.bench import Options, Side
from keyweave_lab.conform.etsi004.suite import run_suite
from keyweave_lab.conform.report import Verdict


async def test_our_key_streams_pass(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        options = Options(
            first=Side(
                host="localhost",
                port=pair.ports[0],
                tls=pair.pki.application(ALICE),
                source=ALICE_URI,
                destination=BOB_URI,
            ),
            second=Side(
                host="localhost",
                port=pair.ports[pair.last],
                tls=pair.pki.application(BOB),
                source=BOB_URI,
                destination=ALICE_URI,
            ),
        )
        report = await run_suite(options, SystemClock())
        found = {r.id: r.seen for r in report.results if r.result is Verdict.FAIL}
        assert found == {}, report.to_json()
        assert {r.id for r in report.results if r.result is Verdict.NOT_APPLICABLE} == set()


async def test_the_command_tells_and_writes(tmp_path: Path) -> None:
    async with pair_of(tmp_path / "pki") as pair:
        pair.join()
        target = tmp_path / "report.json"
        arguments = [
            "conform", "004", f"localhost:{pair.ports[0]}", f"localhost:{pair.ports[pair.last]}",
            "--source", ALICE_URI, "--destination", BOB_URI, "--only", "A1,B1.equal", "--json", str(target),
        ]  # fmt: skip
        for prefix, sae in (("--", ALICE), ("--peer-", BOB)):
            tls = pair.pki.application(sae)
            arguments += [f"{prefix}cert", str(tls.certificate), f"{prefix}key", str(tls.private_key)]
            arguments += ["--ca", str(tls.ca)] if prefix == "--" else []
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert result.exit_code == 0, result.output
        document = json.loads(target.read_text())
        assert (document["suite"], document["counts"]["pass"]) == ("etsi-004", 4)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nowhere", "b:1"], 2),
        (["a:1", "b:99999"], 2),
        (["a:1", "b:1"], 2),
        (["a:1", "b:1", "--plain", "--only", "Z"], 2),
        (["localhost:1", "localhost:1", "--plain"], 1),
    ],
)
def test_wrong_commands_are_told(arguments: list[str], status: int) -> None:
    uris = ["--source", "a:b", "--destination", "c:d"]
    result = CliRunner().invoke(app, ["conform", "004", *arguments, *uris])
    assert result.exit_code == status, result.output
