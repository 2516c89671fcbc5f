"""Frames on the wire: what is sent comes back, anything else is refused."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.keys.network import message, uid

from keyweave_agents.keys.relaying.frames import (
    Ack,
    Ask,
    Batch,
    Doubt,
    Held,
    Hello,
    Keeper,
    Missing,
    Nack,
    Reason,
    Sealed,
    uuid_bytes,
    uuid_text,
)
from keyweave_agents.keys.relaying.sealed import lay, write_acks, write_batch
from keyweave_agents.keys.relaying.sealed_layout import MOST_FRAME_BYTES
from keyweave_agents.keys.relaying.wire import Splitter, decode, encode
from keyweave_agents.keys.store import PadRange, Position, Stock
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import KeyOrigin, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId
from keyweave_proto.v1 import relay_pb2 as pb

BATCH = Batch(
    batch_id=bytes(16), app_id=AppId(uid(1)), link_id=LinkId(uid(2)), key_bytes=32, key_ids=bytes(range(48))
)
PAD = (PadRange(7, 4, 100), PadRange(2**63 - 1, 0, 28))

uuids = st.uuids().map(str)
ids16 = st.binary(min_size=16, max_size=16)
stocks = st.builds(
    Stock,
    st.none() | st.builds(Position, st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1)),
    st.sets(st.integers(0, 2**63 - 1), max_size=30).map(lambda ids: tuple(sorted(ids))),
)
frames = st.one_of(
    st.builds(Hello, node_id=uuids, link_id=uuids, dialler=stocks, acceptor=stocks),
    st.builds(Missing, block_ids=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5).map(tuple)),
    st.builds(Held, block_ids=st.lists(st.integers(0, 2**63 - 1), max_size=5).map(tuple)),
    st.builds(Doubt, link_id=uuids),
    st.builds(Ask, link_id=uuids),
    st.builds(Keeper, link_id=uuids, keeper=st.binary(min_size=16, max_size=16)),
    st.builds(
        Nack,
        batch_id=st.binary(min_size=16, max_size=16),
        link_id=uuids,
        reason=st.sampled_from(Reason),
        at_node=uuids,
        kept=st.booleans(),
    ),
)


@given(frames)
def test_untagged_frames_come_back(frame: Hello | Held | Missing | Nack | Doubt | Ask | Keeper) -> None:
    assert decode(encode(frame)[4:]) == frame


def test_sealed_messages_come_back_with_the_bytes_that_were_proved() -> None:
    frame = read(message(BATCH, PAD, b"c" * 96, b"t" * 16))
    assert (frame.content, frame.pad, frame.tag) == (BATCH, PAD, b"t" * 16)
    assert frame.ciphertext == b"c" * 96
    assert frame.written == write_batch(BATCH)
    share = replace(BATCH, links=(LinkId(uid(2)), LinkId(uid(3)), LinkId(uid(4))), threshold=2)
    assert read(message(share, PAD, b"c" * 96)).content == share
    hybrid = replace(BATCH, secret_id=b"s" * 16, origin=KeyOrigin.HYBRID)
    assert read(message(hybrid, PAD, b"c" * 96)).content == hybrid
    ack = Ack(batch_id=bytes(16), link_id=LinkId(uid(2)), keeper=b"k" * 16)
    assert read(message(ack, (PadRange(1, 2, 32),))).content == (ack,)


contents = st.one_of(
    st.builds(
        Batch,
        batch_id=ids16,
        app_id=uuids.map(AppId),
        link_id=uuids.map(LinkId),
        key_bytes=st.integers(1, 64),
        key_ids=st.binary(min_size=16, max_size=160).map(lambda ids: ids[: len(ids) // 16 * 16]),
    ),
    st.lists(st.builds(Ack, batch_id=ids16, link_id=uuids.map(LinkId), keeper=ids16), min_size=1, max_size=4),
)
ranges = st.builds(PadRange, st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(1, 2**20))


@given(contents, st.sampled_from(RelayMethod), st.lists(ranges, max_size=3), st.integers(1, 2**64 - 1))
def test_what_is_laid_out_by_hand_is_what_the_schema_says(
    content: Batch | list[Ack], method: RelayMethod, more: list[PadRange], counter: int
) -> None:
    payload = b""
    if isinstance(content, Batch):
        written, payload = write_batch(content), b"p" * content.payload_bytes
    else:
        written, method = write_acks(content), RelayMethod.OTP
    counter = counter if method is RelayMethod.AES_256_GCM else 0
    size = 32 if counter else len(payload) + 32
    pad = [one for one in more if one.length < size]
    pad = pad[:1] if sum(one.length for one in pad[:1]) < size else []
    pad.append(PadRange(9, 9, size - sum(one.length for one in pad)))
    frame, proved, until = lay(pad, written, len(payload), method, counter)
    frame[len(frame) - 18 - len(payload) : -18] = payload
    by_schema = pb.Frame.FromString(bytes(frame[4:]))
    # The generated code leaves defaults out, and is read alike.
    again = by_schema.SerializeToString()
    one, other = read(bytes(frame)), read(bytes(4) + again)
    assert one.proved == bytes(frame[proved : until if counter else -18])
    for name in ("tag", "pad", "content", "method", "counter"):
        assert getattr(one, name) == getattr(other, name)
    assert bytes(one.ciphertext) == bytes(other.ciphertext) == payload
    assert len(by_schema.sealed.pad) == len(pad)
    assert pb.Frame.FromString(again) == by_schema


def read(raw: bytes) -> Sealed:
    frame = decode(raw[4:])
    assert isinstance(frame, Sealed)
    return frame


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_noise_is_refused_or_read_but_never_anything_else(noise: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        decode(noise)


@settings(max_examples=300)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_flipped_bits_are_refused_or_read(at: int, bit: int) -> None:
    raw = bytearray(message(BATCH, PAD, b"c" * 96)[4:])
    raw[at % len(raw)] ^= 1 << bit
    with contextlib.suppress(MalformedMessage):
        decode(bytes(raw))


def sealed(**changes: object) -> bytes:
    batch = {
        "batch_id": bytes(16),
        "app_id": bytes(16),
        "link_id": bytes(16),
        "key_bytes": 32,
        "key_ids": bytes(16),
    }
    outer: dict[str, object] = {"ciphertext": bytes(32), "tag": bytes(16)}
    for name in ("ciphertext", "tag", "method", "counter", "acks"):
        if name in changes:
            outer[name] = changes.pop(name)
    length = changes.pop("pad", 64)
    message = pb.Sealed(
        pad=[pb.PadRange(block_id=1, offset=0, length=length)],  # type: ignore[arg-type]  # a test's number
        batch=pb.Batch(**{**batch, **changes}),  # type: ignore[arg-type]  # a test's fields
        **outer,  # type: ignore[arg-type]  # a test's fields
    )
    return pb.Frame(sealed=message).SerializeToString()


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "without content"),
        (b"\xff\xff\xff", "not a relay frame"),
        (b"\x1a", "not a relay frame"),
        (b"\x1a\xff\xff\xff\xff\xff\xff\x01" + bytes(20), "not a relay frame"),
        (b"\x1a\x14\xff\xff" + b"\x3a\x10" + bytes(16), "not a relay frame"),
        (pb.Frame(sealed=pb.Sealed(tag=bytes(16))).SerializeToString(), "either a batch or acknowledgements"),
        (sealed(acks=[pb.Ack()]), "either a batch or acknowledgements"),
        (sealed(tag=bytes(15)), "tag does not stand last"),
        (sealed() + b"\x12\x00", "tag does not stand last"),
        (b"\x12\x00" + sealed(), "more than one"),
        (sealed(method=7), "unknown relay method 7"),
        (sealed(counter=1), "a counter without a link key"),
        (sealed(method=1, counter=1), "pad bytes: 64, not 32"),
        (sealed(method=2, ciphertext=bytes(16)), "ciphertext bytes: 16 is not within 32..32"),
        (sealed(batch_id=bytes(3)), "batch id has 3 bytes, not 16"),
        (sealed(key_ids=bytes(17)), "key ids are not 16 bytes each"),
        (sealed(key_ids=b"", ciphertext=b"", pad=32), "keys: 0 is not within 1..4096"),
        (sealed(key_ids=bytes(16 * 4097)), "keys: 4097 is not within 1..4096"),
        (sealed(key_bytes=0), "key bytes: 0"),
        (sealed(key_bytes=2**32 - 1), "key bytes: 4294967295"),
        (sealed(ciphertext=bytes(31)), "ciphertext bytes: 31 is not within 32..32"),
        (sealed(pad=63), "pad bytes: 63, not 64"),
        (sealed(threshold=2), "shares: 0 is not within 2..8"),
        (sealed(link_ids=[bytes(16), b"\1" * 16], threshold=2), "threshold of shares: 2 is not within 2..1"),
        (sealed(secret_id=b"s"), "secret id has 1 bytes"),
        (sealed(link_ids=[bytes(16)]), "shares: 1 is not within 2..8"),
        (sealed(link_ids=[bytes([one] * 16) for one in range(9)]), "shares: 9 is not within 2..8"),
        (sealed(link_ids=[bytes(16), bytes(15)]), "link id has 15 bytes, not 16"),
        (sealed(link_ids=[bytes(16), bytes(16)]), "the links of the shares do not rise"),
        (sealed(link_ids=[b"\2" * 16, bytes(16)]), "the links of the shares do not rise"),
        (sealed(link_ids=[b"\1" * 16, b"\2" * 16]), "a share over a link that is none of its links"),
        (
            pb.Frame(nack=pb.Nack(batch_id=bytes(16), link_id=bytes(16))).SerializeToString(),
            "unknown reason 0",
        ),
        (pb.Frame(hello=pb.Hello(version=1)).SerializeToString(), "relay version 1; spoken here: 3"),
        (pb.Frame(held=pb.Held(block_ids=[2**64 - 1])).SerializeToString(), "block id"),
        (pb.Frame(doubt=pb.Doubt(link_id=b"x")).SerializeToString(), "link id has 1 bytes"),
        (pb.Frame(ask=pb.Ask()).SerializeToString(), "link id has 0 bytes"),
        (
            pb.Frame(keeper=pb.Keeper(link_id=bytes(16), keeper=b"x")).SerializeToString(),
            "keeper has 1 bytes",
        ),
        (
            pb.Frame(
                hello=pb.Hello(
                    version=3, node_id=bytes(16), link_id=bytes(16), dialler=pb.Stock(held_deltas=[3, 0])
                )
            ).SerializeToString(),
            "held blocks do not rise",
        ),
    ],
)
def test_each_wrong_frame_is_refused_with_its_reason(raw: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessage, match=complaint):
        decode(raw)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.integers(1, 20))
def test_the_splitter_finds_frames_however_they_are_cut(messages: list[bytes], step: int) -> None:
    stream = b"".join(len(one).to_bytes(4, "big") + one for one in messages)
    splitter = Splitter()
    found = [raw for at in range(0, len(stream), step) for raw in splitter.feed(stream[at : at + step])]
    assert found == messages


@pytest.mark.parametrize("length", [0, MOST_FRAME_BYTES + 1, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_before_anything_is_kept(length: int) -> None:
    with pytest.raises(MalformedMessage, match="allowed are"):
        list(Splitter().feed(length.to_bytes(4, "big")))


@given(st.uuids())
def test_uuids_keep_their_bytes(one: object) -> None:
    assert uuid_text(uuid_bytes(str(one))) == str(one)


def test_node_ids_are_compared_in_lower_case() -> None:
    assert NodeId(uuid_text(uuid_bytes(uid(0xABC).upper()))) == uid(0xABC)
