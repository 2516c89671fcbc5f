"""Places where end-to-end keys wait: ready ones at the source, stored ones at the destination; and a rate.

Rule of this file: a key leaves a buffer once for each application that may have it, and is wiped when it is
too old. Times are monotonic seconds given by the caller.
"""

import heapq
from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from keyweave_agents.keys.failures import KeysNotFound, NotEntitled
from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, SaeId


class TokenBucket:
    """A rate in bit/s with a burst in bits; full at the start."""

    __slots__ = ("_at_s", "_tokens", "burst_bits", "rate_bps")

    def __init__(self, rate_bps: float, burst_bits: float, now_s: float) -> None:
        self.rate_bps = rate_bps
        self.burst_bits = burst_bits
        self._tokens = burst_bits
        self._at_s = now_s

    def take(self, bits: int, now_s: float) -> bool:
        """Take `bits` if they are there."""
        self._tokens = min(self.burst_bits, self._tokens + (now_s - self._at_s) * self.rate_bps)
        self._at_s = now_s
        if bits > self._tokens:
            return False
        self._tokens -= bits
        return True

    def change(self, rate_bps: float, burst_bits: float, now_s: float) -> None:
        """Another rate and burst from now on; what was taken stays taken."""
        self.take(0, now_s)
        taken = self.burst_bits - self._tokens
        self.rate_bps, self.burst_bits = rate_bps, burst_bits
        self._tokens = max(0.0, burst_bits - taken)

    def give_back(self, bits: int) -> None:
        """What was taken was not used."""
        self._tokens = min(self.burst_bits, self._tokens + bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyKey:
    """A key that both ends hold."""

    supplied: SuppliedKey
    expires_s: float


class ReadyBuffer:
    """Confirmed keys of one size at the source, oldest first."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: deque[ReadyKey] = deque()

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, keys: list[ReadyKey]) -> None:
        """Append keys."""
        self._keys.extend(keys)

    def give_back(self, keys: list[ReadyKey]) -> None:
        """Keys that were drawn and reached nobody."""
        self._keys.extendleft(reversed(keys))

    def count(self, origins: frozenset[KeyOrigin] | None) -> int:
        """How many there are of these origins (None: of any)."""
        if origins is None:
            return len(self._keys)
        return sum(key.supplied.origin in origins for key in self._keys)

    def draw(self, number: int, origins: frozenset[KeyOrigin] | None = None) -> list[ReadyKey]:
        """Take the oldest `number` keys of these origins (there must be as many)."""
        if origins is None:
            return [self._keys.popleft() for _ in range(number)]
        drawn: list[ReadyKey] = []
        left: deque[ReadyKey] = deque()
        for key in self._keys:
            fits = len(drawn) < number and key.supplied.origin in origins
            (drawn if fits else left).append(key)
        self._keys = left
        return drawn

    def withdraw(self, key_ids: Container[str]) -> list[str]:
        """Wipe those of these keys that are here; which."""
        found = [one for one in self._keys if one.supplied.key_id in key_ids]
        for one in found:
            self._keys.remove(one)
            one.supplied.key.wipe()
        return [one.supplied.key_id for one in found]

    def expire(self, now_s: float) -> int:
        """Wipe what is too old; how many."""
        gone = 0
        while self._keys and self._keys[0].expires_s <= now_s:
            self._keys.popleft().supplied.key.wipe()
            gone += 1
        return gone

    def wipe(self) -> None:
        """Wipe everything."""
        for key in self._keys:
            key.supplied.key.wipe()
        self._keys.clear()


@dataclass(slots=True)
class StoredKey:
    """A key at its destination and who may still fetch it."""

    app_id: AppId
    server: SaeId
    clients: frozenset[SaeId]
    waiting: set[SaeId]
    key: Secret
    links: tuple[LinkId, ...]
    origin: KeyOrigin = KeyOrigin.QKD


@dataclass(slots=True)
class DestinationStore:
    """All keys that wait at this node for the applications they were made for, by id."""

    _keys: dict[str, StoredKey] = field(default_factory=dict)
    _counts: dict[AppId, int] = field(default_factory=dict)
    _ages: list[tuple[float, int, tuple[str, ...]]] = field(default_factory=list)
    _serial: int = 0

    def count(self, app_id: AppId) -> int:
        """Keys stored of one association."""
        return self._counts.get(app_id, 0)

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    def put(self, keys: dict[str, StoredKey], expires_s: float) -> None:
        """Store keys that arrived together; ids must be new."""
        for key_id, stored in keys.items():
            self._keys[key_id] = stored
            self._counts[stored.app_id] = self._counts.get(stored.app_id, 0) + 1
        self._serial += 1
        heapq.heappush(self._ages, (expires_s, self._serial, tuple(keys)))

    def fetch(
        self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]
    ) -> list[tuple[str, Secret, StoredKey]]:
        """The keys for `caller`, all or none. Errors as `KeySupply.get_keys_by_id`."""
        found: list[tuple[str, StoredKey]] = []
        missing: list[str] = []
        seen: set[str] = set()
        for key_id in key_ids:
            stored = self._keys.get(key_id)
            if stored is None or key_id in seen:
                missing.append(key_id)
            elif caller not in stored.clients or stored.server != master:
                raise NotEntitled(f"keys of {master} were asked for that were not made for {caller}")
            elif caller not in stored.waiting:
                missing.append(key_id)
            else:
                found.append((key_id, stored))
            seen.add(key_id)
        if missing:
            raise KeysNotFound(tuple(missing))
        supplied = []
        for key_id, stored in found:
            stored.waiting.discard(caller)
            if stored.waiting:
                supplied.append((key_id, Secret(stored.key.reveal()), stored))
            else:
                self._remove(key_id)
                supplied.append((key_id, stored.key, stored))
        return supplied

    def withdraw(self, app_id: AppId, key_ids: Iterable[str]) -> list[str]:
        """Wipe those of these keys of an association that are here and that nobody fetched; which."""
        found = []
        for key_id in key_ids:
            stored = self._keys.get(key_id)
            if stored is not None and stored.app_id == app_id and stored.waiting == stored.clients:
                self._remove(key_id).key.wipe()
                found.append(key_id)
        return found

    def expire(self, now_s: float) -> None:
        """Wipe what is too old."""
        while self._ages and self._ages[0][0] <= now_s:
            for key_id in heapq.heappop(self._ages)[2]:
                if key_id in self._keys:
                    self._remove(key_id).key.wipe()

    def _remove(self, key_id: str) -> StoredKey:
        stored = self._keys.pop(key_id)
        left = self._counts[stored.app_id] - 1
        if left:
            self._counts[stored.app_id] = left
        else:
            del self._counts[stored.app_id]
        return stored
