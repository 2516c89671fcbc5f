"""NETCONF servers to measure, each a process: `python -m benchmarks.netconf_servers KIND PUBLIC_KEY`.

KIND is `ours` (the agent's schema over a device that renders its state anew for each read), `floor` (asyncssh
and lxml: parses, answers constant bytes), `netconfd-running` or `netconfd-candidate`. A line of JSON with
port and process ids tells that it listens; a line `publish N` on standard input makes ours send N
notifications; the end of standard input ends it.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from lxml import etree

USER = "tester"
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started server. `memory_pids` are the processes whose memory counts as the server's."""

    port: int
    pids: tuple[int, ...]
    memory_pids: tuple[int, ...]
    process: asyncio.subprocess.Process

    async def publish(self, count: int) -> None:
        """Have it send notifications to its subscribers (ours only)."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"publish {count}\n".encode())
        await self.process.stdin.drain()


@asynccontextmanager
async def started(kind: str, key: asyncssh.SSHKey) -> AsyncIterator[Running]:
    """A server of this kind that lets the user `tester` in by the key."""
    public = key.export_public_key().decode().strip()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.netconf_servers",
        kind,
        public,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Every edit is written to the log; where that goes is not what is measured.
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        if not line:
            raise RuntimeError(f"the server {kind} did not start")
        facts = json.loads(line)
        yield Running(
            port=facts["port"],
            pids=tuple(facts["pids"]),
            memory_pids=tuple(facts["memory_pids"]),
            process=process,
        )
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _serve(kind: str, public_key: str) -> None:
    if kind == "ours":
        await _ours(public_key)
    elif kind == "floor":
        await _floor(public_key)
    else:
        await _netconfd(kind.removeprefix("netconfd-"), public_key)


def _tell(port: int, *pids: int, memory: Sequence[int] = ()) -> None:
    own = os.getpid()
    facts = {"port": port, "pids": [own, *pids], "memory_pids": list(memory) or [own]}
    print(json.dumps(facts), flush=True)


async def _commands() -> AsyncIterator[list[str]]:
    """Lines of standard input as words; ends with it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().split()


async def _ours(public_key: str) -> None:
    # As the process of an agent does: what yangson and structlog load beside what is used stays out.
    from keyweave_agents.lean import leave_out_what_is_not_used

    leave_out_what_is_not_used()
    from benchmarks.netconf_node import HERE, link_id, node
    from keyweave_core.model.link import LinkPerformance
    from keyweave_core.model.notifications import LinkPerfUpdate
    from keyweave_core.netconf.limits import NetconfLimits
    from keyweave_core.netconf.server.server import NetconfServer
    from keyweave_core.runtime.clock import SystemClock
    from keyweave_core.runtime.log import configure_logging
    from keyweave_yang.encode import encode_configuration, encode_notification, encode_state
    from keyweave_yang.schema import load_schema

    whole = node(HERE)

    class Device:
        async def state(self) -> Sequence[etree._Element]:
            return [encode_state(whole)]

        async def apply(
            self, old: Sequence[etree._Element], new: Sequence[etree._Element], user: str
        ) -> None:
            del old, new, user

        async def call(self, operation: etree._Element, user: str) -> None:  # noqa: ARG002
            raise KeyError(operation.tag)

    configure_logging(level="info", form="json")
    server = NetconfServer(
        load_schema("agent"),
        Device(),
        [encode_configuration(whole)],
        clock=SystemClock(),
        limits=NetconfLimits(
            max_sessions=1024,
            max_sessions_per_user=1024,
            max_connections=1024,
            max_connections_per_host=1024,
        ),
    )
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    _tell(await server.start_ssh("127.0.0.1", 0, [host_key], {USER: [public_key]}))
    async for words in _commands():
        if words[0] == "publish":
            update = LinkPerfUpdate(link_id=link_id(0), performance=LinkPerformance(skr_bps=24_000))
            for number in range(int(words[1])):
                server.publish(encode_notification(update))
                if number % 20 == 19:
                    await asyncio.sleep(0)
    await server.close()


async def _floor(public_key: str) -> None:
    from benchmarks.netconf_floor import serve

    port = await serve(public_key, USER)
    _tell(port)
    async for _ in _commands():
        pass


async def _netconfd(target: str, public_key: str) -> None:
    from tests.interop.netconfd import netconfd

    key = asyncssh.import_public_key(public_key)
    async with netconfd("running" if target == "running" else "candidate", [key]) as server:
        _tell(server.port, server.pid, memory=[server.pid])
        async for _ in _commands():
            pass


if __name__ == "__main__":
    import uvloop

    from keyweave_agents.lean import leave_out_what_is_not_used

    leave_out_what_is_not_used()
    uvloop.run(_serve(sys.argv[1], sys.argv[2]))
