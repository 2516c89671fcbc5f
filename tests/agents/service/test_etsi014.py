"""ETSI GS QKD 014 over real mutual TLS: every method, every field, every fixed message."""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from keyweave_agents.keys.failures import RateExceeded
from keyweave_core.errors import DeadlineExceeded, Exhausted, InternalFault, Refused
from keyweave_core.model.application import KeyMode, KeyOrigin

UNKNOWN_KEY = "00000000-0000-4000-8000-000000000000"
TO_BOB = "/api/v1/keys/bob/enc_keys"
FROM_ALICE = "/api/v1/keys/alice/dec_keys"


def keys_of(answer: Any) -> dict[str, bytes]:
    return {entry["key_ID"]: base64.b64decode(entry["key"], validate=True) for entry in answer["keys"]}


def ids_body(*key_ids: str) -> dict[str, Any]:
    return {"key_IDs": [{"key_ID": key_id} for key_id in key_ids]}


async def test_status_has_all_fields_of_the_standard(service: Any) -> None:
    status, answer = await service.ask("alice", "GET", "/api/v1/keys/bob/status")
    assert status == 200
    assert answer == {
        "source_KME_ID": "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01",
        "target_KME_ID": "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a02",
        "master_SAE_ID": "alice",
        "slave_SAE_ID": "bob",
        "key_size": 256,
        "stored_key_count": 0,
        "max_key_count": 1000,
        "max_key_per_request": 128,
        "max_key_size": 4096,
        "min_key_size": 64,
        "max_SAE_ID_count": 0,
    }


async def test_status_before_there_is_an_association_says_no_key_and_no_target(service: Any) -> None:
    status, answer = await service.ask("alice", "GET", "/api/v1/keys/somebody/status")
    assert status == 200
    assert (answer["stored_key_count"], answer["target_KME_ID"]) == (0, "")


async def test_keys_asked_by_the_master_reach_the_slave_by_id_once(service: Any) -> None:
    status, made = await service.ask("alice", "POST", TO_BOB, {"number": 3, "size": 512})
    assert status == 200
    keys = keys_of(made)
    assert [len(key) for key in keys.values()] == [64, 64, 64]
    status, fetched = await service.ask("bob", "POST", FROM_ALICE, ids_body(*keys))
    assert status == 200
    assert keys_of(fetched) == keys
    assert list(keys_of(fetched)) == list(keys)
    status, answer = await service.ask("bob", "POST", FROM_ALICE, ids_body(*keys))
    assert status == 400
    assert answer["message"] == "one or more keys specified are not found on KME"
    assert answer["details"] == [{"key_ID": key_id} for key_id in keys]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"number":1}', b' {"size" : 256, "extension_mandatory": []}'])
async def test_absent_members_have_the_defaults_of_status(service: Any, body: bytes) -> None:
    status, answer = await service.ask("alice", "POST", TO_BOB, body)
    assert status == 200
    assert [len(key) for key in keys_of(answer).values()] == [32]
    asked = service.model.asked[0]
    assert (asked.caller, asked.client, asked.deadline_s) == ("alice", "bob", 5.0)
    assert asked.qos.min_bandwidth_bps == 512
    assert (asked.qos.ttl_s, asked.priority) == (60, 3)


