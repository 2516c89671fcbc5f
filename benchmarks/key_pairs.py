"""How many keys a second does one pair of applications get, end to end?

A pair is one enc_keys at the master and one dec_keys at the slave, equal keys checked. One hop (A-B) and two
hops (A-B-C); all agents share one core, the load has the other. Ceiling in the same run: the same client
against servers that answer both requests with constant bytes, on that one core too. For scale: the best open
peer that runs does 2.2 keys/s over two hops.
"""

import asyncio
import json
from time import perf_counter

from benchmarks.bare import bare_server
from benchmarks.figures import quantile
from benchmarks.networks import line, running
from benchmarks.raw_http import RawClient, connect, get
from keyweave_lab.inventory import LabInventory

SECONDS = 6.0
WORKERS = 4


async def measure() -> str:
    rows = []
    async with running(line(3), buffer_keys=512) as (lab, _):
        for hops, slave in ((1, "sae-b"), (2, "sae-c")):
            pairs, times = await _load(lab, "sae-a", slave)
            rows.append(
                f"{hops} hop{'s' if hops > 1 else ' '}: {pairs / SECONDS:.0f} matched pairs/s, "
                f"p50 {quantile(times, 0.5):.1f} ms, p99 {quantile(times, 0.99):.1f} ms a pair "
                f"({WORKERS} at a time)"
            )
        async with bare_server(lab, "A") as (port, _):
            ceiling = await _ceiling(lab, port)
    rows.append(f"ceiling in the same run (two requests, constant answers): {ceiling:.0f} pairs/s")
    rows.append("goal: at least 500 pairs/s direct and 200 pairs/s over 2 hops")
    return "\n".join(rows) + "\n"


async def _load(lab: LabInventory, master: str, slave: str) -> tuple[int, list[float]]:
    times: list[float] = []
    one, other = lab.application(master), lab.application(slave)
    ask = get(f"/api/v1/keys/{slave}/enc_keys")
    stop = perf_counter() + SECONDS

    async def worker() -> None:
        near = await connect(lab.node(one.node).service_port, one.tls)
        far = await connect(lab.node(other.node).service_port, other.tls)
        async with near, far:
            await near.request(ask)  # opens the association
            while perf_counter() < stop:
                started = perf_counter()
                status, body = await near.request(ask)
                assert status == 200, body
                key = json.loads(body)["keys"][0]
                status, body = await far.request(
                    get(f"/api/v1/keys/{master}/dec_keys?key_ID={key['key_ID']}")
                )
                assert status == 200, body
                assert json.loads(body)["keys"][0]["key"] == key["key"]
                times.append((perf_counter() - started) * 1000)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return len(times), times


async def _ceiling(lab: LabInventory, port: int) -> float:
    done = 0
    stop = perf_counter() + SECONDS / 2
    tls = lab.application("sae-a").tls
    ask = get("/api/v1/keys/sae-b/enc_keys")

    async def worker() -> None:
        nonlocal done
        clients: list[RawClient] = [await connect(port, tls), await connect(port, tls)]
        while perf_counter() < stop:
            for client in clients:
                await client.request(ask)
            done += 1
        for client in clients:
            await client.__aexit__(None, None, None)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return done / (SECONDS / 2)
