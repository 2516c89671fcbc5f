"""The controller as a process: it starts, says where, ends in order, and never writes beside another."""

import asyncio
import datetime as dt
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from keyweave_controller.__main__ import main
from keyweave_core.netconf.client.client import connect
from keyweave_core.netconf.ssh.channel import private_key, public_key
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.pki import LabPki
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc

pytestmark = pytest.mark.system
READY_WITHIN_S = 30


class Place:
    """A folder with everything one controller needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        pki = LabPki(folder / "pki", now=dt.datetime.now(dt.UTC))
        self.server = pki.controller()
        self.operator: TlsSettings = pki.operator()
        self.user = pki.ssh_key("user")
        self.host = pki.ssh_key("host")
        self.netconf = pki.ssh_key("host-controller")

    def write(self, name: str = "controller.toml", *, port: int = 0, more: str = "") -> Path:
        """A settings file with one agent that is not there."""
        path = self.folder / name
        path.write_text(
            f"""
            [grpc]
            certificate = "{self.server.certificate}"
            private_key = "{self.server.private_key}"
            ca = "{self.server.ca}"
            listen_port = {port}
            [southbound]
            user = "controller"
            private_key = "{self.user.private_key}"
            [[agents]]
            name = "A"
            host = "127.0.0.1"
            port = 1
            host_key = "{self.host.public_key}"
            {more}
            """
        )
        return path

    def with_netconf(self, port: int = 0) -> str:
        """The table that opens the NETCONF endpoint."""
        return f"""
            [netconf]
            host_key = "{self.netconf.private_key}"
            listen_port = {port}
            [[netconf.users]]
            name = "operator"
            authorized_keys = "{self.user.public_key}"
            """


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], dict[str, int]]]]:
    """Starts controllers and waits for their ready files; kills what is left at the end."""
    running: list[subprocess.Popen[str]] = []

    def run(config: Path) -> tuple[subprocess.Popen[str], dict[str, int]]:
        ready = tmp_path / f"ready-{len(running)}"
        process = subprocess.Popen(
            [sys.executable, "-m", "keyweave_controller", "--config", config, "--ready-file", ready],
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        deadline = time.monotonic() + READY_WITHIN_S
        while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ready.exists(), process.communicate(timeout=5)[1]
        text = ready.read_text()
        assert text.endswith("\n")
        assert text.count("\n") == 1
        return process, json.loads(text)

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def nodes(place: Place, port: int) -> list[pb.Node]:
    """Ask a controller for its nodes, once it has heard of the agent."""
    tls = place.operator
    credentials = grpc.ssl_channel_credentials(
        tls.ca.read_bytes(), tls.private_key.read_bytes(), tls.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = pb_grpc.TopologyStub(channel)
        async with asyncio.timeout(10):
            while True:
                found = list((await stub.ListNodes(pb.ListNodesRequest())).nodes)
                if found and found[0].lost_reason not in ("", "not reached yet"):
                    return found
                await asyncio.sleep(0.02)


async def test_it_starts_serves_and_stops_on_sigterm(place, start):
    process, ready = start(place.write(more='[metrics]\nlisten = "127.0.0.1:0"'))
    assert ready["ready"] is True
    assert ready["metrics_port"] > 0
    (node,) = await nodes(place, ready["grpc_port"])
    assert (node.name, node.connected, node.node_id) == ("A", False, "")
    assert node.lost_reason
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert time.monotonic() - began < 5
    for line in errors.splitlines():
        json.loads(line)
    assert "Traceback" not in errors
    assert (place.folder / "state" / "controller.sqlite").exists()


async def test_ctrl_c_ends_it_while_somebody_watches(place, start):
    process, ready = start(place.write())
    tls = place.operator
    credentials = grpc.ssl_channel_credentials(
        tls.ca.read_bytes(), tls.private_key.read_bytes(), tls.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(f"localhost:{ready['grpc_port']}", credentials) as channel:
        stream = pb_grpc.TopologyStub(channel).Watch(pb.WatchTopologyRequest())
        assert (await stream.read()).snapshot
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            with pytest.raises(grpc.aio.AioRpcError):
                await _to_the_end(stream)
    assert process.wait(timeout=10) == 0


async def test_after_kill_9_it_goes_on_with_the_same_store(place, start):
    config = place.write()
    process, _ = start(config)
    process.kill()
    process.wait()
    process, ready = start(config)
    assert (await nodes(place, ready["grpc_port"]))[0].name == "A"
    errors = _stop(process)
    assert '"epoch": 2' in errors


async def test_a_second_start_by_mistake_fails_and_leaves_the_first_alone(place, start):
    first, ready = start(place.write())
    again = place.write("again.toml", port=ready["grpc_port"])
    second = await asyncio.to_thread(_run_to_the_end, again)
    assert second.returncode == 2
    assert "cannot listen on 127.0.0.1" in second.stderr.splitlines()[-1]
    assert (await nodes(place, ready["grpc_port"]))[0].name == "A"
    assert first.poll() is None


async def test_a_controller_that_takes_over_ends_the_former_at_its_next_event(place, start):
    first, ready = start(place.write())
    start(place.write("other.toml"))
    tls = place.operator
    credentials = grpc.ssl_channel_credentials(
        tls.ca.read_bytes(), tls.private_key.read_bytes(), tls.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(f"localhost:{ready['grpc_port']}", credentials) as channel:
        wish = pb.OpenAssociationRequest(source="a", destination="b")
        with pytest.raises(grpc.aio.AioRpcError):
            await pb_grpc.AssociationsStub(channel).Open(wish, timeout=10)
    _, errors = await asyncio.to_thread(first.communicate, timeout=10)
    assert first.returncode == 1
    assert "lease" in errors.splitlines()[-1]


async def test_netconf_is_open_where_the_ready_file_says(place, start):
    process, ready = start(place.write(more=place.with_netconf()))
    client = await connect(
        "127.0.0.1",
        ready["netconf_port"],
        username="operator",
        host_key=public_key(place.netconf.public_key.read_text()),
        key=private_key(place.user.private_key.read_text()),
        clock=SystemClock(),
    )
    async with client:
        tops = {top.tag.rpartition("}")[2]: top for top in await client.get()}
        assert {"networks", "inventory", "alarms", "nacm"} <= tops.keys()
        assert client.peer.key_exchange.startswith("mlkem768")
    again = place.write("again.toml", more=place.with_netconf(ready["netconf_port"]))
    second = await asyncio.to_thread(_run_to_the_end, again)
    assert second.returncode == 2
    assert "netconf: cannot listen on 127.0.0.1" in second.stderr.splitlines()[-1]
    assert (await nodes(place, ready["grpc_port"]))[0].name == "A"
    assert process.poll() is None
    assert "Traceback" not in _stop(process)


def test_a_netconf_key_that_is_none_is_told_before_anything_is_opened(place, capsys):
    place.netconf.private_key.write_text("not a key\n")
    assert main(["--config", str(place.write(more=place.with_netconf()))]) == 2
    assert str(place.netconf.private_key) in capsys.readouterr().err
    assert not (place.folder / "state").exists()


async def _to_the_end(stream: grpc.aio.UnaryStreamCall) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


def _run_to_the_end(config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "keyweave_controller", "--config", config]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def _stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=10)[1]


def test_check_config_reads_and_ends(place, capsys):
    config = place.write()
    assert main(["--config", str(config), "--check-config"]) == 0
    assert not (place.folder / "state").exists()
    assert "correct" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[grpc\n", "line 1"), ("[weather]\nrain = true", "unknown key weather"), ("", "grpc")],
)
def test_bad_settings_are_one_line_and_status_2(tmp_path, capsys, text, complaint):
    config = tmp_path / "bad.toml"
    config.write_text(text)
    assert main(["--config", str(config)]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert str(config) in errors
    assert complaint in errors


def test_a_key_that_is_none_is_told_before_anything_is_opened(place, capsys):
    place.host.public_key.write_text("not a key\n")
    assert main(["--config", str(place.write())]) == 2
    assert "not an SSH public key" in capsys.readouterr().err
    assert not (place.folder / "state").exists()


def test_a_store_of_somebody_else_is_refused(place, capsys):
    (place.folder / "state").mkdir()
    (place.folder / "state" / "controller.sqlite").write_text("letters to my aunt" * 100)
    assert main(["--config", str(place.write())]) == 2
    assert "controller.sqlite" in capsys.readouterr().err
