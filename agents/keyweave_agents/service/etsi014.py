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
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote_to_bytes

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from keyweave_agents.keys.failures import KeysNotFound, NotEntitled
from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.keys.ports import KeySupply
from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.callers import Callers, is_sae_id
from keyweave_agents.service.https import ClientGone, Connection, HttpsServer
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.errors import DeadlineExceeded, Exhausted, InvalidInput, Refused, Unavailable
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

Method = Literal["status", "enc_keys", "dec_keys"]

_VERBS: dict[str, tuple[str, ...]] = {
    "status": ("GET",),
    "enc_keys": ("GET", "POST"),
    "dec_keys": ("GET", "POST"),
}
_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")


class _Answer(Exception):
    """Leave the work with this answer (used for everything that is not 200)."""

    def __init__(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def _error(status: int, message: str, details: wire.Details = (), *headers: tuple[bytes, bytes]) -> _Answer:
    return _Answer(status, wire.error_body(message, details), *headers)


_NOT_AUTHORISED = 401


@lru_cache(maxsize=4096)
def route(raw_path: bytes) -> tuple[Method, SaeId] | None:
    """The method and the other application that a path names; None when there is no such path.

    `raw_path` is what stood in the request line, so that an SAE id may contain an encoded `/`. Raises
    BadRequest when the id is no URL-encoded UTF-8 or no possible id.
    """
    parts = raw_path.split(b"/")
    if len(parts) != 6 or parts[:4] != [b"", b"api", b"v1", b"keys"] or not parts[4]:
        return None
    method = parts[5].decode("latin-1")
    if method not in _VERBS:
        return None
    try:
        sae = unquote_to_bytes(parts[4]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise wire.BadRequest("the SAE id in the path is not URL-encoded UTF-8") from error
    if not is_sae_id(sae):
        raise wire.BadRequest("the SAE id in the path is too long or not printable")
    return method, SaeId(sae)  # type: ignore[return-value]  # `method` is a key of _VERBS


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
        except _Answer as answer:
            status, body, headers = answer.status, answer.body, answer.headers
        except ClientGone:
            status, body = 499, b""  # for the log alone
        except asyncio.CancelledError:
            # Only `HttpsServer.close` cancels; uvicorn would log a fault and answer 500.
            status, body, headers = 503, wire.error_body("this key manager is stopping"), (_CLOSE,)
        except Exception as error:  # noqa: BLE001 - the seam: whatever the key manager raises gets an answer
            status, body = self._explain(error)
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
            raise _Answer(_NOT_AUTHORISED, b"")
        caller: SaeId = note
        return caller

    def _target(self, scope: HTTPScope) -> tuple[Method, SaeId]:
        target = route(scope["raw_path"])
        if target is None:
            raise _error(404, "no such path; this is ETSI GS QKD 014 at /api/v1/keys/{SAE_ID}/{method}")
        verbs = _VERBS[target[0]]
        if scope["method"] not in verbs:
            raise _error(
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
                max_SAE_ID_count=wire.MAX_SAE_ID_COUNT,
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
        self._refuse_self(caller, other)
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
        return _delivered(self._keys.get_keys_by_id(caller, other, key_ids))

    def _refuse_self(self, caller: SaeId, other: SaeId) -> None:
        if caller == other:
            raise _error(400, "master and slave are the same SAE; the path names the other one")

    async def _no_body(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        for name, value in scope["headers"]:
            if (name == b"content-length" and value.strip(b" 0")) or name == b"transfer-encoding":
                await self._body(scope, receive)
                raise _error(400, "GET takes no body; use POST")

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
            raise _error(400, "POST takes its parameters in the body, not in the query")
        return b"".join(parts)

    def _too_large(self) -> _Answer:
        # Not closed: a reset would take the answer from a client that is still sending. What it sends on is
        # thrown away, and `receive_s` ends a body that does not end.
        return _error(413, f"the body is larger than {self._settings.max_body_bytes} bytes")

    def _explain(self, error: Exception) -> tuple[int, bytes]:
        match error:
            case wire.BadRequest():
                return 400, wire.error_body(error.message, error.details)
            case NotEntitled():
                return _NOT_AUTHORISED, b""
            case KeysNotFound():
                return 400, wire.error_body(
                    wire.KEYS_NOT_FOUND, [{"key_ID": key_id} for key_id in error.key_ids]
                )
            case Refused():
                return 400, wire.error_body(
                    "the request was refused", [{"reason": reason} for reason in error.reasons]
                )
            case InvalidInput():
                return 400, wire.error_body(str(error))
            case DeadlineExceeded():
                wait_s = self._settings.request_wait_s
                return 503, wire.error_body(f"no key became available within {wait_s:g} s", _reasons(error))
            case Exhausted():
                return 503, wire.error_body("no key available", _reasons(error))
            case Unavailable():
                return 503, wire.error_body("the key manager cannot do this now", _reasons(error))
            case _:
                self._log.error("request_failed", exc_info=error)
                return 503, wire.error_body(wire.ACCESS_ERROR)


def _delivered(supplied: Sequence[SuppliedKey], *, with_link: bool = False) -> tuple[bytes, int]:
    """The answer with these keys, and how many; their own bytes are wiped, the answer holds the copy."""
    body = wire.key_container(supplied, with_link=with_link)
    for entry in supplied:
        entry.key.wipe()
    return body, len(supplied)


def _reasons(error: Exception) -> wire.Details:
    return [{"reason": str(error)}] if str(error) else ()


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
