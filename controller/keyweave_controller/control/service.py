"""What kind of service an association asks for, besides its rates: class, protection, constraints.

Rule of this file: plain frozen values that serialise to JSON and back; what they mean is decided by
`placement` (where an association may run), `admission` (what it reserves) and `recovery` (what happens when
things fail).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from keyweave_core.model.application import KeyMode, RelayMethod
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import Technology

MOST_WAYS = 8
"""Most paths over which one association is split."""

MIN_KEY_BITS, MAX_KEY_BITS = 64, 65_536

MAX_LATENCY_MS = 1_000_000.0
"""A bound on latency above this is none: light is round the Earth in 134 ms, and infinity does not count."""

LATEST = 253_402_300_799.0
"""End of the year 9999, seconds since 1970: the last moment that dates have a text for."""


class ServiceClass(StrEnum):
    """What is promised."""

    GUARANTEED = "guaranteed"  # the minimum rate is reserved on every hop
    BEST_EFFORT = "best-effort"  # nothing is reserved; a fair share of what is left
    SCHEDULED = "scheduled"  # guaranteed between `starts_at` and the expiry, booked ahead


class Protection(StrEnum):
    """What happens when a path fails."""

    RESTORATION = "restoration"  # another path is sought then
    ONE_TO_ONE = "1:1"  # a disjoint path is reserved and stands by
    ONE_PLUS_ONE = "1+1"  # every key is split over `ways` disjoint paths: no transit node knows it


class Disjointness(StrEnum):
    """What protecting paths may not share."""

    LINKS = "links"
    NODES = "nodes"  # no transit node, hence no link
    RISKS = "risks"  # no shared-risk group and no transit node


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What every path of the association must keep. Empty collections and None: no such constraint.

    `max_latency_ms` is of the fibres of a path, one way. `min_trust` (0..100) is compared with what the
    operator thinks of each transit node. `technologies`: both modules of every link are of one of them.
    `min_stored_bits`: every link's pool holds at least that when the path is chosen, and while it is used.
    `max_key_age_s`: no key older than that lies in the pools of the path. `direct_only`: no relay, one link.
    """

    max_hops: int | None = None
    max_latency_ms: float | None = None
    min_trust: int = 0
    exclude_links: frozenset[LinkId] = frozenset()
    exclude_nodes: frozenset[NodeId] = frozenset()  # not to relay over
    include_links: frozenset[LinkId] = frozenset()  # the path crosses all of these
    include_nodes: frozenset[NodeId] = frozenset()
    exclude_risks: frozenset[str] = frozenset()  # shared-risk groups
    technologies: frozenset[Technology] = frozenset()
    domains: frozenset[str] = frozenset()  # transit nodes are in one of these
    min_stored_bits: int = 0
    max_key_age_s: int | None = None
    direct_only: bool = False

    def faults(self) -> Iterator[str]:
        """What makes no sense."""
        if self.max_hops is not None and self.max_hops < 1:
            yield f"max_hops must be at least 1, not {self.max_hops}"
        if self.max_latency_ms is not None and not 0 <= self.max_latency_ms <= MAX_LATENCY_MS:
            yield f"max_latency_ms must be 0..{MAX_LATENCY_MS:.0f}, not {self.max_latency_ms:g}"
        if not 0 <= self.min_trust <= 100:
            yield f"min_trust must be 0..100, not {self.min_trust}"
        if self.min_stored_bits < 0:
            yield f"min_stored_bits must be 0 or more, not {self.min_stored_bits}"
        if self.max_key_age_s is not None and self.max_key_age_s < 0:
            yield f"max_key_age_s must be 0 or more, not {self.max_key_age_s}"
        for link_id in sorted(self.include_links & self.exclude_links):
            yield f"link {link_id} is both included and excluded"
        for node_id in sorted(self.include_nodes & self.exclude_nodes):
            yield f"node {node_id} is both included and excluded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How an association is to be served.

    `key_bits` is the size of the keys that it will mostly fetch: small ones cost more tags a bit. `strategy`
    names how its paths are chosen; empty: as the policy says for its class. `preemptible`: a demand of higher
    priority may take its place. `starts_at` (seconds since 1970) is for SCHEDULED, which also needs an
    expiry. `ways` (2..`MOST_WAYS`) is for 1+1; `share_threshold` (2..`ways`): so many of the shares make a
    key again, None: all of them. `key_mode` and `relay_method` None: as `terms` says.
    """

    service_class: ServiceClass = ServiceClass.GUARANTEED
    protection: Protection = Protection.RESTORATION
    disjointness: Disjointness = Disjointness.NODES
    ways: int = 2
    preemptible: bool = True
    key_bits: int = 256
    strategy: str = ""
    starts_at: float | None = None
    constraints: Constraints = field(default_factory=Constraints)
    key_mode: KeyMode | None = None
    relay_method: RelayMethod | None = None
    share_threshold: int | None = None

    @property
    def mode(self) -> KeyMode:
        """What its keys may be made of, once it is settled."""
        return self.key_mode or KeyMode.QKD_ONLY

    @property
    def method(self) -> RelayMethod:
        """How its keys travel, once it is settled."""
        return self.relay_method or RelayMethod.OTP

    @property
    def falls_back(self) -> bool:
        """Keys are made by ML-KEM while the quantum layer cannot serve."""
        return self.key_mode is KeyMode.PQC_FALLBACK

    def faults(self, expires_at: float | None) -> Iterator[str]:
        """What contradicts itself; an expiry of infinity is none."""
        yield from self.constraints.faults()
        for what, moment in (("start", self.starts_at), ("expiry", expires_at)):
            if moment is not None and moment != inf and not 0 <= moment <= LATEST:
                yield f"the {what} must lie in the years 1970 to 9999"
        if not MIN_KEY_BITS <= self.key_bits <= MAX_KEY_BITS or self.key_bits % 8:
            yield f"key_bits must be whole bytes of {MIN_KEY_BITS}..{MAX_KEY_BITS} bits, not {self.key_bits}"
        if not 2 <= self.ways <= MOST_WAYS:
            yield f"ways must be 2..{MOST_WAYS}, not {self.ways}"
        if self.service_class is ServiceClass.SCHEDULED:
            if self.starts_at is None or expires_at is None:
                yield "a scheduled association needs a start and an expiry"
            elif expires_at <= self.starts_at:
                yield "the association would expire before it starts"
        elif self.starts_at is not None:
            yield f"only a scheduled association has a start, not a {self.service_class} one"
        bounds = self.constraints
        if self.protection is not Protection.RESTORATION and (bounds.include_links or bounds.include_nodes):
            yield "disjoint paths cannot all visit the same included nodes and links"
        if self.service_class is ServiceClass.BEST_EFFORT and self.protection is Protection.ONE_TO_ONE:
            yield "best effort reserves nothing, so nothing can stand by for it"
        if self.share_threshold is not None:
            if self.protection is not Protection.ONE_PLUS_ONE:
                yield "only keys that are split (1+1) have a share threshold"
            elif not 2 <= self.share_threshold <= self.ways:
                yield f"share_threshold must be 2..{self.ways}, the ways, not {self.share_threshold}"


DEFAULT_SERVICE = Service()
"""What whoever says nothing gets."""
