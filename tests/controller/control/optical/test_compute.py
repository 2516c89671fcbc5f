"""Candidates for a quantum channel, and the words when there are none."""

from dataclasses import replace

import pytest
from tests.controller.control.optical.plants import a_to_c, bright, module, ref, square

from keyweave_controller.control.optical.compute import compute_channels
from keyweave_controller.control.optical.equipment import Module, QuantumChannel
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.wishes import ChannelWish
from keyweave_core.model.link import Role

WISH = ChannelWish(a="A", b="C")


def reasons(plant: Plant, wish: ChannelWish = WISH) -> tuple[str, ...]:
    found, why = compute_channels(plant, wish)
    assert not found
    return why


def with_modules(plant: Plant, *modules: Module) -> Plant:
    return replace(plant, modules=modules)


def test_the_shorter_way_gives_more_key() -> None:
    found, why = compute_channels(square(), WISH)
    assert why == ()
    assert len(found) == 8
    assert found[0].fibres == ("AB", "BC")
    assert found[0].channel == 30
    assert found[0].loss_db == pytest.approx(4 + 3 * 1.0)
    assert found[0].km == 20
    assert (found[0].transmitter, found[0].receiver) == (ref("A"), ref("C"))
    assert found[0].ducts == {"duct-AB", "duct-BC"}
    assert found[0].loudest == ""
    assert {candidate.fibres for candidate in found} == {("AB", "BC"), ("DA", "CD")}
    rates = [candidate.figures.skr_bps for candidate in found]
    assert rates == sorted(rates, reverse=True)


def test_either_end_may_be_named_first() -> None:
    assert compute_channels(square(), ChannelWish(a="C", b="A")) == compute_channels(square(), WISH)


def test_light_on_the_short_way_sends_it_the_long_way() -> None:
    lit = replace(square(), classical=(bright("x", "C", "BC", "AB", dbm=10),))
    found, _ = compute_channels(lit, WISH)
    assert found[0].fibres == ("DA", "CD")
    assert found[0].loudest == ""


def test_the_quietest_wavelength_is_taken() -> None:
    """Bluer than the light there are fewer phonons to take energy from."""
    lit = replace(square(), classical=(bright("x", "A", "AB", "BC", channel=33),))
    found, _ = compute_channels(lit, replace(WISH, without_fibres=frozenset({"CD"})))
    assert [candidate.channel for candidate in found] == [36, 35, 34, 32, 31, 30]


def test_taken_wavelengths_are_left_alone() -> None:
    plant = square()
    there = QuantumChannel(link="A-B", transmitter=ref("A"), receiver=ref("B"), fibres=("AB",), channel=30)
    modules = (*plant.modules, module("A", 2, role=Role.TRANSMITTER))
    busy = replace(plant, modules=modules, channels=(there,), guard_channels=1)
    found, _ = compute_channels(busy, WISH)
    assert {c.channel for c in found if "AB" in c.fibres} == {31, 32, 33, 34, 35, 36}
    assert {c.transmitter for c in found} == {ref("A", 2)}
    lit = replace(busy, classical=(bright("x", "D", "CD", channel=33),))
    found, _ = compute_channels(lit, replace(WISH, without_fibres=frozenset({"AB"}), number=20))
    assert {c.channel for c in found} == {30, 31, 35, 36}


def test_a_link_may_take_its_own_place_again() -> None:
    plant = replace(square(), channels=(a_to_c(channel=30),))
    assert "no module is free at A: A/1 serves A-C" in reasons(plant)
    found, _ = compute_channels(plant, replace(WISH, link="A-C"))
    assert found[0].as_channel("A-C") == plant.channels[0]


def test_named_modules_keep_their_roles() -> None:
    both = with_modules(square(), module("A"), module("C"))
    assert {c.transmitter for c in compute_channels(both, WISH)[0]} == {ref("A"), ref("C")}
    fixed = replace(WISH, transmitter=ref("C"), receiver=ref("A"))
    assert {c.transmitter for c in compute_channels(both, fixed)[0]} == {ref("C")}
    backwards = replace(WISH, transmitter=ref("C"))
    assert reasons(square(), backwards) == (
        "modules A/1 (TRANSMITTER) and C/1 (RECEIVER) do not fit by role",
    )


