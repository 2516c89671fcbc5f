"""Judging quantum channels when the light around them changes."""

from dataclasses import replace

import pytest
from tests.controller.control.optical.plants import a_to_c, bright, module, ref, square

from keyweave_controller.control.optical.equipment import QuantumChannel
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.review import SkrDemand, Verdict, permit, review
from keyweave_core.model.link import Role

KEEPS, MOVES, FAILS = Verdict.KEEPS, Verdict.MOVES, Verdict.FAILS


def one_link(*, wavelengths: str = "30-36") -> Plant:
    return replace(
        square(),
        modules=(
            module("A", role=Role.TRANSMITTER, wavelengths=wavelengths),
            module("C", role=Role.RECEIVER, wavelengths=wavelengths),
        ),
        channels=(a_to_c(),),
    )


def two_links() -> Plant:
    """A-C and B-C, both over BC."""
    other = QuantumChannel(link="B-C", transmitter=ref("B"), receiver=ref("C", 2), fibres=("BC",), channel=33)
    modules = (module("A"), module("C"), module("B"), module("C", 2))
    return replace(square(), modules=modules, channels=(a_to_c(), other))


def test_nothing_asked_nothing_judged() -> None:
    assert review(square(), (), ()) == ()
    assert review(square(), (), (SkrDemand(link="A-C", skr_bps=1),)) == ()


def test_what_does_its_work_keeps_its_place() -> None:
    plant = two_links()
    demands = (SkrDemand(link="A-C", skr_bps=1_000_000), SkrDemand(link="B-C", skr_bps=1_000_000))
    judged = review(plant, plant.channels, demands)
    assert [(one.link, one.verdict, one.demand_bps) for one in judged] == [
        ("A-C", KEEPS, 1_000_000),
        ("B-C", KEEPS, 1_000_000),
    ]
    assert judged[0].now.figures.skr_bps > 1_000_000
    assert judged[0].reasons == ()
    assert judged[0].move is None


def test_a_wavelength_that_light_takes_is_left() -> None:
    plant = replace(one_link(), classical=(bright("x", "A", "AB", channel=34, dbm=-30),))
    (judged,) = review(plant, plant.channels, ())
    assert judged.verdict is MOVES
    assert judged.reasons == ("C34 (1550.12 nm) is taken by classical channel x on AB",)
    assert judged.move is not None
    assert judged.move.fibres == ("AB", "BC")
    assert judged.move.channel == 36  # of its range the bluest beside the light


def test_a_link_in_bright_light_goes_another_way() -> None:
    plant = replace(one_link(), classical=(bright("x", "C", "BC", "AB", dbm=15),))
    (judged,) = review(plant, plant.channels, (SkrDemand(link="A-C", skr_bps=1_200_000),))
    assert judged.verdict is MOVES
    assert judged.move is not None
    assert judged.move.fibres == ("DA", "CD")
    assert (judged.move.transmitter, judged.move.receiver) == (ref("A"), ref("C"))
    assert "because of classical channel x" in judged.reasons[0]


def test_a_link_that_can_go_nowhere_fails_and_says_why() -> None:
    light = (bright("x", "C", "BC", "AB", dbm=15), bright("y", "C", "CD", "DA", dbm=15))
    plant = replace(one_link(), classical=light)
    (judged,) = review(plant, plant.channels, (SkrDemand(link="A-C", skr_bps=1_200_000),))
    assert judged.verdict is FAILS
    assert judged.move is None
    assert "because of classical channel x" in judged.reasons[0]
    assert any("because of classical channel y" in reason for reason in judged.reasons[1:])


@pytest.mark.parametrize(
    ("in_service", "amplified", "what"), [(False, False, "out of service"), (True, True, "amplified")]
)
def test_a_fibre_that_no_longer_carries_it(in_service: bool, amplified: bool, what: str) -> None:
    plant = one_link()
    fibres = tuple(
        replace(f, in_service=in_service, amplified=amplified) if f.name == "BC" else f for f in plant.fibres
    )
    broken = replace(plant, fibres=fibres)
    (judged,) = review(broken, broken.channels, ())
    assert judged.verdict is MOVES
    assert judged.reasons == (f"fibre BC is {what}",)
    assert judged.move is not None
    assert judged.move.fibres == ("DA", "CD")


