"""Finite keys: how much secret key one block of detections gives, for links that are open for minutes only.

Rule of this file: pure formulas. Decoy BB84 with three intensities and two bases, the key from one of them
(Lim, Curty, Walenta, Xu, Zbinden, PRA 89, 022307, 2014), the fluctuations of counts bounded by Hoeffding's
inequality as there, or by the tighter Chernoff bounds (Yin et al., Sci. Rep. 10, 14312, 2020). A link whose
loss changes is integrated first and then distilled as one block: the bounds cost the square root of what was
counted, so one large block gives more than many small ones.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, assert_never

from keyweave_core.physics.discrete import binary_entropy

Fluctuations = Literal["hoeffding", "chernoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiniteDecoy:
    """A transmitter and receiver pair that distils one block.

    Intensities `mu_1` > `mu_2` + `mu_3`, `mu_2` > `mu_3` >= 0 are sent with `share_1`, `share_2` and the
    rest; both ends choose the key basis with `key_basis` (0..1). `background` is the dark yield of both
    detectors per gate, `misalignment` the error probability of a detected photon, `afterpulse` the
    probability of a click after a click, `efficiency` the receiver's transmittance (1 when the loss holds
    it), `correction` the error-correction inefficiency (>= 1), `secrecy` and `correctness` the failures that
    are allowed.
    """

    pulse_rate_hz: float
    mu_1: float
    mu_2: float
    mu_3: float
    share_1: float
    share_2: float
    key_basis: float
    background: float
    misalignment: float
    afterpulse: float
    efficiency: float
    correction: float
    secrecy: float = 1e-9
    correctness: float = 1e-15
    fluctuations: Fluctuations = "hoeffding"

    def __post_init__(self) -> None:
        if not (self.mu_1 > self.mu_2 + self.mu_3 and self.mu_2 > self.mu_3 >= 0):
            raise ValueError("intensities are mu_1 > mu_2 + mu_3 and mu_2 > mu_3 >= 0")
        if not (self.share_1 > 0 and self.share_2 > 0 and self.share_1 + self.share_2 < 1):
            raise ValueError("share_1 and share_2 are above 0 and leave something for the third intensity")
        if not 0 < self.key_basis < 1:
            raise ValueError(f"key_basis is between 0 and 1, not {self.key_basis}")

    @property
    def intensities(self) -> tuple[tuple[float, float], ...]:
        """Mean photon number and share of the pulses, brightest first."""
        last = 1 - self.share_1 - self.share_2
        return ((self.mu_1, self.share_1), (self.mu_2, self.share_2), (self.mu_3, last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What came of a block: secret bits (0 when the bounds leave none), detections in the key basis, QBER."""

    key_bits: int
    sifted: float
    qber: float


DOWNLINK_100MHZ = FiniteDecoy(
    pulse_rate_hz=1e8,
    mu_1=0.7921,
    mu_2=0.1707,
    mu_3=0.0,
    share_1=0.7501,
    share_2=0.1749,
    key_basis=0.7611,
    background=2e-7,
    misalignment=0.001,
    afterpulse=0.001,
    efficiency=1.0,
    correction=1.16,
    fluctuations="chernoff",
)
"""A small satellite over a ground station: the example of the open program SatQuMA 2.0."""

DOWNLINKS = MappingProxyType({"downlink-100mhz": DOWNLINK_100MHZ})
"""Every satellite device by name."""


