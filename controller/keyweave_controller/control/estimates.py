"""How much is asked of each link, learnt from what it carries, and what one more promise on it costs later.

Rule of this file: plain numbers, learnt from demands and their ends with the times of the events that told
of them, so a replay learns the same; sums, products and quotients alone, so every machine learns the same.
What prices are made of (`LinkEstimate.offered`, `.steady`) changes only when `watch` says so.

The shadow price of a link with room for N mean demands, of which k are taken and A are offered, is

    p(k) = B(N, A) / B(k, A)      B: Erlang's loss formula, 1/B(k, A) = 1 + k/A * 1/B(k-1, A), 1/B(0, A) = 1

the demands that will be lost on the link because one more was taken now (T. J. Ott, K. R. Krishnan, Separable
routing, Annals of Operations Research 35, 1992; Z. Dziong, L. G. Mason, Call admission and routing in
multi-service loss networks, IEEE Trans. Commun. 42, 1994). Demands of several rates r count as demands of
the size sum(r*r)/sum(r), in which a link with such traffic is as peaked (Hayward's approximation: A. A.
Fredericks, Congestion in blocking systems, Bell System Tech. J. 59, 1980). What is offered is not seen, only
what is carried: A solves A (1 - B(N, A)) = what the link carries on average over `HORIZON_STAYS` mean stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from keyweave_core.model.ids import LinkId

LOOKS_A_STAY = 20
"""How often what links carry is looked at, in the time that a demand stays on average."""

HORIZON_STAYS = 6.0
"""Time constant of the averages, in mean stays."""

YOUNG_STAYS = 4.0
"""So many mean stays after the first demand a network is thought to have filled; nothing is learnt before."""

FIRST_SERVERS, MOST_SERVERS = 32, 128
"""Mean demands that a link is thought to hold before anything is known, and at most."""

RATIO_STEPS = 256
"""Offered load is kept as a whole number of this many parts of the link."""

LEAST_RATIO, FIRST_RATIO, MOST_RATIO = 0.4, 0.75, 1.5
"""Offered load of a link as a share of it: at least, before anything is known, at most."""

TEMPER = 0.75
"""Share of the offered load that the price is reckoned with. A demand that one link cannot take often goes
another way, so a link costs less than by Erlang's formula, which counts it as lost. Found by measurement."""

_SHORTEST_S, _STAYS_KEPT, _SIZES_KEPT = 1e-9, 500, 2_000


@lru_cache(maxsize=4_096)
def prices_of(servers: int, offered: int) -> tuple[float, ...]:
    """Shadow prices with 0..`servers` taken, 1 when all are. `offered`: load in `RATIO_STEPS`."""
    load = offered * servers / RATIO_STEPS
    inverse = [1.0]
    for taken in range(1, servers + 1):
        inverse.append(1.0 + taken / load * inverse[-1])
    return tuple(one / inverse[-1] for one in inverse)


@lru_cache(maxsize=4_096)
def offered_of(servers: int, carried: int) -> int:
    """The load that must be offered for this much to be carried, both in parts of the link."""
    least, most = int(LEAST_RATIO * RATIO_STEPS), int(MOST_RATIO * RATIO_STEPS)
    while least < most:
        middle = (least + most) // 2
        lost = prices_of(servers, middle)[0]  # B(N, A), since B(0, A) is 1
        if middle * (1.0 - lost) < carried:
            least = middle + 1
        else:
            most = middle
    return least


@dataclass(slots=True, kw_only=True)
class LinkEstimate:
    """One link. `carried_bps`, `price`: averages until now; `offered`, `steady`: what prices are made of."""

    carried_bps: float = 0.0
    price: float = 0.0  # its shadow price, 0..1
    offered: int = int(FIRST_RATIO * RATIO_STEPS)  # parts of the link
    steady: float = -1.0  # its mean price when prices were made last; below 0: not known yet


