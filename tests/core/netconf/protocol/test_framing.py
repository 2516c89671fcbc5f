"""RFC 6242 clauses 4.2 and 4.3, byte for byte."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.errors import MalformedMessage
from keyweave_core.netconf.protocol.framing import Framer, frame


def read(data: bytes, *, chunked: bool, limit: int = 1 << 20) -> list[bytes]:
    framer = Framer(max_message_bytes=limit)
    if chunked:
        framer.use_chunks()
    framer.feed(data)
    found = []
    while (message := framer.next_message()) is not None:
        found.append(message)
    return found


@given(
    messages=st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    cuts=st.lists(st.integers(0, 2000), max_size=12),
    chunked=st.booleans(),
)
def test_what_is_framed_comes_out_whole_however_it_was_split(
    messages: list[bytes], cuts: list[int], chunked: bool
) -> None:
    messages = [m.replace(b"]]>]]>", b"") or b"x" for m in messages]
    if not chunked:
        messages = [m.rstrip(b"]>") or b"x" for m in messages]
    stream = b"".join(frame(m, chunked=chunked) for m in messages)
    framer = Framer(max_message_bytes=400)
    framer.chunked = chunked
    found = []
    places = sorted({0, len(stream), *(c % (len(stream) + 1) for c in cuts)})
    for start, end in pairwise(places):
        framer.feed(stream[start:end])
        while (message := framer.next_message()) is not None:
            found.append(message)
    assert found == messages
    assert framer.buffered == 0


def test_a_message_of_many_chunks_of_any_size_is_one() -> None:
    stream = b"\n#1\n<" + b"\n#2\na/" + b"\n#1\n>" + b"\n##\n"
    assert read(stream, chunked=True) == [b"<a/>"]


def test_a_big_message_is_written_in_several_chunks() -> None:
    payload = bytes(range(256)) * 1024
    stream = frame(payload, chunked=True)
    assert stream.count(b"\n#65536\n") == 4
    assert read(stream, chunked=True) == [payload]


@pytest.mark.parametrize(
    "stream",
    [
        b"\n#0\n",
        b"\n#01\nx",
        b"\n#4294967296\n",
        b"\n#99999999999",
        b"\n#12345678901\n",
        b"\n#-1\n",
        b"\n#+1\n",
        b"\n# 1\n",
        b"\n#1 \nx",
        b"\n#\n",
        b"\n#1a\n",
        b"\n#\xd9\xa1\n",
        b"\n##\n",
        b"\n#1\nx\n##x",
        b"\n#1\nx]]>]]>",
        b"]]>]]>",
        b"<hello/>",
        b"\r\n#1\nx",
        b"#1\nx",
    ],
)
def test_every_fault_of_a_chunk_header_is_refused_at_the_byte_that_makes_it_one(stream: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read(stream, chunked=True)
    framer = Framer(max_message_bytes=1000)
    framer.use_chunks()

    def byte_by_byte() -> None:
        for at in range(len(stream)):
            framer.feed(stream[at : at + 1])
            framer.next_message()

    with pytest.raises(MalformedMessage):
        byte_by_byte()


def test_a_chunk_header_that_promises_too_much_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(MalformedMessage, match="above 100 bytes"):
        read(b"\n#101\n", chunked=True, limit=100)
    with pytest.raises(MalformedMessage, match="above 100 bytes"):
        read(b"\n#100\n" + bytes(100) + b"\n#1\n", chunked=True, limit=100)
    assert read(b"\n#100\n" + bytes(100) + b"\n##\n", chunked=True, limit=100) == [bytes(100)]


def test_unchunked_messages_have_the_same_cap_whether_or_not_they_end() -> None:
    assert read(b"x" * 100 + b"]]>]]>", chunked=False, limit=100) == [b"x" * 100]
    with pytest.raises(MalformedMessage, match="above 100 bytes"):
        read(b"x" * 101 + b"]]>]]>", chunked=False, limit=100)
    with pytest.raises(MalformedMessage, match="above 100 bytes"):
        read(b"x" * 107, chunked=False, limit=100)


@pytest.mark.parametrize("chunked", [False, True])
def test_single_bytes_of_a_big_message_take_linear_time(chunked: bool) -> None:
    def seconds(size: int) -> float:
        framer = Framer(max_message_bytes=1 << 22)
        framer.chunked = chunked
        stream = frame(b"x" * size, chunked=chunked)
        started = time.perf_counter()
        for at in range(len(stream)):
            framer.feed(stream[at : at + 1])
            framer.next_message()
        return time.perf_counter() - started

    seconds(1000)
    # Ten times the size: a quadratic reader would need a hundred times as long.
    assert seconds(100_000) < 40 * max(seconds(10_000), 0.002)


def test_messages_that_no_framing_can_carry_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        frame(b"", chunked=True)
    with pytest.raises(ValueError, match="delimiter"):
        frame(b"<a>]]>]]></a>", chunked=False)