def distil(device: FiniteDecoy, slots: Iterable[tuple[float, float]]) -> Block:
    """One block out of slots of (seconds, loss in dB), each >= 0, in any order."""
    key_counts, key_errors = [0.0, 0.0, 0.0], 0.0
    test_counts, test_errors = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    both_key, both_test = device.key_basis**2, (1 - device.key_basis) ** 2
    for seconds, loss_db in slots:
        pulses = seconds * device.pulse_rate_hz
        eta = device.efficiency * 10 ** (-loss_db / 10)
        for place, (mu, share) in enumerate(device.intensities):
            photons = -math.expm1(-eta * mu)
            clicks = 1 - (1 - device.background) * (1 - photons)
            errors = device.background / 2 + device.misalignment * photons + device.afterpulse * clicks / 2
            sent = pulses * share
            key_counts[place] += sent * both_key * clicks * (1 + device.afterpulse)
            key_errors += sent * both_key * errors
            test_counts[place] += sent * both_test * clicks * (1 + device.afterpulse)
            test_errors[place] += sent * both_test * errors
    sifted = sum(key_counts)
    qber = min(0.5, key_errors / sifted) if sifted > 0 else 0.5
    nothing = Block(key_bits=0, sifted=sifted, qber=qber)
    vacuum, single = _photon_counts(device, key_counts)
    _, test_single = _photon_counts(device, test_counts)
    if single <= 0 or test_single <= 0:
        return nothing
    low, high = _bounds(device, test_errors)
    wrong = max(0.0, _sent(device, 1) * (high[1] - low[2]) / (device.mu_2 - device.mu_3))
    seen = wrong / test_single
    phase = seen + _fluctuation(device.secrecy, seen, test_single, single)
    if phase >= 0.5:
        return nothing
    key = vacuum + single * (1 - binary_entropy(phase)) - device.correction * sifted * binary_entropy(qber)
    key -= 6 * math.log2(21 / device.secrecy) + math.log2(2 / device.correctness)
    return Block(key_bits=max(0, math.floor(key)), sifted=sifted, qber=qber)


def _sent(device: FiniteDecoy, photons: int) -> float:
    """The probability that a pulse has just this many photons."""
    return sum(
        share * math.exp(-mu) * mu**photons / math.factorial(photons) for mu, share in device.intensities
    )


def _bounds(device: FiniteDecoy, counts: list[float]) -> tuple[list[float], list[float]]:
    """Least and most of the counts that infinitely many pulses of each intensity would give."""
    unlikely = math.log(21 / device.secrecy)
    low, high = [], []
    for (mu, share), count in zip(device.intensities, counts, strict=True):
        match device.fluctuations:
            case "hoeffding":
                down = up = math.sqrt(sum(counts) / 2 * unlikely)
            case "chernoff":
                down = min(count, unlikely / 2 + math.sqrt(2 * count * unlikely + unlikely**2 / 4))
                up = unlikely + math.sqrt(2 * count * unlikely + unlikely**2)
            case _:
                assert_never(device.fluctuations)
        low.append(math.exp(mu) / share * (count - down))
        high.append(math.exp(mu) / share * (count + up))
    return low, high


def _photon_counts(device: FiniteDecoy, counts: list[float]) -> tuple[float, float]:
    """Lower bounds of the detections that had no photon, and just one."""
    low, high = _bounds(device, counts)
    mu_1, mu_2, mu_3 = device.mu_1, device.mu_2, device.mu_3
    none, one = _sent(device, 0), _sent(device, 1)
    vacuum = max(0.0, none * (mu_2 * low[2] - mu_3 * high[1]) / (mu_2 - mu_3))
    rest = (mu_2**2 - mu_3**2) / mu_1**2 * (high[0] - vacuum / none)
    single = one * mu_1 * (low[1] - high[2] - rest) / (mu_1 * (mu_2 - mu_3) - mu_2**2 + mu_3**2)
    return vacuum, max(0.0, single)


def _fluctuation(failure: float, ratio: float, test: float, key: float) -> float:
    """How much more errors the key may have than the test showed (random sampling without replacement)."""
    if ratio >= 1:
        return 1.0
    ratio = max(ratio, 1 / (test + 1))  # no error at all leaves the bound open; one is never better than none
    spread = (test + key) * (1 - ratio) * ratio / (test * key * math.log(2))
    inside = (test + key) / (test * key * (1 - ratio) * ratio) * (21 / failure) ** 2
    return math.sqrt(max(0.0, spread * math.log2(inside)))
