"""The suite against a server of somebody else: its known failures show, and what it does right passes."""

from pathlib import Path

import asyncssh
import pytest
from tests.interop.netconfd import USER, netconfd, why_not

from keyweave_core.errors import DeadlineExceeded
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.bench import Options
from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.netconf import Choice, run_suite
from keyweave_lab.conform.report import Report, Verdict
from keyweave_lab.conform.wire import Login

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(why_not()), reason=f"netconfd: {why_not()}"),
]

# What netconfd 2.13 of Debian is known for; a later one may have mended some.
KNOWN = {"A14", "A12.features", "B1.attributes", "B5.doctype", "B5.entity", "B5.file", "B8.two", "D8"}
LOST = "no message within"
ONLY = ["A12", "A14", "B1", "B5", "B8", "B12", "C2", "D1", "D8", "D15"]
ATTEMPTS = 4


async def run(folder: Path) -> Report:
    user = asyncssh.generate_private_key("ssh-ed25519")
    async with netconfd("candidate", [user.convert_to_public()]) as server:
        key = folder / "key"
        user.write_private_key(key)
        login = Login(
            host="127.0.0.1", port=server.port, user=USER, keys=(str(key),), host_key=server.host_key
        )
        return await run_suite(Options(login=login, message_limit_s=3.0), Choice(only=ONLY), SystemClock())


async def test_its_failures_show(tmp_path: Path) -> None:
    """It is asked again when it was lost: what comes behind something else in one packet it may never answer
    (A14), on a busy machine anywhere.
    """
    seen: dict[str, str] = {}
    for _ in range(ATTEMPTS):
        try:
            report = await run(tmp_path)
        except (DeadlineExceeded, Failed):
            continue
        failed = {
            result.id: result.seen
            for result in report.results
            if result.result is Verdict.FAIL and LOST not in result.seen
        }
        assert not failed.keys() - KNOWN, failed
        seen |= failed
        if {"B5.doctype", "B8.two"} <= seen.keys() and report.counts()["pass"] >= 20:
            return
    pytest.fail(f"what netconfd is known for did not show in {ATTEMPTS} runs: {seen}")
