"""The border as key managers of other networks meet it: over TLS, with authorities of their own."""

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.agents.service.border import FAR, HERE, NODE, Border, Peer, border, problem, uuid, value

from keyweave_agents.keys.failures import KeysNotFound
from keyweave_core.errors import PeerUnreachable
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki

KEYS, ACK, VOID = "/kmapi/v1/ext_keys", "/kmapi/v1/ext_keys/ack", "/kmapi/v1/ext_keys/void"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Border]:
    async with border(tmp_path) as made:
        yield made


@pytest.fixture
def x(node: Border) -> Peer:
    return node.peers["x"]


async def test_versions_and_capabilities(x: Peer) -> None:
    reply = await x.ask("GET", "/kmapi/versions")
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "versions": ["v1"],
        "capabilities": ["synchronous_mode", "E32473_ttl_s", "E32473_origin"],
    }


async def test_answers_say_what_they_are(x: Peer) -> None:
    context = client_context(x.tls)
    async with httpx.AsyncClient(base_url=f"https://localhost:{x.port}", verify=context) as client:
        good = await client.get("/kmapi/versions")
        bad = await client.post("/kmapi/v1/ext_keys", content=b"{}")
    assert good.headers["content-type"] == "application/json; charset=UTF-8"
    assert bad.headers["content-type"] == "application/problem+json; charset=UTF-8"
    assert good.headers["cache-control"] == "no-store"


async def test_keys_are_taken_over_acknowledged_and_delivered(node: Border, x: Peer) -> None:
    reply = await x.hand_over(1, 2)
    assert (reply.status, reply.body) == (202, b"")
    await x.callback.until(k1="relayed", k2="relayed")
    (path, acks), *_ = x.callback.heard
    assert path == ACK
    assert acks[0]["initiator_sae_id"] == FAR
    assert acks[0]["target_sae_ids"] == [HERE]
    assert await node.fetched(1) == bytes([2]) * 32
    with pytest.raises(KeysNotFound):
        await node.fetched(1)


async def test_without_a_callback_the_answer_waits_for_the_keys(x: Peer) -> None:
    reply = await x.hand_over(1, back=False)
    assert reply.status == 200
    (ack,) = json.loads(reply.body)
    assert (ack["ack_status"], ack["key_id_container"]) == ("relayed", [{"key_id": uuid(1)}])
    assert x.callback.heard == []


async def test_without_a_callback_and_in_time_it_is_408_and_goes_on(tmp_path: Path) -> None:
    async with border(tmp_path, joined=False, wait_s=0.3) as node:
        x = node.peers["x"]
        assert problem(await x.hand_over(1, back=False))[:2] == (408, "timeout")
        node.associate()
        reply = await x.hand_over(1, back=False)
        assert (reply.status, json.loads(reply.body)[0]["ack_status"]) == (200, "relayed")
        assert await node.fetched(1)


async def test_without_synchronous_mode_a_callback_is_wanted(tmp_path: Path) -> None:
    async with border(tmp_path, synchronous=False) as node:
        x = node.peers["x"]
        reply = await x.ask("GET", "/kmapi/versions")
        assert json.loads(reply.body)["capabilities"] == ["E32473_ttl_s", "E32473_origin"]
        status, kind, details = problem(await x.hand_over(1, back=False))
        assert (status, kind, details) == (400, "missing-parameters", {"missing": "ack_callback_url"})
        assert problem(await x.ask("POST", VOID, x.void(1, back=False)))[0] == 400


async def test_an_acknowledgement_is_repeated_until_it_is_heard(x: Peer) -> None:
    x.callback.status = 503
    assert (await x.hand_over(1)).status == 202
    async with asyncio.timeout(10):
        while len(x.callback.heard) < 3:
            await asyncio.sleep(0.05)
    x.callback.status = 200
    await asyncio.sleep(1.5)
    said = len(x.callback.heard)
    await asyncio.sleep(1.0)
    assert len(x.callback.heard) == said  # heard once, it is not said again


async def test_the_same_request_again_changes_nothing(node: Border, x: Peer) -> None:
    for _ in range(3):
        assert (await x.hand_over(1, 2)).status == 202
    await x.callback.until(k1="relayed", k2="relayed")
    assert await node.fetched(1)
    assert (await x.hand_over(1, 2)).status == 202
    await asyncio.sleep(0.2)
    with pytest.raises(KeysNotFound):
        await node.fetched(1)


