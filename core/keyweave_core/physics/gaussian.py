"""GG02 continuous-variable QKD against collective attacks, reverse reconciliation, asymptotic.

Rule of this file: pure formulas in shot-noise units. Covariance-matrix analysis as in Lodewyck et al. 2007
(PRA 76, 042305) for homodyne and Fossier et al. 2009 for heterodyne detection: with a trusted receiver Eve
does not hold its loss and noise; with an untrusted one both are counted to the channel.
"""

import math
from dataclasses import dataclass

from keyweave_core.physics.profiles import Gg02


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianFigures:
    """Per symbol: mutual information, Holevo bound and key in bits; and Bob's signal-to-noise ratio."""

    mutual_information: float
    holevo_bound: float
    key: float
    snr: float


def gg02(protocol: Gg02, transmittance: float, extra_noise: float = 0.0) -> GaussianFigures:
    """The asymptotic figures of one symbol over a channel of `transmittance` (0 < T <= 1).

    `extra_noise` (>= 0, shot-noise units at the channel input) is added to the profile's. The key is never
    negative: below zero there is none.
    """
    noise = protocol.excess_noise + extra_noise
    variance = protocol.modulation + 1
    quadratures = 2 if protocol.heterodyne else 1
    efficiency, electronic = protocol.efficiency, protocol.electronic
    if not protocol.trusted_receiver:
        noise += quadratures * electronic / (transmittance * efficiency)
        transmittance *= efficiency
        efficiency, electronic = 1.0, 0.0
    line = 1 / transmittance - 1 + noise
    receiver = (quadratures - efficiency + quadratures * electronic) / efficiency
    total = line + receiver / transmittance
    ratio = (variance + total) / (1 + total)
    information = quadratures / 2 * math.log2(ratio)
    holevo = _holevo(variance, transmittance, line, receiver, total, heterodyne=protocol.heterodyne)
    key = max(0.0, protocol.reconciliation * information - holevo)
    return GaussianFigures(mutual_information=information, holevo_bound=holevo, key=key, snr=ratio - 1)


def _holevo(
    variance: float, transmittance: float, line: float, receiver: float, total: float, *, heterodyne: bool
) -> float:
    """Eve's bound from the symplectic eigenvalues before and after Bob's measurement."""
    a = variance**2 * (1 - 2 * transmittance) + 2 * transmittance
    a += transmittance**2 * (variance + line) ** 2
    root_b = transmittance * (variance * line + 1)
    scale = transmittance * (variance + total)
    if heterodyne:
        c = a * receiver**2 + root_b**2 + 1
        c += 2 * receiver * (variance * root_b + transmittance * (variance + line))
        c = (c + 2 * transmittance * (variance**2 - 1)) / scale**2
        d = ((variance + root_b * receiver) / scale) ** 2
    else:
        c = (variance * root_b + transmittance * (variance + line) + a * receiver) / scale
        d = root_b * (variance + root_b * receiver) / scale
    before = _entropies(a, root_b**2)
    after = _entropies(c, d)
    return max(0.0, before - after)


def _entropies(total: float, product: float) -> float:
    """Entropy of the two modes whose squared symplectic eigenvalues have this sum and product."""
    root = math.sqrt(max(0.0, total**2 - 4 * product))
    larger = (total + root) / 2
    # The smaller one by the product: the difference would cancel.
    smaller = product / larger
    return _mode_entropy(larger) + _mode_entropy(smaller)


def _mode_entropy(squared: float) -> float:
    x = (math.sqrt(squared) - 1) / 2
    if x <= 0:
        return 0.0
    return (x + 1) * math.log2(x + 1) - x * math.log2(x)
