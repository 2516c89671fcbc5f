"""Keys that were made together, kept together: one buffer for their bits, a few bytes for all their ids.

Rule of this file: a key costs its own bits and next to nothing more. The ids of a batch are `fresh_ids`: one
random beginning and a number, so they need no table; ids made by others are kept as they are.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import msgspec

from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import LinkId

ID_BYTES = 16
PREFIX_BYTES = 14
MOST_NUMBERED = 1 << 16

_TABLED = 4096
"""As many as a batch has; their endings are made once."""

_LENGTH = struct.Struct(">I")


def fresh_ids(number: int, random_bytes: Callable[[int], bytes]) -> bytes:
    """Ids of `number` keys (1..65536), 16 bytes each: version 4 UUIDs (RFC 9562) that share 106 random bits.

    The last two bytes count from 0. Two batches of one store collide with a probability below 2^-66 even
    when it holds a million of them.
    """
    prefix = bytearray(random_bytes(PREFIX_BYTES))
    prefix[6] = prefix[6] & 0x0F | 0x40
    prefix[8] = prefix[8] & 0x3F | 0x80
    return _numbered(bytes(prefix), 0, number)


@cache
def _endings() -> tuple[bytes, ...]:
    """The last two bytes of the first so many ids."""
    return tuple(index.to_bytes(2, "big") for index in range(_TABLED))


def _numbered(prefix: bytes, first: int, number: int) -> bytes:
    if number and first + number <= _TABLED:
        return prefix + prefix.join(_endings()[first : first + number])
    return b"".join([prefix + index.to_bytes(2, "big") for index in range(first, first + number)])


def raw_id(text: str) -> bytes | None:
    """The 16 bytes of a UUID text; None when it is none."""
    if len(text) != 36 or text[8] + text[13] + text[18] + text[23] != "----":
        return None
    digits = text.replace("-", "")
    try:
        return bytes.fromhex(digits) if len(digits) == 32 and " " not in digits else None
    except ValueError:
        return None


@dataclass(slots=True, eq=False)
class KeyBatch:
    """Keys of one size, one origin and one way. `ids` is their common beginning, or all of them.

    `expires_s` is monotonic time; `lives_s` how long such keys live at most.
    """

    ids: bytes
    count: int
    key_bytes: int
    payload: bytearray
    links: tuple[LinkId, ...]
    origin: KeyOrigin
    expires_s: float
    lives_s: float

    @classmethod
    def of(cls, batch: Batch, payload: Secret, *, expires_s: float, lives_s: float) -> "KeyBatch":
        """A copy of the keys of a batch that came or was made."""
        ids, count = batch.key_ids, batch.count
        prefix = ids[:PREFIX_BYTES]
        numbered = count <= MOST_NUMBERED and ids == _numbered(prefix, 0, count)
        return cls(
            ids=prefix if numbered else ids,
            count=count,
            key_bytes=batch.key_bytes,
            payload=bytearray(payload.reveal()),
            links=batch.over,
            origin=batch.origin,
            expires_s=expires_s,
            lives_s=lives_s,
        )

    @property
    def numbered(self) -> bool:
        """Whether the ids are a common beginning and a number."""
        return len(self.ids) == PREFIX_BYTES

    def id_at(self, index: int) -> bytes:
        """The id of a key."""
        return self.ids_of(index, 1)

    def ids_of(self, first: int, number: int) -> bytes:
        """The ids of some keys in a row."""
        if self.numbered:
            if number == 1:
                return self.ids + first.to_bytes(2, "big")
            return _numbered(self.ids, first, number)
        return self.ids[ID_BYTES * first : ID_BYTES * (first + number)]

    def keys_of(self, first: int, number: int) -> memoryview:
        """The bits of some keys in a row; let go of it soon."""
        return memoryview(self.payload)[self.key_bytes * first : self.key_bytes * (first + number)]

    def key_at(self, index: int) -> Secret:
        """A copy of a key."""
        return Secret(self.keys_of(index, 1))

    def wipe_at(self, first: int, number: int = 1) -> None:
        """Overwrite keys."""
        self.payload[self.key_bytes * first : self.key_bytes * (first + number)] = bytes(
            self.key_bytes * number
        )

    def wipe(self) -> None:
        """Overwrite all, and let go of the room it took."""
        self.payload[:] = bytes(len(self.payload))
        self.payload = bytearray()

    def without(self, gone: frozenset[int], first: int) -> "KeyBatch":
        """The keys from `first` on that are not in `gone`; they are overwritten here."""
        left = [index for index in range(first, self.count) if index not in gone]
        payload = bytearray()
        for index in left:
            payload += self.keys_of(index, 1)
        ids = b"".join(self.id_at(index) for index in left)
        self.wipe()
        return replace(self, ids=ids, count=len(left), payload=payload)

    # --- as a record ---------------------------------------------------------------------------------

    def record(self, extra: object, *, wall_s: float, now_s: float) -> bytearray:
        """What is put on a shelf; the caller wipes it. `extra` belongs to who keeps the batch."""
        head = msgspec.msgpack.encode(
            (
                self.ids,
                self.count,
                self.key_bytes,
                self.links,
                self.origin.value,
                wall_s + self.expires_s - now_s,
                self.lives_s,
                extra,
            )
        )
        made = bytearray(_LENGTH.pack(len(head)))
        made += head
        made += self.payload
        return made

    @classmethod
    def from_record(cls, record: bytearray, *, wall_s: float, now_s: float) -> tuple["KeyBatch", object]:
        """The batch again, and what was `extra`; the record is wiped.

        Wall time said when it expires. However that clock was set since, it lives no longer than its kind.
        """
        (length,) = _LENGTH.unpack_from(record)
        body = _LENGTH.size + length
        ids, count, key_bytes, links, origin, until_s, lives_s, extra = msgspec.msgpack.decode(
            memoryview(record)[_LENGTH.size : body]
        )
        payload = record[body:]
        record[:] = bytes(len(record))
        batch = cls(
            ids=ids,
            count=count,
            key_bytes=key_bytes,
            payload=payload,
            links=tuple(LinkId(link) for link in links),
            origin=KeyOrigin(origin),
            expires_s=now_s + min(lives_s, max(0.0, until_s - wall_s)),
            lives_s=lives_s,
        )
        return batch, extra
