"""A small node on the ETSI GS QKD 015 tree behind a gNMI server."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from lxml import etree

from keyweave_core.errors import Refused
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.stores.datastores import Store
from keyweave_core.runtime.tls import TlsSettings
from keyweave_gnmi.client import ClientLimits, GnmiClient
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.server import GnmiServer
from keyweave_gnmi.settings import GnmiSettings
from keyweave_lab.pki import LabPki

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
NODE = "aaaaaaaa-0000-4000-8000-000000000001"
LINK = "11111111-0000-4000-8000-000000000001"
OTHER = "11111111-0000-4000-8000-000000000002"
AT_LINK = f"/qkd_node/qkd_links/qkd_link[qkdl_id={LINK}]"
INITIAL = f"""
<qkd_node xmlns="{ETSI}">
  <qkdn_id>{NODE}</qkdn_id>
  <qkd_links>
    <qkd_link>
      <qkdl_id>{LINK}</qkdl_id>
      <qkdl_type xmlns:t="{TYPES}">t:PHYS</qkdl_type>
      <phys_channel_att>3.5</phys_channel_att>
    </qkd_link>
  </qkd_links>
</qkd_node>
"""


@dataclass
class Device:
    """Observes a key rate; takes every configuration but the version `impossible`."""

    rate_bps: int = 1200
    looked: int = 0
    takes_s: float = 0.0
    applied: list[Sequence[etree._Element]] = field(default_factory=list)

    async def state(self) -> Sequence[etree._Element]:
        self.looked += 1
        await asyncio.sleep(self.takes_s)
        text = f"""<qkd_node xmlns="{ETSI}">
        <qkdn_status xmlns:t="{TYPES}">t:OPERATING</qkdn_status>
        <qkd_links><qkd_link><qkdl_id>{LINK}</qkdl_id>
        <qkdl_status xmlns:t="{TYPES}">t:ACTIVE</qkdl_status>
        <qkdl_performance><skr>{self.rate_bps}</skr></qkdl_performance></qkd_link></qkd_links></qkd_node>"""
        return [parse_xml(text.encode())]

    async def apply(self, _old: Sequence[etree._Element], new: Sequence[etree._Element], _user: str) -> None:
        if new[0].findtext(f"{{{ETSI}}}qkdn_version") == "impossible":
            raise Refused("No such version can be run here.")
        self.applied.append(new)

    async def call(self, operation: etree._Element, _user: str) -> None:
        raise KeyError(operation.tag)


@dataclass
class Target:
    """A running server, and ways in."""

    netconf: NetconfServer
    server: GnmiServer
    device: Device
    port: int
    pki: LabPki

    def running(self) -> bytes:
        """Running as text."""
        return self.netconf.system.datastores.read(Store.RUNNING).xml

    def client(self, tls: TlsSettings | None = None, *, target: str = "") -> GnmiClient:
        """A client; that of the user `controller` unless told."""
        return GnmiClient(
            "127.0.0.1",
            self.port,
            tls or self.pki.operator("controller"),
            server_name="localhost",
            target=target,
            limits=ClientLimits(connect_timeout_s=2.0, call_timeout_s=10.0),
        )


USERS = {"controller": frozenset({"operator"})}


def settings(tls: TlsSettings, limits: GnmiLimits | None = None) -> GnmiSettings:
    """A server on a free port of the loopback."""
    return GnmiSettings(
        certificate=tls.certificate,
        private_key=tls.private_key,
        ca=tls.ca,
        listen_port=0,
        limits=limits or GnmiLimits(),
    )
