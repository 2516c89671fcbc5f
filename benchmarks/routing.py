"""How much of what is possible do the strategies carry, and how fast is one route?

Demand models A (reservations, `model_a`) and B (key stores, `model_b`) over networks of the laboratory, every
strategy against the exact bound of a linear program that knows all demands (`traffic`). Every strategy meets
the same demands (common random numbers); nothing is moved once it is placed. Links hold 43 mean requests on
average. Options: `--topology NAME_OR_FILE` (a lab topology, YAML, GraphML, GML or JSON), `--quick` (fewer
loads, seeds and demands), `--seeds N`.
"""

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

from benchmarks import model_a, model_b, routing_plot, routing_speed
from benchmarks.traffic import Net, concurrent_flow, most_carried, read_net
from keyweave_controller.control.strategies import STRATEGIES

RESULTS = Path(__file__).parent / "results"

NETWORKS = ("germany50", "nsfnet14")
LOADS = (0.7, 0.85, 1.0, 1.15, 1.3, 1.5)
A_STRATEGIES = (
    "min-hop", "least-km", "first-fit", "widest", "balanced", "exponential", "shadow-price", "steady-price",
)  # fmt: skip
B_STRATEGIES = ("min-hop", "widest", "exponential-store")
STORES = ((1.0, 3.0), (1.0, 10.0), (1.3, 3.0))
"""Load and seconds of key that a store holds."""

FIRST_SEED = 1_000
"""Seeds below are for trying things: the numbers in the strategies were chosen with those."""

Key = tuple[str, str, float, float, str]
"""Model, network, load, depth of the stores (0 in model A), strategy."""


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="routing")
    parser.add_argument("--topology", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=0)
    return parser.parse_args(list(arguments))


def label(*arguments: str) -> str:
    """The name of the results: `routing`, with what was asked for behind it."""
    asked = _options(arguments)
    parts = ["routing", *(Path(one).stem for one in asked.topology), *(["quick"] if asked.quick else [])]
    return "_".join(parts)


@lru_cache
def _net(name: str) -> tuple[Net, float]:
    net = read_net(name)
    return net, concurrent_flow(net)


@lru_cache
def _bound(name: str, rho: float) -> tuple[float, float]:
    """What is offered in all, and the most of it that can be carried."""
    net, alike = _net(name)
    offered = rho * alike * len(net.sites) * (len(net.sites) - 1)
    return offered, most_carried(net, rho * alike)


def _one(work: tuple[Key, int, bool]) -> float:
    """Carried / bound of one run."""
    (model, name, rho, depth_s, strategy), seed, quick = work
    net, _ = _net(name)
    offered, bound = _bound(name, rho)
    if model == "A":
        measured = 6.0 if quick else model_a.MEASURED
        play = model_a.Play(net, STRATEGIES[strategy])
        share = play.run(offered, seed=seed, measured=measured).share
    else:
        measured = 40.0 if quick else model_b.MEASURED_S
        asked, given = model_b.run(
            net, STRATEGIES[strategy], total_units=offered, depth_s=depth_s, seed=seed, measured_s=measured
        )
        share = given / asked if rho <= 1.0 else given / measured / offered
    return share * offered / bound


async def measure(*arguments: str) -> str:
    """All figures; plots beside the results."""
    asked = _options(arguments)
    names = tuple(asked.topology) or NETWORKS
    seeds = asked.seeds or (2 if asked.quick else 5)
    loads = (1.0, 1.3) if asked.quick else LOADS
    keys: list[Key] = [("A", name, rho, 0.0, one) for name in names for rho in loads for one in A_STRATEGIES]
    keys += [("B", name, rho, depth, one) for name in names for rho, depth in STORES for one in B_STRATEGIES]
    works = [(key, FIRST_SEED + seed, asked.quick) for key in keys for seed in range(seeds)]
    with ProcessPoolExecutor() as workers:
        found = list(workers.map(_one, works, chunksize=seeds))
    runs = {key: found[place * seeds : (place + 1) * seeds] for place, key in enumerate(keys)}
    text = []
    for name in names:
        net, _ = _net(name)
        text.append(
            f"{net.name}: {len(net.sites)} sites, {len(net.links)} links of {min(net.capacity)} to "
            f"{max(net.capacity)} units; {seeds} seeds: mean, and in brackets the widest distance from it\n"
        )
        curves = {one: [(rho, runs["A", name, rho, 0.0, one]) for rho in loads] for one in A_STRATEGIES}
        rows = {one: [values for _, values in points] for one, points in curves.items()}
        text.append(_table("model A, carried / bound at load", [f"{rho:g}" for rho in loads], rows))
        heads = [f"{rho:g}, {depth:g} s" for rho, depth in STORES]
        rows = {one: [runs["B", name, rho, depth, one] for rho, depth in STORES] for one in B_STRATEGIES}
        text.append(_table("model B, carried / bound at load, store", heads, rows))
        picture = RESULTS / f"{label('--topology', name, *(['--quick'] if asked.quick else []))}.svg"
        routing_plot.draw(net.name, curves, picture)
        text.append(f"picture: benchmarks/results/{picture.name}\n\n")
    text.append(routing_speed.figures(quick=asked.quick))
    return "".join(text)


def _table(title: str, heads: Sequence[str], rows: dict[str, list[list[float]]]) -> str:
    lines = [f"{title:40}" + "".join(f"{head:>15}" for head in heads)]
    for name, cells in rows.items():
        lines.append(f"  {name:38}" + "".join(f"{_cell(values):>15}" for values in cells))
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float]) -> str:
    mean = statistics.fmean(values)
    return f"{mean:.3f} ({max(abs(one - mean) for one in values):.3f})"
