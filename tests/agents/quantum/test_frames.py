"""Frames: round trips, bounds, and no byte of key in any text."""

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.material import Secret
from keyweave_agents.quantum.frames import (
    HEADER,
    MAX_BLOCK_BYTES,
    MAX_BODY_BYTES,
    Ack,
    Block,
    Bye,
    Condition,
    Frame,
    Hello,
    Keepalive,
    Settled,
    Suspect,
    Trust,
    Welcome,
    body_length,
    decode,
    encode,
)
from keyweave_agents.quantum.observed import DownCause
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId

LINK = LinkId("7b0b2c7e-5a0e-4b9e-8f52-0a4c3a5d8e11")
NODE = NodeId("0d1f8b2a-6a53-4c3c-9b0e-2f1f7e6d5c4b")

roles = st.sampled_from(["transmitter", "receiver"])
ids = st.integers(0, 2**63 - 1)
uuids = st.uuids().map(str)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)

plain_frames = st.one_of(
    st.builds(
        Hello,
        role=roles,
        link_id=uuids.map(LinkId),
        node_id=uuids.map(NodeId),
        interface_id=st.integers(0, 2**32 - 1).map(InterfaceId),
        profile=texts,
        newest_block_id=st.integers(0, 2**62 - 1),
        wavelength=st.integers(1, 9999),
    ),
    st.builds(Ack, block_id=ids),
    st.builds(Settled, block_id=ids),
    st.just(Keepalive()),
    st.just(Welcome()),
    st.just(Trust()),
    st.builds(Suspect, since_block_id=ids, reason=texts),
    st.builds(Condition, extra_loss_db=st.floats(0, 200), excess_noise=st.floats(0, 10)),
    st.builds(Bye, cause=st.sampled_from(DownCause), reason=texts),
)


def parse(raw: bytes) -> Frame:
    header, body = raw[: HEADER.size], raw[HEADER.size :]
    assert body_length(header) == len(body)
    return decode(header, body)


def raw_frame(kind: int, body: bytes) -> bytes:
    return HEADER.pack(kind, len(body)) + body


def raw_hello(*, magic: bytes = b"KWF", version: int = 3, role: int = 0, newest: int = 0) -> bytes:
    link, node = uuid.UUID(LINK).bytes, uuid.UUID(NODE).bytes
    return raw_frame(1, struct.pack(">3sBB16s16sIQH", magic, version, role, link, node, 1, newest, 34) + b"x")


@given(plain_frames)
def test_round_trip(frame: Frame) -> None:
    assert parse(encode(frame)) == frame


@given(ids, roles, st.binary(min_size=1, max_size=300))
def test_round_trip_of_a_block(block_id: int, owner: str, bits: bytes) -> None:
    sent = Block(
        block_id=block_id, owner="receiver" if owner == "receiver" else "transmitter", material=Secret(bits)
    )
    frame = parse(encode(sent))
    assert isinstance(frame, Block)
    assert (frame.block_id, frame.owner) == (sent.block_id, sent.owner)
    assert frame.material.same_as(Secret(bits))


@given(st.binary(min_size=HEADER.size, max_size=HEADER.size), st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_malformed(header: bytes, body: bytes) -> None:
    try:
        body_length(header)
        decode(header, body)
    except MalformedMessage:
        pass


def test_a_block_does_not_print() -> None:
    block = Block(block_id=1, owner="transmitter", material=Secret(b"top secret bits!"))
    assert "secret bits" not in repr(block)
    assert "16 bytes" in repr(block)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (raw_frame(0, b""), "unknown kind 0"),
        (raw_frame(99, b""), "unknown kind 99"),
        (HEADER.pack(2, MAX_BODY_BYTES + 1), "the most is"),
        (raw_frame(2, struct.pack(">QB", 1, 0)), "with 0 bytes"),
        (raw_frame(2, struct.pack(">QB", 1, 2) + b"x"), "BLOCK"),
        (raw_frame(2, struct.pack(">QB", 2**63, 0) + b"x"), "block id"),
        (raw_frame(2, b"\0"), "BLOCK"),
        (raw_frame(3, b"\0" * 9), "ACK"),
        (raw_frame(4, b""), "SETTLED"),
        (raw_frame(5, b"x"), "no body"),
        (raw_frame(6, struct.pack(">dd", float("nan"), 0)), "out of bounds"),
        (raw_frame(6, struct.pack(">dd", 0, float("inf"))), "out of bounds"),
        (raw_frame(6, struct.pack(">dd", -1, 0)), "out of bounds"),
        (raw_frame(7, b""), "BYE"),
        (raw_frame(7, bytes((200,))), "BYE"),
        (raw_frame(7, b"\0" + b"x" * 201), "the most is 200"),
        (raw_hello(magic=b"HTT"), "no QKD module"),
        (raw_hello(version=1), "version 1 is spoken there, 3 here"),
        (raw_hello(role=7), "HELLO"),
        (raw_hello(newest=2**63), "leaves no room"),
        (raw_frame(1, b"GET / HTTP/1.1"), "HELLO"),
    ],
)
def test_malformed(raw: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        parse(raw)


def test_blocks_out_of_bounds_are_not_sent() -> None:
    for material, block_id in ((b"", 1), (b"x" * (MAX_BLOCK_BYTES + 1), 1), (b"x", 2**63), (b"x", -1)):
        with pytest.raises(ValueError, match="no block of"):
            encode(Block(block_id=block_id, owner="receiver", material=Secret(material)))


def test_reasons_are_cut_and_cleaned() -> None:
    frame = parse(encode(Bye(cause=DownCause.MISMATCH, reason="é" * 300)))
    assert isinstance(frame, Bye)
    assert len(frame.reason) <= 200
    spoiled = parse(raw_frame(7, b"\0line one\nline two\x1b[31m"))
    assert isinstance(spoiled, Bye)
    assert spoiled.reason == "line one?line two?[31m"
