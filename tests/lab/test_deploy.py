"""Laying out, starting, looking at and stopping a laboratory; stand-ins play the programs here."""

import asyncio
import dataclasses
import os
import signal
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keyweave_agents.settings import read_agent_settings
from keyweave_controller.settings import read_controller_settings
from keyweave_core.errors import DeadlineExceeded, Exhausted, InvalidInput, SettingsError, Unavailable
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import Clock, SystemClock
from keyweave_core.runtime.settings import read_settings
from keyweave_lab import deploy as lab
from keyweave_lab.inventory import LabInventory, read_inventory, write_inventory
from keyweave_lab.layout import lay_out
from keyweave_lab.plant import PlantSettings
from keyweave_lab.ports import free_ports, outgoing_range
from keyweave_lab.processes import ProcessIdentity, send_signal, start_process, state_of, stop_all
from keyweave_lab.toml_text import to_toml
from keyweave_lab.topology import (
    Topology,
    TopologyApplication,
    TopologyLink,
    TopologyNode,
    link_id_of,
    node_id_of,
)

CLOCK = SystemClock()

SERVES = "import pathlib,sys,time; pathlib.Path(sys.argv[1]).write_text('ready {}\\n'); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES
DIES = "import sys; print('cannot: the reason'); sys.exit(3)"
SILENT = "import time; print('thinking'); time.sleep(60)"


