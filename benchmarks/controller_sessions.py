"""Can one controller hold a thousand agents, and reconnect ten thousand times without growing?

One process plays all agents: a NETCONF server of ours each, with its own node and port. Another is the
controller's southbound: a Fleet with real asyncssh sessions that connects, subscribes and reads every node.
Then it is left alone, and its processor time is what keeping a thousand sessions costs. In the second part
ten agents drop each session as soon as their node was read, and the fleet comes back at once.
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import asyncssh
import uvloop
from lxml import etree

from benchmarks.netconf_node import node
from benchmarks.networks import pin
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import Event, InventoryNode, NodeLost, NodeRead
from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.settings import AgentSettings, SouthboundSettings
from keyweave_controller.southbound.diallers import Diallers
from keyweave_controller.southbound.fleet import Fleet
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import Endpoint, LinkStatus
from keyweave_core.model.node import Node
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.log import configure_logging
from keyweave_core.runtime.retry import Backoff
from keyweave_yang.encode import encode_configuration, encode_state
from keyweave_yang.schema import load_schema

RUN = uvloop.run
AGENTS = int(os.environ.get("KEYWEAVE_BENCH_AGENTS", "1000"))
RECONNECTS = int(os.environ.get("KEYWEAVE_BENCH_RECONNECTS", "10000"))
DROPPING = 10
WARM = 1000
IDLE_S = 10.0
USER = "controller"
CLOCK = SystemClock()
ROOT = Path(__file__).parents[1]


async def measure() -> str:
    with tempfile.TemporaryDirectory(prefix="keyweave-bench-") as name:
        folder = Path(name)
        key = asyncssh.generate_private_key("ssh-ed25519")
        (folder / "user").write_bytes(key.export_private_key())
        (folder / "user.pub").write_bytes(key.export_public_key())
        async with _process("agents", AGENTS, folder) as agents:
            pin([agents.pid])
            held = await _answer("hold", folder)
        async with _process("network", AGENTS, folder) as agents:
            pin([agents.pid])
            whole = await _answer("whole", folder)
        async with _process("dropping", DROPPING, folder) as agents:
            pin([agents.pid])
            came_back = await _answer("return", folder)
    return (
        f"{AGENTS} sessions connected, subscribed, each node (10 links, 20 applications) read and decoded:\n"
        f"  {held['opened_s']:.1f} s, of it {held['cpu_s']:.1f} s of processor time; goal: at most 40 s\n"
        f"  {held['kb']:.0f} kB a session; goal: at most 500 kB ({held['empty_mb']:.0f} MB without one)\n"
        f"  left alone for {IDLE_S:.0f} s, without polls: {held['idle']:.1%} of a core; goal: about zero\n"
        f"  with the default poll every 5 s: {held['polling']:.0%} of a core\n"
        f"the whole controller, {AGENTS} agents with {3 * AGENTS} fibres journaled and decided upon:\n"
        f"  {whole['opened_s']:.1f} s, of it {whole['cpu_s']:.1f} s of processor time; goal: at most 40 s\n"
        f"{came_back['count']} reconnections of {DROPPING} agents that drop every session, "
        f"{came_back['count'] / came_back['took_s']:.0f} a second:\n"
        f"  from the {WARM}th to the last the controller grew by {came_back['grown_kb']} kB and by "
        f"{came_back['objects']} Python objects; goal: no growth\n"
    )


@asynccontextmanager
async def _process(what: str, count: int, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """This file as a process that plays a part; ready when the context is entered."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.controller_sessions",
        what,
        str(count),
        str(folder),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        if not await asyncio.wait_for(process.stdout.readline(), 120):
            raise RuntimeError(f"{what} did not start")
        yield process
    finally:
        process.kill()
        await process.wait()