@dataclass(slots=True, kw_only=True)
class Estimates:
    """What was learnt: of each link, and how large demands are and how long they stay. Serialises to JSON."""

    links: dict[LinkId, LinkEstimate] = field(default_factory=dict)
    first_at: float | None = None  # when the first demand came
    demands: int = 0
    rate_sum: float = 0.0  # of the rates of the last demands, and of their squares
    square_sum: float = 0.0
    ended: int = 0
    stay_s: float = 0.0  # mean; 0: nothing ended yet
    weight: float = 0.0  # of the averages: nearly 1 when much has been seen
    seen_at: float | None = None
    made_at: float | None = None
    size_bps: float = 0.0  # of a mean demand, when prices were made last; 0: not known yet

    def demanded(self, rate_bps: int, at: float) -> None:
        """Somebody asks for this rate, granted or not."""
        if self.first_at is None:
            self.first_at = at
        self.demands += 1
        keep = 1.0 - 1.0 / min(self.demands, _SIZES_KEPT)
        self.rate_sum = keep * self.rate_sum + rate_bps
        self.square_sum = keep * self.square_sum + float(rate_bps) * rate_bps

    def left(self, stay_s: float) -> None:
        """A demand ended after so long."""
        self.ended += 1
        self.stay_s += (max(stay_s, _SHORTEST_S) - self.stay_s) / min(self.ended, _STAYS_KEPT)

    def watch(
        self, links: Sequence[LinkId], usable: Sequence[int], reserved: Sequence[int], at: float
    ) -> bool:
        """Look at what links carry at this moment, when it is time; True when prices are to be made anew.

        `usable` and `reserved` are bit/s, in the order of `links`. Nothing is learnt while all is young.
        """
        if self.stay_s <= 0.0 or self.first_at is None or at - self.first_at < YOUNG_STAYS * self.stay_s:
            return False
        if self.seen_at is None or self.made_at is None:
            self.seen_at = self.made_at = at
        passed = at - self.seen_at
        if passed * LOOKS_A_STAY < self.stay_s:
            return False
        self.seen_at = at
        horizon = HORIZON_STAYS * self.stay_s
        keep = horizon / (horizon + passed)
        self.weight = keep * self.weight + (1.0 - keep)
        for link_id, most, held in zip(links, usable, reserved, strict=True):
            one = self.links.get(link_id)
            if one is None:
                one = self.links[link_id] = LinkEstimate()
            one.carried_bps = keep * one.carried_bps + (1.0 - keep) * held
            one.price = keep * one.price + (1.0 - keep) * self.shadow(link_id, most).at(held)
        if at - self.made_at < self.stay_s:
            return False
        self._make(links, usable, at)
        return True

    def _make(self, links: Sequence[LinkId], usable: Sequence[int], at: float) -> None:
        self.made_at = at
        self.size_bps = self.square_sum / self.rate_sum if self.rate_sum else 0.0
        self.links = {link_id: self.links[link_id] for link_id in links}
        for link_id, most in zip(links, usable, strict=True):
            one = self.links[link_id]
            one.steady = min(1.0, one.price / self.weight)
            servers, _ = self._servers(most)
            carried = one.carried_bps / self.weight / max(1, most)
            one.offered = offered_of(servers, min(RATIO_STEPS, round(carried * RATIO_STEPS)))

    def _servers(self, usable_bps: int) -> tuple[int, float]:
        """How many mean demands a link holds, and their size, bit/s."""
        size = max(1.0, self.size_bps or usable_bps / FIRST_SERVERS)
        servers = max(1, round(usable_bps / size))
        return (servers, size) if servers <= MOST_SERVERS else (MOST_SERVERS, usable_bps / MOST_SERVERS)

    def shadow(self, link_id: LinkId, usable_bps: int) -> "Shadow":
        """The shadow prices of a link that may promise so much in all."""
        one = self.links.get(link_id, _UNKNOWN)
        servers, size = self._servers(usable_bps)
        prices = prices_of(servers, max(1, round(one.offered * TEMPER)))
        # A third of a mean demand further: the price in the middle of what is to be promised.
        return Shadow(usable_bps, usable_bps - size * (servers + 1 / 3), 1.0 / size, prices, one.steady)


@dataclass(frozen=True, slots=True)
class Shadow:
    """The shadow prices of one link. `steady`: their mean over the time before; below 0: not known yet."""

    usable_bps: int
    start_bps: float  # promised from here on, the first server is taken
    per_bps: float
    prices: tuple[float, ...]
    steady: float

    def at(self, reserved_bps: int) -> float:
        """The price (0..1) of a little more when so much is promised already."""
        taken = (reserved_bps - self.start_bps) * self.per_bps
        prices, whole = self.prices, int(taken)
        if taken <= 0.0:
            return prices[0]
        if whole >= len(prices) - 1:
            return prices[-1]
        return prices[whole] + (prices[whole + 1] - prices[whole]) * (taken - whole)


_UNKNOWN = LinkEstimate()
