"""The data keys of a key store, and what is sealed under them (AES-256-GCM).

Rule of this file: one data key seals at a time, the newest, under the nonces 1, 2, 3 and so on; each run
of the program begins with one of its own, so no nonce comes twice whatever crashes. The store, the shelf,
the key and the generation are bound to what is sealed. The caller lets one thread in at a time.
"""

import os
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyweave_agents.keys.storage.ledger import Bytes
from keyweave_agents.keys.storage.wrapping import KEY_BYTES, NONCE_BYTES, TAG_BYTES, KeyWrap
from keyweave_core.errors import SettingsError

Place = tuple[str, bytes]
"""Shelf and key of a record."""

Sealed = tuple[int, bytes]
"""Generation of the data key; nonce, ciphertext and tag."""


def first_data_key(wrap: KeyWrap, store: bytes) -> bytes:
    """The data key that a new store begins with, wrapped."""
    return wrap.wrap(bytearray(os.urandom(KEY_BYTES)), _context(store, 1))


class Sealer:
    """Data keys by generation: `kept` are (generation, wrapped, made at) as they lie in the store `store`.

    SettingsError: neither `wrap` nor `former`, the master key before it, opens one of them.
    """

    def __init__(
        self,
        store: bytes,
        wrap: KeyWrap,
        kept: Iterable[tuple[int, bytes, float]],
        former: KeyWrap | None = None,
    ) -> None:
        self._store = store
        self._wrap = wrap
        self._ciphers: dict[int, AESGCM] = {}
        self._nonce = 0
        self.made_s: dict[int, float] = {}
        self.unwritten: dict[int, bytes] = {}  # wrapped, and not in the store yet
        for generation, wrapped, made_s in kept:
            self._take(generation, self._unwrap(generation, wrapped, former), made_s)

    @property
    def newest(self) -> int:
        """The generation that seals."""
        return next(reversed(self.made_s))

    @property
    def former(self) -> tuple[int, ...]:
        """The generations before it, oldest first."""
        return tuple(self.made_s)[:-1]

    def draw(self, now_s: float) -> None:
        """Seal under a fresh data key from now on."""
        generation = self.newest + 1
        data_key = bytearray(os.urandom(KEY_BYTES))
        self.unwritten[generation] = self._wrap.wrap(data_key, _context(self._store, generation))
        self._take(generation, data_key, now_s)
        self._nonce = 0

    def forget(self, generation: int) -> None:
        """Nothing is sealed under it any more."""
        del self._ciphers[generation], self.made_s[generation]

    def clear(self) -> None:
        """Nothing can be sealed or opened from now on."""
        self._ciphers.clear()

    def seal(self, place: Place, value: Bytes) -> Sealed:
        """The value of a record, sealed."""
        generation = self.newest
        self._nonce += 1
        nonce = self._nonce.to_bytes(NONCE_BYTES, "big")
        return generation, nonce + self._ciphers[generation].encrypt(
            nonce, value, self._bound(place, generation)
        )

    def open(self, place: Place, sealed: Sealed) -> bytearray:
        """The value again. SettingsError: it was changed, or belongs elsewhere."""
        generation, text = sealed
        value = bytearray(max(0, len(text) - NONCE_BYTES - TAG_BYTES))
        nonce, body = memoryview(text)[:NONCE_BYTES], memoryview(text)[NONCE_BYTES:]
        try:
            self._ciphers[generation].decrypt_into(nonce, body, self._bound(place, generation), value)
        except (InvalidTag, ValueError, KeyError) as error:
            raise SettingsError(f"a record of {place[0]} is damaged or was tampered with") from error
        return value

    def _unwrap(self, generation: int, wrapped: bytes, former: KeyWrap | None) -> bytearray:
        context = _context(self._store, generation)
        try:
            return self._wrap.unwrap(wrapped, context)
        except SettingsError:
            if former is None:
                raise
        data_key = former.unwrap(wrapped, context)
        self.unwritten[generation] = self._wrap.wrap(data_key, context)
        return data_key

    def _take(self, generation: int, data_key: bytearray, made_s: float) -> None:
        self._ciphers[generation] = AESGCM(data_key)
        self.made_s[generation] = made_s
        data_key[:] = bytes(len(data_key))

    def _bound(self, place: Place, generation: int) -> bytes:
        shelf = place[0].encode()
        head = self._store + generation.to_bytes(8, "big") + len(shelf).to_bytes(2, "big")
        return b"keyweave record" + head + shelf + place[1]


def _context(store: bytes, generation: int) -> bytes:
    return b"keyweave data key" + store + generation.to_bytes(8, "big")
