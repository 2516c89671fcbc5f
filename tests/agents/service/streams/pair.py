"""Two running key managers with key streams at both, and applications that speak 004 to them."""

import contextlib
import datetime as dt
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.agents.keys.network import uid
from tests.agents.keys.running import Chain

from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.service.etsi004 import Etsi004Server
from keyweave_agents.service.settings import ConsumerSettings
from keyweave_agents.service.settings004 import Etsi004Settings
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, LinkId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import client_context
from keyweave_lab.pki import LabPki
from keyweave_lab.stream_client import StreamClient, connect

ALICE, BOB, CAROL = SaeId("alice"), SaeId("urn:sae:bob"), SaeId("carol")
ALICE_URI, BOB_URI, CAROL_URI = "qkd://alice", "urn:sae:bob", "qkd://carol"


class Pair:
    """Managers in a row (alice at the first, bob and carol at the last), each with its server of streams."""

    def __init__(self, chain: Chain, pki: LabPki, options: dict[str, Any]) -> None:
        self.chain = chain
        self.pki = pki
        self.options = options
        self.servers: dict[int, Etsi004Server] = {}
        self.ports: dict[int, int] = {}
        self._clients = contextlib.AsyncExitStack()

    @property
    def last(self) -> int:
        return len(self.chain.managers) - 1

    async def serve(self, index: int) -> None:
        """Start the server of streams beside a manager."""
        saes = (ALICE,) if index == 0 else (BOB, CAROL)
        manager = self.chain.managers[index]
        settings = Etsi004Settings(
            listen_port=0, tls=self.pki.node(f"s{index}", self.chain.nodes[index]), **self.options
        )
        consumers = [ConsumerSettings(sae_id=sae) for sae in saes]
        server = Etsi004Server(settings, consumers, manager, SystemClock(), random_bytes=os.urandom)
        self.ports[index] = await server.start()
        self.servers[index] = server

    async def client(self, sae: SaeId) -> StreamClient:
        """A connection of an application to its key manager."""
        context = client_context(self.pki.application(sae))
        port = self.ports[0 if sae == ALICE else self.last]
        context.check_hostname = False
        client = await connect("127.0.0.1", port, context, answer_s=10)
        self._clients.push_async_callback(client.disconnect)
        return client

    def join(
        self, server: SaeId = ALICE, client: SaeId = BOB, *, links: int = 1, qos: AppQos | None = None
    ) -> None:
        """What a controller would configure: one association along the row."""
        link_ids = tuple(LinkId(uid(0x500 + number)) for number in range(links))
        nodes, last = self.chain.nodes, self.last
        source = 0 if server == ALICE else last
        for index, manager in reversed(list(enumerate(self.chain.managers))):
            before = nodes[index - 1] if index else None
            after = nodes[index + 1] if index < last else None
            hops = (before, after) if source == 0 else (after, before)
            routes = tuple(Route(link_id=one, prev_hop=hops[0], next_hop=hops[1]) for one in link_ids)
            ends: tuple[AssociationPlan, ...] = ()
            if index in (0, last):
                ends = (
                    AssociationPlan(
                        app_id=AppId(uid(0xA01)),
                        server=server,
                        clients=(client,),
                        source=index == source,
                        links=link_ids,
                        remote_node=nodes[last - index],
                        qos=qos or AppQos(),
                    ),
                )
            manager.configure(KeyPlan(routes=routes, associations=ends))

    def join_here(self) -> None:
        """Bob and carol live at one node: an association without any link."""
        plan = AssociationPlan(
            app_id=AppId(uid(0xA02)),
            server=BOB,
            clients=(CAROL,),
            source=True,
            links=(),
            remote_node=self.chain.nodes[self.last],
        )
        self.chain.managers[self.last].configure(KeyPlan(associations=(plan,)))

    async def close(self) -> None:
        await self._clients.aclose()
        for server in self.servers.values():
            await server.close()


@contextlib.asynccontextmanager
async def pair_of(folder: Path, *, length: int = 2, fill: bool = True, **options: Any) -> AsyncIterator[Pair]:
    """A running row with streams at both ends, and key in its pools."""
    pki = LabPki(folder, now=dt.datetime.now(dt.UTC))
    chain = Chain(length, None)
    pair = Pair(chain, pki, options)
    try:
        for index in range(length):
            await chain.start(index)
        await chain.connected()
        if fill:
            chain.fill()
        for index in (0, length - 1):
            await pair.serve(index)
        yield pair
    finally:
        await pair.close()
        for index in list(chain._tasks):
            await chain.stop(index)
