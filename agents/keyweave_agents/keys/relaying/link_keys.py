"""Link keys: AES-256-GCM between two neighbours under keys made of pool bits, for more keys than bits.

Rule of this file: a nonce is used once under a key, whatever happens. A link key is 32 bytes of the sender's
own direction, so the two ends never have the same one; it lives in memory only and ends with its connection,
so no restart and no repetition can bring a counter back; and its counter only rises. Its name is the pool
range that it came from, which the other end claims once. A message is never sent twice: it is enciphered
again.

Bounds (NIST SP 800-38D clause 8; A. Luykx and K. Paterson, "Limits on authenticated encryption use in TLS",
2016): after 2**20 messages, 2**32 bytes or ten minutes there is a new key. Of 2**28 blocks under one key an
observer learns anything with an advantage below 2**-72, and a forgery of n blocks succeeds with less than
(n + 2) / 2**127, both as long as AES-256 cannot be told from a random permutation: secure by computation,
unlike the one-time pad.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyweave_agents.keys.relaying.pad import Raw
from keyweave_agents.keys.store import PadRange

LINK_KEY_BYTES = 32
MOST_MESSAGES = 1 << 20
MOST_BYTES = 1 << 32
LINK_KEY_LIFE_S = 600.0

_Ranges = tuple[PadRange, ...]


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(12, "big")


class SendingKey:
    """The key under which this end enciphers. `ranges` names it."""

    __slots__ = ("_bytes", "_cipher", "_counter", "_since_s", "ranges")

    def __init__(self, ranges: _Ranges, bits: Raw) -> None:
        self.ranges = ranges
        self._cipher = AESGCM(bits)
        self._counter = 0
        self._bytes = 0
        self._since_s: float | None = None

    def lasts(self, length: int) -> bool:
        """Whether one more message of `length` bytes may be enciphered."""
        return self._counter < MOST_MESSAGES and self._bytes + length <= MOST_BYTES

    def old(self, now_s: float) -> bool:
        """Whether its time is over; begins to count with the first question."""
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s >= LINK_KEY_LIFE_S

    def next_counter(self, length: int) -> int:
        """The number of the next message, from 1; it is used up."""
        self._counter += 1
        self._bytes += length
        return self._counter

    def seal(self, counter: int, payload: Raw, proved: Raw) -> bytes:
        """Ciphertext and tag. `counter` must come fresh from `next_counter`."""
        return self._cipher.encrypt(_nonce(counter), payload, proved)


class ReceivingKey:
    """The key under which the other end enciphers."""

    __slots__ = ("_bytes", "_cipher", "_newest", "ranges")

    def __init__(self, ranges: _Ranges, bits: Raw) -> None:
        self.ranges = ranges
        self._cipher = AESGCM(bits)
        self._newest = 0
        self._bytes = 0

    @property
    def proven(self) -> bool:
        """Whether a message under it proved itself."""
        return self._newest > 0

    def open(self, counter: int, ciphertext: Raw, tag: bytes, proved: Raw) -> bytearray | None:
        """The payload; None when it does not prove itself, was there before, or exceeds what a key may do."""
        length = len(ciphertext)
        if not self._newest < counter <= MOST_MESSAGES or self._bytes + length > MOST_BYTES:
            return None
        try:
            payload = self._cipher.decrypt(_nonce(counter), b"".join((ciphertext, tag)), proved)
        except InvalidTag:
            return None
        self._newest = counter
        self._bytes += length
        return bytearray(payload)
