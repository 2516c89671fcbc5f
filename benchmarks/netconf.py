"""How fast is the NETCONF server, beside netconfd and beside a server that does nothing?

One load for all: a bare asyncssh client with prepared messages on its own core, the server on another. The
node has 10 links and 20 applications. netconfd (C, Debian) stands behind an asyncssh bridge on the server's
core and has no state to tell; the floor is asyncssh and lxml with constant answers. Ours renders its state
for each read, validates each edit and writes each to the audit log. Another server that holds the ETSI
modules takes part as USER:PASSWORD@HOST:PORT after the name of the benchmark; its node is overwritten.
"""

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import asyncssh
import uvloop
from tests.interop.netconfd import why_not

from benchmarks import netconf_node as messages
from benchmarks.figures import quantile
from benchmarks.netconf_load import Address, Wire, framed, open_all, rate
from benchmarks.netconf_servers import USER, Running, started

RUN = uvloop.run
SECONDS = float(os.environ.get("KEYWEAVE_BENCH_SECONDS", "3"))
SESSIONS = 10
MANY_SESSIONS = 200
CONNECTS = 30
NOTIFICATIONS = 2000

Operation = Callable[[int, int], Sequence[bytes]]


@dataclass
class Row:
    """One figure of one server: what the load saw, and what its processes burnt for it."""

    text: str = "-"
    value: float | None = None


@dataclass
class Column:
    """All figures of one server, by the name of their row."""

    name: str
    rows: dict[str, Row] = field(default_factory=dict)


ROWS = (
    ("get, whole node, 1 session", ">= 500/s"),
    ("get, whole node, 10 sessions", ""),
    ("get-config, whole node, 1 session", ""),
    ("get-config, whole node, 10 sessions", ""),
    ("get-config, one link, 1 session", ">= 900/s"),
    ("get-config, one link, 10 sessions", ""),
    ("edit-config, one leaf, running, 1 session", ">= 500/s"),
    ("edit-config, one leaf, running, 10 sessions", ""),
    ("edit + commit, one application, 1 session", ">= 250/s"),
    ("edit + commit, one application, 10 sessions", ""),
    ("5,000 applications in one edit", "<= 1.5 s"),
    ("SSH connect and login, p50", ""),
    ("hello after connect, p50", "<= 40 ms"),
    ("memory, no session", "<= 60 MB"),
    ("memory a session (of 200)", "<= 100 kB"),
    ("notifications to 10 subscribers", ">= 5000/s"),
    ("bytes of the whole node by get", ""),
)


def operations(target: str) -> dict[str, Operation]:
    """The measured operations of a server whose clients edit `target`."""

    def fixed(text: str) -> Operation:
        data = framed(text)
        return lambda _session, _turn: (data,)

    commit = () if target == "running" else (framed(messages.COMMIT),)
    found: dict[str, Operation] = {
        "get, whole node": fixed(messages.get()),
        "get-config, whole node": fixed(messages.get_config()),
        "get-config, one link": lambda number, _: (framed(messages.get_config(messages.one_link(number))),),
    }
    if target == "running":
        found["edit-config, one leaf, running"] = lambda number, turn: (
            framed(messages.leaf_edit("running", number, turn)),
        )
    else:
        found["edit + commit, one application"] = lambda number, turn: (
            framed(messages.application_edit("candidate", number, turn)),
            *commit,
        )
    return found


async def measure(*peers: str) -> str:
    key = asyncssh.generate_private_key("ssh-ed25519")
    columns = [await _local("ours", key, ("running", "candidate"))]
    reason = why_not()
    if not reason:
        columns.append(await _local("netconfd-running", key, ("running",)))
        columns.append(await _local("netconfd-candidate", key, ("candidate",)))
    columns.append(await _local("floor", key, ("running", "candidate")))
    columns += [await _remote(peer) for peer in peers]
    return _table(columns) + (f"netconfd: {reason}\n" if reason else "")


async def _local(kind: str, key: asyncssh.SSHKey, targets: Sequence[str]) -> Column:
    async with started(kind, key) as server:
        _pin(server)
        address = Address(host="127.0.0.1", port=server.port, user=USER, key=key)
        return await _column(kind, address, targets, server)


async def _remote(peer: str) -> Column:
    match = re.fullmatch(r"(?P<user>[^:@]+)(:(?P<password>[^@]*))?@(?P<host>.+):(?P<port>\d+)", peer)
    if match is None:
        raise SystemExit(f"a peer is USER:PASSWORD@HOST:PORT, not {peer!r}")
    address = Address(
        host=match["host"], port=int(match["port"]), user=match["user"], password=match["password"]
    )
    async with AsyncExitStack() as stack:
        (wire,) = await open_all(stack, address, 1)
        running = b"capability:writable-running" in wire.hello
        candidate = b"capability:candidate" in wire.hello
    targets = [name for name, able in (("running", running), ("candidate", candidate)) if able]
    return await _column(f"{match['host']}:{match['port']}", address, targets, None)


async def _column(name: str, address: Address, targets: Sequence[str], server: Running | None) -> Column:
    column = Column(name)
    if server is not None:
        await _memory(column, address, server)
    async with AsyncExitStack() as stack:
        wires = await open_all(stack, address, SESSIONS)
        await _load_node(wires[0], targets[0])
        reply = await wires[0].ask(framed(messages.get()))
        column.rows["bytes of the whole node by get"] = Row(f"{len(reply)}")
        for target in targets:
            for what, operation in operations(target).items():
                for count in (1, SESSIONS):
                    label = f"{what}, {count} session{'s' if count > 1 else ''}"
                    if label not in column.rows:
                        column.rows[label] = await _rate(wires[:count], operation, server)
        column.rows["5,000 applications in one edit"] = await _many(wires[0], targets[0])
    await _connects(column, address)
    await _notifications(column, address, targets[0], server)
    return column


