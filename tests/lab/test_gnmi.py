"""A laboratory laid out with gNMI: every agent has a door for it, and the operator is shown the way in."""

from pathlib import Path

from keyweave_agents.settings import read_agent_settings
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab import lab_show
from keyweave_lab.inventory import read_inventory
from keyweave_lab.layout import lay_out
from keyweave_lab.settings_tables import Tuning
from keyweave_lab.topology_file import read_topology, topology_path


def test_every_agent_serves_gnmi_where_the_laboratory_wants_it(tmp_path: Path) -> None:
    network = read_topology(topology_path("triangle"))
    place = tmp_path / "lab"
    inventory = lay_out(network, place, SystemClock(), keep=False, tuning=Tuning(gnmi=True))
    agents = [read_agent_settings(each.config) for each in inventory.programs if each.kind == "agent"]
    ports = [each.gnmi.listen_port for each in agents if each.gnmi is not None]
    assert ports == [node.gnmi_port for node in inventory.nodes]
    assert len(set(ports)) == len(network.nodes)
    assert read_inventory(place) == inventory
    assert "gnmi_port" in lab_show.as_json(lab_show.facts_of(place))


def test_without_it_nothing_of_it_is_there(tmp_path: Path) -> None:
    network = read_topology(topology_path("triangle"))
    inventory = lay_out(network, tmp_path / "lab", SystemClock(), keep=False)
    assert {node.gnmi_port for node in inventory.nodes} == {None}
    agents = [read_agent_settings(each.config) for each in inventory.programs if each.kind == "agent"]
    assert {each.gnmi for each in agents} == {None}
