"""The border towards key managers of other networks: the REST API of ETSI GS QKD 020 V1.1.1.

    GET  /kmapi/versions             what we speak
    POST /kmapi/v1/ext_keys          keys for applications of ours: 202, or 200 with what became of them
    POST /kmapi/v1/ext_keys/ack      what became of keys that we handed over: 200
    POST /kmapi/v1/ext_keys/void     keys taken back: 202, or 200 with what became of them

    answer  body      when
    400     problem   the request is wrong or not for us; of its keys nothing is kept
    401     problem   no peer of this border
    404 405 413       problem: no such path, verb, or size
    408     problem   a request without a callback was not done in time; its keys are kept, ask again
    503     problem   not now, or beyond us

Rule of this file: 200 and 202 leave when the ledger has what they say. A callback is only ever one that the
settings give this very peer. The log has peers, methods, counts and statuses, never ids of keys.
"""

import asyncio
import contextlib
from collections.abc import Callable

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from keyweave_agents.keys.border.failures import Problem, Refusal
from keyweave_agents.keys.border.values import Acked
from keyweave_agents.keys.buffers import TokenBucket
from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.service import wire020 as wire
from keyweave_agents.service import write020 as write
from keyweave_agents.service.answers020 import Plain, method_of, problem_answer
from keyweave_agents.service.bodies import BodyTooLarge, read_body
from keyweave_agents.service.exchange020 import BorderExchange, own_callback
from keyweave_agents.service.https import ClientGone, Connection, HttpsServer
from keyweave_agents.service.peers020 import BorderPeers
from keyweave_agents.service.settings020 import Etsi020Settings, PeerSettings
from keyweave_core.errors import KeyweaveError, Refused, SettingsError, Unavailable
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import client_context

_CLOSE = (b"connection", b"close")

Told = tuple[int, bytes, int]
"""Status, body, and how many keys it was about."""


