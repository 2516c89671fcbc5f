"""Run benchmarks: all, or those named on the command line; write `benchmarks/results/NAME.txt`.

An argument with an @ is a server to measure besides (USER:PASSWORD@HOST:PORT), for benchmarks that take such.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path

from benchmarks.figures import machine

NAMES = (
    "first_key",
    "key_pairs",
    "delivery",
    "failover",
    "memory",
    "netconf",
    "controller_sessions",
    "push",
    "disjoint",
    "optical",
    "rearrangement",
)
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    peers = [each for each in sys.argv[1:] if "@" in each]
    names = [each for each in sys.argv[1:] if "@" not in each] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in names:
        module = import_module(f"benchmarks.{name}")
        measure: Callable[..., Coroutine[None, None, str]] = module.measure
        run: Callable[[Coroutine[None, None, str]], str] = getattr(module, "RUN", asyncio.run)
        question = (module.__doc__ or "").strip()
        print(f"== {name}: {question.splitlines()[0]}", flush=True)
        figures = run(measure(*peers) if name == "netconf" else measure())
        print(figures, flush=True)
        (RESULTS / f"{name}.txt").write_text(
            f'{question}\n\ncommand: make bench ARGS="{name}"\nmachine: {machine()}\n\n{figures}'
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
