"""Where end-to-end keys wait at their source until an application asks; and a rate.

Rule of this file: a key leaves a buffer once, and is wiped when it is too old. Times are monotonic seconds
given by the caller.
"""

from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from keyweave_agents.keys.key_batch import KeyBatch
from keyweave_agents.keys.plan import KeyBundle, SuppliedKey, bundles
from keyweave_agents.keys.relaying.frames import uuid_text
from keyweave_agents.keys.storage.ready_memory import LaneName, ReadyBatch, ReadyMemory
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId


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
    """A key that both ends hold, on its way to an application."""

    supplied: SuppliedKey
    expires_s: float


LEAST_AHEAD_KEYS = 8

Origins = frozenset[KeyOrigin] | None

Part = tuple[ReadyBatch, int, int]
"""Keys of a batch: the first, and how many."""


class ReadyBuffer:
    """Confirmed keys of one size at the source, oldest first.

    With a `ReadyMemory` they outlive the process, but for an eighth of the buffer at most, that counts as
    drawn ahead of the draw.
    """

    __slots__ = ("_batches", "_given_back", "_left", "_mark", "_memory", "_name")

    def __init__(self, memory: ReadyMemory | None = None, name: LaneName | None = None) -> None:
        self._memory = None if name is None else memory
        self._name = name or LaneName(AppId(""), 0, spare=False)
        self._batches: deque[ReadyBatch] = deque()
        self._given_back: deque[ReadyKey] = deque()
        self._left = 0
        self._mark = 0

    def __len__(self) -> int:
        return self._left + len(self._given_back)

    def restore(self, batches: Iterable[ReadyBatch]) -> None:
        """Take over what the last run left."""
        for batch in batches:
            self._batches.append(batch)
            self._left += batch.left
            if batch.drawn:  # the mark lies in it; before one that is whole the mark may lie anywhere
                self._mark = max(self._mark, batch.serial + batch.drawn)

    def put(self, keys: KeyBatch, *, keeper: bytes = b"", now_s: float = 0.0) -> None:
        """Append keys that `keeper` acknowledged."""
        serial = 0 if self._memory is None else self._memory.next_serial(keys.count)
        batch = ReadyBatch(serial, keys)
        self._batches.append(batch)
        self._left += keys.count
        if self._memory is not None:
            self._memory.put(self._name, batch, keeper, now_s)

    # --- drawing -------------------------------------------------------------------------------------

    def count(self, origins: Origins) -> int:
        """How many there are of these origins (None: of any)."""
        if origins is None:
            return len(self)
        back = sum(key.supplied.origin in origins for key in self._given_back)
        return back + sum(batch.left for batch in self._batches if batch.keys.origin in origins)

    def draw(self, number: int, origins: Origins = None) -> list[ReadyKey]:
        """Take the oldest `number` keys of these origins (there must be as many)."""
        drawn = self._draw_back(number, origins)
        parts = self._take(number - len(drawn), origins)
        for part in parts:
            drawn += _as_keys(part)
        self._note(parts)
        return drawn

    def draw_bundles(self, number: int, origins: Origins = None) -> list[KeyBundle]:
        """The same, keys of one batch together."""
        if origins is None and not self._given_back and self._batches:
            oldest = self._batches[0]
            if oldest.left > number:  # as nearly always: what follows would come to the same
                part = (oldest, oldest.drawn, number)
                oldest.drawn += number
                self._left -= number
                bundle = _as_bundle(part)
                self._note([part])
                return [bundle]
        back = self._draw_back(number, origins)
        drawn = list(bundles(key.supplied for key in back))
        parts = self._take(number - len(back), origins)
        drawn += [_as_bundle(part) for part in parts]
        self._note(parts)
        return drawn

    def _draw_back(self, number: int, origins: Origins) -> list[ReadyKey]:
        """Of those that were given back."""
        drawn: list[ReadyKey] = []
        if self._given_back:
            left: deque[ReadyKey] = deque()
            for key in self._given_back:
                fits = len(drawn) < number and (origins is None or key.supplied.origin in origins)
                (drawn if fits else left).append(key)
            self._given_back = left
        if drawn and self._memory is not None and self._memory.undecided.open:
            again = [
                replace(key, supplied=replace(key.supplied, key=_copy(key.supplied.key))) for key in drawn
            ]
            self._memory.undecided.add(lambda: _wipe(again), lambda: self.give_back(again))
        return drawn

    def _take(self, number: int, origins: Origins) -> list[Part]:
        parts: list[Part] = []
        for batch in self._batches:
            if number <= 0:
                break
            if origins is None or batch.keys.origin in origins:
                count = min(number, batch.left)
                parts.append((batch, batch.drawn, count))
                batch.drawn += count
                self._left -= count
                number -= count
        for batch, _, _ in parts:
            if not batch.left:
                if batch is self._batches[0]:
                    self._batches.popleft()
                else:
                    self._batches.remove(batch)
                self._forget(batch)
        return parts

    def _note(self, parts: list[Part]) -> None:
        """They are drawn, and overwritten here, once that is durable."""
        memory = self._memory
        if memory is None or not parts:
            _overwrite(parts)
            return
        upto = max(batch.serial + first + count for batch, first, count in parts)
        if upto > self._mark:
            self._mark = upto + max(LEAST_AHEAD_KEYS, self._left // 8)
            memory.mark(self._name, self._mark)
        memory.undecided.add(lambda: _overwrite(parts), lambda: self._undraw(parts))

    def _undraw(self, parts: list[Part]) -> None:
        self.give_back([key for part in parts for key in _as_keys(part)])
        _overwrite(parts)

    def give_back(self, keys: list[ReadyKey]) -> None:
        """Keys that were drawn and reached nobody."""
        self._given_back.extendleft(reversed(keys))

    # --- leaving -------------------------------------------------------------------------------------

    def withdraw(self, key_ids: Container[str]) -> list[str]:
        """Wipe those of these keys that are here; which."""
        found = [one for one in self._given_back if one.supplied.key_id in key_ids]
        for one in found:
            self._given_back.remove(one)
            one.supplied.key.wipe()
        named = [one.supplied.key_id for one in found]
        for place, batch in enumerate(self._batches):
            ids = {
                index: uuid_text(batch.keys.id_at(index)) for index in range(batch.drawn, batch.keys.count)
            }
            gone = frozenset(index for index, key_id in ids.items() if key_id in key_ids)
            if gone:
                named += [ids[index] for index in sorted(gone)]
                self._left -= len(gone)
                self._batches[place] = self._without(batch, gone)
        self._batches = deque(batch for batch in self._batches if batch.left)
        return named

    def _without(self, batch: ReadyBatch, gone: frozenset[int]) -> ReadyBatch:
        """What is left of a batch; from now on in memory alone, so that no crash brings the others back."""
        if self._memory is not None:
            self._memory.gone(self._name, batch.serial, lazy=False)
        return ReadyBatch(batch.serial + batch.drawn, batch.keys.without(gone, batch.drawn))

    def expire(self, now_s: float) -> int:
        """Wipe what is too old; how many."""
        gone = 0
        while self._given_back and self._given_back[0].expires_s <= now_s:
            self._given_back.popleft().supplied.key.wipe()
            gone += 1
        while self._batches and self._batches[0].keys.expires_s <= now_s:
            batch = self._batches.popleft()
            gone += batch.left
            self._left -= batch.left
            batch.keys.wipe_at(batch.drawn, batch.left)
            self._forget(batch)
        return gone

    def close(self) -> None:
        """Wipe everything in memory; what was not drawn is there for the next run."""
        batches = list(self._batches)
        if self._memory is not None and batches and not any(batch.drawn for batch in batches[1:]):
            self._memory.mark(self._name, batches[0].serial + batches[0].drawn)
        self.wipe(keep=True)

    def wipe(self, *, keep: bool = False) -> None:
        """Wipe everything; `keep`: in memory alone."""
        for key in self._given_back:
            key.supplied.key.wipe()
        for batch in self._batches:
            batch.keys.wipe_at(batch.drawn, batch.left)
            if not keep:
                self._forget(batch)
        if self._memory is not None and not keep:
            self._memory.unmark(self._name)
            self._mark = 0  # what comes next is marked anew
        self._given_back.clear()
        self._batches.clear()
        self._left = 0

    def _forget(self, batch: ReadyBatch) -> None:
        if self._memory is not None:
            self._memory.gone(self._name, batch.serial)


def _as_keys(part: Part) -> list[ReadyKey]:
    batch, first, count = part
    keys = batch.keys
    return [
        ReadyKey(
            supplied=SuppliedKey(
                key_id=uuid_text(keys.id_at(index)),
                key=keys.key_at(index),
                links=keys.links,
                origin=keys.origin,
            ),
            expires_s=keys.expires_s,
        )
        for index in range(first, first + count)
    ]


def _as_bundle(part: Part) -> KeyBundle:
    batch, first, count = part
    keys = batch.keys
    return KeyBundle(
        key_ids=keys.ids_of(first, count),
        keys=Secret(keys.keys_of(first, count)),
        links=keys.links,
        origin=keys.origin,
    )


def _copy(key: Secret) -> Secret:
    return key.slice(0, len(key))


def _wipe(keys: list[ReadyKey]) -> None:
    for key in keys:
        key.supplied.key.wipe()


def _overwrite(parts: list[Part]) -> None:
    for batch, first, count in parts:
        batch.keys.wipe_at(first, count)
