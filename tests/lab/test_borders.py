"""Joining laboratories: what each border node is told of the other. Nothing runs here."""

from pathlib import Path

import pytest

from keyweave_agents.settings import AgentSettings, read_agent_settings
from keyweave_core.errors import InvalidInput, SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.borders import join, side_of
from keyweave_lab.layout import lay_out
from keyweave_lab.topology import (
    Topology,
    TopologyApplication,
    TopologyLink,
    TopologyNode,
    link_id_of,
    node_id_of,
)

CLOCK = SystemClock()


def laid_out(directory: Path, name: str, *sae_ids: str) -> Path:
    topology = Topology(
        name=name,
        source="made up",
        nodes=tuple(
            TopologyNode(name=node, node_id=node_id_of(name, node), location=node) for node in ("far", "edge")
        ),
        links=(
            TopologyLink(link_id=link_id_of(name, "far", "edge"), a="far", b="edge", length_km=5, loss_db=1),
        ),
        applications=tuple(TopologyApplication(sae_id=SaeId(sae_id), node="far") for sae_id in sae_ids),
    )
    lay_out(topology, directory / name, CLOCK, keep=False)
    return directory / name


def settings_of(lab: Path) -> AgentSettings:
    return read_agent_settings(lab / "agents" / "edge" / "agent.toml")


async def test_each_side_is_told_of_the_other(tmp_path: Path) -> None:
    x, y = laid_out(tmp_path, "x", "alice", "a" * 65 + ":b"), laid_out(tmp_path, "y", "carol", "dave")
    await join(side_of(x, "edge"), side_of(y, "edge"), CLOCK)
    near, far = settings_of(x).etsi020, settings_of(y).etsi020
    assert near is not None
    assert far is not None
    (peer,) = near.peers
    assert (peer.name, peer.url) == ("y", f"https://127.0.0.1:{far.listen_port}")
    assert peer.certificate_name == f"urn:uuid:{settings_of(y).node.node_id}"
    assert peer.sae_ids == ("carol", "dave")
    assert far.peers[0].sae_ids == ("alice",)  # the other id is too long for the standard
    assert peer.ca == y / "pki" / "ca.pem"
    assert near.tls.ca.read_bytes() == (y / "pki" / "ca.pem").read_bytes()
    assert set(settings_of(x).told_consumers) == {"carol", "dave"}


async def test_a_third_network_joins_at_the_same_node(tmp_path: Path) -> None:
    x, y, z = (laid_out(tmp_path, name, f"sae-{name}") for name in "xyz")
    await join(side_of(x, "edge"), side_of(y, "edge"), CLOCK)
    port = (settings_of(x).etsi020 or pytest.fail("not joined")).listen_port
    await join(side_of(z, "edge"), side_of(x, "edge"), CLOCK)
    await join(side_of(x, "edge"), side_of(y, "edge"), CLOCK)  # again: nothing is doubled
    joined = settings_of(x).etsi020
    assert joined is not None
    assert joined.listen_port == port
    assert sorted(peer.name for peer in joined.peers) == ["y", "z"]
    assert joined.tls.ca.read_bytes().count(b"BEGIN CERTIFICATE") == 2
    for lab in (y, z):
        peer = (settings_of(lab).etsi020 or pytest.fail("not joined")).peers[0]
        assert peer.url == f"https://127.0.0.1:{port}"


async def test_what_cannot_be_joined(tmp_path: Path) -> None:
    x, y = laid_out(tmp_path, "x", "alice"), laid_out(tmp_path, "y", "alice")
    before = (x / "agents" / "edge" / "agent.toml").read_bytes()
    with pytest.raises(InvalidInput, match="both networks: alice"):
        await join(side_of(x, "edge"), side_of(y, "edge"), CLOCK)
    with pytest.raises(InvalidInput, match="both networks are called x"):
        await join(side_of(x, "edge"), side_of(x, "far"), CLOCK)
    with pytest.raises(InvalidInput, match="no node 'middle'"):
        side_of(x, "middle")
    with pytest.raises(SettingsError, match="no laboratory"):
        side_of(tmp_path / "nowhere", "edge")
    assert (x / "agents" / "edge" / "agent.toml").read_bytes() == before
