"""A netconfd that holds a small node, and sessions of our client with it."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh
from lxml import etree
from tests.interop.netconfd import PREFIX, USER, Netconfd, Target, netconfd

from keyweave_core.errors import DeadlineExceeded
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.runtime.clock import SystemClock

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
NODE = NodeId("aaaaaaaa-0000-4000-8000-000000000001")
FIBRE = LinkId("11111111-0000-4000-8000-000000000001")
CLOCK = SystemClock()


@dataclass(frozen=True)
class Foreign:
    """A netconfd that holds a node, and a key to log in with."""

    server: Netconfd
    target: Target
    key: asyncssh.SSHKey

    async def session(self) -> NetconfClient:
        client = await connect(
            "127.0.0.1",
            self.server.port,
            username=USER,
            key=self.key,
            host_key=self.server.host_key,
            clock=CLOCK,
        )
        # An rpc that netconfd finds in the same packet as the hello waits for more input to be seen.
        while True:
            with contextlib.suppress(DeadlineExceeded):
                await client.get_config("running", [], timeout_s=1)
                return client

    async def edit(self, client: NetconfClient, config: etree._Element) -> None:
        await client.edit_config(self.target, config)
        if self.target == "candidate":
            await client.commit()


def node(inner: str) -> etree._Element:
    return etree.fromstring(
        f'<qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}" xmlns:nc="{BASE}">{inner}</qkd_node>'
    )


def fibre(inner: str = "") -> etree._Element:
    return node(f"<qkd_links><qkd_link><qkdl_id>{FIBRE}</qkdl_id>{inner}</qkd_link></qkd_links>")


@asynccontextmanager
async def holding_a_node(target: Target, identities: str = PREFIX) -> AsyncIterator[Foreign]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with netconfd(target, [key], identities=identities) as server:
        place = Foreign(server, target, key)
        async with await place.session() as client:
            await place.edit(client, node(f"<qkdn_id>{NODE}</qkdn_id>"))
            await place.edit(
                client, fibre("<qkdl_type>t:PHYS</qkdl_type><phys_channel_att>3.5</phys_channel_att>")
            )
        yield place
