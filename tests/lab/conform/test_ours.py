"""The whole suite against a server of ours: what it announces, it does; and the command that runs it."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncssh
import pytest
from typer.testing import CliRunner

from keyweave_core.errors import InvalidInput, PeerUnreachable
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.cli import app
from keyweave_lab.conform.bench import Options
from keyweave_lab.conform.netconf import CHECKS, RESTORED, Choice, run_suite
from keyweave_lab.conform.report import Verdict
from keyweave_lab.conform.subject import read_subject
from keyweave_lab.conform.wire import Login

from .conftest import login, told
from .meddler import Fault, meddled


@pytest.fixture
async def port(new_server: Callable[..., NetconfServer], host_key: asyncssh.SSHKey) -> AsyncIterator[int]:
    server = new_server(hello_timeout_s=1.0, max_sessions=20, max_message_bytes=1 << 20)
    async with meddled(server, Fault(), host_key) as port:
        yield port
    await server.close()


async def test_everything_announced_passes(port: int, host_key: asyncssh.SSHKey) -> None:
    options = Options(
        login=login(port, host_key),
        bulk=500,
        hello_timeout_s=1.0,
        message_limit_bytes=1 << 20,
        session_limit=20,
        patience_s=2.0,
    )
    report = await run_suite(options, Choice(), SystemClock())
    assert report.passed, told(report)
    assert [result.id for result in report.results] == [*(check.id for check in CHECKS), RESTORED]
    assert report.counts()["pass"] > 180
    assert report.server["subject"] == "etsi-qkd-sdn-node"
    assert report.server["ssh"]["host_key"] == "ssh-ed25519"


async def test_read_only_changes_nothing_and_takes_no_lock(port: int, host_key: asyncssh.SSHKey) -> None:
    report = await run_suite(
        Options(login=login(port, host_key)), Choice(read_only=True, skip=["A", "B"]), SystemClock()
    )
    assert report.passed, told(report)
    ids = {result.id for result in report.results}
    assert not ids & {check.id for check in CHECKS if check.edits}
    assert "restored" not in ids
    assert "C10.all" in ids


async def test_a_leaf_of_a_file_is_edited_instead(
    port: int, host_key: asyncssh.SSHKey, edit_file: Path
) -> None:
    options = Options(login=login(port, host_key), subject=read_subject(edit_file))
    report = await run_suite(options, Choice(only=["D1", "D2", "D15", "D17"]), SystemClock())
    assert report.passed, told(report)
    by_id = {result.id: result for result in report.results}
    assert by_id["D1.merge"].seen == "attic then cellar"
    assert by_id["D1.entry"].result is Verdict.NOT_APPLICABLE
    assert "has no entry" in by_id["D1.entry"].seen


async def test_without_anything_to_edit_the_checks_say_so(port: int, host_key: asyncssh.SSHKey) -> None:
    report = await run_suite(
        Options(login=login(port, host_key)), Choice(only=["F1", "F5", "A8", "A11"]), SystemClock()
    )
    assert report.counts()["not-applicable"] == len(report.results)
    reasons = {result.id: result.seen for result in report.results}
    assert reasons["A8"] == "option --hello-timeout is not given"
    assert reasons["F5"] == "option --session-limit is not given"


async def test_a_server_that_dies_ends_the_run(
    new_server: Callable[..., NetconfServer], host_key: asyncssh.SSHKey
) -> None:
    count = 0

    def dying(hello: bytes) -> bytes:
        nonlocal count
        count += 1
        return hello if count < 5 else b""

    server = new_server()
    async with meddled(server, Fault(hello_out=dying), host_key) as port:
        options = Options(login=login(port, host_key), message_limit_s=0.8, patience_s=0.5)
        report = await run_suite(options, Choice(only=["A2", "A3"]), SystemClock())
    await server.close()
    first = next(result for result in report.results if result.result is Verdict.FAIL)
    assert first.seen.endswith("and the server is gone")
    assert report.results[-1].seen == f"not run: the server is gone since {first.id}"


async def test_nobody_there_and_unknown_checks_are_errors(host_key: asyncssh.SSHKey) -> None:
    nobody = Login(host="127.0.0.1", port=1, user="x", password="y")
    with pytest.raises(PeerUnreachable):
        await run_suite(Options(login=nobody), Choice(), SystemClock())
    with pytest.raises(InvalidInput, match="Z9"):
        await run_suite(Options(login=nobody), Choice(only=["Z9"]), SystemClock())


def test_ids_are_unique_and_every_check_says_what_it_expects() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids)) > 200
    for check in CHECKS:
        assert check.clause
        assert check.expected
        assert check.chosen_by(check.id[0])
    groups = {check.id.partition(".")[0] for check in CHECKS}
    assert {"A1", "A10", "B9", "C14", "D16", "E5", "F1"} <= groups


class TestCommand:
    """`keyweave conform netconf`, in this process, against a server in a thread of its own loop."""

    def run(self, *arguments: str | Path) -> tuple[int, str]:
        found = CliRunner().invoke(app, ["conform", "netconf", *map(str, arguments)])
        return found.exit_code, found.output

    async def in_thread(self, *arguments: str | Path) -> tuple[int, str]:
        import asyncio

        return await asyncio.to_thread(self.run, *arguments)

    async def test_a_report_and_status_0(self, port: int, host_key: asyncssh.SSHKey, tmp_path: Path) -> None:
        trusted = tmp_path / "host.pub"
        host_key.write_public_key(str(trusted))
        status, text = await self.in_thread(
            "127.0.0.1", port, "--user", "tester", "--password", "x", "--host-key", trusted,
            "--only", "A2,B1", "--skip", "A2.shape", "--json", tmp_path / "report.json",
        )  # fmt: skip
        assert status == 0, text
        assert "pass" in text
        document = json.loads((tmp_path / "report.json").read_text())
        assert document["suite"] == "netconf"
        assert document["counts"]["fail"] == 0
        assert document["server"]["capabilities"]
        assert {result["id"] for result in document["results"]} >= {"A2.bases", "B1.message-id"}
        assert "A2.shape" not in {result["id"] for result in document["results"]}
        assert set(document["results"][0]) == {"id", "clause", "expected", "seen", "result", "duration_s"}

    async def test_status_1_for_a_failure(
        self, new_server: Callable[..., NetconfServer], host_key: asyncssh.SSHKey
    ) -> None:
        server = new_server()
        async with meddled(server, Fault(when=b"any-user"), host_key) as port:
            status, text = await self.in_thread(
                "127.0.0.1", port, "--user", "tester", "--password", "x", "--accept-any-host-key",
                "--only", "A1", "--failures-only",
            )  # fmt: skip
        await server.close()
        assert status == 1
        assert "A1.login" in text

    @pytest.mark.parametrize(
        ("arguments", "status", "text"),
        [
            (("--password", "x"), 2, "--host-key"),
            (("--accept-any-host-key",), 2, "wants a password or a key"),
            (("--accept-any-host-key", "--key", "/nowhere"), 2, "no such file"),
            (("--accept-any-host-key", "--password", "x"), 1, "127.0.0.1:1"),
            (("--accept-any-host-key", "--password", "x", "--module", "none"), 2, "known are"),
            (("--password", "x", "--host-key", "/nowhere"), 2, "/nowhere"),
        ],
    )
    def test_what_cannot_be(self, arguments: tuple[str, ...], status: int, text: str) -> None:
        found, said = self.run("127.0.0.1", "1", *arguments)
        assert (found, text in said) == (status, True), said
