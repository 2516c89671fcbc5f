"""Raman noise: the computed example, the shape of the formulas, and what noise does to key rates."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.raman import (
    LIGHT_NM_THZ,
    Scattering,
    backward_km,
    counts_per_gate,
    disturbance_of,
    forward_km,
    noise_in_shot_units,
    photons_per_second,
    watts,
)
from keyweave_core.physics.rates import Disturbance, link_figures

THZ = LIGHT_NM_THZ / 1550
FLAT = 2e-9

profiles = st.sampled_from(sorted(PROFILES))
kilometres = st.floats(0.01, 150)
attenuations = st.floats(0.15, 0.5)


def counts(scattering_km: float) -> float:
    """0.1 mW, 0.2 nm, 100 ps, a receiver that detects a tenth."""
    noise = watts(-10) * scattering_km * FLAT
    return counts_per_gate(noise, thz=THZ, filter_nm=0.2, gate_ns=0.1, efficiency=0.1)


# Eraerds et al. 2010, with an efficiency of 2e-9 /(km nm) and 0.2 dB/km.
@pytest.mark.parametrize(
    ("km", "forward", "backward"),
    [(10, 2.0e-5, 2.0e-5), (25, 2.5e-5, 3.0e-5), (50, 1.6e-5, 3.3e-5), (80, 0.6e-5, 3.4e-5)],
)
def test_counts_of_one_channel(km: float, forward: float, backward: float) -> None:
    assert counts(forward_km(km, 0.2, 0.2)) == pytest.approx(forward, abs=0.06e-5)
    assert counts(backward_km(km, 0.2, 0.2)) == pytest.approx(backward, abs=0.06e-5)


@given(kilometres, attenuations, attenuations)
def test_both_directions_agree_with_the_integral(km: float, classical: float, quantum: float) -> None:
    steps = 2000
    a, b = classical * math.log(10) / 10, quantum * math.log(10) / 10
    middles = [(step + 0.5) * km / steps for step in range(steps)]
    forward = sum(math.exp(-a * x - b * (km - x)) for x in middles) * km / steps
    backward = sum(math.exp(-(a + b) * x) for x in middles) * km / steps
    assert forward_km(km, classical, quantum) == pytest.approx(forward, rel=1e-3)
    assert backward_km(km, classical, quantum) == pytest.approx(backward, rel=1e-3)
    assert backward >= forward * (1 - 1e-9) or classical > quantum


def test_levels() -> None:
    assert watts(0) == pytest.approx(1e-3)
    assert watts(-10) == pytest.approx(1e-4)
    assert photons_per_second(1e-3, THZ) == pytest.approx(7.803e15, rel=1e-3)


def test_a_vanishing_shift_has_the_reference_efficiency() -> None:
    fibre = Scattering()
    assert fibre.efficiency(193.4, 193.4) == 2e-9
    assert fibre.efficiency(193.4, 193.405) == pytest.approx(2e-9, rel=1e-3)
    assert fibre.efficiency(193.4, 193.395) == pytest.approx(2e-9, rel=1e-3)


def test_redder_light_gets_more_noise_than_bluer_by_the_phonons() -> None:
    fibre = Scattering(temperature_k=300)
    for shift in (1.0, 5.0, 13.2, 30.0):
        red, blue = fibre.efficiency(193.4, 193.4 - shift), fibre.efficiency(193.4, 193.4 + shift)
        assert red / blue == pytest.approx(
            math.exp(6.62607e-34 * shift * 1e12 / (1.380649e-23 * 300)), rel=1e-4
        )
        assert red > 2e-9 > blue or shift > 13.2


def test_the_o_band_is_far_from_light_in_the_c_band() -> None:
    o_band = LIGHT_NM_THZ / 1310
    assert Scattering().efficiency(193.4, o_band) < 2e-9 / 300
    assert Scattering().efficiency(193.4, 193.4 - 41) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"efficiency_per_km_nm": 0.0},
        {"efficiency_per_km_nm": math.nan},
        {"peak_thz": 50.0},
        {"end_thz": math.inf},
        {"temperature_k": 0.0},
    ],
)
def test_scattering_has_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Scattering(**wrong)


def test_shot_noise_of_one_photon_a_mode() -> None:
    """A density of one photon a mode and polarisation, two in all, is two shot-noise units."""
    joule = 1 / photons_per_second(1.0, THZ)
    per_nm = 2 * joule * THZ**2 * 1e12 / LIGHT_NM_THZ
    assert noise_in_shot_units(per_nm, thz=THZ) == pytest.approx(2)


def test_excess_noise_is_referred_to_the_channel_input() -> None:
    profile = PROFILES["cv-gg02-lodewyck"]
    noise = watts(0) * FLAT * forward_km(25, 0.2, 0.2)
    near = disturbance_of(profile, noise, loss_db=0, thz=THZ, filter_nm=0.2, gate_ns=1)
    far = disturbance_of(profile, noise, loss_db=5, thz=THZ, filter_nm=0.8, gate_ns=9)
    assert far.excess_noise == pytest.approx(near.excess_noise * 10**0.5)
    assert far.excess_noise == pytest.approx(3.1e-3, rel=0.02)
    assert far.noise_counts == 0


def test_counts_are_background_and_half_of_them_errors() -> None:
    profile = PROFILES["bb84-t12-1ghz"]
    quiet = link_figures(profile, 10, Disturbance())
    lit = link_figures(profile, 10, Disturbance(noise_counts=1e-4))
    darker = replace(profile, protocol=replace(profile.protocol, background=4.2e-5 + 1e-4 * (1 - 4.2e-5)))  # type: ignore[arg-type]  # one of the protocols
    assert lit.skr_bps == pytest.approx(link_figures(darker, 10, Disturbance()).skr_bps, rel=1e-3)
    assert lit.skr_bps < quiet.skr_bps
    assert lit.qber is not None
    assert quiet.qber is not None
    assert lit.qber > quiet.qber


@given(profiles, st.floats(0, 60), st.floats(0, 1e-3), st.floats(0, 1e-3))
def test_more_light_never_gives_more_key(name: str, loss_db: float, one: float, other: float) -> None:
    """Noise power per nm up to far more than any fibre scatters."""
    profile, (less, more) = PROFILES[name], sorted((one, other))
    rates = [
        link_figures(
            profile,
            loss_db,
            disturbance_of(profile, noise, loss_db=loss_db, thz=THZ, filter_nm=0.2, gate_ns=0.1),
        ).skr_bps
        for noise in (0.0, less * 1e-6, more * 1e-6, less, more)
    ]
    assert rates[0] >= rates[1] >= rates[2]
    assert rates[3] >= rates[4]


@given(profiles, st.floats(0, 60), st.floats(0, 60), st.floats(0, 1))
def test_more_loss_under_light_never_gives_more_key(
    name: str, one: float, other: float, noise_counts: float
) -> None:
    profile, (less, more) = PROFILES[name], sorted((one, other))
    lit = Disturbance(noise_counts=noise_counts)
    assert link_figures(profile, less, lit).skr_bps >= link_figures(profile, more, lit).skr_bps
