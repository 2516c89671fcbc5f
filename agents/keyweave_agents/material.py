"""Key bytes: the one type that holds them.

Rule of this file: a `Secret` shows its length and nothing else. It cannot be printed, logged, pickled,
copied by `copy`, compared by `==` in variable time, hashed or serialised by accident; whoever needs the
bytes says so (`reveal`). Wiping overwrites the buffer; Python may still hold copies that a library made
(a `bytes` object handed to a cipher, a base64 text on its way out), which is why agents keep key material
in as few places as they can.
"""

import hmac
from collections.abc import Iterable
from typing import Any, NoReturn

LARGE_BYTES = 8192
"""Strings above this are worth numpy. Batches of 128 keys of 256 bits, the default, are not."""


class Secret:
    """A fixed number of secret bytes."""

    __slots__ = ("_bytes",)

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._bytes = bytearray(content)

    @classmethod
    def taking(cls, content: bytearray) -> "Secret":
        """A secret that holds `content` itself, without a copy; nobody else may keep it."""
        secret = cls.__new__(cls)
        secret._bytes = content  # noqa: SLF001 - its own class
        return secret

    def __len__(self) -> int:
        """Length in bytes."""
        return len(self._bytes)

    @property
    def bits(self) -> int:
        """Length in bits."""
        return len(self._bytes) * 8

    def reveal(self) -> memoryview:
        """The bytes themselves, read only, valid until `wipe`. For ciphers and key delivery only."""
        return memoryview(self._bytes).toreadonly()

    def slice(self, offset: int, length: int) -> "Secret":
        """A copy of `length` bytes from `offset`; ValueError when they are not there."""
        if offset < 0 or length < 0 or offset + length > len(self._bytes):
            raise ValueError(f"no bytes {offset}..{offset + length} in a secret of {len(self._bytes)}")
        return Secret(memoryview(self._bytes)[offset : offset + length])

    def cut(self, offset: int, length: int) -> bytearray:
        """Move `length` bytes from `offset` out, zeros stay here; ValueError when they are not there."""
        if offset < 0 or length < 0 or offset + length > len(self._bytes):
            raise ValueError(f"no bytes {offset}..{offset + length} in a secret of {len(self._bytes)}")
        taken = self._bytes[offset : offset + length]
        self._bytes[offset : offset + length] = bytes(length)
        return taken

    def same_as(self, other: "Secret") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._bytes, other.reveal())

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        self._bytes[:] = bytes(len(self._bytes))

    def __repr__(self) -> str:
        return f"<secret of {len(self._bytes)} bytes>"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        raise TypeError("compare secrets with same_as")

    __hash__ = None  # type: ignore[assignment]  # a secret must never be a dictionary key

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")

    def __bytes__(self) -> NoReturn:
        raise TypeError("say reveal() when the bytes are meant")


def xor(left: memoryview | bytes | bytearray, right: memoryview | bytes | bytearray) -> bytearray:
    """The exclusive or of two equally long byte strings; ValueError when they are not."""
    result = bytearray(left)
    xor_into(result, right)
    return result


def xor_into(target: bytearray | memoryview, other: memoryview | bytes | bytearray) -> None:
    """Put the exclusive or of both in place of `target`; ValueError when their lengths differ.

    Python's integers are fast for small strings and leave copies of them behind; for large ones numpy does
    it in place and a hundred times as fast. It takes 17 MB, so it is loaded with the first large string.
    """
    length = len(target)
    if length != len(other):
        raise ValueError(f"cannot xor {length} with {len(other)} bytes")
    if length > LARGE_BYTES:
        from numpy import bitwise_xor, frombuffer, uint8

        left = frombuffer(target, uint8)
        bitwise_xor(left, frombuffer(other, uint8), out=left)
        return
    number = int.from_bytes(target, "little") ^ int.from_bytes(other, "little")
    target[:] = number.to_bytes(length, "little")


def concatenate(parts: Iterable[Secret]) -> Secret:
    """One secret of several."""
    joined = bytearray()
    for part in parts:
        joined += part.reveal()
    return Secret(joined)
