"""A laboratory over a fibre plant: settings of its programs, and plants of other networks."""

from dataclasses import replace
from pathlib import Path

import pytest

from keyweave_agents.settings import read_agent_settings
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.settings import read_controller_settings
from keyweave_core.errors import InvalidInput, SettingsError
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.layout import lay_out
from keyweave_lab.optical_lab import check_fits, module_light, plant_named
from keyweave_lab.settings_tables import Tuning
from keyweave_lab.topology import Topology
from keyweave_lab.topology_file import read_topology, topology_path


@pytest.fixture(scope="module")
def madqci() -> Topology:
    return read_topology(topology_path("madqci"))


@pytest.fixture(scope="module")
def plant() -> Plant:
    return plant_named("madqci-plant")


def test_a_laboratory_over_a_plant(madqci: Topology, plant: Plant, tmp_path: Path) -> None:
    inventory = lay_out(madqci, tmp_path / "lab", SystemClock(), keep=False, tuning=Tuning(fibres=plant))
    programs = {one.name: one for one in inventory.programs}
    assert read_controller_settings(programs["controller"].config).plant() == plant
    for name in ("Norte", "Quijote"):
        for module in read_agent_settings(programs[name].config).modules:
            assert (module.wavelength, module.wavelength_range) == (34, "30-36")


def test_without_one_modules_have_their_one_wavelength(madqci: Topology, tmp_path: Path) -> None:
    inventory = lay_out(madqci, tmp_path / "lab", SystemClock(), keep=False)
    programs = {one.name: one for one in inventory.programs}
    assert read_controller_settings(programs["controller"].config).plant() is None
    (module, *_) = read_agent_settings(programs["Norte"].config).modules
    assert module.channels == "34"


def test_a_module_that_the_plant_does_not_have_is_left_alone(plant: Plant) -> None:
    assert module_light(plant, "Norte", 99) == {}
    assert module_light(replace(plant, channels=()), "Norte", 1) == {}
    assert module_light(None, "Norte", 1) == {}


def test_a_plant_of_another_network_is_refused_by_channel(
    madqci: Topology, plant: Plant, tmp_path: Path
) -> None:
    check_fits(plant, madqci)
    with pytest.raises(InvalidInput, match="channels 'Quiron-Quijote': the topology has no link"):
        check_fits(plant, read_topology(topology_path("triangle")))
    fewer = replace(madqci, links=madqci.links[1:])
    with pytest.raises(InvalidInput, match="channels"):
        lay_out(fewer, tmp_path / "lab", SystemClock(), keep=False, tuning=Tuning(fibres=plant))
    assert not (tmp_path / "lab").exists()


def test_a_plant_by_file_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('sites = ["A"]\n')
    assert plant_named(str(tmp_path / "mine.toml")).sites == ("A",)
    with pytest.raises(SettingsError, match="nowhere"):
        plant_named("nowhere")
