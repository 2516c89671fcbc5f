"""A laboratory for each way the controller may meet its agents: what is written is what both ends read."""

from pathlib import Path

import pytest

from keyweave_agents.settings import read_agent_settings
from keyweave_controller.settings import Protocol, read_controller_settings
from keyweave_core.errors import InvalidInput
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.layout import lay_out
from keyweave_lab.settings_tables import Tuning, protocol_named
from keyweave_lab.topology_file import read_topology, topology_path


@pytest.mark.parametrize("protocol", list(Protocol))
def test_both_ends_agree(tmp_path: Path, protocol: Protocol) -> None:
    network = read_topology(topology_path("triangle"))
    tuning = Tuning(southbound=protocol)
    inventory = lay_out(network, tmp_path / "lab", SystemClock(), keep=False, tuning=tuning)
    (controller,) = (
        read_controller_settings(each.config) for each in inventory.programs if each.kind == "controller"
    )
    agents = [read_agent_settings(each.config) for each in inventory.programs if each.kind == "agent"]
    assert {entry.protocol for entry in controller.agents} == {protocol}
    for entry, agent in zip(controller.agents, agents, strict=True):
        tls, gnmi = agent.netconf.tls, agent.gnmi
        match protocol:
            case Protocol.NETCONF_SSH:
                assert entry.port == agent.netconf.listen_port
            case Protocol.NETCONF_TLS:
                assert tls is not None
                assert (tls.listen, tls.listen_port) == (True, entry.port)
            case Protocol.GNMI:
                assert gnmi is not None
                assert gnmi.listen_port == entry.port
            case Protocol.CALL_HOME_SSH | Protocol.CALL_HOME_TLS:
                desks = (controller.southbound.calls_ssh, controller.southbound.calls_tls)
                (desk,) = [desk for desk in desks if desk is not None]
                (call,) = agent.netconf.call_home
                assert call.number == desk.listen_port
                assert protocol.value.endswith(call.transport)


def test_protocols_go_by_name() -> None:
    assert protocol_named("gnmi") is Protocol.GNMI
    with pytest.raises(InvalidInput, match="one of netconf-ssh, netconf-tls"):
        protocol_named("carrier-pigeon")
