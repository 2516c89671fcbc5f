"""What a review comes to for the network above."""

from dataclasses import replace

from tests.controller.control.optical.plants import a_to_c, bright, ref, square

from keyweave_controller.control.configuration import LinkFacts
from keyweave_controller.control.optical.passes import Pass
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.retune import Tuning, link_facts, moved, tunings
from keyweave_controller.control.optical.review import SkrDemand, Verdict, review
from keyweave_controller.control.optical.timed import Satellite
from keyweave_controller.control.optical.windows import Window


def taken() -> Plant:
    """A-C on a wavelength that light has."""
    channel = replace(a_to_c(), calibration=0.9)
    return replace(square(), channels=(channel,), classical=(bright("x", "A", "AB", channel=34, dbm=-30),))


def test_both_ends_are_told_the_receiver_first() -> None:
    plant = taken()
    assert tunings(review(plant, plant.channels, ())) == (
        Tuning(module=ref("C"), link="A-C", wavelength=36, channel_att_db=7.0),
        Tuning(module=ref("A"), link="A-C", wavelength=36, channel_att_db=7.0),
    )
    assert tunings(()) == ()


def test_after_the_moves_everybody_keeps_their_place() -> None:
    plant = taken()
    after = moved(plant, review(plant, plant.channels, ()))
    assert after.channels[0].channel == 36
    assert after.channels[0].calibration == 0.9
    assert [one.verdict for one in review(after, after.channels, ())] == [Verdict.KEEPS]
    assert moved(after, review(after, after.channels, (SkrDemand(link="A-C", skr_bps=1),))) == after


def test_facts_of_links() -> None:
    window = Window(starts_at=0, ends_at=10, rate_bps=5)
    passes = (Pass(starts_at=0, ends_at=10, rates=((0, 5),)),)
    plant = replace(taken(), satellites=(Satellite(link="A-Sky", passes=passes),))
    assert link_facts(plant, {"A-Sky": (window,)}) == (
        LinkFacts(link="A-C", risk_groups=("duct-AB", "duct-BC")),
        LinkFacts(link="A-Sky", windows=(window,)),
    )
