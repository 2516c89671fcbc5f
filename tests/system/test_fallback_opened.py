"""An association is asked for while no fibre makes key: refused, but for one that may fall back to ML-KEM."""

from pathlib import Path

import pytest
from tests.system.conftest import Network, RunNetwork
from tests.system.test_fallback import ROW

from keyweave_core.errors import Refused
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.demo_wait import until
from keyweave_lab.plant_control import PlantClient
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()


def open_association(network: Network, mode: "pb.KeyMode") -> pb.Association:
    wish = pb.OpenAssociationRequest(source="sae-a", destination="sae-c", service=pb.Service(key_mode=mode))
    with network.controller() as controller, controller.answers():
        return controller.associations.Open(wish, timeout=20).association


async def test_opened_while_no_fibre_makes_key(run_network: RunNetwork) -> None:
    async with (
        run_network(ROW) as network,
        network.app("sae-a") as master,
        network.app("sae-c") as slave,
    ):
        plant = PlantClient(Path(network.lab.directory) / "plant.sock")
        for link in network.lab.links:
            await plant.cut(link.link_id)

        async def dark() -> bool | None:
            return True if all(link.status != pb.LINK_STATUS_ACTIVE for link in network.links()) else None

        await until(dark, CLOCK, 10, "both fibres to be dark")
        with pytest.raises(Refused, match="is PASSIVE"):
            open_association(network, pb.KEY_MODE_QKD_ONLY)
        opened = open_association(network, pb.KEY_MODE_PQC_FALLBACK)
        assert opened.state == pb.ASSOCIATION_STATE_ACTIVE
        near = await master.enc_keys("sae-c", number=4, size_bits=256)
        assert near == await slave.dec_keys("sae-a", [key.key_id for key in near])
        for link in network.lab.links:
            await plant.repair(link.link_id)

        async def whole() -> bool | None:
            (association,) = network.associations()
            good = not association.degraded and not association.reasons
            return True if good and association.state == pb.ASSOCIATION_STATE_ACTIVE else None

        await until(whole, CLOCK, 30, "the association to be whole")
