"""Logging: structured lines, and no bytes in any of them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from keyweave_core.runtime.log import configure_logging, get_logger, hide_bytes


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """Logging belongs to the whole process: leave it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("value", [b"secret", bytearray(b"secret"), memoryview(b"secret")])
def test_bytes_become_their_length(value: bytes) -> None:
    assert hide_bytes(None, "info", {"key": value, "n": 1}) == {"key": "<6 bytes>", "n": 1}


def test_a_line_is_json_with_part_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", form="json")
    log = get_logger("keys")
    log.info("stored", key=b"secret bytes", count=3)
    log.debug("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "stored", "key": "<12 bytes>", "count": 3, "part": "keys", "level": "info"}


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_fault_is_logged_with_its_trace(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"]
) -> None:
    configure_logging(form=form)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        get_logger("x").exception("failed")
    assert "broken" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_trace_does_not_show_local_variables(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"]
) -> None:
    configure_logging(form=form)
    secret = "0f1e2d"
    try:
        raise RuntimeError(f"broken after {len(secret)}")
    except RuntimeError:
        get_logger("x").exception("failed")
    assert "0f1e2d" not in capsys.readouterr().err


def test_libraries_speak_from_warnings_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("somebody").info("chatter")
    logging.getLogger("somebody").warning("careful")
    assert capsys.readouterr().err.splitlines() == ["WARNING somebody careful"]


def test_a_closed_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logging()
    log = get_logger("x")
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr("sys.stderr", gone)
    log.warning("nobody reads this")
    now = io.StringIO()
    monkeypatch.setattr("sys.stderr", now)
    log.warning("somebody does")
    assert "somebody does" in now.getvalue()