async def test_get_does_what_post_does(service: Any) -> None:
    status, made = await service.ask("alice", "GET", f"{TO_BOB}?number=2&size=128")
    assert status == 200
    assert [len(key) for key in keys_of(made).values()] == [16, 16]
    first, second = keys_of(made)
    status, one = await service.ask("bob", "GET", f"{FROM_ALICE}?key_ID={first}")
    assert (status, list(keys_of(one))) == (200, [first])
    status, _ = await service.ask("bob", "GET", f"{FROM_ALICE}?key_ID={second.upper()}")
    assert status == 200, "a UUID is the same in either case"
    status, made = await service.ask("alice", "GET", TO_BOB)
    assert (status, len(made["keys"])) == (200, 1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"number": 0}, "number: 0 is not within 1..128"),
        ({"number": -1}, "number: -1 is not within 1..128"),
        ({"number": 129}, "number: 129 is not within 1..128"),
        ({"number": 10**30}, "number: a number of more than 18 digits is not within 1..128"),
        ({"number": "3"}, "Expected `int`, got `str` - at `$.number`"),
        ({"number": True}, "Expected `int`, got `bool` - at `$.number`"),
        ({"number": 1.0}, "Expected `int`, got `float` - at `$.number`"),
        ({"number": None}, "Expected `int`, got `null` - at `$.number`"),
        ({"size": 0}, "size: 0 bits are not within 64..4096"),
        ({"size": 12}, "size shall be a multiple of 8"),
        ({"size": -256}, "size: -256 bits are not within 64..4096"),
        ({"size": 8192}, "size: 8192 bits are not within 64..4096"),
        ({"size": "256"}, "Expected `int`, got `str` - at `$.size`"),
        ({"sise": 256}, "Object contains unknown field `sise`"),
        ({"additional_slave_SAE_IDs": ["carol"]}, "max_SAE_ID_count is 0"),
        ({"additional_slave_SAE_IDs": "carol"}, "Expected `array`, got `str`"),
        ({"extension_mandatory": {"abc_x": 1}}, "Expected `array`, got `object`"),
        ({"extension_mandatory": ["abc_x"]}, "Expected `object`, got `str`"),
        ([], "Expected `object`, got `array`"),
        (b"{", "truncated"),
        (b'{"number":1} {"number":1}', "malformed"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b'{"extension_optional":[{"abc_x":"\xc3\x28"}]}', "not UTF-8"),
        (b'{"extension_optional":[{"abc_x":' + b"[" * 20000, "nested too deeply"),
    ],
)
async def test_a_wrong_request_is_refused_by_name_and_takes_no_key(
    service: Any, body: Any, message: str
) -> None:
    status, answer = await service.ask("alice", "POST", TO_BOB, body)
    assert status == 400
    assert message in answer["message"]
    assert service.model.asked == []
    assert (await service.ask("alice", "POST", TO_BOB, {}))[0] == 200, "the server goes on"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"{TO_BOB}?number=x", "number: 'x' is not an integer"),
        (f"{TO_BOB}?number=", "number: '' is not an integer"),
        (f"{TO_BOB}?number=-1", "number: '-1' is not an integer"),
        (f"{TO_BOB}?number=0", "number: 0 is not within 1..128"),
        (f"{TO_BOB}?number=1&number=2", "number is given twice"),
        (f"{TO_BOB}?size=12", "size shall be a multiple of 8"),
        (f"{TO_BOB}?extension_mandatory=1", "GET takes number and size only"),
        (f"{TO_BOB}?{'x' * 2000}", "longer than 1024 bytes"),
        (f"{FROM_ALICE}", "at least one is wanted"),
        (f"{FROM_ALICE}?key_ID={UNKNOWN_KEY}&key_ID={UNKNOWN_KEY}", "key_ID is given twice"),
        (f"{FROM_ALICE}?key_id={UNKNOWN_KEY}", "GET takes key_ID only"),
        (f"{FROM_ALICE}?key_ID=%ff", "not URL-encoded UTF-8"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(service: Any, path: str, message: str) -> None:
    caller = "alice" if "enc_keys" in path else "bob"
    status, answer = await service.ask(caller, "GET", path)
    assert status == 400
    assert message in answer["message"]


async def test_parameters_stand_in_one_place_only(service: Any) -> None:
    status, answer = await service.ask("alice", "POST", f"{TO_BOB}?number=2", {})
    assert (status, answer["message"]) == (
        400,
        "POST takes its parameters in the body, not in the query",
    )
    status, answer = await service.ask("alice", "GET", TO_BOB, {"number": 2})
    assert (status, answer["message"]) == (400, "GET takes no body; use POST")
    assert service.model.asked == []


async def test_mandatory_extensions_are_honoured_or_fail_and_optional_ones_may_be_ignored(
    service: Any,
) -> None:
    body = {"extension_mandatory": [{"abc_route_type": "direct"}, {"def_x": None}]}
    status, answer = await service.ask("alice", "POST", TO_BOB, body)
    assert status == 400
    assert answer == {
        "message": "not all extension_mandatory parameters are supported",
        "details": [
            {"extension_mandatory_unsupported": "abc_route_type"},
            {"extension_mandatory_unsupported": "def_x"},
        ],
    }
    status, answer = await service.ask("alice", "POST", TO_BOB, {"extension_optional": [{"abc_x": [1, 2]}]})
    assert status == 200
    assert set(answer["keys"][0]) == {"key_ID", "key"}


async def test_our_own_extension_names_the_link_of_each_key(service: Any) -> None:
    for kind in ("extension_optional", "extension_mandatory"):
        _, answer = await service.ask("alice", "POST", TO_BOB, {kind: [{"keyweave_relay_link": True}]})
        extension = answer["keys"][0]["key_extension"]
        assert extension == {"keyweave_relay_link": "7d1f7ed1-94c1-4a2a-8d04-3c2d6b1c7f10"}


UNMET = "not all extension_mandatory request options could be met"


@pytest.mark.parametrize(
    ("mode", "origin", "demand", "status"),
    [
        ("qkd-only", "qkd", "qkd", 200),
        ("qkd-only", "qkd", ["qkd", "hybrid"], 200),
        ("qkd-only", "qkd", True, 200),
        ("qkd-only", "qkd", "hybrid", 400),
        ("hybrid", "hybrid", "hybrid", 200),
        ("hybrid", "hybrid", "qkd", 400),
        ("pqc-fallback", "qkd", "qkd", 200),
        ("pqc-fallback", "pqc", "qkd", 400),
        ("pqc-fallback", "pqc", ["pqc", "qkd"], 200),
        ("pqc-fallback", "pqc", "pqc", 200),
        ("qkd-only", "qkd", "QKD", 400),
        ("qkd-only", "qkd", [], 400),
        ("qkd-only", "qkd", {"qkd": 1}, 400),
        ("qkd-only", "qkd", [["qkd"]], 400),
        ("qkd-only", "qkd", False, 400),
    ],
)
async def test_an_origin_can_be_demanded(
    quick: Any, mode: str, origin: str, demand: Any, status: int
) -> None:
    quick.model.mode, quick.model.origin = KeyMode(mode), KeyOrigin(origin)
    body = {"extension_mandatory": [{"keyweave_origin": demand}]}
    code, answer = await quick.ask("alice", "POST", TO_BOB, body)
    assert code == status
    if status == 200:
        assert answer["keys"][0]["key_extension"] == {"keyweave_origin": origin}
    else:
        assert answer["message"] == UNMET
        assert (quick.model.asked, quick.model.drawn) == ([], []), "no key was drawn"


async def test_a_fallback_that_begins_while_a_demand_waits_is_told_and_its_keys_reach_nobody(
    service: Any,
) -> None:
    service.model.mode, service.model.known = KeyMode.PQC_FALLBACK, frozenset({"alice"})
    body = {"extension_mandatory": [{"keyweave_origin": "qkd"}]}
    service.model.gate = asyncio.Event()
    asking = asyncio.create_task(service.ask("alice", "POST", TO_BOB, body))  # there is no association yet
    async with asyncio.timeout(5):
        while not service.model.asked:
            await asyncio.sleep(0.01)
    service.model.known, service.model.origin = frozenset({"alice", "bob"}), KeyOrigin.PQC
    service.model.gate.set()
    status, answer = await asking
    assert (status, answer["message"]) == (400, UNMET)
    assert not any(service.model.handed_out[0].key.reveal())


async def test_keys_that_are_no_quantum_keys_say_so_unasked(service: Any) -> None:
    service.model.origin = KeyOrigin.PQC
    _, answer = await service.ask("alice", "POST", TO_BOB, {})
    assert answer["keys"][0]["key_extension"] == {"keyweave_origin": "pqc"}


async def test_an_optional_extension_with_a_value_that_means_nothing_is_ignored(service: Any) -> None:
    wishes = [{"keyweave_origin": "gold"}, {"keyweave_relay_link": "yes"}]
    status, answer = await service.ask("alice", "POST", TO_BOB, {"extension_optional": wishes})
    assert (status, set(answer["keys"][0])) == (200, {"key_ID", "key"})
    _, answer = await service.ask(
        "alice", "POST", TO_BOB, {"extension_optional": [{"keyweave_origin": "pqc"}]}
    )
    assert answer["keys"][0]["key_extension"] == {"keyweave_origin": "qkd"}, "told, not demanded"


async def test_not_now_says_when_to_ask_again(service: Any) -> None:
    service.model.trouble = Exhausted("0 of 1 keys ready")
    async with httpx.AsyncClient(verify=service.context_of("alice")) as client:
        response = await client.get(service.base + TO_BOB)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_an_empty_list_of_further_slaves_is_no_multicast(service: Any) -> None:
    assert (await service.ask("alice", "POST", TO_BOB, {"additional_slave_SAE_IDs": []}))[0] == 200


async def test_further_slaves_get_the_same_keys_where_that_is_offered(service_with: Any) -> None:
    service = await service_with(max_additional_slaves=2)
    assert (await service.ask("alice", "GET", "/api/v1/keys/bob/status"))[1]["max_SAE_ID_count"] == 2
    further = ["carol", "urn:sae:site/1:dora"]
    status, _ = await service.ask("alice", "POST", TO_BOB, {"additional_slave_SAE_IDs": further})
    assert status == 200
    assert service.model.asked[-1].also == tuple(further)
    for wrong, message in (
        (["carol", "dora", "emil"], "3 entries, max_SAE_ID_count is 2"),
        (["carol", "a\nb"], "is no SAE id"),
        ([""], "is no SAE id"),
        (["alice"], "master and slave are the same SAE"),
    ):
        status, answer = await service.ask("alice", "POST", TO_BOB, {"additional_slave_SAE_IDs": wrong})
        assert (status, message in answer["message"]) == (400, True)
    assert len(service.model.asked) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "missing required field `key_IDs`"),
        ({"key_IDs": []}, "at least one is wanted"),
        ({"key_IDs": [UNKNOWN_KEY]}, "Expected `object`, got `str`"),
        (ids_body(UNKNOWN_KEY, UNKNOWN_KEY.upper()), "asked for twice"),
        (ids_body("not-a-uuid"), "one or more keys specified are not found on KME"),
        (ids_body(*[f"{index:08x}-0000-4000-8000-000000000000" for index in range(129)]), "at most 128"),
        ({"key_IDs": [{"key_ID": UNKNOWN_KEY, "key": "x"}]}, "unknown field `key`"),
        (b"", "truncated"),
    ],
)
async def test_a_wrong_request_for_ids_is_refused(service: Any, body: Any, message: str) -> None:
    status, answer = await service.ask("bob", "POST", FROM_ALICE, body)
    assert status == 400
    assert message in answer["message"]


