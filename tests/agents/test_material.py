"""Key material shows its length and nothing else."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.material import Secret, concatenate, xor

MARK = b"MARKED-KEY-BYTES"


def test_nothing_that_prints_shows_the_bytes() -> None:
    secret = Secret(MARK)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", format(secret), repr([secret])]
    assert all("MARKED" not in text and MARK.hex() not in text for text in shown)
    assert repr(secret) == "<secret of 16 bytes>"
    assert secret.bits == 128
    assert len(secret) == 16


def test_a_traceback_with_the_secret_as_argument_does_not_show_it() -> None:
    with pytest.raises(ValueError, match=r"no bytes 0\.\.99 in a secret of 16") as caught:
        Secret(MARK).slice(0, 99)
    assert "MARKED" not in str(caught.value)


@pytest.mark.parametrize(
    "leak",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        bytes,
        hash,
        json.dumps,
        lambda secret: secret == Secret(MARK),
        lambda secret: {secret: 1},
    ],
)
def test_ways_to_lose_it_by_accident_are_closed(leak) -> None:  # type: ignore[no-untyped-def]  # any callable
    with pytest.raises(TypeError):
        leak(Secret(MARK))


def test_revealed_bytes_are_read_only_and_end_with_the_wipe() -> None:
    secret = Secret(MARK)
    view = secret.reveal()
    assert bytes(view) == MARK
    with pytest.raises(TypeError):
        view[0] = 0
    secret.wipe()
    assert bytes(view) == bytes(16)


def test_a_secret_is_a_copy_of_what_it_was_made_from() -> None:
    source = bytearray(MARK)
    secret = Secret(source)
    source[:] = bytes(16)
    assert bytes(secret.reveal()) == MARK


def test_cut_takes_bytes_out() -> None:
    secret = Secret(MARK)
    assert secret.cut(0, 6) == b"MARKED"
    assert bytes(secret.reveal()) == bytes(6) + MARK[6:]
    for offset, length in ((-1, 2), (0, 17), (16, 1), (3, -1)):
        with pytest.raises(ValueError, match="no bytes"):
            secret.cut(offset, length)


def test_comparison_says_equal_and_different() -> None:
    assert Secret(MARK).same_as(Secret(MARK))
    assert not Secret(MARK).same_as(Secret(MARK[:-1] + b"x"))
    assert not Secret(MARK).same_as(Secret(MARK[:-1]))


@given(st.binary(max_size=300), st.data())
def test_slices_join_to_the_whole(content: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(content)))
    secret = Secret(content)
    joined = concatenate([secret.slice(0, at), secret.slice(at, len(content) - at)])
    assert joined.same_as(secret)


@given(st.binary(max_size=300), st.data())
def test_xor_is_its_own_inverse(left: bytes, data: st.DataObject) -> None:
    right = data.draw(st.binary(min_size=len(left), max_size=len(left)))
    mixed = xor(left, right)
    assert xor(mixed, right) == left
    assert mixed == bytes(a ^ b for a, b in zip(left, right, strict=True))


def test_xor_wants_equal_lengths() -> None:
    with pytest.raises(ValueError, match="cannot xor 1 with 2 bytes"):
        xor(b"a", b"bc")
