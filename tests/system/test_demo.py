"""The demo as a stranger runs it: the command, its exit status, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("keyweave"))


def left_behind(directory: Path) -> list[str]:
    """Command lines of processes that still name the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(directory) in line:
                found.append(line)
    return found


def test_every_step_holds_and_nothing_is_left(short_dir: Path) -> None:
    done = subprocess.run(
        [COMMAND, "demo", "--dir", "lab"],
        check=False,
        cwd=short_dir,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every process has ended" in done.stdout
    for step in ("discovery", "first keys", "cut", "repair", "refusal", "bill"):
        assert f"\n   {step}" in done.stdout, f"no outcome of {step}"
    assert "0 failed requests" in done.stdout
    assert left_behind(short_dir) == []
    assert [entry.name for entry in short_dir.iterdir()] == ["lab"]


@pytest.mark.parametrize("protocol", ["netconf-tls", "call-home-ssh", "call-home-tls", "gnmi"])
def test_every_step_holds_over_every_protocol(short_dir: Path, protocol: str) -> None:
    done = subprocess.run(
        [COMMAND, "demo", "--dir", "lab", "--topology", "triangle", "--southbound", protocol],
        check=False,
        cwd=short_dir,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"read from the agents ({protocol})" in done.stdout
    assert "0 failed requests" in done.stdout
    assert left_behind(short_dir) == []


@pytest.mark.parametrize("after_s", [0.3, 1.5, 4.0, 7.0])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_stops_everything(
    short_dir: Path, after_s: float, sign: signal.Signals
) -> None:
    process = subprocess.Popen(
        [COMMAND, "demo", "--dir", "lab", "--topology", "triangle"],
        cwd=short_dir,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    time.sleep(after_s)
    process.send_signal(sign)
    output, _ = process.communicate(timeout=30)
    finished = process.returncode == 0 and "all steps held" in output
    assert finished or process.returncode in (130, -sign), output
    # Before our entry point runs, only the interpreter can be interrupted: no frame of ours may ever show.
    assert "Traceback" not in output or "keyweave_lab/" not in output
    assert left_behind(short_dir) == []


def test_kept_network_can_be_looked_at_and_destroyed(short_dir: Path) -> None:
    def keyweave(*arguments: str) -> str:
        done = subprocess.run(
            [COMMAND, *arguments], check=False, cwd=short_dir, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        told = keyweave("demo", "--keep", "--dir", "lab", "--topology", "triangle")
        assert "get nodes --lab lab" in told
        for what in ("nodes", "links", "associations", "alarms", "usage", "bill"):
            assert keyweave("get", what, "--lab", "lab")
        assert '"app_id"' in keyweave("get", "associations", "--lab", "lab", "-o", "json")
    finally:
        keyweave("lab", "destroy", "--lab", "lab")
    assert left_behind(short_dir) == []
