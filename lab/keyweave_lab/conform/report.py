"""The result of a suite: for people a table, for programs one JSON document.

Rule of this file: it knows results, not protocols; every suite of this package reports through it.

The document: `suite`, `target`, `started` (date-and-time), `duration_s`, `server` (facts the suite learned),
`counts` (pass, fail, note, not-applicable) and `results`, each with `id`, `clause`, `expected`, `seen`,
`result` and `duration_s`.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

_SEEN_CHARS = 600


class Verdict(StrEnum):
    """What came of a check."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NOTE = "note"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One check and what came of it; for NOT_APPLICABLE `seen` is the reason, for NOTE the
    server's way where the standard leaves it open."""

    id: str
    clause: str
    expected: str
    seen: str
    result: Verdict
    duration_s: float


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything a run found."""

    suite: str
    target: str
    started: str
    server: dict[str, Any] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    duration_s: float = 0.0

    def counts(self) -> dict[str, int]:
        """How many of each verdict."""
        found = Counter(result.result for result in self.results)
        return {verdict.value: found[verdict] for verdict in Verdict}

    @property
    def passed(self) -> bool:
        """True when nothing failed."""
        return not any(result.result is Verdict.FAIL for result in self.results)

    def to_json(self) -> str:
        """The whole report, as the head of this file says."""
        document = {
            "suite": self.suite,
            "target": self.target,
            "started": self.started,
            "duration_s": round(self.duration_s, 3),
            "server": self.server,
            "counts": self.counts(),
            "results": [asdict(result) for result in self.results],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def shortened(text: str) -> str:
    """What was seen as one line that can be printed, of bounded length."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= _SEEN_CHARS else line[: _SEEN_CHARS - 1] + "…"


def print_report(report: Report, *, everything: bool) -> None:
    """Show a report on the terminal: failures always, the rest when `everything`; then the counts."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {
        Verdict.PASS: "green",
        Verdict.FAIL: "bold red",
        Verdict.NOTE: "yellow",
        Verdict.NOT_APPLICABLE: "dim",
    }
    table = Table(show_lines=False, box=None, pad_edge=False)
    for name, ratio in (("id", None), ("clause", None), ("result", None), ("expected", 2), ("seen", 3)):
        table.add_column(name, ratio=ratio, overflow="fold", no_wrap=ratio is None)
    shown = [result for result in report.results if everything or result.result is Verdict.FAIL]
    for result in shown:
        style = colours[result.result]
        cells = (result.id, result.clause, result.result.value, result.expected, result.seen)
        table.add_row(*(Text(cell, style=style if at == 2 else "") for at, cell in enumerate(cells)))
    console = Console()
    if shown:
        console.print(table)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in report.counts().items())
    console.print(f"{report.suite} {report.target}: {counts}; {report.duration_s:.1f} s", highlight=False)
