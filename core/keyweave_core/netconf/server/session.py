"""One session of the server: bytes of a transport become operations, answered one by one in their order.

Rule of this file: a message is taken from the input only when the one before is answered. Until then what
comes is held as bytes, and beyond a bound the transport is told to stop reading. While the peer does not
read its replies, no further rpc is taken. So a session holds at most one message, one reply and the bound.

An exception inside an operation becomes operation-failed and the session goes on; only framing faults, a bad
hello and the ends that both sides may ask for end it.
"""

import asyncio
from collections.abc import Callable, Sequence

from lxml import etree

from keyweave_core.errors import KeyweaveError, MalformedMessage
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.messages import MONITORING, Hello, errors_body, reply_bytes
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, from_fault
from keyweave_core.netconf.protocol.session import Incoming, Opened, Role, Session, State, Unreadable
from keyweave_core.netconf.protocol.size import Shape
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.events.outlet import Outlet
from keyweave_core.netconf.server.monitoring import Counters, ServerCounters, SessionFacts
from keyweave_core.netconf.server.operations.calls import Answer, Termination
from keyweave_core.netconf.server.operations.dispatch import Operations
from keyweave_core.netconf.server.operations.parameters import RPC, operation_of
from keyweave_core.netconf.server.stores.datastores import Editor
from keyweave_core.netconf.transport import Transport
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger

# A client that sends many rpcs ahead, or dear ones, must not keep the others waiting.
_RPCS_A_TURN = 4
_TURN_S = 0.005
_CLOSING_S = 5.0
# Operations that change nothing and leave no line in the log.
_READING = frozenset(
    {
        f"{{{BASE}}}get",
        f"{{{BASE}}}get-config",
        f"{{{BASE}}}validate",
        f"{{{BASE}}}close-session",
        f"{{{MONITORING}}}get-schema",
    }
)


