"""The devices that the emulation knows, as data: parameters of published systems.

Rule of this file: numbers and where they come from, no formula. A device's rate is the formula of its
protocol times `calibration`, the one constant that meets a published or advertised point; which point is
said beside it. Losses are dB of fibre; the receiver's own loss is inside `efficiency`.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from keyweave_core.model.link import Technology

DecoyScheme = Literal["infinite", "vacuum+weak", "one-decoy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoyBb84:
    """Decoy-state BB84 with weak coherent pulses.

    `mu` and `nu` are mean photon numbers of signal and weak decoy (0 < nu < mu; nu is unused by the infinite
    scheme), `background` the dark yield Y0 per gate, `misalignment` the error probability of a detected
    photon, `efficiency` the receiver's transmittance, `correction` the error-correction inefficiency (>= 1),
    `sifting` the share of detections in the key basis.
    """

    scheme: DecoyScheme
    mu: float
    nu: float
    background: float
    misalignment: float
    efficiency: float
    correction: float
    sifting: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dps:
    """Differential phase shift with one-bit delay; `mu` photons per pulse, other fields as in DecoyBb84."""

    mu: float
    background: float
    misalignment: float
    efficiency: float
    correction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bbm92:
    """Entangled pairs from a down-conversion source halfway; `pairs` is half the mean pair number."""

    pairs: float
    background: float
    misalignment: float
    efficiency: float
    correction: float
    sifting: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gg02:
    """Gaussian-modulated coherent states, reverse reconciliation.

    `modulation` is Alice's variance, `excess_noise` referred to the channel input and `electronic` the
    detector's noise, all in shot-noise units; `reconciliation` is beta (0..1), `key_share` the share of
    symbols that become key (not lost to parameter estimation or failed frames).
    """

    modulation: float
    excess_noise: float
    efficiency: float
    electronic: float
    reconciliation: float
    heterodyne: bool
    trusted_receiver: bool
    key_share: float


Protocol = DecoyBb84 | Dps | Bbm92 | Gg02


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """A pair of QKD devices.

    `pulse_rate_hz` is pulses or symbols a second; `qber_limit` the error ratio above which the device stops
    making key (None for continuous variables, where excess noise alone ends the key); `max_loss_db` is the
    fibre loss its data sheet allows (015 `max_absorption`).
    """

    name: str
    model: str
    technology: Technology
    protocol: Protocol
    pulse_rate_hz: float
    calibration: float
    qber_limit: float | None
    max_loss_db: float


_ALL = (
    # Gobby, Yuan, Shields 2004 with the decoy analysis of Ma et al. 2005 (quant-ph/0503005): uncalibrated, so
    # that the published rates per pulse and the reach of 140.6 km can be checked.
    DeviceProfile(
        name="bb84-gys",
        model="Emulated GYS decoy BB84 2 MHz",
        technology=Technology.DV_QKD,
        protocol=DecoyBb84(
            scheme="vacuum+weak",
            mu=0.48,
            nu=0.05,
            background=1.7e-6,
            misalignment=0.033,
            efficiency=0.045,
            correction=1.22,
            sifting=0.5,
        ),
        pulse_rate_hz=2e6,
        calibration=1.0,
        qber_limit=0.09,
        max_loss_db=29.0,
    ),
    # Efficient BB84 of Lucamarini et al. 2013 (T12): minority basis 1/16, 2.1e-5 dark counts a gate, 5.25 %
    # afterpulses, which weigh as errors by one half. Calibrated to 304 kbit/s at 14.5 dB (Tokyo 2010).
    DeviceProfile(
        name="bb84-t12-1ghz",
        model="Emulated T12 decoy BB84 1 GHz",
        technology=Technology.DV_QKD,
        protocol=DecoyBb84(
            scheme="vacuum+weak",
            mu=0.425,
            nu=0.044,
            background=4.2e-5,
            misalignment=0.031,
            efficiency=0.165,
            correction=1.10,
            sifting=(15 / 16) ** 2,
        ),
        pulse_rate_hz=1e9,
        calibration=0.5779,
        qber_limit=0.09,
        max_loss_db=24.0,
    ),
    # A rack-mounted commercial class: one decoy, gated detectors. Calibrated to 2 kbit/s at 12 dB, the order
    # that data sheets of this class give.
    DeviceProfile(
        name="bb84-one-decoy",
        model="Emulated commercial one-decoy BB84",
        technology=Technology.DV_QKD,
        protocol=DecoyBb84(
            scheme="one-decoy",
            mu=0.5,
            nu=0.15,
            background=4e-6,
            misalignment=0.012,
            efficiency=0.08,
            correction=1.16,
            sifting=0.5,
        ),
        pulse_rate_hz=40e6,
        calibration=0.1078,
        qber_limit=0.07,
        max_loss_db=18.0,
    ),
    # Differential phase shift at 1 GHz over a long span: calibrated to 2.1 kbit/s at 27 dB (Tokyo, NTT).
    DeviceProfile(
        name="dps-1ghz",
        model="Emulated DPS 1 GHz",
        technology=Technology.DV_QKD,
        protocol=Dps(mu=0.2, background=2e-8, misalignment=0.022, efficiency=0.1, correction=1.16),
        pulse_rate_hz=1e9,
        calibration=0.2290,
        qber_limit=0.0414,
        max_loss_db=33.0,
    ),
    # Polarisation-entangled pairs, source in the middle: calibrated to 2.5 kbit/s at 3.2 dB (SECOQC, 16 km).
    DeviceProfile(
        name="bbm92-spdc",
        model="Emulated BBM92 pair source",
        technology=Technology.DV_QKD,
        protocol=Bbm92(
            pairs=0.02,
            background=6.02e-6,
            misalignment=0.015,
            efficiency=0.145,
            correction=1.22,
            sifting=0.5,
        ),
        pulse_rate_hz=100e6,
        calibration=0.2153,
        qber_limit=0.09,
        max_loss_db=25.0,
    ),
    # Lodewyck et al. 2007: 350 kHz, homodyne, trusted receiver, 12.3 kbit/s at T = 0.302; uncalibrated.
    DeviceProfile(
        name="cv-gg02-lodewyck",
        model="Emulated GG02 350 kHz",
        technology=Technology.CV_QKD,
        protocol=Gg02(
            modulation=18.5,
            excess_noise=0.005,
            efficiency=0.606,
            electronic=0.041,
            reconciliation=0.898,
            heterodyne=False,
            trusted_receiver=True,
            key_share=1.0,
        ),
        pulse_rate_hz=350e3,
        calibration=1.0,
        qber_limit=None,
        max_loss_db=9.0,
    ),
    # A present-day continuous-variable pair: heterodyne, local local oscillator, 100 MBaud, half of the
    # symbols spent on estimation. Numbers of our own choice and of the usual order; uncalibrated.
    DeviceProfile(
        name="cv-het-100mbaud",
        model="Emulated CV-QKD heterodyne 100 MBaud",
        technology=Technology.CV_QKD,
        protocol=Gg02(
            modulation=4.0,
            excess_noise=0.035,
            efficiency=0.6,
            electronic=0.05,
            reconciliation=0.94,
            heterodyne=True,
            trusted_receiver=True,
            key_share=0.5,
        ),
        pulse_rate_hz=100e6,
        calibration=1.0,
        qber_limit=None,
        max_loss_db=12.0,
    ),
)

PROFILES = MappingProxyType({profile.name: profile for profile in _ALL})
"""Every device profile by name."""
