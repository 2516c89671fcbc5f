"""Finding ways in a mesh: the cheapest, the cheapest within bounds, the cheapest several, the widest.

Rule of this file: pure searches over places, whatever the prices mean. Prices are whole numbers (as floats,
so sums are exact below 2**53) of at least `floor` a link, so the least number of links to the target times
`floor` never overestimates what is left and A* stays exact (Hart, Nilsson, Raphael 1968). Ties are decided by
places, so the same network gives the same way whatever the machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf

from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A way that is looked for: places of its ends, the rate that must fit, the bounds that it must keep."""

    source: int
    target: int
    rate_bps: int
    max_hops: int
    max_latency_us: int | None = None


def cheapest(mesh: Mesh, priced: PriceList, ask: Ask, *, cap: float = inf) -> Way | None:
    """The cheapest way that fits and keeps its bounds, when it costs no more than `cap`; else None."""
    return _spur(mesh, priced, ask, (), ask.source, frozenset(), cap)


def price_of(priced: PriceList, way: Way) -> float:
    """What a way costs."""
    prices = priced.prices
    return sum(prices[link] for link in way)


def _spur(
    mesh: Mesh,
    priced: PriceList,
    ask: Ask,
    root: Way,
    start: int,
    banned: frozenset[int],
    cap: float = inf,
) -> Way | None:
    """The cheapest way on from `start`, the end of `root`: meets none of its nodes, begins with no `banned`.

    Most often the cheapest of all keeps the bounds; only when it does not they are looked at on the way.
    """
    met = mesh.nodes_of(ask.source, root)[:-1] if root else []
    way = _best(mesh, priced, ask, start, met, banned, cap)
    if way is None or _within(mesh, ask, root + way):
        return way
    return _bounded(mesh, priced, ask, root, start, met, banned, cap)


def _within(mesh: Mesh, ask: Ask, way: Way) -> bool:
    if len(way) > ask.max_hops:
        return False
    return ask.max_latency_us is None or sum(mesh.latency_us[link] for link in way) <= ask.max_latency_us


def _best(
    mesh: Mesh,
    priced: PriceList,
    ask: Ask,
    start: int,
    met: Sequence[int],
    banned: frozenset[int],
    cap: float,
) -> Way | None:
    """Without bounds. The heap breaks ties by node place, the comparison of equals by the links taken."""
    target, rate = ask.target, ask.rate_bps
    ahead, unit = _ahead(mesh, priced, ask)
    if ahead[start] < 0:
        return None
    prices, room, around, inside = priced.prices, mesh.room, mesh.around, mesh.inside
    reached, before = [inf] * len(inside), [-1] * len(inside)
    for node in met:
        reached[node] = -1.0  # nothing is cheaper, so it is never entered
    reached[start] = so_far = 0.0
    waiting: list[tuple[float, int, float]] = []
    steps: Iterable[tuple[int, int]] = around[start]
    if banned:
        steps = [step for step in steps if step[0] not in banned]
    here = start
    while here != target:
        for link, there in steps:
            further = so_far + prices[link]
            if further < reached[there] and room[link] >= rate:
                reached[there] = further
                before[there] = link
                heappush(waiting, (further + ahead[there] * unit, there, further))
        while waiting:
            least, here, so_far = heappop(waiting)
            if least > cap:
                return None
            if so_far <= reached[here] and (inside[here] or here == target):
                break
        else:
            return None
        steps = around[here]
    way = []
    while here != start:
        link = before[here]
        way.append(link)
        here = mesh.a[link] if mesh.b[link] == here else mesh.b[link]
    way.reverse()
    return tuple(way)


def _hops(mesh: Mesh, ask: Ask) -> Sequence[int]:
    """Links from every node to the target, at least; an ask that closed links fit counts those, too."""
    return mesh.hops_to(ask.target) if ask.rate_bps <= CLOSED else mesh.least_hops_to(ask.target)


def _ahead(mesh: Mesh, priced: PriceList, ask: Ask) -> tuple[Sequence[float], float]:
    """What is left from every node to the target at least, in units of this price; below 0: no chain."""
    if priced.least is None:
        return _hops(mesh, ask), priced.floor
    target, least = ask.target, priced.least
    found = priced.ahead.get(target)
    if found is None:
        found = priced.ahead[target] = [-1.0] * len(mesh.inside)
        waiting = [(0.0, target)]
        while waiting:
            so_far, here = heappop(waiting)
            if found[here] < 0:
                found[here] = so_far
                for link, there in mesh.around[here]:
                    if found[there] < 0:
                        heappush(waiting, (so_far + least[link], there))
    return found, 1.0


