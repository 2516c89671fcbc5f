"""Finding ways in a mesh: the cheapest, the cheapest within bounds, the cheapest several, the widest.

Rule of this file: pure searches over places, whatever the prices mean. Prices are whole numbers (as floats,
so sums are exact below 2**53) of at least `floor` a link, so the least number of links to the target times
`floor` never overestimates what is left and A* stays exact (Hart, Nilsson, Raphael 1968). Ties are decided by
places, so the same network gives the same way whatever the machine.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from keyweave_controller.control.mesh import CLOSED, Mesh, PriceList, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A way that is looked for: places of its ends, the rate that must fit, the bounds that it must keep."""

    source: int
    target: int
    rate_bps: int
    max_hops: int
    max_latency_us: int | None = None


def cheapest(mesh: Mesh, priced: PriceList, ask: Ask) -> Way | None:
    """The cheapest way that fits and keeps its bounds; None when there is none."""
    way = _best(mesh, priced, ask)
    if way is None or _within(mesh, ask, way):
        return way
    return _spur(mesh, priced.prices, ask, (), ask.source, frozenset())


def price_of(priced: PriceList, way: Way) -> float:
    """What a way costs."""
    prices = priced.prices
    return sum(prices[link] for link in way)


def _within(mesh: Mesh, ask: Ask, way: Way) -> bool:
    if len(way) > ask.max_hops:
        return False
    return ask.max_latency_us is None or sum(mesh.latency_us[link] for link in way) <= ask.max_latency_us


def _best(mesh: Mesh, priced: PriceList, ask: Ask) -> Way | None:
    """Without bounds. The heap breaks ties by node place, the comparison of equals by the links taken."""
    source, target, rate = ask.source, ask.target, ask.rate_bps
    hops, floor, prices = _hops(mesh, ask), priced.floor, priced.prices
    room, around, inside = mesh.room, mesh.around, mesh.inside
    if hops[source] < 0:
        return None
    reached: dict[int, float] = {source: 0.0}
    before: dict[int, tuple[int, int]] = {}
    done: set[int] = set()
    waiting = [(hops[source] * floor, 0.0, source)]
    while waiting:
        _, so_far, here = heapq.heappop(waiting)
        if here in done:
            continue
        if here == target:
            return _links(before, source, target)
        done.add(here)
        if here != source and not inside[here]:
            continue
        for link, there in around[here]:
            if there in done or room[link] < rate:
                continue
            further = so_far + prices[link]
            known = reached.get(there)
            if known is None or further < known:
                reached[there] = further
                before[there] = (here, link)
                heapq.heappush(waiting, (further + hops[there] * floor, further, there))
    return None


def _hops(mesh: Mesh, ask: Ask) -> list[int]:
    """Links from every node to the target, at least; an ask that closed links fit counts those, too."""
    return mesh.hops_to(ask.target) if ask.rate_bps <= CLOSED else mesh.least_hops_to(ask.target)


def _links(before: dict[int, tuple[int, int]], source: int, target: int) -> Way:
    way = []
    here = target
    while here != source:
        here, link = before[here]
        way.append(link)
    return tuple(reversed(way))


def _spur(
    mesh: Mesh, prices: Sequence[float], ask: Ask, root: Way, start: int, banned: frozenset[int]
) -> Way | None:
    """The cheapest way on from `start`, the end of `root`: meets none of its nodes, begins with no `banned`.

    Labels that no other label of the same node beats in price, links and time together; the links still
    needed at least kill the hopeless ones early.
    """
    target, hops, room, latency = ask.target, _hops(mesh, ask), mesh.room, mesh.latency_us
    most_us = ask.max_latency_us
    met = frozenset(mesh.nodes_of(ask.source, root)[:-1])
    spent_us = sum(latency[link] for link in root)
    settled: dict[int, list[tuple[int, int]]] = {}
    order = count()
    waiting: list[tuple[float, int, int, int, int, Way, frozenset[int]]] = [
        (0.0, 0, spent_us, next(order), start, (), met | {start})
    ]
    while waiting:
        price, links, us, _, here, way, seen = heapq.heappop(waiting)
        if here == target:
            return way
        beaten = settled.setdefault(here, [])
        if any(fewer <= links and sooner <= us for fewer, sooner in beaten):
            continue
        beaten.append((links, us))
        if here != ask.source and not mesh.inside[here]:
            continue
        for link, there in mesh.around[here]:
            if there in seen or room[link] < ask.rate_bps or (not way and link in banned):
                continue
            left = hops[there]
            if left < 0 or len(root) + links + 1 + left > ask.max_hops:
                continue
            then_us = 0 if most_us is None else us + latency[link]
            if most_us is not None and then_us > most_us:
                continue
            step = (
                price + prices[link],
                links + 1,
                then_us,
                next(order),
                there,
                (*way, link),
                seen | {there},
            )
            heapq.heappush(waiting, step)
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
        _, way = heapq.heappop(waiting)
        yield way
        past.append(way)
        nodes = mesh.nodes_of(ask.source, way)
        for turn in range(len(way)):
            root = way[:turn]
            banned = frozenset(one[turn] for one in past if one[:turn] == root)
            spur = _spur(mesh, priced.prices, ask, root, nodes[turn], banned)
            if spur is not None and (found := root + spur) not in known:
                known.add(found)
                heapq.heappush(waiting, (price_of(priced, found), found))


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
