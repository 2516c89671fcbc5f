"""Key streams: the server of ETSI GS QKD 004 V2.1.1 over mutual TLS, framed as `wire004` says.

    what a client sends                       what it gets
    a request                                 its response; requests of one connection go one after the other
    a message of another type                 no answer
    a header with another major version, a    the connection is closed
      length that no request has, a payload
      that is not of its type
    nothing, or a request too slowly          the connection is closed
    a certificate of no consumer              the connection is closed after the handshake

Rule of this file: bytes, connections and who calls; what a call does is the business of `streams.desk`. A
stream belongs to its application, not to a connection: it may go on over another one.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from uuid import UUID

from keyweave_agents.keys.storage.ledger import Shelf
from keyweave_agents.service import wire004 as wire
from keyweave_agents.service.callers import Callers
from keyweave_agents.service.connection004 import Connection004, Wire004
from keyweave_agents.service.settings import ConsumerSettings
from keyweave_agents.service.settings004 import Etsi004Settings
from keyweave_agents.service.streams.desk import StreamDesk, Wish
from keyweave_agents.service.streams.ports import StreamKeys
from keyweave_agents.service.streams.uris import sae_of_uri
from keyweave_agents.service.streams.values import Delivery, Opening, Outcome
from keyweave_core.errors import InvalidInput, MalformedMessage, PeerUnreachable, Refused, SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.netconf.accepting import Acceptor, accept_on
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import names_of, server_context

MOST_GREETING = 64
"""Connections beside `max_connections` that may be in their handshake; the next one ends the oldest of them:
who opens connections and says nothing is in nobody's way but his own."""

SEND_BUFFER_BYTES = 65_536
"""Of a socket: answers are small, and who does not read them shall not fill the kernel with them."""


