"""A whole small laboratory with the real programs, as `keyweave lab deploy` makes it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.apps import App, AppAddress
from keyweave_lab.deploy import deploy, destroy, inspect
from keyweave_lab.inventory import LabInventory
from keyweave_lab.plant_control import PlantClient
from keyweave_lab.topology import (
    Topology,
    TopologyApplication,
    TopologyLink,
    TopologyNode,
    link_id_of,
    node_id_of,
)

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

TWO = Topology(
    name="two",
    source="made up",
    nodes=tuple(
        TopologyNode(name=name, node_id=node_id_of("two", name), location=f"Site {name}") for name in "AB"
    ),
    links=(TopologyLink(link_id=link_id_of("two", "A", "B"), a="A", b="B", length_km=10, loss_db=2),),
    applications=(
        TopologyApplication(sae_id=SaeId("alice"), node="A"),
        TopologyApplication(sae_id=SaeId("urn:sae:bob"), node="B"),
    ),
)


@pytest.fixture
async def laboratory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabInventory]:
    # Deeper than a unix socket's path may be: people clone repositories into long paths.
    directory = tmp_path_factory.mktemp("lab") / ("deep" * 20) / "two"
    directory.parent.mkdir()
    try:
        yield await deploy(TWO, directory, SystemClock())
    finally:
        await destroy(directory, SystemClock())
        assert {each.state for each in inspect(directory)} == {"stopped"}


def app_of(laboratory: LabInventory, sae_id: str) -> App:
    application = laboratory.application(sae_id)
    return App(AppAddress(sae_id=sae_id, base_url=application.base_url, tls=application.tls))


async def test_every_program_serves_where_the_inventory_says(laboratory: LabInventory) -> None:
    assert {each.state for each in inspect(laboratory.directory)} == {"running"}
    async with app_of(laboratory, "alice") as alice:
        status = await alice.status("urn:sae:bob")
        assert status["source_KME_ID"] == laboratory.node("A").node_id
    fibres = await PlantClient(laboratory.plant_socket).fibres()
    assert [fibre.name for fibre in fibres] == ["A~B"]
    for node in laboratory.nodes:
        async with asyncssh.connect(
            "127.0.0.1",
            node.netconf_port,
            username=laboratory.netconf_user,
            client_keys=[str(laboratory.netconf_key)],
            known_hosts=([asyncssh.read_public_key(node.host_key)], [], []),
            config=None,
        ):
            pass
    host, port = laboratory.controller_address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5):
        pass


async def test_two_applications_hold_the_same_key(laboratory: LabInventory) -> None:
    async with app_of(laboratory, "alice") as alice, app_of(laboratory, "urn:sae:bob") as bob:
        async with asyncio.timeout(20):
            made = await alice.enc_keys("urn:sae:bob", number=2, size_bits=512)
            fetched = await bob.dec_keys("alice", [key.key_id for key in made])
    assert [(key.key_id, key.digest, key.bits) for key in made] == [
        (key.key_id, key.digest, key.bits) for key in fetched
    ]
    for log in (Path(laboratory.directory) / "log").iterdir():
        text = log.read_text()
        assert not [key for key in made if key.key_id in text], f"{log} names a key"
