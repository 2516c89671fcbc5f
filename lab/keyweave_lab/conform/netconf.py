"""The NETCONF suite: which checks there are, running them one after the other, and what came of them.

Rule of this file: one check cannot spoil the next. Each has its own deadline; after one that failed the
shared session is dropped; after every edit, and at the end, what was there before is put back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import asyncssh

from keyweave_core.errors import KeyweaveError
from keyweave_core.runtime.clock import Clock, date_and_time
from keyweave_lab.conform import (
    checks_access,
    checks_bulk,
    checks_candidate,
    checks_commit,
    checks_datastores,
    checks_defaults,
    checks_edit,
    checks_end,
    checks_events,
    checks_filter,
    checks_framing,
    checks_hello,
    checks_lock,
    checks_monitoring,
    checks_nmda,
    checks_notify,
    checks_options,
    checks_push,
    checks_refusal,
    checks_rpc,
    checks_schemas,
    checks_sessions,
    checks_xml,
    checks_xpath,
)
from keyweave_lab.conform.bench import Bench, Options
from keyweave_lab.conform.check import Check, checks_of
from keyweave_lab.conform.editor import put_back
from keyweave_lab.conform.report import Report, Result, Verdict
from keyweave_lab.conform.running import Told, chosen, perform

CHECKS: tuple[Check, ...] = checks_of(
    checks_hello,
    checks_framing,
    checks_xml,
    checks_rpc,
    checks_sessions,
    checks_monitoring,
    checks_schemas,
    checks_filter,
    checks_xpath,
    checks_defaults,
    checks_nmda,
    checks_edit,
    checks_refusal,
    checks_options,
    checks_datastores,
    checks_candidate,
    checks_commit,
    checks_lock,
    checks_notify,
    checks_events,
    checks_push,
    checks_access,
    checks_bulk,
    checks_end,
)
RESTORED = "restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which checks to run."""

    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    read_only: bool = False

    def checks(self) -> list[Check]:
        """Those chosen; InvalidInput for an id that no check has."""
        wanted = chosen(CHECKS, self.only, self.skip)
        return [check for check in wanted if not (self.read_only and check.edits)]


async def run_suite(options: Options, choice: Choice, clock: Clock, told: Told | None = None) -> Report:
    """Run the chosen checks; `told` hears each result as it comes.

    Raises InvalidInput (an unknown id), PeerUnreachable or DeadlineExceeded when no session can be had at
    all; what goes wrong later is a result.
    """
    checks = choice.checks()
    login = options.login
    report = Report(suite="netconf", target=f"{login.host}:{login.port}", started=date_and_time(clock.now()))
    began = clock.monotonic()
    bench = Bench(options, clock)
    await bench.learn()
    report.server = bench.facts

    def add(result: Result) -> None:
        report.results.append(result)
        if told is not None:
            told(result)

    try:
        gone = ""
        for check in checks:
            result = await _perform(check, bench, gone)
            if result.result is Verdict.FAIL and not await _reachable(bench):
                gone = f"not run: the server is gone since {check.id}"
                result = replace(result, seen=f"{result.seen}; and the server is gone")
            add(result)
        if bench.original is not None:
            add(await _restored(bench))
    finally:
        await bench.drop_steady()
    report.duration_s = clock.monotonic() - began
    return report


async def _reachable(bench: Bench) -> bool:
    """True when a session can still be had, after some waiting if need be."""
    for share in (0.0, 0.1, 0.3, 0.6):
        await bench.pause(share * bench.options.patience_s)
        try:
            async with bench.session():
                return True
        except KeyweaveError:
            continue
    return False


async def _perform(check: Check, bench: Bench, gone: str = "") -> Result:
    """The result of one check; after a failure the shared session is dropped."""
    result = await perform(
        check, bench, bench.clock, limit_s=bench.options.check_limit_s, gone=gone, foreign=(asyncssh.Error,)
    )
    if result.result is Verdict.FAIL:
        await bench.drop_steady()
    return result


async def _restored(bench: Bench) -> Result:
    """The promise of the suite as a check of its own."""
    check = Check(
        id=RESTORED, clause="-", expected="running is as it was before the run", run=_put_back, edits=True
    )
    return await _perform(check, bench)


async def _put_back(bench: Bench) -> str:
    bench.dirty = True
    await put_back(bench)
    return "as before"
