"""The ceiling of key delivery: the same HTTPS server, which answers constant bytes.

`python -m benchmarks.bare AGENT_TOML quick` serves on a free port and prints it; requests take the quick way
of the server, as those of key delivery do. With `asgi` instead they go to an application.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.networks import pin
from keyweave_agents.service.https import Exchange, HttpsServer
from keyweave_agents.settings import read_agent_settings
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.inventory import LabInventory

ANSWER = b'{"keys":[{"key_ID":"00000000-0000-4000-8000-000000000000","key":"' + b"A" * 43 + b'="}]}'


async def constant(scope: Any, _receive: Any, send: Any) -> None:
    """An ASGI application that always says the same."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER, "more_body": False})


def constant_at_once(exchange: Exchange) -> bool:
    """A quick handler that always says the same."""
    exchange.reply(200, ANSWER)
    return True


async def _serve(config: Path, way: str) -> None:
    settings = replace(read_agent_settings(config).service, listen_port=0)
    quick = constant_at_once if way == "quick" else None
    server = HttpsServer(constant, settings, SystemClock(), quick)
    print(await server.start(), flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def bare_server(lab: LabInventory, node: str, way: str = "quick") -> AsyncIterator[tuple[int, int]]:
    """The port and process id of a bare server with the TLS settings of one agent, on the network's core."""
    config = next(each.config for each in lab.programs if each.name == node)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bare", str(config), way, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        pin([process.pid])
        yield port, process.pid
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(Path(sys.argv[1]), sys.argv[2]))
