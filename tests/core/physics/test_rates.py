"""Published points to tight tolerances, and the laws that every device obeys."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.physics.discrete import bbm92, binary_entropy, decoy_bb84, dps, dps_key_share
from keyweave_core.physics.gaussian import gg02
from keyweave_core.physics.profiles import PROFILES, Bbm92, DecoyBb84, DecoyScheme, Dps, Gg02
from keyweave_core.physics.rates import (
    Disturbance,
    calibration_for,
    link_figures,
    repeaterless_bound,
    repeaterless_bound_bps,
)

GYS_DB_PER_KM = 0.21

profiles = st.sampled_from(sorted(PROFILES))
losses = st.floats(0, 100)
noises = st.floats(0, 10)


def gys(scheme: DecoyScheme) -> DecoyBb84:
    protocol = PROFILES["bb84-gys"].protocol
    assert isinstance(protocol, DecoyBb84)
    return replace(protocol, scheme=scheme)


def at_km(kilometres: float) -> float:
    return float(10 ** (-GYS_DB_PER_KM * kilometres / 10))


def reach_km(scheme: DecoyScheme) -> float:
    low, high = 50.0, 200.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (middle, high) if decoy_bb84(gys(scheme), at_km(middle)).key > 0 else (low, middle)
    return low


def lodewyck() -> Gg02:
    protocol = PROFILES["cv-gg02-lodewyck"].protocol
    assert isinstance(protocol, Gg02)
    return protocol


# Ma, Qi, Zhao, Lo 2005: reach and rate of the GYS experiment.
@pytest.mark.parametrize(("scheme", "reach"), [("vacuum+weak", 140.62), ("infinite", 142.01)])
def test_reach_of_gys(scheme: DecoyScheme, reach: float) -> None:
    assert reach_km(scheme) == pytest.approx(reach, abs=0.01)


@pytest.mark.parametrize(("kilometres", "rate"), [(0, 2.555e-3), (100, 1.718e-5)])
def test_rate_of_gys_with_infinite_decoys(kilometres: float, rate: float) -> None:
    assert decoy_bb84(gys("infinite"), at_km(kilometres)).key == pytest.approx(rate, rel=5e-4)


@pytest.mark.parametrize(
    ("kilometres", "rate"), [(0, 2.414e-3), (50, 2.096e-4), (100, 1.602e-5), (140, 7.378e-8)]
)
def test_rate_of_gys_with_vacuum_and_weak_decoy(kilometres: float, rate: float) -> None:
    assert decoy_bb84(gys("vacuum+weak"), at_km(kilometres)).key == pytest.approx(rate, rel=3e-4)


def test_fewer_decoys_never_give_more() -> None:
    for kilometres in range(0, 150, 10):
        infinite, two, one = (
            decoy_bb84(gys(scheme), at_km(kilometres)).key
            for scheme in ("infinite", "vacuum+weak", "one-decoy")
        )
        assert infinite >= two >= one


# Lodewyck et al. 2007: 25 km, T = 0.302.
def test_lodewyck() -> None:
    figures = gg02(lodewyck(), 0.302)
    assert figures.mutual_information == pytest.approx(1.0436, abs=1e-4)
    assert figures.holevo_bound == pytest.approx(0.9020, abs=1e-4)
    assert figures.key == pytest.approx(0.0352, abs=1e-4)
    assert 350e3 * figures.mutual_information == pytest.approx(365.28e3, rel=1e-4)
    assert 350e3 * figures.holevo_bound == pytest.approx(315.72e3, rel=1e-4)
    assert 350e3 * figures.key == pytest.approx(12.304e3, rel=1e-4)


@pytest.mark.parametrize("heterodyne", [False, True])
def test_an_untrusted_receiver_gives_less_key_and_the_same_information(heterodyne: bool) -> None:
    trusted = replace(lodewyck(), heterodyne=heterodyne)
    untrusted = replace(trusted, trusted_receiver=False)
    for transmittance in (0.3, 0.6, 0.9):
        one, other = gg02(trusted, transmittance), gg02(untrusted, transmittance)
        assert one.mutual_information == pytest.approx(other.mutual_information, rel=1e-9)
        assert one.snr == pytest.approx(other.snr, rel=1e-9)
        assert one.holevo_bound < other.holevo_bound


def test_a_perfect_noiseless_line_gives_eve_nothing() -> None:
    perfect = replace(lodewyck(), excess_noise=0, electronic=0, efficiency=1, reconciliation=1)
    figures = gg02(perfect, 1.0)
    assert figures.holevo_bound == pytest.approx(0, abs=1e-9)
    assert figures.key == pytest.approx(figures.mutual_information)


# Waks, Takesue, Yamamoto 2006.
@pytest.mark.parametrize(("correction", "threshold"), [(1, 0.045619), (1.16, 0.041487), (1.22, 0.040123)])
def test_threshold_of_dps(correction: float, threshold: float) -> None:
    assert dps_key_share(threshold - 1e-6, 0.2, correction) > 0
    assert dps_key_share(threshold + 1e-6, 0.2, correction) == 0
    assert dps_key_share(0.5, 0.2, correction) == 0


# Ma, Fung, Lo 2007, at the best pair number: f = 1, q = 1.
@pytest.mark.parametrize(("loss_db", "rate"), [(0, 1.05706e-3), (20, 9.3588e-6)])
def test_bbm92(loss_db: float, rate: float) -> None:
    device = PROFILES["bbm92-spdc"].protocol
    assert isinstance(device, Bbm92)
    plain = replace(device, correction=1.0, sifting=1.0)
    best = max(bbm92(replace(plain, pairs=n / 2000), 10 ** (-loss_db / 10)).key for n in range(1, 400))
    assert best == pytest.approx(rate, rel=1e-4)


def test_qber_limit_of_bb84() -> None:
    assert 1 - 2 * binary_entropy(0.11003) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "loss_db", "rate_bps"),
    [
        ("bb84-t12-1ghz", 14.5, 304e3),
        ("bb84-one-decoy", 12, 2000),
        ("dps-1ghz", 27, 2100),
        ("bbm92-spdc", 3.2, 2500),
        ("cv-gg02-lodewyck", 5.2, 12.304e3),
    ],
)
def test_each_device_meets_the_point_it_is_calibrated_to(name: str, loss_db: float, rate_bps: float) -> None:
    assert link_figures(PROFILES[name], loss_db, Disturbance()).skr_bps == pytest.approx(rate_bps, rel=2e-3)


def test_figures_name_the_quality_of_the_technology() -> None:
    discrete = link_figures(PROFILES["bb84-t12-1ghz"], 10, Disturbance())
    assert discrete.qber is not None
    assert 0.03 < discrete.qber < 0.04
    assert discrete.snr_db is None
    continuous = link_figures(PROFILES["cv-het-100mbaud"], 3, Disturbance())
    assert continuous.qber is None
    assert continuous.snr_db is not None


def test_a_device_stops_at_its_qber_limit() -> None:
    strict = replace(PROFILES["bb84-t12-1ghz"], qber_limit=0.045)
    assert link_figures(strict, 5, Disturbance(excess_noise=0.01)).skr_bps > 0
    noisy = link_figures(strict, 5, Disturbance(excess_noise=0.02))
    assert noisy.skr_bps == 0
    assert noisy.qber is not None
    assert noisy.qber > 0.045


@given(profiles, losses, losses, noises)
def test_more_loss_never_gives_more_key(name: str, one: float, other: float, noise: float) -> None:
    profile, (less, more) = PROFILES[name], sorted((one, other))
    quiet = link_figures(profile, less, Disturbance(excess_noise=noise))
    assert quiet.skr_bps >= link_figures(profile, more, Disturbance(excess_noise=noise)).skr_bps >= 0


@given(profiles, losses, noises, noises)
def test_more_noise_never_gives_more_key(name: str, loss_db: float, one: float, other: float) -> None:
    profile, (less, more) = PROFILES[name], sorted((one, other))
    quiet = link_figures(profile, loss_db, Disturbance(excess_noise=less))
    noisy = link_figures(profile, loss_db, Disturbance(excess_noise=more))
    assert quiet.skr_bps >= noisy.skr_bps
    if quiet.qber is not None and noisy.qber is not None:
        assert 0 <= quiet.qber <= noisy.qber + 1e-12
        assert noisy.qber <= 0.5


@given(profiles, losses, noises, st.floats(1e-3, 1e6))
def test_no_device_beats_the_repeaterless_bound(
    name: str, loss_db: float, noise: float, calibration: float
) -> None:
    profile = PROFILES[name]
    figures = link_figures(profile, loss_db, Disturbance(excess_noise=noise), calibration=calibration)
    assert 0 <= figures.skr_bps <= repeaterless_bound_bps(profile, loss_db)


@given(profiles, st.floats(0, 100), st.floats(0, 100), noises)
def test_added_loss_is_loss(name: str, loss_db: float, extra_db: float, noise: float) -> None:
    profile = PROFILES[name]
    disturbed = link_figures(profile, loss_db, Disturbance(extra_loss_db=extra_db, excess_noise=noise))
    assert disturbed == link_figures(profile, loss_db + extra_db, Disturbance(excess_noise=noise))


@given(profiles, st.floats(0, 20), st.integers(1, 1_000_000))
def test_calibration_gives_just_the_published_rate(name: str, loss_db: float, rate_bps: int) -> None:
    profile = PROFILES[name]
    try:
        factor = calibration_for(profile, loss_db, rate_bps)
    except ValueError:
        possible = link_figures(profile, loss_db, Disturbance()).skr_bps > 0
        assert not possible or rate_bps + 0.5 > repeaterless_bound_bps(profile, loss_db)
        return
    assert link_figures(profile, loss_db, Disturbance(), calibration=factor).skr_bps == rate_bps


def test_calibration_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="makes no key at 90 dB"):
        calibration_for(PROFILES["bb84-gys"], 90, 1000)
    with pytest.raises(ValueError, match="above the bound"):
        calibration_for(PROFILES["bb84-gys"], 20, 1_000_000)


def test_repeaterless_bound() -> None:
    assert repeaterless_bound(10 * 0.30103) == pytest.approx(1, rel=1e-5)  # half the light: one bit a pulse
    assert repeaterless_bound(0) == float("inf")
    assert repeaterless_bound(60) == pytest.approx(1.4427e-6, rel=1e-4)


def test_darkness_is_no_error() -> None:
    """A device without any dark count over no light at all has no rate and no division by zero."""
    dark = Dps(mu=0.2, background=0, misalignment=0.01, efficiency=0.1, correction=1.1)
    assert dps(dark, 0.0).key == 0
    pairs = Bbm92(pairs=0.1, background=0, misalignment=0.01, efficiency=0.1, correction=1.1, sifting=0.5)
    assert bbm92(pairs, 0.0).key == 0
    assert decoy_bb84(replace(gys("one-decoy"), background=0), 0.0).key == 0


def test_a_fibre_that_lets_nothing_through_has_no_signal_to_noise_figure() -> None:
    figures = link_figures(PROFILES["cv-gg02-lodewyck"], 173.0, Disturbance())
    assert (figures.skr_bps, figures.snr_db) == (0, None)
    assert link_figures(PROFILES["cv-gg02-lodewyck"], 20.0, Disturbance()).snr_db is not None
