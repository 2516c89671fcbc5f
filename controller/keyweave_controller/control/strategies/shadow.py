"""Shadow prices: what one more promise on a link costs those who come later, as `estimates` learns it.

`shadow-price` takes the way whose links cost least now, unless that is well more than the demand is worth.
Erlang's formula overstates a little, because a demand that one way cannot take often finds another.

`steady-price` prices a link half by what it holds now and half by its mean shadow price of the time before,
and refuses later. The price of a moment swings with every arrival, so links that are full in turn look cheap
in turn; the mean stands for what the link is worth to the network as a whole, and keeps long ways off links
that are scarce most of the time. What it gains: docs/strategies.md.
"""

from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.strategies.choosing import SCALE, WORTH, Cheapest


def _now(mesh: Mesh, link: int) -> float:
    return float(1 + round(SCALE * mesh.shadow(link).at(mesh.reserved[link])))


def _half_steady(mesh: Mesh, link: int) -> float:
    shadow = mesh.shadow(link)
    price = shadow.at(mesh.reserved[link])
    return float(1 + round(SCALE * (price if shadow.steady < 0.0 else (price + shadow.steady) / 2)))


def _least(mesh: Mesh, link: int) -> float:
    """Of an empty link."""
    return float(1 + round(SCALE * mesh.shadow(link).prices[0]))


def _least_half_steady(mesh: Mesh, link: int) -> float:
    shadow = mesh.shadow(link)
    price = shadow.prices[0]
    return float(1 + round(SCALE * (price if shadow.steady < 0.0 else (price + shadow.steady) / 2)))


SHADOW_PRICE = Cheapest(
    name="shadow-price",
    price=_now,
    floor=1.0,
    cap=1.15 * WORTH,
    least=_least,
    learnt=True,
)
STEADY_PRICE = Cheapest(
    name="steady-price",
    price=_half_steady,
    floor=1.0,
    cap=1.3 * WORTH,
    least=_least_half_steady,
    learnt=True,
)
