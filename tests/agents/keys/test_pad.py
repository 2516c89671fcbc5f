"""The tag proves, and nothing else does."""

from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.keys.relaying import pad


def test_the_tag_is_poly1305_of_rfc_8439() -> None:
    # RFC 8439 clause 2.5.2.
    key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    tag = pad.tag(b"Cryptographic Forum Research Group", key)
    assert tag.hex() == "a8061dc1305136c6c22b8baf0c0127a9"


@given(st.binary(min_size=1, max_size=120), st.integers(0, 2**20), st.binary(min_size=32, max_size=32))
def test_one_changed_bit_anywhere_is_found(body: bytes, at: int, key: bytes) -> None:
    bits = bytearray(key)
    tag = pad.tag(body, bits)
    assert pad.proves(body, tag, bits)
    at %= 8 * len(body)
    changed = bytearray(body)
    changed[at // 8] ^= 1 << at % 8
    # r = 0 (probability 2^-106) would accept everything: hypothesis likes such keys, an attacker cannot wish.
    if any(a & b for a, b in zip(key[:16], bytes.fromhex("ffffff0ffcffff0ffcffff0ffcffff0f"), strict=True)):
        assert not pad.proves(bytes(changed), tag, bits)
    wrong = bytes([tag[0] ^ 1]) + tag[1:]
    assert not pad.proves(body, wrong, bits)


def test_the_bound_is_that_of_the_construction() -> None:
    assert pad.forgery_bound(4096) == 8 * 256 / 2**106
    assert pad.forgery_bound(1) == 8 / 2**106
    assert pad.forgery_bound(2**20) < 2**-86
