"""Key delivery on the way that may wait: status, enc_keys and dec_keys of ETSI GS QKD 014 V1.1.1.

    answer  body             when
    200     the data         done
    400     error object     the request is wrong or was refused; nothing was taken
    401     none             no consumer of this agent, or keys of other applications
    404     error object     no such path
    405     error object     the path exists, the verb does not fit
    413     error object     the body is above the cap
    503     error object     no key now (or a fault of ours); the same request may succeed later

Rule of this file: an answer is made of what the caller sent, of ids and of keys, and is recorded before it is
given (`desk014`). Here stands the way on which a request may wait; what can be answered at once is taken by
`quick014` before. A plain ASGI application without a framework: three paths want no router.
"""

import asyncio
from collections.abc import Sequence

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from keyweave_agents.keys.plan import MADE_IN, KeyBundle, bundles
from keyweave_agents.keys.ports import KeyDraw, KeySupply
from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.answers014 import (
    NOT_AUTHORISED,
    UNAVAILABLE,
    VERBS,
    Answer,
    Headers,
    Method,
    error_answer,
    explain,
    route,
)
from keyweave_agents.service.audit import CLIENT_GONE, AuditFailed
from keyweave_agents.service.bodies014 import body_of, no_body
from keyweave_agents.service.container import key_container
from keyweave_agents.service.desk014 import Desk
from keyweave_agents.service.extensions014 import Wishes, unmet
from keyweave_agents.service.https import ClientGone, Connection
from keyweave_agents.service.settings import ConsumerSettings
from keyweave_core.errors import Refused, Unavailable
from keyweave_core.model.application import AppQos, KeyOrigin
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.log import get_logger

_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")

Keys = tuple[KeyBundle, ...]


class _Task:
    """One request as far as it is known."""

    __slots__ = ("caller", "keys", "method", "other", "slaves", "wishes")

    def __init__(self) -> None:
        self.caller: SaeId | None = None
        self.method: Method | None = None
        self.other: SaeId | None = None
        self.slaves: tuple[SaeId, ...] = ()
        self.keys: Keys = ()
        self.wishes = Wishes()


