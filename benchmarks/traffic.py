"""Networks and demands of the routing benchmarks, and the exact bound that results are held against.

A network is a lab topology. A link longer than 80 km is ceil(km/80) equal spans in a row with one rate, hence
one link here; its capacity goes with 10^(-0.02 km of a span) and all are scaled so that the mean link holds
`MEAN_HELD` mean requests, in whole units of rate. Demands are uniform over all ordered pairs of sites. Load
`rho` is what is offered, as a share of the maximum concurrent flow: the most that all pairs can have alike.

Bound: the maximum multi-commodity flow with no more for a pair than it offers, by linear programming over
edges (HiGHS), demands of one source in one commodity, which is exact. Nothing that routes and splits as it
likes, and knows all demands, carries more on average.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from keyweave_controller.control.mesh import Mesh
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_lab.graphs import read_any
from keyweave_lab.topology_file import topology_path

MEAN_HELD = 43
"""Mean requests that the mean link holds."""

RATES = (1, 2, 4)
"""Units of rate that a request may ask for, alike often."""

MEAN_RATE = sum(RATES) / len(RATES)

UNIT_BPS = 1_000
"""One unit of rate, bit/s."""

SPAN_KM = 80.0
"""Longest span of a quantum channel."""

ANY_HOPS = 256


@dataclass(frozen=True, slots=True)
class Net:
    """Sites by place, links as pairs of places with a capacity in units of rate."""

    name: str
    sites: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    capacity: tuple[int, ...]
    km: tuple[float, ...]

    def mesh(self) -> Mesh:
        """An empty mesh in which the place of a site and of a link is that of this network."""
        ids = [LinkId(f"{place:05}") for place in range(len(self.links))]
        nodes = [NodeId(f"{place:05}") for place in range(len(self.sites))]
        mesh = Mesh(nodes, ((ids[i], nodes[a], nodes[b]) for i, (a, b) in enumerate(self.links)))
        mesh.inside = [True] * len(nodes)
        for link, units in enumerate(self.capacity):
            mesh.km[link] = self.km[link]
            mesh.open(link, usable_bps=units * UNIT_BPS)
        return mesh


def read_net(name_or_path: str) -> Net:
    """The network of a lab topology (shipped name, YAML, GraphML, GML, JSON); relays join into their link."""
    path = Path(name_or_path)
    topology = read_any(path if path.exists() else topology_path(name_or_path))
    relay_of = {node.name: node.relay_of for node in topology.nodes}
    whole: dict[tuple[str, str], tuple[float, float]] = {}
    for link in topology.links:
        long = relay_of[link.a] or relay_of[link.b]
        first, _, second = long.partition("~") if long else (link.a, "", link.b)
        length, _ = whole.get((first, second), (0.0, 0.0))
        length += link.length_km
        span = link.length_km if long else link.length_km / math.ceil(link.length_km / SPAN_KM)
        whole[first, second] = (length, span)
    sites = tuple(sorted(name for name, relay in relay_of.items() if relay is None))
    place = {name: number for number, name in enumerate(sites)}
    worth = [10 ** (-0.02 * span) for _, span in whole.values()]
    scale = MEAN_HELD * MEAN_RATE * len(worth) / sum(worth)
    return Net(
        name=topology.name,
        sites=sites,
        links=tuple((place[a], place[b]) for a, b in whole),
        capacity=tuple(max(1, round(scale * one)) for one in worth),
        km=tuple(length for length, _ in whole.values()),
    )


def concurrent_flow(net: Net) -> float:
    """Units of rate that every ordered pair can have at once."""
    return _solve(net, alike=True, offered=0.0) / (len(net.sites) * (len(net.sites) - 1))


def most_carried(net: Net, offered_pair: float) -> float:
    """Units of rate that can be carried in all when every ordered pair offers `offered_pair` units."""
    return _solve(net, alike=False, offered=offered_pair)


def _solve(net: Net, *, alike: bool, offered: float) -> float:
    """The most that can be carried: of each pair alike, or up to `offered` units of each ordered pair.

    Links carry both directions together, so a pair and its reverse are one demand of twice the size.
    Variables: flow of each source on each arc, then the rates of the pairs (one for all when alike).
    """
    size, arcs = len(net.sites), [*net.links, *((b, a) for a, b in net.links)]
    flows = (size - 1) * len(arcs)
    pairs = [(s, t) for s in range(size) for t in range(s + 1, size)]
    rows, columns, values = [], [], []
    for s in range(size - 1):
        for arc, (a, b) in enumerate(arcs):
            for node, sign in ((a, -1.0), (b, 1.0)):
                rows.append(s * size + node)
                columns.append(s * len(arcs) + arc)
                values.append(sign)
    for number, (s, t) in enumerate(pairs):
        for node, sign in ((s, 1.0), (t, -1.0)):
            rows.append(s * size + node)
            columns.append(flows if alike else flows + number)
            values.append(2.0 * sign if alike else sign)
    rates = 1 if alike else len(pairs)
    balance = coo_array((values, (rows, columns)), shape=((size - 1) * size, flows + rates)).tocsr()
    link_rows = [arc % len(net.links) for _ in range(size - 1) for arc in range(len(arcs))]
    shared = coo_array(
        (np.ones(flows), (link_rows, range(flows))), shape=(len(net.links), flows + rates)
    ).tocsr()
    worth = np.zeros(flows + rates)
    worth[flows:] = -1.0
    bounds = [(0, None)] * (flows + 1) if alike else [(0, None)] * flows + [(0, 2 * offered)] * rates
    found = linprog(
        worth, A_ub=shared, b_ub=net.capacity, A_eq=balance, b_eq=np.zeros(balance.shape[0]), bounds=bounds,
        method="highs-ipm",
    )  # fmt: skip
    if not found.success:
        raise RuntimeError(f"{net.name}: no bound: {found.message}")
    return -found.fun * size * (size - 1) if alike else -found.fun


@dataclass(frozen=True, slots=True)
class Arrival:
    """A demand: when it comes, between which sites, how much it wants, how long it stays (model A)."""

    at: float
    source: int
    target: int
    units: int
    stays: float


def arrivals(
    net: Net, *, total_units: float, until: float, seed: int, rates: Sequence[int]
) -> Iterator[Arrival]:
    """Poisson arrivals that offer `total_units` on average, uniform over ordered pairs, mean stay 1.

    The same seed draws the same stream whatever is done with it, so strategies meet the same demands.
    """
    draw = random.Random(seed)  # noqa: S311 - drawn demands, no secrets
    per_time = total_units * len(rates) / sum(rates)
    at, sites = 0.0, len(net.sites)
    while True:
        at += draw.expovariate(per_time)
        if at > until:
            return
        source = draw.randrange(sites)
        target = (source + 1 + draw.randrange(sites - 1)) % sites
        yield Arrival(at, source, target, rates[draw.randrange(len(rates))], draw.expovariate(1.0))
