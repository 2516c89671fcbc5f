"""The 014 suite: its checks, one after the other, and what came of them."""

from collections.abc import Sequence

from keyweave_core.runtime.clock import Clock, date_and_time
from keyweave_lab.conform.check import Check, checks_of
from keyweave_lab.conform.etsi014 import checks_access, checks_dec, checks_enc, checks_status, checks_whole
from keyweave_lab.conform.etsi014.bench import Bench
from keyweave_lab.conform.etsi014.lines import Options
from keyweave_lab.conform.report import Report
from keyweave_lab.conform.running import Told, chosen, run_all

CHECKS: tuple[Check, ...] = checks_of(checks_access, checks_status, checks_enc, checks_dec, checks_whole)


async def run_suite(
    options: Options,
    clock: Clock,
    told: Told | None = None,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> Report:
    """Run the chosen checks; `told` hears each result as it comes.

    Raises InvalidInput (an unknown id), SettingsError (a certificate file), PeerUnreachable or Failed when
    one of the key managers cannot be spoken to at all; what goes wrong later is a result.
    """
    checks = chosen(CHECKS, only, skip)
    target = f"{options.master.place.authority} {options.slave.place.authority}"
    report = Report(suite="etsi-014", target=target, started=date_and_time(clock.now()))
    began = clock.monotonic()
    bench = Bench(options, clock)
    try:
        await bench.learn()
        report.server = bench.facts
        await run_all(checks, bench, clock, report, told, limit_s=options.check_limit_s)
    finally:
        await bench.lines.close()
    report.duration_s = clock.monotonic() - began
    return report
