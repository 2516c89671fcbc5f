"""Requests that wait, batches under way and ready keys of one key size of an association, at its source.

Rule of this file: how many keys to make next is decided here (`Lane.wanted`), from what is missing and what
the pool can give; making and sending them is the business of `refill`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyweave_agents.keys.buffers import ReadyBuffer, ReadyKey
from keyweave_agents.keys.key_batch import KeyBatch
from keyweave_agents.keys.plan import KeyBundle
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.keys.storage.ready_memory import LaneName, ReadyMemory
from keyweave_agents.material import Secret
from keyweave_core.model.application import AppQos, KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, SaeId

if TYPE_CHECKING:
    from keyweave_agents.keys.association import Association

FIRST_BATCH_KEYS = 8
"""Size of the batch that opens an empty lane: small, so that a first request is answered soon."""

MOST_BATCH_BYTES = 131_072
MOST_BATCH_KEYS = 4096


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