def test_equal_modules_do_not_multiply_candidates() -> None:
    plant = square()
    more = with_modules(plant, *plant.modules, module("A", 2, role=Role.TRANSMITTER))
    assert compute_channels(more, WISH) == compute_channels(plant, WISH)


def test_what_is_excluded_is_not_used() -> None:
    found, _ = compute_channels(square(), replace(WISH, without_ducts=frozenset({"duct-BC"})))
    assert {candidate.fibres for candidate in found} == {("DA", "CD")}
    none = replace(WISH, without_ducts=frozenset({"duct-BC", "duct-DA"}))
    assert reasons(square(), none) == (
        "no way from A-switch to C-switch through fibres in service without amplifiers that are not excluded",
    )


def test_the_o_band_has_its_own_loss() -> None:
    plant = with_modules(square(), module("A", wavelengths="1310"), module("C", wavelengths="1310"))
    found, _ = compute_channels(plant, replace(WISH, number=1))
    assert found[0].channel == 1310
    assert found[0].loss_db == pytest.approx(7.0 + 3.0)


def test_reasons_name_the_nearest_obstacle() -> None:
    plant = square()
    assert reasons(plant, ChannelWish(a="A", b="Z")) == ("there is no module at Z",)
    other = with_modules(plant, module("A"), module("C", profile="bb84-gys"))
    assert reasons(other) == ("module A/1 is a bb84-t12-1ghz, C/1 a bb84-gys",)
    apart = with_modules(plant, module("A", wavelengths="30-32"), module("C", wavelengths="33"))
    assert reasons(apart) == (
        "modules A/1 and C/1 have no common wavelength: 30-32 and 33",
        "modules C/1 and A/1 have no common wavelength: 33 and 30-32",
    )
    cut = replace(plant, fibres=tuple(replace(f, in_service=f.name == "AB") for f in plant.fibres))
    assert reasons(cut) == ("no way from A-switch to C-switch through fibres in service without amplifiers",)
    amplified = replace(plant, fibres=tuple(replace(f, amplified=True) for f in plant.fibres))
    assert reasons(amplified)[0].startswith("no way from")
    weak = with_modules(plant, module("A", role=Role.TRANSMITTER), module("C", most_db=6.5))
    over = "a loss of 7.00 dB is 0.50 dB above the max_absorption of 6.50 dB of modules A/1 and C/1"
    assert reasons(weak) == (f"over AB, BC: {over}",)


def test_reasons_name_who_has_the_wavelength() -> None:
    plant = with_modules(
        square(), module("A", role=Role.TRANSMITTER, wavelengths="34"), module("C", wavelengths="34")
    )
    light = (bright("x", "A", "AB", channel=34), bright("y", "C", "CD", channel=34))
    taken = "every wavelength that modules A/1 and C/1 share is taken, C34 (1550.12 nm) by classical channel"
    assert reasons(replace(plant, classical=light)) == (
        f"over AB, BC: {taken} x on AB",
        f"over DA, CD: {taken} y on CD",
    )


def test_reasons_name_who_makes_the_noise() -> None:
    light = (bright("loud", "A", "AB", "BC", dbm=5), bright("soft", "A", "AB", channel=46, dbm=-20))
    wish = replace(WISH, demand_bps=1_500_000, without_fibres=frozenset({"CD"}))
    (why,) = reasons(replace(square(), classical=light), wish)
    assert why.startswith("over AB, BC on C36 (1548.51 nm): the predicted ")
    assert "below the demand of 1.5 Mbit/s because of classical channel loud" in why
    assert why.endswith("without any classical light)")


def test_reasons_name_the_loss_in_the_dark() -> None:
    why = reasons(square(), replace(WISH, demand_bps=3_000_000))
    assert why[0].endswith("below the demand of 3 Mbit/s because of the loss of 7.00 dB")
    assert "over AB, BC on C30" in why[0]
    assert "over DA, CD on C30" in why[1]


def test_a_calibrated_link_is_predicted_as_it_is() -> None:
    plain = compute_channels(square(), WISH)[0][0].figures.skr_bps
    half = compute_channels(square(), replace(WISH, calibration=0.5))[0][0].figures.skr_bps
    assert half == pytest.approx(plain / 2, abs=1)
