"""One master and several slaves: real agents, a real tree, and the same keys at every leaf."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.system.conftest import Network, RunNetwork
from tests.system.test_kill import all_connected

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.apps import App, KeyRequestFailed
from keyweave_lab.demo_wait import until
from keyweave_lab.deploy import start, stop_program
from keyweave_lab.plant_control import PlantClient
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()
COMMAND = str(Path(sys.executable).with_name("keyweave"))

STAR = """
name: star
source: made for the tests
nodes: [{name: A}, {name: H}, {name: B}, {name: C}]
links:
  - {a: A, b: H, length_km: 10}
  - {a: H, b: B, length_km: 10}
  - {a: H, b: C, length_km: 10}
  - {a: B, b: C, length_km: 10}
applications:
  - {sae_id: sae-a, node: A, min_bandwidth_bps: 8192}
  - {sae_id: sae-b, node: B, min_bandwidth_bps: 8192}
  - {sae_id: sae-c, node: C, min_bandwidth_bps: 8192}
  - {sae_id: sae-d, node: C, min_bandwidth_bps: 8192}
"""


async def share(master: App, slaves: list[App], number: int = 2) -> list[str]:
    """Every slave gets the same keys as the master; their ids."""
    first, *others = (slave.address.sae_id for slave in slaves)
    keys = await master.enc_keys(first, number=number, also=others)
    ids = [key.key_id for key in keys]
    for slave in slaves:
        got = await slave.dec_keys(master.address.sae_id, ids)
        assert [(key.key_id, key.digest) for key in got] == [(key.key_id, key.digest) for key in keys]
    return ids


def hops(network: Network, path: pb.Path) -> set[str]:
    names = dict(zip(path.node_ids, path.node_names, strict=True))
    return {names[step.from_node_id] + names[step.to_node_id] for step in path.steps}


def reserved(network: Network) -> dict[str, int]:
    return {"".join(sorted((link.a_name, link.b_name))): link.reserved_bps for link in network.links()}


async def test_every_slave_gets_the_same_keys_and_nobody_else(run_network: RunNetwork) -> None:
    async with (
        run_network(STAR) as network,
        network.app("sae-a") as master,
        network.app("sae-b") as first,
        network.app("sae-c") as second,
        network.app("sae-d") as stranger,
    ):
        assert (await master.status("sae-b"))["max_SAE_ID_count"] == 4
        keys = await master.enc_keys("sae-b", number=3, also=["sae-c"])
        ids = [key.key_id for key in keys]
        with pytest.raises(KeyRequestFailed) as refused:
            await stranger.dec_keys("sae-a", ids)
        assert refused.value.status == 401
        for slave in (first, second):
            got = await slave.dec_keys("sae-a", ids)
            assert [(key.key_id, key.digest) for key in got] == [(key.key_id, key.digest) for key in keys]
            with pytest.raises(KeyRequestFailed):
                await slave.dec_keys("sae-a", ids)  # once each

        (tree,) = network.associations()
        assert (tree.source, tree.destination, list(tree.further_destinations)) == (
            "sae-a",
            "sae-b",
            ["sae-c"],
        )
        assert hops(network, tree.path) == {"AH", "HB", "HC"}
        held = reserved(network)
        assert held["BC"] == 0
        assert held["AH"] == held["BH"] == held["CH"] == tree.path.hop_bps, "once, however many leaves"
        assert tree.path.hop_bps < 2 * 8192

        plant = PlantClient(network.lab.plant_socket)
        await plant.cut("H~B")

        async def moved() -> bool | None:
            await share(master, [first, second], 1)  # keys come all along
            (now,) = network.associations()
            return hops(network, now.path) == {"AH", "HC", "CB"} or None

        await until(moved, CLOCK, 20, "the tree over the other fibres")
        for _ in range(100):  # more than the buffer held: C stores and relays to B
            await share(master, [first, second], 1)

        line = [COMMAND, "open", "sae-b", "sae-a", "--also", "sae-d", "--lab", str(network.lab.directory)]
        shown = (await asyncio.to_thread(subprocess.check_output, line, timeout=30)).decode()
        assert "and to" in shown
        assert "B > C > H > A" in shown
        async with network.app("sae-b") as other_master, network.app("sae-a") as end:
            await share(other_master, [end, stranger], 1)

        with pytest.raises(KeyRequestFailed) as beside:
            async with network.app("sae-d") as neighbour:
                await neighbour.enc_keys("sae-a", also=["sae-c"])
        assert "the same keys go to other nodes only" in beside.value.message


async def test_a_killed_leaf_on_the_way_and_a_killed_controller_come_back(run_network: RunNetwork) -> None:
    chain = STAR.replace("  - {a: H, b: B, length_km: 10}\n", "")  # to B by C alone
    async with (
        run_network(chain) as network,
        network.app("sae-a") as master,
        network.app("sae-b") as end,
    ):
        async with network.app("sae-c") as on_the_way:
            await share(master, [end, on_the_way])
        (before,) = network.associations()
        assert hops(network, before.path) == {"AH", "HC", "CB"}
        await stop_program(network.lab.directory, "controller", CLOCK, kill=True)
        await stop_program(network.lab.directory, "C", CLOCK, kill=True)
        await start(network.lab.directory, CLOCK)
        await until(lambda: all_connected(network), CLOCK, 20, "every agent at the new controller")
        await network.settled()
        async with network.app("sae-c") as on_the_way:

            async def shared() -> bool | None:
                try:
                    await share(master, [end, on_the_way])
                except KeyRequestFailed:  # the keys that the leaf has lost are being replaced
                    return None
                return True

            await until(shared, CLOCK, 10, "keys that every leaf has")
            for _ in range(100):
                await share(master, [end, on_the_way])
        (after,) = network.associations()
        assert after.app_id == before.app_id
        assert list(after.further_destinations) == ["sae-c"]