class BorderDoor:
    """The ASGI application. It expects `scope["state"]["connection"]` (`service.https`)."""

    def __init__(self, settings: Etsi020Settings, peers: BorderPeers, keys: KeyManager, clock: Clock) -> None:
        self._settings = settings
        self._peers = peers
        self._keys = keys
        self._clock = clock
        self._changed: set[asyncio.Event] = set()
        rate = settings.max_requests_per_s
        self._rates = {name: TokenBucket(rate, 2 * rate + 1, clock.monotonic()) for name in peers.by_name}
        self._log = get_logger("border")

    def stir(self) -> None:
        """Something may have come to an end."""
        for event in self._changed:
            event.set()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started_s = self._clock.monotonic()
        connection: Connection = scope["state"]["connection"]
        peer: PeerSettings | None = None
        method, count, kind = "", 0, wire.JSON_TYPE
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            peer = self._peer(connection)
            method = method_of(scope)
            status, body, count = await self._do(method, peer, connection, scope, receive)
        except ClientGone:
            status, body = 499, b""  # for the log alone
        except asyncio.CancelledError:
            # Only `HttpsServer.close` cancels; uvicorn would log a fault and answer 500.
            status, body, kind = (
                *problem_answer(Problem.GENERAL, "this key manager is stopping"),
                wire.PROBLEM_TYPE,
            )
            headers = (_CLOSE,)
        except Plain as answer:
            status, headers, kind = answer.status, answer.headers, wire.PROBLEM_TYPE
            body = write.problem_body(Problem.INVALID_PARAMETER.ending, status, answer.title, {})
        except Exception as error:  # noqa: BLE001 - the seam: whatever the border raises gets an answer
            status, body = self._explain(error)
            kind = wire.PROBLEM_TYPE
        if self._settings.access_log:
            self._log.info(
                "request",
                peer=peer.name if peer else None,
                method=method,
                count=count,
                status=status,
                ms=round((self._clock.monotonic() - started_s) * 1000, 2),
            )
        if status == 499:
            return
        start = [(b"content-length", b"%d" % len(body)), *headers]
        if body:
            start.append((b"content-type", kind.encode("ascii")))
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _explain(self, error: Exception) -> tuple[int, bytes]:
        if isinstance(error, Refusal):
            return problem_answer(error.problem, error.title, error.details)
        if not isinstance(error, Unavailable):
            self._log.error("request_failed", exc_info=error)
        return problem_answer(Problem.GENERAL, "the key manager cannot do this now")

    def _peer(self, connection: Connection) -> PeerSettings:
        """Who calls; the certificate is looked at once a connection."""
        note = connection.note
        if note is None:
            try:
                note = self._peers.who(connection.names, connection.certificate.der())
            except Refused as refusal:
                self._log.warning("caller_refused", reason=str(refusal))
                note = refusal
            connection.note = note
        if isinstance(note, Refused):
            raise Refusal(Problem.UNAUTHORIZED, "the certificate is of no peer of this border")
        peer: PeerSettings = note
        return peer

    async def _do(
        self,
        method: str,
        peer: PeerSettings,
        connection: Connection,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
    ) -> Told:
        body = await self._body(scope, receive)
        if not self._rates[peer.name].take(1, self._clock.monotonic()):
            raise Refusal(Problem.GENERAL, "too many requests", {"rate": "exceeded"})
        match method:
            case "versions":
                return 200, write.versions_body(synchronous=self._settings.synchronous), 0
            case "ext_keys":
                return await self._ext_keys(peer, connection, body)
            case "ack":
                return await self._ack(peer, body)
            case _:
                return await self._void(peer, connection, body)

    async def _ext_keys(self, peer: PeerSettings, connection: Connection, body: bytes) -> Told:
        settings = self._settings
        offer = wire.read_keys(
            body,
            most_keys=settings.max_keys_per_request,
            min_bits=settings.min_key_bits,
            max_bits=settings.max_key_bits,
        )
        self._check_callback(peer, offer.callback)
        border = self._keys.border
        border.accept(peer.name, offer)
        await self._durable()
        key_ids = tuple(key.key_id for key in offer.keys)
        if offer.callback is not None:
            return 202, b"", len(key_ids)
        acks = await self._settled(connection, lambda: border.said(peer.name, offer.parties, key_ids))
        return 200, write.acks_body(acks), len(key_ids)

    async def _ack(self, peer: PeerSettings, body: bytes) -> Told:
        acks = wire.read_acks(body)
        try:
            self._keys.border.acked(peer.name, acks)
        finally:
            await self._durable()
        return 200, b"", sum(len(acked.key_ids) for acked in acks)

    async def _void(self, peer: PeerSettings, connection: Connection, body: bytes) -> Told:
        order = wire.read_void(body, most_keys=wire.MOST_KEYS)
        self._check_callback(peer, order.callback)
        job = self._keys.border.void(peer.name, order)
        await self._durable()
        if job.callback is not None:
            return 202, b"", len(job.key_ids)
        acks = await self._settled(connection, lambda: job.acks() if job.done else None)
        return 200, write.acks_body(acks), len(job.key_ids)

    def _check_callback(self, peer: PeerSettings, callback: str | None) -> None:
        if callback is None:
            if not self._settings.synchronous:
                raise Refusal(
                    Problem.MISSING_PARAMETERS,
                    "without ack_callback_url only where synchronous_mode is a capability",
                    {"missing": "ack_callback_url"},
                )
        elif peer.answers_at(callback) is None:
            raise Refusal(
                Problem.INVALID_PARAMETER,
                "the callback is none that this peer may name",
                {"ack_callback_url": callback},
            )

    async def _durable(self) -> None:
        self._keys.stir()
        await self._keys.durable()

    async def _settled(
        self, connection: Connection, acks: Callable[[], tuple[Acked, ...] | None]
    ) -> tuple[Acked, ...]:
        """Wait for the end of what was asked, at most `wait_s`; Refusal (TIMEOUT) when it does not come."""
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            with connection.while_waiting():
                async with asyncio.timeout(self._settings.wait_s):
                    while (found := acks()) is None:
                        await changed.wait()
                        changed.clear()
        except TimeoutError as error:
            raise Refusal(
                Problem.TIMEOUT, f"not done within {self._settings.wait_s:g} s; it goes on, ask again"
            ) from error
        finally:
            self._changed.discard(changed)
        await self._durable()
        return found

    async def _body(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> bytes:
        try:
            body = await read_body(scope, receive, self._settings.max_body_bytes)
        except BodyTooLarge as error:
            raise Plain(413, str(error)) from error
        if scope["query_string"]:
            raise Plain(400, "no method here takes a query")
        return body


class Etsi020Server:
    """The border of one agent: its server and what it sends, inside the loop of its caller."""

    def __init__(self, settings: Etsi020Settings, keys: KeyManager, clock: Clock) -> None:
        """Raises SettingsError (a TLS file)."""
        peers = BorderPeers(settings.peers)
        self._settings = settings
        # Who answers is known by the name that the settings give the peer, not by the name of its host.
        context = client_context(settings.tls, check_hostname=False)
        self._exchange = BorderExchange(settings, peers, keys, context, clock)
        self._door = BorderDoor(settings, peers, keys, clock)
        self._server = HttpsServer(self._door, settings.door, clock)
        self._sending: asyncio.Task[None] | None = None
        keys.border.stirred = self._stirred

    def _stirred(self) -> None:
        self._exchange.stir()
        self._door.stir()

    async def start(self) -> int:
        """Serve; returns the port. Raises SettingsError (a TLS file, or the address cannot be had)."""
        try:
            port = await self._server.start()
        except SettingsError as error:
            raise SettingsError(f"[etsi020]: {error}") from error
        self._exchange.callback = own_callback(self._settings, port)
        self._sending = asyncio.create_task(self._exchange.run(), name="border")
        return port

    async def close(self) -> None:
        """Stop: running requests get `close_s` to end. Idempotent."""
        await self._server.close()
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, KeyweaveError):
                await sending