class KeyDelivery:
    """The ASGI application. It expects `scope["state"]["connection"]` (`service.https`).

    `draw` is asked for keys of a demanded origin; without one they are as they come, or refused.
    """

    def __init__(
        self, desk: Desk, consumers: Sequence[ConsumerSettings], keys: KeySupply, draw: KeyDraw | None = None
    ) -> None:
        self._desk = desk
        self._settings = desk.settings
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
        self._draw = draw
        self._log = get_logger("service")

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        desk = self._desk
        started_s = desk.clock.monotonic()
        connection: Connection = scope["state"]["connection"]
        task = _Task()
        headers: Headers = ()
        try:
            body = await self._body_of_answer(task, connection, scope, receive)
            status = 200
        except Answer as answer:
            status, body, headers = answer.status, answer.body, answer.headers
        except ClientGone:
            status, body = CLIENT_GONE, b""  # for the records alone
        except asyncio.CancelledError:
            # Only `HttpsServer.close` cancels; uvicorn would log a fault and answer 500.
            status, body, headers = 503, wire.error_body("this key manager is stopping"), (_CLOSE,)
        except Exception as error:  # noqa: BLE001 - the seam: whatever the key manager raises gets an answer
            status, body, headers = explain(error, wait_s=self._settings.request_wait_s)
            if status == UNAVAILABLE and not isinstance(error, Unavailable):
                self._log.error("request_failed", exc_info=error)
        if status == 200 and connection.gone:
            status = CLIENT_GONE
        try:
            self._record(task, status)
        except AuditFailed as error:
            if task.keys:
                status, body, headers = explain(error, wait_s=self._settings.request_wait_s)
        count = sum(bundle.count for bundle in task.keys) if status == 200 else 0
        for bundle in task.keys:
            bundle.keys.wipe()  # the answer holds the copy
        desk.log_request(task.caller, task.method or "", count, status, started_s)
        if status == CLIENT_GONE:
            return
        length = (b"content-length", b"%d" % len(body))
        start = [_JSON, length, *headers] if body else [length, *headers]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _record(self, task: _Task, status: int) -> None:
        if task.method in (None, "status") or task.caller is None or task.other is None:
            return
        master, slaves = (
            (task.caller, (task.other, *task.slaves))
            if task.method == "enc_keys"
            else (task.other, (task.caller,))
        )
        pieces = [(bundle, 0, bundle.count) for bundle in task.keys]
        self._desk.record(task.method, task.caller, master, slaves, pieces, status)
        self._desk.flush()

    async def _body_of_answer(
        self, task: _Task, connection: Connection, scope: HTTPScope, receive: ASGIReceiveCallable
    ) -> bytes:
        caller = task.caller = self._caller(connection)
        task.method, other = self._target(scope)
        task.other = other
        if task.method == "status":
            await no_body(scope, receive, self._settings.max_body_bytes)
            if scope["query_string"]:
                raise error_answer(400, "status takes no parameters")
            self._refuse_self(caller, other)
            return self._desk.status(caller, other)
        if task.method == "enc_keys":
            await self._enc_keys(task, caller, other, connection, scope, receive)
        else:
            await self._dec_keys(task, caller, other, scope, receive)
        return key_container(task.keys, tell_link=task.wishes.tell_link, tell_origin=task.wishes.tell_origin)

    def _caller(self, connection: Connection) -> SaeId:
        """The consumer at the other end."""
        desk = self._desk
        try:
            return desk.callers.of(connection, desk.clock.now(), desk.clock.monotonic())
        except Refused as refusal:
            raise Answer(NOT_AUTHORISED, b"") from refusal

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

    async def _enc_keys(
        self,
        task: _Task,
        caller: SaeId,
        other: SaeId,
        connection: Connection,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
    ) -> None:
        if scope["method"] == "GET":
            await no_body(scope, receive, self._settings.max_body_bytes)
            request = wire.key_request_of_query(scope["query_string"], self._settings)
        else:
            body = await body_of(scope, receive, self._settings.max_body_bytes)
            request = wire.key_request_of_body(body, self._settings)
        task.slaves, task.wishes = request.also, request.wishes
        for slave in (other, *request.also):
            self._refuse_self(caller, slave)
        self._desk.check()
        qos, priority = self._wishes[caller]
        with connection.while_waiting():
            if request.wishes.origins is not None:
                drawn = await self._of_origins(caller, other, request, request.wishes.origins)
                if drawn is not None:
                    task.keys = drawn
                    return
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
        keys = bundles(supplied)
        origins = request.wishes.origins
        if origins is not None and any(bundle.origin not in origins for bundle in keys):
            for bundle in keys:  # a fallback began while the request waited
                bundle.keys.wipe()
            raise unmet(origins)
        task.keys = keys

    async def _of_origins(
        self, caller: SaeId, other: SaeId, request: wire.KeyRequest, origins: frozenset[KeyOrigin]
    ) -> Keys | None:
        """Ready keys of these origins; None: keys that come will be. MandatoryFailed: they will not."""
        status = self._keys.status(caller, other)
        if status is None:
            return None  # no association yet: what comes is looked at
        made = MADE_IN[status.mode]
        if not origins & made:
            raise unmet(origins)
        if origins >= made:
            return None
        if self._draw is None or request.also:
            raise unmet(origins)
        drawn = self._draw.draw(caller, other, request.number, request.size_bits, origins=origins)
        if drawn is None:
            raise unmet(origins)
        await _durable(self._draw, drawn)
        return drawn

    async def _dec_keys(
        self, task: _Task, caller: SaeId, other: SaeId, scope: HTTPScope, receive: ASGIReceiveCallable
    ) -> None:
        if scope["method"] == "GET":
            await no_body(scope, receive, self._settings.max_body_bytes)
            request = wire.key_ids_of_query(scope["query_string"], self._settings)
        else:
            request = wire.key_ids_of_body(
                await body_of(scope, receive, self._settings.max_body_bytes), self._settings
            )
        task.wishes = request.wishes
        self._refuse_self(caller, other)
        self._desk.check()
        task.keys = bundles(await self._keys.get_keys_by_id(caller, other, request.texts))

    def _refuse_self(self, caller: SaeId, other: SaeId) -> None:
        if caller == other:
            raise error_answer(400, "master and slave are the same SAE; the path names the other one")


async def _durable(draw: KeyDraw, drawn: Keys) -> None:
    """Wait until what was drawn may leave; wiped when it may not."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    draw.once_durable(told)
    try:
        await done
    except BaseException:
        for bundle in drawn:
            bundle.keys.wipe()
        raise
