"""A gNMI server on a free port of the loopback, and a client of it."""

import datetime as dt
from collections.abc import AsyncIterator

import pytest
from tests.gnmi.node import INITIAL, NODE, USERS, Device, Target, settings

from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock
from keyweave_gnmi.client import GnmiClient
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.server import GnmiServer
from keyweave_lab.pki import LabPki
from keyweave_yang.schema import load_schema


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> LabPki:
    """An authority for all tests."""
    return LabPki(tmp_path_factory.mktemp("pki") / "pki", now=dt.datetime.now(dt.UTC))


@pytest.fixture
def limits() -> GnmiLimits:
    """Bounds of the server; tests override this fixture."""
    return GnmiLimits(refresh_s=0.05, min_sample_s=0.02, grace_s=0.1)


@pytest.fixture
async def target(pki: LabPki, limits: GnmiLimits) -> AsyncIterator[Target]:
    device = Device()
    netconf = NetconfServer(load_schema(), device, [parse_xml(INITIAL.encode())], clock=SystemClock())
    server = GnmiServer(settings(pki.node("alpha", NODE), limits), netconf.system, groups=USERS)
    port = await server.start()
    yield Target(netconf=netconf, server=server, device=device, port=port, pki=pki)
    await server.close()
    await netconf.close()


@pytest.fixture
async def client(target: Target) -> AsyncIterator[GnmiClient]:
    async with target.client() as connected:
        yield connected
