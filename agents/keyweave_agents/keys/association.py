"""One association that ends at a node: its lanes, and whom and what it takes.

Rule of this file: state and what follows from it; who acts on it are `supply`, `serving`, `refill` and
`key_modes`.
"""

from dataclasses import dataclass, field

from keyweave_agents.keys.buffers import TokenBucket
from keyweave_agents.keys.lanes import MOST_BATCH_KEYS, Flight, Lane
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.pqc.watch import QuantumWatch
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.keys.storage.ready_memory import LeftReady, ReadyMemory
from keyweave_agents.keys.usage import Usage
from keyweave_core.model.application import KeyMode, KeyOrigin
from keyweave_core.model.ids import LinkId

FORMER_LINKS_S = 30.0
"""How long a destination still takes keys over the links that backed an association before: those under way,
and those of a source that is told of its new links a little later."""

DOUBT_S = 3.0
"""How long ready keys wait for the proof that the destination still holds them. After that the path is more
likely broken than the destination restarted, and they serve."""


def _fits(batch: Batch, backing: tuple[tuple[LinkId, ...], int]) -> bool:
    links, threshold = backing
    if len(links) > 1:
        return batch.links == links and batch.threshold == threshold
    return not batch.links


@dataclass(slots=True, eq=False)
class Association:
    """One association that ends at this node. `blocked` says why keys do not come, for the caller.

    `keeper` is the start of the destination that acknowledged the ready keys. While `doubted_s` is set it may
    have restarted since: ready keys wait for the acknowledgement of a batch made after that. `former` are
    the links that backed it until they were changed, `former_until_s` how long keys still come over them.
    """

    plan: AssociationPlan
    usage: Usage
    memory: ReadyMemory | None = None
    bucket: TokenBucket | None = None
    lanes: dict[int, Lane] = field(default_factory=dict)
    expired: bool = False
    blocked: str = ""
    keeper: bytes = b""
    doubts: int = 0
    doubted_s: float | None = None
    most_keys: int = MOST_BATCH_KEYS  # in a batch; lower while a pool on the way cannot give so much at once
    former: tuple[LinkId, ...] = ()
    former_partial: int = 0
    former_until_s: float = 0.0
    given: bool = False  # its master is abroad: keys are given to it, never made
    watch: QuantumWatch | None = None  # in mode pqc-fallback: whether the quantum layer serves it

    @property
    def in_fallback(self) -> bool:
        """Whether keys are made by ML-KEM alone now."""
        return self.watch is not None and self.watch.in_fallback

    @property
    def origin(self) -> KeyOrigin:
        """What new keys are made of now."""
        if self.plan.mode is KeyMode.HYBRID:
            return KeyOrigin.HYBRID
        return KeyOrigin.PQC if self.in_fallback else KeyOrigin.QKD

    @property
    def open(self) -> bool:
        """Whether keys may be delivered."""
        return self.plan.remote_node is not None and not self.expired

    def replan(self, plan: AssociationPlan, now_s: float) -> None:
        """Take over a plan; remember the links of the one before."""
        if (plan.links, plan.partial) != (self.plan.links, self.plan.partial):
            self.former, self.former_partial = self.plan.links, self.plan.partial
            self.former_until_s = now_s + FORMER_LINKS_S
            self.most_keys = MOST_BATCH_KEYS
        self.plan = plan

    def limit(self, rate_bps: int | None, buffer_bits: int, now_s: float) -> None:
        """Supply no more than this rate (None: any); at once a second of it, or a full buffer if more."""
        if rate_bps is None:
            self.bucket = None
            return
        burst = max(rate_bps, buffer_bits)
        if self.bucket is None:
            self.bucket = TokenBucket(rate_bps, burst, now_s)
        else:
            self.bucket.change(rate_bps, burst, now_s)

    def takes(self, batch: Batch, now_s: float) -> bool:
        """Whether keys may come to this destination the way they did.

        Split keys: over the very links that back the association, or did a moment ago, and for as many of
        the shares as it says: a lower threshold would let fewer paths make keys. Whole keys of an
        association backed by several: never, or a node on one path could hand in keys of its own making.
        """
        if _fits(batch, (self.plan.links, self.plan.partial)):
            return True
        former = (self.former, self.former_partial)
        return bool(self.former) and now_s < self.former_until_s and _fits(batch, former)

    def backed_by(self, links: tuple[LinkId, ...], now_s: float) -> bool:
        """Whether these links back the association, or did a moment ago."""
        return links == self.plan.links or (links == self.former and now_s < self.former_until_s)

    def doubt(self, now_s: float) -> None:
        """The destination may have restarted."""
        self.doubts += 1
        if self.doubted_s is None:
            self.doubted_s = now_s

    def doubtful(self, now_s: float) -> bool:
        """Whether ready keys wait for the proof that the destination still holds them."""
        return self.doubted_s is not None and now_s < self.doubted_s + DOUBT_S

    @property
    def wants_proof(self) -> bool:
        """Whether a batch must go out to learn whether the destination is still the same."""
        return self.doubted_s is not None and not any(
            flight.doubts == self.doubts for lane in self.lanes.values() for flight in lane.flights.values()
        )

    def proved(self, flight: Flight, keeper: bytes) -> None:
        """A batch was acknowledged: if by another start of the destination, ready keys are worthless."""
        self.kept_by(keeper)
        if flight.doubts == self.doubts:
            self.doubted_s = None
        if flight.batch.origin is not KeyOrigin.PQC and flight.batch.count >= self.most_keys:
            self.most_keys = min(MOST_BATCH_KEYS, 2 * self.most_keys)

    def kept_by(self, keeper: bytes) -> None:
        """This start of the destination holds our keys: those that another one acknowledged are worthless."""
        if keeper != self.keeper:
            for lane in self.lanes.values():
                lane.wipe_ready()
            self.keeper = keeper

    def lane(self, size_bits: int) -> Lane:
        """The lane of a key size; made when there is none."""
        lane = self.lanes.get(size_bits)
        if lane is None:
            lane = self.lanes[size_bits] = Lane(size_bits, 0, self.memory, self.plan.app_id)
        return lane

    def restore(self, left: LeftReady) -> None:
        """Take over the ready keys that the last run left, and who acknowledged them."""
        self.keeper = left.keeper
        for name, batches in left.lanes.items():
            lane = self.lane(8 * name.key_bytes)
            (lane.spare if name.spare else lane.ready).restore(batches)

    def wipe(self) -> None:
        """Overwrite every key of the source side."""
        for lane in self.lanes.values():
            lane.wipe()

    def close(self) -> None:
        """Overwrite every key of the source side in memory; ready ones are there for the next run."""
        for lane in self.lanes.values():
            lane.ready.close()
            lane.spare.close()
            lane.wipe_flights()
