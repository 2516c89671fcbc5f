"""Discrete-variable protocols: decoy BB84, differential phase shift and BBM92, asymptotic.

Rule of this file: pure formulas, per pulse. `transmittance` is that of the fibre alone (0..1); the
receiver's efficiency is in the protocol's parameters. `extra_error` (>= 0) is added to the misalignment, at
most one half in all. Sources: Ma, Qi, Zhao, Lo 2005 (quant-ph/0503005); Waks, Takesue, Yamamoto 2006; Ma,
Fung, Lo 2007 (quant-ph/0703122).
"""

import math
from dataclasses import dataclass
from typing import assert_never

from keyweave_core.physics.profiles import Bbm92, DecoyBb84, Dps


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseFigures:
    """Secret bits per pulse (never negative) and the error ratio of the sifted key (0..0.5)."""

    key: float
    qber: float


def binary_entropy(probability: float) -> float:
    """h2 in bits; 0 at and outside the ends of 0..1."""
    if not 0 < probability < 1:
        return 0.0
    rest = 1 - probability
    return -probability * math.log2(probability) - rest * math.log2(rest)


def decoy_bb84(protocol: DecoyBb84, transmittance: float, extra_error: float = 0.0) -> PulseFigures:
    """Decoy-state BB84 with infinitely many decoys, vacuum and weak, or a single weak decoy.

    The single-photon yield and error are known (infinite), or bounded from the gains of the decoys.
    """
    eta = transmittance * protocol.efficiency
    misalignment = min(0.5, protocol.misalignment + extra_error)
    y0, mu, nu = protocol.background, protocol.mu, protocol.nu
    gain, errors = _gain(mu, eta, y0, misalignment)
    qber = errors / gain if gain > 0 else 0.5
    match protocol.scheme:
        case "infinite":
            yield_1 = y0 + eta
            errors_1 = y0 / 2 + misalignment * eta
        case "vacuum+weak":
            weak_gain, weak_errors = _gain(nu, eta, y0, misalignment)
            yield_1 = _yield_bound(mu, nu, gain, weak_gain, y0)
            errors_1 = (weak_errors * math.exp(nu) - y0 / 2) / nu
        case "one-decoy":
            weak_gain, weak_errors = _gain(nu, eta, y0, misalignment)
            # No vacuum pulses: every error of the signal may be a dark count.
            worst_y0 = min(errors * math.exp(mu), weak_errors * math.exp(nu)) / 0.5
            yield_1 = _yield_bound(mu, nu, gain, weak_gain, worst_y0)
            errors_1 = min(errors * math.exp(mu) / mu, weak_errors * math.exp(nu) / nu)
        case _:
            assert_never(protocol.scheme)
    if yield_1 <= 0:
        return PulseFigures(key=0.0, qber=qber)
    error_1 = min(0.5, max(0.0, errors_1 / yield_1))
    key = yield_1 * mu * math.exp(-mu) * (1 - binary_entropy(error_1))
    key -= gain * protocol.correction * binary_entropy(qber)
    return PulseFigures(key=max(0.0, protocol.sifting * key), qber=qber)


def _gain(intensity: float, eta: float, background: float, misalignment: float) -> tuple[float, float]:
    """Gain Q and erroneous gain E*Q of pulses of this mean photon number."""
    photons = -math.expm1(-eta * intensity)
    return background + photons, background / 2 + misalignment * photons


def _yield_bound(mu: float, nu: float, gain: float, weak_gain: float, background: float) -> float:
    """Lower bound of the single-photon yield (Ma et al. 2005)."""
    bound = weak_gain * math.exp(nu) - gain * math.exp(mu) * (nu / mu) ** 2
    bound -= (mu**2 - nu**2) / mu**2 * background
    return mu / (mu * nu - nu**2) * bound


def dps(protocol: Dps, transmittance: float, extra_error: float = 0.0) -> PulseFigures:
    """Differential phase shift against individual attacks."""
    photons = -math.expm1(-transmittance * protocol.efficiency * protocol.mu)
    sifted = photons + protocol.background
    if sifted <= 0:
        return PulseFigures(key=0.0, qber=0.5)
    misalignment = min(0.5, protocol.misalignment + extra_error)
    qber = (misalignment * photons + protocol.background / 2) / sifted
    return PulseFigures(key=sifted * dps_key_share(qber, protocol.mu, protocol.correction), qber=qber)


def dps_key_share(qber: float, mu: float, correction: float) -> float:
    """Secret bits per sifted bit of DPS; 0 at the threshold and above."""
    if qber >= 1 / 6:  # the collision probability is derived for smaller errors only
        return 0.0
    collision = 1 - qber**2 - (1 - 6 * qber) ** 2 / 2
    return max(0.0, -(1 - 2 * mu) * math.log2(collision) - correction * binary_entropy(qber))


def bbm92(protocol: Bbm92, transmittance: float, extra_error: float = 0.0) -> PulseFigures:
    """Entanglement-based BB84, the source halfway between two equal receivers."""
    eta = math.sqrt(transmittance) * protocol.efficiency
    dark, pairs = 1 - protocol.background, protocol.pairs
    one = 1 + eta * pairs
    both = 1 + 2 * eta * pairs - eta**2 * pairs
    gain = 1 - 2 * dark / one**2 + dark**2 / both**2
    if gain <= 0:
        return PulseFigures(key=0.0, qber=0.5)
    misalignment = min(0.5, protocol.misalignment + extra_error)
    right = 2 * (0.5 - misalignment) * eta**2 * pairs * (1 + pairs) / (one**2 * both)
    qber = min(0.5, max(0.0, 0.5 - right / gain))
    key = gain * (1 - (1 + protocol.correction) * binary_entropy(qber))
    return PulseFigures(key=max(0.0, protocol.sifting * key), qber=qber)
