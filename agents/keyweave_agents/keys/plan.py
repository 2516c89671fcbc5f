"""What the key manager is told, and what it tells: values only.

Rule of this file: a plan is declarative. The key manager compares it with what it holds and changes the
difference, so giving the same plan twice does nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from keyweave_agents.material import Secret, concatenate
from keyweave_core.model.application import (
    AppQos,
    AppStatistics,
    AppStatus,
    KeyMode,
    KeyOrigin,
    RelayMethod,
)
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import KeyPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """This node's place on one virtual link; ingress has no `prev_hop`, egress no `next_hop`.

    A link that forks here has `branches`, its further next hops; `ends_here`: besides, keys are for
    applications of this node. `either_way`: whoever gave the order named two neighbours and no direction; the
    first message shows it.
    """

    link_id: LinkId
    prev_hop: NodeId | None
    next_hop: NodeId | None
    bandwidth_bps: int | None = None
    branches: tuple[NodeId, ...] = ()
    ends_here: bool = False
    method: RelayMethod = RelayMethod.OTP
    either_way: bool = False

    @property
    def next_hops(self) -> tuple[NodeId, ...]:
        """All next hops; none at an egress."""
        return () if self.next_hop is None else (self.next_hop, *self.branches)

    @property
    def delivers(self) -> bool:
        """Whether keys are for applications of this node."""
        return self.next_hop is None or self.ends_here


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationPlan:
    """One association that ends at this node.

    `source`: this node serves the server application and makes the keys; otherwise it stores what arrives.
    `links` are the virtual links that new keys take (none: what is stored still serves), in whatever order:
    over several every key goes as the exclusive or of as many shares, one over each link, at most 8.
    `remote_node` None: deliver nothing. `expires_at` seconds since 1970. `threshold`: so many of the shares
    make a key again (None: all). `mode` binds both ends: a destination takes no key of an origin that it does
    not allow.
    """

    app_id: AppId
    server: SaeId
    clients: tuple[SaeId, ...]
    source: bool
    links: tuple[LinkId, ...]
    remote_node: NodeId | None
    qos: AppQos = field(default_factory=AppQos)
    priority: int = 0
    expires_at: float | None = None
    mode: KeyMode = KeyMode.QKD_ONLY
    threshold: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "links", tuple(sorted(self.links)))  # both ends must mean the same

    @property
    def partial(self) -> int:
        """How many shares make a key where not all are needed; 0: all are, or there are none."""
        threshold = self.threshold or 0
        return threshold if threshold < len(self.links) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlan:
    """Everything the key manager shall hold."""

    routes: tuple[Route, ...] = ()
    associations: tuple[AssociationPlan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliedKey:
    """One key on its way to an application: UUID text, its bits, and the virtual links that it travelled.

    Several `links`, rising: a share over each of them. Usage is booked once, under the first (`link_id`).
    """

    key_id: str
    key: Secret
    links: tuple[LinkId, ...] = ()
    origin: KeyOrigin = KeyOrigin.QKD

    @property
    def link_id(self) -> LinkId | None:
        """The virtual link under which the key is booked; None within one node."""
        return self.links[0] if self.links else None


MADE_IN: Mapping[KeyMode, frozenset[KeyOrigin]] = {
    KeyMode.QKD_ONLY: frozenset((KeyOrigin.QKD,)),
    KeyMode.HYBRID: frozenset((KeyOrigin.HYBRID,)),
    KeyMode.PQC_FALLBACK: frozenset((KeyOrigin.QKD, KeyOrigin.PQC)),
}
"""Which origins the keys of an association of each mode can have."""


@dataclass(slots=True, kw_only=True, eq=False)  # not frozen: made for every request, and that costs
class KeyBundle:
    """Keys of one size, one origin and one way, side by side, on their way to an application.

    `key_ids` has 16 bytes of UUID a key, `keys` their bits one after the other; `links` as in `SuppliedKey`.
    """

    key_ids: bytes
    keys: Secret
    links: tuple[LinkId, ...] = ()
    origin: KeyOrigin = KeyOrigin.QKD

    @property
    def count(self) -> int:
        """How many keys."""
        return len(self.key_ids) // 16


def bundles(supplied: Iterable[SuppliedKey]) -> tuple[KeyBundle, ...]:
    """Keys as bundles in the same order; the keys given are wiped."""
    made = []
    for (links, origin, _), run in groupby(supplied, key=lambda key: (key.links, key.origin, len(key.key))):
        keys = list(run)
        made.append(
            KeyBundle(
                key_ids=bytes.fromhex("".join(key.key_id for key in keys).replace("-", "")),
                keys=concatenate(key.key for key in keys),
                links=links,
                origin=origin,
            )
        )
        for key in keys:
            key.key.wipe()
    return tuple(made)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """What ETSI GS QKD 014 `status` needs to know of one association. Sizes in bits.

    `mode` is the policy of the association; `in_fallback`: its keys are made without the quantum layer now.
    """

    stored_key_count: int
    max_key_count: int
    remote_node: NodeId | None
    mode: KeyMode = KeyMode.QKD_ONLY
    in_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationEnds:
    """Whose an association is: the application that gets keys first, and those here that get the same.

    `direct`: its keys visit no node on their way, as far as this node knows its virtual links. `qos` is what
    it was granted.
    """

    app_id: AppId
    server: SaeId
    clients: tuple[SaeId, ...]
    direct: bool
    qos: AppQos = field(default_factory=AppQos)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationView:
    """One association as observed. `statistics` are closed periods, oldest first, a bounded number.

    `origin`: what its new keys are made of at this time.
    """

    app_id: AppId
    status: AppStatus
    stored_keys: int
    statistics: tuple[AppStatistics, ...] = ()
    origin: KeyOrigin = KeyOrigin.QKD


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """The key manager as observed at one moment.

    `consumption_bps` is the key rate taken from each physical link's pool over the last seconds.
    `peers_up` are neighbours whose key manager is connected now, `waiting` the pairs of applications that
    asked and have no association.
    """

    pools: dict[LinkId, KeyPool]
    consumption_bps: dict[LinkId, int]
    associations: dict[AppId, AssociationView]
    active_routes: frozenset[LinkId]
    peers_up: frozenset[NodeId]
    waiting: "tuple[AssociationWanted, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationWanted:
    """An application asked for keys with another one and there is no association: tell the controller.

    Sent once when the first request waits, and again every few seconds while requests wait. `mode`: what the
    keys may be made of, None where nobody said; `app_id`: the id that the application brought along.
    """

    server: SaeId
    clients: tuple[SaeId, ...]
    qos: AppQos
    priority: int = 0
    mode: KeyMode | None = None
    app_id: AppId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QosWanted:
    """The applications of an association want other qualities; what is granted stands in its plan."""

    app_id: AppId
    qos: AppQos
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEmptied:
    """A physical link's pool has nothing left (its status goes from PASSIVE to OFF when not generating)."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLow:
    """A physical link's pool, which had been well filled, fell below its low watermark (`pool_low_bits`)."""

    link_id: LinkId
    stored_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRecovered:
    """A pool that was low holds twice its low watermark again."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFilled:
    """A physical link's pool has key again after it was empty."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationExpired:
    """An association reached its expiration time here, or its applications are done with it."""

    app_id: AppId