async def test_one_missing_id_fails_the_batch_and_consumes_nothing(service: Any) -> None:
    _, made = await service.ask("alice", "POST", TO_BOB, {"number": 2})
    first, second = keys_of(made)
    status, answer = await service.ask("bob", "POST", FROM_ALICE, ids_body(first, UNKNOWN_KEY, second))
    assert (status, answer["details"]) == (400, [{"key_ID": UNKNOWN_KEY}])
    status, answer = await service.ask("bob", "POST", FROM_ALICE, ids_body(first, second))
    assert (status, keys_of(answer)) == (200, keys_of(made))


async def test_keys_of_other_applications_are_not_authorised_without_a_body(service: Any) -> None:
    _, made = await service.ask("alice", "POST", TO_BOB, {})
    (key_id,) = keys_of(made)
    assert await service.ask("carol", "POST", FROM_ALICE, ids_body(key_id)) == (401, None)
    assert await service.ask("carol", "GET", f"{FROM_ALICE}?key_ID={key_id}") == (401, None)
    assert (await service.ask("bob", "POST", FROM_ALICE, ids_body(key_id)))[0] == 200, "nothing was consumed"


async def test_a_certificate_of_no_consumer_is_not_authorised_anywhere(service: Any) -> None:
    for method, path in (
        ("GET", "/api/v1/keys/bob/status"),
        ("POST", TO_BOB),
        ("GET", FROM_ALICE),
        ("GET", "/nowhere"),
        ("PUT", TO_BOB),
    ):
        assert await service.ask("mallory", method, path) == (401, None)
    assert service.model.asked == []


