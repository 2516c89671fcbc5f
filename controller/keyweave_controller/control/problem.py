"""Where everything runs and what wants to run, as a problem for a solver: plain values.

Rule of this file: links and nodes are places, as in the mesh that the problem was made from, so a solver
needs nothing of the state; answers name links by id, because by then the mesh may be another. Rates: bit/s.
"""

from dataclasses import dataclass

from keyweave_core.model.ids import AppId, LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class Commodity:
    """An association that may move, or that wants to be carried: then `way` is None.

    `rate_bps` is what it takes from each link, `closed` are links that it may not take, times microseconds.
    """

    app_id: AppId
    source: int
    target: int
    rate_bps: int
    max_hops: int
    max_latency_us: int | None
    closed: frozenset[int]
    way: tuple[int, ...] | None
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementProblem:
    """A network and its commodities; at most `most_moves` of them are to be moved.

    `rooms` are what links may still promise now (below 0: nothing new), beside what everybody holds.
    `inside`: nodes that may relay.
    """

    link_ids: tuple[LinkId, ...]
    a: tuple[int, ...]
    b: tuple[int, ...]
    inside: tuple[bool, ...]
    rooms: tuple[int, ...]
    usable: tuple[int, ...]
    latency_us: tuple[int, ...]
    commodities: tuple[Commodity, ...]
    most_moves: int
