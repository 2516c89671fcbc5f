"""What does key delivery cost beside its bare server?

Requests a second over kept-alive mutual TLS at one agent, 64 connections: status, and enc_keys with one key
each (identity, relay, store and audit record on), against the same server with constant answers, client and
load alike: by the quick way of the server, which key delivery takes, and by an ASGI application. Beside it
the processor time of the serving process a request: it does not mind what else the machine does. Then matched
pairs (enc_keys here, dec_keys there, keys compared) by 64 clients, how long each call took, and many keys in
one request.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.bare import bare_server
from benchmarks.figures import quantile
from benchmarks.networks import line, running
from benchmarks.raw_http import RawClient, connect, get, post
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.inventory import LabInventory

ROUNDS = 3
SECONDS = 2.0
CONNECTIONS = 64
CLIENTS = 64
PAIR_SECONDS = 6.0
NAMES = {
    "enc": "enc_keys (relayed, stored, audited)",
    "status": "status",
    "quick": "bare",
    "asgi": "bare, an ASGI application",
}
ENC, STATUS = "/api/v1/keys/sae-b/enc_keys", "/api/v1/keys/sae-b/status"


async def measure() -> str:
    bulk_settings = {"buffer_keys": 8192, "stored_keys": 1_000_000, "keys_per_batch": 1024}
    async with running(line(2), **bulk_settings) as (lab, _):
        application = lab.application("sae-a")
        port = lab.node("A").service_port
        async with await connect(port, application.tls) as client:
            status, body = await client.request(get(ENC))
            assert status == 200, body
        await asyncio.sleep(3)  # the buffer fills
        agent = next(each.process.pid for each in lab.programs if each.name == "A" and each.process)
        found: dict[str, list[Load]] = {key: [] for key in NAMES}
        async with bare_server(lab, "A") as quick, bare_server(lab, "A", "asgi") as asgi:
            for _ in range(ROUNDS):  # by turns, because the machine does other things, too
                found["enc"].append(await _load(port, agent, application.tls, ENC))
                found["quick"].append(await _load(*quick, application.tls, ENC))
                found["status"].append(await _load(port, agent, application.tls, STATUS))
                found["asgi"].append(await _load(*asgi, application.tls, ENC))
        bulk = await _bulk(lab)
        pairs, times = await _pairs(lab)
    rows = [_row(name, found[key], found["quick"]) for key, name in NAMES.items()]
    rows.append(f"median of {ROUNDS} rounds by turns, {CONNECTIONS} connections; all agents on one core")
    calls = (quantile(times, 0.5), quantile(times, 0.99), max(times))
    rows.append(
        f"{CLIENTS} clients: {pairs:.0f} matched pairs/s, no id twice, keys equal; "
        "a call p50 {:.1f} ms, p99 {:.1f} ms, largest {:.1f} ms".format(*calls)
    )
    rows.append(bulk)
    rows.append("goals: 0.6 of bare, 2000 pairs/s, p99 of 20 ms at 64 clients")
    return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class Load:
    """One measurement: requests a second, and processor time of the serving process a request."""

    rate: float
    cost_us: float


def _row(name: str, loads: list[Load], ceiling: list[Load]) -> str:
    rate, most = (median(load.rate for load in each) for each in (loads, ceiling))
    cost_us, least_us = (median(load.cost_us for load in each) for each in (loads, ceiling))
    return (
        f"{name:36}{rate:6.0f} requests/s = {rate / most:.2f} of bare;  "
        f"{cost_us:4.1f} us a request, {least_us / cost_us:.2f} of bare"
    )


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _load(port: int, pid: int, tls: TlsSettings, path: str) -> Load:
    done = 0
    request = get(path)
    context = client_context(tls)
    clients = [await connect(port, tls, context) for _ in range(CONNECTIONS)]
    began_s, started = _processor_s(pid), perf_counter()
    stop = started + SECONDS

    async def worker(client: RawClient) -> None:
        nonlocal done
        async with client:
            while perf_counter() < stop:
                status, body = await client.request(request)
                assert status == 200, body
                done += 1

    await asyncio.gather(*(worker(client) for client in clients))
    return Load(done / (perf_counter() - started), (_processor_s(pid) - began_s) / done * 1e6)


async def _pairs(lab: LabInventory) -> tuple[float, list[float]]:
    """Matched pairs a second by many clients, and how long each single call took (ms)."""
    times: list[float] = []
    seen: set[str] = set()
    one, other = lab.application("sae-a"), lab.application("sae-b")
    near_context, far_context = client_context(one.tls), client_context(other.tls)
    near_port, far_port = lab.node(one.node).service_port, lab.node(other.node).service_port
    stop = 0.0

    async def timed(client: RawClient, content: bytes) -> dict[str, str]:
        started = perf_counter()
        status, body = await client.request(content)
        times.append((perf_counter() - started) * 1000)
        assert status == 200, body
        key: dict[str, str] = json.loads(body)["keys"][0]
        return key

    async def worker(near: RawClient, far: RawClient) -> None:
        while perf_counter() < stop:
            made = await timed(near, get(ENC))
            assert made["key_ID"] not in seen
            seen.add(made["key_ID"])
            assert await timed(far, get(f"/api/v1/keys/sae-a/dec_keys?key_ID={made['key_ID']}")) == made

    clients = [
        (await connect(near_port, one.tls, near_context), await connect(far_port, other.tls, far_context))
        for _ in range(CLIENTS)
    ]
    stop = perf_counter() + PAIR_SECONDS
    await asyncio.gather(*(worker(near, far) for near, far in clients))
    for pair in clients:
        for client in pair:
            await client.__aexit__(None, None, None)
    return len(seen) / PAIR_SECONDS, times


async def _bulk(lab: LabInventory) -> str:
    """As many keys as one request gives, fetched by one request."""
    one, other = lab.application("sae-a"), lab.application("sae-b")
    number = 128
    async with (
        await connect(lab.node(one.node).service_port, one.tls) as near,
        await connect(lab.node(other.node).service_port, other.tls) as far,
    ):
        started, keys = perf_counter(), 0
        while perf_counter() < started + SECONDS:
            status, body = await near.request(post(ENC, {"number": number}))
            assert status == 200, body
            made = json.loads(body)
            ids = [{"key_ID": key["key_ID"]} for key in made["keys"]]
            status, body = await far.request(post("/api/v1/keys/sae-a/dec_keys", {"key_IDs": ids}))
            assert (status, json.loads(body)) == (200, made)
            keys += number
        rate = keys / (perf_counter() - started)
    return f"{number} keys a request, one client: {rate:.0f} keys/s delivered to master and slave"