async def test_an_application_does_not_share_keys_with_itself(service: Any) -> None:
    for method, path, body in (
        ("GET", "/api/v1/keys/alice/status", None),
        ("POST", "/api/v1/keys/alice/enc_keys", {}),
        ("POST", "/api/v1/keys/alice/dec_keys", ids_body(UNKNOWN_KEY)),
    ):
        status, answer = await service.ask("alice", method, path, body)
        assert status == 400
        assert "master and slave are the same SAE" in answer["message"]


async def test_an_id_with_slash_and_colon_is_url_encoded_in_the_path(service: Any) -> None:
    dora = "urn:sae:site/1:dora"
    status, made = await service.ask("alice", "POST", f"/api/v1/keys/{quote(dora, safe='')}/enc_keys", {})
    assert (status, service.model.asked[0].client) == (200, dora)
    status, fetched = await service.ask(dora, "POST", FROM_ALICE, ids_body(*keys_of(made)))
    assert (status, keys_of(fetched)) == (200, keys_of(made))


@pytest.mark.parametrize(
    "segment",
    ["%ff", "a" * 257, "%00", "%0a", "%E2%80%8B"],
    ids=["utf8", "long", "nul", "newline", "zero-width"],
)
async def test_an_impossible_id_in_the_path_is_refused(service: Any, segment: str) -> None:
    status, answer = await service.ask("alice", "POST", f"/api/v1/keys/{segment}/enc_keys", {})
    assert status == 400
    assert "SAE id in the path" in answer["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1/keys/bob",
        "/api/v1/keys//status",
        "/api/v2/keys/bob/status",
        "/api/v1/keys/a/b/status",
        "/api/v1/keys/bob/enc_keys/",
        "/api/v1/keys/bob/ENC_KEYS",
    ],
)
async def test_an_unknown_path_has_an_error_object(service: Any, path: str) -> None:
    status, answer = await service.ask("alice", "GET", path)
    assert (status, set(answer)) == (404, {"message"})


