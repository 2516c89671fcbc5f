"""The lint: our modules pass, a bad one does not, and a waiver without a use is told."""

from pathlib import Path

import pytest

from keyweave_core.errors import InternalFault
from keyweave_yang.lint import WAIVERS, Finding, Waiver, judge, lint, main, our_modules


def test_our_modules_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    told = capsys.readouterr().out
    assert "7 modules, 0 findings" in told
    assert all(waiver.reason in told for waiver in WAIVERS)
    assert len(our_modules()) == 7


def test_a_bad_module_is_found(tmp_path: Path) -> None:
    file = tmp_path / "bad-one.yang"
    file.write_text(
        'module bad-one {\n  namespace "urn:bad";\n  prefix bad;\n  leaf Some_Leaf { type none; }\n}\n'
    )
    codes = {finding.code for finding in lint(file)}
    assert {"LINT_NOT_HYPHENATED", "TYPE_NOT_FOUND"} <= codes
    assert any(text.startswith("bad-one:4: ") for text in judge(lint(file), ()))


def test_what_is_no_yang_is_found(tmp_path: Path) -> None:
    file = tmp_path / "noise.yang"
    file.write_text("}}")
    assert judge(lint(file), ())
    with pytest.raises(InternalFault, match="pyang"):
        lint(tmp_path / "gone.yang")


def test_waivers_cover_their_rule_in_their_module_only() -> None:
    finding = Finding(module="m", line=1, code="RULE", message="why")
    waiver = Waiver(code="RULE", module="m", reason="because")
    assert judge([finding], (waiver,)) == []
    assert judge([finding], ()) == ["m:1: RULE: why"]
    stale = judge([], (waiver,))
    assert len(stale) == 1
    assert "covers nothing" in stale[0]
