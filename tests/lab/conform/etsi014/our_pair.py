"""Two running key managers of ours with a fibre between them, and 014 at both (alice; bob, carol)."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.keys.settings import KeySettings, Neighbour
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_agents.service.etsi014 import Etsi014Server
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.ports import free_ports

A = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
B = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a02")
FIBRE = LinkId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f01")
VIRTUAL = LinkId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f02")
APP = AppId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f03")
BOTH = AppId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f04")
ALICE, BOB, CAROL = SaeId("alice"), SaeId("bob"), SaeId("carol")
BLOCK_BYTES = 16_384
BLOCKS = 24


@dataclass
class Pair:
    """Where the two key managers answer."""

    west: str
    east: str


@asynccontextmanager
async def pair_of(tls: TlsSettings) -> AsyncIterator[Pair]:
    """alice at one node shares keys with bob at the other; the fibre has made plenty."""
    ports = dict(zip((A, B), free_ports(2), strict=True))
    managers: dict[NodeId, KeyManager] = {}
    servers, tasks, urls = [], [], []
    for node, other in ((A, B), (B, A)):
        neighbour = Neighbour(node_id=other, link_id=FIBRE, host="127.0.0.1", port=ports[other])
        managers[node] = KeyManager(
            KeySettings(listen_port=ports[node], neighbours=(neighbour,)),
            node_id=node,
            clock=SystemClock(),
            random_bytes=random.Random(node).randbytes,  # noqa: S311 - a test repeats itself
            tls_server=None,
            tls_client=None,
        )
        tasks.append(asyncio.create_task(managers[node].run()))
        consumers = [ConsumerSettings(sae_id=sae) for sae in ((ALICE,) if node == A else (BOB, CAROL))]
        settings = ServiceSettings(listen_port=0, tls=tls, request_wait_s=2.0, max_additional_slaves=2)
        server = Etsi014Server(settings, consumers, managers[node], SystemClock(), node_id=node)
        urls.append(f"https://localhost:{await server.start()}")
        servers.append(server)
    source = random.Random(7)  # noqa: S311 - a test repeats itself
    for number in range(1, BLOCKS + 1):
        owner, content = (A, B)[number % 2], source.randbytes(BLOCK_BYTES)
        for manager in managers.values():
            manager.deposit(FIBRE, KeyBlock(block_id=number, owner=owner, material=Secret(content)))
    for node, other in ((A, B), (B, A)):
        route = Route(link_id=VIRTUAL, prev_hop=A if node == B else None, next_hop=B if node == A else None)
        associations = tuple(
            AssociationPlan(
                app_id=app_id,
                server=ALICE,
                clients=clients,
                source=node == A,
                links=(VIRTUAL,),
                remote_node=other,
            )
            for app_id, clients in ((APP, (BOB,)), (BOTH, (BOB, CAROL)))
        )
        managers[node].configure(KeyPlan(routes=(route,), associations=associations))
    yield Pair(*urls)
    for server in servers:
        await server.close()
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