async def test_another_value_under_the_same_id_refuses_the_whole_request(node: Border, x: Peer) -> None:
    await x.hand_over(1)
    body = x.keys(5, 1)
    body["keys"][1]["value"] = value(77)
    status, kind, details = problem(await x.ask("POST", KEYS, body))
    assert (status, kind, details) == (400, "invalid-parameter", {"key_id": uuid(1)})
    with pytest.raises(KeysNotFound):
        await node.fetched(5)
    assert await node.fetched(1) == bytes([2]) * 32


@pytest.mark.parametrize(
    ("change", "status", "kind", "detail"),
    [
        ({"keys": None}, 400, "missing-parameters", "missing"),
        ({"initiator_sae_id": None}, 400, "missing-parameters", "missing"),
        ({"target_sae_ids": None}, 400, "missing-parameters", "missing"),
        ({"keys": []}, 400, "invalid-parameter", "keys"),
        ({"target_sae_ids": []}, 400, "invalid-parameter", "target_sae_ids"),
        ({"target_sae_ids": ["a b"]}, 400, "invalid-parameter", "target_sae_ids"),
        ({"target_sae_ids": ["s" * 65]}, 400, "invalid-parameter", "target_sae_ids"),
        ({"target_sae_ids": [HERE, HERE]}, 400, "invalid-parameter", "target_sae_ids"),
        ({"initiator_sae_id": "sae-third"}, 400, "invalid-parameter", "initiator_sae_id"),
        ({"target_sae_ids": ["sae-unknown"]}, 400, "key-routing-error", "target_sae_id_not_recognized"),
        ({"target_sae_ids": [HERE, "sae-here2"]}, 503, "key-routing-error", "no_route_multiple_targets"),
        ({"extension_mandatory": {"E32473_x": 1}}, 503, "unsupported-mandatory-extension",
         "unsupported_mandatory_extension"),
        ({"extension_mandatory": {}}, 400, "invalid-parameter", "extension_mandatory"),
        ({"extension_optional": {"x": 1}}, 400, "invalid-parameter", "extension_optional"),
        ({"extension_optional": {"E32473_ttl_s": 0}}, 400, "invalid-parameter", "E32473_ttl_s"),
        ({"extension_optional": {"E32473_origin": "dice"}}, 400, "invalid-parameter", "E32473_origin"),
        ({"extension_mandatory": {"E32473_origin": "pqc"}}, 400, "invalid-parameter", "origin"),
        ({"ack_callback_url": "http://127.0.0.1/"}, 400, "invalid-parameter", "ack_callback_url"),
        ({"ack_callback_url": "https://169.254.169.254/x"}, 400, "invalid-parameter", "ack_callback_url"),
        ({"surprise": 1}, 400, "invalid-parameter", "body"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_request_is_said(
    node: Border, x: Peer, change: dict[str, Any], status: int, kind: str, detail: str
) -> None:
    found = problem(await x.ask("POST", KEYS, x.keys(1, **change)))
    assert found[:2] == (status, kind)
    assert detail in found[2]
    with pytest.raises(KeysNotFound):
        await node.fetched(1)


async def test_a_key_would_go_straight_back(x: Peer) -> None:
    body = x.keys(1, target_sae_ids=["sae-far-2"])
    assert problem(await x.ask("POST", KEYS, body))[1] == "key-routing-error"
    back = x.keys(1, initiator_sae_id=FAR, target_sae_ids=[FAR])
    assert problem(await x.ask("POST", KEYS, back))[0] == 400


async def test_optional_extensions_are_taken(x: Peer) -> None:
    reply = await x.hand_over(1, extension_optional={"E32473_ttl_s": 60, "E99999_note": {"deep": [1, None]}})
    assert reply.status == 202
    reply = await x.hand_over(2, extension_mandatory={"E32473_ttl_s": 60})
    assert reply.status == 202


async def test_only_callbacks_of_the_settings_are_called(x: Peer) -> None:
    port = x.callback.port
    for url in (
        f"https://127.0.0.1:{port + 1}/kmapi/v1/ext_keys/ack",
        f"https://127.0.0.1:{port}/elsewhere",
        f"https://localhost:{port}/kmapi/v1/ext_keys/ack",
        f"https://127.0.0.1:{port}@evil.example/kmapi/v1/ext_keys/ack",
        f"https://user@127.0.0.1:{port}/kmapi/v1/ext_keys/ack",
        f"https://127.0.0.1:{port}/kmapi/v1/ext_keys/ack?x=1",
        f"https://127.0.0.1:{port}/kmapi/v1/ext_keys/../ack",
    ):
        status, kind, details = problem(await x.hand_over(1, ack_callback_url=url))
        assert (status, kind) == (400, "invalid-parameter")
        assert "ack_callback_url" in details
    reply = await x.hand_over(1, ack_callback_url=f"https://127.0.0.1:{port}")
    assert reply.status == 202
    await x.callback.until(k1="relayed")


async def test_nobody_but_peers_is_served(tmp_path: Path, node: Border, x: Peer) -> None:
    z = node.peers["z"]
    # An authority of one peer cannot speak for another.
    forger = LabPki(tmp_path / "z", now=dt.datetime.now(dt.UTC))
    forged = forger.node("forged", type(NODE)("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a02"))
    tls = TlsSettings(certificate=forged.certificate, private_key=forged.private_key, ca=x.tls.ca)
    assert problem(await x.ask("POST", KEYS, x.keys(1), tls=tls))[:2] == (401, "unauthorized")
    stranger = forger.node("stranger", type(NODE)("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a0f"))
    tls = TlsSettings(certificate=stranger.certificate, private_key=stranger.private_key, ca=x.tls.ca)
    assert problem(await x.ask("GET", "/kmapi/versions", tls=tls))[:2] == (401, "unauthorized")
    # A peer cannot speak for the applications of another.
    assert problem(await z.ask("POST", KEYS, z.keys(1)))[0] == 400
    other = LabPki(tmp_path / "nobody", now=dt.datetime.now(dt.UTC)).node("n", NODE)
    tls = TlsSettings(certificate=other.certificate, private_key=other.private_key, ca=x.tls.ca)
    with pytest.raises(PeerUnreachable):
        await x.ask("GET", "/kmapi/versions", tls=tls)


async def test_tls_below_1_3_is_refused(x: Peer) -> None:
    context = client_context(x.tls, check_hostname=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", x.port, ssl=context, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", KEYS, None, 405),
        ("POST", "/kmapi/versions", b"{}", 405),
        ("GET", "/kmapi/v2/ext_keys", None, 404),
        ("GET", "/", None, 404),
        ("POST", KEYS, b"", 400),
        ("POST", KEYS, b"[]", 400),
        ("POST", KEYS, b"{", 400),
        ("POST", KEYS, b"\xff\xfe", 400),
        ("POST", KEYS, b"[" * 100_000, 400),
        ("POST", ACK, b"{}", 400),
        ("POST", VOID, b"[]", 400),
        ("POST", KEYS, b" " * (1024 * 1024 + 1), 413),
        ("POST", f"{KEYS}?x=1", b"{}", 400),
    ],
)
async def test_other_requests(x: Peer, method: str, path: str, body: bytes | None, status: int) -> None:
    reply = await x.ask(method, path, body)
    assert reply.status == status
    assert json.loads(reply.body)["status"] == status


# --- taken back -----------------------------------------------------------------------------------


async def test_a_key_is_taken_back(node: Border, x: Peer) -> None:
    await x.hand_over(1, 2)
    await x.callback.until(k1="relayed", k2="relayed")
    assert await node.fetched(2)
    reply = await x.ask("POST", VOID, x.void(1, 2, 9))
    assert (reply.status, reply.body) == (202, b"")
    await x.callback.until(k1="voided", k2="failed to void", k9="key not present")
    with pytest.raises(KeysNotFound):
        await node.fetched(1)
    for number in (1, 9):
        status, kind, details = problem(await x.hand_over(number))
        assert (status, kind, details) == (400, "invalid-parameter", {"key_id": uuid(number)})


async def test_all_keys_are_taken_back_when_that_is_confirmed(node: Border, x: Peer) -> None:
    await x.hand_over(1, 2)
    await x.callback.until(k1="relayed", k2="relayed")
    status, kind, details = problem(await x.ask("POST", VOID, x.void(back=False)))
    assert (status, kind) == (400, "no-key-ids-or-confirmation")
    assert set(details) == {"no_all_confirmation", "no_key_ids_or_confirmation"}
    reply = await x.ask("POST", VOID, x.void(back=False, all_confirmation=True))
    assert reply.status == 200
    (ack,) = json.loads(reply.body)
    assert (ack["ack_status"], len(ack["key_id_container"])) == ("voided", 2)
    with pytest.raises(KeysNotFound):
        await node.fetched(1)


@pytest.mark.parametrize(
    "change", [{"key_ids": None}, {"key_ids": ["x"]}, {"initiator_sae_id": 5}, {"all_confirmation": "yes"}]
)
async def test_a_void_that_cannot_be_understood(x: Peer, change: dict[str, Any]) -> None:
    body = {name: each for name, each in x.void(1, **change).items() if each is not None}
    assert problem(await x.ask("POST", VOID, body))[:2] == (400, "void-request-not-understood")


async def test_a_peer_takes_back_only_its_own_keys(node: Border, x: Peer) -> None:
    await x.hand_over(1)
    await x.callback.until(k1="relayed")
    z = node.peers["z"]
    reply = await z.ask("POST", VOID, z.void(1, back=False))
    assert json.loads(reply.body)[0]["ack_status"] == "key not present"
    assert await node.fetched(1)


# --- acknowledgements of keys that this node handed over ------------------------------------------


def acks(key_id: str, status: str = "relayed", **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "key_id_container": [{"key_id": key_id}],
            "ack_status": status,
            "initiator_sae_id": FAR,
            "target_sae_ids": [HERE],
            **more,
        }
    ]


