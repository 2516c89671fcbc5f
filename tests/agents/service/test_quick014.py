"""Keys that lie ready are delivered without waiting, in the right order, and never by another answer."""

import asyncio
import json
from typing import Any

import pytest

from keyweave_agents.keys.failures import RateExceeded
from keyweave_core.errors import Unavailable

TO_BOB = "/api/v1/keys/bob/enc_keys"
FROM_ALICE = "/api/v1/keys/alice/dec_keys"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
GET = b"GET /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: x\r\n\r\n"

REQUESTS: list[tuple[str, str, str, Any]] = [
    ("alice", "GET", "/api/v1/keys/bob/status", None),
    ("alice", "GET", "/api/v1/keys/bob/status?x=1", None),
    ("alice", "GET", "/api/v1/keys/nobody/status", None),
    ("alice", "GET", "/api/v1/keys/alice/status", None),
    ("alice", "GET", TO_BOB, None),
    ("alice", "GET", f"{TO_BOB}?number=3&size=128", None),
    ("alice", "GET", f"{TO_BOB}?number=0", None),
    ("alice", "GET", f"{TO_BOB}?", None),
    ("alice", "GET", TO_BOB, {}),
    ("alice", "POST", TO_BOB, b""),
    ("alice", "POST", TO_BOB, {}),
    ("alice", "POST", TO_BOB, {"number": 3, "size": 512}),
    ("alice", "POST", TO_BOB, {"number": 129}),
    ("alice", "POST", TO_BOB, {"size": 12}),
    ("alice", "POST", TO_BOB, b"{"),
    ("alice", "POST", TO_BOB, b'{"number":1,"number":2}'),
    ("alice", "POST", f"{TO_BOB}?number=2", {}),
    ("alice", "POST", TO_BOB, {"additional_slave_SAE_IDs": ["carol"]}),
    ("alice", "POST", TO_BOB, {"extension_mandatory": [{"abc_x": 1}]}),
    ("alice", "POST", TO_BOB, {"extension_optional": [{"keyweave_relay_link": True}]}),
    ("alice", "POST", "/api/v1/keys/alice/enc_keys", {}),
    ("alice", "POST", "/api/v1/keys/nobody/enc_keys", {}),
    ("alice", "POST", "/api/v1/keys/%ff/enc_keys", {}),
    ("alice", "PUT", TO_BOB, {}),
    ("alice", "HEAD", TO_BOB, None),
    ("alice", "OPTIONS", TO_BOB, None),
    ("alice", "GET", "/nowhere", None),
    ("bob", "GET", f"{FROM_ALICE}?key_ID={UNKNOWN}", None),
    ("bob", "GET", FROM_ALICE, None),
    ("bob", "POST", FROM_ALICE, {"key_IDs": [{"key_ID": UNKNOWN}]}),
    ("bob", "POST", FROM_ALICE, {"key_IDs": []}),
    ("mallory", "GET", TO_BOB, None),
]


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def shape(answer: Any) -> Any:
    """An answer without what is fresh in it: ids and bits of keys."""
    if isinstance(answer, dict) and "keys" in answer:
        return [(len(key["key"]), sorted(key)) for key in answer["keys"]]
    return answer


async def test_both_ways_give_the_same_answers(service_with: Any) -> None:
    slow, fast = await service_with(), await service_with(quick=True)
    for sae, method, path, body in REQUESTS:
        expected = await slow.ask(sae, method, path, body)
        found = await fast.ask(sae, method, path, body)
        assert (found[0], shape(found[1])) == (expected[0], shape(expected[1])), (method, path, body)
    assert len(fast.model.asked) < len(slow.model.asked), "some went the quick way"


async def test_what_does_not_lie_ready_is_waited_for_on_the_same_connection(quick: Any) -> None:
    quick.model.ready = False
    assert (await quick.ask("alice", "POST", TO_BOB, {"number": 2}))[0] == 200
    assert len(quick.model.asked) == 1
    quick.model.trouble = RateExceeded("above max_bandwidth")
    status, answer = await quick.ask("alice", "POST", TO_BOB, {})
    assert (status, answer["message"]) == (503, "above the highest key rate of this association")


async def test_keys_taken_quickly_are_fetched_quickly_once(quick: Any) -> None:
    _, made = await quick.ask("alice", "POST", TO_BOB, {"number": 5})
    ids = {"key_IDs": [{"key_ID": key["key_ID"]} for key in made["keys"]]}
    assert await quick.ask("carol", "POST", FROM_ALICE, ids) == (401, None)
    assert await quick.ask("bob", "POST", FROM_ALICE, ids) == (200, {"keys": made["keys"]})
    assert (await quick.ask("bob", "POST", FROM_ALICE, ids))[0] == 400
    assert quick.model.asked == []
    assert all(not any(bundle.keys.reveal()) for bundle in quick.model.drawn), "our copies are wiped"


