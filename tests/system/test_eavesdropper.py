"""Somebody listens on a fibre of a network of processes: told, moved away from, and back when it is calm."""

from pathlib import Path

from tests.system.conftest import RING, Network, RunNetwork
from tests.system.test_fallback import ROW, opened
from tests.system.test_fallback import pair as made_of

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.apps import App
from keyweave_lab.demo_wait import until
from keyweave_lab.plant_control import PlantClient
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()
LISTENED = "eavesdropping-suspected"


async def pair(master: App, slave: App) -> None:
    """A key at both ends, the same."""
    near = await master.enc_keys("sae-c", number=1, size_bits=256)
    assert near == await slave.dec_keys("sae-a", [near[0].key_id])


def path(network: Network) -> pb.Path:
    (association,) = network.associations()
    return association.path


async def test_somebody_listens_on_a_fibre(run_network: RunNetwork) -> None:
    async with run_network(RING) as network, network.app("sae-a") as master, network.app("sae-c") as slave:
        plant = PlantClient(Path(network.lab.directory) / "plant.sock")
        await pair(master, slave)
        before = path(network)
        fibre = before.link_ids[0]
        await plant.degrade(fibre, extra_loss_db=0.0, excess_noise=0.2)

        async def noticed() -> pb.Alarm | None:
            return next((one for one in network.alarms() if one.type == LISTENED), None)

        alarm = await until(noticed, CLOCK, 15, "the controller to hear of it")
        assert alarm.severity == pb.ALARM_SEVERITY_CRITICAL
        assert "bits of key were destroyed" in alarm.text
        (link,) = [one for one in network.links() if one.link_id == fibre]
        assert "QBER" in link.quarantine
        assert link.status == pb.LINK_STATUS_OFF

        async def moved() -> bool | None:
            (association,) = network.associations()
            active = association.state == pb.ASSOCIATION_STATE_ACTIVE
            return True if active and fibre not in association.path.link_ids else None

        await until(moved, CLOCK, 15, "the association to go another way")
        for _ in range(20):
            await pair(master, slave)

        await plant.repair(fibre)

        async def calm() -> bool | None:
            (link,) = [one for one in network.links() if one.link_id == fibre]
            used = link.status == pb.LINK_STATUS_ACTIVE and not link.quarantine
            return True if used and await noticed() is None else None

        await until(calm, CLOCK, 20, "the fibre to be used again")
        await pair(master, slave)


async def test_without_another_way_keys_of_ml_kem_go_on(run_network: RunNetwork) -> None:
    async with run_network(ROW) as network, network.app("sae-a") as master, network.app("sae-c") as slave:
        plant = PlantClient(Path(network.lab.directory) / "plant.sock")
        opened(network, pb.KEY_MODE_PQC_FALLBACK)
        assert await made_of(master, slave) == {"qkd"}
        fibre = network.lab.links[0].link_id
        await plant.degrade(fibre, extra_loss_db=0.0, excess_noise=0.2)

        async def fallen_back() -> bool | None:
            return True if await made_of(master, slave, 16) == {"pqc"} else None  # no request fails meanwhile

        await until(fallen_back, CLOCK, 20, "keys of ML-KEM")

        async def told() -> bool | None:
            return (
                True if {alarm.type for alarm in network.alarms()} >= {LISTENED, "fallback-active"} else None
            )

        await until(told, CLOCK, 10, "both alarms")
        (association,) = network.associations()
        assert association.state == pb.ASSOCIATION_STATE_ACTIVE
        await plant.repair(fibre)

        async def back() -> bool | None:
            quantum = await made_of(master, slave) == {"qkd"}
            return True if quantum and not network.alarms() else None

        await until(back, CLOCK, 40, "quantum keys and no alarm")
