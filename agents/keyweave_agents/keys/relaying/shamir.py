"""Shares of which k make the whole again (A. Shamir, "How to share a secret", 1979), byte by byte, GF(2^8).

Rule of this file: arithmetic only, in the field of AES (x^8 + x^4 + x^3 + x + 1). Every byte of the whole is
the value at 0 of a polynomial of degree k - 1 whose other coefficients are fresh random bytes; share x is its
value at x = 1..255. Any k - 1 shares are uniform and independent of the whole, whatever computer looks.

A string of bytes times a constant is one `bytearray.translate` with the table of that constant.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from keyweave_agents.material import Secret, xor_into

_POLYNOMIAL = 0x11B


def multiply(one: int, other: int) -> int:
    """The product of two elements of the field (0..255)."""
    product = 0
    while other:
        if other & 1:
            product ^= one
        one <<= 1
        if one & 0x100:
            one ^= _POLYNOMIAL
        other >>= 1
    return product


def inverse(element: int) -> int:
    """The element whose product with `element` (1..255) is 1: its 254th power."""
    if not element:
        raise ValueError("0 has no inverse")
    result = 1
    for _ in range(254):
        result = multiply(result, element)
    return result


@lru_cache(maxsize=256)
def _times(constant: int) -> bytes:
    return bytes(multiply(constant, element) for element in range(256))


def make_shares(
    whole: Secret, places: Sequence[int], threshold: int, random_bytes: Callable[[int], bytes]
) -> dict[int, Secret]:
    """A share for each place (different, 1..255), any `threshold` (1 or more) of which make `whole` again."""
    coefficients = [bytearray(random_bytes(len(whole))) for _ in range(threshold - 1)]
    shares = {}
    for place in places:
        value = bytearray(len(whole))
        for coefficient in reversed(coefficients):  # Horner
            xor_into(value, coefficient)
            step = value.translate(_times(place))
            value[:] = step
            step[:] = bytes(len(step))
        xor_into(value, whole.reveal())
        shares[place] = Secret.taking(value)
    for coefficient in coefficients:
        coefficient[:] = bytes(len(coefficient))
    return shares


def value_at(place: int, shares: Mapping[int, Secret]) -> Secret:
    """The polynomial of lowest degree through the shares, at `place`: at 0 the whole (Lagrange).

    ValueError when there is no share or their lengths differ.
    """
    if not shares:
        raise ValueError("no shares to combine")
    result = bytearray(len(next(iter(shares.values()))))
    for own, share in shares.items():
        factor = 1
        for other in shares:
            if other != own:
                factor = multiply(factor, multiply(place ^ other, inverse(own ^ other)))
        whole = bytearray(share.reveal())
        step = whole.translate(_times(factor))
        xor_into(result, step)
        step[:] = whole[:] = bytes(len(step))
    return Secret.taking(result)
