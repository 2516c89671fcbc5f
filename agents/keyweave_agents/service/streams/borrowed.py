"""Associations that streams asked for, under the id of a stream, and give back. Pure.

ETSI GS QKD 015 registers an application under an id, and for a stream of 004 that id is its KSID. The
association of a pair serves all streams of the pair (and 014 besides); it goes by the id of the stream that
asked for it first, and is given back when the pair has had no stream for a while. What was asked for is
noted, so an agent that was killed gives it back as well.

Rule of this file: an association that goes by another id was asked for by somebody else, and is left alone.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from keyweave_agents.keys.ledger import Shelf
from keyweave_agents.keys.plan import AssociationWanted
from keyweave_agents.service.streams.ports import StreamKeys
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, SaeId

Pair = tuple[SaeId, SaeId]

REST_S = 5.0
"""How long a pair may be without a stream; who closes one often opens the next."""

REST_AFTER_START_S = 60.0
"""... when the process has just begun, and applications have yet to come back."""


@dataclass(slots=True)
class _Record:
    app_id: AppId
    due_s: float | None = None  # when it is given back; None while a stream of the pair is open


class Borrowed:
    """The associations that streams of this key manager asked for."""

    def __init__(self, keys: StreamKeys, shelf: Shelf | None, now_s: float) -> None:
        self._keys = keys
        self._shelf = shelf
        self._records: dict[Pair, _Record] = {}
        for raw_id, value in () if shelf is None else shelf.items():
            server, client = json.loads(bytes(value))
            app_id = AppId(str(UUID(bytes=raw_id)))
            self._records[SaeId(server), SaeId(client)] = _Record(app_id, now_s + REST_AFTER_START_S)

    def want(self, ksid: bytes, pair: Pair, qos: AppQos, priority: int) -> None:
        """Ask for an association of the pair, unless there is one."""
        if self._keys.between(*pair) is not None:
            return
        app_id = AppId(str(UUID(bytes=ksid)))
        self._forget(pair)
        self._records[pair] = _Record(app_id)
        if self._shelf is not None:
            self._shelf.put(ksid, json.dumps(pair).encode(), lazy=True)
        server, client = pair
        self._keys.want(
            AssociationWanted(server=server, clients=(client,), qos=qos, priority=priority, app_id=app_id)
        )

    def tick(self, in_use: Collection[Pair], now_s: float) -> None:
        """Give back what no stream has used for a while; `in_use` are the pairs with an open stream."""
        for pair, record in list(self._records.items()):
            if pair in in_use:
                record.due_s = None
            elif record.due_s is None:
                record.due_s = now_s + REST_S
            elif now_s >= record.due_s:
                ends = self._keys.between(*pair)
                if ends is not None and ends.app_id == record.app_id:
                    self._keys.give_back(record.app_id)
                self._forget(pair)

    def _forget(self, pair: Pair) -> None:
        record = self._records.pop(pair, None)
        if record is not None and self._shelf is not None:
            self._shelf.delete(UUID(record.app_id).bytes, lazy=True)
