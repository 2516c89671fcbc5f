"""Letters between the two ends of a stream: read back as written, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.service.streams.letters import (
    MOST_CHUNKS,
    Gone,
    Head,
    Letter,
    Lost,
    Offer,
    Opened,
    Taken,
    Wanted,
    decode_letter,
    encode_letter,
)
from keyweave_agents.service.streams.values import StreamQos
from keyweave_core.errors import MalformedMessage

uint32 = st.integers(0, 2**32 - 1)
ids = st.binary(min_size=16, max_size=16)
openings = st.binary(min_size=8, max_size=8)
heads = st.builds(Head, ksid=ids, mine=openings, yours=openings)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
qualities = st.builds(
    StreamQos,
    chunk_bytes=st.integers(1, 8192),
    max_bps=st.integers(1, 2**32 - 1),
    min_bps=uint32,
    jitter_bps=uint32,
    priority=uint32,
    ttl_s=st.integers(1, 2**32 - 1),
)
letters: st.SearchStrategy[Letter] = st.one_of(
    st.builds(
        Opened,
        head=heads,
        writer=names,
        reader=names,
        claim=st.integers(0, 3),
        joined=st.booleans(),
        qos=qualities,
    ),
    st.builds(
        Offer,
        head=heads,
        first=uint32,
        chunk_bytes=uint32,
        key_ids=st.lists(ids, min_size=1, max_size=MOST_CHUNKS).map(tuple),
        proof_ids=st.tuples(ids, ids),
        tag=ids,
    ),
    st.builds(Taken, head=heads, first=uint32, count=st.integers(0, 65535), frontier=uint32, tag=ids),
    st.builds(Lost, head=heads, first=uint32),
    st.builds(Wanted, head=heads, frontier=uint32),
    st.builds(Gone, head=heads),
)


@given(letters)
def test_whatever_is_written_is_read_back(letter: Letter) -> None:
    assert decode_letter(encode_letter(letter)) == letter


@given(letters, st.data())
def test_what_is_cut_or_longer_is_refused(letter: Letter, data: st.DataObject) -> None:
    raw = encode_letter(letter)
    cut = data.draw(st.integers(0, len(raw) - 1))
    for wrong in (raw[:cut], raw + b"x"):
        with pytest.raises(MalformedMessage):
            decode_letter(wrong)


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_means_just_what_it_says(raw: bytes) -> None:
    try:
        letter = decode_letter(raw)
    except MalformedMessage:
        return
    if not isinstance(letter, Opened):  # its flag has more than two spellings
        assert encode_letter(letter) == raw


@given(st.binary(min_size=1, max_size=250), st.integers(1, 6))
def test_garbage_of_every_kind(raw: bytes, kind: int) -> None:
    test_garbage_is_refused_or_means_just_what_it_says.hypothesis.inner_test(bytes([kind]) + raw)  # type: ignore[attr-defined]  # made by hypothesis


def test_qualities_that_no_stream_has_are_refused() -> None:
    head = Head(ksid=bytes(16), mine=bytes(8))
    for qos in (
        StreamQos(),
        StreamQos(chunk_bytes=9000, max_bps=1, ttl_s=1),
        StreamQos(chunk_bytes=8, max_bps=1),
    ):
        letter = Opened(head=head, writer="a", reader="b", claim=1, joined=False, qos=qos)  # type: ignore[arg-type]  # plain text
        with pytest.raises(MalformedMessage):
            decode_letter(encode_letter(letter))
