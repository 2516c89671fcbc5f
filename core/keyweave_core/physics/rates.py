"""From a fibre to its figures: secret key rate, QBER and signal-to-noise ratio.

Rule of this file: pure. The rate of a device is the formula of its protocol times its calibration, never
above the repeaterless bound of the fibre (Pirandola, Laurenza, Ottaviani, Banchi 2017), and zero above the
error ratio at which the device stops.
"""

import math
from dataclasses import dataclass, replace
from typing import TypeVar, assert_never

from keyweave_core.model.units import clamp_uint32
from keyweave_core.physics.discrete import bbm92, decoy_bb84, dps
from keyweave_core.physics.gaussian import gg02
from keyweave_core.physics.profiles import Bbm92, DecoyBb84, DeviceProfile, Dps, Gg02


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFigures:
    """What a link does: secret bit/s (0..2**32-1); QBER as a ratio 0..0.5 or SNR in dB, by technology."""

    skr_bps: int
    qber: float | None
    snr_db: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What was added to a fibre: loss in dB, excess noise and counts of stray light, all >= 0.

    Excess noise is an additional error probability for discrete variables, shot-noise units at the channel
    input for continuous ones. `noise_counts` are detections per gate that no signal caused (see `raman`):
    they add to the background of discrete variables; continuous ones have them in `excess_noise`.
    """

    extra_loss_db: float = 0.0
    excess_noise: float = 0.0
    noise_counts: float = 0.0


def link_figures(
    profile: DeviceProfile, loss_db: float, disturbance: Disturbance, *, calibration: float = 1.0
) -> LinkFigures:
    """The figures of a device pair over a fibre of `loss_db` (>= 0) under a disturbance.

    `calibration` (> 0) is the fibre's own factor on top of the device's (see `calibration_for`).
    """
    loss_db += disturbance.extra_loss_db
    rate, qber, snr_db = _rate_bps(profile, loss_db, disturbance)
    rate = min(rate * calibration, repeaterless_bound_bps(profile, loss_db))
    if qber is not None and profile.qber_limit is not None and qber > profile.qber_limit:
        rate = 0.0
    return LinkFigures(skr_bps=clamp_uint32(math.floor(rate)), qber=qber, snr_db=snr_db)


def calibration_for(profile: DeviceProfile, loss_db: float, rate_bps: int) -> float:
    """The factor by which the model of `profile` gives just `rate_bps` (> 0) at `loss_db`.

    ValueError when the device makes no key at that loss, or the rate is above the repeaterless bound.
    """
    modelled = link_figures(profile, loss_db, Disturbance()).skr_bps
    if modelled == 0:
        raise ValueError(f"{profile.name} makes no key at {loss_db} dB")
    bound = repeaterless_bound_bps(profile, loss_db)
    if rate_bps > bound:
        raise ValueError(f"{rate_bps} bit/s is above the bound of {bound:.0f} bit/s at {loss_db} dB")
    raw, _, _ = _rate_bps(profile, loss_db, Disturbance())
    # Half a bit/s on top: rounding down later must not lose the published number.
    return (rate_bps + 0.5) / raw


def repeaterless_bound(loss_db: float) -> float:
    """Most secret bits per pulse over a fibre of `loss_db` without a repeater (PLOB); infinite at 0 dB."""
    transmittance = 10 ** (-loss_db / 10)
    if transmittance >= 1:
        return math.inf
    return -math.log1p(-transmittance) / math.log(2)


def repeaterless_bound_bps(profile: DeviceProfile, loss_db: float) -> float:
    """`repeaterless_bound` times the pulses a second of `profile`."""
    return profile.pulse_rate_hz * repeaterless_bound(loss_db)


def _rate_bps(
    profile: DeviceProfile, loss_db: float, disturbance: Disturbance
) -> tuple[float, float | None, float | None]:
    """Rate in bit/s before any bound, QBER, SNR in dB."""
    transmittance = 10 ** (-loss_db / 10)
    per_second = profile.pulse_rate_hz * profile.calibration
    excess_noise = disturbance.excess_noise
    match profile.protocol:
        case DecoyBb84():
            pulse = decoy_bb84(_in_stray_light(profile.protocol, disturbance), transmittance, excess_noise)
        case Dps():
            pulse = dps(_in_stray_light(profile.protocol, disturbance), transmittance, excess_noise)
        case Bbm92():
            pulse = bbm92(_in_stray_light(profile.protocol, disturbance), transmittance, excess_noise)
        case Gg02():
            symbol = gg02(profile.protocol, transmittance, excess_noise)
            rate = per_second * profile.protocol.key_share * symbol.key
            # So much loss that no signal is left in a float has no figure, not minus infinity.
            return rate, None, 10 * math.log10(symbol.snr) if symbol.snr > 0 else None
        case _:
            assert_never(profile.protocol)
    return per_second * pulse.key, pulse.qber, None


_Counting = TypeVar("_Counting", DecoyBb84, Dps, Bbm92)


def _in_stray_light(protocol: _Counting, disturbance: Disturbance) -> _Counting:
    """The protocol with the background that it sees: dark counts, or stray light, or both."""
    if disturbance.noise_counts <= 0:
        return protocol
    lit = -math.expm1(-disturbance.noise_counts)  # at least one photon in the gate
    return replace(protocol, background=protocol.background + (1 - protocol.background) * lit)
