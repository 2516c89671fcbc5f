"""What do ten thousand idle clients cost a key delivery server?

Each holds a connection over mutual TLS, got one answer and says nothing more. Memory of the server a
connection, processor time a handshake, and how long another client waits for its answers meanwhile: on a
connection of its own that stands, and on a new one each time.
"""

import asyncio
import datetime as dt
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import uvloop

from benchmarks.bare import constant, constant_at_once
from benchmarks.figures import quantile
from benchmarks.raw_http import RawClient, connect, get
from keyweave_agents.service.https import HttpsServer
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki

CLIENTS = 10_000
AT_ONCE = 50
NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
RUN = uvloop.run  # as agents do
ASK = get("/api/v1/keys/bob/enc_keys")


async def measure() -> str:
    with tempfile.TemporaryDirectory(prefix="keyweave-bench-") as folder:
        pki = LabPki(Path(folder), now=dt.datetime.now(dt.UTC))
        tls, honest = pki.node("here", NODE), pki.application(SaeId("alice"))
        settings = ServiceSettings(
            listen_port=0, tls=tls, max_connections=CLIENTS + 100, keep_alive_s=3600, receive_s=600
        )
        server = HttpsServer(constant, settings, SystemClock(), constant_at_once)
        port = await server.start()
        memory_kb = _resident_kb()
        crowd = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.idle_connections",
            folder,
            str(port),
            stdout=asyncio.subprocess.PIPE,
        )
        assert crowd.stdout is not None
        used_s = process_time()
        try:
            held = int(await crowd.stdout.readline())
            used_s = process_time() - used_s
            memory_kb = _resident_kb() - memory_kb
            standing, fresh = await _another(port, honest)
        finally:
            crowd.kill()
            await crowd.wait()
            await server.close()
    each_us = used_s / held * 1e6
    return (
        f"{held} idle connections: {memory_kb / held:.0f} kB each, {each_us:.0f} us of processor time\n"
        "another client meanwhile, a request on its connection: "
        f"p50 {quantile(standing, 0.5):.2f} ms, p99 {quantile(standing, 0.99):.2f} ms; "
        f"on a new one each: p50 {quantile(fresh, 0.5):.1f} ms, p99 {quantile(fresh, 0.99):.1f} ms\n"
    )


async def _another(port: int, tls: TlsSettings) -> tuple[list[float], list[float]]:
    """How long each request took (ms), on one connection and on a new one each."""
    context = client_context(tls)
    standing, fresh = [], []
    async with await connect(port, tls, context) as client:
        for _ in range(500):
            started = perf_counter()
            assert (await client.request(ASK))[0] == 200
            standing.append((perf_counter() - started) * 1000)
    for _ in range(100):
        started = perf_counter()
        async with await connect(port, tls, context) as client:
            assert (await client.request(ASK))[0] == 200
        fresh.append((perf_counter() - started) * 1000)
    return standing, fresh


def _resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


async def _hold(folder: str, port: int) -> None:
    """Be the crowd: hold the connections until killed."""
    tls = LabPki(Path(folder), now=dt.datetime.now(dt.UTC)).application(SaeId("crowd"))
    context = client_context(tls)
    held: list[RawClient] = []
    while len(held) < CLIENTS:
        batch = await asyncio.gather(*(connect(port, tls, context) for _ in range(AT_ONCE)))
        await asyncio.gather(*(client.request(ASK) for client in batch))
        held += batch
    print(len(held), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    RUN(_hold(sys.argv[1], int(sys.argv[2])))