async def _load_node(wire: Wire, target: str) -> None:
    for text in (messages.edit(target, messages.configuration()),) + (
        (messages.COMMIT,) if target == "candidate" else ()
    ):
        await wire.ask(framed(text))


async def _rate(wires: Sequence[Wire], operation: Operation, server: Running | None) -> Row:
    await rate(wires, operation, min(0.5, SECONDS))  # warm
    before = _cpu_s(server)
    each, done = await rate(wires, operation, SECONDS)
    text = f"{each:.0f}/s"
    if server is not None and done:
        text += f" ({(_cpu_s(server) - before) / done * 1000:.2f} ms)"
    return Row(text, each)


async def _many(wire: Wire, target: str) -> Row:
    took = []
    for _ in range(3):
        after = [framed(messages.COMMIT)] if target == "candidate" else []
        steps = [framed(messages.many_applications(target)), *after]
        began = perf_counter()
        for step in steps:
            await wire.ask(step)
        took.append(perf_counter() - began)
        for step in (framed(messages.fewer_applications(target)), *after):
            await wire.ask(step)
    return Row(f"{min(took):.2f} s", min(took))


async def _connects(column: Column, address: Address) -> None:
    connect, hello = [], []
    for _ in range(CONNECTS):
        wire = await Wire.open(address)
        connect.append(wire.connect_s * 1000)
        hello.append(wire.hello_s * 1000)
        await wire.close()
    column.rows["SSH connect and login, p50"] = Row(f"{quantile(connect, 0.5):.1f} ms")
    column.rows["hello after connect, p50"] = Row(f"{quantile(hello, 0.5):.1f} ms")


async def _memory(column: Column, address: Address, server: Running) -> None:
    async with AsyncExitStack() as stack:
        await open_all(stack, address, 1)
    await asyncio.sleep(0.5)
    empty = _memory_kb(server)
    async with AsyncExitStack() as stack:
        await open_all(stack, address, MANY_SESSIONS)
        full = _memory_kb(server)
    column.rows["memory, no session"] = Row(f"{empty / 1024:.1f} MB")
    column.rows["memory a session (of 200)"] = Row(f"{(full - empty) / MANY_SESSIONS:.0f} kB")


async def _notifications(column: Column, address: Address, target: str, server: Running | None) -> None:
    if column.name == "floor":
        return
    async with AsyncExitStack() as stack:
        wires = await open_all(stack, address, SESSIONS + 1)
        for wire in wires[:SESSIONS]:
            await wire.ask(framed(messages.SUBSCRIBE))
        before = sum(wire.notifications for wire in wires)
        began = perf_counter()
        if column.name == "ours" and server is not None:
            await server.publish(NOTIFICATIONS)
            wanted = before + NOTIFICATIONS * SESSIONS
        else:
            wanted = before
            turn = 0
            while perf_counter() - began < SECONDS:
                turn += 1
                await wires[-1].ask(framed(messages.leaf_edit(target, 0, turn)))
                if target == "candidate":
                    await wires[-1].ask(framed(messages.COMMIT))
        last, quiet = -1, perf_counter()
        ended = perf_counter()
        while perf_counter() - quiet < 0.5:
            got = sum(wire.notifications for wire in wires)
            if got != last:
                last, quiet, ended = got, perf_counter(), perf_counter()
            if column.name == "ours" and got >= wanted:
                break
            await asyncio.sleep(0.005)
        count = last - before
        if count <= 0:
            column.rows["notifications to 10 subscribers"] = Row("none came")
            return
        text = f"{count / (ended - began):.0f}/s"
        if column.name == "ours" and count < NOTIFICATIONS * SESSIONS:
            text += f" ({NOTIFICATIONS * SESSIONS - count} of {NOTIFICATIONS * SESSIONS} lost)"
        column.rows["notifications to 10 subscribers"] = Row(text)


def _pin(server: Running) -> None:
    """The server's processes on core 0, the load on core 1, where there are two."""
    if (os.cpu_count() or 1) < 2:
        return
    for pid in server.pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {0})
    os.sched_setaffinity(0, {1})


def _family(server: Running) -> list[int]:
    """The server's processes and what they started (sessions of netconfd are processes)."""
    found = list(server.pids)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split() if int(child) not in found]
    return found


def _cpu_s(server: Running | None) -> float:
    """Processor time burnt so far by all processes of a server."""
    if server is None:
        return 0.0
    ticks = 0
    for pid in _family(server):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_kb(server: Running) -> int:
    """Resident memory; pages that netconfd's session processes share are counted by their share."""
    own = set(server.pids) - set(server.memory_pids)
    total = 0
    for pid in _family(server):
        if pid in own:
            continue
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        name = "Rss" if pid in server.memory_pids else "Pss"
        total += int(re.findall(rf"^{name}:\s+(\d+)", rollup, re.MULTILINE)[0])
    return total


def _table(columns: Sequence[Column]) -> str:
    names = ["", "goal", *(column.name for column in columns)]
    table = [names]
    for label, goal in ROWS:
        table.append([label, goal, *(column.rows.get(label, Row()).text for column in columns)])
    widths = [max(len(row[at]) for row in table) for at in range(len(names))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return "\n".join(lines) + (
        "\n\nIn brackets: processor time of the server's processes for one operation. 5,000 applications:\n"
        "best of three. Memory: RSS; netconfd's session processes by their share (PSS), its bridge not\n"
        "counted. Notifications: ours sends sdqkdn_link_perf_update as fast as it can, netconfd\n"
        "netconf-config-change as fast as one session edits.\n"
    )
