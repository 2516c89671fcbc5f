"""The destination side: keys that came by relay, stored for the applications they were made for.

Rule of this file: a batch is stored once, however often and over however many paths it comes. The memory of
batch ids outlives every copy under way: each node on a path drops a batch after `RECORD_LIFE_S`.
"""

from collections import OrderedDict

from keyweave_agents.keys.buffers import DestinationStore, StoredKey
from keyweave_agents.keys.frames import Batch, Reason, uuid_text
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.material import Secret

REMEMBERED_S = 900.0


class Arrivals:
    """Keeps what arrives."""

    def __init__(self, store: DestinationStore, most_keys: int, keeper: bytes) -> None:
        self.store = store
        self.keeper = keeper
        self._most_keys = most_keys
        self._seen: OrderedDict[bytes, float] = OrderedDict()

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
        keys: dict[str, StoredKey] = {}
        clients, links = frozenset(plan.clients), batch.over
        for index in range(batch.count):
            key_id = uuid_text(batch.key_ids[16 * index : 16 * index + 16])
            if key_id in self.store or key_id in keys:
                return Reason.FULL  # ids are random: only a faulty source makes one twice
            secret = payload.slice(index * batch.key_bytes, batch.key_bytes)
            keys[key_id] = StoredKey(
                plan.app_id, plan.server, clients, set(plan.clients), secret, links, batch.origin
            )
        self.store.put(keys, now_s + ttl_s)
        self._seen[batch.batch_id] = now_s + REMEMBERED_S
        return None

    def expire(self, now_s: float) -> None:
        """Wipe and forget what is too old."""
        self.store.expire(now_s)
        while self._seen:
            batch_id, until_s = next(iter(self._seen.items()))
            if until_s > now_s:
                break
            del self._seen[batch_id]
