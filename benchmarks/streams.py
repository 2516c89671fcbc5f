"""How soon do two applications read a key stream (ETSI GS QKD 004), and what does a chunk cost?

Chain A-B-C-D, 3 hops, programs as deployed. *First chunk*: from OPEN_CONNECT at A, with no association, to
the first chunk in the hands of both applications. *Read*: one chunk after the other at both ends, one request
under way at each. Floor in the same run: the same server answers over the same connection what needs no key
(CLOSE of a stream that is not there).
"""

import asyncio
from time import perf_counter

from benchmarks.figures import quantile
from benchmarks.networks import line, running
from keyweave_agents.service.streams.values import Outcome, StreamQos
from keyweave_core.runtime.tls import client_context
from keyweave_lab.inventory import LabInventory
from keyweave_lab.stream_client import StreamClient, connect

ROUNDS = 5
CHUNKS = 400
NOBODY = b"nobody's stream!"
NEAR, FAR = "qkd://sae-a", "qkd://sae-d"
QOS = StreamQos(chunk_bytes=32, timeout_ms=20_000)


async def dial(lab: LabInventory, sae_id: str) -> StreamClient:
    application = lab.application(sae_id)
    port = lab.node(application.node).streams_port
    return await connect("localhost", port, client_context(application.tls))


async def measure() -> str:
    cold: list[float] = []
    async with running(line(4)) as (lab, _):
        near, far = await dial(lab, "sae-a"), await dial(lab, "sae-d")
        async with near, far:
            for _ in range(ROUNDS):
                started = perf_counter()
                opened = await near.open(NEAR, FAR, QOS)
                await far.open(FAR, NEAR, ksid=opened.ksid)
                await _both(near, far, opened.ksid, 0)
                cold.append((perf_counter() - started) * 1000)
                for client in (near, far):
                    await client.close_stream(opened.ksid)
                await asyncio.sleep(7)  # until the association is given back
            opened = await near.open(NEAR, FAR, QOS)
            await far.open(FAR, NEAR, ksid=opened.ksid)
            await _both(near, far, opened.ksid, 0)
            reads, floor = [], []
            started = perf_counter()
            for index in range(1, CHUNKS + 1):
                began = perf_counter()
                await _both(near, far, opened.ksid, index)
                reads.append((perf_counter() - began) * 1000)
            lasted_s = perf_counter() - started
            for _ in range(CHUNKS):
                began = perf_counter()
                await asyncio.gather(near.close_stream(NOBODY), far.close_stream(NOBODY))
                floor.append((perf_counter() - began) * 1000)
    half, bare = quantile(reads, 0.5), quantile(floor, 0.5)
    return (
        f"first chunk at both ends over 3 hops, no association yet ({ROUNDS} times): "
        f"p50 {quantile(cold, 0.5):.0f} ms, worst {max(cold):.0f} ms\n"
        f"read of one chunk of 32 bytes at both ends at once ({CHUNKS} times): p50 {half:.2f} ms, "
        f"p99 {quantile(reads, 0.99):.1f} ms; {CHUNKS / lasted_s:.0f} chunks/s one after the other\n"
        f"floor in the same run (an answer without key): p50 {bare:.2f} ms; ratio {half / bare:.1f}\n"
    )


async def _both(near: StreamClient, far: StreamClient, ksid: bytes, index: int) -> None:
    one, two = await asyncio.gather(near.get(ksid, index, 0), far.get(ksid, index, 0))
    assert (one.outcome, two.outcome) == (Outcome.SUCCESS, Outcome.SUCCESS)
    assert one.key is not None
    assert two.key is not None
    assert one.key.same_as(two.key)
