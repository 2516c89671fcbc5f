"""Our NETCONF client: many rpcs in flight on one session, notifications beside them, no thread."""

import contextlib
import copy
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeAlias

from lxml import etree

from keyweave_core.errors import DeadlineExceeded, KeyweaveError, MalformedMessage
from keyweave_core.netconf.client.session import ClientSession
from keyweave_core.netconf.deadline import within
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.elements import Element, element
from keyweave_core.netconf.protocol.messages import (
    MONITORING,
    NOTIFICATION,
    SUBSCRIBED,
    Hello,
    Notification,
    Reply,
)
from keyweave_core.netconf.protocol.peer import Capabilities
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.ssh.channel import Key
from keyweave_core.netconf.ssh.dial import dial
from keyweave_core.netconf.tls.dial import dial_tls
from keyweave_core.netconf.transport import Connection
from keyweave_core.runtime.clock import Clock

Elements: TypeAlias = Element | Iterable[Element]
"""One element or several; they are copied."""


class NetconfClient:
    """An open session with a server. Made by `connect`; may be used as an async context manager.

    Every operation raises RpcError (the server's answer was an error), PeerUnreachable (the session ended),
    DeadlineExceeded (no reply within `timeout_s`, `limits.rpc_timeout_s` unless given; the session goes on)
    or MalformedMessage (the server sent what is no NETCONF). They may be called without waiting for one
    another. Elements given are copied, elements returned are the caller's.
    """

    def __init__(self, session: ClientSession, connection: Connection, hello: Hello, *, clock: Clock) -> None:
        self._session = session
        self._connection = connection
        self._clock = clock
        self.capabilities = Capabilities(hello.capabilities)
        self.session_id = hello.session_id or 0
        self.peer = connection.transport.peer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def rpc(self, operation: etree._Element, *, timeout_s: float | None = None) -> etree._Element:
        """Carry out any operation and return the <rpc-reply>."""
        return _checked(await self._session.request(operation, timeout_s))

    async def establish_subscription(
        self,
        operation: etree._Element,
        on_notification: Callable[[Notification], None],
        *,
        timeout_s: float | None = None,
    ) -> etree._Element:
        """Carry out an <establish-subscription> (RFC 8639; made by `subscriptions`), returning the reply.

        Notifications with the id it gives go to `on_notification`, which must not raise or wait, and no
        longer to `notifications`, until `forget_subscription`.
        """

        def route(reply: Reply) -> None:
            number = (reply.root.findtext(f"{{{SUBSCRIBED}}}id") or "").strip()
            if number.isascii() and number.isdigit():
                self._session.by_subscription[int(number[:10])] = on_notification

        return _checked(await self._session.request(operation, timeout_s, route))

    def forget_subscription(self, number: int) -> None:
        """Take notifications with this id like all others again."""
        self._session.by_subscription.pop(number, None)

    async def get(
        self,
        filter: Elements | None = None,  # noqa: A002
        *,
        timeout_s: float | None = None,
    ) -> list[etree._Element]:
        """Configuration and state: the children of <data>; `filter` = the elements of a subtree filter."""
        operation = _base("get")
        _add_filter(operation, filter, BASE)
        return _data_of(await self.rpc(operation, timeout_s=timeout_s))

    async def get_config(
        self,
        source: str = "running",
        filter: Elements | None = None,  # noqa: A002
        *,
        timeout_s: float | None = None,
    ) -> list[etree._Element]:
        """The configuration of a datastore: the children of <data>."""
        operation = _base("get-config")
        _store(operation, "source", source)
        _add_filter(operation, filter, BASE)
        return _data_of(await self.rpc(operation, timeout_s=timeout_s))

    async def edit_config(
        self,
        target: str,
        config: Elements,
        *,
        default_operation: str | None = None,
        test_option: str | None = None,
        error_option: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Edit a datastore by the top-level elements `config`, with operation attributes where needed."""
        operation = _base("edit-config")
        _store(operation, "target", target)
        for name, value in (
            ("default-operation", default_operation),
            ("test-option", test_option),
            ("error-option", error_option),
        ):
            if value is not None:
                etree.SubElement(operation, f"{{{BASE}}}{name}").text = value
        etree.SubElement(operation, f"{{{BASE}}}config").extend(_copies(config))
        await self.rpc(operation, timeout_s=timeout_s)

    async def commit(self, *, timeout_s: float | None = None) -> None:
        """Make the candidate the running configuration."""
        await self.rpc(_base("commit"), timeout_s=timeout_s)

    async def discard(self, *, timeout_s: float | None = None) -> None:
        """Make the candidate equal to running."""
        await self.rpc(_base("discard-changes"), timeout_s=timeout_s)

    async def validate(self, source: str | Elements = "candidate", *, timeout_s: float | None = None) -> None:
        """Validate a datastore, or a whole configuration given as elements."""
        operation = _base("validate")
        if isinstance(source, str):
            _store(operation, "source", source)
        else:
            parameter = etree.SubElement(operation, f"{{{BASE}}}source")
            etree.SubElement(parameter, f"{{{BASE}}}config").extend(_copies(source))
        await self.rpc(operation, timeout_s=timeout_s)

    async def lock(self, target: str = "running", *, timeout_s: float | None = None) -> None:
        """Take the global lock of a datastore."""
        operation = _base("lock")
        _store(operation, "target", target)
        await self.rpc(operation, timeout_s=timeout_s)

    async def unlock(self, target: str = "running", *, timeout_s: float | None = None) -> None:
        """Give the lock back."""
        operation = _base("unlock")
        _store(operation, "target", target)
        await self.rpc(operation, timeout_s=timeout_s)

    async def kill_session(self, session_id: int, *, timeout_s: float | None = None) -> None:
        """End another session."""
        operation = _base("kill-session")
        etree.SubElement(operation, f"{{{BASE}}}session-id").text = str(session_id)
        await self.rpc(operation, timeout_s=timeout_s)

    async def get_schema(
        self, identifier: str, version: str | None = None, *, timeout_s: float | None = None
    ) -> str:
        """The YANG text of a module (RFC 6022)."""
        operation = element(f"{{{MONITORING}}}get-schema", {None: MONITORING})
        etree.SubElement(operation, f"{{{MONITORING}}}identifier").text = identifier
        if version is not None:
            etree.SubElement(operation, f"{{{MONITORING}}}version").text = version
        etree.SubElement(operation, f"{{{MONITORING}}}format").text = "yang"
        reply = await self.rpc(operation, timeout_s=timeout_s)
        return reply.findtext(f"{{{MONITORING}}}data") or ""

    async def create_subscription(
        self,
        *,
        filter: Elements | None = None,  # noqa: A002
        stream: str | None = None,
        start_time: str | None = None,
        stop_time: str | None = None,
        on_notification: Callable[[Notification], None] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Subscribe to notifications (RFC 5277); times as `yang:date-and-time`.

        Each notification goes to `on_notification`, which must not raise or wait; without it they are taken
        from `notifications`.
        """
        operation = element(f"{{{NOTIFICATION}}}create-subscription", {None: NOTIFICATION})
        if stream is not None:
            etree.SubElement(operation, f"{{{NOTIFICATION}}}stream").text = stream
        _add_filter(operation, filter, NOTIFICATION)
        for name, value in (("startTime", start_time), ("stopTime", stop_time)):
            if value is not None:
                etree.SubElement(operation, f"{{{NOTIFICATION}}}{name}").text = value
        # Before the rpc: notifications may come in the same packet as the reply.
        self._session.on_notification = on_notification
        await self.rpc(operation, timeout_s=timeout_s)

    async def notifications(self) -> AsyncIterator[Notification]:
        """Notifications as they come, to the end of the session; raises what ended it, if it was not `close`.

        At most `limits.notification_queue` wait to be taken: one more ends the session with Exhausted.
        """
        while (notification := await self._session.next_notification()) is not None:
            yield notification

    @property
    def failure(self) -> KeyweaveError | None:
        """What ended the session; None while it stands, or when we closed it."""
        return self._session.failure

    async def ended(self) -> KeyweaveError | None:
        """Wait for the end of the session: the error that ended it, None when it was `close`."""
        return await self._session.ended()

    async def close(self, *, timeout_s: float = 2.0) -> None:
        """Say goodbye (bounded by `timeout_s`) and free everything; harmless when repeated."""
        # The peer may be gone, or close before its reply is through.
        with contextlib.suppress(KeyweaveError):
            await self._session.say_goodbye(_base("close-session"), timeout_s)
        try:
            await within(self._clock, self._connection.close(), timeout_s, "the connection did not close")
        except DeadlineExceeded:
            self._connection.abort()
        self._session.connection_lost(None)


async def connect(
    host: str,
    port: int,
    *,
    username: str,
    host_key: Key,
    key: Key | None = None,
    password: str | None = None,
    clock: Clock,
    limits: NetconfLimits | None = None,
) -> NetconfClient:
    """Open a session with the NETCONF server at a TCP address, over SSH (RFC 6242).

    `key` is our private key, `host_key` the server's public one, without which nobody is trusted. Raises
    PeerUnreachable (no answer, another host key, login refused), DeadlineExceeded, MalformedMessage (no
    acceptable hello), SettingsError (a key that is none).
    """
    limits = limits or NetconfLimits()
    session = ClientSession(limits=limits, clock=clock, peer=f"{host}:{port}")
    connection = await dial(
        host,
        port,
        username=username,
        key=key,
        password=password,
        host_key=host_key,
        receiver=lambda: session,
        limits=limits,
        clock=clock,
    )
    return await greet(session, connection, clock)


async def connect_tls(
    host: str,
    port: int,
    *,
    context: ssl.SSLContext,
    expected_name: str,
    clock: Clock,
    limits: NetconfLimits | None = None,
) -> NetconfClient:
    """Open a session with the NETCONF server at a TCP address, over TLS (RFC 7589).

    `context` shows our certificate and verifies the server's chain; the server's certificate must carry
    `expected_name` (URI, DNS or common name). Errors as `connect`.
    """
    limits = limits or NetconfLimits()
    session = ClientSession(limits=limits, clock=clock, peer=f"{host}:{port}")
    connection = await dial_tls(
        host,
        port,
        context=context,
        expected_name=expected_name,
        receiver=lambda: session,
        limits=limits,
        clock=clock,
    )
    return await greet(session, connection, clock)


async def greet(session: ClientSession, connection: Connection, clock: Clock) -> NetconfClient:
    """Exchange hellos on a connection whose receiver is `session`; it is dropped when that fails."""
    try:
        session.attach(connection.transport)
        hello = await session.opened()
    except BaseException:
        connection.abort()
        raise
    return NetconfClient(session, connection, hello, clock=clock)


def _checked(reply: Reply) -> etree._Element:
    """The reply, unless it carries errors: those are raised."""
    errors = [error for error in reply.errors if error.severity != "warning"]
    if errors:
        first = errors[0]
        first.others = tuple(errors[1:])
        raise first
    return reply.root


def _base(name: str) -> etree._Element:
    return element(f"{{{BASE}}}{name}", {None: BASE})


def _store(operation: etree._Element, role: str, name: str) -> None:
    etree.SubElement(etree.SubElement(operation, f"{{{BASE}}}{role}"), f"{{{BASE}}}{name}")


def _copies(elements: Elements) -> Sequence[etree._Element]:
    given = [elements] if isinstance(elements, Element) else elements
    return [copy.deepcopy(element) for element in given]


def _add_filter(operation: etree._Element, content: Elements | None, namespace: str) -> None:
    if content is not None:
        selection = etree.SubElement(operation, f"{{{namespace}}}filter", type="subtree")
        selection.extend(_copies(content))


def _data_of(reply: etree._Element) -> list[etree._Element]:
    data = reply.find(f"{{{BASE}}}data")
    if data is None:
        raise MalformedMessage("a reply without <data>")
    return data.findall("*")
