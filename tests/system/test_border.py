"""Two networks, each with its own controller and authority, hand a key from end to end at a border."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keyweave_agents.keys.border.values import Parties, VoidOrder
from keyweave_agents.service import wire020 as wire
from keyweave_agents.service import write020 as write
from keyweave_agents.service.client020 import BorderClient
from keyweave_agents.service.settings020 import place_of
from keyweave_agents.settings import read_agent_settings
from keyweave_core.errors import PeerUnreachable
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import client_context
from keyweave_lab.apps import App, AppAddress, FetchedKey, KeyRequestFailed
from keyweave_lab.borders import join, side_of
from keyweave_lab.deploy import deploy, destroy, start_program, stop_program
from keyweave_lab.inventory import LabInventory
from keyweave_lab.topology import (
    Topology,
    TopologyApplication,
    TopologyLink,
    TopologyNode,
    link_id_of,
    node_id_of,
)

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

X, Y = ("X1", "X2", "network-x"), ("Y1", "Y2", "network-y")
ALICE, CAROL = "sae-alice", "urn:sae:carol"


def network(far: str, border: str, name: str, sae_id: str) -> Topology:
    return Topology(
        name=name,
        source="made up",
        nodes=tuple(
            TopologyNode(name=node, node_id=node_id_of(name, node), location=node) for node in (far, border)
        ),
        links=(TopologyLink(link_id=link_id_of(name, far, border), a=far, b=border, length_km=5, loss_db=1),),
        applications=(TopologyApplication(sae_id=SaeId(sae_id), node=far),),
    )


@asynccontextmanager
async def two_networks(directory: Path) -> AsyncIterator[tuple[LabInventory, LabInventory]]:
    clock = SystemClock()
    x, y = directory / "x", directory / "y"
    try:
        labs = await deploy(network(*X, ALICE), x, clock), await deploy(network(*Y, CAROL), y, clock)
        await join(side_of(x, "X2"), side_of(y, "Y2"), clock)
        yield labs
    finally:
        await asyncio.gather(destroy(x, clock), destroy(y, clock))


def app_of(lab: LabInventory, sae_id: str) -> App:
    application = lab.application(sae_id)
    return App(AppAddress(sae_id=sae_id, base_url=application.base_url, tls=application.tls))


async def keys_for(app: App, other: str, number: int, within_s: float = 40.0) -> list[FetchedKey]:
    """Keys as soon as there are any: the first request may meet a border that is still being made."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return list(await app.enc_keys(other, number=number))
            except KeyRequestFailed as error:
                print(error)  # told when time is over
            except PeerUnreachable:
                pass
            await asyncio.sleep(0.3)


async def exchanged(alice: App, carol: App, number: int) -> None:
    """Keys that Alice gets now are those that Carol gets by their ids."""
    made = await keys_for(alice, CAROL, number)
    fetched = await carol.dec_keys(ALICE, [key.key_id for key in made])
    assert [(key.key_id, key.digest) for key in made] == [(key.key_id, key.digest) for key in fetched]


async def test_keys_cross_a_border_and_survive_the_death_of_either_border_node(tmp_path: Path) -> None:
    clock = SystemClock()
    async with two_networks(tmp_path) as (x, y), app_of(x, ALICE) as alice, app_of(y, CAROL) as carol:
        await exchanged(alice, carol, 3)
        # Nothing of the networks is known to the other, but for the border.
        assert x.operator.ca.read_bytes() != y.operator.ca.read_bytes()

        await stop_program(y.directory, "Y2", clock, kill=True)
        await asyncio.sleep(1)  # what the source sends meanwhile stays open
        await start_program(y.directory, "Y2", clock)
        for _ in range(10):
            await exchanged(alice, carol, 16)

        await stop_program(x.directory, "X2", clock, kill=True)
        await start_program(x.directory, "X2", clock)
        for _ in range(10):
            await exchanged(alice, carol, 16)

        made = await keys_for(alice, CAROL, 8)
        for lab in (x, y):
            for log in (lab.directory / "log").iterdir():
                text = log.read_text()
                assert "Traceback" not in text, f"{log}: {text[-2000:]}"
                assert not [key for key in made if key.key_id in text], f"{log} names a key"


async def test_a_key_that_the_peer_takes_back_is_not_delivered_any_more(tmp_path: Path) -> None:
    async with two_networks(tmp_path) as (x, y), app_of(x, ALICE) as alice, app_of(y, CAROL) as carol:
        kept, gone = await keys_for(alice, CAROL, 2)
        near = read_agent_settings(x.directory / "agents" / "X2" / "agent.toml").etsi020
        assert near is not None
        host, port, _ = place_of(near.peers[0].url)
        context = client_context(near.tls, check_hostname=False)  # as the border node of X
        client = BorderClient(host, port, context, lambda _names, _der: None, SystemClock(), answer_s=20.0)
        order = VoidOrder(
            key_ids=(gone.key_id,),
            parties=Parties(initiator=SaeId(ALICE), targets=(SaeId(CAROL),)),
            callback=None,
        )
        reply = await client.ask("POST", "/kmapi/v1/ext_keys/void", write.void_body(order, None))
        client.close()
        assert reply.status == 200
        assert [acked.status.value for acked in wire.read_acks(reply.body)] == ["voided"]
        with pytest.raises(KeyRequestFailed):
            await carol.dec_keys(ALICE, [gone.key_id])
        (fetched,) = await carol.dec_keys(ALICE, [kept.key_id])
        assert fetched.digest == kept.digest


async def test_a_peer_that_is_away_is_named_to_who_asks(tmp_path: Path) -> None:
    clock = SystemClock()
    async with two_networks(tmp_path) as (x, y), app_of(x, ALICE) as alice:
        await stop_program(y.directory, "Y2", clock)
        async with asyncio.timeout(40):
            while True:
                with pytest.raises(KeyRequestFailed) as caught:
                    await alice.enc_keys(CAROL)
                if "other network does not answer" in str(caught.value):
                    break
                await asyncio.sleep(0.3)
        await start_program(y.directory, "Y2", clock)
        assert await keys_for(alice, CAROL, 1)