class Etsi004Server:
    """The server of one agent on its own port; it runs inside the loop of its caller."""

    def __init__(
        self,
        settings: Etsi004Settings,
        consumers: Iterable[ConsumerSettings],
        keys: StreamKeys,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes],
        shelf: Shelf | None = None,
    ) -> None:
        self._settings = settings
        self._consumers = {consumer.sae_id: consumer for consumer in consumers}
        self._callers = Callers(self._consumers, settings.sae_identity)
        self._uris = {one.uri: one.sae_id for one in settings.uris}
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._acceptor: Acceptor | None = None
        self._greeting: dict[asyncio.Task[None], None] = {}  # oldest first
        self._connections: set[Connection004] = set()
        self._log = get_logger("etsi004")
        self._desk = StreamDesk(
            keys,
            clock,
            random_bytes=random_bytes,
            shelf=shelf,
            serves=self._callers.serves,
            most_streams=settings.max_streams,
            most_each=settings.max_streams_each,
            most_chunks=settings.max_chunks,
        )

    async def start(self) -> int:
        """Serve; returns the port. Raises SettingsError (a TLS file, or the address cannot be had)."""
        settings = self._settings
        self._context = None if settings.tls is None else server_context(settings.tls)
        most = settings.max_connections + MOST_GREETING + 1
        try:
            self._acceptor = await accept_on(
                settings.listen_host,
                settings.listen_port,
                self._serve,
                most=most,
                most_per_host=most,
                log=self._log,
            )
        except PeerUnreachable as error:
            raise SettingsError(f"[etsi004] {error}") from error
        self._desk.start()
        return self._acceptor.port

    async def close(self) -> None:
        """Stop listening, end every connection and every stream. Idempotent."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is None:
            return
        acceptor.stop()
        await self._desk.close()
        await acceptor.wait_closed()

    # --- connections -----------------------------------------------------------------------------

    async def _serve(self, raw: socket.socket, host: str) -> None:
        try:
            connection = await self._greet(raw)
        except (OSError, ssl.SSLError) as error:
            self._log.info("handshake_failed", peer=host, reason=str(error) or type(error).__name__)
            return
        try:
            if self._admit(connection, host):
                self._connections.add(connection)
                await self._talk(connection)
        except (MalformedMessage, TimeoutError) as error:
            reason = str(error) or "too slow, or idle for too long"
            self._log.info("connection_closed", peer=host, caller=connection.caller, reason=reason)
        except OSError:
            pass  # the client is gone
        finally:
            self._connections.discard(connection)
            connection.writer.transport.abort()

    async def _greet(self, raw: socket.socket) -> Connection004:
        """The handshake. Raises OSError or ssl.SSLError; the socket is closed then."""
        loop, here = asyncio.get_running_loop(), asyncio.current_task()
        reader = asyncio.StreamReader(limit=wire.MOST_REQUEST_BYTES + wire.HEADER_BYTES)
        protocol = Wire004(reader)
        if len(self._greeting) >= MOST_GREETING:
            next(iter(self._greeting)).cancel()
        if here is not None:
            self._greeting[here] = None
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                raw,
                ssl=self._context,
                ssl_handshake_timeout=None if self._context is None else self._settings.handshake_s,
            )
        except BaseException:
            raw.close()
            raise
        finally:
            if here is not None:
                self._greeting.pop(here, None)
        return Connection004(protocol, reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    def _admit(self, connection: Connection004, host: str) -> bool:
        """Find out who calls, and make room; whether the connection may stay."""
        if self._context is not None:
            certificate = connection.writer.get_extra_info("peercert")
            try:
                connection.caller = self._callers.caller(names_of(certificate))
            except Refused as refusal:
                self._log.warning("caller_refused", peer=host, reason=str(refusal))
                return False
        own = sum(1 for one in self._connections if one.caller == connection.caller)
        if own >= self._settings.max_connections_each:
            self._log.warning("connection_refused", caller=connection.caller, reason="max_connections_each")
            return False
        if len(self._connections) >= self._settings.max_connections:
            resting = [one for one in self._connections if one.rests_s is not None]
            if not resting:
                self._log.warning("connection_refused", caller=connection.caller, reason="max_connections")
                return False
            longest = min(resting, key=lambda one: one.rests_s or 0.0)
            self._log.info("connection_closed", caller=longest.caller, reason="idle, and others want in")
            self._connections.discard(longest)
            longest.writer.transport.abort()
        return True

    async def _talk(self, connection: Connection004) -> None:
        """Serve requests until the client goes. Errors as `_read`."""
        while True:
            connection.rests_s = self._clock.monotonic()
            async with asyncio.timeout(self._settings.idle_s):
                first = await connection.reader.read(1)
            if not first:
                return
            connection.rests_s = None
            async with asyncio.timeout(self._settings.receive_s):
                request = await self._read(connection.reader, first)
            if request is None:
                continue
            working = asyncio.ensure_future(self._answer(connection, request))
            leaving = asyncio.ensure_future(connection.wire.gone.wait())
            try:
                await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    return
                async with asyncio.timeout(self._settings.send_s):
                    connection.writer.write(working.result())
                    await connection.writer.drain()
            finally:
                working.cancel()
                leaving.cancel()

    async def _read(self, reader: asyncio.StreamReader, first: bytes) -> wire.Request | None:
        """The rest of a message. Raises MalformedMessage."""
        try:
            kind, length = wire.read_header(first + await reader.readexactly(wire.HEADER_BYTES - 1))
            if length > wire.MOST_REQUEST_BYTES:
                raise MalformedMessage(
                    f"a payload of {length} bytes; none has more than {wire.MOST_REQUEST_BYTES}"
                )
            return wire.decode_request(kind, await reader.readexactly(length))
        except asyncio.IncompleteReadError as error:
            raise MalformedMessage("the connection ended within a message") from error

    # --- calls -----------------------------------------------------------------------------------

    async def _answer(self, connection: Connection004, request: wire.Request) -> bytes:
        began_s, edition = self._clock.monotonic(), self._settings.edition
        match request:
            case wire.OpenRequest():
                opening = await self._open(connection, request)
                ksid = max(opening.ksid, request.ksid)  # the one that is not NULL
                call, outcome = "open_connect", opening.outcome
                answer = wire.encode_opening(opening, edition)
            case wire.GetKeyRequest():
                delivery = await self._get(connection, request)
                call, outcome, ksid = "get_key", delivery.outcome, request.ksid
                answer = wire.encode_delivery(delivery, edition)
                if delivery.key is not None:
                    delivery.key.wipe()
            case wire.CloseRequest():
                outcome = Outcome.PEER_NOT_CONNECTED
                if connection.caller is not None:
                    outcome = self._desk.close_stream(connection.caller, request.ksid)
                call, ksid = "close", request.ksid
                answer = wire.encode_closing(outcome, edition)
        if self._settings.access_log:
            self._log.info(
                "call",
                caller=connection.caller,
                call=call,
                stream=str(UUID(bytes=ksid)),
                outcome=outcome.name.lower(),
                ms=round((self._clock.monotonic() - began_s) * 1000, 2),
            )
        return answer

    async def _open(self, connection: Connection004, request: wire.OpenRequest) -> Opening:
        rule = self._settings.uri_rule
        try:
            source = sae_of_uri(request.source, rule, self._uris)
            destination = sae_of_uri(request.destination, rule, self._uris)
            caller = connection.caller if self._context is not None else self._claimed(source, destination)
            if caller not in (source, destination) or source == destination:
                raise InvalidInput(f"{caller!r} is not one of two: {source!r}, {destination!r}")
        except InvalidInput as error:
            self._log.info("open_refused", caller=connection.caller, reason=str(error))
            return Opening(outcome=Outcome.NO_CONNECTION)
        connection.caller = caller
        wish = Wish(
            caller=caller,
            other=destination if caller == source else source,
            source=caller == source,
            qos=request.qos,
            ksid=request.ksid,
        )
        return await self._desk.open(wish, self._settings.bounds_of(self._consumers[caller]))

    def _claimed(self, source: SaeId, destination: SaeId) -> SaeId:
        """Who calls over plain TCP: the one of the two that this agent serves, the source first."""
        for sae in (source, destination):
            if self._callers.serves(sae):
                return sae
        raise InvalidInput(f"neither {source!r} nor {destination!r} is a consumer of this agent")

    async def _get(self, connection: Connection004, request: wire.GetKeyRequest) -> Delivery:
        if connection.caller is None:
            return Delivery(outcome=Outcome.PEER_NOT_CONNECTED)
        return await self._desk.get(connection.caller, request.ksid, request.index, request.metadata_bytes)
