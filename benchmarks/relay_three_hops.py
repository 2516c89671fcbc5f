"""How many keys a second are relayed over three hops, end to end, while 014 serves at both ends?

Four key managers, each a process of its own, on loopback with mutual TLS; keys of 256 bits in large batches
(`limits.keys_per_batch`, `buffer_keys`), pools kept full. An application at each end takes all of them in
bundles: what the first draws the last fetches and compares. Besides, a client does matched pairs of enc_keys
and dec_keys over HTTPS at both ends all the time. All processes share the machine, so each row tells what
share of a core each took, and how many keys that is for a second of the busiest one's processor.
"""

import asyncio
import datetime as dt
import json
import socket
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.raw_http import connect, get
from benchmarks.relay_site import MASTER, SLAVE, Site
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.pki import LabPki

SITES = 4
SECONDS = 10.0
WARM_UP_S = 3.0
WORKERS = 2


async def measure() -> str:
    rows = []
    for keys_per_batch, method, disk in (
        (128, RelayMethod.OTP, False),
        (1024, RelayMethod.OTP, False),
        (4096, RelayMethod.OTP, False),
        (4096, RelayMethod.OTP, True),
        (4096, RelayMethod.AES_256_GCM, False),
        (4096, RelayMethod.XOR_ANNOUNCE, False),
    ):
        rows.append(await _chain(keys_per_batch, method, disk=disk))
    rows.append("goal: at least 20,000 keys/s sustained")
    return "\n".join(rows) + "\n"


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


async def _chain(keys_per_batch: int, method: RelayMethod, *, disk: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="keyweave-bench-") as folder:
        pki = LabPki(Path(folder) / "pki", now=dt.datetime.now(dt.UTC))
        nodes = [NodeId(f"00000000-0000-4000-8000-{number:012x}") for number in range(1, SITES + 1)]
        fibres = [f"00000000-0000-4000-8000-{0x100 + number:012x}" for number in range(SITES - 1)]
        *ports, near, far, hand_over = _free_ports(SITES + 3)
        processes = []
        try:
            for index, node in enumerate(nodes):
                files = pki.node(f"n{index}", node)
                site = Site(
                    index=index,
                    nodes=list(nodes),
                    fibres=fibres,
                    ports=ports,
                    tls=[str(files.certificate), str(files.private_key), str(files.ca)],
                    service_port=near if index == 0 else far,
                    hand_over_port=hand_over,
                    keys_per_batch=keys_per_batch,
                    batches_in_flight=max(8, min(32, 16_384 // keys_per_batch)),
                    buffer_keys=8 * 4096,
                    method=method.value,
                    disk=folder if disk else "",
                )
                path = Path(folder) / f"site{index}.json"
                site.write(path)
                processes.append(await _start(path))
            master, slave = pki.application(MASTER), pki.application(SLAVE)
            await asyncio.sleep(WARM_UP_S)
            before, started = await _ask(processes), perf_counter()
            pairs = await _pairs((near, master), (far, slave))
            after, took = await _ask(processes), perf_counter() - started
            rate = (after[-1]["keys"] - before[-1]["keys"]) / took
            cpu = [(now["cpu_s"] - then["cpu_s"]) / took for now, then in zip(after, before, strict=True)]
            return (
                f"{method.value}, batches of {keys_per_batch}{', key store on disk' if disk else ''}: "
                f"{rate:,.0f} keys/s, with {pairs / took:.0f} matched 014 pairs/s; cores "
                + ", ".join(f"{each:.2f}" for each in cpu)
                + f", {rate / max(cpu):,.0f} keys a second of the busiest core"
            )
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()


async def _start(path: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.relay_site",
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _ask(processes: list[asyncio.subprocess.Process]) -> list[dict[str, float]]:
    """What every process says of itself now (log lines are not asked for)."""
    answers = []
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        while True:
            row = await process.stdout.readline()
            assert row, "a key manager ended"
            said = json.loads(row) if row.startswith(b'{"keys"') else None
            if said is not None:
                answers.append(said)
                break
    return answers


async def _pairs(near: tuple[int, TlsSettings], far: tuple[int, TlsSettings]) -> int:
    """Matched pairs over HTTPS for `SECONDS`."""
    done, stop = 0, perf_counter() + SECONDS

    async def worker() -> None:
        nonlocal done
        async with await connect(*near) as one, await connect(*far) as other:
            while perf_counter() < stop:
                status, body = await one.request(get(f"/api/v1/keys/{SLAVE}/enc_keys"))
                assert status == 200, body
                key = json.loads(body)["keys"][0]
                status, body = await other.request(
                    get(f"/api/v1/keys/{MASTER}/dec_keys?key_ID={key['key_ID']}")
                )
                assert status == 200, body
                assert json.loads(body)["keys"][0]["key"] == key["key"]
                done += 1

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return done
