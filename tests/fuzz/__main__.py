"""Fuzz for as long as one likes: `python -m tests.fuzz --minutes 10 [--target serving] [--seed 1]`.

Runs every target in turn on mutations of the corpus. An input that breaks a law is written to the corpus as
`<kind>-found-<digest>`, so that the tests meet it from then on; the exit status is then 1.
"""

import argparse
import hashlib
import sys
import time
import traceback

from keyweave_yang.schema import load_schema

from .mutation import CORPUS, inputs
from .serving import Serving
from .targets import PLAIN, Target, Trees


def targets() -> dict[str, tuple[str, Target]]:
    """Every target by name, with the kind of file to start from."""
    schema = load_schema()
    trees = Trees(schema)
    return PLAIN | {
        "filtered": ("rpc", trees.filtered),
        "edited": ("rpc", trees.edited),
        "serving": ("session", Serving(schema)),
    }


def main() -> int:
    """Run until the time is over; returns the exit status."""
    known = targets()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--target", choices=sorted(known), action="append")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    chosen = given.target or sorted(known)
    streams = {name: inputs(known[name][0], given.seed + at) for at, name in enumerate(chosen)}
    end = time.monotonic() + given.minutes * 60
    count = found = 0
    while time.monotonic() < end:
        for name, stream in streams.items():
            for _ in range(20):
                data = next(stream)
                count += 1
                try:
                    known[name][1](data)
                except Exception:  # noqa: BLE001 - whatever it is, it is a finding
                    found += 1
                    kept = _keep(known[name][0] or "rpc", data)
                    print(f"{name}: {kept}\n{traceback.format_exc()}", flush=True)
    print(f"seed {given.seed}: {count} inputs, {found} findings")
    return 1 if found else 0


def _keep(kind: str, data: bytes) -> str:
    suffix = "bin" if kind == "session" else "xml"
    path = CORPUS / f"{kind}-found-{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"
    path.write_bytes(data)
    return path.name


if __name__ == "__main__":
    sys.exit(main())
