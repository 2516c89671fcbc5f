"""Reading of requests and writing of answers, whatever comes in."""

import json
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.answers014 import route
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.runtime.tls import TlsSettings

SETTINGS = ServiceSettings(
    listen_port=0, tls=TlsSettings(certificate=Path("c"), private_key=Path("k"), ca=Path("a"))
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(
    [
        "number",
        "size",
        "additional_slave_SAE_IDs",
        "extension_mandatory",
        "extension_optional",
        "key_IDs",
        "x",
    ]
)
bodies = st.binary(max_size=60) | st.dictionaries(members, anything, max_size=4).map(
    lambda value: json.dumps(value).encode()
)
queries = st.binary(max_size=60) | st.lists(
    st.tuples(st.sampled_from([b"number", b"size", b"key_ID", b"x"]), st.binary(max_size=8)), max_size=3
).map(lambda pairs: b"&".join(b"%b=%b" % pair for pair in pairs))


def within(request: wire.KeyRequest) -> bool:
    return (
        1 <= request.number <= SETTINGS.max_keys_per_request
        and SETTINGS.min_key_bits <= request.size_bits <= SETTINGS.max_key_bits
        and request.size_bits % 8 == 0
    )


@given(bodies)
def test_any_body_is_a_request_within_the_limits_or_a_bad_request(body: bytes) -> None:
    try:
        request = wire.key_request_of_body(body, SETTINGS)
    except wire.BadRequest:
        return
    assert within(request)


@given(queries)
def test_any_query_is_a_request_within_the_limits_or_a_bad_request(query: bytes) -> None:
    try:
        request = wire.key_request_of_query(query, SETTINGS)
    except wire.BadRequest:
        return
    assert within(request)


@given(bodies, queries)
def test_any_list_of_ids_is_canonical_and_without_repeats_or_a_bad_request(body: bytes, query: bytes) -> None:
    for read, source in ((wire.key_ids_of_body, body), (wire.key_ids_of_query, query)):
        try:
            ids = read(source, SETTINGS).texts
        except wire.BadRequest:
            continue
        assert len(set(ids)) == len(ids) >= 1
        assert all(str(uuid.UUID(key_id)) == key_id for key_id in ids)


@given(st.lists(st.uuids(), min_size=1, max_size=128, unique=True))
def test_ids_come_back_in_the_order_asked(ids: list[uuid.UUID]) -> None:
    body = json.dumps({"key_IDs": [{"key_ID": str(key_id).upper()} for key_id in ids]}).encode()
    assert wire.key_ids_of_body(body, SETTINGS).texts == tuple(str(key_id) for key_id in ids)


@given(number=st.integers(1, 128), octets=st.integers(8, 512))
def test_get_and_post_say_the_same(number: int, octets: int) -> None:
    size = octets * 8
    body = json.dumps({"number": number, "size": size}).encode()
    query = f"size={size}&number={number}".encode()
    assert wire.key_request_of_body(body, SETTINGS) == wire.key_request_of_query(query, SETTINGS)


REPEATED = [
    b'{"number":1,"number":100}',
    b'{"n\\u0075mber":100,"number":1}',
    b'{"size":64,"number":1,"size":128}',
    b'{"extension_mandatory":[],"extension_mandatory":[{"abc_x":1}]}',
    b'{"extension_optional":[{"abc_x":{"y":1,"y":2}}]}',
    b'{"extension_optional":[{"keyweave_origin":true,"keyweave_origin":false}]}',
]


@pytest.mark.parametrize("body", REPEATED)
def test_a_member_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(wire.BadRequest, match="twice in one object"):
        wire.key_request_of_body(body, SETTINGS)


def test_a_member_that_stands_twice_in_a_list_of_ids_is_refused() -> None:
    one, other = uuid.UUID(int=1), uuid.UUID(int=2)
    for body in (
        f'{{"key_IDs":[{{"key_ID":"{one}","key_ID":"{other}"}}]}}',
        f'{{"key_IDs":[{{"key_ID":"{one}"}}],"key_IDs":[{{"key_ID":"{other}"}}]}}',
        f'{{"key_IDs":[{{"key_ID":"{one}","key_\\u0049D":"{other}"}}]}}',
        f'{{"key_IDs":[{{"key_ID":"{one}"}}],"key_IDs_extension":{{"a":1,"a":2}}}}',
        f'{{"key_IDs":[{{"key_ID":"{one}","key_ID_extension":{{"a":1,"a":2}}}}]}}',
    ):
        with pytest.raises(wire.BadRequest, match="twice in one object"):
            wire.key_ids_of_body(body.encode(), SETTINGS)


@pytest.mark.parametrize("number", ["1e0", "1.0", "1e2", "-0.0", "1" + "0" * 5000, "Infinity", "NaN", "0x1"])
def test_numbers_that_are_no_plain_integers_are_refused(number: str) -> None:
    with pytest.raises(wire.BadRequest):
        wire.key_request_of_body(f'{{"number":{number}}}'.encode(), SETTINGS)


@given(st.binary(max_size=40))
def test_any_path_is_a_route_or_nothing_or_a_bad_request(segment: bytes) -> None:
    try:
        found = route(b"/api/v1/keys/" + segment + b"/status")
    except wire.BadRequest:
        return
    assert found is None or (found[0] == "status" and found[1].isprintable())


@pytest.mark.parametrize("depth", [100, 10_000, 30_000])
@pytest.mark.parametrize("member", ["extension_optional", "extension_mandatory", "x"])
def test_depth_ends_in_an_error(depth: int, member: str) -> None:
    body = b'{"%b":[{"a":%b%b}]}' % (member.encode(), b"[" * depth, b"]" * depth)
    if member == "extension_optional" and depth == 100:
        assert wire.key_request_of_body(body, SETTINGS).number == 1
        return
    with pytest.raises(wire.BadRequest):
        wire.key_request_of_body(body, SETTINGS)


def test_an_error_has_details_only_when_there_are_some() -> None:
    assert wire.error_body("no") == b'{"message":"no"}'
    assert json.loads(wire.error_body("no", [{"a": "b"}])) == {"message": "no", "details": [{"a": "b"}]}
