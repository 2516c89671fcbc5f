"""The fibre plant between two real modules, in one process and as a program."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from keyweave_agents.quantum.channel import connect
from keyweave_agents.quantum.frames import Bye, Condition, Hello
from keyweave_agents.quantum.intake import Distrusted, KeyBlock
from keyweave_agents.quantum.intrusion import IntrusionSettings
from keyweave_agents.quantum.module import ModuleSettings, QuantumModule
from keyweave_agents.quantum.observed import (
    DownCause,
    FiguresChanged,
    IntrusionOver,
    IntrusionSuspected,
    LinkDown,
    LinkUp,
    ModuleEvent,
)
from keyweave_core.errors import InvalidInput, PeerUnreachable, SettingsError
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.settings import parse_settings
from keyweave_lab.plant import FibreSettings, PlantSettings, run_plant
from keyweave_lab.plant_control import PlantClient

LINK = LinkId("7b0b2c7e-5a0e-4b9e-8f52-0a4c3a5d8e11")
ALICE = NodeId("aaaaaaaa-6a53-4c3c-9b0e-2f1f7e6d5c4b")
BOB = NodeId("bbbbbbbb-6a53-4c3c-9b0e-2f1f7e6d5c4b")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def resident_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


async def until(holds: Callable[[], bool], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # what is waited for has no event to set
            await asyncio.sleep(0.01)


@asynccontextmanager
async def task_of(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@dataclass
class End:
    """A module that runs at a fibre, with what it was given and what it told."""

    node_id: NodeId
    blocks: dict[int, bytes] = field(default_factory=dict)
    owners: dict[int, NodeId] = field(default_factory=dict)
    asked: int = 0
    events: list[ModuleEvent] = field(default_factory=list)
    intrusion: IntrusionSettings = field(default_factory=lambda: IntrusionSettings(release_after_s=0.3))
    module: QuantumModule = field(init=False)

    def start(self, port: int) -> Coroutine[Any, Any, None]:
        first = self.node_id == ALICE
        settings = ModuleSettings(
            interface_id=InterfaceId(1 if first else 2),
            link_id=LINK,
            remote_node_id=BOB if first else ALICE,
            remote_interface_id=InterfaceId(2 if first else 1),
            role="transmitter" if first else "receiver",
            profile="bb84-t12-1ghz",
            distance_km=50,
            loss_db=10,
            connect=f"127.0.0.1:{port}",
            hold_off_s=0.1,
            intrusion=self.intrusion,
        )
        self.module = QuantumModule(
            settings,
            self,
            node_id=self.node_id,
            clock=SystemClock(),
            random_bytes=os.urandom,
            on_event=self.events.append,
        )
        return self.module.run()

    def next_owner(self, _link_id: LinkId) -> NodeId:
        self.asked += 1
        return ALICE if self.asked % 2 else BOB

    def deposit(self, _link_id: LinkId, block: KeyBlock) -> None:
        self.blocks[block.block_id] = bytes(block.material.reveal())
        self.owners[block.block_id] = block.owner

    def distrust(self, _link_id: LinkId, since_block_id: int) -> Distrusted:
        gone = [block_id for block_id in self.blocks if block_id >= since_block_id]
        bits = sum(8 * len(self.blocks.pop(block_id)) for block_id in gone)
        return Distrusted(discarded_bits=bits, spent_bits=0)

    def trust(self, _link_id: LinkId) -> None:
        pass

    @property
    def generating(self) -> bool:
        return self.module.state().generating


@dataclass
class Laboratory:
    alice: End
    bob: End
    client: PlantClient
    port: int


@asynccontextmanager
async def plant(folder: Path) -> AsyncIterator[tuple[PlantClient, int]]:
    port = free_port()
    settings = PlantSettings(
        control_socket=folder / "plant.sock",
        fibres=(FibreSettings(link_id=LINK, name="A~B", listen=f"127.0.0.1:{port}"),),
    )
    async with task_of(run_plant(settings)):
        await until(settings.control_socket.exists)
        yield PlantClient(settings.control_socket), port


@asynccontextmanager
async def laboratory(folder: Path, intrusion: IntrusionSettings | None = None) -> AsyncIterator[Laboratory]:
    alice, bob = End(ALICE), End(BOB)
    if intrusion is not None:
        alice.intrusion = bob.intrusion = intrusion
    async with plant(folder) as (client, port), task_of(alice.start(port)), task_of(bob.start(port)):
        await until(lambda: alice.generating and bob.generating)
        yield Laboratory(alice, bob, client, port)


async def test_key_passes_the_plant(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        await until(lambda: len(lab.alice.blocks) >= 5)
        common = lab.alice.blocks.keys() & lab.bob.blocks.keys()
        assert len(common) >= 4
        assert all(lab.alice.blocks[number] == lab.bob.blocks[number] for number in common)
        (fibre,) = await lab.client.fibres()
        assert (fibre.link_id, fibre.name, fibre.cut) == (LINK, "A~B", False)
        assert fibre.ends == ("receiver", "transmitter")


async def test_a_cut_ends_the_key_at_both_ends_and_a_repair_brings_it_back(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        view = await lab.client.cut("A~B")
        assert view.cut
        await until(lambda: not lab.alice.generating and not lab.bob.generating, within_s=1)
        made = lab.alice.module.state().generated_bits
        await asyncio.sleep(0.5)  # long enough for several attempts to come back
        assert not lab.alice.module.state().connected
        assert lab.alice.module.state().generated_bits == made
        assert await lab.client.cut(LINK) == (await lab.client.fibres())[0]
        await lab.client.repair(LINK)
        await until(lambda: lab.alice.generating and lab.bob.generating, within_s=2)
        for end in (lab.alice, lab.bob):
            told = [event for event in end.events if isinstance(event, LinkUp | LinkDown)]
            assert [type(event) for event in told] == [LinkUp, LinkDown, LinkUp]


async def test_cuts_at_any_moment_leave_no_owner_alone(tmp_path: Path) -> None:
    """The law of pairing over real sockets: what an owner may spend, the other end has too."""
    async with laboratory(tmp_path) as lab:
        for round_number in range(6):
            before = len(lab.bob.blocks)
            await until(lambda before=before: len(lab.bob.blocks) > before)  # type: ignore[misc]  # bound now
            await asyncio.sleep(0.01 * round_number)
            await lab.client.cut("A~B")
            await until(
                lambda: not lab.alice.module.state().connected and not lab.bob.module.state().connected
            )
            for end, other in ((lab.alice, lab.bob), (lab.bob, lab.alice)):
                own = {number for number, owner in end.owners.items() if owner == end.node_id}
                assert own <= other.blocks.keys()
                assert all(end.blocks[number] == other.blocks[number] for number in own)
            await lab.client.repair("A~B")
        assert {ALICE, BOB} == set(lab.alice.owners.values())


async def test_a_degraded_fibre_is_felt_at_both_ends_also_after_a_reconnect(tmp_path: Path) -> None:
    async with laboratory(tmp_path) as lab:
        normal = lab.alice.module.state().skr_bps
        view = await lab.client.degrade("A~B", extra_loss_db=3.0, excess_noise=0.005)
        assert (view.extra_loss_db, view.excess_noise) == (3.0, 0.005)
        await until(lambda: 0 < lab.alice.module.state().skr_bps < normal)
        await until(lambda: lab.bob.module.state().skr_bps == lab.alice.module.state().skr_bps)
        degraded = lab.alice.module.state()
        assert degraded.loss_db == 13.0
        assert degraded.qber is not None
        assert degraded.qber > 0.035
        lab.bob.module.enable(False)
        await until(lambda: not lab.alice.generating)
        lab.bob.module.enable(True)
        await until(lambda: lab.alice.generating and lab.bob.generating)
        assert lab.alice.module.state().skr_bps == lab.bob.module.state().skr_bps == degraded.skr_bps
        await lab.client.degrade("A~B", extra_loss_db=0.0, excess_noise=0.05)
        await until(lambda: not lab.alice.generating and not lab.bob.generating)
        assert lab.bob.module.state().cause is DownCause.NOISE
        await lab.client.repair("A~B")
        await until(lambda: lab.alice.module.state().skr_bps == normal)


async def test_somebody_who_listens_is_noticed_at_both_ends_and_key_comes_again_when_it_is_calm(
    tmp_path: Path,
) -> None:
    async with laboratory(tmp_path) as lab:
        ends = (lab.alice, lab.bob)
        await until(lambda: all(len(end.blocks) > 5 for end in ends))
        await lab.client.degrade("A~B", extra_loss_db=0.0, excess_noise=0.15)
        await until(lambda: all(end.module.state().quarantine for end in ends))
        for end in ends:
            state = end.module.state()
            assert state.cause is DownCause.INTRUSION
            assert state.quarantine is not None
            assert "QBER 18." in state.reason
            assert state.quarantine.discarded_bits > 0
            assert not end.generating
            told = [type(event) for event in end.events if not isinstance(event, FiguresChanged)]
            assert told == [LinkUp, IntrusionSuspected, LinkDown]
        assert not lab.alice.blocks  # all were made within two seconds
        assert not lab.bob.blocks
        await asyncio.sleep(0.4)
        assert all(end.module.state().quarantine for end in ends)  # as long as it lasts
        await lab.client.repair("A~B")
        await until(lambda: lab.alice.generating and lab.bob.generating)
        await until(lambda: all(len(end.blocks) > 2 for end in ends))
        for end in ends:
            assert end.module.state().quarantine is None
            assert [type(event) for event in end.events[-3:]].count(IntrusionOver) <= 1
            assert any(isinstance(event, IntrusionOver) for event in end.events)


async def test_the_operator_decides_when_a_fibre_is_trusted_again(tmp_path: Path) -> None:
    async with laboratory(tmp_path, IntrusionSettings(release="operator")) as lab:
        ends = (lab.alice, lab.bob)
        await lab.client.degrade("A~B", extra_loss_db=0.0, excess_noise=0.15)
        await until(lambda: all(end.module.state().quarantine for end in ends))
        for end in ends:
            end.module.release()  # while it still measures too much
        await until(lambda: all(end.module.state().quarantine for end in ends))
        await lab.client.repair("A~B")
        await asyncio.sleep(0.6)
        assert not lab.alice.generating
        lab.alice.module.release()
        await asyncio.sleep(0.1)
        assert not lab.alice.generating  # the other end does not trust it yet
        lab.bob.module.release()
        await until(lambda: lab.alice.generating and lab.bob.generating)
        assert not any(end.module.state().quarantine for end in ends)
        lab.alice.module.release()  # of nothing: nothing
        assert lab.alice.generating


async def test_one_end_alone_waits_and_is_not_up(tmp_path: Path) -> None:
    alice = End(ALICE)
    async with plant(tmp_path) as (client, port), task_of(alice.start(port)):
        await until(lambda: alice.module.state().reason == "")
        await asyncio.sleep(0.3)
        assert (await client.fibres())[0].ends == ("transmitter",)
        assert not alice.generating
        assert not alice.events


async def test_wrong_ends_are_refused(tmp_path: Path) -> None:
    def hello(**change: object) -> Hello:
        fields = {
            "role": "transmitter",
            "link_id": LINK,
            "node_id": ALICE,
            "interface_id": InterfaceId(1),
            "profile": "bb84-t12-1ghz",
        }
        return Hello(**{**fields, **change})  # type: ignore[arg-type]  # the cases name fields

    other = LinkId("00000000-5a0e-4b9e-8f52-0a4c3a5d8e11")
    async with laboratory(tmp_path) as lab:
        for wrong, reason in (
            (hello(link_id=other), "carries link"),
            (hello(node_id=NodeId("cccccccc-6a53-4c3c-9b0e-2f1f7e6d5c4b")), "there is a transmitter"),
        ):
            stream = await connect("127.0.0.1", lab.port, timeout_s=1)
            stream.send(wrong)
            answer = await stream.receive(silence_s=2)
            assert isinstance(answer, Bye)
            assert reason in answer.reason
            await stream.close()
        stream = await connect("127.0.0.1", lab.port, timeout_s=1)
        stream.send(Condition(extra_loss_db=200, excess_noise=0))
        with pytest.raises(PeerUnreachable):
            await stream.receive(silence_s=2)
        await stream.close()
        assert lab.alice.generating
        assert [type(event) for event in lab.alice.events if isinstance(event, LinkUp | LinkDown)] == [LinkUp]


async def test_only_the_plant_disturbs(tmp_path: Path) -> None:
    async with plant(tmp_path) as (_, port):
        ends = []
        for role, node in (("transmitter", ALICE), ("receiver", BOB)):
            stream = await connect("127.0.0.1", port, timeout_s=1)
            hello = Hello(role=role, link_id=LINK, node_id=node, interface_id=InterfaceId(1), profile="x")  # type: ignore[arg-type]  # a tuple of literals
            stream.send(hello)
            ends.append(stream)
        ends[0].send(Condition(extra_loss_db=100, excess_noise=0))
        conditions = []
        with contextlib.suppress(PeerUnreachable):
            while True:
                frame = await ends[1].receive(silence_s=2)
                conditions += [frame] if isinstance(frame, Condition) else []
        assert conditions == [Condition(extra_loss_db=0, excess_noise=0)]  # the plant's own
        for stream in ends:
            await stream.close()


@pytest.mark.parametrize(
    ("request_line", "reason"),
    [
        (b"{}", "request"),
        (b"not json", "request"),
        (b'{"verb": "explode", "fibre": "A~B"}', "request"),
        (b'{"verb": "cut", "fibre": "A~C"}', "there is no fibre 'A~C'"),
        (b'{"verb": "cut"}', "there is no fibre ''"),
        (b'{"verb": "cut", "fibre": "A~B", "deep": true}', "unknown field"),
        (b'{"verb": "degrade", "fibre": "A~B", "extra_loss_db": -1}', "extra_loss_db is 0..200"),
        (b'{"verb": "degrade", "fibre": "A~B", "excess_noise": 11}', "excess_noise 0..10"),
        (b'{"verb": "degrade", "fibre": "A~B", "extra_loss_db": 1e999}', "request"),
        (b'{"verb": "list", "fibre": "' + b"x" * 5000 + b'"}', "at most 4096 bytes"),
        (b"\xff\xfe", "request"),
    ],
)
async def test_wrong_requests_change_nothing(tmp_path: Path, request_line: bytes, reason: str) -> None:
    async with plant(tmp_path) as (client, _):
        before = await client.fibres()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "plant.sock")
        writer.write(request_line + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        assert answer["ok"] is False
        assert reason in answer["error"]
        assert await client.fibres() == before


async def test_the_client_maps_what_goes_wrong(tmp_path: Path) -> None:
    with pytest.raises(PeerUnreachable, match=r"no fibre plant answers at .*plant\.sock"):
        await PlantClient(tmp_path / "plant.sock").fibres()
    async with plant(tmp_path) as (client, _):
        with pytest.raises(InvalidInput, match="no fibre 'nowhere'"):
            await client.cut("nowhere")
        assert (tmp_path / "plant.sock").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "plant.sock").exists()


async def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = f"127.0.0.1:{server.getsockname()[1]}"
        settings = PlantSettings(
            control_socket=tmp_path / "plant.sock",
            fibres=(FibreSettings(link_id=LINK, name="A~B", listen=taken),),
        )
        with pytest.raises(PeerUnreachable, match="cannot listen on"):
            await run_plant(settings)


@pytest.mark.parametrize(
    ("fibres", "reason"),
    [
        ('[[fibres]]\nlink_id = "x"\nname = "a"\nlisten = "h:1"', "not a UUID"),
        (f'[[fibres]]\nlink_id = "{LINK.upper()}"\nname = "a"\nlisten = "h:1"', "lower case"),
        (f'[[fibres]]\nlink_id = "{LINK}"\nname = ""\nlisten = "h:1"', "1 to 200"),
        (f'[[fibres]]\nlink_id = "{LINK}"\nname = "a"\nlisten = "h"', "not host:port"),
        (f'[[fibres]]\nlink_id = "{LINK}"\nname = "a"\nlisten = "h:1"\n' * 2, "given twice"),
        (f'[[fibres]]\nlink_id = "{LINK}"\nname = "a"\nlisten = "h:1"\nport = 1', "unknown key"),
    ],
)
def test_settings(fibres: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        parse_settings(f'control_socket = "x"\n{fibres}', PlantSettings, where="plant.toml")


@pytest.mark.system
async def test_as_a_program(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "plant.toml"
    config.write_text(
        f'control_socket = "{tmp_path}/plant.sock"\n'
        f'[[fibres]]\nlink_id = "{LINK}"\nname = "A~B"\nlisten = "127.0.0.1:{port}"\n'
    )
    alice, bob = End(ALICE), End(BOB)
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "keyweave_lab.plant", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with task_of(alice.start(port)), task_of(bob.start(port)):
            await until(lambda: len(bob.blocks) > 3, within_s=15)
            assert resident_kb(program.pid) < 60_000
            await PlantClient(tmp_path / "plant.sock").cut("A~B")
            await until(lambda: not alice.generating and not bob.generating)
    finally:
        program.send_signal(signal.SIGTERM)
        _, said = await program.communicate()
    assert program.returncode == 0
    assert not (tmp_path / "plant.sock").exists()
    assert b"fibre cut" in said
    assert b"Traceback" not in said


@pytest.mark.system
async def test_a_program_that_cannot_run_says_why(tmp_path: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "keyweave_lab.plant",
        "--config",
        str(tmp_path / "absent.toml"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await program.communicate()
    assert program.returncode == 1
    assert b"cannot read" in said
