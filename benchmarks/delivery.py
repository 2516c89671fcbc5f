"""What does key delivery cost beside its bare server?

Requests a second over kept-alive mutual TLS at one agent: status, and enc_keys with one key each, against the
same server with constant answers, client and load alike.
"""

import asyncio
from time import perf_counter

from benchmarks.bare import bare_server
from benchmarks.networks import line, running
from benchmarks.raw_http import connect, get
from keyweave_core.runtime.tls import TlsSettings

SECONDS = 4.0
CONNECTIONS = 8
MOST_KEYS = 8_000  # nobody fetches them at the other end, whose store is bounded


async def measure() -> str:
    async with running(line(2), buffer_keys=4000) as (lab, _):
        application = lab.application("sae-a")
        port = lab.node("A").service_port
        async with await connect(port, application.tls) as client:
            status, body = await client.request(get("/api/v1/keys/sae-b/enc_keys"))
            assert status == 200, body
        await asyncio.sleep(3)  # the buffer fills
        enc = await _rate(port, application.tls, "/api/v1/keys/sae-b/enc_keys", most=MOST_KEYS)
        status_rate = await _rate(port, application.tls, "/api/v1/keys/sae-b/status")
        async with bare_server(lab, "A") as bare_port:
            bare = await _rate(bare_port, application.tls, "/api/v1/keys/sae-b/enc_keys")
    return (
        f"enc_keys (256 bits, relayed, stored, counted): {enc:.0f} requests/s = {enc / bare:.2f} of bare\n"
        f"status: {status_rate:.0f} requests/s = {status_rate / bare:.2f} of bare\n"
        f"bare server without store, same run: {bare:.0f} requests/s\n"
        f"{CONNECTIONS} connections, the agent (and its network) on one core\n"
    )


async def _rate(port: int, tls: TlsSettings, path: str, *, most: int | None = None) -> float:
    done = 0
    started = perf_counter()
    stop = started + SECONDS
    request = get(path)

    async def worker() -> None:
        nonlocal done
        async with await connect(port, tls) as client:
            while perf_counter() < stop and (most is None or done < most):
                status, body = await client.request(request)
                assert status == 200, body
                done += 1

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return done / (perf_counter() - started)
