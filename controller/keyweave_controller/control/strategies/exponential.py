"""Exponential prices: of the share that is promised, and of the share of the key store that is gone.

A link of which the share x is used costs (MU**x - 1) / (MU - 1) of what a demand is worth: nearly nothing
while there is room, all of it when the link is full. A way that costs more than the cap is refused, although
it fits, because what it would take is worth more to those who come later. B. Awerbuch, Y. Azar, S. Plotkin,
Throughput-competitive on-line routing, FOCS 1993, prove that with MU of the order of the longest way times
the spread of values this loses no more than a factor O(log MU) against a planner who knows all demands. A
cap above 1 does better on average; it was found by measurement (docs/strategies.md).
"""

from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.strategies.choosing import SCALE, WORTH, Cheapest

MU = 1_000

_PARTS = 1_024
_STEP = 1.0067686592927223  # MU ** (1 / _PARTS)


def _table() -> tuple[float, ...]:
    """Prices of used shares in parts of `_PARTS`; products alone, so every machine finds the same."""
    powers = [1.0]
    for _ in range(_PARTS):
        powers.append(powers[-1] * _STEP)
    return tuple(float(1 + round(SCALE * (one - 1.0) / (MU - 1.0))) for one in powers)


_PRICES = _table()


def _promised(mesh: Mesh, link: int) -> float:
    """By the share of the rate that is promised."""
    usable = mesh.usable[link]
    return _PRICES[min(_PARTS, mesh.reserved[link] * _PARTS // usable)] if usable > 0 else _PRICES[_PARTS]


def _gone(mesh: Mesh, link: int) -> float:
    """By the share of the key store that is empty; a store that nobody told of counts as half empty."""
    capacity = mesh.capacity[link]
    gone = (capacity - mesh.stored[link]) * _PARTS // capacity if capacity > 0 else _PARTS // 2
    return _PRICES[max(0, min(_PARTS, gone))]


EXPONENTIAL = Cheapest(name="exponential", price=_promised, floor=1.0, cap=1.3 * WORTH)
EXPONENTIAL_STORE = Cheapest(name="exponential-store", price=_gone, floor=1.0, cap=0.7 * WORTH)
