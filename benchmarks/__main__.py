"""Run benchmarks: all, or those named on the command line; write `benchmarks/results/NAME.txt`.

An argument with an @ is a server to measure besides (USER:PASSWORD@HOST:PORT), for benchmarks that take such.
Everything from the first option (`--name`) on is for benchmarks that take options; such results have a name
of their own.
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
    "streams",
    "idle_connections",
    "failover",
    "memory",
    "storage",
    "cold_start",
    "netconf",
    "controller_sessions",
    "push",
    "disjoint",
    "admission",
    "optical",
    "routing",
    "rearrangement",
    "cut_storm",
    "relay_hop",
    "relay_three_hops",
)
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    given = sys.argv[1:]
    first = next((place for place, each in enumerate(given) if each.startswith("--")), len(given))
    options = given[first:]
    peers = [each for each in given[:first] if "@" in each]
    names = [each for each in given[:first] if "@" not in each] or list(NAMES)
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
        label: Callable[..., str] | None = getattr(module, "label", None)
        taken = options if label is not None else peers if name == "netconf" else []
        figures = run(measure(*taken))
        print(figures, flush=True)
        command = " ".join([name, *options]) if label is not None else name
        (RESULTS / f"{label(*options) if label else name}.txt").write_text(
            f'{question}\n\ncommand: make bench ARGS="{command}"\nmachine: {machine()}\n\n{figures}'
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
