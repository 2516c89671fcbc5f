"""The framing of 004: bytes written out by hand, and whatever else may come."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.material import Secret
from keyweave_agents.service import wire004 as wire
from keyweave_agents.service.streams.values import Delivery, Opening, Outcome, StreamQos
from keyweave_core.errors import MalformedMessage

KSID = bytes.fromhex("0102030405064708890a0b0c0d0e0f10")
QOS = StreamQos(
    chunk_bytes=512,
    max_bps=40_000,
    min_bps=5_000,
    jitter_bps=10,
    priority=0,
    timeout_ms=5_000,
    ttl_s=3_600,
    mimetype="application/json",
)
QOS_HEX = "00000200 00009c40 00001388 0000000a 00000000 00001388 00000e10"
MIME = b"application/json" + bytes(240)


def golden(kind: str, payload: bytes) -> bytes:
    return bytes.fromhex("010001" + kind) + len(payload).to_bytes(4, "big") + payload


OPEN = golden("02", b"client://alice\0server://kms\0" + bytes.fromhex(QOS_HEX) + MIME + bytes(16))
GET = golden("04", KSID + bytes.fromhex("00000007 00000400"))
CLOSE = golden("08", KSID)


def parsed(message: bytes) -> tuple[int, bytes]:
    kind, length = wire.read_header(message[:8])
    assert length == len(message) - 8
    return kind, message[8:]


def test_requests_as_the_open_client_writes_them() -> None:
    request = wire.decode_request(*parsed(OPEN))
    assert request == wire.OpenRequest(
        source="client://alice", destination="server://kms", qos=QOS, ksid=bytes(16)
    )
    assert wire.decode_request(*parsed(GET)) == wire.GetKeyRequest(ksid=KSID, index=7, metadata_bytes=1024)
    assert wire.decode_request(*parsed(CLOSE)) == wire.CloseRequest(ksid=KSID)
    for message in (OPEN, GET, CLOSE):
        again = wire.decode_request(*parsed(message))
        assert again is not None
        assert wire.encode_request(again) == message


def test_responses_as_the_open_client_reads_them() -> None:
    opened = Opening(outcome=Outcome.SUCCESS, qos=QOS, ksid=KSID)
    body = bytes.fromhex(QOS_HEX) + MIME + KSID
    assert wire.encode_opening(opened, "2.1.1") == golden("03", bytes(4) + body)
    proposed = Opening(outcome=Outcome.QOS_NOT_MET, qos=QOS, ksid=KSID)
    assert wire.encode_opening(proposed, "2.1.1") == golden("03", bytes.fromhex("00000007") + body)
    refused = Opening(outcome=Outcome.IN_USE, qos=QOS, ksid=KSID)
    assert wire.encode_opening(refused, "2.1.1") == golden("03", bytes.fromhex("00000005"))
    delivery = Delivery(outcome=Outcome.SUCCESS, index=9, key=Secret(b"\xaa\xbb\xcc"), metadata=b'{"age":1}')
    key = bytes.fromhex("00000000 00000009 00000003 aabbcc 00000009")
    assert wire.encode_delivery(delivery, "2.1.1") == golden("05", key + b'{"age":1}')
    too_small = Delivery(outcome=Outcome.METADATA_SIZE, metadata_bytes=44)
    assert wire.encode_delivery(too_small, "2.1.1") == golden("05", bytes.fromhex("00000008 0000002c"))
    short = Delivery(outcome=Outcome.INSUFFICIENT_KEY)
    assert wire.encode_delivery(short, "2.1.1") == golden("05", bytes.fromhex("00000002"))
    assert wire.encode_closing(Outcome.PEER_NOT_CONNECTED, "2.1.1") == golden("09", bytes.fromhex("00000003"))


def test_every_status_has_its_number() -> None:
    codes = wire.STATUS_CODES["2.1.1"]
    assert [codes[outcome] for outcome in Outcome] == list(range(9))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_client_reads_what_the_server_writes(outcome: Outcome) -> None:
    has_qos = outcome in (Outcome.SUCCESS, Outcome.QOS_NOT_MET)
    opening = Opening(outcome=outcome, qos=QOS, ksid=KSID) if has_qos else Opening(outcome=outcome)
    assert wire.decode_opening(parsed(wire.encode_opening(opening, "2.1.1"))[1], "2.1.1") == opening
    key = Secret(b"k" * 32) if outcome is Outcome.SUCCESS else None
    needed = 50 if outcome is Outcome.METADATA_SIZE else 0
    delivery = Delivery(outcome=outcome, key=key, metadata_bytes=needed)
    read = wire.decode_delivery(parsed(wire.encode_delivery(delivery, "2.1.1"))[1], "2.1.1")
    assert (read.outcome, read.metadata_bytes) == (outcome, needed)
    assert read.key is None or (key is not None and read.key.same_as(key))
    assert wire.decode_closing(parsed(wire.encode_closing(outcome, "2.1.1"))[1], "2.1.1") is outcome


def test_what_stands_behind_a_media_type_means_nothing() -> None:
    payload = bytearray(parsed(OPEN)[1])
    payload[-20:-16] = b"junk"
    request = wire.decode_request(wire.ServiceType.OPEN_REQUEST, bytes(payload))
    assert isinstance(request, wire.OpenRequest)
    assert request.qos.mimetype == "application/json"
    none = payload.replace(b"application/json", bytes(16))
    request = wire.decode_request(wire.ServiceType.OPEN_REQUEST, bytes(none))
    assert isinstance(request, wire.OpenRequest)
    assert request.qos.mimetype == ""


@pytest.mark.parametrize(
    ("kind", "payload", "what"),
    [
        (2, b"", "source"),
        (2, b"a" * 5000, "source"),
        (2, b"a\0" + b"b" * 4000 + b"\0" + bytes(300), "destination"),
        (2, b"\xff\0b\0" + bytes(300), "UTF-8"),
        (2, b"a\0b\0" + bytes(299), "300"),
        (2, b"a\0b\0" + bytes(301), "300"),
        (4, bytes(23), "24"),
        (4, bytes(25), "24"),
        (8, bytes(15), "16"),
    ],
)
def test_a_payload_that_is_not_of_its_type(kind: int, payload: bytes, what: str) -> None:
    with pytest.raises(MalformedMessage, match=what):
        wire.decode_request(kind, payload)


def test_other_types_are_no_requests_and_other_versions_no_messages() -> None:
    for kind in (0, 1, 3, 5, 6, 7, 9, 10, -1, 127):
        assert wire.decode_request(kind, b"whatever") is None
    assert wire.read_header(bytes.fromhex("01000208 00000010")) == (8, 16)
    with pytest.raises(MalformedMessage, match="version 2"):
        wire.read_header(bytes.fromhex("02000008 00000010"))


def test_requests_that_cannot_be_written() -> None:
    for source in ("a\0b", "a" * 3000):
        with pytest.raises(ValueError, match="URI"):
            wire.encode_request(wire.OpenRequest(source=source, destination="b:", qos=QOS, ksid=KSID))
    long = StreamQos(mimetype="x" * 257)
    with pytest.raises(ValueError, match="media type"):
        wire.encode_request(wire.OpenRequest(source="a:", destination="b:", qos=long, ksid=KSID))


uint32 = st.integers(0, 2**32 - 1)
uris = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=200)
media = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=256)
qualities = st.builds(
    StreamQos,
    chunk_bytes=uint32,
    max_bps=uint32,
    min_bps=uint32,
    jitter_bps=uint32,
    priority=uint32,
    timeout_ms=uint32,
    ttl_s=uint32,
    mimetype=media,
)
ksids = st.binary(min_size=16, max_size=16)
requests = (
    st.builds(wire.OpenRequest, source=uris, destination=uris, qos=qualities, ksid=ksids)
    | st.builds(wire.GetKeyRequest, ksid=ksids, index=uint32, metadata_bytes=uint32)
    | st.builds(wire.CloseRequest, ksid=ksids)
)


@given(requests)
def test_whatever_is_written_is_read_back(request: wire.Request) -> None:
    message = wire.encode_request(request)
    assert len(message) - 8 <= wire.MOST_REQUEST_BYTES
    assert wire.decode_request(*parsed(message)) == request


@given(st.sampled_from([2, 4, 8]), st.binary(max_size=700))
def test_garbage_is_refused_or_means_just_what_it_says(kind: int, payload: bytes) -> None:
    try:
        request = wire.decode_request(kind, payload)
    except MalformedMessage:
        return
    assert request is not None
    if not isinstance(request, wire.OpenRequest):  # of an open request what stands behind a NUL may differ
        assert parsed(wire.encode_request(request)) == (kind, payload)


@given(st.binary(max_size=200))
def test_a_client_survives_garbage(payload: bytes) -> None:
    for decode in (wire.decode_opening, wire.decode_delivery, wire.decode_closing):
        with contextlib.suppress(MalformedMessage):
            decode(payload, "2.1.1")
