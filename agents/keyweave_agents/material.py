"""Key bytes: the one type that holds them.

Rule of this file: a `Secret` shows its length and nothing else. It cannot be printed, logged, pickled,
copied by `copy`, compared by `==` in variable time, hashed or serialised by accident; whoever needs the
bytes says so (`reveal`). Wiping overwrites the buffer; Python may still hold copies that a library made
(a `bytes` object handed to a cipher, a base64 text on its way out), which is why agents keep key material
in as few places as they can.
"""

import hmac
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NoReturn

LARGE_BYTES = 8192
"""Strings above this are worth numpy. Batches of 128 keys of 256 bits, the default, are not."""

_MOST_ZEROS = 65_536
_ZEROS = memoryview(bytes(_MOST_ZEROS))


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

    def lend(self, offset: int, length: int) -> memoryview:
        """The `length` bytes from `offset` as they lie here, to be used once and overwritten by the borrower.

        ValueError when they are not there.
        """
        view = memoryview(self._bytes)[offset : offset + length]
        if len(view) != length or offset < 0:
            raise ValueError(f"no bytes {offset}..{offset + length} in a secret of {len(self._bytes)}")
        return view

    def erase(self, offset: int) -> None:
        """Overwrite everything from `offset` on with zeros."""
        overwrite(memoryview(self._bytes)[offset:])

    def same_as(self, other: "Secret") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._bytes, other.reveal())

    def wipe(self) -> None:
        """Overwrite the bytes with zeros."""
        overwrite(memoryview(self._bytes))

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


class Pad:
    """Fresh bits that left a pool, where they lay there: used once, then overwritten (`wipe`)."""

    __slots__ = ("_pieces", "length")

    def __init__(self, pieces: list[memoryview]) -> None:
        self._pieces = pieces
        self.length = len(pieces[0]) if len(pieces) == 1 else sum(len(piece) for piece in pieces)

    def __len__(self) -> int:
        """Length in bytes."""
        return self.length

    def cover(self, source: memoryview | bytes | bytearray, target: bytearray | memoryview) -> None:
        """Put the exclusive or of `source` and the first bits into `target`, which is as long, or is it."""
        length = len(source)
        first = self._pieces[0]
        if len(first) >= length:
            if length > LARGE_BYTES or len(target) != length:
                xor_onto(target, source, first if len(first) == length else first[:length])
                return
            number = int.from_bytes(source, "little") ^ int.from_bytes(first[:length], "little")
            target[:] = number.to_bytes(length, "little")
            return
        if length > self.length or len(target) != length:
            raise ValueError(f"cannot xor {length} with {self.length} bytes onto {len(target)}")
        if length > LARGE_BYTES:
            bitwise_xor, view, byte = _numpy()
            left, out = view(source, byte), view(target, byte)
        else:
            source, target = memoryview(source), memoryview(target)
        at = 0
        for piece in self._pieces:
            until = min(length, at + len(piece))
            if length > LARGE_BYTES:
                bitwise_xor(left[at:until], view(piece[: until - at], byte), out=out[at:until])
            else:
                xor_onto(target[at:until], source[at:until], piece[: until - at])
            at = until
            if at == length:
                break

    def last(self, length: int) -> memoryview:
        """The last `length` bits' bytes."""
        piece = self._pieces[-1]
        if len(piece) >= length:
            return piece[len(piece) - length :]
        return memoryview(b"".join(self._pieces))[self.length - length :]

    def copy(self, length: int) -> bytearray:
        """The first `length` bytes, now the caller's to keep."""
        return bytearray(b"").join(self._pieces)[:length]

    def wipe(self) -> None:
        """Overwrite all of it."""
        for piece in self._pieces:
            if len(piece) <= _MOST_ZEROS:
                piece[:] = _ZEROS[: len(piece)]
            else:
                overwrite(piece)

    def __repr__(self) -> str:
        return f"<pad of {self.length} bytes>"


def xor(left: memoryview | bytes | bytearray, right: memoryview | bytes | bytearray) -> bytearray:
    """The exclusive or of two equally long byte strings; ValueError when they are not."""
    result = bytearray(len(left))
    xor_onto(result, left, right)
    return result


def xor_into(target: bytearray | memoryview, other: memoryview | bytes | bytearray) -> None:
    """Put the exclusive or of both in place of `target`; ValueError when their lengths differ."""
    xor_onto(target, target, other)


def xor_onto(
    target: bytearray | memoryview,
    left: memoryview | bytes | bytearray,
    right: memoryview | bytes | bytearray,
) -> None:
    """Put the exclusive or of two byte strings into a third, all equally long, else ValueError.

    Python's integers are fast for small strings and leave copies of them behind; for large ones numpy does
    it in place and a hundred times as fast. It takes 17 MB, so it is loaded with the first large string.
    """
    length = len(target)
    if not length == len(left) == len(right):
        raise ValueError(f"cannot xor {len(left)} with {len(right)} bytes")
    if length > LARGE_BYTES:
        bitwise_xor, view, byte = _numpy()
        bitwise_xor(view(left, byte), view(right, byte), out=view(target, byte))
        return
    number = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
    target[:] = number.to_bytes(length, "little")


@cache
def _numpy() -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    """The exclusive or of arrays, bytes as an array, and its type."""
    from numpy import bitwise_xor, frombuffer, uint8

    return bitwise_xor, frombuffer, uint8


def overwrite(target: memoryview) -> None:
    """Fill with zeros."""
    length = len(target)
    if length <= _MOST_ZEROS:
        target[:] = _ZEROS[:length]
        return
    for at in range(0, length, _MOST_ZEROS):
        piece = target[at : at + _MOST_ZEROS]
        piece[:] = _ZEROS[: len(piece)]


def concatenate(parts: Iterable[Secret]) -> Secret:
    """One secret of several."""
    joined = bytearray()
    for part in parts:
        joined += part.reveal()
    return Secret(joined)
