"""The source side of an association: requests that wait, batches under way and ready keys, by key size.

Rule of this file: how many keys to make next is decided here (`Lane.wanted`), from what is missing and what
the pool can give; making and sending them is the business of `supply`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from keyweave_agents.keys.buffers import ReadyBuffer, ReadyKey, TokenBucket
from keyweave_agents.keys.frames import Batch
from keyweave_agents.keys.key_batch import KeyBatch
from keyweave_agents.keys.plan import AssociationPlan, KeyBundle
from keyweave_agents.keys.pqc_watch import QuantumWatch
from keyweave_agents.keys.ready_memory import LaneName, LeftReady, ReadyMemory
from keyweave_agents.keys.usage import Usage
from keyweave_agents.material import Secret
from keyweave_core.model.application import AppQos, KeyMode, KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, SaeId

FIRST_BATCH_KEYS = 8
"""Size of the batch that opens an empty lane: small, so that a first request is answered soon."""

MOST_BATCH_BYTES = 131_072
MOST_BATCH_KEYS = 4096

FORMER_LINKS_S = 30.0
"""How long a destination still takes keys over the links that backed an association before: those under way,
and those of a source that is told of its new links a little later."""


def _nobody() -> None:
    """Nobody waits."""


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One call of `get_keys` on its way: ends with `keys` or with `error`, then calls `wake`.

    `also` are further clients that shall get the same keys.
    """

    server: SaeId
    client: SaeId
    also: tuple[SaeId, ...] = ()
    number: int
    size_bits: int
    qos: AppQos
    priority: int
    home: "Association | None" = None
    keys: list[ReadyKey] | None = None
    error: Exception | None = None
    wake: Callable[[], None] = _nobody
    settled: bool = False  # that it got its keys is durable

    @property
    def clients(self) -> tuple[SaeId, ...]:
        """All who shall get the keys, each once, the first as named, the others in order."""
        return (self.client, *sorted(set(self.also) - {self.client}))

    @property
    def bits(self) -> int:
        """All keys together."""
        return self.number * self.size_bits

    @property
    def ended(self) -> bool:
        """Whether there is an answer."""
        return self.keys is not None or self.error is not None

    def fail(self, error: Exception) -> None:
        """Answer with an error."""
        self.error = error
        self.wake()


@dataclass(slots=True)
class Flight:
    """A batch under way: its keys stay here until the destination holds them.

    `shares` of split keys: what is under way over each link and not acknowledged yet; `acks` and `keeper`
    are then how many were acknowledged, and by whom.
    """

    batch: Batch
    payload: Secret
    made_s: float
    doubts: int = 0  # of the association, when this batch was made
    combined: Secret | None = None  # hybrid keys: what the relayed payload becomes at both ends
    given: bool = False  # keys of another network: they are its applications', nobody here gets them
    shares: dict[LinkId, Secret] = field(default_factory=dict)
    keeper: bytes = b""
    acks: int = 0

    def wipe(self) -> None:
        """Overwrite the keys."""
        self.payload.wipe()
        if self.combined is not None:
            self.combined.wipe()
        for share in self.shares.values():
            share.wipe()


def _fits(batch: Batch, backing: tuple[tuple[LinkId, ...], int]) -> bool:
    links, threshold = backing
    if len(links) > 1:
        return batch.links == links and batch.threshold == threshold
    return not batch.links