async def _answer(what: str, folder: Path) -> dict[str, float]:
    """What the controller's process found out, on this process's core."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.controller_sessions",
        what,
        "0",
        str(folder),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 900)
    if process.returncode != 0:
        raise RuntimeError(f"{what} ended with {process.returncode}")
    found: dict[str, float] = json.loads(said)
    return found


class Device:
    """A node that never changes; `drops` ends the session that read it."""

    def __init__(self, shown: Node, *, drops: bool) -> None:
        self.node = shown
        self._drops = drops
        self.server: NetconfServer | None = None

    async def state(self) -> Sequence[etree._Element]:
        if self._drops and self.server is not None:
            for facts in self.server.facts():
                session = self.server.find(facts.session_id)
                if session is not None:
                    # Once the reply is on its way.
                    asyncio.get_running_loop().call_later(0.005, session.end, "dropped")
        return [encode_state(self.node)]

    async def apply(self, old: Sequence[etree._Element], new: Sequence[etree._Element], user: str) -> None:
        del old, new, user

    async def call(self, operation: etree._Element, user: str) -> None:  # noqa: ARG002
        raise KeyError(operation.tag)


def _id(number: int) -> NodeId:
    return NodeId(f"aaaaaaaa-0000-4000-8000-{number:012d}")


def _networked(number: int, count: int) -> Node:
    """A node of a network where each has six fibres, which both its ends tell of; no two share an id."""
    pattern = node(_id(number))
    fibres = []
    for stride in (1, 7, 31):
        for first in (number, number - stride):
            far = (first + stride if first == number else first) % count
            link_id = LinkId(f"1111{stride:04d}-0000-4000-8000-{first % count:012d}")
            remote = Endpoint(node_id=_id(far), interface_id=None)
            fibres.append(replace(pattern.links[0], link_id=link_id, remote=remote))
    return replace(pattern, links=tuple(fibres), applications=())


async def _play_agents(count: int, folder: Path, *, what: str) -> None:
    schema = load_schema("agent")
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    public = (folder / "user.pub").read_text()
    (folder / "host.pub").write_bytes(host_key.export_public_key())
    limits = NetconfLimits(notification_log_events=10)
    ports = []
    for number in range(count):
        shown = _networked(number, count) if what == "network" else node(_id(number))
        device = Device(shown, drops=what == "dropping")
        device.server = NetconfServer(
            schema, device, [encode_configuration(device.node)], clock=CLOCK, limits=limits
        )
        ports.append(await device.server.start_ssh("127.0.0.1", 0, [host_key], {USER: [public]}))
    (folder / "ports").write_text(json.dumps(ports))
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    await asyncio.Event().wait()


class Counting:
    """Counts what a fleet submits."""

    def __init__(self) -> None:
        self.read = self.lost = 0
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.read += isinstance(event, NodeRead)
        self.lost += isinstance(event, NodeLost)
        self._changed.set()

    async def until_read(self, count: int) -> None:
        """Wait until so many nodes were read."""
        while self.read < count:
            self._changed.clear()
            await self._changed.wait()


def _fleet(folder: Path, *, poll_s: float, backoff: Backoff) -> Fleet:
    settings = SouthboundSettings(
        user=USER,
        private_key=folder / "user",
        poll_interval_s=poll_s,
        # A thousand at once queue up at both ends.
        connect_timeout_s=60.0,
        rpc_timeout_s=60.0,
        backoff=backoff,
    )
    ports = json.loads((folder / "ports").read_text())
    agents = [
        AgentSettings(name=f"agent {number}", host="127.0.0.1", port=port, host_key=folder / "host.pub")
        for number, port in enumerate(ports)
    ]
    return Fleet(
        settings=settings,
        agents=agents,
        dialler=Diallers(settings, agents, CLOCK).dial,
        clock=CLOCK,
        uniform=lambda: 0.5,
    )


def _rss_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def _hold(folder: Path) -> dict[str, float]:
    fleet, heard = _fleet(folder, poll_s=3600.0, backoff=Backoff(first_s=0.5, most_s=5.0)), Counting()
    gc.collect()
    empty = _rss_kb()
    began, cpu = perf_counter(), process_time()
    running = asyncio.ensure_future(fleet.run(heard))
    await heard.until_read(AGENTS)
    opened, burnt = perf_counter() - began, process_time() - cpu
    gc.collect()
    full = _rss_kb()
    await asyncio.sleep(6)  # past the first sign of life
    idle = await _share_of_a_core(IDLE_S)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    polling = await _polling(folder)
    return {
        "opened_s": opened,
        "cpu_s": burnt,
        "kb": (full - empty) / AGENTS,
        "empty_mb": empty / 1024,
        "idle": idle,
        "polling": polling,
        "lost": heard.lost,
    }


async def _whole(folder: Path) -> dict[str, float]:
    """A controller's engine behind the fleet: until it knows every node."""
    fleet = _fleet(folder, poll_s=3600.0, backoff=Backoff(first_s=0.5, most_s=5.0))
    inventory = tuple(InventoryNode(name=f"agent {number}") for number in range(AGENTS))
    store = f"sqlite:///{folder / 'store.sqlite'}"
    engine = ControllerEngine(store_url=store, clock=CLOCK, policy=Policy(), inventory=inventory)
    began, cpu = perf_counter(), process_time()
    running = asyncio.ensure_future(engine.run(fleet))
    await asyncio.sleep(0)
    agents = asyncio.ensure_future(fleet.run(engine.submit))
    async for _ in engine.watch():
        if sum(link.status is LinkStatus.ACTIVE for link in engine.network.links.values()) == 3 * AGENTS:
            break
    opened, burnt = perf_counter() - began, process_time() - cpu
    for task in (agents, running):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return {"opened_s": opened, "cpu_s": burnt}


async def _polling(folder: Path) -> float:
    fleet, heard = _fleet(folder, poll_s=5.0, backoff=Backoff(first_s=0.5, most_s=5.0)), Counting()
    running = asyncio.ensure_future(fleet.run(heard))
    await heard.until_read(AGENTS)
    await asyncio.sleep(5)
    share = await _share_of_a_core(IDLE_S)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return share


async def _share_of_a_core(seconds: float) -> float:
    cpu, began = process_time(), perf_counter()
    await asyncio.sleep(seconds)
    return (process_time() - cpu) / (perf_counter() - began)


async def _return(folder: Path) -> dict[str, float]:
    fleet, heard = _fleet(folder, poll_s=3600.0, backoff=Backoff(first_s=0.001, most_s=0.002)), Counting()
    running = asyncio.ensure_future(fleet.run(heard))
    await heard.until_read(WARM)
    gc.collect()
    before, objects, began = _rss_kb(), len(gc.get_objects()), perf_counter()
    await heard.until_read(RECONNECTS)
    took = perf_counter() - began
    gc.collect()
    grown, more = _rss_kb() - before, len(gc.get_objects()) - objects
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return {"count": RECONNECTS - WARM, "took_s": took, "grown_kb": grown, "objects": more}


async def _part(what: str, count: int, folder: Path) -> None:
    configure_logging(level="error", form="json")
    match what:
        case "agents" | "network" | "dropping":
            await _play_agents(count, folder, what=what)
        case "hold":
            print(json.dumps(await _hold(folder)))
        case "whole":
            print(json.dumps(await _whole(folder)))
        case "return":
            print(json.dumps(await _return(folder)))


if __name__ == "__main__":
    uvloop.run(_part(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
