"""Key delivery over the real key managers of two nodes with one fibre between them."""

import asyncio
import base64
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, AssociationWanted, KeyPlan, Route
from keyweave_agents.keys.settings import KeySettings, Neighbour
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_agents.service.etsi014 import Etsi014Server
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.ports import free_ports

A, B = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01"), NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a02")
FIBRE = LinkId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f01")
VIRTUAL = LinkId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f02")
APP = AppId("7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f03")
ALICE, BOB, CAROL = SaeId("alice"), SaeId("bob"), SaeId("carol")


@dataclass
class Pair:
    """The two nodes and a way to ask each as an application."""

    managers: dict[NodeId, KeyManager]
    urls: dict[NodeId, str]
    tls_of: Callable[[str], TlsSettings]

    async def ask(self, node: NodeId, sae: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with httpx.AsyncClient(verify=client_context(self.tls_of(sae)), timeout=10) as client:
            url = f"{self.urls[node]}/api/v1/keys/{path}"
            response = await (client.get(url) if body is None else client.post(url, json=body))
        return response.status_code, response.json() if response.content else None

    def join(self) -> None:
        """What the controller would have configured: alice at A shares keys with bob at B."""
        for node, other in ((A, B), (B, A)):
            route = Route(
                link_id=VIRTUAL, prev_hop=A if node == B else None, next_hop=B if node == A else None
            )
            association = AssociationPlan(
                app_id=APP,
                server=ALICE,
                clients=(BOB,),
                source=node == A,
                links=(VIRTUAL,),
                remote_node=other,
            )
            self.managers[node].configure(KeyPlan(routes=(route,), associations=(association,)))

    def shine(self, bits: int = 400_000) -> None:
        """Give both ends the same fresh key."""
        source = random.Random(7)  # noqa: S311 - a test repeats itself
        for number, owner in enumerate((A, B), start=1):
            content = source.randbytes(bits // 16)
            for manager in self.managers.values():
                manager.deposit(FIBRE, KeyBlock(block_id=number, owner=owner, material=Secret(content)))


@pytest.fixture
async def pair(node_tls: TlsSettings, tls_of: Callable[[str], TlsSettings]) -> AsyncIterator[Pair]:
    ports = dict(zip((A, B), free_ports(2), strict=True))
    managers, urls, servers, tasks = {}, {}, [], []
    for node, other in ((A, B), (B, A)):
        neighbour = Neighbour(node_id=other, link_id=FIBRE, host="127.0.0.1", port=ports[other])
        managers[node] = KeyManager(
            KeySettings(listen_port=ports[node], neighbours=(neighbour,), buffer_keys=8),
            node_id=node,
            clock=SystemClock(),
            random_bytes=random.Random(node).randbytes,  # noqa: S311 - a test repeats itself
            tls_server=None,
            tls_client=None,
        )
        tasks.append(asyncio.create_task(managers[node].run()))
        consumers = [ConsumerSettings(sae_id=sae) for sae in ((ALICE,) if node == A else (BOB, CAROL))]
        settings = ServiceSettings(listen_port=0, tls=node_tls, request_wait_s=1.5)
        server = Etsi014Server(settings, consumers, managers[node], SystemClock(), node_id=node)
        urls[node] = f"https://localhost:{await server.start()}"
        servers.append(server)
    yield Pair(managers, urls, tls_of)
    for server in servers:
        await server.close()
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_request_waits_for_its_association_and_both_ends_hold_the_same_key(pair: Pair) -> None:
    asking = asyncio.create_task(pair.ask(A, ALICE, "bob/enc_keys", {"number": 2}))
    wanted = await asyncio.wait_for(pair.managers[A].next_event(), 5)
    while not isinstance(wanted, AssociationWanted):
        wanted = await asyncio.wait_for(pair.managers[A].next_event(), 5)
    assert (wanted.server, wanted.clients) == (ALICE, (BOB,))
    assert not asking.done()
    pair.shine()
    pair.join()
    status, made = await asyncio.wait_for(asking, 10)
    assert (status, len(made["keys"])) == (200, 2)
    assert all(len(base64.b64decode(entry["key"])) == 32 for entry in made["keys"])
    ids = {"key_IDs": [{"key_ID": entry["key_ID"]} for entry in made["keys"]]}
    assert await pair.ask(B, CAROL, "alice/dec_keys", ids) == (401, None)
    assert await pair.ask(B, BOB, "alice/dec_keys", ids) == (200, made)
    status, answer = await pair.ask(B, BOB, "alice/dec_keys", ids)
    assert (status, answer["message"]) == (400, "one or more keys specified are not found on KME")


async def test_the_buffer_fills_by_itself_and_status_tells(pair: Pair) -> None:
    pair.shine()
    pair.join()
    for _ in range(200):
        _, status = await pair.ask(A, ALICE, "bob/status")
        if status["stored_key_count"] >= 8:
            break
        await asyncio.sleep(0.02)
    assert status["stored_key_count"] >= 8
    assert status["stored_key_count"] <= status["max_key_count"]
    assert (status["source_KME_ID"], status["target_KME_ID"]) == (A, B)
    wish = {"extension_optional": [{"keyweave_relay_link": True}]}
    _, answer = await pair.ask(A, ALICE, "bob/enc_keys", wish)
    assert answer["keys"][0]["key_extension"] == {"keyweave_relay_link": VIRTUAL}


async def test_two_applications_of_one_node_share_keys_too(pair: Pair) -> None:
    plan = AssociationPlan(app_id=APP, server=BOB, clients=(CAROL,), source=True, links=(), remote_node=B)
    pair.managers[B].configure(KeyPlan(associations=(plan,)))
    status, made = await pair.ask(B, BOB, "carol/enc_keys", {"number": 3})
    assert status == 200
    ids = {"key_IDs": [{"key_ID": entry["key_ID"]} for entry in made["keys"]]}
    assert await pair.ask(B, CAROL, "bob/dec_keys", ids) == (200, made), "delivery wipes its own copy only"


async def test_a_refused_association_is_told_with_its_reasons(pair: Pair) -> None:
    asking = asyncio.create_task(pair.ask(A, ALICE, "nobody/enc_keys", {}))
    await asyncio.wait_for(pair.managers[A].next_event(), 5)
    pair.managers[A].refuse(ALICE, (SaeId("nobody"),), ("no agent serves nobody",))
    status, answer = await asking
    assert (status, answer["details"]) == (400, [{"reason": "no agent serves nobody"}])


async def test_without_a_controller_the_wait_is_bounded(pair: Pair) -> None:
    began = asyncio.get_running_loop().time()
    status, answer = await pair.ask(A, ALICE, "bob/enc_keys", {})
    assert (status, answer["message"]) == (503, "no key became available within 1.5 s")
    assert 1.4 < asyncio.get_running_loop().time() - began < 5


async def test_more_key_than_the_fibre_gave_is_not_supplied(pair: Pair) -> None:
    pair.shine(bits=40_000)
    pair.join()
    status, answer = await pair.ask(A, ALICE, "bob/enc_keys", {"number": 128, "size": 4096})
    assert (status, answer["message"]) == (503, "no key available")
