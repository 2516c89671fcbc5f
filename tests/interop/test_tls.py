"""NETCONF over TLS and call home with clients of others: ncclient and netconf-client as they are on PyPI."""

import asyncio
import datetime as dt
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ncclient import manager
from netconf_client.connect import CallhomeManager, connect_tls
from netconf_client.ncclient import Manager

from keyweave_core.model.ids import NodeId
from keyweave_core.netconf.server.server import Service
from keyweave_core.netconf.tls.names import NameMap
from keyweave_core.runtime.retry import Backoff
from keyweave_core.runtime.tls import TlsSettings, server_context
from keyweave_lab.pki import LabPki

pytestmark = [
    pytest.mark.interop,
    # netconf-client asks for PROTOCOL_TLSv1_2; ncclient leaves the socket it was called on to the collector.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NODE = NodeId("aaaaaaaa-0000-4000-8000-000000000001")
QUICK = Backoff(first_s=0.01, most_s=0.05)
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
FILTER = f'<filter><qkd_node xmlns="{ETSI}"/></filter>'
CONFIG = (
    f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><qkd_node xmlns="{ETSI}">'
    f"<qkdn_location_id>{'x' * 9000}</qkdn_location_id></qkd_node></config>"
)


@dataclass
class Papers:
    """The certificates of the server and of its client."""

    node: TlsSettings
    client: TlsSettings

    def service(self, place: Any, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Service:
        context = server_context(self.node)
        context.minimum_version = minimum
        service: Service = place.server.tls(context, NameMap((), ()), {"ctl": frozenset()})
        return service

    def files(self, *names: str) -> dict[str, str]:
        values = (self.client.private_key, self.client.certificate, self.client.ca)
        return dict(zip(names, map(str, values), strict=True))


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    pki = LabPki(tmp_path, now=dt.datetime.now(dt.UTC))
    return Papers(pki.node("n", NODE), pki.operator("ctl"))


@pytest.fixture
def home() -> int:
    """A port of loopback that was free a moment ago: these clients want a number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


async def test_ncclient_over_tls_reads_replies_larger_than_its_buffer(place: Any, papers: Papers) -> None:
    # It reads 4096 bytes of a TLS record and then waits for the socket: larger records never end for it.
    port = await papers.service(place).listen("127.0.0.1", 0)

    def work() -> None:
        with manager.connect_tls(
            host="127.0.0.1",
            port=port,
            **papers.files("keyfile", "certfile", "ca_certs"),
            protocol=ssl.PROTOCOL_TLS_CLIENT,
            check_hostname=False,
            timeout=10,
        ) as client:
            client.edit_config(CONFIG, target="candidate")
            client.commit()
            assert client.get_config("running").xml.count("x") > 9000
            assert len(client.get_schema("ietf-netconf").data) > 20_000

    await asyncio.to_thread(work)


async def test_netconf_client_over_tls_1_2_the_only_one_it_speaks(place: Any, papers: Papers) -> None:
    port = await papers.service(place, ssl.TLSVersion.TLSv1_2).listen("127.0.0.1", 0)
    refusing = await papers.service(place).listen("127.0.0.1", 0)
    files = papers.files("keyfile", "certfile", "ca_certs")

    def work() -> None:
        with Manager(connect_tls("127.0.0.1", port, **files), timeout=10) as client:
            client.edit_config(CONFIG, target="running")
            assert client.get_config(source="running").data_xml.count(b"x") > 9000
        with pytest.raises(OSError, match=r"(?i)eof|protocol|reset"):
            connect_tls("127.0.0.1", refusing, **files)

    await asyncio.to_thread(work)


@pytest.mark.parametrize("over", ["ssh", "tls"])
async def test_netconf_client_is_called_home(place: Any, papers: Papers, home: int, over: str) -> None:
    if over == "ssh":
        service = place.server.ssh([place.host], {"tester": [place.user.convert_to_public()]})
    else:
        service = papers.service(place, ssl.TLSVersion.TLSv1_2)
    place.server.call_home(service, "127.0.0.1", home, backoff=QUICK, uniform=lambda: 0.5)

    def work() -> None:
        with CallhomeManager("127.0.0.1", home) as waiting:
            if over == "ssh":
                session = waiting.accept_one_ssh(username="tester", key_filename=str(place.key_file))
            else:
                session = waiting.accept_one_tls(**papers.files("keyfile", "certfile", "ca_certs"))
        with Manager(session, timeout=10) as client:
            assert NODE.encode() in client.get_config(source="running", filter=FILTER).data_xml

    await asyncio.to_thread(work)


async def test_ncclient_is_called_home(place: Any, home: int) -> None:
    service = place.server.ssh([place.host], {"tester": [place.user.convert_to_public()]})
    place.server.call_home(service, "127.0.0.1", home, backoff=QUICK, uniform=lambda: 0.5)

    def work() -> None:
        with manager.call_home(
            host="127.0.0.1",
            port=home,
            username="tester",
            key_filename=str(place.key_file),
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=20,
        ) as client:
            assert NODE in client.get_config("running").xml

    await asyncio.to_thread(work)