async def test_no_answer_leaves_before_what_was_drawn_is_durable(quick: Any) -> None:
    quick.model.slow_ledger = True
    asking = [asyncio.create_task(quick.ask("alice", "POST", TO_BOB, {})) for _ in range(3)]
    await until(lambda: sum(bundle.count for bundle in quick.model.drawn) == 3)
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in asking)
    assert len(quick.model.undecided) == 1, "one question for all"
    quick.model.undecided.pop()(None)
    assert [(await task)[0] for task in asking] == [200] * 3


async def test_keys_whose_drawing_is_not_durable_reach_nobody(quick: Any) -> None:
    quick.model.slow_ledger = True
    asking = asyncio.create_task(quick.ask("alice", "POST", TO_BOB, {"number": 2}))
    await until(lambda: quick.model.undecided)
    quick.model.undecided.pop()(Unavailable("the ledger cannot be written"))
    status, answer = await asking
    assert (status, answer["message"]) == (503, "the key manager cannot do this now")
    assert not any(quick.model.drawn[0].keys.reveal())


async def test_keys_drawn_for_a_client_that_left_are_wiped(quick: Any) -> None:
    quick.model.slow_ledger = True
    _, writer = await asyncio.open_connection("localhost", quick.port, ssl=quick.context_of("alice"))
    writer.write(GET)
    await until(lambda: quick.model.undecided)
    writer.transport.abort()
    await asyncio.sleep(0.05)
    quick.model.undecided.pop()(None)
    assert not any(quick.model.drawn[0].keys.reveal())
    quick.model.slow_ledger = False
    assert (await quick.ask("alice", "POST", TO_BOB, {}))[0] == 200


async def test_pipelined_requests_are_answered_in_order_whichever_way_each_goes(quick: Any) -> None:
    def post(body: bytes) -> bytes:
        head = f"POST {TO_BOB} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    last = GET.replace(b"Host: x", b"Host: x\r\nConnection: close").replace(b"enc_keys", b"status")
    sent = [
        post(b'{"number":1}'),
        post(b'{"number":2}'),
        GET.replace(b"enc_keys", b"enc_keys?number=3"),
        post(b'{"size":12}'),
        post(b'{"number":4,"extension_optional":[{"keyweave_relay_link":true}]}'),
        GET.replace(b"enc_keys", b"enc_keys?number=5"),
        last,
    ]
    for whole in (True, False):
        answer = await quick.raw("alice", b"".join(sent)) if whole else await _piecewise(quick, sent)
        bodies = [json.loads(part.split(b"\r\n\r\n", 1)[1]) for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert [len(body.get("keys", ())) for body in bodies] == [1, 2, 3, 0, 4, 5, 0]
        assert "stored_key_count" in bodies[-1]


async def _piecewise(service: Any, requests: list[bytes]) -> bytes:
    """Send byte by byte, as a slow link does."""
    reader, writer = await asyncio.open_connection("localhost", service.port, ssl=service.context_of("alice"))
    content = b"".join(requests)
    for at in range(0, len(content), 97):
        writer.write(content[at : at + 97])
        await asyncio.sleep(0.001)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


async def test_many_clients_get_keys_of_their_own(quick: Any) -> None:
    async def client(number: int) -> list[str]:
        reader, writer = await asyncio.open_connection("localhost", quick.port, ssl=quick.context_of("alice"))
        ids = []
        for _ in range(20):
            writer.write(GET)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            ids.append(json.loads(await reader.readexactly(length))["keys"][0]["key_ID"])
        writer.close()
        return ids

    found = await asyncio.gather(*(client(number) for number in range(16)))
    ids = [key_id for each in found for key_id in each]
    assert len(set(ids)) == len(ids) == 320


@pytest.mark.parametrize("count", [1, 128])
async def test_stopping_answers_what_was_drawn(service_with: Any, count: int) -> None:
    service = await service_with(quick=True, close_s=0.5)
    service.model.slow_ledger = True
    asking = asyncio.create_task(service.ask("alice", "POST", TO_BOB, {"number": count}))
    await until(lambda: service.model.undecided)
    closing = asyncio.create_task(service.server.close())
    await asyncio.sleep(0.05)
    service.model.undecided.pop()(None)
    assert (await asking)[0] == 200
    await closing


async def test_when_there_is_not_enough_for_all_the_first_come_are_served_and_the_others_wait(
    quick: Any,
) -> None:
    quick.model.left = 5
    clients = [
        await asyncio.open_connection("localhost", quick.port, ssl=quick.context_of("alice"))
        for _ in range(4)
    ]
    for _, writer in clients:
        writer.write(GET.replace(b"enc_keys", b"enc_keys?number=2"))
    for reader, writer in clients:
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"200"
        writer.close()
    assert quick.model.left == 1
    assert sum(bundle.count for bundle in quick.model.drawn) == 4
    assert len(quick.model.asked) == 2, "the others went the long way"


async def test_who_sent_further_requests_behind_one_that_must_wait_is_asked_to_come_again(
    quick: Any,
) -> None:
    quick.model.left = 0
    last = GET.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = await quick.raw("alice", GET + last)
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [503, 200]
    assert b"retry-after: 1" in answer
