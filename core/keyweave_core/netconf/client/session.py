"""The client's end of one session: replies find their rpcs, notifications queue beside them.

Rule of this file: whatever ends the session ends every wait on it, with one error. Both queues are bounded:
a consumer that lets notifications pile up loses the session (it must read the state again anyway), and the
SSH window slows a sender down.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from lxml import etree

from keyweave_core.errors import Exhausted, KeyweaveError, MalformedMessage, PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.messages import (
    BASE_1_0,
    BASE_1_1,
    NOTIFICATION,
    Hello,
    Notification,
    Reply,
    read_notification,
    read_reply,
    rpc_bytes,
    subscription_of,
)
from keyweave_core.netconf.protocol.session import Incoming, Opened, Role, Session, Unreadable
from keyweave_core.netconf.transport import Transport
from keyweave_core.runtime.clock import Clock

_OUR_CAPABILITIES = (BASE_1_0, BASE_1_1)
_NOTIFICATION = f"{{{NOTIFICATION}}}notification"


class ClientSession:
    """The client's end of a session on any transport; a `Receiver`."""

    def __init__(self, *, limits: NetconfLimits, clock: Clock, peer: str) -> None:
        self._limits = limits
        self._clock = clock
        self._peer = peer
        self._session = Session(
            Role.CLIENT, Hello(capabilities=_OUR_CAPABILITIES), max_message_bytes=limits.max_message_bytes
        )
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[Hello] = loop.create_future()
        self._pending: dict[str, asyncio.Future[Reply]] = {}
        self._on_reply: dict[str, Callable[[Reply], None]] = {}
        self._last_id = 0
        self._transport: Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._notifications: deque[Notification] = deque()
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()
        self._farewell = False  # we have asked to end the session
        self._closing = False  # and send nothing more
        self.failure: KeyweaveError | None = None
        self.on_notification: Callable[[Notification], None] | None = None
        self.by_subscription: dict[int, Callable[[Notification], None]] = {}

    def attach(self, transport: Transport) -> None:
        """The transport is there: send our hello."""
        self._transport = transport
        transport.write(self._session.start())

    async def opened(self) -> Hello:
        """Wait for the server's hello; raises as `connect`."""
        # The future is shielded: its error is taken here or by nobody.
        return await within(
            self._clock,
            asyncio.shield(self._opened),
            self._limits.hello_timeout_s,
            f"{self._peer}: no hello",
        )

    async def request(
        self,
        operation: etree._Element,
        timeout_s: float | None,
        on_reply: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Send one rpc and wait for its reply.

        `on_reply` sees it before anything that came behind it is taken; it must not raise or wait.
        """
        limit_s = self._limits.rpc_timeout_s if timeout_s is None else timeout_s
        name = etree.QName(operation).localname
        if not self._writable.is_set():
            what = f"{self._peer}: it does not read, {name} could not be sent"
            await within(self._clock, self._writable.wait(), limit_s, what)
        if self._transport is None or self._ended.is_set() or self._closing:
            raise self._lost()
        self._last_id += 1
        message_id = str(self._last_id)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending[message_id] = reply
        if on_reply is not None:
            self._on_reply[message_id] = on_reply
        try:
            self._transport.write(self._session.frame(rpc_bytes(operation, message_id)))
            return await within(self._clock, reply, limit_s, f"{self._peer}: no reply to {name}")
        finally:
            self._pending.pop(message_id, None)
            self._on_reply.pop(message_id, None)

    async def next_notification(self) -> Notification | None:
        """The next notification, None when the session was closed by us; raises what ended it else."""
        while not self._notifications:
            if self._ended.is_set():
                if self.failure is None:
                    return None
                raise self._lost()
            self._arrived.clear()
            await self._arrived.wait()
        return self._notifications.popleft()

    async def ended(self) -> KeyweaveError | None:
        """Wait for the end of the session; None when we closed it."""
        await self._ended.wait()
        return self.failure

    async def say_goodbye(self, operation: etree._Element, timeout_s: float) -> None:
        """Send the last rpc: whatever ends the session from now on is no failure."""
        try:
            if not self._closing:
                self._farewell = True
                await self.request(operation, timeout_s)
        finally:
            self._closing = True

    def data_received(self, data: bytes) -> None:
        """Take bytes of the server."""
        self._session.feed(data)
        try:
            while (event := self._session.next_event()) is not None:
                match event:
                    case Opened(peer):
                        if not self._opened.done():
                            self._opened.set_result(peer)
                    case Incoming(root):
                        self._take(root)
                    case Unreadable(fault):
                        raise fault
        except (MalformedMessage, Exhausted) as fault:
            self._fail(type(fault)(f"{self._peer}: {fault}"))

    def eof_received(self) -> None:
        """The server sends no more."""
        self._fail(PeerUnreachable(f"{self._peer}: the server ended the session"))

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        why = "the connection was closed" if error is None else f"the connection was lost: {error}"
        self._fail(PeerUnreachable(f"{self._peer}: {why}"))

    def pause_writing(self) -> None:
        """The server reads too slowly: no further rpc until it has caught up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The server has caught up."""
        self._writable.set()

    def _take(self, root: etree._Element) -> None:
        if root.tag == _NOTIFICATION:
            notification = read_notification(root)
            if self.by_subscription:
                about = subscription_of(notification.content)
                if about in self.by_subscription:
                    self.by_subscription[about](notification)
                    return
            if self.on_notification is not None:
                self.on_notification(notification)
                return
            if len(self._notifications) >= self._limits.notification_queue:
                raise Exhausted(f"{len(self._notifications)} notifications wait to be taken")
            self._notifications.append(notification)
            self._arrived.set()
            return
        reply = read_reply(root)
        message_id = reply.message_id
        if message_id is None:
            # What could not be read cannot be named; replies come in order, so it is the oldest.
            message_id = next(iter(self._pending), "")
        waiting = self._pending.get(message_id)
        if waiting is not None and not waiting.done():
            if message_id in self._on_reply:
                self._on_reply[message_id](reply)
            waiting.set_result(reply)

    def _fail(self, failure: KeyweaveError) -> None:
        if self._ended.is_set():
            return
        if not self._farewell:
            self.failure = failure
        self._session.close()
        self._ended.set()
        self._arrived.set()
        self._writable.set()
        if not self._opened.done():
            self._opened.set_exception(failure)
            self._opened.exception()  # it may be that nobody waits for it any more
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(failure)
        if self._transport is not None:
            self._transport.abort()

    def _lost(self) -> KeyweaveError:
        """A fresh error each time: one exception object must not be raised in many tasks."""
        if self.failure is None:
            return PeerUnreachable(f"{self._peer}: the session is closed")
        return type(self.failure)(str(self.failure))
