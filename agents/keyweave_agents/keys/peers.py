"""Connections between neighbouring key managers: TCP with mutual TLS, one per physical link.

Rule of this file: bytes in, frames out, and who is at the other end; what frames mean is decided elsewhere.
The node with the lower id dials, the other accepts, so there is one connection and no race. A node is known
by the URI `urn:uuid:<node id>` in the subject alternative names of its certificate; a connection whose
certificate does not name the configured neighbour of its link is closed before anything is said.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from keyweave_agents.keys.relaying.frames import Frame, Hello
from keyweave_agents.keys.relaying.pad import Raw
from keyweave_agents.keys.relaying.wire import Splitter, decode
from keyweave_agents.keys.settings import Neighbour
from keyweave_core.errors import MalformedMessage, PeerUnreachable
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger
from keyweave_core.runtime.retry import Backoff
from keyweave_core.runtime.tls import names_of

MOST_UNSENT_BYTES = 8 << 20
"""A neighbour that does not read so much is given up."""

GREETING_S = 5.0
"""How long an accepted connection may take to say Hello."""

DIAL_S = 5.0

_NODE_URI = "urn:uuid:"


class Plane(Protocol):
    """Who is told of connections and frames."""

    def connected(self, link_id: LinkId) -> None:
        """A connection stands."""
        ...

    def disconnected(self, link_id: LinkId) -> None:
        """It is gone."""
        ...

    def handle(self, link_id: LinkId, frame: Frame) -> None:
        """A frame came; MalformedMessage closes the connection."""
        ...


def certified_node(certificate: dict[str, Any] | None) -> NodeId | None:
    """The node that a certificate (asyncio's `peercert`) names: its one `urn:uuid:` URI, or None."""
    uris = (uri.lower() for uri in names_of(certificate).uris)
    nodes = {uri.removeprefix(_NODE_URI) for uri in uris if uri.startswith(_NODE_URI)}
    return NodeId(nodes.pop()) if len(nodes) == 1 else None


class _Wire(asyncio.Protocol):
    """One connection. `neighbour` is known at once when we dialled, and by their Hello when we accepted."""

    def __init__(self, peers: "Peers", neighbour: Neighbour | None) -> None:
        self._peers = peers
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None
        self.neighbour = neighbour
        self.dialled = neighbour is not None
        self.heard_s = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport without being one.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=MOST_UNSENT_BYTES)
        self.heard_s = self._peers.clock.monotonic()
        self._peers.wires.add(self)
        if len(self._peers.wires) > self._peers.most_wires:
            self._peers.log.warning("relay_too_many_connections")
            self.close()
        elif self.neighbour is not None and self._known_as(self.neighbour):
            self._peers.attach(self, self.neighbour)

    def data_received(self, data: bytes) -> None:
        self.heard_s = self._peers.clock.monotonic()
        try:
            for raw in self._splitter.feed(data):
                if self.closed.done():
                    return
                self._take(decode(raw))
        except MalformedMessage as error:
            self._peers.log.warning("relay_connection_refused", reason=str(error))
            self.close()
        self._peers.after_input()

    def _take(self, frame: Frame) -> None:
        if self.neighbour is None:
            if not isinstance(frame, Hello):
                raise MalformedMessage("the first message of a connection is a Hello")
            neighbour = self._peers.accepts(frame.link_id)
            if neighbour is None or neighbour.node_id != frame.node_id:
                raise MalformedMessage(f"no link {frame.link_id} to node {frame.node_id} is accepted here")
            if not self._known_as(neighbour):
                return
            self.neighbour = neighbour
            self._peers.attach(self, neighbour)
        if self._peers.current(self.neighbour) is self:
            self._peers.plane.handle(LinkId(self.neighbour.link_id), frame)

    def _known_as(self, neighbour: Neighbour) -> bool:
        """Whether the certificate names the neighbour (plain TCP, for tests alone, names nobody)."""
        transport = self._transport
        if transport is None or transport.get_extra_info("sslcontext") is None:
            return True
        node_id = certified_node(transport.get_extra_info("peercert"))
        if node_id == neighbour.node_id:
            return True
        self._peers.log.warning(
            "relay_identity_wrong", link_id=neighbour.link_id, expected=neighbour.node_id, certified=node_id
        )
        self.close()
        return False

    def write(self, frames: list[Raw]) -> None:
        """Send frames, or give up a neighbour that does not read."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def pause_writing(self) -> None:
        self._peers.log.warning("relay_neighbour_does_not_read")
        self.close()

    def close(self) -> None:
        """Close at once, dropping what is not sent."""
        if self._transport is not None:
            self._transport.abort()
        self._lost()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._lost()

    def _lost(self) -> None:
        self._peers.wires.discard(self)
        if not self.closed.done():
            self.closed.set_result(None)
            self._peers.detach(self)


class Peers:
    """All connections of one key manager. `after_input` is called when frames have been handled."""

    def __init__(
        self,
        node_id: NodeId,
        neighbours: tuple[Neighbour, ...],
        plane: Plane,
        *,
        clock: Clock,
        uniform: Callable[[], float],
        log: Logger,
        after_input: Callable[[], None],
    ) -> None:
        self._node_id = node_id
        self._neighbours = {LinkId(one.link_id): one for one in neighbours}
        self._attached: dict[LinkId, _Wire] = {}
        self._uniform = uniform
        self.plane = plane
        self.clock = clock
        self.log = log
        self.after_input = after_input
        self.wires: set[_Wire] = set()
        self.most_wires = 16 + 4 * len(neighbours)

    def accepts(self, link_id: LinkId) -> Neighbour | None:
        """The neighbour that dials us over this link."""
        neighbour = self._neighbours.get(link_id)
        return neighbour if neighbour is not None and neighbour.node_id < self._node_id else None

    def dialled(self) -> Iterator[Neighbour]:
        """The neighbours that we dial."""
        return (one for one in self._neighbours.values() if one.node_id > self._node_id)

    def current(self, neighbour: Neighbour) -> _Wire | None:
        """The connection that serves a link now."""
        return self._attached.get(LinkId(neighbour.link_id))

    def attach(self, wire: _Wire, neighbour: Neighbour) -> None:
        """A connection takes over its link; an older one (its end may not know yet) is closed."""
        link_id = LinkId(neighbour.link_id)
        older = self._attached.get(link_id)
        if older is not None:
            older.close()
        self._attached[link_id] = wire
        self.plane.connected(link_id)
        self.after_input()
        self.log.info("relay_connected", link_id=link_id, node_id=neighbour.node_id)

    def detach(self, wire: _Wire) -> None:
        """A connection is gone."""
        if wire.neighbour is None:
            return
        link_id = LinkId(wire.neighbour.link_id)
        if self._attached.get(link_id) is wire:
            del self._attached[link_id]
            self.plane.disconnected(link_id)
            self.after_input()
            self.log.info("relay_disconnected", link_id=link_id, node_id=wire.neighbour.node_id)

    def send(self, outbox: list[tuple[LinkId, Raw]]) -> None:
        """Send frames; those of a link without connection are dropped (the agreement makes up for them)."""
        by_link: dict[LinkId, list[Raw]] = {}
        for link_id, frame in outbox:
            by_link.setdefault(link_id, []).append(frame)
        for link_id, frames in by_link.items():
            wire = self._attached.get(link_id)
            if wire is not None:
                wire.write(frames)

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
        """Accept connections. PeerUnreachable when the address cannot be used."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: _Wire(self, None),
                host,
                port,
                ssl=tls,
                ssl_handshake_timeout=GREETING_S if tls is not None else None,
            )
        except OSError as error:
            raise PeerUnreachable(f"cannot listen for key managers on {host}:{port}: {error}") from error

    async def keep_dialling(self, neighbour: Neighbour, tls: ssl.SSLContext | None) -> None:
        """Hold a connection to one neighbour, for ever."""
        backoff = Backoff(first_s=0.05, most_s=3.0)
        loop = asyncio.get_running_loop()
        while True:
            for delay_s in backoff.delays(self._uniform):
                try:
                    async with asyncio.timeout(DIAL_S):
                        _, wire = await loop.create_connection(
                            lambda: _Wire(self, neighbour),
                            neighbour.host,
                            neighbour.port,
                            ssl=tls,
                        )
                except (OSError, TimeoutError) as error:
                    self.log.debug("relay_dial_failed", link_id=neighbour.link_id, reason=str(error))
                    await self.clock.sleep(delay_s)
                    continue
                began_s = self.clock.monotonic()
                await wire.closed
                if self.clock.monotonic() - began_s > backoff.most_s:
                    break  # it worked for a while: begin with short waits again
                await self.clock.sleep(delay_s)

    def tick(self, silence_s: float) -> None:
        """Close connections that say nothing: strangers soon, neighbours after `silence_s`."""
        now_s = self.clock.monotonic()
        for wire in list(self.wires):
            if now_s - wire.heard_s > (silence_s if wire.neighbour is not None else GREETING_S):
                self.log.warning("relay_connection_silent")
                wire.close()

    def close(self) -> None:
        """Close every connection."""
        for wire in list(self.wires):
            wire.close()
