"""Networks to measure on: real processes, started and stopped by the benchmark.

With two cores or more the agents, the plant and the controller share core 0 and the load runs on core 1, so
that "one core's worth of agents" means just that.
"""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.demo_wait import until
from keyweave_lab.deploy import deploy, destroy
from keyweave_lab.dial import Controller, ControllerAddress
from keyweave_lab.inventory import LabInventory
from keyweave_lab.settings_tables import Tuning
from keyweave_lab.topology_file import parse_topology
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()


def line(sites: int, *, ring: bool = False) -> str:
    """A chain (or ring) A, B, C, ... of 10 km fibres, with the applications `sae-a`, `sae-b`, ..."""
    names = [chr(ord("A") + number) for number in range(sites)]
    links = list(pairwise(names)) + ([(names[-1], names[0])] if ring else [])
    rows = ["name: bench", "source: made for the benchmark", "nodes:"]
    rows += [f"  - {{name: {name}}}" for name in names]
    rows += ["links:"] + [f"  - {{a: {a}, b: {b}, length_km: 10}}" for a, b in links]
    rows += ["applications:"]
    rows += [f"  - {{sae_id: sae-{name.lower()}, node: {name}, min_bandwidth_bps: 50000}}" for name in names]
    return "\n".join(rows) + "\n"


@asynccontextmanager
async def running(
    topology: str, *, buffer_keys: int = 64, stored_keys: int = 16_384, keys_per_batch: int = 128
) -> AsyncIterator[tuple[LabInventory, Controller]]:
    """A deployed network whose fibres are all active with some key in stock, and its controller."""
    network = parse_topology(topology.encode(), where="benchmark")
    with tempfile.TemporaryDirectory(prefix="keyweave-bench-") as folder:
        directory = Path(folder)
        tuning = Tuning(
            buffer_keys=buffer_keys,
            stored_keys=stored_keys,
            keys_per_batch=keys_per_batch,
            log_level="warning",
            access_log=False,
        )
        lab = await deploy(network, directory, CLOCK, tuning=tuning)
        try:
            pin([each.process.pid for each in lab.programs if each.process is not None])
            where = ControllerAddress(address=lab.controller_address, tls=lab.operator)
            with Controller(where) as controller:
                await until(lambda: _stocked(controller, len(network.links)), CLOCK, 60, "stocked links")
                yield lab, controller
        finally:
            await destroy(directory, CLOCK)


def pin(pids: list[int]) -> None:
    """Put the network on core 0 and this process on core 1, where there are two."""
    if (os.cpu_count() or 1) < 2:
        return
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {0})
    os.sched_setaffinity(0, {1})


async def _stocked(controller: Controller, links: int) -> bool | None:
    with controller.answers():
        answer = controller.topology.ListLinks(pb.ListLinksRequest(), timeout=5)
    stocked = [
        link for link in answer.links if link.status == pb.LINK_STATUS_ACTIVE and link.stored_bits > 4_000_000
    ]
    return True if len(stocked) == links else None