async def test_an_acknowledgement_of_nothing(x: Peer) -> None:
    assert (await x.ask("POST", ACK, [])).status == 200
    status, kind, details = problem(await x.ask("POST", ACK, acks(uuid(1))))
    assert (status, kind, details) == (400, "key-not-present", {"key_id": uuid(1)})


@pytest.mark.parametrize("body", [
    {}, [{}], acks("x"), acks(uuid(1), "done"), acks(uuid(1), message="m" * 4097),
    acks(uuid(1), target_sae_ids=[]), acks(uuid(1), extension={"no": 1}),
])  # fmt: skip
async def test_an_acknowledgement_that_cannot_be_understood(x: Peer, body: Any) -> None:
    assert problem(await x.ask("POST", ACK, body))[:2] == (400, "ack-not-understood")


# --- too much -------------------------------------------------------------------------------------


async def test_requests_and_keys_above_a_rate_are_put_off(tmp_path: Path) -> None:
    async with border(tmp_path, max_requests_per_s=3.0) as node:
        x = node.peers["x"]
        client = x.client()
        found = [(await client.ask("GET", "/kmapi/versions")).status for _ in range(12)]
        client.close()
        assert found[0] == 200
        assert 503 in found


async def test_too_many_keys_in_one_request(tmp_path: Path) -> None:
    async with border(tmp_path, max_keys_per_request=2) as node:
        x = node.peers["x"]
        assert problem(await x.hand_over(1, 2, 3))[:2] == (400, "invalid-parameter")
        assert (await x.hand_over(1, 2)).status == 202


