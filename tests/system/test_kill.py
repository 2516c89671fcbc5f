"""Processes of a running network die without warning (kill -9) and come back."""

import pytest
from tests.system.chaos_checks import held_bps
from tests.system.conftest import RING, Network, RunNetwork

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.apps import App, KeyRequestFailed
from keyweave_lab.demo_wait import until
from keyweave_lab.deploy import start, stop_program
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()


async def fetch(master: App, slave: App, rounds: int) -> None:
    """Keys that are equal at both ends, one by one."""
    for _ in range(rounds):
        near = await master.enc_keys(slave.address.sae_id)
        far = await slave.dec_keys(master.address.sae_id, [key.key_id for key in near])
        assert [(key.key_id, key.digest) for key in near] == [(key.key_id, key.digest) for key in far]


async def all_connected(network: Network) -> bool | None:
    with network.controller() as controller, controller.answers():
        nodes = controller.topology.ListNodes(pb.ListNodesRequest(), timeout=10).nodes
    return True if all(node.connected for node in nodes) else None


def reserved(network: Network) -> dict[str, int]:
    return {link.link_id: link.reserved_bps for link in network.links()}


async def test_a_killed_controller_goes_on_where_it_was(run_network: RunNetwork) -> None:
    async with (
        run_network(RING) as network,
        network.app("sae-a") as master,
        network.app("sae-c") as slave,
    ):
        await fetch(master, slave, 5)
        before, held = network.associations(), reserved(network)
        assert sum(held.values()) == 2 * held_bps(8192)

        await stop_program(network.lab.directory, "controller", CLOCK, kill=True)
        await fetch(master, slave, 150)  # more than the buffer held: relay goes on alone
        await start(network.lab.directory, CLOCK)
        await until(lambda: all_connected(network), CLOCK, 20, "the agents at the new controller")

        after = network.associations()
        assert [(a.app_id, a.state, a.path.virtual_link_id) for a in after] == [
            (b.app_id, b.state, b.path.virtual_link_id) for b in before
        ]
        assert reserved(network) == held
        await fetch(master, slave, 80)
        assert network.alarms() == []


async def test_a_killed_relay_node_comes_back_without_wrong_keys(run_network: RunNetwork) -> None:
    async with (
        run_network(RING) as network,
        network.app("sae-a") as master,
        network.app("sae-c") as slave,
    ):
        await fetch(master, slave, 5)
        (association,) = network.associations()
        relay = association.path.node_names[1]
        await stop_program(network.lab.directory, relay, CLOCK, kill=True)
        await fetch(master, slave, 30)  # from the buffer, then over the other side of the ring
        await start(network.lab.directory, CLOCK)
        await until(lambda: all_connected(network), CLOCK, 20, "the restarted agent")
        await network.settled()
        await fetch(master, slave, 150)


async def test_a_killed_source_serves_again(run_network: RunNetwork) -> None:
    async with run_network(RING) as network, network.app("sae-c") as slave:
        async with network.app("sae-a") as master:
            await fetch(master, slave, 5)
        await stop_program(network.lab.directory, "A", CLOCK, kill=True)
        await start(network.lab.directory, CLOCK)
        async with network.app("sae-a") as master:
            await fetch(master, slave, 100)
        assert len(network.associations()) == 1


async def test_a_killed_destination_still_has_what_the_master_got(run_network: RunNetwork) -> None:
    async with run_network(RING) as network, network.app("sae-a") as master:
        async with network.app("sae-c") as slave:
            await fetch(master, slave, 5)
            held = [key for _ in range(20) for key in await master.enc_keys("sae-c")]
            once = await slave.dec_keys("sae-a", [held[0].key_id])
        await stop_program(network.lab.directory, "C", CLOCK, kill=True)
        await start(network.lab.directory, CLOCK)
        async with network.app("sae-c") as slave:
            for key in held[1:]:
                (far,) = await slave.dec_keys("sae-a", [key.key_id])
                assert far.digest == key.digest
            with pytest.raises(KeyRequestFailed):
                await slave.dec_keys("sae-a", [once[0].key_id])
            await fetch(master, slave, 80)
