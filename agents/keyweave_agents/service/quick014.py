"""Key delivery without waiting: requests for keys that lie ready, many answered by one turn of the loop.

    take a request -> draw keys -> ... other requests of this turn ... -> durable -> audit record -> answers

Rule of this file: a request that is simple and can be answered now is; everything else (errors of any kind,
multicast, extensions, keys that have to be waited for) is left untouched to `etsi014`, which explains. An
answer leaves after the ledger and the audit record have what it follows from. Keys that were drawn and cannot
leave (no ledger, no record, the client gone) are wiped: nobody ever gets them.
"""

from dataclasses import dataclass

from keyweave_agents.keys.plan import KeyBundle
from keyweave_agents.keys.ports import KeyDraw
from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.answers014 import explain, route
from keyweave_agents.service.audit import CLIENT_GONE, AuditFailed
from keyweave_agents.service.container import key_container
from keyweave_agents.service.desk014 import Desk
from keyweave_agents.service.extensions014 import NO_WISHES
from keyweave_agents.service.http_protocol import Exchange
from keyweave_core.errors import KeyweaveError
from keyweave_core.model.ids import SaeId

_MOST_QUERIES = 4096


@dataclass(slots=True)
class _Drawn:
    """An answer on its way: keys that were drawn for somebody."""

    exchange: Exchange
    method: str
    caller: SaeId
    master: SaeId
    slave: SaeId
    bundles: tuple[KeyBundle, ...]
    started_s: float


class QuickDelivery:
    """Takes what it can answer without waiting (`http_protocol.QuickHandler`)."""

    def __init__(self, desk: Desk, keys: KeyDraw) -> None:
        self._desk = desk
        self._keys = keys
        self._drawn: list[_Drawn] = []
        self._queries: dict[bytes, wire.KeyRequest] = {}

    def __call__(self, exchange: Exchange) -> bool:
        """Take the request (True) or leave it."""
        desk = self._desk
        clock = desk.clock
        started_s = clock.monotonic()
        if desk.audit_broken:
            return False
        path, _, query = exchange.url.partition(b"?")
        try:
            caller = desk.callers.of(exchange.connection, clock.now(), started_s)
            target = route(path)
            if target is None or target[1] == caller:
                return False
            method, other = target
            if method == "enc_keys":
                request = self._key_request(exchange, query)
                if request is None:
                    return False
                bundles = self._keys.draw(caller, other, request.number, request.size_bits)
                master, slave = caller, other
            elif method == "dec_keys":
                ids = self._id_request(exchange, query)
                if ids is None:
                    return False
                bundles = self._keys.fetch(caller, other, ids)
                master, slave = other, caller
            else:
                if exchange.method != b"GET" or query or exchange.body:
                    return False
                exchange.reply(200, desk.status(caller, other))
                desk.log_request(caller, method, 0, 200, started_s)
                return True
        except KeyweaveError:
            return False  # asked again, it is explained
        if bundles is None:
            return False
        self._drawn.append(_Drawn(exchange, method, caller, master, slave, bundles, started_s))
        if len(self._drawn) == 1:
            self._keys.once_durable(self._answer)
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

    def _id_request(self, exchange: Exchange, query: bytes) -> bytes | None:
        settings = self._desk.settings
        if exchange.method == b"GET" and not exchange.body:
            return wire.key_ids_of_query(query, settings).key_ids
        if exchange.method != b"POST" or query:
            return None
        request = wire.key_ids_of_body(exchange.body, settings)
        return request.key_ids if request.wishes is NO_WISHES else None

    def _answer(self, error: Exception | None) -> None:
        """All that was drawn up to now is durable, or cannot be made so."""
        drawn, self._drawn = self._drawn, []
        desk = self._desk
        if error is None:
            try:
                for one in drawn:
                    status = CLIENT_GONE if one.exchange.connection.gone else 200
                    desk.record(one.method, one.caller, one.master, (one.slave,), one.bundles, status)
                desk.flush()
            except AuditFailed as failure:
                error = failure
        if error is not None:
            status, body, headers = explain(error, wait_s=desk.settings.request_wait_s)
        for one in drawn:
            if error is None:
                one.exchange.reply(200, key_container(one.bundles))
            else:
                one.exchange.reply(status, body, headers)
            for bundle in one.bundles:
                bundle.keys.wipe()
            if desk.settings.access_log:
                count = sum(bundle.count for bundle in one.bundles) if error is None else 0
                status = 200 if error is None else status
                desk.log_request(one.caller, one.method, count, status, one.started_s)
