"""How soon does a node whose agent was killed give out keys again?

Chain A-B-C with key stores on disk, an association from A to C. The agent of A is killed (-9) and started
anew; the time runs from the start of its process to the first 200 of enc_keys, and to the first matched
pair. Bound in the same run: a Python process that only imports the libraries an agent stands on.
"""

import asyncio
import json
import subprocess
import sys
from time import perf_counter

from benchmarks.figures import quantile
from benchmarks.memory import LIBRARIES
from benchmarks.networks import CLOCK, line, running
from benchmarks.raw_http import RawClient, connect, get
from keyweave_lab.deploy import start_program, stop_program
from keyweave_lab.inventory import LabInventory

ROUNDS = 7


async def measure() -> str:
    first: list[float] = []
    pair: list[float] = []
    async with running(line(3)) as (lab, _):
        slave = lab.application("sae-c")
        await _first_answer(lab)
        async with await connect(lab.node("C").service_port, slave.tls) as far:
            for _ in range(ROUNDS):
                await asyncio.sleep(1)
                await stop_program(lab.directory, "A", CLOCK, kill=True)
                began = perf_counter()
                starting = asyncio.create_task(start_program(lab.directory, "A", CLOCK))
                key_id = await _first_answer(lab)
                first.append(perf_counter() - began)
                status, body = await far.request(get(f"/api/v1/keys/sae-a/dec_keys?key_ID={key_id}"))
                assert status == 200, body
                pair.append(perf_counter() - began)
                await starting
    bound = await asyncio.to_thread(_libraries_s)
    return (
        f"killed and started anew, {ROUNDS} times: first key p50 {quantile(first, 0.5):.2f} s, worst "
        f"{max(first):.2f} s; first matched pair p50 {quantile(pair, 0.5):.2f} s\n"
        f"bound in the same run, importing the libraries alone: {bound:.2f} s; goal: at most 1 s\n"
    )


async def _first_answer(lab: LabInventory) -> str:
    """Ask at A until there is a key; its id."""
    master = lab.application("sae-a")
    while True:
        try:
            client: RawClient
            async with await connect(lab.node("A").service_port, master.tls) as client:
                status, body = await client.request(get("/api/v1/keys/sae-c/enc_keys"))
        except OSError:
            await asyncio.sleep(0.01)
            continue
        if status == 200:
            key_id: str = json.loads(body)["keys"][0]["key_ID"]
            return key_id
        await asyncio.sleep(0.01)


def _libraries_s() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True)
    return perf_counter() - began
