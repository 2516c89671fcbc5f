"""Messages of ETSI GS QKD 020: what is read, what is refused and how, what is written."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.keys.border.failures import Problem, Refusal
from keyweave_agents.keys.border.values import Acked, AckStatus, HandedKey, Offer, Parties, VoidOrder
from keyweave_agents.material import Secret
from keyweave_agents.service import wire020 as wire
from keyweave_agents.service import write020 as write
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import SaeId

ID = "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01"
VALUE = base64.b64encode(b"\x01" * 32).decode()
PARTIES = Parties(initiator=SaeId("sae-a"), targets=(SaeId("urn:sae:c"),))


def keys(**more: Any) -> dict[str, Any]:
    said = {
        "keys": [{"key_id": ID, "value": VALUE}],
        "initiator_sae_id": "sae-a",
        "target_sae_ids": ["urn:sae:c"],
    }
    return {name: each for name, each in (said | more).items() if each is not None}


def read(said: Any) -> Offer:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return wire.read_keys(body, most_keys=3, min_bits=64, max_bits=1024)


def refused(said: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(said)
    return caught.value


def one_key(**more: Any) -> dict[str, Any]:
    return keys(keys=[{"key_id": ID, "value": VALUE} | more])


def test_a_request_is_read() -> None:
    offer = read(
        keys(
            ack_callback_url="https://x.example:8020/kmapi/v1/ext_keys/ack",
            extension_optional={"E32473_ttl_s": 90, "E99999_x": [1]},
            keys=[{"key_id": ID.upper(), "value": VALUE, "extension": {"E1_a": None}}],
        )
    )
    assert offer.parties == PARTIES
    assert offer.callback == "https://x.example:8020/kmapi/v1/ext_keys/ack"
    assert offer.ttl_s == 90.0
    (key,) = offer.keys
    assert key.key_id == ID
    assert key.value.same_as(Secret(b"\x01" * 32))


def test_what_is_written_is_read_back() -> None:
    offer = read(keys(extension_optional={"E99999_note": {"deep": "yes"}}))
    offer = Offer(keys=offer.keys, parties=offer.parties, callback=None, ttl_s=60.5, optional=offer.optional)
    body = write.keys_body(offer, "https://y/ack")
    again = read(body)
    assert (again.callback, again.ttl_s, again.optional) == ("https://y/ack", 60.0, offer.optional)
    assert again.keys[0].value.same_as(offer.keys[0].value)
    marked = Offer(keys=offer.keys, parties=PARTIES, callback=None, origin=KeyOrigin.PQC)
    assert read(write.keys_body(marked, None)).origin is KeyOrigin.PQC
    acks = (Acked(key_ids=(ID,), status=AckStatus.FAILED_TO_VOID, parties=PARTIES, message="too late"),)
    assert wire.read_acks(write.acks_body(acks)) == acks
    assert isinstance(json.loads(write.acks_body(acks)), list)
    for order in (
        VoidOrder(key_ids=(ID,), parties=PARTIES, callback="https://y/ack"),
        VoidOrder(key_ids=(), parties=PARTIES, callback=None),
    ):
        assert wire.read_void(write.void_body(order, order.callback), most_keys=5) == order
    assert json.loads(write.versions_body(synchronous=True)) == {
        "versions": ["v1"],
        "capabilities": ["synchronous_mode", "E32473_ttl_s", "E32473_origin"],
    }


@pytest.mark.parametrize(
    ("said", "problem", "where"),
    [
        (keys(keys=None), Problem.MISSING_PARAMETERS, "missing"),
        (one_key(value=None) | keys(keys=[{"key_id": ID}]), Problem.MISSING_PARAMETERS, "missing"),
        (keys(keys=5), Problem.INVALID_PARAMETER, "keys"),
        (keys(keys=[{"key_id": ID, "value": VALUE}] * 2), Problem.INVALID_PARAMETER, "keys[1].key_id"),
        (keys(keys=[{"key_id": ID, "value": VALUE}] * 4), Problem.INVALID_PARAMETER, "keys"),
        (one_key(key_id="x"), Problem.INVALID_PARAMETER, "keys[0].key_id"),
        (one_key(key_id=f"{{{ID}}}"), Problem.INVALID_PARAMETER, "keys[0].key_id"),
        (one_key(key_ID=ID), Problem.INVALID_PARAMETER, "keys[0]"),
        (one_key(value=""), Problem.INVALID_PARAMETER, "keys[0].value"),
        (one_key(value=VALUE[:-1]), Problem.INVALID_PARAMETER, "keys[0].value"),
        (one_key(value=VALUE + "\n"), Problem.INVALID_PARAMETER, "keys[0].value"),
        (one_key(value="A" * 42 + "B="), Problem.INVALID_PARAMETER, "keys[0].value"),  # bits in the padding
        (one_key(value="-_" * 22), Problem.INVALID_PARAMETER, "keys[0].value"),  # the alphabet of URLs
        (one_key(value="é" * 44), Problem.INVALID_PARAMETER, "keys[0].value"),
        (one_key(value="AAAA"), Problem.INVALID_PARAMETER, "keys[0].value"),  # too short
        (one_key(value="AAAA" * 60), Problem.INVALID_PARAMETER, "keys[0].value"),  # too long
        (one_key(extension={}), Problem.INVALID_PARAMETER, "keys[0].extension"),
        (keys(initiator_sae_id=""), Problem.INVALID_PARAMETER, "initiator_sae_id"),
        (keys(initiator_sae_id="urn:sae:c"), Problem.INVALID_PARAMETER, "target_sae_ids"),
        (keys(target_sae_ids=["ü"]), Problem.INVALID_PARAMETER, "target_sae_ids"),
        (keys(target_sae_ids="urn:sae:c"), Problem.INVALID_PARAMETER, "target_sae_ids"),
        (keys(ack_callback_url="https://" + "x" * 1020), Problem.INVALID_PARAMETER, "ack_callback_url"),
        (keys(ack_callback_url="//x"), Problem.INVALID_PARAMETER, "ack_callback_url"),
        (keys(extension_optional={"E0_x": 1}), Problem.INVALID_PARAMETER, "extension_optional"),
        (keys(extension_optional={"E12": 1}), Problem.INVALID_PARAMETER, "extension_optional"),
        (keys(extension_optional={f"E1_{n}": 1 for n in range(1025)}), Problem.INVALID_PARAMETER,
         "extension_optional"),
        (keys(extension_optional={"E32473_ttl_s": "60"}), Problem.INVALID_PARAMETER, "E32473_ttl_s"),
        (keys(extension_mandatory={"E13019_new": 1}), Problem.UNSUPPORTED_EXTENSION,
         "unsupported_mandatory_extension"),
        (keys(Keys=[]), Problem.INVALID_PARAMETER, "body"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(said: Any, problem: Problem, where: str) -> None:
    error = refused(said)
    assert error.problem is problem
    assert where in error.details
    assert VALUE not in str(error) + str(error.details)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    for reader in (
        lambda: read(body),
        lambda: wire.read_acks(body),
        lambda: wire.read_void(body, most_keys=10),
    ):
        with contextlib.suppress(Refusal):
            reader()
    assert isinstance(wire.read_problem(body), str)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(ID) | st.just(VALUE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key_id", "value", "keys", "extension", "E1_x", "key_ids", "ack_status"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([
    "keys", "initiator_sae_id", "target_sae_ids", "ack_callback_url", "extension_mandatory",
    "extension_optional", "key_ids", "all_confirmation", "key_id_container", "ack_status", "message",
]), json_values))  # fmt: skip
def test_any_json_is_a_request_or_a_refusal(said: dict[str, Any]) -> None:
    for reader in (
        lambda: read(said),
        lambda: read(keys() | said),
        lambda: wire.read_acks(json.dumps([said]).encode()),
        lambda: wire.read_void(json.dumps(said).encode(), most_keys=10),
    ):
        with contextlib.suppress(Refusal):
            reader()


@given(st.binary(min_size=8, max_size=128))
def test_key_bytes_travel_unchanged(raw: bytes) -> None:
    key = HandedKey(key_id=ID, value=Secret(raw))
    body = write.keys_body(Offer(keys=(key,), parties=PARTIES, callback=None), None)
    assert bytes(read(body).keys[0].value.reveal()) == raw


def test_a_problem_of_a_peer_in_a_line() -> None:
    body = write.problem_body("key-routing-error", 400, "no way", {"invalid_routing": "sae-a"})
    assert wire.read_problem(body) == "key-routing-error; no way; invalid_routing: sae-a"
    assert wire.read_problem(b"<html>") == "without a problem that can be read"
    assert json.loads(write.problem_body("x", 400, "t", {})) == {
        "type": "https://qkd.etsi.org/gs020-interop-kms/x",
        "title": "t",
        "status": 400,
    }
