"""What the operator decides about the network while it runs: policy, prices, tenants, wanted associations.

Rule of this file: plain frozen values that serialise to JSON and back. The settings file gives the first
policy and tariff; one that was configured over the northbound counts instead of it, across restarts, until
it is given back.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.service import Service
from keyweave_core.model.application import AppQos, KeyMode, KeyOrigin, RelayMethod
from keyweave_core.model.ids import SaeId

MAX_NAME = 128
"""Longest name of a tenant or a configured association, characters."""

_BOUNDS = (
    ("wait_to_restore_s", 0, 86_400),
    ("most_moves", 0, 64),
    ("optimise_every_s", 0, 86_400),
    ("move_budget", 0, 10_000),
    ("rate_smoothing_s", 0, 3_600),
    ("overbooked_hold_s", 0, 3_600),
    ("damping_half_life_s", 1, 86_400),
    ("damping_suppress", 1, 1_000),
    ("damping_reuse", 0.01, 1_000),
    ("keys_per_batch", 1, 4_096),
    ("path_validity_s", 1, 86_400),
    ("gcm_key_bits_per_pool_bit", 1, 1_000_000),
)
"""Least and most of the numbers of a policy, both allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """What the operator knows of a link and no agent tells. `link`: its id, or the names of its ends, `A-B`.

    `risk_groups` are what it shares with others and fails with (a duct, a bridge). `latency_ms` is one way;
    None: reckoned from its length. `windows`: when it makes key at all; None: at any time.
    """

    link: str
    risk_groups: tuple[str, ...] = ()
    latency_ms: float | None = None
    windows: tuple[Window, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator decided about how the network is run."""

    default_min_bandwidth_bps: int = 2_000  # reserved for an application that asked for no rate
    max_relay_hops: int = 16  # physical links of one path
    usable_share: float = 0.9  # of a link's secret key rate that may be promised; the rest covers its spread
    wait_to_restore_s: float = 30.0  # a repaired link must stay up this long before the network trusts it
    closed_kept: int = 1_000  # closed associations kept for the bill's paths
    # Ways (control/strategies.py), by class of service.
    guaranteed_strategy: str = "balanced"
    best_effort_strategy: str = "balanced"
    scheduled_strategy: str = "balanced"
    # Making room.
    preemption: bool = True  # higher priority may take the place of lower preemptible ones
    most_moves: int = 4  # associations moved to make room for one demand; 0: none
    optimise_every_s: float = 0.0  # a better placement of everything is sought this often; 0: never
    move_budget: int = 10  # hitless moves of one optimisation, and of one return after a repair
    revert: bool = True  # what was moved off a failed link returns to a better path when it is trusted again
    # Rates.
    rate_smoothing_s: float = 5.0  # time constant of the average over measured key rates; 0: none
    overbooked_hold_s: float = 10.0  # a link that cannot keep its promises is re-admitted after so long
    damping_half_life_s: float = 60.0  # a link's penalty for failing halves in this time
    damping_suppress: float = 3.0  # failures' worth of penalty above which a link is used only at need
    damping_reuse: float = 1.0  # ... until its penalty is below this
    keys_per_batch: int = 32  # keys that one relay message is reckoned to carry, for the cost of its tags
    share_spare_rate: bool = True  # what nobody reserved is shared, max-min fairly, up to each one's maximum
    path_validity_s: float = 60.0  # a computed path may be deployed this long
    # What keys may be made of and how they travel, by class of service, for who does not say (`terms`).
    guaranteed_key_mode: KeyMode = KeyMode.QKD_ONLY
    best_effort_key_mode: KeyMode = KeyMode.QKD_ONLY
    scheduled_key_mode: KeyMode = KeyMode.QKD_ONLY
    guaranteed_relay_method: RelayMethod = RelayMethod.OTP
    best_effort_relay_method: RelayMethod = RelayMethod.OTP
    scheduled_relay_method: RelayMethod = RelayMethod.OTP
    gcm_key_bits_per_pool_bit: int = 256  # key that AES-256-GCM is reckoned to carry for each bit of a pool

    def __post_init__(self) -> None:
        if not 0 < self.usable_share <= 1:
            raise ValueError(f"usable_share must be above 0 and at most 1, not {self.usable_share}")
        if not 1 <= self.max_relay_hops <= 256:
            raise ValueError(f"max_relay_hops must be 1..256, not {self.max_relay_hops}")
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} must be {least:g}..{most:g}, not {value}")
        if 0 < self.optimise_every_s < 1:
            raise ValueError(f"optimise_every_s must be 0, or at least 1, not {self.optimise_every_s}")
        if self.damping_reuse >= self.damping_suppress:
            raise ValueError(f"damping_reuse must be below damping_suppress, not {self.damping_reuse}")


ORIGIN_PRICES = ("hybrid_per_mbit", "hybrid_per_key", "pqc_per_mbit", "pqc_per_key")
"""Prices of a tariff that count for keys that are not of QKD alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What key costs. Amounts are in `currency` and not negative; TOML gives them as text or numbers.

    Price of a line: (bits / 1 000 000 * `per_mbit` + keys * `per_key`), times 1 + `per_further_hop` for each
    hop after the first (added, not compounded), rounded to `decimals` places. Keys that stay inside one
    node pay as one hop, and so do keys of ML-KEM alone, which are not relayed. Prices of hybrid keys and of
    those of ML-KEM alone are those of quantum keys where they are None.
    """

    currency: str = "EUR"
    per_mbit: Decimal = Decimal(0)
    per_key: Decimal = Decimal(0)
    per_further_hop: Decimal = Decimal(0)
    decimals: int = 2
    hybrid_per_mbit: Decimal | None = None
    hybrid_per_key: Decimal | None = None
    pqc_per_mbit: Decimal | None = None
    pqc_per_key: Decimal | None = None

    def __post_init__(self) -> None:
        for name in ("per_mbit", "per_key", "per_further_hop", *ORIGIN_PRICES):
            value = getattr(self, name)
            if value is not None and (not value.is_finite() or value < 0):
                raise ValueError(f"{name} must be a finite amount of 0 or more, not {value}")
        if not 0 <= self.decimals <= 9:
            raise ValueError(f"decimals must be 0..9, not {self.decimals}")
        if not self.currency or len(self.currency) > 8:
            raise ValueError(f"currency must be 1..8 characters, not {self.currency!r}")

    def price(self, *, bits: int, keys: int, hops: int, origin: KeyOrigin = KeyOrigin.QKD) -> Decimal:
        """What this much key of one origin over this many hops costs."""
        own: tuple[Decimal | None, Decimal | None] = (None, None)
        if origin is KeyOrigin.HYBRID:
            own = self.hybrid_per_mbit, self.hybrid_per_key
        elif origin is KeyOrigin.PQC:
            own, hops = (self.pqc_per_mbit, self.pqc_per_key), 1
        per_mbit = self.per_mbit if own[0] is None else own[0]
        per_key = self.per_key if own[1] is None else own[1]
        plain = Decimal(bits) / 1_000_000 * per_mbit + keys * per_key
        amount = plain * (1 + self.per_further_hop * max(0, hops - 1))
        return amount.quantize(Decimal(1).scaleb(-self.decimals), rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Whose applications these are, and how much of the network they may have together; None: no limit.

    An association counts for the tenant of its source, the application that asks for keys.
    `max_bandwidth_bps` bounds the sum of what their paths reserve, bit/s. `key_mode` and `relay_method` are
    for those of its associations that do not say; None: as the policy says.
    """

    name: str
    applications: tuple[SaeId, ...] = ()
    max_associations: int | None = None
    max_bandwidth_bps: int | None = None
    description: str = ""
    key_mode: KeyMode | None = None
    relay_method: RelayMethod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredAssociation:
    """A key association that the configuration asks for.

    `priority`: a larger one goes first. `expires_at` (seconds since 1970) ends it; the entry stays. `tenant`
    is on whose account it runs, empty for that of the source.
    """

    name: str
    source: SaeId
    destination: SaeId
    qos: AppQos = field(default_factory=AppQos)
    priority: int = 0
    expires_at: float | None = None
    tenant: str = ""
    service: Service = field(default_factory=Service)

    @property
    def pair(self) -> tuple[SaeId, SaeId]:
        """Who shares keys with whom."""
        return (self.source, self.destination)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfiguration:
    """Everything that is configured over the northbound.

    `policy` and `tariff` None: nobody configured them, the settings file counts. `others` is configuration of
    modules that the deciding code has no part in (access control, handling of alarms) as text that only the
    northbound reads; None: nobody configured it.
    """

    policy: Policy | None = None
    tariff: Tariff | None = None
    tenants: tuple[Tenant, ...] = ()
    associations: tuple[ConfiguredAssociation, ...] = ()
    others: str | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        """What contradicts itself: (entry, reason); entries read `tenant/<name>`, `association/<name>`."""
        owners: dict[SaeId, str] = {}
        for tenant in self.tenants:
            for sae in tenant.applications:
                owner = owners.setdefault(sae, tenant.name)
                if owner != tenant.name:
                    yield f"tenant/{tenant.name}", f"application {sae} belongs to tenant {owner} already"
        for what, named in (("tenant", self.tenants), ("association", self.associations)):
            for name, count in Counter(one.name for one in named).items():
                if not 1 <= len(name) <= MAX_NAME:
                    yield f"{what}/{name[:60]}", f"a name has 1..{MAX_NAME} characters"
                if count > 1:
                    yield f"{what}/{name}", "the name is given twice"
        pairs: dict[tuple[SaeId, SaeId], str] = {}
        tenants = {tenant.name for tenant in self.tenants}
        for one in self.associations:
            other = pairs.setdefault(one.pair, one.name)
            if other != one.name:
                text = f"{one.source} and {one.destination} are joined by association {other} already"
                yield f"association/{one.name}", text
            if one.tenant and one.tenant not in tenants:
                yield f"association/{one.name}", f"there is no tenant {one.tenant}"
