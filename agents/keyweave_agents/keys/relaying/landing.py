"""Where batches end: whole keys go to their association, shares wait for as many others as make keys.

Rule of this file: shares combine when they name the same batch, keys, sizes, links and threshold. Once the
keys are stored, no share stays: of those that may still come with a threshold a digest is kept as long as the
records of the batch, so that one that contradicts the others is noticed.
"""

import hashlib
import hmac
from collections import OrderedDict

from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.keys.relaying.records import RECORD_LIFE_S, Endpoint, Record, UnderWay
from keyweave_agents.keys.relaying.routes import RouteTable
from keyweave_agents.keys.relaying.split import rejoin, share_of
from keyweave_agents.material import Secret
from keyweave_core.model.ids import LinkId


def _digest(batch: Batch, share: Secret) -> bytes:
    named = f"{batch.app_id} {batch.key_bytes} {batch.threshold} {batch.links}".encode()
    return hashlib.sha256(b"".join((named, batch.key_ids, share.reveal()))).digest()


class Landing:
    """Hands over what ends at this node."""

    def __init__(self, endpoint: Endpoint, under_way: UnderWay, routes: RouteTable) -> None:
        self._endpoint = endpoint
        self._under_way = under_way
        self._routes = routes
        self._expected: OrderedDict[bytes, tuple[float, dict[LinkId, bytes]]] = OrderedDict()

    def hand_over(self, record: Record, payload: Secret, now_s: float) -> tuple[Reason | None, list[Record]]:
        """None and the records whose keys are stored now, or why this one's are not."""
        batch = record.batch
        if not batch.links:
            return self._endpoint.arrived(batch, payload), [record]
        late = self._expected.get(batch.batch_id)
        if late is not None and batch.link_id in late[1]:
            fits = hmac.compare_digest(late[1][batch.link_id], _digest(batch, payload))
            return None if fits else Reason.CONTRADICTION, [record]
        here = self._shares_here(batch)
        parts = [part for part in here if part.batch.same_keys(batch)]
        if len(parts) >= batch.needed:
            return self._combine(batch, parts, now_s)
        if len(here) >= batch.needed:
            return Reason.CONTRADICTION, []
        return self._endpoint.arrived(batch, None), [record]

    def _combine(self, batch: Batch, parts: list[Record], now_s: float) -> tuple[Reason | None, list[Record]]:
        shares = {part.batch.link_id: part.payload for part in parts if part.payload is not None}
        whole = rejoin(shares, batch.links, batch.threshold)
        reason = self._endpoint.arrived(batch, whole)
        whole.wipe()
        if reason is None and batch.threshold:
            expected = {}
            for link_id in batch.links:
                share = share_of(link_id, shares, batch.links, batch.threshold)
                expected[link_id] = _digest(batch, share)
                share.wipe()
            self._expected[batch.batch_id] = (now_s + RECORD_LIFE_S, expected)
            if len(self._expected) > self._under_way.most:
                self._expected.popitem(last=False)
            parts = [part for part in parts if self._fits(part, expected)]
        return reason, parts

    @staticmethod
    def _fits(part: Record, expected: dict[LinkId, bytes]) -> bool:
        share = part.payload
        return share is not None and hmac.compare_digest(
            expected[part.batch.link_id], _digest(part.batch, share)
        )

    def _shares_here(self, batch: Batch) -> list[Record]:
        """The shares of a batch that arrived and end here."""
        found = (self._under_way.open.get((batch.batch_id, link_id)) for link_id in batch.links)
        return [
            record
            for record in found
            if record is not None
            and record.came_over is not None
            and record.payload is not None
            and self._routes[record.batch.link_id].delivers
        ]

    def expire(self, now_s: float) -> None:
        """Forget what no share is expected of any more."""
        while self._expected:
            batch_id, (until_s, _) = next(iter(self._expected.items()))
            if until_s > now_s:
                break
            del self._expected[batch_id]
