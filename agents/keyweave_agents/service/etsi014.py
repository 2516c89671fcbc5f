"""Key delivery: the REST API of ETSI GS QKD 014 V1.1.1 (status, enc_keys, dec_keys).

    answer  body             when
    200     the data         done
    400     error object     the request is wrong or was refused; nothing was taken
    401     none             no consumer of this agent, or keys of other applications
    404     error object     no such path
    405     error object     the path exists, the verb does not fit
    413     error object     the body is above the cap
    503     error object     no key now (or a fault of ours); the same request may succeed later

Rule of this file: an answer is made of what the caller sent, of ids and of keys; the log line of a
request has the caller, the method, counts, status and duration, and never an id of a key or its bytes.
A plain ASGI application without a framework: three paths want no router, and this is the hot path.
"""

import asyncio
from collections.abc import Iterable, Sequence

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.keys.ports import KeySupply
from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.answers014 import (
    NOT_AUTHORISED,
    UNAVAILABLE,
    VERBS,
    Answer,
    Method,
    error_answer,
    explain,
    route,
)
from keyweave_agents.service.callers import Callers
from keyweave_agents.service.https import ClientGone, Connection, HttpsServer
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.errors import Refused, Unavailable
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")


class KeyDelivery:
    """The ASGI application. It expects `scope["state"]["connection"]` (`service.https`)."""

    def __init__(
        self,
        settings: ServiceSettings,
        consumers: Sequence[ConsumerSettings],
        keys: KeySupply,
        clock: Clock,
        *,
        node_id: NodeId,
    ) -> None:
        self._settings = settings
        self._callers = Callers((consumer.sae_id for consumer in consumers), settings.sae_identity)
        self._wishes = {
            consumer.sae_id: (
                AppQos(
                    min_bandwidth_bps=consumer.min_bandwidth_bps,
                    max_bandwidth_bps=consumer.max_bandwidth_bps,
                    ttl_s=consumer.ttl_s,
                ),
                consumer.priority,
            )
            for consumer in consumers
        }
        self._keys = keys
        self._clock = clock
        self._kme_id = node_id
        self._log = get_logger("service")

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = self._clock.monotonic()
        connection: Connection = scope["state"]["connection"]
        caller: SaeId | None = None
        method = ""
        count = 0
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            caller = self._caller(connection)
            method, other = self._target(scope)
            if method == "status":
                body = self._status(caller, other)
            else:
                body, count = (
                    await self._enc_keys(caller, other, connection, scope, receive)
                    if method == "enc_keys"
                    else await self._dec_keys(caller, other, scope, receive)
                )
            status = 200
        except Answer as answer:
            status, body, headers = answer.status, answer.body, answer.headers
        except ClientGone:
            status, body = 499, b""  # for the log alone
        except asyncio.CancelledError:
            # Only `HttpsServer.close` cancels; uvicorn would log a fault and answer 500.
            status, body, headers = 503, wire.error_body("this key manager is stopping"), (_CLOSE,)
        except Exception as error:  # noqa: BLE001 - the seam: whatever the key manager raises gets an answer
            status, body = explain(error, wait_s=self._settings.request_wait_s)
            if status == UNAVAILABLE and not isinstance(error, Unavailable):
                self._log.error("request_failed", exc_info=error)
        if self._settings.access_log:
            self._log.info(
                "request",
                caller=caller,
                method=method,
                count=count,
                status=status,
                ms=round((self._clock.monotonic() - started) * 1000, 2),
            )
        if status == 499:
            return
        length = (b"content-length", b"%d" % len(body))
        start = [_JSON, length, *headers] if body else [length, *headers]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _caller(self, connection: Connection) -> SaeId:
        """The consumer at the other end; its certificate is looked at once a connection."""
        note = connection.note
        if note is None:
            try:
                note = self._callers.caller(connection.names)
            except Refused as refusal:
                self._log.warning("caller_refused", reason=str(refusal))
                note = refusal
            connection.note = note
        if isinstance(note, Refused):
            raise Answer(NOT_AUTHORISED, b"")
        caller: SaeId = note
        return caller

    def _target(self, scope: HTTPScope) -> tuple[Method, SaeId]:
        target = route(scope["raw_path"])
        if target is None:
            raise error_answer(404, "no such path; this is ETSI GS QKD 014 at /api/v1/keys/{SAE_ID}/{method}")
        verbs = VERBS[target[0]]
        if scope["method"] not in verbs:
            raise error_answer(
                405, f"{target[0]} takes {' and '.join(verbs)}", (), (b"allow", ", ".join(verbs).encode())
            )
        return target

    def _status(self, caller: SaeId, other: SaeId) -> bytes:
        self._refuse_self(caller, other)
        store = self._keys.status(caller, other)
        if store is not None and store.remote_node is not None:
            target = str(store.remote_node)
        else:
            # Not known before the controller has joined the two; known when both are ours.
            target = self._kme_id if self._callers.serves(other) else ""
        settings = self._settings
        return wire.status_body(
            wire.Status(
                source_KME_ID=self._kme_id,
                target_KME_ID=target,
                master_SAE_ID=caller,
                slave_SAE_ID=other,
                key_size=settings.default_key_bits,
                stored_key_count=0 if store is None else store.stored_key_count,
                max_key_count=settings.max_key_count if store is None else store.max_key_count,
                max_key_per_request=settings.max_keys_per_request,
                max_key_size=settings.max_key_bits,
                min_key_size=settings.min_key_bits,
                max_SAE_ID_count=settings.max_additional_slaves,
            )
        )

    async def _enc_keys(
        self,
        caller: SaeId,
        other: SaeId,
        connection: Connection,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
    ) -> tuple[bytes, int]:
        if scope["method"] == "GET":
            await self._no_body(scope, receive)
            request = wire.key_request_of_query(scope["query_string"], self._settings)
        else:
            body = await self._body(scope, receive)
            request = wire.key_request_of_body(body, self._settings)
        for slave in (other, *request.also):
            self._refuse_self(caller, slave)
        qos, priority = self._wishes[caller]
        with connection.while_waiting():
            supplied = await self._keys.get_keys(
                caller,
                other,
                request.number,
                request.size_bits,
                self._settings.request_wait_s,
                qos=qos,
                priority=priority,
                also=request.also,
            )
        return _delivered(supplied, with_link=request.with_link)

    async def _dec_keys(
        self, caller: SaeId, other: SaeId, scope: HTTPScope, receive: ASGIReceiveCallable
    ) -> tuple[bytes, int]:
        if scope["method"] == "GET":
            await self._no_body(scope, receive)
            key_ids = wire.key_ids_of_query(scope["query_string"], self._settings)
        else:
            key_ids = wire.key_ids_of_body(await self._body(scope, receive), self._settings)
        self._refuse_self(caller, other)
        return _delivered(await self._keys.get_keys_by_id(caller, other, key_ids))

    def _refuse_self(self, caller: SaeId, other: SaeId) -> None:
        if caller == other:
            raise error_answer(400, "master and slave are the same SAE; the path names the other one")

    async def _no_body(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        for name, value in scope["headers"]:
            if (name == b"content-length" and value.strip(b" 0")) or name == b"transfer-encoding":
                await self._body(scope, receive)
                raise error_answer(400, "GET takes no body; use POST")

    async def _body(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> bytes:
        """The body of a request, read to its end; 413 above the cap, 400 for a query beside it."""
        cap = self._settings.max_body_bytes
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > cap:
                raise self._too_large()
        parts: list[bytes] = []
        total = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            parts.append(message["body"])
            total += len(message["body"])
            if total > cap:
                raise self._too_large()
            if not message["more_body"]:
                break
        if scope["query_string"] and scope["method"] == "POST":
            raise error_answer(400, "POST takes its parameters in the body, not in the query")
        return b"".join(parts)

    def _too_large(self) -> Answer:
        # Not closed: a reset would take the answer from a client that is still sending. What it sends on is
        # thrown away, and `receive_s` ends a body that does not end.
        return error_answer(413, f"the body is larger than {self._settings.max_body_bytes} bytes")


def _delivered(supplied: Sequence[SuppliedKey], *, with_link: bool = False) -> tuple[bytes, int]:
    """The answer with these keys, and how many; their own bytes are wiped, the answer holds the copy."""
    body = wire.key_container(supplied, with_link=with_link)
    for entry in supplied:
        entry.key.wipe()
    return body, len(supplied)


class Etsi014Server:
    """Key delivery of one agent on its own port; it runs inside the loop of its caller."""

    def __init__(
        self,
        settings: ServiceSettings,
        consumers: Iterable[ConsumerSettings],
        keys: KeySupply,
        clock: Clock,
        *,
        node_id: NodeId,
    ) -> None:
        """`node_id` is also the KME id: whoever knows a node (the controller, the other end) knows it."""
        app = KeyDelivery(settings, tuple(consumers), keys, clock, node_id=node_id)
        self._server = HttpsServer(app, settings, clock)

    async def start(self) -> int:
        """Serve; returns the port. Raises SettingsError (a TLS file, or the address cannot be had)."""
        return await self._server.start()

    async def close(self) -> None:
        """Stop: running requests get `close_s` to end. Idempotent."""
        await self._server.close()
