"""Demand model B: key stores that refill, and requests that take keys from every link of a path at once.

A link makes keys at its rate until its store holds `depth_s` seconds of it; what it makes then is lost.
Poisson requests between ordered pairs alike take 1..16 keys, alike often, from the store of every link of one
path; a request that finds no path is lost. The strategy sees the stores as they were told last, every
`TOLD_S`, less what was taken since: never more than there is.

Figure: carried / bound; the bound is the same linear program, keys a second in place of rates. Carried is
the share that was given times the offered load, and in overload, where it does not matter how much more is
asked for, what was given a second.
"""

from benchmarks.traffic import ANY_HOPS, Net, arrivals
from keyweave_controller.control.strategies import Strategy
from keyweave_controller.control.ways import Ask

KEYS = tuple(range(1, 17))
"""How many keys a request may take."""

TOLD_S = 0.05
"""How often the levels of the stores are told, seconds."""

WARM_UP_S, MEASURED_S = 30.0, 150.0


def run(
    net: Net,
    strategy: Strategy,
    *,
    total_units: float,
    depth_s: float,
    seed: int,
    measured_s: float = MEASURED_S,
) -> tuple[int, int]:
    """Keys asked for after the warm-up, and keys given.

    A unit of `net.capacity` and of `total_units` is a key a second: the mean link makes a hundred, a dozen
    mean requests' worth.
    """
    mesh, links = net.mesh(), range(len(net.links))
    rate = net.capacity
    most = [one * depth_s for one in rate]
    level, told_at = list(most), 0.0
    for link in links:
        mesh.open(link, usable_bps=int(level[link]))
        mesh.store(link, stored=int(level[link]), capacity=int(most[link]))
    asked = given = 0
    until = WARM_UP_S + measured_s
    for one in arrivals(net, total_units=total_units, until=until, seed=seed, rates=KEYS):
        if one.at - told_at >= TOLD_S:
            passed, told_at = one.at - told_at, one.at
            for link in links:
                if level[link] < most[link]:
                    level[link] = min(most[link], level[link] + rate[link] * passed)
                    mesh.usable[link] = int(level[link])
                    mesh.store(link, stored=int(level[link]), capacity=int(most[link]))
        way = strategy.choose(
            mesh, Ask(source=one.source, target=one.target, rate_bps=one.units, max_hops=ANY_HOPS)
        )
        for link in way or ():
            level[link] -= one.units
            mesh.usable[link] = int(level[link])
            mesh.store(link, stored=int(level[link]), capacity=int(most[link]))
        if one.at >= WARM_UP_S:
            asked += one.units
            given += one.units if way is not None else 0
    return asked, given