class ServerSession:
    """The server's end of one session; a `Receiver` of its transport and the `Caller` of its operations."""

    def __init__(
        self,
        session_id: int,
        transport: Transport,
        *,
        operations: Operations,
        capabilities: Sequence[str],
        namespaces: dict[str, str],
        totals: ServerCounters,
        limits: NetconfLimits,
        clock: Clock,
        log: Logger,
        on_open: Callable[["ServerSession"], None],
        on_end: Callable[["ServerSession"], None],
    ) -> None:
        self.session_id = session_id
        peer = transport.peer
        self.user = User(peer.username, peer.groups, peer.recovery)
        self.editor = Editor(session_id, self.user)
        self._transport = transport
        self._operations = operations
        self._namespaces = namespaces
        self._totals = totals
        self._limits = limits
        self._clock = clock
        self._log = log.bind(session=session_id, user=peer.username, peer=peer.source_host)
        self._on_open = on_open
        self._on_end = on_end
        hello = Hello(capabilities=tuple(capabilities), session_id=session_id)
        self._session = Session(Role.SERVER, hello, max_message_bytes=limits.max_message_bytes)
        self._shape = Shape(limits.max_elements, limits.max_depth)
        self._counters = Counters()
        self._login_s = clock.now()
        self._heard_s = clock.monotonic()
        self.outlet = Outlet(self._send_notification, self._drop)
        self._fed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._busy = False
        self._reading_paused = False
        self._eof = False
        self._is_open = False  # hellos were exchanged
        self.ended = False
        self.termination = Termination.OTHER  # how it ended, once it has
        self.killed_by: int | None = None
        self._timers: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None

    @property
    def facts(self) -> SessionFacts:
        """What monitoring tells of the session."""
        return SessionFacts(
            session_id=self.session_id,
            peer=self._transport.peer,
            login_s=self._login_s,
            counters=self._counters,
        )

    def start(self) -> None:
        """Send the hello and begin to work."""
        self._transport.write(self._session.start())
        self._worker = asyncio.get_running_loop().create_task(self._work())
        self._later(self._limits.hello_timeout_s, self._expire_hello)

    async def finished(self) -> None:
        """Wait until the rpc at hand, if any, is answered and the session is over."""
        if self._worker is not None:
            await asyncio.gather(self._worker, return_exceptions=True)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self.ended:
            return
        self._session.feed(data)
        if self._busy and not self._reading_paused and self._session.buffered > self._limits.pending_bytes:
            self._reading_paused = True
            self._transport.pause_reading()
        self._fed.set()

    def eof_received(self) -> None:
        """Answer what is here, then end."""
        self._eof = True
        self._fed.set()

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        if not self.ended:
            if error is not None or not self._eof:
                self._totals.dropped_sessions += 1
            why = "connection lost" if error is None else f"connection lost: {error}"
            self.end(why, Termination.DROPPED)
        self._stop_timers()

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._writable.clear()
        self.outlet.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()
        if not self.ended:
            self.outlet.resume()

    def end(
        self, reason: str, termination: Termination = Termination.OTHER, *, killed_by: int | None = None
    ) -> None:
        """Close after what was written, and free all that the session held; once.

        `reason` is for the log, the rest for netconf-session-end (RFC 6470).
        """
        if self.ended:
            return
        self.ended = True
        self.termination = termination
        self.killed_by = killed_by
        self._log.info("netconf session ended", reason=reason)
        self.outlet.close()
        self._session.close()
        self._stop_timers()
        self._fed.set()
        self._writable.set()
        if self._reading_paused:
            self._transport.resume_reading()
        self._transport.close()
        # A peer that does not read would keep the channel, and what is written to it, for ever.
        self._later(_CLOSING_S, self._transport.abort)
        self._on_end(self)

    def _send_notification(self, message: bytes) -> None:
        if not self.ended:
            self._transport.write(self._session.frame(message))
            self._counters.out_notifications += 1
            self._totals.common.out_notifications += 1

    def _drop(self, reason: str) -> None:
        self._log.warning("netconf session dropped", reason=reason)
        self._totals.dropped_sessions += 1
        self.end(reason, Termination.DROPPED)
        # A peer that does not read will not read the rest either.
        self._transport.abort()

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        async def wait() -> None:
            await self._clock.sleep(delay_s)
            action()

        timer = asyncio.get_running_loop().create_task(wait())
        self._timers.add(timer)
        timer.add_done_callback(self._timers.discard)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _expire_hello(self) -> None:
        if self._session.state is State.OPENING:
            self._totals.in_bad_hellos += 1
            self.end(f"no hello within {self._limits.hello_timeout_s} s", Termination.TIMEOUT)

    def _watch_idle(self, delay_s: float) -> None:
        if self._limits.idle_timeout_s > 0:
            self._later(delay_s, self._expire_idle)

    def _expire_idle(self) -> None:
        """End a session that asked nothing for long; one that waits for notifications is not idle."""
        limit_s = self._limits.idle_timeout_s
        left_s = limit_s - (self._clock.monotonic() - self._heard_s)
        if self._busy or self.outlet.readers:
            self._watch_idle(limit_s)
        elif left_s > 0:
            self._watch_idle(left_s)
        else:
            self.end(f"idle for {limit_s:g} s", Termination.TIMEOUT)

    async def _work(self) -> None:
        turn, since_s = 0, self._clock.monotonic()
        try:
            while not self.ended:
                event = self._session.next_event()
                if event is None:
                    if self._eof:
                        self.end("end of input", Termination.DROPPED)
                        return
                    await self._wait_for_input()
                    turn, since_s = 0, self._clock.monotonic()
                    continue
                self._busy = True
                await self._handle(event)
                await self._writable.wait()
                turn += 1
                if turn == _RPCS_A_TURN or self._clock.monotonic() - since_s > _TURN_S:
                    await asyncio.sleep(0)
                    turn, since_s = 0, self._clock.monotonic()
        except MalformedMessage as fault:
            self._refuse(fault)
        except Exception:  # noqa: BLE001 - the last fence: a defect ends this session, never the server
            self._log.exception("netconf session failed")
            self.end("internal fault")

    async def _wait_for_input(self) -> None:
        self._busy = False
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        self._fed.clear()
        await self._fed.wait()

    def _refuse(self, fault: MalformedMessage) -> None:
        """End the session because of what cannot be read; told to peers that know the error (base:1.1)."""
        if self._is_open:
            self._count_bad()
        if self._session.chunked:
            self._reply(None, errors_body(RpcError("malformed-message", str(fault), type="rpc")))
        if not self._is_open:
            self._totals.in_bad_hellos += 1
        self.end(str(fault), Termination.OTHER if self._is_open else Termination.BAD_HELLO)

    async def _handle(self, event: Opened | Incoming | Unreadable) -> None:
        match event:
            case Opened():
                self._stop_timers()  # the hello has come
                self._watch_idle(self._limits.idle_timeout_s)
                self._is_open = True
                self._totals.in_sessions += 1
                self._log.info(
                    "netconf session open",
                    chunked=self._session.chunked,
                    key_exchange=self._transport.peer.key_exchange,
                    cipher=self._transport.peer.cipher,
                )
                self._on_open(self)
            case Unreadable(fault):
                self._count_bad()
                self._reply(None, errors_body(RpcError("malformed-message", str(fault), type="rpc")))
            case Incoming(root):
                self._heard_s = self._clock.monotonic()
                await self._answer(root)
                self._heard_s = self._clock.monotonic()

    async def _answer(self, root: etree._Element) -> None:
        rpc = root if root.tag == RPC else None
        answer = Answer()
        error: RpcError | None = None
        try:
            self._shape.check(root)
            answer = await self._operations.perform(self, operation_of(root))
            self._counters.in_rpcs += 1
            self._totals.common.in_rpcs += 1
        except KeyweaveError as fault:
            error = _without_history(from_fault(fault, self._namespaces))
        except Exception as fault:  # noqa: BLE001 - a defect in one operation must not end the session
            self._log.exception("netconf operation failed", operation=_name_of(root))
            error = RpcError("operation-failed", f"internal fault: {type(fault).__name__}")
        self._audit(root, error)
        if error is not None:
            if error.type == "rpc":
                self._count_bad()
            self._counters.out_rpc_errors += 1
            self._totals.common.out_rpc_errors += 1
            self._reply(rpc, errors_body(error, *error.others))
            return
        self._reply(rpc, answer.body)
        if answer.then is not None and not self.ended:
            answer.then()

    def _audit(self, root: etree._Element, error: RpcError | None) -> None:
        """One line for every rpc that changes something or tried to, or was denied."""
        name = _name_of(root)
        if name not in _READING or (error is not None and error.tag == "access-denied"):
            outcome = "ok" if error is None else f"{error.tag}: {error.message}"
            message_id = (root.get("message-id") or "")[:100]
            self._log.info("netconf operation", operation=name, message_id=message_id, outcome=outcome)

    def _count_bad(self) -> None:
        self._counters.in_bad_rpcs += 1
        self._totals.common.in_bad_rpcs += 1

    def _reply(self, rpc: etree._Element | None, body: bytes) -> None:
        # One write a message: a notification can only come before or after it.
        if not self.ended:
            self._transport.write(self._session.frame(reply_bytes(rpc, body)))


def _without_history(error: RpcError) -> RpcError:
    """What is told of an error, without the frames it came through.

    They hold the whole message, and this one holds the error: a cycle, which for a message of many elements
    would keep a hundred megabytes until the collector looks for it.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _name_of(root: etree._Element) -> str:
    return next((str(child.tag)[:200] for child in root.iterchildren("*")), str(root.tag)[:200])
