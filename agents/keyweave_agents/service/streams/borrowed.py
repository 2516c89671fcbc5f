"""Associations that streams asked for, under the id of a stream, and give back. Pure.

ETSI GS QKD 015 registers an application under an id, and for a stream of 004 that id is its KSID. The
association of a pair serves all streams of the pair (and 014 besides); it goes by the id of the stream that
asked for it first, has the qualities of all of them together (rates added, the longest ttl, the highest
priority), and is given back when the pair has had no stream for a while. What was asked for is noted, so an
agent that was killed gives it back as well.

Rule of this file: an association that goes by another id was asked for by somebody else, and is left alone.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from keyweave_agents.keys.plan import AssociationWanted
from keyweave_agents.keys.storage.ledger import Shelf
from keyweave_agents.service.streams.ports import StreamKeys
from keyweave_agents.service.streams.values import StreamQos
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, SaeId
from keyweave_core.model.units import UINT32_MAX

Pair = tuple[SaeId, SaeId]

REST_S = 5.0
"""How long a pair may be without a stream; who closes one often opens the next."""

REST_AFTER_START_S = 60.0
"""... when the process has just begun, and applications have yet to come back."""

ASK_AGAIN_S = 1.0
ASK_MOST = 3
"""A controller that moves an association just then passes over a wish for other qualities."""


@dataclass(slots=True)
class _Record:
    app_id: AppId
    wanted: tuple[AppQos, int]
    asked: int = 1
    ask_s: float = 0.0
    due_s: float | None = None  # when it is given back; None while a stream of the pair is open


class Borrowed:
    """The associations that streams of this key manager asked for."""

    def __init__(self, keys: StreamKeys, shelf: Shelf | None, now_s: float) -> None:
        self._keys = keys
        self._shelf = shelf
        self._records: dict[Pair, _Record] = {}
        for raw_id, value in () if shelf is None else shelf.items():
            server, client = json.loads(bytes(value))
            record = _Record(AppId(str(UUID(bytes=raw_id))), (AppQos(), 0), due_s=now_s + REST_AFTER_START_S)
            self._records[SaeId(server), SaeId(client)] = record

    def want(self, ksid: bytes, pair: Pair, qualities: list[StreamQos]) -> bool:
        """Ask for an association of a pair with these streams, unless there is one; whether it was needed."""
        if self._keys.between(*pair) is not None:
            return False
        app_id, wanted = AppId(str(UUID(bytes=ksid))), together(qualities)
        self.forget(pair)
        self._records[pair] = _Record(app_id, wanted)
        if self._shelf is not None:
            self._shelf.put(ksid, json.dumps(pair).encode(), lazy=True)
        (server, client), (qos, priority) = pair, wanted
        self._keys.want(
            AssociationWanted(server=server, clients=(client,), qos=qos, priority=priority, app_id=app_id)
        )
        return True

    def ours(self, pair: Pair) -> bool:
        """Whether the association of a pair goes by an id of ours, so that we may change and close it."""
        record, ends = self._records.get(pair), self._keys.between(*pair)
        return record is not None and ends is not None and ends.app_id == record.app_id

    def reserved_bps(self, pair: Pair, qualities: list[StreamQos], now_s: float) -> int:
        """What the network has reserved for a pair by now, after asking for what these streams want."""
        self._adjust(pair, together(qualities), now_s)
        ends = self._keys.between(*pair)
        return 0 if ends is None else ends.qos.min_bandwidth_bps or 0

    def tick(self, in_use: dict[Pair, list[StreamQos]], now_s: float) -> None:
        """Adjust and give back; `in_use` are the pairs with open streams, and these."""
        for pair, record in list(self._records.items()):
            if pair in in_use:
                record.due_s = None
                self._adjust(pair, together(in_use[pair]), now_s)
            elif record.due_s is None:
                record.due_s = now_s + REST_S
            elif now_s >= record.due_s:
                if self.ours(pair):
                    self._keys.give_back(record.app_id)
                self.forget(pair)

    def _adjust(self, pair: Pair, wanted: tuple[AppQos, int], now_s: float) -> None:
        record, ends = self._records.get(pair), self._keys.between(*pair)
        if record is None or ends is None or not self.ours(pair):
            return
        if wanted != record.wanted:
            record.wanted, record.asked, record.ask_s = wanted, 0, now_s
        if ends.qos == wanted[0]:
            record.asked = ASK_MOST
        if record.asked < ASK_MOST and now_s >= record.ask_s:
            record.asked, record.ask_s = record.asked + 1, now_s + ASK_AGAIN_S
            self._keys.change(record.app_id, *wanted)

    def forget(self, pair: Pair) -> None:
        """Nothing is to be changed or given back for a pair any more."""
        record = self._records.pop(pair, None)
        if record is not None and self._shelf is not None:
            self._shelf.delete(UUID(record.app_id).bytes, lazy=True)


def together(qualities: Iterable[StreamQos]) -> tuple[AppQos, int]:
    """The qualities of several streams as those of one association (015 `app_qos`), and its priority.

    Jitter has no place: 004 means bit/s, 015 ms.
    """
    every = list(qualities)
    min_bps = min(UINT32_MAX, sum(qos.min_bps for qos in every))
    qos = AppQos(
        min_bandwidth_bps=min_bps or None,
        max_bandwidth_bps=min(UINT32_MAX, sum(qos.max_bps for qos in every)),
        ttl_s=max(qos.ttl_s for qos in every),
    )
    return qos, max(qos.priority for qos in every)
