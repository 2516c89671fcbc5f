"""The controller over gNMI: the trees of its NETCONF, the same rules, the same commits."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.controller.northbound.netconf_site import B, Site

from keyweave_controller.control.service import Constraints, Service, ServiceClass
from keyweave_core.errors import KeyweaveError
from keyweave_gnmi.client import GnmiClient
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.server import open_gnmi
from keyweave_gnmi.settings import GnmiSettings
from keyweave_lab.pki import LabPki

TOP = "/keyweave-qkd-network:key-associations"


@pytest.fixture
def site(tmp_path: Path, pki: LabPki) -> Site:
    return Site(tmp_path, pki)


@pytest.fixture
async def port(site: Site, pki: LabPki) -> AsyncIterator[int]:
    """Where the controller serves gNMI."""
    tls = pki.controller()
    settings = GnmiSettings(
        certificate=tls.certificate,
        private_key=tls.private_key,
        ca=tls.ca,
        listen_port=0,
        limits=GnmiLimits(grace_s=0.1),
    )
    async with site.running():
        server, port = await open_gnmi(settings, site.settings, site.northbound.system)
        yield port
        await server.close()


async def test_an_association_by_set_and_get(site: Site, pki: LabPki, port: int) -> None:
    async with GnmiClient("localhost", port, pki.operator()) as client:
        wanted = {"name": "one", "source": "sae:a", "destination": "sae:c"}
        await client.set(update=[(f"{TOP}/association[name=one]", wanted)])
        (got,) = await client.get([f"{TOP}/association[name=one]/state/status"])
        assert json.loads(got.update[0].val.json_ietf_val) == "active"
        large = {**wanted, "name": "two", "source": "sae:b", "qos": {"min-bandwidth-bps": 4_000_000}}
        with pytest.raises(KeyweaveError, match="lacks"):
            await client.set(update=[(f"{TOP}/association[name=two]", large)])
        await client.set(delete=[f"{TOP}/association[name=one]"])
        assert site.engine.network.state.operator.associations == ()
    async with GnmiClient("localhost", port, pki.operator("viewer")) as viewer:
        with pytest.raises(KeyweaveError, match="may not"):
            await viewer.set(update=[(f"{TOP}/association[name=one]", wanted)])


async def test_a_service_by_set_and_get(site: Site, pki: LabPki, port: int) -> None:
    async with GnmiClient("localhost", port, pki.operator()) as client:
        path = f"{TOP}/association[name=one]"
        wanted = {"name": "one", "source": "sae:a", "destination": "sae:c"}
        service = {
            "class": "best-effort",
            "key-bits": 512,
            "constraints": {"max-hops": 2, "include-node": ["B"], "max-latency-ms": "3.5"},
        }
        await client.set(update=[(path, {**wanted, "service": service})])
        (record,) = site.engine.network.associations.values()
        assert record.service == Service(
            service_class=ServiceClass.BEST_EFFORT,
            key_bits=512,
            constraints=Constraints(max_hops=2, include_nodes=frozenset({B}), max_latency_ms=3.5),
        )
        (got,) = await client.get([f"{path}/service/constraints/include-node"])
        assert json.loads(got.update[0].val.json_ietf_val) == ["B"]
        await client.set(replace=[(f"{path}/service", {"class": "guaranteed"})])
        assert record.service == Service()
        for value, words in (
            ({"protection": "1+1"}, "not joined by 2 ways"),
            ({"class": "best-effort", "protection": "1:1"}, "nothing can stand by"),
            ({"strategy": "luck"}, "there are balanced"),
        ):
            with pytest.raises(KeyweaveError, match=words):
                await client.set(replace=[(f"{path}/service", value)])
        assert record.service == Service()
