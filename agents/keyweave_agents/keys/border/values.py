"""What key managers of two networks tell each other at a border: values only (ETSI GS QKD 020).

Rule of this file: no behaviour beyond looking at oneself. Ids of keys are canonical UUID text, a `peer` is
the name that our settings give to the key manager of another network.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from keyweave_agents.material import Secret
from keyweave_core.model.application import AppQos, KeyOrigin
from keyweave_core.model.ids import SaeId


class AckStatus(StrEnum):
    """`ack_status`, in the words of the standard (some have blanks)."""

    RELAYED = "relayed"
    FAILED = "failed"
    VOIDED = "voided"
    FAILED_TO_VOID = "failed to void"
    NOT_PRESENT = "key not present"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """The applications of a key: who began, and who shall get the same one (in whatever order)."""

    initiator: SaeId
    targets: tuple[SaeId, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(sorted(self.targets)))

    def of(self, others: "Parties") -> bool:
        """Whether these are the initiator and some of the targets of `others`."""
        return self.initiator == others.initiator and set(self.targets) <= set(others.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedKey:
    """A key that crosses the border. `key_id` is canonical UUID text."""

    key_id: str
    value: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One `ext_keys`: keys of one set of applications.

    `callback` is where the answer goes (None: it is waited for). `ttl_s`: how long the sender keeps its side
    at most (None: it did not say). `optional`: JSON members that nobody here knows and that go on unchanged.
    `origin`: what the keys are made of, as far as the sender says.
    """

    keys: tuple[HandedKey, ...]
    parties: Parties
    callback: str | None
    ttl_s: float | None = None
    optional: bytes = b""
    origin: KeyOrigin = KeyOrigin.QKD


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidOrder:
    """One `ext_keys/void`. No `key_ids`: all keys between the parties."""

    key_ids: tuple[str, ...]
    parties: Parties
    callback: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """One `ack_container`: what became of some keys."""

    key_ids: tuple[str, ...]
    status: AckStatus
    parties: Parties
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Another network as a border node knows it.

    `sae_ids` are its applications that ours can reach (they are told to our controller), `sae_prefixes` what
    the ids of others begin with that may begin with us. `may_reach`: what ids of ours begin with that the
    peer may hand keys for; empty: all. `sends_rate_bps` bounds the keys that it hands over. Keys of `origins`
    cross, both ways; others do not. `qos` and `priority` are what its applications get in our network.
    """

    name: str
    sae_ids: tuple[SaeId, ...] = ()
    sae_prefixes: tuple[str, ...] = ()
    may_reach: tuple[str, ...] = ()
    sends_rate_bps: int = 10_000_000
    origins: frozenset[KeyOrigin] = frozenset({KeyOrigin.QKD, KeyOrigin.HYBRID})
    qos: AppQos = field(default_factory=AppQos)
    priority: int = 0

    def holds(self, sae: SaeId) -> bool:
        """Whether an application belongs to this network."""
        return sae in self.sae_ids or any(sae.startswith(prefix) for prefix in self.sae_prefixes)

    def reaches(self, sae: SaeId) -> bool:
        """Whether this network may hand keys over for an application of ours."""
        return not self.may_reach or any(sae.startswith(prefix) for prefix in self.may_reach)


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderRules:
    """Bounds of one border node: counts, and times in seconds.

    `keys_per_post` that one message carries; `records` of keys remembered a peer; `targets` that one key may
    have. Keys handed to us that do not get through within `relay_s` have failed. What a peer took and does
    not acknowledge within `ack_wait_s` is offered again; what nobody of ours waits for any more is voided
    after `forsaken_s`. Taking keys back is tried for `recall_s`. A key id that was voided is
    remembered for `tombstone_s`, one that failed for `key_ttl_s`, as long as a key lives of which nobody said
    more. A post that
    failed is repeated after `retry_first_s`, doubling to `retry_most_s`; after keys were refused, others of
    their applications wait, at most `pause_most_s`.
    """

    keys_per_post: int = 128
    records: int = 200_000
    targets: int = 1
    relay_s: float = 60.0
    ack_wait_s: float = 15.0
    forsaken_s: float = 45.0
    recall_s: float = 20.0
    tombstone_s: float = 86_400.0
    key_ttl_s: float = 3600.0
    retry_first_s: float = 0.25
    retry_most_s: float = 8.0
    pause_most_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """All that a node knows of the other side of its border."""

    domains: tuple[Domain, ...] = ()
    rules: BorderRules = BorderRules()

    def with_ttl(self, key_ttl_s: float) -> "Beyond":
        """The same where keys live for so long."""
        return replace(self, rules=replace(self.rules, key_ttl_s=key_ttl_s))


PostKind = Literal["keys", "ack", "void"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Something to send to a peer; `Border.posted` is told what came of it.

    `keys`: `offer` (its callback is filled in by whoever sends). `void`: `order` likewise. `ack`: `acks`, to
    `callback`.
    """

    number: int
    peer: str
    kind: PostKind
    offer: Offer | None = None
    order: VoidOrder | None = None
    acks: tuple[Acked, ...] = ()
    callback: str | None = None
    batch_id: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a peer answered to a post. `status` None: nothing that could be understood, and `reason` why.

    `acks` come with a 200 to keys or a void that were not answered later.
    """

    status: int | None
    reason: str = ""
    acks: tuple[Acked, ...] = ()

    @property
    def refused(self) -> bool:
        """The peer guarantees that it keeps nothing of the keys."""
        return self.status in (400, 401)

    @property
    def taken(self) -> bool:
        """The peer has it."""
        return self.status in (200, 202)
