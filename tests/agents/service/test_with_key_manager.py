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
from keyweave_agents.keys.settings import KeyLimits, KeySettings, Neighbour
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_agents.service.etsi014 import Etsi014Server
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.model.application import AppQos
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

    def join(
        self,
        clients: tuple[SaeId, ...] = (BOB,),
        *,
        qos: AppQos | None = None,
        expires_at: float | None = None,
        links: tuple[LinkId, ...] = (VIRTUAL,),
    ) -> None:
        """What the controller would have configured: alice at A shares keys with bob at B."""
        for node, other in ((A, B), (B, A)):
            route = Route(
                link_id=VIRTUAL, prev_hop=A if node == B else None, next_hop=B if node == A else None
            )
            association = AssociationPlan(
                app_id=APP,
                server=ALICE,
                clients=clients,
                source=node == A,
                links=links,
                remote_node=other,
                qos=qos or AppQos(),
                expires_at=expires_at,
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
            KeySettings(
                listen_port=ports[node],
                neighbours=(neighbour,),
                buffer_keys=8,
                limits=KeyLimits(keys_per_request=4096, keys_per_batch=4096),
            ),
            node_id=node,
            clock=SystemClock(),
            random_bytes=random.Random(node).randbytes,  # noqa: S311 - a test repeats itself
            tls_server=None,
            tls_client=None,
        )
        tasks.append(asyncio.create_task(managers[node].run()))
        consumers = [ConsumerSettings(sae_id=sae) for sae in ((ALICE,) if node == A else (BOB, CAROL))]
        settings = ServiceSettings(
            listen_port=0,
            tls=node_tls,
            request_wait_s=1.5,
            max_additional_slaves=2,
            max_keys_per_request=4096,
            max_body_bytes=512 * 1024,
            status_extension=True,
        )
        manager = managers[node]
        server = Etsi014Server(settings, consumers, manager, SystemClock(), node_id=node, draw=manager)
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


def ids_of(answer: Any) -> dict[str, Any]:
    return {"key_IDs": [{"key_ID": entry["key_ID"]} for entry in answer["keys"]]}


async def stocked(pair: Pair, least: int = 8) -> None:
    async with asyncio.timeout(10):
        while (await pair.ask(A, ALICE, "bob/status"))[1]["stored_key_count"] < least:
            await asyncio.sleep(0.02)


async def test_four_thousand_keys_come_in_one_answer_and_are_fetched_by_one_request(pair: Pair) -> None:
    pair.shine(bits=8_000_000)
    pair.join()
    await stocked(pair)
    status, made = await pair.ask(A, ALICE, "bob/enc_keys", {"number": 4096})
    assert (status, len(made["keys"])) == (200, 4096)
    assert len({entry["key_ID"] for entry in made["keys"]}) == 4096
    assert await pair.ask(B, BOB, "alice/dec_keys", ids_of(made)) == (200, made)
    status, answer = await pair.ask(A, ALICE, "bob/enc_keys", {"number": 4097})
    assert (status, answer["message"]) == (400, "number: 4097 is not within 1..4096")


async def test_each_slave_named_gets_a_copy_of_its_own_once(pair: Pair) -> None:
    pair.shine()
    pair.join((BOB, CAROL))
    wish = {"number": 2, "additional_slave_SAE_IDs": ["carol"]}
    status, made = await pair.ask(A, ALICE, "bob/enc_keys", wish)
    assert status == 200
    for sae in (CAROL, BOB):
        assert await pair.ask(B, sae, "alice/dec_keys", ids_of(made)) == (200, made)
        assert (await pair.ask(B, sae, "alice/dec_keys", ids_of(made)))[0] == 400
    status, answer = await pair.ask(
        A, ALICE, "bob/enc_keys", {"additional_slave_SAE_IDs": ["carol", "dora", "emil"]}
    )
    assert (status, answer["message"]) == (
        400,
        "additional_slave_SAE_IDs: 3 entries, max_SAE_ID_count is 2",
    )


