"""Key material shows its length and nothing else."""

import copy
import json
import pickle
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.material import LARGE_BYTES, Pad, Secret, concatenate, xor, xor_into

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


def test_what_is_lent_is_overwritten_where_it_lies() -> None:
    secret = Secret(MARK)
    pad = Pad([secret.lend(0, 4), secret.lend(4, 2)])
    assert (len(pad), str(pad), pad.copy(6)) == (6, "<pad of 6 bytes>", b"MARKED")
    pad.wipe()
    assert bytes(secret.reveal()) == bytes(6) + MARK[6:]
    for offset, length in ((-1, 2), (0, 17), (16, 1), (3, -1)):
        with pytest.raises(ValueError, match="no bytes"):
            secret.lend(offset, length)
    secret.erase(10)
    assert bytes(secret.reveal()) == bytes(6) + MARK[6:10] + bytes(6)


def test_a_secret_takes_a_buffer_over_without_a_copy() -> None:
    content = bytearray(MARK)
    Secret.taking(content).wipe()
    assert content == bytes(16)


@given(st.binary(min_size=1, max_size=80), st.lists(st.integers(1, 30), max_size=6))
def test_a_pad_covers_whatever_pieces_it_has(source: bytes, cuts: list[int]) -> None:
    bits = bytearray((7 * at + 1) % 256 for at in range(len(source) + sum(cuts)))
    pieces, at = [], 0
    for cut in [*cuts, len(bits) - sum(cuts)]:
        pieces.append(memoryview(bits)[at : at + cut])
        at += cut
    pad, target = Pad(pieces), bytearray(len(source))
    pad.cover(source, target)
    assert target == bytes(a ^ b for a, b in zip(source, bits, strict=False))
    inplace = bytearray(source)
    pad.cover(inplace, inplace)
    assert inplace == target
    assert pad.last(len(source)) == bits[-len(source) :]
    pad.wipe()
    assert bits == bytes(len(bits))
    with pytest.raises(ValueError, match="cannot xor"):
        pad.cover(bytes(len(bits) + 1), bytearray(len(bits) + 1))


@pytest.mark.parametrize("length", [1, LARGE_BYTES, LARGE_BYTES + 1, 200_000])
def test_small_and_large_strings_are_xored_alike(length: int) -> None:
    left, right = (random.Random(seed).randbytes(length) for seed in (1, 2))  # noqa: S311 - no secrets
    both = xor(left, right)
    assert both[:9] + both[-9:] == bytes(
        a ^ b for a, b in zip(left[:9] + left[-9:], right[:9] + right[-9:], strict=True)
    )
    target = bytearray(left)
    xor_into(target, right)
    assert target == both
    with pytest.raises(ValueError, match="cannot xor"):
        xor_into(target, right + b"x")
    secret = Secret(both)
    secret.wipe()
    assert bytes(secret.reveal()) == bytes(length)


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


def test_numpy_is_loaded_with_the_first_large_string_and_not_before() -> None:
    program = (
        "import sys\n"
        "from keyweave_agents.keys.manager import KeyManager\n"
        "from keyweave_agents.material import LARGE_BYTES, xor\n"
        "xor(bytes(LARGE_BYTES), bytes(LARGE_BYTES))\n"
        "assert LARGE_BYTES >= 128 * 32 and 'numpy' not in sys.modules, 'too early'\n"
        "xor(bytes(LARGE_BYTES + 1), bytes(LARGE_BYTES + 1))\n"
        "assert 'numpy' in sys.modules, 'never'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