@pytest.fixture
def topology() -> Topology:
    names = ("A", "B", "C")
    return Topology(
        name="three",
        source="made up",
        nodes=tuple(
            TopologyNode(name=n, node_id=node_id_of("three", n), location=f"Site {n}") for n in names
        ),
        links=tuple(
            TopologyLink(link_id=link_id_of("three", a, b), a=a, b=b, length_km=10, loss_db=2)
            for a, b in (("A", "B"), ("B", "C"))
        ),
        applications=(
            TopologyApplication(sae_id=SaeId("alice"), node="A", min_bandwidth_bps=512, ttl_s=60),
            TopologyApplication(sae_id=SaeId("urn:sae:carol"), node="C"),
        ),
    )


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a path short enough for a unix socket; what still runs there is ended."""
    directory = tmp_path_factory.mktemp("lab") / "here"
    yield directory
    asyncio.run(lab.destroy(directory, CLOCK, grace_s=0.1))


def stand_ins(inventory: LabInventory, script: Callable[[str], str]) -> LabInventory:
    """The same laboratory with small scripts in place of its programs."""
    programs = tuple(
        dataclasses.replace(each, command=(sys.executable, "-c", script(each.name), str(each.ready)))
        for each in inventory.programs
    )
    inventory = dataclasses.replace(inventory, programs=programs)
    write_inventory(inventory)
    return inventory


def running(directory: Path) -> list[str]:
    return [each.name for each in lab.inspect(directory) if each.state == "running"]


def test_every_settings_file_is_what_its_program_reads(topology: Topology, place: Path) -> None:
    inventory = lay_out(topology, place, CLOCK, keep=False)
    assert [each.name for each in inventory.programs] == ["plant", "A", "B", "C", "controller"]
    plant, *agents, controller = inventory.programs
    fibres = read_settings(plant.config, PlantSettings).fibres
    assert [fibre.name for fibre in fibres] == ["A~B", "B~C"]
    settings = [read_agent_settings(each.config) for each in agents]
    assert [len(each.modules) for each in settings] == [1, 2, 1]
    assert settings[0].consumers[0].min_bandwidth_bps == 512
    left, right = settings[0].modules[0], settings[1].modules[0]
    assert (left.role, right.role) == ("transmitter", "receiver")
    assert (left.link_id, left.connect) == (right.link_id, right.connect)
    assert left.remote_interface_id == right.interface_id
    assert settings[0].keys.neighbours[0].port == settings[1].keys.listen_port
    known = read_controller_settings(controller.config)
    assert [(each.name, each.port) for each in known.agents] == [
        (node.name, node.netconf_port) for node in inventory.nodes
    ]
    assert read_inventory(place) == inventory
    assert inventory.application("urn:sae:carol").base_url.endswith(f":{inventory.node('C').service_port}")
    assert running(place) == []


def test_what_the_operator_knows_reaches_the_controller(topology: Topology, place: Path) -> None:
    sites = (dataclasses.replace(topology.nodes[0], trust_score=40, domain="north"), *topology.nodes[1:])
    fibres = (dataclasses.replace(topology.links[0], risk_groups=("duct7",)), *topology.links[1:])
    told = dataclasses.replace(topology, nodes=sites, links=fibres)
    known = read_controller_settings(lay_out(told, place, CLOCK, keep=False).programs[-1].config)
    assert [(each.trust, each.domain) for each in known.inventory] == [(40, "north"), (100, ""), (100, "")]
    assert [(each.link, each.risk_groups) for each in known.link_facts] == [("A-B", ("duct7",))]


def test_nothing_in_the_directory_is_for_others(topology: Topology, place: Path) -> None:
    lay_out(topology, place, CLOCK, keep=False)
    for path in (place, *place.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_ids_stay_when_a_laboratory_is_made_again_and_secrets_do_not(topology: Topology, place: Path) -> None:
    first = lay_out(topology, place, CLOCK, keep=False)
    old_key = first.operator.private_key.read_bytes()
    (place / "agents" / "A" / "state").mkdir()
    second = lay_out(topology, place, CLOCK, keep=False)
    assert [node.node_id for node in first.nodes] == [node.node_id for node in second.nodes]
    assert second.operator.private_key.read_bytes() != old_key
    assert not (place / "agents" / "A" / "state").exists()


def test_a_place_that_is_not_free_is_left_alone(topology: Topology, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInput, match="holds something that is no laboratory"):
        lay_out(topology, tmp_path, CLOCK, keep=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InvalidInput, match="not a directory"):
        lay_out(topology, tmp_path / "thesis.txt", CLOCK, keep=False)


def test_a_site_cannot_be_called_as_another_program(topology: Topology, place: Path) -> None:
    nodes = (dataclasses.replace(topology.nodes[0], name="plant"), *topology.nodes[1:])
    with pytest.raises(InvalidInput, match="node plant"):
        lay_out(dataclasses.replace(topology, nodes=nodes), place, CLOCK, keep=False)
    assert not place.exists()


async def test_start_inspect_destroy(topology: Topology, place: Path) -> None:
    stand_ins(lay_out(topology, place, CLOCK, keep=False), lambda _: SERVES)
    told: list[str] = []
    inventory = await lab.start(place, CLOCK, told=told.append)
    assert told == ["1 plant ready", "3 agents ready", "1 controller ready"]
    states = lab.inspect(place)
    assert {each.state for each in states} == {"running"}
    assert all(each.rss_kb and each.rss_kb > 1000 for each in states)
    assert read_inventory(place) == inventory
    with pytest.raises(InvalidInput, match="runs there"):
        await lab.deploy(topology, place, CLOCK)
    await lab.stop_program(place, "B", CLOCK, kill=True)
    assert "B" not in running(place)
    await lab.start(place, CLOCK)
    assert len(running(place)) == 5
    assert await lab.destroy(place, CLOCK)
    assert running(place) == []
    assert not await lab.destroy(place, CLOCK), "a second time does nothing"
    with pytest.raises(InvalidInput, match="no program 'Z'"):
        await lab.stop_program(place, "Z", CLOCK)


async def test_destroy_kills_what_ignores_term(topology: Topology, place: Path) -> None:
    stand_ins(lay_out(topology, place, CLOCK, keep=False), lambda name: STUBBORN if name == "B" else SERVES)
    await lab.start(place, CLOCK)
    began = time.monotonic()
    assert await lab.destroy(place, CLOCK, grace_s=0.3)
    assert 0.3 <= time.monotonic() - began < 3
    assert running(place) == []


async def test_a_program_that_dies_takes_the_start_back_and_its_log_is_told(
    topology: Topology, place: Path
) -> None:
    stand_ins(lay_out(topology, place, CLOCK, keep=False), lambda name: DIES if name == "C" else SERVES)
    with pytest.raises(Unavailable, match=r"C ended before it served(.|\n)*cannot: the reason"):
        await lab.start(place, CLOCK)
    assert running(place) == []
    assert (place / "log" / "A.log").exists(), "files stay for whoever wants to know"


async def test_a_program_that_never_serves_ends_the_wait(topology: Topology, place: Path) -> None:
    stand_ins(lay_out(topology, place, CLOCK, keep=False), lambda name: SILENT if name == "C" else SERVES)
    with pytest.raises(DeadlineExceeded, match=r"C does not serve yet(.|\n)*log ends"):
        await lab.start(place, CLOCK, ready_within_s=0.5)
    assert running(place) == []


async def test_cancelled_twice_in_the_middle_nothing_is_left(topology: Topology, place: Path) -> None:
    stand_ins(lay_out(topology, place, CLOCK, keep=True), lambda name: SILENT if name == "C" else STUBBORN)
    task = asyncio.ensure_future(lab.start(place, CLOCK))
    while len(running(place)) < 4:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(lab, "GRACE_S", 0.2)
    task.cancel()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    monkey.undo()
    assert running(place) == []


def test_there_is_nothing_to_look_at_or_stop_where_no_laboratory_is(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no laboratory is deployed there"):
        lab.inspect(tmp_path)
    assert not asyncio.run(lab.destroy(tmp_path, CLOCK))
    (tmp_path / "lab.json").write_text("{")
    with pytest.raises(SettingsError, match="cannot read"):
        asyncio.run(lab.destroy(tmp_path, CLOCK))


STARTS_AND_WAITS = """
import sys, time
from pathlib import Path
from keyweave_lab.processes import start_process
here = Path(sys.argv[1])
child = start_process([sys.executable, "-c", "import time; time.sleep(60)"], directory=here,
                      log=here / "log", outlives_us=sys.argv[2] == "keep")
