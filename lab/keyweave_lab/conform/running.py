"""Running checks: which of them, one after the other, each within its time, and what came of each.

Rule of this file: it knows no protocol. A check that raises something of the server's doing has failed; one
that raises anything else is a fault of ours and ends the run.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from keyweave_core.errors import DeadlineExceeded, InvalidInput, KeyweaveError, PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_core.runtime.clock import Clock
from keyweave_lab.conform.check import Check, Failed, NotApplicable, Note
from keyweave_lab.conform.report import Report, Result, Verdict, shortened

Told = Callable[[Result], None]


class AnyBench(Protocol):
    """What a bench of any suite can say."""

    def lacks(self, need: str) -> str | None:
        """Why a need of a check is not met; None when it is."""
        ...


def chosen(checks: Sequence[Check], only: Sequence[str], skip: Sequence[str]) -> list[Check]:
    """Those of `checks` that `only` names (all when it is empty) and `skip` does not.

    Raises InvalidInput for an id that no check has.
    """
    for wish in (*only, *skip):
        if not any(check.chosen_by(wish) for check in checks):
            raise InvalidInput(f"no check {wish!r}")
    return [
        check
        for check in checks
        if (not only or any(check.chosen_by(wish) for wish in only))
        and not any(check.chosen_by(wish) for wish in skip)
    ]


async def perform(
    check: Check,
    bench: AnyBench,
    clock: Clock,
    *,
    limit_s: float,
    gone: str = "",
    foreign: tuple[type[Exception], ...] = (),
) -> Result:
    """Run one check for at most `limit_s`; `gone` is why it is not run. Errors of `foreign` are failures."""
    began = clock.monotonic()
    verdict, seen = Verdict.NOT_APPLICABLE, ""
    reasons = [gone] if gone else [reason for reason in map(bench.lacks, check.needs) if reason]
    if reasons:
        seen = reasons[0]
    else:
        verdict, seen = await _outcome(check, bench, clock, limit_s, (OSError, *foreign))
    return Result(
        id=check.id,
        clause=check.clause,
        expected=check.expected,
        seen=shortened(seen),
        result=verdict,
        duration_s=round(clock.monotonic() - began, 4),
    )


async def _outcome(
    check: Check, bench: AnyBench, clock: Clock, limit_s: float, foreign: tuple[type[Exception], ...]
) -> tuple[Verdict, str]:
    try:
        return Verdict.PASS, await within(clock, check.run(bench), limit_s, "the check did not end")
    except NotApplicable as reason:
        return Verdict.NOT_APPLICABLE, str(reason)
    except Note as note:
        return Verdict.NOTE, str(note)
    except (Failed, DeadlineExceeded) as failure:
        return Verdict.FAIL, str(failure)
    except KeyweaveError as failure:
        return Verdict.FAIL, f"{type(failure).__name__}: {failure}"
    except foreign as failure:
        return Verdict.FAIL, f"connection: {str(failure) or type(failure).__name__}"


async def run_all(
    checks: Sequence[Check],
    bench: AnyBench,
    clock: Clock,
    report: Report,
    told: Told | None,
    *,
    limit_s: float,
) -> None:
    """Run checks in their order into `report`. Once nobody listens any more the rest is not run."""
    gone = ""
    for check in checks:
        result = await perform(check, bench, clock, limit_s=limit_s, gone=gone)
        if result.result is Verdict.FAIL and result.seen.startswith(PeerUnreachable.__name__):
            gone = f"not run: the server is gone since {check.id}"
        report.results.append(result)
        if told is not None:
            told(result)
