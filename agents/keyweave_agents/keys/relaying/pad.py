"""One-time pad and one-time tag: what hides and proves a relay message on one hop.

Rule of this file: bits that enter here are used once and overwritten; the caller took them out of a pool and
nobody else can take them again.

The pad is the exclusive or with as many fresh bytes (Shannon: perfect secrecy). The tag is Poly1305 (RFC 8439
clause 2.5) under a key of 32 fresh bytes used for this one message: the polynomial part is an almost-delta-
universal hash, and the last 16 bytes of the key are added to its value and hide it, which is the
construction of Wegman and Carter. Whoever does not know the key forges a message of L bytes with probability
at most 8*ceil(L/16)/2^106 (D. J. Bernstein, "The Poly1305-AES message-authentication code", FSE 2005, with
the blinding cipher of that paper replaced by fresh key), whatever computer he owns.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

Raw = bytes | bytearray | memoryview

TAG_KEY_BYTES = 32
TAG_BYTES = 16


def forgery_bound(length: int) -> float:
    """The most probable success of one forgery of a message of `length` bytes."""
    return float(8 * -(-length // 16) / 2**106)


def tag(proved: Raw, key: Raw) -> bytes:
    """The 16-byte tag of `proved` under a key of 32 bytes."""
    return Poly1305.generate_tag(key, proved)


def proves(proved: Raw, claimed: bytes, key: Raw) -> bool:
    """Whether `claimed` is the tag of `proved` (compared in constant time)."""
    try:
        Poly1305.verify_tag(key, proved, claimed)
    except InvalidSignature:
        return False
    return True
