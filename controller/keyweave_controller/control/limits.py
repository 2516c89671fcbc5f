"""The cheapest way that keeps bounds on its length: links, and time.

Rule of this file: the same graphs as in `flows`; a bound counts for each way by itself. Without a bound that
binds it costs one search; where one binds, labels that no other label of their node beats in cost, links and
time together are carried on, and what cannot reach the destination within the bounds any more is dropped
(H. Joksch, The shortest route problem with constraints, J. Math. Anal. Appl. 14, 1966).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from keyweave_controller.control.flows import NEVER, Around, Way, cheapest_way


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Most links, and most latency in microseconds (`latency_us` of each link); None: any."""

    max_hops: int | None = None
    latency_us: Sequence[int] = ()
    max_latency_us: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is anything to keep."""
        return self.max_hops is not None or self.max_latency_us is not None

    def keep(self, way: Way) -> bool:
        """Whether a way keeps them."""
        if self.max_hops is not None and len(way) > self.max_hops:
            return False
        return (
            self.max_latency_us is None or sum(self.latency_us[link] for link in way) <= self.max_latency_us
        )


def cheapest_within(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    source: int,
    destination: int,
    limits: Limits,
) -> Way | None:
    """The cheapest way that keeps the limits, exactly; None when there is none."""
    way = cheapest_way(around, costs, inside, source, destination)
    if way is None or limits.keep(way):
        return way
    ends = (source, destination)
    most_hops = NEVER if limits.max_hops is None else limits.max_hops
    most_us = NEVER if limits.max_latency_us is None else limits.max_latency_us
    times: Sequence[float] = limits.latency_us if limits.max_latency_us is not None else [0.0] * len(costs)
    cost_left = _left_to(around, costs, costs, inside, ends)
    hops_left = _left_to(around, costs, [1.0] * len(costs), inside, ends)
    us_left = _left_to(around, costs, times, inside, ends)
    labels: list[tuple[int, int]] = [(-1, -1)]  # (label before, link)
    kept: dict[int, list[tuple[int, float]]] = {}
    # Sorted by what the whole way costs at least; then fewest links, least time, smallest node, oldest label.
    waiting = [(cost_left[source], 0, 0.0, source, 0, 0.0)]
    while waiting:
        _, hops, us, here, label, cost = heappop(waiting)
        if here == destination:
            return _links(labels, label)
        beating = kept.setdefault(here, [])
        if any(fewer <= hops and sooner <= us for fewer, sooner in beating):
            continue
        beating.append((hops, us))
        if here != source and not inside[here]:
            continue
        for link, there in around[here]:
            then = us + times[link]
            if hops + 1 + hops_left[there] > most_hops or then + us_left[there] > most_us:
                continue
            further = cost + costs[link]
            if further + cost_left[there] < NEVER:
                labels.append((label, link))
                least = further + cost_left[there]
                heappush(waiting, (least, hops + 1, then, there, len(labels) - 1, further))
    return None


def bent(costs: Sequence[float], limits: Limits) -> Iterator[list[float]]:
    """The costs, with rising prices put on each link, or on its latency, until these alone count."""
    usable = [cost for cost in costs if cost < NEVER]
    mean = sum(usable) / max(1, len(usable))
    times = limits.latency_us if limits.max_latency_us is not None else ()
    mean_us = sum(times) / max(1, len(times))
    for factor in (0, 1, 4, 16, 64, 256):
        price = float(round(factor * mean)) or float(factor)
        hop = price if limits.max_hops is not None else 0.0
        if mean_us:
            yield [cost + hop + round(price * us / mean_us) for cost, us in zip(costs, times, strict=True)]
        else:
            yield [cost + hop for cost in costs]


def _links(labels: list[tuple[int, int]], label: int) -> Way:
    links = []
    while label:
        label, link = labels[label]
        links.append(link)
    return tuple(reversed(links))


def _left_to(
    around: Around,
    costs: Sequence[float],
    weights: Sequence[float],
    inside: Sequence[bool] | bytearray,
    ends: tuple[int, int],
) -> list[float]:
    """The least weight from each node to the second of `ends` over links that may be used (Dijkstra)."""
    source, destination = ends
    left = [NEVER] * len(around)
    left[destination] = 0.0
    waiting = [(0.0, destination)]
    while waiting:
        so_far, here = heappop(waiting)
        if so_far > left[here] or here == source or not (inside[here] or here == destination):
            continue
        for link, there in around[here]:
            further = so_far + weights[link]
            if further < left[there] and costs[link] < NEVER:
                left[there] = further
                heappush(waiting, (further, there))
    return left
