"""All keys that wait at this node for the applications they were made for, by id.

Rule of this file: a key leaves once for each application that may have it, and is overwritten when nobody may
have it any more. Whoever takes keys has them noted before they leave (`undecided`). Times are monotonic
seconds given by the caller.

    stored   <batch id>   the keys of a batch, encrypted as one record
    taken    <batch id>   a bit for each key and client: may still be fetched; without a record: all may
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from keyweave_agents.keys.failures import KeysNotFound, NotEntitled
from keyweave_agents.keys.key_batch import ID_BYTES, PREFIX_BYTES, KeyBatch, raw_id
from keyweave_agents.keys.plan import KeyBundle
from keyweave_agents.keys.relaying.frames import uuid_text
from keyweave_agents.keys.storage.ledger import Ledger, MemoryLedger
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_agents.material import Secret
from keyweave_core.errors import SettingsError
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, SaeId


@dataclass(slots=True, eq=False)
class StoredBatch:
    """Keys of one batch and who may still fetch them: a bit a key, in the order of `clients`."""

    batch_id: bytes
    keys: KeyBatch
    app_id: AppId
    server: SaeId
    clients: tuple[SaeId, ...]
    waiting: list[int] = field(default_factory=list)
    gone: bool = False

    @property
    def links(self) -> tuple[LinkId, ...]:
        """The virtual links that the keys travelled."""
        return self.keys.links

    @property
    def origin(self) -> KeyOrigin:
        """What the keys were made of."""
        return self.keys.origin

    @property
    def left(self) -> int:
        """Keys that somebody may still fetch, a bit each."""
        left = 0
        for bits in self.waiting:
            left |= bits
        return left


Found = tuple[StoredBatch, int]


class DestinationStore:
    """Stored keys, in memory and on the shelves of a ledger that lasts."""

    def __init__(self, ledger: Ledger | None = None, undecided: Undecided | None = None) -> None:
        ledger = ledger or MemoryLedger()
        self._undecided = undecided or Undecided(ledger)
        self._stored = ledger.shelf("stored") if ledger.lasting else None
        self._taken = ledger.shelf("taken") if ledger.lasting else None
        self._intact = ledger.intact
        self._numbered: dict[bytes, StoredBatch] = {}
        self._foreign: dict[bytes, Found] = {}
        self._counts: dict[AppId, int] = {}
        # By how long such keys live, oldest first: what comes later expires later.
        self._ages: dict[float, OrderedDict[bytes, StoredBatch]] = {}

    def restore(self, *, wall_s: float, now_s: float) -> None:
        """Take over what the last run left. Nothing, when it may be older than the truth."""
        if self._stored is None or self._taken is None:
            return
        taken = {key: bytes(value) for key, value in self._taken.items()}
        found = []
        for batch_id, record in self._stored.items():
            if not self._intact:
                record[:] = bytes(len(record))
                self._forget(batch_id)
                continue
            keys, extra = KeyBatch.from_record(record, wall_s=wall_s, now_s=now_s)
            batch = StoredBatch(batch_id, keys, *_owners(extra))
            bits = taken.pop(batch_id, None)
            width = (keys.count + 7) // 8
            batch.waiting = (
                [(1 << keys.count) - 1] * len(batch.clients)
                if bits is None
                else [int.from_bytes(bits[at : at + width], "big") for at in range(0, len(bits), width)]
            )
            found.append(batch)
        for batch in sorted(found, key=lambda one: one.keys.expires_s):
            self._enter(batch)
        for batch_id in taken:
            self._taken.delete(batch_id, lazy=True)

    def count(self, app_id: AppId) -> int:
        """Keys stored of one association."""
        return self._counts.get(app_id, 0)

    def __contains__(self, key_id: str) -> bool:
        raw = raw_id(key_id)
        return raw is not None and self._where(raw) is not None

    def __len__(self) -> int:
        return sum(self._counts.values())

    def takes(self, keys: KeyBatch) -> bool:
        """Whether no id of these keys is here, and none comes twice."""
        if keys.numbered and not self._foreign:
            return keys.ids not in self._numbered
        ids = [keys.id_at(index) for index in range(keys.count)]
        return len(set(ids)) == len(ids) and not any(self._where(one) for one in ids)

    def put(self, batch: StoredBatch, *, wall_s: float, now_s: float) -> None:
        """Store keys that arrived together; there must be none of their ids (`takes`)."""
        batch.waiting = [(1 << batch.keys.count) - 1] * len(batch.clients)
        self._enter(batch)
        self._note(batch, wall_s, now_s)

    def _note(self, batch: StoredBatch, wall_s: float, now_s: float) -> None:
        if self._stored is not None:
            extra = (batch.app_id, batch.server, batch.clients)
            record = batch.keys.record(extra, wall_s=wall_s, now_s=now_s)
            self._stored.put(batch.batch_id, record)
            record[:] = bytes(len(record))

    def _enter(self, batch: StoredBatch) -> None:
        keys = batch.keys
        if keys.numbered and keys.ids not in self._numbered:
            self._numbered[keys.ids] = batch
        else:
            for index in range(keys.count):
                self._foreign[keys.id_at(index)] = (batch, index)
        self._tally(batch, batch.left.bit_count())
        self._ages.setdefault(keys.lives_s, OrderedDict())[batch.batch_id] = batch

    def _where(self, raw: bytes) -> Found | None:
        batch = self._numbered.get(raw[:PREFIX_BYTES])
        if batch is not None:
            index = int.from_bytes(raw[PREFIX_BYTES:], "big")
            if index < batch.keys.count:
                return (batch, index) if batch.left >> index & 1 else None
        found = self._foreign.get(raw)
        return found if found is not None and found[0].left >> found[1] & 1 else None

    # --- fetching ------------------------------------------------------------------------------------

    def fetch(
        self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]
    ) -> list[tuple[str, Secret, StoredBatch]]:
        """The keys for `caller`, all or none. Errors as `KeySupply.get_keys_by_id`."""
        raws = [raw_id(text) or b"" for text in key_ids]
        found = self._find(caller, master, raws, key_ids)
        supplied = [
            (text, batch.keys.key_at(index), batch)
            for text, (batch, index) in zip(key_ids, found, strict=True)
        ]
        self._take(found, caller)
        return supplied

    def fetch_bundles(
        self, caller: SaeId, master: SaeId, key_ids: bytes
    ) -> list[tuple[KeyBundle, StoredBatch]]:
        """The same for ids of 16 bytes each; keys of one batch that are named in a row stay together."""
        raws = [key_ids[at : at + ID_BYTES] for at in range(0, len(key_ids), ID_BYTES)]
        found = self._find(caller, master, raws, None)
        supplied = []
        at = 0
        for _, run in groupby(found, key=lambda one: id(one[0])):
            places = list(run)
            batch, bits = places[0][0], bytearray()
            for _, index in places:
                bits += batch.keys.keys_of(index, 1)
            ids = key_ids[ID_BYTES * at : ID_BYTES * (at + len(places))]
            bundle = KeyBundle(key_ids=ids, keys=Secret(bits), links=batch.links, origin=batch.origin)
            bits[:] = bytes(len(bits))
            supplied.append((bundle, batch))
            at += len(places)
        self._take(found, caller)
        return supplied

    def _find(
        self, caller: SaeId, master: SaeId, raws: list[bytes], texts: tuple[str, ...] | None
    ) -> list[Found]:
        found: list[Found] = []
        missing: list[int] = []
        seen: set[bytes] = set()
        for position, raw in enumerate(raws):
            place = self._where(raw)
            if place is None or raw in seen:
                missing.append(position)
            elif caller not in place[0].clients or place[0].server != master:
                raise NotEntitled(f"keys of {master} were asked for that were not made for {caller}")
            elif not place[0].waiting[place[0].clients.index(caller)] >> place[1] & 1:
                missing.append(position)
            else:
                found.append(place)
            seen.add(raw)
        if missing:
            named = [
                texts[position] if texts is not None else uuid_text(raws[position]) for position in missing
            ]
            raise KeysNotFound(tuple(named))
        return found

    def _take(self, found: list[Found], caller: SaeId) -> None:
        """Nobody gives these to `caller` again, unless they cannot be noted."""
        for batch, index in found:
            batch.waiting[batch.clients.index(caller)] &= ~(1 << index)
        touched = {id(batch): batch for batch, _ in found}
        for batch in touched.values():
            self._changed(batch)
        self._recount(found, -1)

        def settle() -> None:
            for batch, index in found:
                if not batch.gone and not batch.left >> index & 1:
                    batch.keys.wipe_at(index)
            for batch in touched.values():
                if not batch.gone and not batch.left:
                    self._remove(batch)

        def undo() -> None:
            self._recount(found, +1)
            for batch, index in found:
                if not batch.gone:
                    batch.waiting[batch.clients.index(caller)] |= 1 << index
            for batch in touched.values():
                if not batch.gone:
                    self._changed(batch)

        self._undecided.add(settle, undo)

    def _recount(self, found: list[Found], sign: int) -> None:
        """Count the keys that nobody else may fetch: they went, or come back."""
        for batch, index in found:
            if not batch.gone and not batch.left >> index & 1:
                self._tally(batch, sign)

    def _changed(self, batch: StoredBatch) -> None:
        """Who may fetch what has changed: that must be durable before anybody gets it."""
        if self._taken is not None:
            width = (batch.keys.count + 7) // 8
            self._taken.put(batch.batch_id, b"".join(bits.to_bytes(width, "big") for bits in batch.waiting))

    def withdraw(self, app_id: AppId, key_ids: Iterable[str]) -> list[str]:
        """Wipe those of these keys of an association that are here and that nobody fetched; which."""
        gone = []
        touched: dict[int, StoredBatch] = {}
        for key_id in key_ids:
            raw = raw_id(key_id)
            place = self._where(raw) if raw is not None else None
            if place is None:
                continue
            batch, index = place
            if batch.app_id == app_id and all(bits >> index & 1 for bits in batch.waiting):
                batch.waiting = [bits & ~(1 << index) for bits in batch.waiting]
                batch.keys.wipe_at(index)
                self._tally(batch, -1)
                touched[id(batch)] = batch
                gone.append(key_id)
        for batch in touched.values():
            self._changed(batch)
        return gone

    # --- leaving -------------------------------------------------------------------------------------

    def expire(self, now_s: float) -> int:
        """Wipe what is too old, and forget batches of which nothing is left; how many keys were too old."""
        old = 0
        for lives_s, queue in list(self._ages.items()):
            while queue:
                batch = next(iter(queue.values()))
                if batch.keys.expires_s > now_s:
                    break
                old += batch.left.bit_count()
                self._remove(batch)
            if not queue:
                del self._ages[lives_s]
        return old

    def _remove(self, batch: StoredBatch) -> None:
        keys = batch.keys
        if self._numbered.get(keys.ids) is batch:
            del self._numbered[keys.ids]
        else:
            for index in range(keys.count):
                self._foreign.pop(keys.id_at(index), None)
        self._tally(batch, -batch.left.bit_count())
        self._ages.get(keys.lives_s, OrderedDict()).pop(batch.batch_id, None)
        batch.gone = True
        keys.wipe()
        self._forget(batch.batch_id)

    def _forget(self, batch_id: bytes) -> None:
        for shelf in (self._stored, self._taken):
            if shelf is not None:
                shelf.delete(batch_id, lazy=True)

    def _tally(self, batch: StoredBatch, change: int) -> None:
        left = self._counts.get(batch.app_id, 0) + change
        if left:
            self._counts[batch.app_id] = left
        else:
            self._counts.pop(batch.app_id, None)

    def wipe(self) -> None:
        """Overwrite every key in memory, and nowhere else."""
        for queue in self._ages.values():
            for batch in queue.values():
                batch.keys.wipe()
        self._numbered.clear()
        self._foreign.clear()
        self._ages.clear()
        self._counts.clear()


def _owners(extra: object) -> tuple[AppId, SaeId, tuple[SaeId, ...]]:
    """Whose keys these are, as `DestinationStore._note` wrote it."""
    if not isinstance(extra, list) or len(extra) != 3:
        raise SettingsError("a record of stored keys is of another form")
    app_id, server, clients = extra
    return AppId(app_id), SaeId(server), tuple(SaeId(client) for client in clients)