async def test_no_key_stands_in_an_answer_or_in_the_log(
    node: Border, x: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = x.keys(1)
    wrong["keys"][0]["value"] = value(1)[:-1]
    reply = await x.ask("POST", KEYS, wrong)
    assert reply.status == 400
    assert value(1)[:20].encode() not in reply.body
    await x.hand_over(2)
    await x.callback.until(k2="relayed")
    out = capsys.readouterr()
    assert value(2)[:20] not in out.out + out.err
    assert uuid(2) not in out.out + out.err


# --- a hostile peer -------------------------------------------------------------------------------


async def test_many_requests_at_once_do_not_disturb_each_other(node: Border, x: Peer) -> None:
    """Repetitions, conflicts and voids of the same ids, all at the same time."""

    async def one(number: int) -> int:
        match number % 4:
            case 0:
                return (await x.hand_over(number // 4)).status
            case 1:
                return (await x.hand_over(number // 4)).status
            case 2:
                body = x.keys(number // 4)
                body["keys"][0]["value"] = value(200)
                return (await x.ask("POST", KEYS, body)).status
            case _:
                return (await x.ask("POST", VOID, x.void(number // 4))).status

    statuses = await asyncio.gather(*(one(number) for number in range(80)))
    assert set(statuses) <= {202, 400}
    async with asyncio.timeout(10):
        while len(x.callback.told()) < 20:
            await asyncio.sleep(0.05)
    for number in range(20):
        assert x.callback.told()[uuid(number)] in ("voided", "key not present", "relayed")
        with pytest.raises(KeysNotFound):
            await node.fetched(number)


async def test_a_slow_callback_holds_up_no_other_peer(node: Border, x: Peer) -> None:
    z = node.peers["z"]
    stuck = asyncio.Event()
    plain = type(x.callback).__call__

    async def never(*_arguments: Any) -> None:
        await stuck.wait()

    type(x.callback).__call__ = never  # type: ignore[method-assign]  # both peers' servers hang now
    try:
        assert (await x.hand_over(1)).status == 202
        await asyncio.sleep(0.1)
        assert json.loads((await z.ask("GET", "/kmapi/versions")).body)["versions"] == ["v1"]
        assert await node.fetched(1)
    finally:
        type(x.callback).__call__ = plain  # type: ignore[method-assign]  # as before
        stuck.set()
