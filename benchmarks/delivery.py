"""What does key delivery cost beside its bare server?

Requests a second over kept-alive mutual TLS at one agent, 8 connections: status, and enc_keys with one key each
(identity, relay, store and audit record on), against the same server with constant answers, client and load
alike: by the quick way of the server, which key delivery takes, and by an ASGI application, which it took before.
Then matched pairs (enc_keys here, dec_keys there, keys compared) by 64 clients, how long each call took, and
4096 keys in one request.
"""

import asyncio
import json
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
CONNECTIONS = 8
CLIENTS = 64
PAIR_SECONDS = 6.0
ENC, STATUS = "/api/v1/keys/sae-b/enc_keys", "/api/v1/keys/sae-b/status"


async def measure() -> str:
    async with running(line(2), buffer_keys=4000, stored_keys=1_000_000) as (lab, _):
        application = lab.application("sae-a")
        port = lab.node("A").service_port
        async with await connect(port, application.tls) as client:
            status, body = await client.request(get(ENC))
            assert status == 200, body
        await asyncio.sleep(3)  # the buffer fills
        rates: dict[str, list[float]] = {"enc": [], "status": [], "quick": [], "asgi": []}
        async with bare_server(lab, "A") as quick_port, bare_server(lab, "A", "asgi") as asgi_port:
            for _ in range(ROUNDS):  # by turns, because the machine does other things, too
                for name, where, path in (
                    ("enc", port, ENC),
                    ("quick", quick_port, ENC),
                    ("status", port, STATUS),
                    ("asgi", asgi_port, ENC),
                ):
                    rates[name].append(await _rate(where, application.tls, path))
        bulk = await _bulk(lab)
        pairs, times = await _pairs(lab)
    enc, state, quick, asgi = (median(rates[name]) for name in ("enc", "status", "quick", "asgi"))
    rows = [
        f"enc_keys (256 bits, relayed, stored, audited): {enc:.0f} requests/s = {enc / quick:.2f} of bare "
        f"({enc / asgi:.2f} of bare ASGI)",
        f"status: {state:.0f} requests/s = {state / quick:.2f} of bare",
        f"bare, same run: {quick:.0f} requests/s; by an ASGI application: {asgi:.0f}",
        f"median of {ROUNDS} rounds by turns, {CONNECTIONS} connections, the agents (and their network) on one core",
        f"{CLIENTS} clients: {pairs:.0f} matched pairs/s, a call p50 {quantile(times, 0.5):.1f} ms, "
        f"p99 {quantile(times, 0.99):.1f} ms, largest {max(times):.1f} ms; no id twice, keys equal",
        bulk,
    ]
    return "\n".join(rows) + "\n"


async def _rate(port: int, tls: TlsSettings, path: str) -> float:
    done = 0
    started = perf_counter()
    stop = started + SECONDS
    request = get(path)
    context = client_context(tls)

    async def worker() -> None:
        nonlocal done
        async with await connect(port, tls, context) as client:
            while perf_counter() < stop:
                status, body = await client.request(request)
                assert status == 200, body
                done += 1

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return done / (perf_counter() - started)


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
