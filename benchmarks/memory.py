"""How much memory does one agent process take?

Resident set of each agent of a ring of four after keys have flowed. Bound in the same run: a Python process
that has only imported the libraries an agent stands on.
"""

import asyncio
import subprocess
import sys

from benchmarks.networks import line, running
from benchmarks.raw_http import connect, get
from keyweave_lab.deploy import inspect

LIBRARIES = (
    "asyncssh, lxml.etree, yangson, uvicorn, httptools, google.protobuf.message, msgspec, structlog, uvloop"
)
SIZE = "print(next(row.split()[1] for row in open('/proc/self/status') if row.startswith('VmRSS')))"


async def measure() -> str:
    async with running(line(4, ring=True)) as (lab, _):
        application = lab.application("sae-a")
        async with await connect(lab.node("A").service_port, application.tls) as client:
            for _ in range(200):
                status, body = await client.request(get("/api/v1/keys/sae-c/enc_keys"))
                assert status in (200, 503), body
        await asyncio.sleep(1)
        states = inspect(lab.directory)
    sizes = {each.name: (each.rss_kb or 0) / 1024 for each in states}
    agents = [sizes[node.name] for node in lab.nodes]
    bound = await asyncio.to_thread(_libraries_mb)
    return (
        f"agent: {max(agents):.0f} MB at most ({', '.join(f'{size:.0f}' for size in agents)})\n"
        f"bound in the same run, its libraries alone: {bound:.0f} MB; goal: at most 80 MB\n"
        f"controller: {sizes['controller']:.0f} MB; fibre plant: {sizes['plant']:.0f} MB\n"
    )


def _libraries_mb() -> float:
    code = f"import {LIBRARIES}\n{SIZE}"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) / 1024
