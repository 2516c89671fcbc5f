"""`python -m keyweave_yang.lint`: pyang --strict --lint over our modules; exit status 1 on any finding.

Rule of this file: a rule that does not fit is waived here, for named modules and with its reason. A waiver
that no longer matches anything is a finding too, so the list cannot rot.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from keyweave_core.errors import InternalFault
from keyweave_yang.sources import ietf_folder, our_folders

MAX_LINE = 72
"""Columns of a YANG text: what an RFC can carry, and a terminal beside it."""

_TEMPLATE = "{file}\t{line}\t{code}\t{msg}"
_START_PYANG = "from pyang.scripts.pyang_tool import run; run()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One complaint of pyang. `code` is its name for the rule."""

    module: str
    line: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A rule that does not apply to a module, and why."""

    code: str
    module: str
    reason: str


_ETSI_NAMES = "names are ETSI's and fixed by the standard: underscores in nodes, capitals in identities"
_RFC_NAMES = "names are fixed by RFC 5277: camelCase"
_LITERAL = (
    "'etsi-qkd-node-types:PHYS' is text that names the module of the identity, as libyang and yangson "
    "compare it; a prefix instead of the module name is refused by yangson"
)

WAIVERS = (
    Waiver(code="LINT_NOT_HYPHENATED", module="etsi-qkd-node-types", reason=_ETSI_NAMES),
    Waiver(code="LINT_NOT_HYPHENATED", module="etsi-qkd-sdn-node", reason=_ETSI_NAMES),
    Waiver(code="LINT_NOT_HYPHENATED", module="notifications", reason=_RFC_NAMES),
    Waiver(code="LINT_NOT_HYPHENATED", module="nc-notifications", reason=_RFC_NAMES),
    Waiver(code="WPREFIX_NOT_DEFINED", module="etsi-qkd-sdn-node", reason=_LITERAL),
    Waiver(code="WPREFIX_NOT_DEFINED", module="keyweave-qkd-node", reason=_LITERAL),
    Waiver(
        code="LINT_TOP_MANDATORY",
        module="etsi-qkd-sdn-node",
        reason="qkdn_id is mandatory in the published schema: a node without an id is no node",
    ),
    Waiver(
        code="LINT_NO_MODULENAME_PREFIX",
        module="notifications",
        reason="the name of the module is the one every implementation of RFC 5277 announces",
    ),
)


def our_modules() -> tuple[Path, ...]:
    """The YANG files of this package."""
    return tuple(sorted(file for folder in our_folders() for file in folder.glob("*.yang")))


def lint(file: Path) -> list[Finding]:
    """What pyang says of one file, waived or not.

    Raises InternalFault when pyang itself fails (its output is in the text).
    """
    path = ":".join(str(folder) for folder in (*our_folders(), ietf_folder()))
    options = ["--strict", "--lint", "--lint-ensure-hyphenated-names", "--canonical"]
    options += ["--max-line-length", str(MAX_LINE), "--path", path, "--msg-template", _TEMPLATE]
    # A process of its own: pyang keeps its rules in module variables and adds to them on every run.
    done = subprocess.run(  # noqa: S603 - our interpreter and fixed words
        [sys.executable, "-c", _START_PYANG, *options, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    findings = []
    for line in (done.stdout + done.stderr).splitlines():
        parts = line.split("\t")
        if len(parts) != len(_TEMPLATE.split("\t")):
            raise InternalFault(f"pyang did not work on {file}: {done.stderr or done.stdout}")
        where, number, code, message = parts
        findings.append(
            Finding(
                module=Path(where).name.partition("@")[0].removesuffix(".yang"),
                line=int(number),
                code=code,
                message=message,
            )
        )
    if done.returncode != 0 and not findings:
        raise InternalFault(f"pyang ended with status {done.returncode} on {file} and said nothing")
    return findings


def judge(findings: list[Finding], waivers: tuple[Waiver, ...] = WAIVERS) -> list[str]:
    """Texts of what is wrong: findings that no waiver covers, and waivers that cover nothing."""
    covered = {(waiver.code, waiver.module) for waiver in waivers}
    met = {(finding.code, finding.module) for finding in findings}
    wrong = [
        f"{finding.module}:{finding.line}: {finding.code}: {finding.message}"
        for finding in findings
        if (finding.code, finding.module) not in covered
    ]
    wrong += [
        f"{waiver.module}: the waiver of {waiver.code} covers nothing any more"
        for waiver in waivers
        if (waiver.code, waiver.module) not in met
    ]
    return wrong


def main() -> int:
    """Lint every module of ours, tell what is wrong and what is waived; the exit status."""
    files = our_modules()
    findings = [finding for file in files for finding in lint(file)]
    for waiver in WAIVERS:
        sys.stdout.write(f"waived {waiver.code} in {waiver.module}: {waiver.reason}\n")
    wrong = judge(findings)
    for text in wrong:
        sys.stdout.write(f"{text}\n")
    sys.stdout.write(f"{len(files)} modules, {len(wrong)} findings\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
