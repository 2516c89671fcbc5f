"""Raman noise: what bright classical channels in the same fibre scatter into a quantum channel.

Rule of this file: pure formulas. Light of launch power P scatters a share `efficiency` of itself into every
nanometre of bandwidth on every kilometre; what reaches an end of the fibre is (Eraerds, Walenta, Legré,
Gisin, Zbinden, New J. Phys. 12, 063027, 2010)

    forward    P efficiency (e^-al - e^-bl) / (b - a), with a = b:  P l e^-al efficiency
    backward   P efficiency (1 - e^-(a+b)l) / (a + b)

for attenuation a of the classical and b of the quantum wavelength (1/km). "Forward" is at the far end from
where P is launched, "backward" at the same end. The efficiency depends on the shift between the two
wavelengths (`Scattering`).

A photon counter counts the noise photons that its filter and gate let in: they add to the background Y0. A
coherent receiver is its own filter: only noise in the mode of the local oscillator counts, half a photon of
two polarisations each, and one photon adds two shot-noise units.
"""

import math
from dataclasses import dataclass

from keyweave_core.physics.profiles import DeviceProfile, Gg02
from keyweave_core.physics.rates import Disturbance

LIGHT_NM_THZ = 299_792.458
"""Speed of light in nm THz: wavelength = this / frequency."""

_PLANCK_J_S = 6.626_070_15e-34
_BOLTZMANN_J_K = 1.380_649e-23


@dataclass(frozen=True, slots=True, kw_only=True)
class Scattering:
    """How strongly a fibre scatters, and how that depends on the shift between two wavelengths.

    `efficiency_per_km_nm` (> 0) is the share at a vanishing shift; 2e-9 /(km nm) is of the order measured
    near 1550 nm. From there the photons follow the Raman gain of silica and the phonons that are there at
    `temperature_k` (> 0): times n + 1 when the quantum channel is the redder one, times n when it is the
    bluer one, with n = 1 / (exp(h shift / k T) - 1) (Stolen, Tynes, Ippen 1972). The gain is taken as a
    triangle: rising to `peak_thz` (silica: 13.2), then falling to nothing at `end_thz` (silica: about 40).
    The real gain falls faster behind its peak, so noise far from the classical light (a quantum channel in
    the O band) is rather over- than underrated. ValueError for values out of bounds.
    """

    efficiency_per_km_nm: float = 2e-9
    peak_thz: float = 13.2
    end_thz: float = 40.0
    temperature_k: float = 295.0

    def __post_init__(self) -> None:
        if not 0 < self.efficiency_per_km_nm <= 1e-6:
            raise ValueError(
                f"efficiency_per_km_nm is above 0, at most 1e-6, not {self.efficiency_per_km_nm}"
            )
        if not 0 < self.peak_thz < self.end_thz <= 100:
            raise ValueError(
                f"peak_thz and end_thz are in order, 0..100, not {self.peak_thz} and {self.end_thz}"
            )
        if not 1 <= self.temperature_k <= 1000:
            raise ValueError(f"temperature_k is 1..1000, not {self.temperature_k}")

    def efficiency(self, classical_thz: float, quantum_thz: float) -> float:
        """Share of the classical power scattered into 1 nm on 1 km, at the quantum channel's frequency."""
        shift_thz = abs(classical_thz - quantum_thz)
        if shift_thz >= self.end_thz:
            return 0.0
        if shift_thz < 1e-3:
            return self.efficiency_per_km_nm
        gain = shift_thz
        if shift_thz > self.peak_thz:
            gain = self.peak_thz * (self.end_thz - shift_thz) / (self.end_thz - self.peak_thz)
        thermal_thz = _BOLTZMANN_J_K * self.temperature_k / _PLANCK_J_S / 1e12
        phonons = 1 / math.expm1(shift_thz / thermal_thz)
        if quantum_thz < classical_thz:
            phonons += 1
        # gain * phonons tends to thermal_thz for a vanishing shift: that is the reference.
        return self.efficiency_per_km_nm * gain * phonons / thermal_thz


def watts(dbm: float) -> float:
    """Power in watts of a level in dBm."""
    return float(10 ** ((dbm - 30) / 10))


def forward_km(km: float, classical_db_per_km: float, quantum_db_per_km: float) -> float:
    """Length in km that, times launch power and efficiency, gives the forward noise in W/nm.

    `km` >= 0; attenuations > 0 in dB/km.
    """
    a, b = _per_km(classical_db_per_km), _per_km(quantum_db_per_km)
    difference = (b - a) * km
    if abs(difference) < 1e-9:
        return km * math.exp(-a * km)
    return km * math.exp(-a * km) * -math.expm1(-difference) / difference


def backward_km(km: float, classical_db_per_km: float, quantum_db_per_km: float) -> float:
    """Length in km that, times launch power and efficiency, gives the backward noise in W/nm."""
    total = _per_km(classical_db_per_km) + _per_km(quantum_db_per_km)
    return -math.expm1(-total * km) / total


def photons_per_second(power_w: float, thz: float) -> float:
    """Photons of this frequency that a power is made of."""
    return power_w / (_PLANCK_J_S * thz * 1e12)


def counts_per_gate(
    noise_w_per_nm: float, *, thz: float, filter_nm: float, gate_ns: float, efficiency: float
) -> float:
    """Noise counts per gate of a photon counter, not yet bounded by one.

    `noise_w_per_nm` (>= 0) arrives at the receiver; `filter_nm` and `gate_ns` are its filter and gate,
    `efficiency` (0..1) what it detects of the light that they pass.
    """
    return photons_per_second(noise_w_per_nm * filter_nm, thz) * gate_ns * 1e-9 * efficiency


def noise_in_shot_units(noise_w_per_nm: float, *, thz: float) -> float:
    """Noise that a coherent receiver sees at its input, in shot-noise units.

    The spectral density in W/Hz over the energy of a photon is the number of photons a mode; half of them
    have the polarisation of the local oscillator; each photon of a thermal mode adds two shot-noise units
    (variance 2 n + 1).
    """
    nm_per_hz = LIGHT_NM_THZ / thz**2 / 1e12
    photons = photons_per_second(noise_w_per_nm * nm_per_hz, thz)
    return 2 * photons / 2


def disturbance_of(
    profile: DeviceProfile,
    noise_w_per_nm: float,
    *,
    loss_db: float,
    thz: float,
    filter_nm: float,
    gate_ns: float,
) -> Disturbance:
    """What noise arriving at the receiver does to a device: `rates.link_figures` takes the answer.

    Photon counters: counts per gate added to the background. Coherent receivers: excess noise referred to the
    channel input, as that of the protocol is, so what arrives is divided by the transmittance of `loss_db`.
    BBM92 has two receivers; both are taken to see the noise of this one.
    """
    if isinstance(profile.protocol, Gg02):
        arriving = noise_in_shot_units(noise_w_per_nm, thz=thz)
        return Disturbance(excess_noise=arriving * 10 ** (loss_db / 10))
    return Disturbance(
        noise_counts=counts_per_gate(
            noise_w_per_nm,
            thz=thz,
            filter_nm=filter_nm,
            gate_ns=gate_ns,
            efficiency=profile.protocol.efficiency,
        )
    )


def _per_km(db_per_km: float) -> float:
    return db_per_km * math.log(10) / 10
