"""Key delivery without waiting: requests for keys that lie ready, many answered by one turn of the loop.

    requests of this turn -> draw keys for all of them -> durable -> audit record -> answers

Rule of this file: a request that is simple and can be answered now is; everything else (errors of any kind,
multicast, extensions, keys that have to be waited for) is left untouched to `delivery014`, which explains. An
answer leaves after the ledger and the audit record have what it follows from. Keys that were drawn and cannot
leave (no ledger, no record, the client gone) are wiped: nobody ever gets them.
"""

import asyncio
from dataclasses import dataclass

from keyweave_agents.keys.plan import KeyBundle
from keyweave_agents.keys.ports import KeyDraw
from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.answers014 import explain, route
from keyweave_agents.service.audit import CLIENT_GONE, AuditFailed
from keyweave_agents.service.container import Piece, container_of
from keyweave_agents.service.desk014 import Desk
from keyweave_agents.service.exchange import Exchange
from keyweave_agents.service.extensions014 import NO_WISHES
from keyweave_core.errors import Exhausted, KeyweaveError
from keyweave_core.model.ids import SaeId

_MOST_QUERIES = 4096


@dataclass(slots=True, eq=False)
class _Task:
    """A request that was taken, and the keys that were drawn for it. `number` and `size_bits` of enc_keys."""

    exchange: Exchange
    method: str
    caller: SaeId
    master: SaeId
    slave: SaeId
    started_s: float
    number: int = 0
    size_bits: int = 0
    pieces: tuple[Piece, ...] = ()


class QuickDelivery:
    """Takes what it can answer without waiting (`exchange.QuickHandler`)."""

    def __init__(self, desk: Desk, keys: KeyDraw) -> None:
        self._desk = desk
        self._keys = keys
        self._wanted: list[_Task] = []
        self._drawn: list[_Task] = []
        self._bundles: list[KeyBundle] = []
        self._queries: dict[bytes, wire.KeyRequest] = {}

    def __call__(self, exchange: Exchange) -> bool:
        """Take the request (True) or leave it."""
        desk = self._desk
        if desk.audit_broken:
            return False
        started_s = desk.clock.monotonic()
        path, _, query = exchange.url.partition(b"?")
        try:
            caller = desk.callers.of(exchange.connection, desk.clock.now(), started_s)
            target = route(path)
            if target is None or target[1] == caller:
                return False
            method, other = target
            if method == "enc_keys":
                return self._enc_keys(_Task(exchange, method, caller, caller, other, started_s), query)
            if method == "dec_keys":
                return self._dec_keys(_Task(exchange, method, caller, other, caller, started_s), query)
        except KeyweaveError:
            return False  # asked again, it is explained
        if exchange.method != b"GET" or query or exchange.body:
            return False
        exchange.reply(200, desk.status(caller, other))
        desk.log_request(caller, method, 0, 200, started_s)
        return True

    # --- requests --------------------------------------------------------------------------------

    def _enc_keys(self, task: _Task, query: bytes) -> bool:
        request = self._key_request(task.exchange, query)
        if request is None:
            return False
        task.number, task.size_bits = request.number, request.size_bits
        self._wanted.append(task)
        if len(self._wanted) == 1:
            asyncio.get_running_loop().call_soon(self._draw)
        return True

    def _key_request(self, exchange: Exchange, query: bytes) -> wire.KeyRequest | None:
        settings = self._desk.settings
        if exchange.method == b"GET" and not exchange.body:
            request = self._queries.get(query)
            if request is None:
                request = wire.key_request_of_query(query, settings)
                if len(self._queries) >= _MOST_QUERIES:
                    self._queries.clear()
                self._queries[query] = request
            return request
        if exchange.method != b"POST" or query:
            return None
        request = wire.key_request_of_body(exchange.body, settings)
        return request if not request.also and request.wishes is NO_WISHES else None

    def _dec_keys(self, task: _Task, query: bytes) -> bool:
        exchange, settings = task.exchange, self._desk.settings
        if exchange.method == b"GET" and not exchange.body:
            request = wire.key_ids_of_query(query, settings)
        elif exchange.method == b"POST" and not query:
            request = wire.key_ids_of_body(exchange.body, settings)
        else:
            return False
        if request.wishes is not NO_WISHES:
            return False
        bundles = self._keys.fetch(task.caller, task.master, request.key_ids)
        if bundles is None:
            return False
        self._deal([task], bundles)
        return True

    # --- keys ------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Keys for all who asked in this turn: those of one pair and size together."""
        wanted, self._wanted = self._wanted, []
        groups: dict[tuple[SaeId, SaeId, int], list[_Task]] = {}
        for task in wanted:
            if not task.exchange.connection.gone:
                groups.setdefault((task.caller, task.slave, task.size_bits), []).append(task)
        for group in groups.values():
            if not self._serve(group):
                for task in group:  # not enough for all: the first come are served
                    if (len(group) == 1 or not self._serve([task])) and not task.exchange.leave():
                        late = Exhausted("no key lies ready, and further requests wait behind this one")
                        task.exchange.reply(*explain(late, wait_s=0))

    def _serve(self, group: list[_Task]) -> bool:
        first = group[0]
        number = first.number if len(group) == 1 else sum(task.number for task in group)
        try:
            bundles = self._keys.draw(first.caller, first.slave, number, first.size_bits)
        except KeyweaveError:
            return False  # asked again, it is explained
        if bundles is None:
            return False
        self._deal(group, bundles)
        return True

    def _deal(self, group: list[_Task], bundles: tuple[KeyBundle, ...]) -> None:
        """Give each task its share of what was drawn for all."""
        self._bundles += bundles
        if len(group) == 1:
            group[0].pieces = tuple((bundle, 0, bundle.count) for bundle in bundles)
        else:
            left = iter(bundles)
            bundle, first = next(left), 0
            for task in group:
                pieces: list[Piece] = []
                missing = task.number
                while missing:
                    if first == bundle.count:
                        bundle, first = next(left), 0
                    count = min(missing, bundle.count - first)
                    pieces.append((bundle, first, count))
                    first += count
                    missing -= count
                task.pieces = tuple(pieces)
        if not self._drawn:
            self._keys.once_durable(self._answer)
        self._drawn += group

    def _answer(self, error: Exception | None) -> None:
        """All that was drawn up to now is durable, or cannot be made so."""
        drawn, self._drawn = self._drawn, []
        bundles, self._bundles = self._bundles, []
        desk = self._desk
        if error is None:
            try:
                for task in drawn:
                    status = CLIENT_GONE if task.exchange.connection.gone else 200
                    desk.record(task.method, task.caller, task.master, (task.slave,), task.pieces, status)
                desk.flush()
            except AuditFailed as failure:
                error = failure
        if error is None:
            for task in drawn:
                task.exchange.reply(200, container_of(task.pieces))
        else:
            answer = explain(error, wait_s=desk.settings.request_wait_s)
            for task in drawn:
                task.exchange.reply(*answer)
        for bundle in bundles:
            bundle.keys.wipe()
        if desk.settings.access_log:
            for task in drawn:
                count = sum(piece[2] for piece in task.pieces) if error is None else 0
                status = 200 if error is None else answer[0]
                desk.log_request(task.caller, task.method, count, status, task.started_s)
