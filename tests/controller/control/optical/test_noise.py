"""Light on its way: levels, directions, what reaches the receiver."""

from dataclasses import replace

import pytest
from tests.controller.control.optical.plants import T12, bright, module, ref, square

from keyweave_controller.control.optical.equipment import Fibre, QuantumChannel
from keyweave_controller.control.optical.grid import Band, frequency_thz
from keyweave_controller.control.optical.layout import Layout
from keyweave_controller.control.optical.noise import Scatter, predict
from keyweave_controller.control.optical.plant import Plant
from keyweave_core.model.link import Role
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.raman import backward_km, counts_per_gate, forward_km, watts
from keyweave_core.physics.rates import Disturbance, link_figures

FLAT = 2e-9


def one_fibre(*light: str, joints_db: float = 0.0, amplified: bool = False) -> Plant:
    return Plant(
        sites=("A", "B"),
        fibres=(Fibre(name="F", a="A", b="B", km=25, connectors_db=joints_db, amplified=amplified),),
        modules=(module("A", at="F", role=Role.TRANSMITTER), module("B", at="F", role=Role.RECEIVER)),
        classical=tuple(bright(f"from-{site}", site, "F", channel=34, dbm=-10) for site in light),
    )


def noise_of(plant: Plant, *names: str, channel: int = 34, start: str = "A") -> float:
    layout, band = Layout(plant), Band.O if channel > 1000 else Band.C
    scatter = Scatter(layout)
    route = layout.along(names, start, band)
    return scatter.noise_w_per_nm(scatter.sources(route, start, band), channel)


def test_along_and_against() -> None:
    """On the same wavelength the efficiency is the reference, so the formulas can be read off."""
    assert noise_of(one_fibre("A"), "F") == pytest.approx(1e-4 * FLAT * forward_km(25, 0.2, 0.2))
    assert noise_of(one_fibre("B"), "F") == pytest.approx(1e-4 * FLAT * backward_km(25, 0.2, 0.2))
    both = noise_of(one_fibre("A", "B"), "F")
    assert both == pytest.approx(noise_of(one_fibre("A"), "F") + noise_of(one_fibre("B"), "F"))
    counts = counts_per_gate(
        noise_of(one_fibre("A"), "F"), thz=frequency_thz(34), filter_nm=0.2, gate_ns=0.1, efficiency=0.1
    )
    assert counts == pytest.approx(2.5e-5, abs=0.06e-5)


def test_joints_take_from_the_light_and_from_the_noise() -> None:
    for site in "AB":
        plain = noise_of(one_fibre(site), "F")
        assert noise_of(one_fibre(site, joints_db=3), "F") == pytest.approx(plain * 10**-0.3)


def test_noise_is_attenuated_by_what_lies_behind() -> None:
    """Light on A-B only; the receiver is behind two switches and 10 km at C."""
    plant = replace(square(), classical=(bright("x", "A", "AB", channel=34),))
    made = watts(-3) * FLAT * forward_km(10, 0.2, 0.2)
    assert noise_of(plant, "AB", "BC") == pytest.approx(made * 10 ** (-(1 + 2 + 1) / 10))
    against = replace(square(), classical=(bright("x", "B", "AB", channel=34),))
    made = watts(-3) * FLAT * backward_km(10, 0.2, 0.2)
    assert noise_of(against, "AB", "BC") == pytest.approx(made * 10 ** (-(1 + 2 + 1) / 10))


def test_light_gets_weaker_on_its_way() -> None:
    """Light that came over D-A and the switch at A is 4 dB down on A-B."""
    far = replace(square(), classical=(bright("x", "D", "DA", "AB", channel=34),))
    near = replace(square(), classical=(bright("x", "A", "AB", channel=34, dbm=-7.0),))
    assert noise_of(far, "AB") == pytest.approx(noise_of(near, "AB"))


def test_an_amplifier_gives_back_what_the_fibre_takes() -> None:
    plant = square()
    fibres = tuple(replace(fibre, amplified=fibre.name == "DA") for fibre in plant.fibres)
    far = replace(plant, fibres=fibres, classical=(bright("x", "D", "DA", "AB", channel=34),))
    near = replace(plant, classical=(bright("x", "A", "AB", channel=34, dbm=-4.0),))
    assert noise_of(far, "AB") == pytest.approx(noise_of(near, "AB"))


def test_a_broken_fibre_leaves_the_rest_dark() -> None:
    plant = square()
    fibres = tuple(replace(fibre, in_service=fibre.name != "DA") for fibre in plant.fibres)
    cut = replace(plant, fibres=fibres, classical=(bright("x", "D", "DA", "AB", channel=34),))
    assert noise_of(cut, "AB") == 0
    assert noise_of(plant, "AB") == 0


def test_the_o_band_hears_far_less() -> None:
    plant = one_fibre("A")
    assert noise_of(plant, "F", channel=1310) < noise_of(plant, "F", channel=33) / 300


def test_a_prediction_names_who_disturbs_most() -> None:
    light = (bright("loud", "A", "AB", dbm=3), bright("soft", "B", "AB", channel=46, dbm=-20))
    layout = Layout(replace(square(), classical=light))
    scatter = Scatter(layout)
    route = layout.along(("AB",), "A", Band.C)
    taker = layout.modules[ref("B")]
    seen = predict(
        scatter,
        scatter.sources(route, "A", Band.C),
        receiver=taker,
        loss_db=route.loss_db,
        channel=34,
        calibration=1.0,
    )
    assert seen.loudest == "loud"
    assert seen.disturbance.noise_counts > 0
    assert seen.figures == link_figures(PROFILES[T12], route.loss_db, seen.disturbance)
    assert seen.figures.skr_bps < link_figures(PROFILES[T12], route.loss_db, Disturbance()).skr_bps
    dark = predict(scatter, (), receiver=taker, loss_db=4.0, channel=34, calibration=0.5)
    assert dark.loudest == ""
    assert dark.disturbance == Disturbance()
    assert dark.figures.skr_bps * 2 == pytest.approx(
        link_figures(PROFILES[T12], 4.0, Disturbance()).skr_bps, abs=2
    )


def test_routes_come_in_order_of_loss() -> None:
    layout = Layout(square())
    routes = list(layout.routes("A-switch", "C-switch", Band.C, without=frozenset(), number=5))
    assert [route.fibres for route in routes] == [("AB", "BC"), ("DA", "CD")]
    assert [route.loss_db for route in routes] == [pytest.approx(7.0), pytest.approx(9.0)]
    assert routes[0].points == ("A-switch", "B-switch", "C-switch")
    assert layout.along(("AB", "BC"), "A", Band.C).loss_db == pytest.approx(7.0)
    only = list(layout.routes("A-switch", "C-switch", Band.C, without=frozenset({"BC"}), number=5))
    assert [route.fibres for route in only] == [("DA", "CD")]
    assert not list(layout.routes("A-switch", "nowhere", Band.C, without=frozenset(), number=5))


def test_a_channel_that_is_there_occupies_its_fibres() -> None:
    there = QuantumChannel(link="A-B", transmitter=ref("A"), receiver=ref("B"), fibres=("AB",), channel=34)
    layout = Layout(replace(square(), channels=(there,)))
    assert [channel.link for channel in layout.quantum["AB"]] == ["A-B"]
    assert "BC" not in layout.quantum