WRONG_TAG = "(wrong tag)"
"""How the reason of trouble with proofs ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayTrouble:
    """Relay over a virtual link keeps failing (wrong tags, no pad at a hop); `reason` for the operator."""

    link_id: LinkId
    reason: str

    @property
    def unproven(self) -> bool:
        """Messages fail their proof: somebody may be forging them."""
        return self.reason.endswith(WRONG_TAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRestored:
    """Keys get through again over a virtual link of which there was trouble."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRemoved:
    """An association is no longer planned here. `statistics`: its periods, the last ended with it."""

    app_id: AppId
    statistics: tuple[AppStatistics, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackBegan:
    """The quantum layer cannot serve an association: its keys are made by ML-KEM from now on."""

    app_id: AppId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTrouble:
    """The key store cannot be written: nothing is relayed or supplied until it can."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRestored:
    """The key store can be written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackEnded:
    """Keys of an association are quantum keys again."""

    app_id: AppId


KeyEvent = (
    AssociationWanted
    | QosWanted
    | FallbackBegan
    | FallbackEnded
    | AssociationExpired
    | AssociationRemoved
    | PoolEmptied
    | PoolFilled
    | RelayTrouble
    | RelayRestored
    | PoolLow
    | PoolRecovered
    | StoreTrouble
    | StoreRestored
)
