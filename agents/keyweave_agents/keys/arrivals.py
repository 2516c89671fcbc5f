"""The destination side: keys that came by relay, stored for the applications they were made for.

Rule of this file: a batch is stored once, however often and over however many paths it comes. The memory of
batch ids outlives every copy under way: each node on a path drops a batch after `RECORD_LIFE_S`. It outlives
the process too, where the ledger lasts, and so does `keeper`, which names what is stored here.
"""

from collections import OrderedDict

from keyweave_agents.keys.destination import DestinationStore, StoredBatch
from keyweave_agents.keys.key_batch import KeyBatch
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.keys.storage.ledger import Ledger, MemoryLedger, Shelf
from keyweave_agents.material import Secret
from keyweave_core.runtime.clock import Clock

REMEMBERED_S = 900.0

_KEEPER = b"keeper"


class Arrivals:
    """Keeps what arrives. `fresh_keeper` becomes the name of a store that has none yet."""

    def __init__(
        self,
        store: DestinationStore,
        most_keys: int,
        fresh_keeper: bytes,
        clock: Clock,
        ledger: Ledger | None = None,
    ) -> None:
        ledger = ledger or MemoryLedger()
        self.store = store
        self.keeper = fresh_keeper
        self._most_keys = most_keys
        self._clock = clock
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._arrived = ledger.shelf("arrived") if ledger.lasting else None
        if self._arrived is not None:
            self._restore(ledger, self._arrived)

    def _restore(self, ledger: Ledger, arrived: Shelf) -> None:
        """Take over what the last run left. Where that may be older than the truth, this is another store."""
        now_s, names = self._clock.monotonic(), ledger.shelf("names")
        if ledger.intact:
            self.keeper = bytes(dict(names.items()).get(_KEEPER, b"")) or self.keeper
        names.put(_KEEPER, self.keeper, lazy=True)
        for batch_id, _ in arrived.items():  # noqa: PERF102 - a shelf is no dictionary
            if ledger.intact:
                # When it came nobody knows for certain: it is remembered as if it came now.
                self._seen[batch_id] = now_s + REMEMBERED_S
            else:  # its keys are not here: who repeats it must not hear that they are
                arrived.delete(batch_id, lazy=True)
        self.store.restore(wall_s=self._clock.now(), now_s=now_s)

    def has(self, batch_id: bytes) -> bool:
        """Whether the keys of a batch were stored before."""
        return batch_id in self._seen

    def accept(
        self, plan: AssociationPlan, batch: Batch, payload: Secret, ttl_s: float, now_s: float
    ) -> Reason | None:
        """Store a copy of the keys of a batch; None when they are stored, now or before."""
        if batch.batch_id in self._seen:
            return None
        if self.store.count(plan.app_id) + batch.count > self._most_keys:
            return Reason.FULL
        keys = KeyBatch.of(batch, payload, expires_s=now_s + ttl_s, lives_s=ttl_s)
        if not self.store.takes(keys):
            keys.wipe()
            return Reason.FULL  # ids are random: only a faulty source makes one twice
        stored = StoredBatch(batch.batch_id, keys, plan.app_id, plan.server, plan.clients)
        self.store.put(stored, wall_s=self._clock.now(), now_s=now_s)
        self._seen[batch.batch_id] = now_s + REMEMBERED_S
        if self._arrived is not None:
            self._arrived.put(batch.batch_id, b"", lazy=True)  # with the keys, which are not lazy
        return None

    def expire(self, now_s: float) -> int:
        """Wipe and forget what is too old; how many keys."""
        old = self.store.expire(now_s)
        while self._seen:
            batch_id, until_s = next(iter(self._seen.items()))
            if until_s > now_s:
                break
            del self._seen[batch_id]
            if self._arrived is not None:
                self._arrived.delete(batch_id, lazy=True)
        return old
