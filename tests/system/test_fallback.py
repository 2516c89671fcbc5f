"""The whole quantum layer of a network goes dark: key delivery goes on, marked, and comes back by itself."""

from pathlib import Path

from tests.system.conftest import Network, RunNetwork

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.apps import App, FetchedKey
from keyweave_lab.demo_wait import until
from keyweave_lab.deploy import start, stop_program
from keyweave_lab.plant_control import PlantClient
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()

ROW = """
name: row
source: made for the tests
nodes: [{name: A}, {name: B}, {name: C}]
links:
  - {a: A, b: B, length_km: 10}
  - {a: B, b: C, length_km: 10}
applications:
  - {sae_id: sae-a, node: A, min_bandwidth_bps: 8192}
  - {sae_id: sae-c, node: C, min_bandwidth_bps: 8192}
"""


def plant(network: Network) -> PlantClient:
    return PlantClient(Path(network.lab.directory) / "plant.sock")


def opened(network: Network, mode: "pb.KeyMode") -> None:
    wish = pb.OpenAssociationRequest(source="sae-a", destination="sae-c", service=pb.Service(key_mode=mode))
    with network.controller() as controller, controller.answers():
        controller.associations.Open(wish, timeout=20)


async def pair(master: App, slave: App, number: int = 8, size_bits: int = 256) -> set[str]:
    """Keys at both ends, compared; what they are made of."""
    near = await master.enc_keys("sae-c", number=number, size_bits=size_bits)
    far = await slave.dec_keys("sae-a", [key.key_id for key in near])
    assert near == far, "both ends hold the same, and are told the same of it"
    return {key.origin for key in near}


async def drained(master: App, slave: App) -> None:
    """Use pools and buffer up until every key is of ML-KEM. No request fails meanwhile."""
    for size_bits in (4096, 256):
        for _ in range(2000):
            if await pair(master, slave, 64, size_bits) == {"pqc"}:
                break
        else:
            raise AssertionError("the pools never got empty")


async def test_key_delivery_outlives_the_quantum_layer(run_network: RunNetwork) -> None:
    async with (
        run_network(ROW) as network,
        network.app("sae-a") as master,
        network.app("sae-c") as slave,
    ):
        opened(network, pb.KEY_MODE_PQC_FALLBACK)
        assert await pair(master, slave) == {"qkd"}
        for link in network.lab.links:
            await plant(network).cut(link.link_id)
        await drained(master, slave)
        for _ in range(40):
            assert await pair(master, slave) == {"pqc"}

        async def told() -> pb.Association | None:
            (association,) = network.associations()
            return association if association.fallback else None

        await until(told, CLOCK, 10, "the controller to hear of the fallback")
        assert any("ML-KEM" in alarm.text or "fallback" in alarm.type for alarm in network.alarms())

        for link in network.lab.links:
            await plant(network).repair(link.link_id)

        async def quantum() -> bool | None:
            assert (await pair(master, slave)) <= {"qkd", "pqc"}
            (association,) = network.associations()
            return True if not association.fallback else None

        await until(quantum, CLOCK, 30, "quantum keys")
        for _ in range(20):
            assert await pair(master, slave) == {"qkd"}


async def test_hybrid_keys_come_back_after_the_destination_was_killed(run_network: RunNetwork) -> None:
    async with run_network(ROW) as network, network.app("sae-a") as master:
        opened(network, pb.KEY_MODE_HYBRID)
        async with network.app("sae-c") as slave:
            for _ in range(5):
                assert await pair(master, slave) == {"hybrid"}
        await stop_program(network.lab.directory, "C", CLOCK, kill=True)
        await start(network.lab.directory, CLOCK)
        await network.settled()
        async with network.app("sae-c") as slave:
            near: list[FetchedKey] = await master.enc_keys("sae-c", number=60)
            assert {key.origin for key in near} == {"hybrid"}
            for _ in range(10):
                assert await pair(master, slave) == {"hybrid"}
