"""An agent as a process: how it starts, what it says, how it ends."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keyweave_lab.pki import LabPki

NODE = "aaaaaaaa-0000-4000-8000-000000000000"

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of an agent without neighbours, every port free, paths relative to the file."""
    folder = tmp_path_factory.mktemp("agent")
    pki = LabPki(folder / "pki", now=dt.datetime.now(dt.UTC))
    tls = pki.node("a", NODE)  # type: ignore[arg-type]  # a NodeId is text
    host, user = pki.ssh_key("host"), pki.ssh_key("controller")
    certificates = "\n".join(
        f'{name} = "{path.relative_to(folder)}"'
        for name, path in (("certificate", tls.certificate), ("private_key", tls.private_key), ("ca", tls.ca))
    )
    file = folder / "agent.toml"
    file.write_text(
        f"""
[node]
node_id = "{NODE}"
location_id = "room 1"
state_dir = "state"

[netconf]
listen_port = 0
host_key = "{host.private_key.relative_to(folder)}"
users = [{{ name = "controller", authorized_keys = "{user.public_key.relative_to(folder)}" }}]

[keys]

[keys_tls]
{certificates}

[service]
listen_port = 0

[service.tls]
{certificates}

[[consumers]]
sae_id = "alice"
""",
        encoding="utf-8",
    )
    return file


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "keyweave_agents", *map(str, arguments)]


@contextmanager
def started(settings_file: Path, ready: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command("--config", settings_file, "--ready-file", ready), stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(file: Path, process: subprocess.Popen[str], within_s: float = 20) -> None:
    limit = time.monotonic() + within_s
    while not file.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.02)


def resident_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_when_told(
    settings_file: Path, tmp_path: Path, number: signal.Signals
) -> None:
    ready = tmp_path / "ready.json"
    with started(settings_file, ready) as process:
        wait_for(ready, process)
        lines = ready.read_text(encoding="utf-8").splitlines()
        assert len(lines) == 1
        facts = json.loads(lines[0])
        assert facts["ready"] is True
        assert facts["node_id"] == NODE
        assert all(facts[name] > 0 for name in ("netconf_port", "service_port", "keys_port"))
        # An idle agent; three busy modules add a few MB. Our bound for one agent is 80 MB.
        assert resident_mb(process.pid) < 80
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    assert [each.name for each in tmp_path.iterdir()] == ["ready.json"]


def test_check_config_says_that_all_is_well(settings_file: Path) -> None:
    done = subprocess.run(
        command("--config", settings_file, "--check-config"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "correct" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("location_id", "locatoin_id", "locatoin_id"),
        ('host_key = "pki', 'host_key = "nowhere', "nowhere"),
        ('ca = "pki', 'ca = "nowhere', "nowhere"),
        ('authorized_keys = "', 'authorized_keys = "agent.toml", name2 = "', "name2"),
        ("controller.pub", "controller", "controller"),
        ('state_dir = "state"', 'state_dir = "agent.toml"', "state_dir"),
        ("[node]", "[node", "line"),
    ],
)
def test_wrong_settings_are_one_clear_line(settings_file: Path, old: str, new: str, complaint: str) -> None:
    text = settings_file.read_text(encoding="utf-8")
    assert old in text
    wrong = settings_file.with_name("wrong.toml")
    wrong.write_text(text.replace(old, new), encoding="utf-8")
    for more in ([], ["--check-config"]):
        done = subprocess.run(
            command("--config", wrong, *more), capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert complaint in done.stderr
        assert "Traceback" not in done.stderr


def test_an_address_that_is_taken_is_one_line_too(settings_file: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with started(settings_file, ready) as process:
        wait_for(ready, process)
        port = json.loads(ready.read_text(encoding="utf-8"))["keys_port"]
        taken = settings_file.with_name("taken.toml")
        text = settings_file.read_text(encoding="utf-8")
        taken.write_text(text.replace("[keys]", f"[keys]\nlisten_port = {port}"), encoding="utf-8")
        done = subprocess.run(
            command("--config", taken), capture_output=True, text=True, check=False, timeout=20
        )
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr
