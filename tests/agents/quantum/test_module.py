"""Two modules over a real connection: the same key at both ends, and a link that says how it does."""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from keyweave_agents.material import Secret
from keyweave_agents.quantum.channel import FrameStream, connect, listen
from keyweave_agents.quantum.frames import Ack, Block, Bye, Condition, Frame, Hello, Keepalive, Welcome
from keyweave_agents.quantum.intake import Distrusted, KeyBlock
from keyweave_agents.quantum.module import ModuleEvent, ModuleSettings, QuantumModule
from keyweave_agents.quantum.observed import DownCause, FiguresChanged, LinkDown, LinkUp
from keyweave_core.errors import PeerUnreachable
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId
from keyweave_core.model.link import InterfaceStatus
from keyweave_core.runtime.clock import SystemClock

LINK = LinkId("7b0b2c7e-5a0e-4b9e-8f52-0a4c3a5d8e11")
ALICE = NodeId("aaaaaaaa-6a53-4c3c-9b0e-2f1f7e6d5c4b")
BOB = NodeId("bbbbbbbb-6a53-4c3c-9b0e-2f1f7e6d5c4b")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Pool:
    """A key manager's end: the blocks it was given."""

    owners: tuple[NodeId, ...] = (ALICE, BOB)
    room: bool = True
    asked: int = 0
    blocks: dict[int, tuple[NodeId, bytes]] = field(default_factory=dict)
    distrusted: list[int] = field(default_factory=list)
    trusted: int = 0

    def next_owner(self, link_id: LinkId) -> NodeId | None:
        if link_id != LINK:
            raise KeyError(link_id)
        self.asked += 1
        return self.owners[self.asked % len(self.owners)] if self.room else None

    def deposit(self, link_id: LinkId, block: KeyBlock) -> None:
        assert link_id == LINK
        assert block.block_id not in self.blocks
        self.blocks[block.block_id] = (block.owner, bytes(block.material.reveal()))

    def distrust(self, link_id: LinkId, since_block_id: int) -> Distrusted:
        assert link_id == LINK
        self.distrusted.append(since_block_id)
        gone = [block_id for block_id in self.blocks if block_id >= since_block_id]
        bits = sum(8 * len(self.blocks.pop(block_id)[1]) for block_id in gone)
        return Distrusted(discarded_bits=bits, spent_bits=0)

    def trust(self, link_id: LinkId) -> None:
        assert link_id == LINK
        self.trusted += 1


@dataclass
class End:
    """A running module with its pool and what it told."""

    module: QuantumModule
    pool: Pool
    events: list[ModuleEvent]

    def told(self) -> list[ModuleEvent]:
        return [event for event in self.events if not isinstance(event, FiguresChanged)]


def settings_of(port: int, **changes: object) -> dict[str, ModuleSettings]:
    alice = ModuleSettings(
        interface_id=InterfaceId(1),
        link_id=LINK,
        remote_node_id=BOB,
        remote_interface_id=InterfaceId(2),
        role="transmitter",
        profile="bb84-t12-1ghz",
        distance_km=50,
        loss_db=10,
        listen=f"127.0.0.1:{port}",
        hold_off_s=0.1,
        silence_s=0.5,
    )
    alice = replace(alice, **changes)  # type: ignore[arg-type]  # the caller names fields
    bob = replace(
        alice,
        interface_id=InterfaceId(2),
        remote_node_id=ALICE,
        remote_interface_id=InterfaceId(1),
        role="receiver",
        listen=None,
        connect=f"127.0.0.1:{port}",
    )
    return {"alice": alice, "bob": bob}


@asynccontextmanager
async def running(settings: ModuleSettings, node_id: NodeId, pool: Pool | None = None) -> AsyncIterator[End]:
    events: list[ModuleEvent] = []
    pool = pool or Pool()
    module = QuantumModule(
        settings, pool, node_id=node_id, clock=SystemClock(), random_bytes=os.urandom, on_event=events.append
    )
    task = asyncio.create_task(module.run())
    try:
        yield End(module, pool, events)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def pair(**changes: object) -> AsyncIterator[tuple[End, End]]:
    both = settings_of(free_port(), **changes)
    async with running(both["alice"], ALICE) as alice, running(both["bob"], BOB) as bob:
        await until(lambda: alice.module.state().generating and bob.module.state().generating)
        yield alice, bob


async def until(holds: Callable[[], bool], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # what is waited for has no event to set
            await asyncio.sleep(0.01)


async def test_both_ends_hold_the_same_key_at_the_modelled_rate() -> None:
    async with pair() as (alice, bob):
        await until(lambda: len(bob.pool.blocks) >= 10)
        state = alice.module.state()
        assert state.skr_bps == bob.module.state().skr_bps == alice.module.settings.expected_rate_bps()
        assert state.qber == pytest.approx(0.0338, abs=1e-3)
        assert state.interface_status is InterfaceStatus.ENABLED
        assert state.cause is None
        alice.pool.room = False
        await until(lambda: alice.pool.blocks == bob.pool.blocks)
        assert list(bob.pool.blocks) == sorted(bob.pool.blocks)
        assert {owner for owner, _ in bob.pool.blocks.values()} == {ALICE, BOB}
        sizes = {len(bits) for _, bits in bob.pool.blocks.values()}
        assert max(sizes) * 8 >= state.skr_bps * 0.04  # twenty blocks a second
        assert alice.told() == [LinkUp(link_id=LINK)]
        assert bob.told() == [LinkUp(link_id=LINK)]


async def test_a_full_pool_takes_nothing_and_costs_nothing_on_the_fibre() -> None:
    async with pair() as (alice, bob):
        alice.pool.room = False
        await until(lambda: alice.module.state().discarded_bits > 0)
        before = bob.module.state().generated_bits
        generated = alice.module.state().generated_bits
        await asyncio.sleep(0.2)
        assert bob.module.state().generated_bits == before
        assert alice.module.state().generated_bits > generated
        assert alice.module.state().generating


async def test_a_lost_other_end_is_told_once_after_the_hold_off_and_comes_back() -> None:
    both = settings_of(free_port())
    async with running(both["alice"], ALICE) as alice:
        async with running(both["bob"], BOB) as bob:
            await until(lambda: len(bob.pool.blocks) > 0)
        await until(lambda: not alice.module.state().connected)
        assert alice.module.state().generating  # the hold-off runs
        assert alice.module.state().skr_bps == 0
        await until(lambda: not alice.module.state().generating)
        generated = alice.module.state().generated_bits
        await asyncio.sleep(0.15)
        assert alice.module.state().generated_bits == generated
        async with running(both["bob"], BOB, bob.pool):  # its pool knows every block: a repeat would fail
            await until(lambda: alice.module.state().generating)
            await until(lambda: len(bob.pool.blocks) > 3)
    up, down = LinkUp(link_id=LINK), alice.told()[1]
    assert alice.told()[::2] == [up, up]
    assert isinstance(down, LinkDown)
    assert down.cause is DownCause.FIBRE


async def test_a_flicker_within_the_hold_off_is_not_told() -> None:
    both = settings_of(free_port(), hold_off_s=3)
    async with running(both["alice"], ALICE) as alice:
        async with running(both["bob"], BOB):
            await until(lambda: alice.module.state().connected)
        await until(lambda: not alice.module.state().connected)
        async with running(both["bob"], BOB):
            await until(lambda: alice.module.state().connected)
            assert alice.told() == [LinkUp(link_id=LINK)]


@pytest.mark.parametrize("which", [0, 1])
async def test_switched_off_stops_both_ends_and_on_again(which: int) -> None:
    async with pair(hold_off_s=30) as ends:
        here, there = ends[which], ends[1 - which]
        here.module.enable(False)
        here.module.enable(False)
        state = here.module.state()
        assert (state.enabled, state.generating, state.skr_bps) == (False, False, 0)
        assert state.interface_status is InterfaceStatus.DISABLED
        assert state.cause is DownCause.SWITCHED_OFF
        await until(lambda: not there.module.state().generating)  # told, so no hold-off
        assert there.module.state().cause is DownCause.PEER_OFF
        counts = [end.module.state().generated_bits for end in ends]
        await asyncio.sleep(0.2)
        assert counts == [end.module.state().generated_bits for end in ends]
        assert not there.module.state().connected
        here.module.enable(True)
        await until(lambda: all(end.module.state().generating for end in ends))
        assert [type(event) for event in here.told()] == [LinkUp, LinkDown, LinkUp]


async def test_block_ids_rise_over_a_restart_of_the_transmitter() -> None:
    both, pool = settings_of(free_port()), Pool()
    async with running(both["bob"], BOB, pool):
        async with running(both["alice"], ALICE):
            await until(lambda: len(pool.blocks) >= 2)
        before = len(pool.blocks)
        async with running(both["alice"], ALICE):
            await until(lambda: len(pool.blocks) >= before + 2)
    assert list(pool.blocks) == sorted(pool.blocks)


async def test_a_slow_link_makes_small_blocks_now_and_then() -> None:
    async with pair(secret_rate_bps=4096) as (_, bob):
        await until(lambda: len(bob.pool.blocks) >= 2)
        assert all(200 < len(bits) < 400 for _, bits in bob.pool.blocks.values())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"link_id": LinkId("7b0b2c7e-5a0e-4b9e-8f52-0a4c3a5d8e12")}, "link .* there"),
        ({"interface_id": InterfaceId(9)}, "interface 9, expected 2"),
        ({"role": "transmitter"}, "both ends are transmitter"),
        ({"profile": "bb84-gys"}, "profile bb84-gys there"),
        ({"remote_interface_id": InterfaceId(7)}, "interface 1, expected 7"),
    ],
)
async def test_a_wrong_other_end_is_refused_and_told_why(change: dict[str, object], reason: str) -> None:
    both = settings_of(free_port())
    wrong = replace(both["bob"], **change)  # type: ignore[arg-type]  # the cases name fields
    async with running(both["alice"], ALICE) as alice, running(wrong, BOB) as bob:
        await until(lambda: alice.module.state().cause is DownCause.MISMATCH)
        await until(lambda: bob.module.state().cause is DownCause.MISMATCH)
        assert not alice.pool.blocks
        assert not alice.told()
        # Who sees it first refuses; the other one hears the reason, or that the connection is gone.
        assert any(re.search(reason, end.module.state().reason) for end in (alice, bob))


@asynccontextmanager
async def fake_receiver(port: int) -> AsyncIterator[FrameStream]:
    """A hand-driven other end of a listening transmitter, greeted."""
    for _ in range(200):
        with contextlib.suppress(PeerUnreachable):
            stream = await connect("127.0.0.1", port, timeout_s=1)
            break
        await asyncio.sleep(0.01)
    hello = Hello(
        role="receiver", link_id=LINK, node_id=BOB, interface_id=InterfaceId(2), profile="bb84-t12-1ghz"
    )
    stream.send(hello)
    assert isinstance(await stream.receive(), Hello)
    stream.send(Welcome())
    assert isinstance(await stream.receive(), Welcome)
    try:
        yield stream
    finally:
        await stream.close()


async def next_of(stream: FrameStream, shape: type[Frame]) -> Frame:
    while True:
        frame = await stream.receive(silence_s=5)
        if isinstance(frame, shape):
            return frame


async def test_a_silent_loss_is_found_within_the_set_time() -> None:
    port = free_port()
    async with running(settings_of(port)["alice"], ALICE) as alice, fake_receiver(port):
        await until(lambda: alice.module.state().generating)
        await until(lambda: not alice.module.state().generating, within_s=1.5)  # 0.5 s and the hold-off
        assert "nothing was heard for 0.5 s" in alice.module.state().reason


async def test_a_block_is_deposited_only_when_it_was_acknowledged() -> None:
    port = free_port()
    async with running(settings_of(port)["alice"], ALICE) as alice, fake_receiver(port) as bob:
        block = await next_of(bob, Block)
        assert isinstance(block, Block)
        assert not alice.pool.blocks
        bob.send(Ack(block_id=block.block_id))
        await until(lambda: list(alice.pool.blocks) == [block.block_id])


@pytest.mark.parametrize(
    "frame", [Ack(block_id=1), Block(block_id=1, owner="receiver", material=Secret(b"x"))]
)
async def test_a_frame_out_of_turn_ends_the_connection(frame: Frame) -> None:
    port = free_port()
    async with running(settings_of(port)["alice"], ALICE) as alice, fake_receiver(port) as bob:
        bob.send(frame)
        await until(lambda: alice.module.state().cause is DownCause.MISMATCH)
        with pytest.raises(PeerUnreachable):
            await next_of(bob, Bye)


async def test_a_condition_changes_the_figures_and_too_much_noise_ends_the_key() -> None:
    port = free_port()
    async with running(settings_of(port)["alice"], ALICE) as alice, fake_receiver(port) as bob:

        async def light() -> None:
            while True:
                bob.send(Keepalive())
                await asyncio.sleep(0.1)

        lamp = asyncio.create_task(light())
        await until(lambda: alice.module.state().generating)
        normal = alice.module.state().skr_bps
        alice.events.clear()
        bob.send(Condition(extra_loss_db=3, excess_noise=0.0))
        await until(lambda: alice.module.state().skr_bps < normal)
        assert alice.module.state().loss_db == 13
        assert alice.events == [FiguresChanged(link_id=LINK)]
        bob.send(Condition(extra_loss_db=3, excess_noise=0.06))
        await until(lambda: not alice.module.state().generating)
        state = alice.module.state()
        assert (state.connected, state.cause, state.skr_bps) == (True, DownCause.NOISE, 0)
        assert "QBER of 9" in state.reason
        bob.send(Condition(extra_loss_db=0, excess_noise=0))
        await until(lambda: alice.module.state().generating)
        assert alice.module.state().skr_bps == normal
        assert [type(event) for event in alice.told()] == [LinkDown, LinkUp]
        lamp.cancel()


async def test_the_other_end_that_comes_again_takes_the_place_of_its_dead_connection() -> None:
    port = free_port()
    both = settings_of(port, silence_s=30)
    async with running(both["alice"], ALICE) as alice, fake_receiver(port):
        await until(lambda: alice.module.state().connected)
        async with running(both["bob"], BOB) as bob:
            await until(lambda: len(bob.pool.blocks) > 1)
            assert alice.module.state().connected


async def test_a_taken_port_is_a_failed_module_until_it_is_free() -> None:
    taken = await listen("127.0.0.1", 0)
    async with running(settings_of(taken.port)["alice"], ALICE) as alice:
        await until(lambda: alice.module.state().interface_status is InterfaceStatus.FAILED)
        assert "cannot listen" in alice.module.state().reason
        taken.close()
        await until(lambda: alice.module.listening_port is not None)
        assert alice.module.state().interface_status is InterfaceStatus.ENABLED


async def test_a_link_that_the_key_manager_does_not_know_is_named() -> None:
    class Stranger(Pool):
        def next_owner(self, link_id: LinkId) -> NodeId | None:
            raise KeyError(link_id)

    both = settings_of(free_port())
    async with running(both["alice"], ALICE, Stranger()) as alice, running(both["bob"], BOB):
        await until(lambda: "does not know this link" in alice.module.state().reason)


async def test_noise_on_the_port_is_refused_and_forgotten() -> None:
    port = free_port()
    both = settings_of(port)
    async with running(both["alice"], ALICE) as alice:
        await until(lambda: alice.module.listening_port is not None)
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x01\xff\xff\xff\xff", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(noise)
            writer.write_eof()
            await reader.read()
            writer.close()
            await writer.wait_closed()
        async with running(both["bob"], BOB) as bob:
            await until(lambda: len(bob.pool.blocks) > 0)


async def test_both_ends_must_be_on_one_channel_to_make_key() -> None:
    async with pair(hold_off_s=0.05, wavelength_range="30-36") as (alice, bob):
        bob.module.tune(34)  # where it is
        assert bob.module.state().connected
        bob.module.tune(31)
        assert bob.module.wavelength == 31
        await until(lambda: not alice.module.state().generating and not bob.module.state().generating)
        assert bob.module.state().cause is DownCause.WAVELENGTH
        await until(lambda: alice.module.state().reason == "channel 31 there, 34 here")
        counts = [end.module.state().generated_bits for end in (alice, bob)]
        await asyncio.sleep(0.2)
        assert [end.module.state().generated_bits for end in (alice, bob)] == counts
        alice.module.tune(31)
        await until(lambda: alice.module.state().generating and bob.module.state().generating)
        before = len(bob.pool.blocks)
        await until(lambda: len(bob.pool.blocks) > before)
        assert alice.module.state().cause is None
    assert [type(event) for event in bob.told()][:3] == [LinkUp, LinkDown, LinkUp]


async def test_a_retune_of_both_ends_within_the_hold_off_is_not_told() -> None:
    async with pair(hold_off_s=3, wavelength_range="30-36") as (alice, bob):
        bob.module.tune(31)
        alice.module.tune(31)
        await until(lambda: alice.module.state().connected and bob.module.state().connected)
        assert alice.told() == bob.told() == [LinkUp(link_id=LINK)]


async def test_what_is_tuned_in_the_dark_is_greeted_with_its_new_channel() -> None:
    both = settings_of(free_port(), wavelength_range="30-36")
    async with running(both["alice"], ALICE) as alice:
        alice.module.tune(30)
        async with running(both["bob"], BOB) as bob:
            await until(lambda: bob.module.state().reason == "channel 30 there, 34 here")
            bob.module.tune(30)
            await until(lambda: alice.module.state().generating)
