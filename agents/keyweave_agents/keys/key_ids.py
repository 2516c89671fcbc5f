"""Ids of keys that were made together: one beginning and a number, so that thousands travel in 18 bytes.

Rule of this file: bytes only. An id has 16 bytes; the ids of a batch that share their first 14 and count from
0 in the last two are *numbered*.
"""

ID_BYTES = 16
BEGINNING_BYTES = 14
MOST_NUMBERED = 1 << 16


def numbered(beginning: bytes, number: int) -> bytes:
    """The ids 0..number-1 (at most 65536) of a beginning, one after the other."""
    ids = bytearray((beginning + b"\0\0") * number)
    ids[15::16] = (bytes(range(256)) * (1 + number // 256))[:number]
    if number > 256:
        ids[14::16] = b"".join(bytes((high,)) * 256 for high in range(1 + number // 256))[:number]
    return bytes(ids)


def beginning_of(ids: bytes) -> bytes | None:
    """What numbered ids begin with; None when these are others."""
    number = len(ids) // ID_BYTES
    beginning = ids[:BEGINNING_BYTES]
    return beginning if number <= MOST_NUMBERED and ids == numbered(beginning, number) else None
