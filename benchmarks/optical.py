"""How good and how fast is the choice of fibres and wavelength for a quantum channel among classical light?

Five drawn plants: 60 sites with a switch and four modules each, 100 fibres of 2 to 25 km, 40 classical
channels of -5 dBm over one to five fibres, 40 quantum channels between neighbours. A channel is asked for
between 100 pairs of sites of each. The best candidate (four routes) is set beside the best of all loop-free
routes up to 200, and beside what is often done: the route of least loss and the first wavelength that is free
on it. Times are processor time of whole questions, the layout of the plant built anew each time.
"""

import random
from dataclasses import replace
from time import process_time

from benchmarks.figures import quantile
from keyweave_controller.control.optical.compute import compute_channels
from keyweave_controller.control.optical.equipment import ClassicalChannel, Fibre, Module, Switch
from keyweave_controller.control.optical.grid import Band
from keyweave_controller.control.optical.hearing import holder
from keyweave_controller.control.optical.layout import Layout
from keyweave_controller.control.optical.noise import Scatter, predict
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.review import SkrDemand, permit, review
from keyweave_controller.control.optical.wishes import ChannelWish
from keyweave_core.model.ids import InterfaceId
from keyweave_core.model.link import Role

SEEDS = (1, 2, 3, 4, 5)
PAIRS = 100
_SITES, _FIBRES, _CHANNELS = 60, 100, 40


async def measure() -> str:
    ours, exact, simple = 0, 0, 0
    asked: list[float] = []
    reviewed: list[float] = []
    permitted: list[float] = []
    reached = better = 0
    for seed in SEEDS:
        pick = random.Random(seed)  # noqa: S311 - drawn plants, no secrets
        plant = drawn(pick)
        demands = tuple(SkrDemand(link=channel.link, skr_bps=1000) for channel in plant.channels)
        for _ in range(PAIRS):
            a, b = pick.sample(plant.sites, 2)
            started = process_time()
            found, _ = compute_channels(plant, ChannelWish(a=a, b=b))
            asked.append((process_time() - started) * 1e3)
            if found:
                reached += 1
                ours += found[0].figures.skr_bps
                all_routes = ChannelWish(a=a, b=b, routes=200, number=1)
                best = compute_channels(plant, all_routes)[0][0].figures.skr_bps
                exact += best
                better += best > found[0].figures.skr_bps
                simple += first_fit_bps(plant, a, b)
        for fibre in plant.fibres[:20]:
            started = process_time()
            review(plant, plant.channels, demands)
            reviewed.append((process_time() - started) * 1e3)
            light = ClassicalChannel(
                name="new", source=fibre.a, fibres=(fibre.name,), channel=58, launch_dbm=10
            )
            started = process_time()
            permit(plant, light, demands)
            permitted.append((process_time() - started) * 1e3)
    rows = [
        f"{len(SEEDS) * PAIRS} pairs of sites, {reached} within reach",
        f"key rate over the best of all routes: {ours / exact:.4f} (less for {better} pairs)",
        f"key rate over least loss and first free wavelength: {ours / simple:.3f}",
        _times("candidates of one wish", asked, goal_ms=20),
        _times("review of 40 channels", reviewed),
        _times("may this classical channel be switched on", permitted),
    ]
    return "\n".join(rows) + "\n"


def drawn(pick: random.Random) -> Plant:
    """A connected plant with its classical and quantum channels."""
    sites = tuple(f"S{number:02}" for number in range(_SITES))
    joined = {(pick.randrange(there), there) for there in range(1, _SITES)}
    while len(joined) < _FIBRES:
        a, b = sorted(pick.sample(range(_SITES), 2))
        joined.add((a, b))
    fibres = tuple(
        Fibre(name=f"F{number:03}", a=sites[a], b=sites[b], km=pick.uniform(2, 25))
        for number, (a, b) in enumerate(sorted(joined))
    )
    around = {site: [fibre for fibre in fibres if site in (fibre.a, fibre.b)] for site in sites}
    plant = Plant(
        sites=sites,
        fibres=fibres,
        switches=tuple(
            Switch(
                name=f"{site}-switch",
                site=site,
                insertion_db=0.5,
                ports=100,
                fibres=tuple(fibre.name for fibre in around[site]),
            )
            for site in sites
        ),
        modules=tuple(
            Module(
                site=site,
                interface_id=InterfaceId(number),
                at=f"{site}-switch",
                role=Role.TRANSCEIVER,
                profile="bb84-t12-1ghz",
                wavelength_range="16-55",
                max_absorption_db=24.0,
            )
            for site in sites
            for number in range(1, 5)
        ),
        classical=tuple(_walk(pick, sites, around, number) for number in range(_CHANNELS)),
    )
    for fibre in pick.sample(fibres, len(fibres)):
        found, _ = compute_channels(plant, ChannelWish(a=fibre.a, b=fibre.b, number=1))
        if found and len(plant.channels) < _CHANNELS:
            made = found[0].as_channel(f"{fibre.a}-{fibre.b}")
            plant = replace(plant, channels=(*plant.channels, made))
    return plant


def _walk(
    pick: random.Random, sites: tuple[str, ...], around: dict[str, list[Fibre]], number: int
) -> ClassicalChannel:
    source = site = pick.choice(sites)
    names: list[str] = []
    seen = {site}
    for _ in range(pick.randint(1, 5)):
        onward = [fibre for fibre in around[site] if fibre.other(site) not in seen]
        if not onward:
            break
        fibre = pick.choice(onward)
        names.append(fibre.name)
        site = fibre.other(site)
        seen.add(site)
    return ClassicalChannel(
        name=f"light-{number}",
        source=source,
        fibres=tuple(names),
        channel=pick.randint(16, 60),
        launch_dbm=-5.0,
    )


def first_fit_bps(plant: Plant, a: str, b: str) -> int:
    """What the route of least loss gives on the first wavelength that nobody has there; 0 without one."""
    layout = Layout(plant)
    scatter = Scatter(layout)
    ends = [next(module for module in plant.modules if module.site == site) for site in (a, b)]
    start, end = (layout.point_of(module) for module in ends)
    for route in layout.routes(start, end, Band.C, without=frozenset(), number=1):
        free = [c for c in layout.usable(ends[0]) if not holder(layout, "", route.fibres, c)]
        if free and route.loss_db <= ends[1].max_absorption_db:
            seen = predict(
                scatter,
                scatter.sources(route, a, Band.C),
                receiver=ends[1],
                loss_db=route.loss_db,
                channel=free[0],
                calibration=1.0,
            )
            return seen.figures.skr_bps
    return 0


def _times(what: str, times_ms: list[float], *, goal_ms: float | None = None) -> str:
    p50, p99 = quantile(times_ms, 0.5), quantile(times_ms, 0.99)
    row = f"{what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    return row if goal_ms is None else f"{row} = {p99 / goal_ms:.2f} of {goal_ms:.0f} ms"