async def test_a_slave_that_was_not_named_is_not_entitled_to_any_of_a_batch(pair: Pair) -> None:
    pair.shine()
    pair.join((BOB,))
    _, made = await pair.ask(A, ALICE, "bob/enc_keys", {"number": 3})
    assert await pair.ask(B, CAROL, "alice/dec_keys", ids_of(made)) == (401, None)
    mixed = ids_of(made)
    mixed["key_IDs"].insert(1, {"key_ID": "00000000-0000-4000-8000-000000000000"})
    status, answer = await pair.ask(B, BOB, "alice/dec_keys", mixed)
    assert (status, answer["message"]) == (400, "one or more keys specified are not found on KME")
    assert await pair.ask(B, BOB, "alice/dec_keys", ids_of(made)) == (200, made), "nothing was consumed"


async def test_above_max_bandwidth_is_not_now(pair: Pair) -> None:
    pair.shine()
    pair.join(qos=AppQos(max_bandwidth_bps=4096))
    await stocked(pair)
    assert (await pair.ask(A, ALICE, "bob/enc_keys", {"number": 8}))[0] == 200
    await stocked(pair)
    assert (await pair.ask(A, ALICE, "bob/enc_keys", {"number": 8}))[0] == 200
    for number in (8, 16):
        status, answer = await pair.ask(A, ALICE, "bob/enc_keys", {"number": number})
    assert (status, answer["message"]) == (503, "above the highest key rate of this association")


async def test_status_tells_what_can_be_had_now(pair: Pair) -> None:
    status = (await pair.ask(A, ALICE, "bob/status"))[1]
    assert (status["stored_key_count"], status["status_extension"]) == (0, {"keyweave_association": False})
    pair.shine()
    pair.join()
    await stocked(pair)
    status = (await pair.ask(A, ALICE, "bob/status"))[1]
    assert status["status_extension"] == {
        "keyweave_association": True,
        "keyweave_mode": "qkd-only",
        "keyweave_in_fallback": False,
    }
    pair.join(links=())  # suspended: what is ready still serves
    status = (await pair.ask(A, ALICE, "bob/status"))[1]
    assert status["stored_key_count"] == 8
    assert (await pair.ask(A, ALICE, "bob/enc_keys", {"number": 8}))[0] == 200
    assert (await pair.ask(A, ALICE, "bob/status"))[1]["stored_key_count"] == 0
    pair.join(expires_at=1.0)
    status = (await pair.ask(A, ALICE, "bob/status"))[1]
    assert status["stored_key_count"] == 0
    code, answer = await pair.ask(A, ALICE, "bob/enc_keys", {})
    assert (code, "expired" in answer["details"][0]["reason"]) == (400, True)


async def test_keys_that_nobody_fetched_are_gone_after_their_ttl(pair: Pair) -> None:
    pair.shine()
    pair.join(qos=AppQos(ttl_s=1))
    _, made = await pair.ask(A, ALICE, "bob/enc_keys", {"number": 2})
    await asyncio.sleep(1.4)
    status, answer = await pair.ask(B, BOB, "alice/dec_keys", ids_of(made))
    assert (status, answer["message"]) == (400, "one or more keys specified are not found on KME")


async def test_an_origin_that_the_association_never_makes_is_not_waited_for(pair: Pair) -> None:
    pair.shine()
    pair.join()
    await stocked(pair)
    wish = {"extension_mandatory": [{"keyweave_origin": "qkd"}, {"keyweave_relay_link": True}]}
    status, made = await pair.ask(A, ALICE, "bob/enc_keys", wish)
    assert status == 200
    extension = made["keys"][0]["key_extension"]
    assert extension == {"keyweave_relay_link": VIRTUAL, "keyweave_origin": "qkd"}
    asking = {**ids_of(made), "key_IDs_extension": {"keyweave_origin": True, "keyweave_relay_link": True}}
    assert await pair.ask(B, BOB, "alice/dec_keys", asking) == (200, made)
    status, answer = await pair.ask(
        A, ALICE, "bob/enc_keys", {"extension_mandatory": [{"keyweave_origin": ["pqc", "hybrid"]}]}
    )
    assert (status, answer["message"]) == (400, "not all extension_mandatory request options could be met")