@dataclass(frozen=True, slots=True)
class _Label:
    """A way from the start of a search: its last link and node, what it costs and takes so far."""

    node: int
    link: int
    price: float
    links: int
    us: int
    before: "_Label | None"

    def meets(self, node: int) -> bool:
        """The way passes there already."""
        label: _Label | None = self
        while label is not None:
            if label.node == node:
                return True
            label = label.before
        return False

    def way(self) -> Way:
        """All its links."""
        links, label = [], self
        while label.before is not None:
            links.append(label.link)
            label = label.before
        return tuple(reversed(links))


def _bounded(
    mesh: Mesh,
    priced: PriceList,
    ask: Ask,
    root: Way,
    start: int,
    met: Sequence[int],
    banned: frozenset[int],
    cap: float,
) -> Way | None:
    """Within the bounds: labels that no other label of the same node beats in price, links and time together.

    The links still needed at least kill the hopeless ones early.
    """
    target, hops, room, latency = ask.target, _hops(mesh, ask), mesh.room, mesh.latency_us
    (ahead, unit), prices, most_us = _ahead(mesh, priced, ask), priced.prices, ask.max_latency_us
    settled: dict[int, list[tuple[int, int]]] = {}
    order = count()
    first = _Label(start, -1, 0.0, len(root), sum(latency[link] for link in root), None)
    waiting = [(ahead[start] * unit, 0.0, first.links, first.us, next(order), first)]
    while waiting:
        least, _, links, us, _, label = heappop(waiting)
        if least > cap:
            return None
        here = label.node
        if here == target:
            return label.way()
        beaten = settled.setdefault(here, [])
        if any(fewer <= links and sooner <= us for fewer, sooner in beaten):
            continue
        beaten.append((links, us))
        if here != ask.source and not mesh.inside[here]:
            continue
        for link, there in mesh.around[here]:
            left, then_us = hops[there], 0 if most_us is None else us + latency[link]
            if (
                room[link] < ask.rate_bps
                or left < 0
                or links + 1 + left > ask.max_hops
                or (most_us is not None and then_us > most_us)
                or (here == start and link in banned)
                or there in met
                or label.meets(there)
            ):
                continue
            price = label.price + prices[link]
            further = _Label(there, link, price, links + 1, then_us, label)
            heappush(waiting, (price + ahead[there] * unit, price, links + 1, then_us, next(order), further))
    return None


def ranked(mesh: Mesh, priced: PriceList, ask: Ask) -> Iterator[Way]:
    """Loop-free ways within the bounds, cheapest first.

    J. Yen, Finding the K Shortest Loopless Paths in a Network, Management Science 17, 1971.
    """
    first = cheapest(mesh, priced, ask)
    if first is None:
        return
    waiting: list[tuple[float, Way]] = [(price_of(priced, first), first)]
    known, past = {first}, []
    while waiting:
        _, way = heappop(waiting)
        yield way
        past.append(way)
        nodes = mesh.nodes_of(ask.source, way)
        for turn in range(len(way)):
            root = way[:turn]
            banned = frozenset(one[turn] for one in past if one[:turn] == root)
            spur = _spur(mesh, priced, ask, root, nodes[turn], banned)
            if spur is not None and (found := root + spur) not in known:
                known.add(found)
                heappush(waiting, (price_of(priced, found), found))


def widest(mesh: Mesh, priced: PriceList, ask: Ask) -> Way | None:
    """The way whose tightest link has most room; among those the cheapest that keeps the bounds.

    The width is found by halving: whatever fits a wider way fits a narrower one.
    """
    widths = sorted({room for room in mesh.room if room >= ask.rate_bps}, reverse=True)
    low, high = 0, len(widths) - 1
    found: Way | None = None
    while low <= high:  # the wider the way must be, the fewer links: feasibility falls as the width grows
        middle = (low + high) // 2
        narrowed = Ask(
            source=ask.source,
            target=ask.target,
            rate_bps=widths[middle],
            max_hops=ask.max_hops,
            max_latency_us=ask.max_latency_us,
        )
        way = cheapest(mesh, priced, narrowed)
        if way is None:
            low = middle + 1
        else:
            found, high = way, middle - 1
    return found