async def test_other_verbs_are_not_allowed(service: Any) -> None:
    async with httpx.AsyncClient(verify=service.context_of("alice")) as client:
        for method, path, allowed in (
            ("PUT", TO_BOB, "GET, POST"),
            ("DELETE", FROM_ALICE, "GET, POST"),
            ("POST", "/api/v1/keys/bob/status", "GET"),
        ):
            response = await client.request(method, service.base + path)
            assert (response.status_code, response.headers["allow"]) == (405, allowed)
            assert "takes" in response.json()["message"]
        response = await client.head(service.base + TO_BOB)
        assert (response.status_code, response.content) == (405, b"")


async def test_answers_are_json_never_stored_and_dated(service: Any) -> None:
    async with httpx.AsyncClient(verify=service.context_of("alice")) as client:
        for path in (TO_BOB, f"{TO_BOB}?size=12", "/nowhere"):
            response = await client.get(service.base + path)
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["content-type"] == "application/json"
            assert "date" in response.headers
            assert "server" not in response.headers


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_the_content_type_of_a_request_is_not_insisted_on(service: Any, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert (await service.ask("alice", "POST", TO_BOB, b'{"number":1}', headers=headers))[0] == 200


@pytest.mark.parametrize(
    ("trouble", "status", "message"),
    [
        (DeadlineExceeded("no path to bob yet"), 503, "no key became available within 5 s"),
        (Exhausted("0 of 1 keys"), 503, "no key available"),
        (RateExceeded("512 bit/s"), 503, "above the highest key rate of this association"),
        (Refused("link a~b lacks 512 bit/s", "no other path"), 400, "the request was refused"),
        (InternalFault("a position went backwards"), 503, "key data access error"),
        (RuntimeError("a defect"), 503, "key data access error"),
    ],
)
async def test_what_the_key_manager_raises_becomes_the_right_status(
    service: Any, trouble: Exception, status: int, message: str
) -> None:
    service.model.trouble = trouble
    answered, answer = await service.ask("alice", "POST", TO_BOB, {})
    assert (answered, answer["message"]) == (status, message)
    if isinstance(trouble, Refused):
        assert answer["details"] == [{"reason": reason} for reason in trouble.reasons]
    if status == 503 and "defect" in str(trouble):
        assert "defect" not in json.dumps(answer), "inner faults are logged, not told"


async def test_an_unknown_slave_is_refused_with_the_reason(service: Any) -> None:
    status, answer = await service.ask("alice", "POST", "/api/v1/keys/nobody/enc_keys", {})
    assert (status, answer["details"]) == (400, [{"reason": "no node serves nobody"}])


async def test_delivered_keys_are_wiped_here(service: Any) -> None:
    await service.ask("alice", "POST", TO_BOB, {})
    assert bytes(service.model.handed_out[0].key.reveal()) == bytes(32)
