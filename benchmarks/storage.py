"""What do a million keys take in memory, what does a durable commit cost, and how soon is a node back?

Memory: resident set of a process before and after a million keys of 256 bits lie in it, at the destination
and in the buffer of a source; bound: their bits alone. Commits: a batch is stored, against the bare fsync of
about as many bytes. Cold start: both key managers of an association begin anew on their stores, from the
opening of the file (a million keys in it, decrypted) to the first matched pair.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.storage_nodes import KEYS, fill_store, first_key_after_restart
from keyweave_core.runtime.log import configure_logging

CODE = """
import sys
from benchmarks.storage_nodes import {name}
from benchmarks.storage_nodes import rss_mb
before = rss_mb()
held = {name}()
print(rss_mb() - before)
"""


def _grown_mb(name: str) -> float:
    code = CODE.format(name=name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return float(done.stdout)


def _bare_fsync_us(folder: Path, size: int, times: int) -> float:
    with (folder / "bare").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(times):
            file.write(os.urandom(size))
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / times * 1e6


async def measure() -> str:
    configure_logging(level="warning")
    bits_mb = KEYS * 32 / 1e6
    rows = [f"{KEYS:,} keys of 256 bits; their bits alone: {bits_mb:.0f} MB"]
    for name, what in (
        ("at_the_destination", "stored at the destination, batches of 128"),
        ("at_the_destination_in_small_batches", "the same, batches of 16"),
        ("at_the_source", "ready at the source, batches of 128"),
    ):
        rows.append(f"  {what}: {await asyncio.to_thread(_grown_mb, name):.0f} MB; goal: at most 100 MB")
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        bare_us = _bare_fsync_us(folder, 6000, 300)
        rows.append(f"bare write and fsync of 6 kB: {bare_us:.0f} us")
        for durability in ("power", "process"):
            cost_us = fill_store(folder / durability, durability, batches=300, commit_each=True)
            rows.append(
                f"commit of a batch of 128 keys, durability {durability!r}: {cost_us:.0f} us "
                f"({cost_us / bare_us:.1f} x bare), {1e6 / cost_us * 128:,.0f} keys/s one batch at a time"
            )
        for keys in (0, KEYS):
            seconds = await first_key_after_restart(folder / f"nodes{keys}", keys)
            rows.append(
                f"cold start to the first key, {keys:,} keys in the store of each end: "
                f"{seconds.opened_s / 2:.2f} s to open a store, then {seconds.first_s:.2f} s; "
                "goal: at most 1 s together"
            )
    return "\n".join(rows) + "\n"
