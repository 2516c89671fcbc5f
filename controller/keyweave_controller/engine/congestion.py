"""What it costs that links are full: a convex price of load, in pieces, so that a linear program can have it.

Rule of this file: pure figures. The price of one more bit/s on a link grows exponentially with the share of
it that is taken, from 1 to `BASE` (J. Aspnes et al., On-Line Routing of Virtual Circuits with Applications to
Load Balancing and Machine Scheduling, JACM 44, 1997); its sum over a link's load is taken as straight pieces
(as B. Fortz, M. Thorup, Internet Traffic Engineering by Optimizing OSPF Weights, INFOCOM 2000, do with
theirs).
"""

from itertools import pairwise
from math import log

BASE = 1_000.0
"""Price of a bit/s on a full link; on an empty one it is 1."""

_SHARES = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0)

OVERLOAD = 1e5
"""Price of a bit/s beyond what a link makes."""

UNSERVED = 2e4
"""Price of a bit/s that somebody wants and does not get: above any way that fits, below overload."""

PIECES: tuple[tuple[float, float], ...] = tuple(
    (high - low, (pow(BASE, high) - pow(BASE, low)) / ((high - low) * log(BASE)))
    for low, high in pairwise(_SHARES)
)
"""Each piece: the share of the link that it covers, and the price of a bit/s in it; then `OVERLOAD`."""


def price_of_load(load: float, capacity: float) -> float:
    """What a load costs on a link in all."""
    cost, left = 0.0, load
    for share, price in PIECES:
        taken = min(left, share * capacity)
        cost += taken * price
        left -= taken
        if left <= 0:
            return cost
    return cost + left * OVERLOAD
