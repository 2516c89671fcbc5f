"""Shared modules and satellites of a plant: what fits, and when their links make key."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.controller.control.optical.plants import module, ref, square

from keyweave_controller.control.optical.availability import availability
from keyweave_controller.control.optical.compute import compute_channels
from keyweave_controller.control.optical.equipment import QuantumChannel
from keyweave_controller.control.optical.passes import Pass
from keyweave_controller.control.optical.plant import Plant, with_link_ids
from keyweave_controller.control.optical.review import SkrDemand, Verdict, review
from keyweave_controller.control.optical.switched import Partner, SwitchPolicy
from keyweave_controller.control.optical.timed import Satellite, Sharing, partners_of
from keyweave_controller.control.optical.wishes import ChannelWish
from keyweave_controller.plant_file import parse_plant
from keyweave_core.model.link import Role

TURNS = SwitchPolicy(switch_s=20, dwell_s=100, unserved_s=600)


def to_a(site: str, *fibres: str, channel: int = 34) -> QuantumChannel:
    return QuantumChannel(
        link=f"A-{site}", transmitter=ref("A"), receiver=ref(site), fibres=fibres, channel=channel
    )


def shared(*more: QuantumChannel) -> Plant:
    """A's one transmitter serves B and D in turn, both on one wavelength."""
    return replace(
        square(),
        channels=(to_a("B", "AB"), to_a("D", "DA"), *more),
        shared=(Sharing(module=ref("A"), policy=TURNS),),
    )


def partner(link: str, *, stored: int, rate: int = 1000) -> Partner:
    return Partner(
        link=link, rate_bps=rate, stored_bits=stored, capacity_bits=1_000_000, consumption_bps=100, priority=0
    )


def refused(reason: str, **changes: Any) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(shared(), **changes)


def test_a_shared_module_serves_several_channels() -> None:
    assert partners_of(shared().channels, ref("A")) == ("A-B", "A-D")
    refused("channels 'A-D': transmitter: module A/1 serves 'A-B' already", shared=())
    nobody = (*shared().shared, Sharing(module=ref("Z"), policy=TURNS))
    refused("shared 'Z/1': module: there is no such module", shared=nobody)
    refused("shared 'A/1': name: is given twice", shared=(*shared().shared, *shared().shared))
    both = (*shared().shared, Sharing(module=ref("B"), policy=TURNS))
    refused("channels 'A-B': receiver: both modules are shared", shared=both)
    tight = SwitchPolicy(switch_s=20, dwell_s=100, unserved_s=130)
    refused(
        "shared 'A/1': policy: 2 links can each be served every 140 s, not within 130 s",
        shared=(Sharing(module=ref("A"), policy=tight),),
    )


def test_turns_do_not_disturb_each_other() -> None:
    """A-C crosses AB, too, on the wavelength of A-B; they are never on at the same time."""
    plant = shared(to_a("C", "AB", "BC"))
    judged = review(plant, plant.channels, (SkrDemand(link="A-C", skr_bps=1000),))
    assert {one.verdict for one in judged} == {Verdict.KEEPS}
    modules = (*plant.modules, module("B", 2, role=Role.TRANSMITTER), module("C", 2))
    other = QuantumChannel(
        link="B-C", transmitter=ref("B", 2), receiver=ref("C", 2), fibres=("BC",), channel=34
    )
    crossed = replace(plant, modules=modules, channels=(*plant.channels, other))
    moved = {one.link for one in review(crossed, crossed.channels, ()) if one.verdict is Verdict.MOVES}
    assert moved == {"B-C"}


def test_a_shared_module_is_free_for_more() -> None:
    found, reasons = compute_channels(shared(), ChannelWish(a="A", b="C"))
    assert reasons == ()
    assert found[0].transmitter == ref("A")
    assert found[0].channel == 30
    plant = replace(shared(), shared=(*shared().shared, Sharing(module=ref("C"), policy=TURNS)))
    assert compute_channels(plant, ChannelWish(a="A", b="C")) == (
        (),
        ("modules A/1 and C/1 are both shared",),
    )


def test_links_of_a_shared_module_have_windows() -> None:
    windows = availability(
        shared(), [partner("A-B", stored=900_000), partner("A-D", stored=0)], starts_at=1000, horizon_s=1000
    )
    assert list(windows) == ["A-B", "A-D"]
    assert windows["A-D"][0].starts_at == 1020
    assert all(window.rate_bps == 1000 for each in windows.values() for window in each)
    at_b = availability(shared(), [], starts_at=0, horizon_s=300, connected=["A-B", "X"])
    assert at_b["A-B"][0].starts_at == 0
    assert at_b["A-B"][0].rate_bps == 0  # nobody told its rate


def test_satellites_have_the_windows_of_their_passes() -> None:
    passes = (
        Pass(starts_at=5000, ends_at=5400, losses=((0, 30.0),)),
        Pass(starts_at=100, ends_at=400, rates=((0, 700),)),
    )
    plant = replace(square(), satellites=(Satellite(link="A-Sky", passes=passes),))
    (early,) = availability(plant, (), starts_at=200, horizon_s=1000)["A-Sky"]
    assert (early.starts_at, early.ends_at, early.rate_bps) == (200, 400, 700)
    late = availability(plant, (), starts_at=200, horizon_s=10_000)["A-Sky"]
    assert [window.starts_at for window in late] == [200, 5000]
    assert late[1].rate_bps > 10_000
    assert availability(square(), (), starts_at=0, horizon_s=10) == {}


def test_satellites_have_bounds() -> None:
    one = Pass(starts_at=0, ends_at=300, rates=((0, 700),))
    with pytest.raises(
        ValueError, match="satellites 'S': device: no device 'comet'; there are downlink-100mhz"
    ):
        Satellite(link="S", device="comet")
    with pytest.raises(ValueError, match="satellites 'S': passes: those at 0 s and 299 s overlap"):
        Satellite(link="S", passes=(replace(one, starts_at=299, ends_at=400), one))
    refused("satellites 'B-A': link: has a channel through fibre", satellites=(Satellite(link="B-A"),))
    refused("satellites 'S': name: is given twice", satellites=(Satellite(link="S"), Satellite(link="S")))
    named = with_link_ids(replace(square(), satellites=(Satellite(link="A-Sky"),)), {"A-Sky": "id"})
    assert named.satellites[0].link == "id"


def test_both_are_tables_of_the_plant_file() -> None:
    plant = parse_plant(
        """
        sites = ["A", "B"]
        [[fibres]]
        name = "F"
        a = "A"
        b = "B"
        km = 1
        [[modules]]
        site = "A"
        interface_id = 1
        at = "F"
        role = "TRANSMITTER"
        profile = "bb84-gys"
        wavelength_range = "34"
        max_absorption_db = 20
        [[shared]]
        module = {site = "A", interface_id = 1}
        policy = {switch_s = 20, dwell_s = 120, unserved_s = 900}
        [[satellites]]
        link = "A-Sky"
        passes = [{starts_at = 0, ends_at = 420, losses = [[0, 37.5], [210, 27.0], [419, 37.5]]}]
        """,
        where="plant.toml",
    )
    assert plant.shared[0].policy.unserved_s == 900
    assert plant.satellites[0].passes[0].losses[1] == (210, 27.0)
    assert msgspec.json.decode(msgspec.json.encode(plant), type=Plant) == plant