class Lane:
    """Keys of one size of one association. `target`: how many to keep ready.

    `ready` are keys that came over the quantum layer; `spare` are of ML-KEM alone, and serve in a fallback.
    """

    __slots__ = ("flights", "flying", "ready", "size_bits", "spare", "spare_flying", "target", "waiting")

    def __init__(
        self, size_bits: int, target: int, memory: ReadyMemory | None = None, app_id: AppId | None = None
    ) -> None:
        self.size_bits = size_bits
        self.target = target
        name = app_id and LaneName(app_id, size_bits // 8, spare=False)
        self.ready = ReadyBuffer(memory, name or None)
        self.spare = ReadyBuffer(memory, (name and name._replace(spare=True)) or None)
        self.waiting: deque[Request] = deque()
        self.flights: dict[bytes, Flight] = {}
        self.flying = 0
        self.spare_flying = 0

    @property
    def key_bytes(self) -> int:
        """Size of one key."""
        return self.size_bits // 8

    @property
    def demand(self) -> int:
        """Keys that requests wait for."""
        return sum(request.number for request in self.waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with this lane."""
        kept = len(self.ready) or len(self.spare)
        return not (self.target or kept or self.waiting or self.flights)

    @property
    def lacking(self) -> bool:
        """Whether quantum keys are missing that should be here."""
        missing = self.demand + self.target - len(self.ready)
        return self.demand > len(self.ready) or missing > max(0, self.target // 4)

    def batches(self, *, spare: bool) -> int:
        """Batches under way over the quantum layer, or (`spare`) offered."""
        return sum((one.batch.origin is KeyOrigin.PQC) is spare for one in self.flights.values())

    def stock(self, *, fallback: bool, origins: frozenset[KeyOrigin] | None = None) -> int:
        """Keys (of these origins; None: of any) that can be supplied now."""
        if not fallback:
            return self.ready.count(origins)
        spare = origins is None or KeyOrigin.PQC in origins
        return self.ready.count(origins) + (len(self.spare) if spare else 0)

    def draw(self, number: int, origins: frozenset[KeyOrigin] | None = None) -> list[ReadyKey]:
        """Take the oldest `number` keys (there must be as many): quantum keys before spare ones."""
        first = min(number, self.ready.count(origins))
        return self.ready.draw(first, origins) + self.spare.draw(number - first)

    def draw_bundles(self, number: int, origins: frozenset[KeyOrigin] | None = None) -> list[KeyBundle]:
        """The same, keys of one batch together."""
        first = min(number, self.ready.count(origins))
        drawn = self.ready.draw_bundles(first, origins)
        if first < number:
            drawn += self.spare.draw_bundles(number - first)
        return drawn

    def give_back(self, keys: list[ReadyKey]) -> None:
        """Keys that were drawn and reached nobody."""
        spare = [key for key in keys if key.supplied.origin is KeyOrigin.PQC]
        self.spare.give_back(spare)
        self.ready.give_back([key for key in keys if key.supplied.origin is not KeyOrigin.PQC])

    def put(self, keys: KeyBatch, keeper: bytes, now_s: float) -> None:
        """Keys of one batch are at both ends; `keeper` acknowledged them."""
        buffer = self.spare if keys.origin is KeyOrigin.PQC else self.ready
        buffer.put(keys, keeper=keeper, now_s=now_s)

    def expire(self, now_s: float) -> None:
        """Wipe what is too old."""
        self.ready.expire(now_s)
        self.spare.expire(now_s)

    def wanted(self, room_bytes: int, reserve_bytes: int, most_keys: int) -> int:
        """Keys that the next batch shall carry; 0: none now.

        `room_bytes` are left in the pool for keys; the last `reserve_bytes` only for requests that wait. A
        full buffer is topped up by the quarter, and a nearly empty pool is not spent on tiny batches.
        """
        demand, have = self.demand, len(self.ready) + self.flying
        missing = demand + self.target - have
        urgent = demand > have
        if missing <= 0 or (not urgent and have and missing < self.target // 4):
            return 0
        number = min(missing, most_keys, max(1, MOST_BATCH_BYTES // self.key_bytes))
        if have == 0:
            number = min(number, max(FIRST_BATCH_KEYS, demand))
        room = (room_bytes if urgent else room_bytes - reserve_bytes) // self.key_bytes
        if not urgent and room < min(number, FIRST_BATCH_KEYS):
            return 0
        return max(0, min(number, room))

    def wanted_spare(self, most_keys: int) -> int:
        """Keys that the next batch of ML-KEM alone shall carry in a fallback; 0: none now."""
        have = len(self.ready) + len(self.spare) + self.spare_flying
        missing = self.demand + self.target - have
        if missing <= 0 or (self.demand <= have and have and missing < self.target // 4):
            return 0
        return min(missing, most_keys, max(1, MOST_BATCH_BYTES // self.key_bytes))

    def launch(self, flight: Flight) -> None:
        """A batch of this lane is under way."""
        self.flights[flight.batch.batch_id] = flight
        self._fly(flight, flight.batch.count)

    def land(self, batch_id: bytes) -> Flight:
        """A batch of this lane is not under way any more."""
        flight = self.flights.pop(batch_id)
        self._fly(flight, -flight.batch.count)
        return flight

    def _fly(self, flight: Flight, keys: int) -> None:
        if flight.batch.origin is KeyOrigin.PQC:
            self.spare_flying += keys
        else:
            self.flying += keys

    def keep_only(self, origins: frozenset[KeyOrigin]) -> None:
        """Overwrite ready keys of other origins."""
        if self.ready.count(origins) < len(self.ready):
            self.ready.wipe()
        if KeyOrigin.PQC not in origins:
            self.spare.wipe()

    def wipe_ready(self) -> None:
        """Overwrite the keys that both ends hold."""
        self.ready.wipe()
        self.spare.wipe()

    def wipe(self) -> None:
        """Overwrite every key here."""
        self.wipe_ready()
        self.wipe_flights()

    def wipe_flights(self) -> None:
        """Overwrite the keys that are under way."""
        for batch_id in list(self.flights):
            self.land(batch_id).wipe()


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
