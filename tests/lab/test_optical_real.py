"""Light on the channel of a running link: both agents are told, the modules meet again, keys flow on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.lab.test_deploy_real import TWO, app_of

from keyweave_controller.control.optical.equipment import Fibre, Module, ModuleRef, QuantumChannel
from keyweave_controller.control.optical.plant import Plant
from keyweave_core.model.ids import InterfaceId
from keyweave_core.model.link import Role
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.deploy import deploy, destroy
from keyweave_lab.dial import Controller, lab_address
from keyweave_lab.inventory import LabInventory
from keyweave_lab.settings_tables import Tuning
from keyweave_proto.v1 import keyweave_pb2, optical_pb2

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

FIBRE = Fibre(name="AB", a="A", b="B", km=10.0)
ENDS = {
    site: Module(
        site=site,
        interface_id=InterfaceId(1),
        at="AB",
        role=role,
        profile="bb84-t12-1ghz",
        wavelength_range="30-36",
        max_absorption_db=24.0,
    )
    for site, role in (("A", Role.TRANSMITTER), ("B", Role.RECEIVER))
}
PLANT = Plant(
    sites=("A", "B"),
    fibres=(FIBRE,),
    modules=tuple(ENDS.values()),
    channels=(
        QuantumChannel(
            link="A-B",
            transmitter=ModuleRef(site="A", interface_id=InterfaceId(1)),
            receiver=ModuleRef(site="B", interface_id=InterfaceId(1)),
            fibres=("AB",),
            channel=34,
        ),
    ),
)


@pytest.fixture
async def laboratory(tmp_path: Path) -> AsyncIterator[LabInventory]:
    try:
        yield await deploy(TWO, tmp_path / "two", SystemClock(), tuning=Tuning(fibres=PLANT))
    finally:
        await destroy(tmp_path / "two", SystemClock())


def light(channel: int, dbm: float = -30.0) -> optical_pb2.ClassicalChannel:
    return optical_pb2.ClassicalChannel(
        name=f"c{channel}", source="A", fibres=["AB"], channel=channel, launch_dbm=dbm
    )


async def share_a_key(laboratory: LabInventory) -> None:
    async with app_of(laboratory, "alice") as alice, app_of(laboratory, "urn:sae:bob") as bob:
        async with asyncio.timeout(20):
            made = await alice.enc_keys("urn:sae:bob", number=1)
            fetched = await bob.dec_keys("alice", [key.key_id for key in made])
    assert [key.digest for key in made] == [key.digest for key in fetched]


async def test_light_moves_a_running_link_and_keys_flow_on(laboratory: LabInventory) -> None:
    await share_a_key(laboratory)
    with Controller(lab_address(laboratory.directory)) as controller:
        before = controller.optical.GetPlant(optical_pb2.GetPlantRequest(), timeout=10)
        assert [one.channel for one in before.channels] == [34]
        after = controller.optical.AddClassical(
            optical_pb2.AddClassicalRequest(channel=light(34)), timeout=30
        )
        (channel,) = after.channels
        assert channel.channel in range(30, 37)
        assert channel.channel != 34
        await share_a_key(laboratory)
        await asyncio.sleep(2.0)  # a poll later
        (link,) = controller.topology.ListLinks(keyweave_pb2.ListLinksRequest(), timeout=10).links
        assert link.status == keyweave_pb2.LINK_STATUS_ACTIVE
        assert not controller.alarms.List(keyweave_pb2.ListAlarmsRequest(), timeout=10).alarms
    for name in "AB":
        log = (laboratory.directory / "log" / f"{name}.log").read_text()
        assert f'"former": 34, "wavelength": {channel.channel}' in log
