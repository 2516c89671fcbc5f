"""Plants: what is refused and in which words, losses, shared risks."""

import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.controller.control.optical.plants import a_to_c, bright, module, ref, square

from keyweave_controller.control.optical.equipment import ClassicalChannel, Fibre, QuantumChannel, Switch
from keyweave_controller.control.optical.grid import Band
from keyweave_controller.control.optical.plant import Plant, channel_of, risk_groups, with_link_ids
from keyweave_core.model.ids import InterfaceId
from keyweave_core.model.link import Role

LINK = "6a1c0f4e-0000-4000-8000-000000000001"


def refused(reason: str, **changes: Any) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(square(), **changes)


def test_a_reckoned_loss_is_glass_and_joints() -> None:
    fibre = Fibre(name="F", a="A", b="B", km=20, connectors_db=1.5)
    assert fibre.loss_in(Band.C) == pytest.approx(5.5)
    assert fibre.loss_in(Band.O) == pytest.approx(20 * 0.35 + 1.5)
    assert fibre.other("A") == "B"
    assert fibre.other("B") == "A"


def test_a_measured_loss_is_kept() -> None:
    fibre = Fibre(name="F", a="A", b="B", km=15.3, loss_db=14.3)
    assert fibre.loss_in(Band.C) == pytest.approx(14.3)
    assert fibre.joints_db == pytest.approx(14.3 - 3.06)
    assert fibre.loss_in(Band.O) == pytest.approx(14.3 - 3.06 + 15.3 * 0.35)
    better = Fibre(name="F", a="A", b="B", km=100, loss_db=16.5)
    assert better.glass_db_per_km(Band.C) == pytest.approx(0.165)
    assert better.joints_db == pytest.approx(0)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("fibres 'F': km: km is above 0 and at most 1000.0, not 0", {"km": 0}),
        ("fibres 'F': km", {"km": math.nan}),
        ("fibres 'F': attenuation_db_per_km", {"attenuation_db_per_km": 0}),
        ("fibres 'F': connectors_db: connectors_db is 0..100.0, not -1", {"connectors_db": -1}),
        ("fibres 'F': loss_db", {"loss_db": math.inf}),
        ("fibres 'F': connectors_db: a measured loss_db holds them", {"loss_db": 3, "connectors_db": 1}),
        ("fibres 'F': b: a fibre from 'A' to itself", {"b": "A"}),
        ("fibres '': name: a name has 1 to 200", {"name": ""}),
        ("fibres 'F': ducts: a name has", {"ducts": ("",)}),
    ],
)
def test_a_fibre_has_bounds(reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(Fibre(name="F", a="A", b="B", km=10.0), **changes)


def test_modules_and_channels_have_bounds() -> None:
    with pytest.raises(ValueError, match="modules 'A/1': profile: no device 'laser'; there are bb84-gys"):
        module("A", profile="laser")
    with pytest.raises(ValueError, match="modules 'A/1': wavelength_range: '0' is no part"):
        module("A", wavelengths="0")
    with pytest.raises(ValueError, match="modules 'A/1': wavelength_range: '1550' holds no channel"):
        module("A", wavelengths="1550")
    with pytest.raises(ValueError, match="modules 'A/1': max_absorption_db"):
        module("A", most_db=-1)
    with pytest.raises(ValueError, match=r"launch_dbm: launch_dbm is -60\.\.30, not 31"):
        bright("x", "A", "AB", dbm=31)
    with pytest.raises(ValueError, match="classical 'x': channel: channel 99 is none"):
        bright("x", "A", "AB", channel=99)
    with pytest.raises(ValueError, match="classical 'x': fibres: a channel needs at least one"):
        ClassicalChannel(name="x", source="A", fibres=(), channel=34, launch_dbm=0)
    with pytest.raises(ValueError, match="channels 'A-C': calibration"):
        replace(a_to_c(), calibration=0)
    with pytest.raises(ValueError, match=r"ports: ports is 1\.\.10000, not 0"):
        Switch(name="S", site="A", insertion_db=1, ports=0)


def test_references_must_lead_somewhere() -> None:
    plant = square()
    refused("fibres 'AB': b: there is no site 'B'", sites=("A", "C", "D"))
    refused("sites 'A': name: is given twice", sites=("A", "A"))
    refused("fibres 'AB': name: is given twice", fibres=(*plant.fibres, plant.fibres[0]))
    refused(
        r"switches 'AB': name: is given twice \(fibres and switches",
        switches=(*plant.switches, replace(plant.switches[0], name="AB", fibres=())),
    )
    refused(
        "switches 'A-switch': fibres: no fibre 'BC' ends at A",
        switches=(replace(plant.switches[0], fibres=("BC",)),),
    )
    refused(
        "switches 'twin': fibres: 'AB' ends on 'A-switch' already",
        switches=(*plant.switches, replace(plant.switches[0], name="twin", fibres=("AB",))),
    )
    refused(
        "switches 'A-switch': ports: 3 are needed \\(2 fibres, 1 modules\\), and it has 2",
        switches=(replace(plant.switches[0], ports=2), *plant.switches[1:]),
    )
    refused("modules 'A/1': at: no switch or fibre 'C-switch' at A", modules=(module("A", at="C-switch"),))
    refused("modules 'A/1': at: 'AB' ends on switch 'A-switch'", modules=(module("A", at="AB"),))
    refused("modules 'A/1': name: is given twice", modules=(module("A"), module("A")))
    refused("classical 'x': source: there is no site 'Z'", classical=(bright("x", "Z", "AB"),))
    refused("classical 'x': fibres: there is no fibre 'ZZ'", classical=(bright("x", "A", "ZZ"),))
    refused("classical 'x': fibres: 'CD' does not begin at B", classical=(bright("x", "A", "AB", "CD"),))
    refused(
        "classical 'x': fibres: they come to A twice",
        classical=(bright("x", "A", "AB", "BC", "CD", "DA"),),
    )
    refused("guard_channels is 0..72, not -1", guard_channels=-1)


def test_a_channel_must_be_possible() -> None:
    plant = square()
    twin = replace(a_to_c(), link="other")
    refused(
        "channels 'A-C': transmitter: there is no module 'A/7'",
        channels=(replace(a_to_c(), transmitter=ref("A", 7)),),
    )
    refused("channels 'other': transmitter: module A/1 serves 'A-C' already", channels=(a_to_c(), twin))
    refused("channels 'A-C': fibres: they lead from A to B, not to C", channels=(a_to_c("AB"),))
    refused(
        "channels 'A-C': receiver: module C/1 is a TRANSMITTER",
        channels=(a_to_c(),),
        modules=(module("A"), module("C", role=Role.TRANSMITTER)),
    )
    refused(
        "channels 'A-C': receiver: is a bb84-gys, the transmitter a bb84-t12-1ghz",
        channels=(a_to_c(),),
        modules=(module("A"), module("C", profile="bb84-gys")),
    )
    refused(
        "channels 'A-C': fibres: 'BC' cannot be reached from 'AB' at B",
        channels=(a_to_c(),),
        switches=(plant.switches[0], *plant.switches[2:]),
        modules=(module("A"), module("C")),
    )
    two = (module("A"), module("A", 2), module("C"), module("C", 2))
    again = QuantumChannel(
        link="C-A", transmitter=ref("A", 2), receiver=ref("C", 2), fibres=("AB", "BC"), channel=35
    )
    refused(
        "channels 'C-A': link: is given twice; between the same sites give ids",
        channels=(a_to_c(), again),
        modules=two,
    )


def test_a_bare_fibre_joins_two_modules() -> None:
    plant = Plant(
        sites=("A", "B"),
        fibres=(Fibre(name="F", a="A", b="B", km=5),),
        modules=(module("A", at="F"), module("B", at="F")),
    )
    straight = QuantumChannel(link="A-B", transmitter=ref("A"), receiver=ref("B"), fibres=("F",), channel=34)
    assert replace(plant, channels=(straight,)).channels == (straight,)


def test_shared_risks_follow_the_ducts() -> None:
    plant = replace(square(), channels=(a_to_c(),))
    assert risk_groups(plant, "A-C") == risk_groups(plant, "C-A") == {"duct-AB", "duct-BC"}
    assert risk_groups(plant, LINK) == frozenset()
    assert channel_of(plant, "B-C") is None


def test_links_get_their_ids() -> None:
    plant = replace(square(), channels=(a_to_c(),))
    known = with_link_ids(plant, {"C-A": LINK, "X-Y": "other"})
    assert known.channels[0].link == LINK
    assert risk_groups(known, LINK) == {"duct-AB", "duct-BC"}
    assert with_link_ids(known, {"C-A": "another"}) == known
    assert with_link_ids(plant, {}) == plant


def test_a_plant_survives_being_written_down() -> None:
    plant = replace(square(), channels=(a_to_c(),), classical=(bright("x", "A", "AB"),))
    assert msgspec.json.decode(msgspec.json.encode(plant), type=Plant) == plant
    assert plant.modules[0].ref.interface_id == InterfaceId(1)