def test_losses_and_ranges_are_looked_at() -> None:
    plant = one_link()
    weak = replace(plant, modules=(plant.modules[0], module("C", role=Role.RECEIVER, most_db=6)))
    (judged,) = review(weak, weak.channels, ())
    assert judged.verdict is FAILS
    assert judged.reasons[0].startswith("a loss of 7.00 dB is 1.00 dB above the max_absorption of 6.00 dB")
    narrow = one_link(wavelengths="30")
    (judged,) = review(narrow, narrow.channels, ())
    assert judged.verdict is MOVES
    assert judged.reasons == ("C34 (1550.12 nm) is not in the range of module A/1",)


def test_of_two_on_one_wavelength_the_more_important_stays() -> None:
    plant = two_links()
    channels = tuple(replace(channel, channel=34) for channel in plant.channels)
    first = review(plant, channels, (SkrDemand(link="A-C", skr_bps=0, priority=2),))
    assert [one.verdict for one in first] == [KEEPS, MOVES]
    assert first[1].reasons == ("C34 (1550.12 nm) is taken by link A-C on BC",)
    second = review(plant, channels, (SkrDemand(link="B-C", skr_bps=0, priority=2),))
    assert [one.verdict for one in second] == [MOVES, KEEPS]


def test_a_wavelength_that_is_left_serves_the_next() -> None:
    """B-C is more important but can use only 34, which A-C has until it moves."""
    plant = two_links()
    modules = (module("A"), module("C"), module("B", wavelengths="34"), module("C", 2))
    plant = replace(plant, modules=modules, classical=(bright("x", "A", "AB", channel=34, dbm=-40),))
    judged = review(plant, plant.channels, (SkrDemand(link="B-C", skr_bps=0, priority=9),))
    assert [one.verdict for one in judged] == [MOVES, MOVES]
    assert judged[1].move is not None
    assert judged[1].move.channel == 34


def test_a_quiet_channel_may_be_switched_on() -> None:
    plant = two_links()
    demands = (SkrDemand(link="A-C", skr_bps=1_000_000),)
    answer = permit(plant, bright("x", "A", "AB", "BC", dbm=-10), demands)
    assert answer.granted
    assert answer.reasons == ()
    assert [one.verdict for one in answer.judgements] == [KEEPS, KEEPS]


def test_a_loud_channel_is_refused_with_the_level_that_would_do() -> None:
    plant = replace(one_link(), channels=(a_to_c(),))
    cut = tuple(replace(f, in_service=f.name != "CD") for f in plant.fibres)
    plant = replace(plant, fibres=cut)
    demands = (SkrDemand(link="A-C", skr_bps=1_500_000),)
    loud = bright("x", "C", "BC", "AB", dbm=20)
    answer = permit(plant, loud, demands)
    assert not answer.granted
    assert answer.reasons[0].startswith("link A-C: the predicted ")
    assert answer.most_dbm is not None
    assert permit(plant, replace(loud, launch_dbm=answer.most_dbm), demands).granted
    assert not permit(plant, replace(loud, launch_dbm=answer.most_dbm + 0.1), demands).granted


def test_a_channel_on_the_only_wavelength_is_refused_at_any_level() -> None:
    plant = one_link(wavelengths="34")
    light = (bright("x", "C", "CD", channel=34),)
    answer = permit(replace(plant, classical=light), bright("y", "A", "AB", channel=34, dbm=-20), ())
    assert not answer.granted
    assert answer.most_dbm is None
    assert "link A-C: C34 (1550.12 nm) is taken by classical channel y on AB" in answer.reasons[0]


def test_who_is_down_already_is_not_brought_down() -> None:
    plant = one_link()
    demands = (SkrDemand(link="A-C", skr_bps=100_000_000),)
    assert permit(plant, bright("x", "A", "AB", dbm=0), demands).granted


def test_two_classical_channels_do_not_share_a_wavelength() -> None:
    plant = replace(one_link(), classical=(bright("x", "A", "AB", channel=45),))
    answer = permit(plant, bright("y", "B", "AB", channel=45), ())
    assert not answer.granted
    assert answer.reasons == ("classical channel x has C45 (1541.35 nm) on AB",)
    changed = permit(plant, bright("x", "B", "AB", channel=45), ())
    assert changed.granted  # the same one, changed


def test_a_channel_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(ValueError, match="classical 'x': fibres: 'BC' does not begin at A"):
        permit(one_link(), bright("x", "A", "BC"), ())