print(child.pid, child.started, child.boot_id, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("keep", ["keep", "leash"])
async def test_processes_end_with_us_unless_they_are_kept(tmp_path: Path, keep: str) -> None:
    parent = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
        [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path), keep], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, started, boot = parent.stdout.readline().split()
    child = ProcessIdentity(pid=int(pid), started=int(started), boot_id=boot)
    assert state_of(child) == "running"
    await asyncio.sleep(0.3)  # past the launcher
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await asyncio.sleep(0.3)
    try:
        assert state_of(child) == ("running" if keep == "keep" else "stopped")
    finally:
        await stop_all([child], CLOCK)


def test_a_recycled_pid_is_never_signalled(tmp_path: Path) -> None:
    real = start_process(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        directory=tmp_path,
        log=tmp_path / "log",
        outlives_us=False,
    )
    other_start = dataclasses.replace(real, started=real.started - 1)
    other_boot = dataclasses.replace(real, boot_id="another")
    for stranger in (other_start, other_boot):
        assert state_of(stranger) == "stopped"
        assert not send_signal(stranger, signal.SIGKILL)
    assert state_of(real) == "running"
    asyncio.run(stop_all([real], CLOCK))
    assert state_of(real) == "stopped"
    assert not send_signal(real, signal.SIGKILL)


def test_a_process_starts_in_its_directory_with_a_session_of_its_own(tmp_path: Path) -> None:
    script = "import os; print(os.getcwd(), os.getsid(0) == os.getpid(), oct(os.umask(0)), flush=True)"
    process = start_process(
        [sys.executable, "-c", script], directory=tmp_path, log=tmp_path / "log", outlives_us=False
    )
    while state_of(process) == "running":
        time.sleep(0.02)
    assert (tmp_path / "log").read_text().split() == [os.fspath(tmp_path), "True", "0o77"]


def test_ports_are_free_different_and_outside_the_outgoing_range() -> None:
    ports = free_ports(30)
    first, last = outgoing_range()
    assert len(set(ports)) == 30
    assert not [port for port in ports if first <= port <= last]
    with pytest.raises(Exhausted, match="free ports"):
        free_ports(70_000)


def test_a_taken_port_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    (port,) = free_ports(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        first, last = outgoing_range()
        candidates = [number for number in range(10_000, 65_536) if not first <= number <= last]
        assert port not in free_ports(3, below=lambda _: candidates.index(port))


def test_toml_reads_back_as_the_same_values() -> None:
    table: dict[str, Any] = {
        "text": 'quote " backslash \\ line\n tab\t del\x7f ä',
        "number": -3,
        "rate": 0.1,
        "on": True,
        "names": ["a", "b"],
        "nothing": None,
        "none": [],
        "path": Path("/a b/c"),
        "inner": {"x": 1, "odd key.": {"y": 2}},
        "many": [{"x": 1, "deep": {"z": 1}}, {"x": 2, "deeper": [{"q": 1}]}],
    }
    expected = {key: value for key, value in table.items() if key != "nothing"} | {"path": "/a b/c"}
    assert tomllib.loads(to_toml(table)) == expected
    for wrong in (float("nan"), object(), [None]):
        with pytest.raises(ValueError, match=r"a\.b: settings cannot hold"):
            to_toml({"a": {"b": wrong}})


TAKEN = "import sys; sys.exit('cannot listen: address already in use')"


async def test_a_port_taken_between_choice_and_start_costs_a_layout_not_the_laboratory(
    topology: Topology, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts: list[Path] = []

    def laid_out(topology: Topology, directory: Path, clock: Clock, **how: object) -> LabInventory:
        layouts.append(directory)
        inventory = lay_out(topology, directory, clock, keep=False)
        late = len(layouts) < 3
        return stand_ins(inventory, lambda name: TAKEN if late and name == "B" else SERVES)

    monkeypatch.setattr(lab, "lay_out", laid_out)
    told: list[str] = []
    await lab.deploy(topology, place, CLOCK, told=told.append)
    assert told.count("a port was taken meanwhile: laid out anew") == 2
    assert len(running(place)) == 5
    await lab.destroy(place, CLOCK)
