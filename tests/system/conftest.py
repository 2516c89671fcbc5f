"""Whole networks of real processes for the tests of this folder."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.apps import App, AppAddress
from keyweave_lab.demo_wait import until
from keyweave_lab.deploy import deploy, destroy
from keyweave_lab.dial import Controller, ControllerAddress
from keyweave_lab.inventory import LabInventory
from keyweave_lab.topology_file import parse_topology
from keyweave_proto.v1 import keyweave_pb2 as pb

CLOCK = SystemClock()

RING = """
name: ring
source: made for the tests
nodes: [{name: A}, {name: B}, {name: C}, {name: D}]
links:
  - {a: A, b: B, length_km: 10}
  - {a: B, b: C, length_km: 10}
  - {a: C, b: D, length_km: 10}
  - {a: D, b: A, length_km: 10}
applications:
  - {sae_id: sae-a, node: A, min_bandwidth_bps: 8192}
  - {sae_id: sae-b, node: B, min_bandwidth_bps: 8192}
  - {sae_id: sae-c, node: C, min_bandwidth_bps: 8192}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One network at a time: they share the machine's two cores."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.xdist_group("system"))


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory whose path is short enough for a unix socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="keyweave-test-"))
    yield folder
    shutil.rmtree(folder)


class Network:
    """A running laboratory and ways to look at it."""

    def __init__(self, lab: LabInventory) -> None:
        self.lab = lab

    def controller(self) -> Controller:
        """A fresh channel to the controller."""
        return Controller(ControllerAddress(address=self.lab.controller_address, tls=self.lab.operator))

    def app(self, sae_id: str) -> App:
        """An application's client."""
        application = self.lab.application(sae_id)
        return App(AppAddress(sae_id=sae_id, base_url=application.base_url, tls=application.tls))

    def associations(self) -> list[pb.Association]:
        """Every association that is not ended."""
        with self.controller() as controller, controller.answers():
            return list(controller.associations.List(pb.ListAssociationsRequest(), timeout=10).associations)

    def links(self) -> list[pb.Link]:
        """Every physical link."""
        with self.controller() as controller, controller.answers():
            return list(controller.topology.ListLinks(pb.ListLinksRequest(), timeout=10).links)

    def alarms(self) -> list[pb.Alarm]:
        """Every standing alarm."""
        with self.controller() as controller, controller.answers():
            return list(controller.alarms.List(pb.ListAlarmsRequest(), timeout=10).alarms)

    async def settled(self) -> None:
        """Return when every fibre makes key, has some in stock, and no alarm stands."""

        async def look() -> bool | None:
            links = self.links()
            good = all(link.status == pb.LINK_STATUS_ACTIVE and link.stored_bits > 100_000 for link in links)
            return True if good and len(links) == len(self.lab.links) and not self.alarms() else None

        await until(look, CLOCK, 30, "a settled network")


RunNetwork = Callable[[str], AbstractAsyncContextManager[Network]]


@pytest.fixture
def run_network(short_dir: Path) -> RunNetwork:
    """`async with run_network(topology_text) as network:` deploys, waits for stock, and destroys."""

    @asynccontextmanager
    async def run(topology: str) -> AsyncIterator[Network]:
        directory = short_dir / "lab"
        lab = await deploy(parse_topology(topology.encode(), where="test"), directory, CLOCK)
        try:
            network = Network(lab)
            await network.settled()
            yield network
        finally:
            await destroy(directory, CLOCK)

    return run
