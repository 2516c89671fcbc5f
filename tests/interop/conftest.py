"""A server of our own on the ETSI GS QKD 015 tree, reached over SSH by other people's clients."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from keyweave_core.errors import Refused
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.ssh.passwords import SALT_BYTES, hash_password
from keyweave_core.runtime.clock import SystemClock
from keyweave_yang.schema import load_schema

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
KEYWEAVE = "urn:keyweave:yang:keyweave-qkd-node"
NODE = "aaaaaaaa-0000-4000-8000-000000000001"
LINK = "11111111-0000-4000-8000-000000000001"
PASSWORD = "open-sesame"
HASH = hash_password(PASSWORD, bytes(SALT_BYTES))
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
OBSERVED = f"""
<qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}">
  <qkdn_status>t:OPERATING</qkdn_status>
  <qkd_links>
    <qkd_link>
      <qkdl_id>{LINK}</qkdl_id>
      <qkdl_status>t:ACTIVE</qkdl_status>
      <qkdl_performance><skr>1200</skr></qkdl_performance>
    </qkd_link>
  </qkd_links>
</qkd_node>
"""


@dataclass
class Device:
    """Takes every configuration but the version `impossible`; keeps the operations it was asked for."""

    calls: list[str] = field(default_factory=list)

    async def state(self) -> Sequence[etree._Element]:
        return [parse_xml(OBSERVED.encode())]

    async def apply(self, _old: Sequence[etree._Element], new: Sequence[etree._Element], _user: str) -> None:
        if new[0].findtext(f"{{{ETSI}}}qkdn_version") == "impossible":
            raise Refused("No such version can be run here.")

    async def call(self, operation: etree._Element, _user: str) -> None:
        name = etree.QName(operation).localname
        if name != "refuse-application":
            raise KeyError(name)
        self.calls.append(name)


@dataclass
class Place:
    """Where the server is, and how to get in."""

    server: NetconfServer
    device: Device
    port: int
    user: asyncssh.SSHKey
    host: asyncssh.SSHKey
    key_file: Path

    def publish(self, text: str) -> None:
        self.server.publish(parse_xml(text.encode()))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    user, host = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    key_file = tmp_path / "user_key"
    user.write_private_key(str(key_file))
    device = Device()
    server = NetconfServer(
        load_schema(),
        device,
        [parse_xml(INITIAL.encode())],
        clock=SystemClock(),
        limits=NetconfLimits(max_message_bytes=4 * 1024 * 1024),
    )
    port = await server.start_ssh(
        "127.0.0.1",
        0,
        [host],
        {"tester": [user.convert_to_public()]},
        passwords={"tester": HASH},
    )
    yield Place(server, device, port, user, host, key_file)
    await server.close()
    await asyncio.sleep(0)
