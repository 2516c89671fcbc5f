"""The messages between two key managers, as values.

Rule of this file: values only; how they look on the wire, and what is refused there, stands in `wire` and
`sealed`. What every key under way needs one of (`Batch`, `Ack`, `Sealed`) is not frozen, because a frozen
value takes four times as long to make; nobody changes one all the same.
"""

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from keyweave_agents.keys.key_ids import numbered
from keyweave_agents.keys.relaying.pad import Raw
from keyweave_agents.keys.store import PadRange, Stock
from keyweave_core.model.application import KeyOrigin, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId


class Reason(Enum):
    """Why a batch did not get through; the value is for the operator."""

    NO_PAD = "not enough key in the pool towards the next hop"
    NEXT_HOP_DOWN = "no connection to the key manager of the next hop"
    UNKNOWN_ROUTE = "the virtual link is not configured"
    UNKNOWN_APPLICATION = "the application is not configured"
    BAD_TAG = "a message did not prove itself (wrong tag)"
    PAD_GONE = "the pool bits of a message are not held any more"
    FULL = "no place for more keys"
    SHARES_MISSING = "the other shares of the keys have not arrived"
    OTHER_LINKS = "the association is not backed by these virtual links"
    CONTRADICTION = "the shares of the keys contradict each other"
    OTHER_METHOD = "the virtual link is configured with another relay method"
    KEYS_GONE = "what was announced got lost and cannot be sent again from there"
    OTHER_MODE = "the key mode of the association does not allow such keys"
    UNAGREED = "the ML-KEM secret that belongs to the keys is not known there"
    BORDER_PENDING = "the other network has not confirmed the keys yet"
    BORDER_DOWN = "the key manager of the other network does not answer"
    BORDER_REFUSED = "the other network refused the keys"
    BORDER_PAUSED = "the other network refused keys of these applications a moment ago"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First message of each side. Stocks by owner: the dialling (lower) node and the accepting one."""

    node_id: NodeId
    link_id: LinkId
    dialler: Stock
    acceptor: Stock


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Blocks that came into the speaker's pool; none: a sign of life."""

    block_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Blocks that a message named and that the speaker does not hold: their owner gives them up."""

    block_ids: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Batch:
    """Keys under way, without their bits. `batch_id` and `key_ids` (16 bytes each) are raw UUIDs.

    `number` not 0: `key_ids` is what so many numbered ids begin with (`key_ids.numbered`). Only on the way:
    who stores or supplies keys has them `spelled`.

    `links`: what travels is one share of each key, and these are the virtual links of all shares in rising
    order (`link_id` is one of them); empty: the keys travel whole. `threshold`: so many shares make the keys;
    0: all of them. `secret_id`: 16 bytes that name the ML-KEM secret with which both ends combine what
    travels; empty: what travels are the keys. `origin` follows from it for all that is relayed; batches of
    origin PQC are made at both ends and never relayed.
    """

    batch_id: bytes
    app_id: AppId
    link_id: LinkId
    key_bytes: int
    key_ids: bytes
    links: tuple[LinkId, ...] = ()
    threshold: int = 0
    secret_id: bytes = b""
    origin: KeyOrigin = KeyOrigin.QKD
    number: int = 0

    @property
    def over(self) -> tuple[LinkId, ...]:
        """The virtual links that the keys travel, rising; none within one node."""
        return self.links or ((self.link_id,) if self.link_id else ())

    def same_keys(self, other: "Batch") -> bool:
        """Whether another share says it is of the very same keys."""
        return (self.app_id, self.key_bytes, self.key_ids, self.links, self.threshold, self.secret_id) == (
            other.app_id,
            other.key_bytes,
            other.key_ids,
            other.links,
            other.threshold,
            other.secret_id,
        )

    @property
    def needed(self) -> int:
        """How many of the shares make the keys; 1 when they travel whole."""
        return self.threshold or len(self.links) or 1

    @property
    def count(self) -> int:
        """Number of keys."""
        return self.number or len(self.key_ids) // 16

    def spelled(self) -> "Batch":
        """The same with every id written out."""
        if not self.number:
            return self
        return replace(self, key_ids=numbered(self.key_ids, self.number), number=0)

    @property
    def payload_bytes(self) -> int:
        """Size of all keys together."""
        return self.count * self.key_bytes


@dataclass(slots=True, kw_only=True)
class Ack:
    """The destination holds the batch. `keeper`: 16 bytes that change when it restarts and forgets."""

    batch_id: bytes
    link_id: LinkId
    keeper: bytes


@dataclass(slots=True, kw_only=True)
class Sealed:
    """A message that proves itself: `proved` are the bytes that `tag` proves, `pad` the bits that it spends.

    `content` is a batch or acknowledgements, `written` the same as it stands in `proved`, to be passed on
    as it is. `ciphertext` of a batch only. `counter` of AES-256-GCM only, where `proved` ends before the
    ciphertext (which the tag proves as well).
    """

    proved: Raw
    tag: bytes
    pad: tuple[PadRange, ...]
    content: Batch | tuple[Ack, ...]
    written: bytes
    ciphertext: Raw = b""
    method: RelayMethod = RelayMethod.OTP
    counter: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nack:
    """A batch did not get through at `at_node`; `kept`: the speaker goes on with it by itself."""

    batch_id: bytes
    link_id: LinkId
    reason: Reason
    at_node: NodeId
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Somebody on the way to the destination of a virtual link may have restarted."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who keeps the keys of a virtual link? Goes forward to its destination."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """The destination's answer to `Ask`, as in `Ack`. It can end keys, never supply one."""

    link_id: LinkId
    keeper: bytes


class LetterKind(Enum):
    """Whose business a letter is."""

    PQC = 1  # agreement on secrets by ML-KEM, and keys made of them
    STREAM = 2  # streams of ETSI GS QKD 004
    BORDER = 3  # keys that another network takes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message between the two end nodes of a virtual link, passed on by those between.

    It proves nothing by itself, may be lost, repeated or overtaken, and never holds key in clear.
    """

    link_id: LinkId
    app_id: AppId
    forward: bool  # towards the destination
    kind: LetterKind
    body: bytes


Frame = Hello | Held | Missing | Sealed | Nack | Doubt | Ask | Keeper | Letter


def uuid_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID in text."""
    return bytes.fromhex(text.replace("-", ""))


def uuid_text(raw: bytes) -> str:
    """The canonical text of 16 bytes."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@lru_cache(maxsize=4096)
def known_link(raw: bytes) -> LinkId:
    """`uuid_text` of a virtual link, which comes again and again."""
    return LinkId(uuid_text(raw))


@lru_cache(maxsize=4096)
def known_app(raw: bytes) -> AppId:
    """`uuid_text` of an application likewise."""
    return AppId(uuid_text(raw))


@lru_cache(maxsize=4096)
def known_bytes(text: str) -> bytes:
    """`uuid_bytes` of what comes again and again."""
    return uuid_bytes(text)
