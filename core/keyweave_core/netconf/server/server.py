"""The NETCONF server: datastores, stream and sessions behind one object.

Rule of this file: it joins parts and owns the list of sessions; it decides nothing about the protocol.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lxml import etree

from keyweave_core.errors import Exhausted
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ports import Device, Keeper, Schema
from keyweave_core.netconf.protocol.messages import MAX_SESSION_ID, NETMOD_NOTIFICATION, SUBSCRIBED
from keyweave_core.netconf.server.access import AccessControl, OpenAccess
from keyweave_core.netconf.server.calling import keep_calling
from keyweave_core.netconf.server.events.notices import Notices
from keyweave_core.netconf.server.events.stream import EventStream
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.library import capabilities, content_id
from keyweave_core.netconf.server.monitoring import ServerCounters, SessionFacts
from keyweave_core.netconf.server.operations.dispatch import Operations
from keyweave_core.netconf.server.protocol_modules import OWN_NAMESPACES, all_modules, protocol_nodes
from keyweave_core.netconf.server.session import ServerSession
from keyweave_core.netconf.server.stores.datastores import Datastores, Store
from keyweave_core.netconf.server.stores.snapshots import Remaking
from keyweave_core.netconf.server.subscriptions.book import SubscriptionBook
from keyweave_core.netconf.server.subscriptions.observer import Observer
from keyweave_core.netconf.server.system import System
from keyweave_core.netconf.ssh.channel import Key
from keyweave_core.netconf.ssh.listen import SshService
from keyweave_core.netconf.tls.listen import TlsService
from keyweave_core.netconf.tls.names import NameMap
from keyweave_core.netconf.transport import Service, Transport
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger, get_logger
from keyweave_core.runtime.retry import Backoff, Uniform

# How long `close` lets an rpc at hand come to its end.
_CLOSE_GRACE_S = 5.0


class NetconfServer:
    """Serves one schema and one device to any number of sessions."""

    def __init__(
        self,
        schema: Schema,
        device: Device,
        running: Sequence[etree._Element],
        *,
        clock: Clock,
        limits: NetconfLimits | None = None,
        log: Logger | None = None,
        access: AccessControl | None = None,
        features: ServerFeatures | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        """Start with the configuration `running` (top-level elements; copied).

        `access` None permits everybody everything. `keeper` is told what the next start must begin with;
        without one the device sees to that itself. Raises RpcError or SchemaViolation when `running` is not
        valid: it is valid at every moment.
        """
        self._limits = limits or NetconfLimits()
        self._clock = clock
        self._log = log or get_logger("netconf")
        features = features or ServerFeatures()
        places = SchemaMap(schema, protocol_nodes())
        modules = all_modules(schema, features)
        library_id = content_id(schema.content_id, modules)
        self._namespaces = dict(places.namespaces)
        self.capabilities = capabilities(modules, library_id, features)
        self._counters = ServerCounters(started_s=clock.now())
        access = access or OpenAccess()
        self._datastores = Datastores(
            schema,
            places,
            device,
            running,
            clock=clock,
            access=access,
            features=features,
            keeper=keeper,
            log=self._log,
        )
        self._stream = EventStream(
            clock=clock,
            max_events=self._limits.notification_log_events,
            max_bytes=self._limits.notification_log_bytes,
        )
        self._sessions: dict[int, ServerSession] = {}
        self._last_id = 0
        self._services: list[Service] = []
        self._calls: set[asyncio.Task[None]] = set()
        self.system = System(
            schema=schema,
            places=places,
            modules=modules,
            capabilities=self.capabilities,
            library_id=library_id,
            device=device,
            datastores=self._datastores,
            stream=self._stream,
            access=access,
            features=features,
            counters=self._counters,
            clock=clock,
            limits=self._limits,
            own=OWN_NAMESPACES,
        )
        self._notices = Notices(self._stream, places, self)
        self._datastores.watch(self._notices.running_changed)
        self._datastores.watch_confirmed(self._notices.confirmed_commit)
        self.observer = Observer(self.system, limits=self._limits, log=self._log)
        book = SubscriptionBook(self.system, self.observer, limits=self._limits)
        self.system.own_state.update(
            {
                f"{{{NETMOD_NOTIFICATION}}}netconf": self._stream.describe,
                f"{{{SUBSCRIBED}}}streams": book.streams,
                f"{{{SUBSCRIBED}}}subscriptions": book.subscriptions,
            }
        )
        self._operations = Operations(self.system, self, book)

    async def start_ssh(
        self,
        host: str,
        port: int,
        host_keys: Sequence[Key],
        authorized_keys: Mapping[str, Sequence[Key]],
        *,
        passwords: Mapping[str, str] | None = None,
        groups: Mapping[str, frozenset[str]] | None = None,
        recovery: frozenset[str] = frozenset(),
    ) -> int:
        """Listen for NETCONF over SSH (RFC 6242) and return the port (of interest when `port` is 0).

        Keys are asyncssh keys or their OpenSSH text. `authorized_keys` maps each user to public keys,
        `passwords` to the hash of a password besides (`ssh.passwords`), `groups` to the groups access control
        knows them by; nothing is denied to the users of `recovery`. Raises PeerUnreachable when the address
        cannot be had, SettingsError for a key that cannot be read.
        """
        return await self.ssh(
            host_keys, authorized_keys, passwords=passwords, groups=groups, recovery=recovery
        ).listen(host, port)

    def ssh(
        self,
        host_keys: Sequence[Key],
        authorized_keys: Mapping[str, Sequence[Key]],
        *,
        passwords: Mapping[str, str] | None = None,
        groups: Mapping[str, frozenset[str]] | None = None,
        recovery: frozenset[str] = frozenset(),
    ) -> Service:
        """Sessions over SSH, to be listened for or called home with; arguments and errors as `start_ssh`."""
        return self._keep(
            SshService(
                self,
                host_keys=host_keys,
                authorized_keys=authorized_keys,
                passwords=passwords or {},
                groups=groups or {},
                recovery=recovery,
                limits=self._limits,
                log=self._log,
            )
        )

    def tls(
        self,
        context: ssl.SSLContext,
        names: NameMap,
        users: Mapping[str, frozenset[str]],
        *,
        recovery: frozenset[str] = frozenset(),
    ) -> Service:
        """Sessions over TLS (RFC 7589), to be listened for or called home with.

        `context` verifies the client's certificate, `names` maps it to a user; `users` are those let in, with
        their groups.
        """
        return self._keep(
            TlsService(
                self,
                context=context,
                names=names,
                users=users,
                recovery=recovery,
                limits=self._limits,
                clock=self._clock,
                log=self._log,
            )
        )

    def call_home(
        self, service: Service, host: str, port: int, *, backoff: Backoff, uniform: Uniform
    ) -> None:
        """Keep a client called (RFC 8071) until `close`: one connection, made again whenever it ended."""
        task = asyncio.get_running_loop().create_task(
            keep_calling(
                service, host, port, backoff=backoff, uniform=uniform, clock=self._clock, log=self._log
            )
        )
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _keep(self, service: Service) -> Service:
        self._services.append(service)
        return service

    def open_session(self, transport: Transport) -> ServerSession:
        """Begin a session on an authenticated transport; raises Exhausted when there are too many."""
        if len(self._sessions) >= self._limits.max_sessions:
            raise Exhausted(f"{len(self._sessions)} NETCONF sessions are open, as many as allowed")
        name = transport.peer.username
        held = sum(session.user.name == name for session in self._sessions.values())
        if held >= self._limits.max_sessions_per_user:
            raise Exhausted(f"user {name} has {held} NETCONF sessions open, as many as allowed")
        self._last_id = self._last_id % MAX_SESSION_ID + 1
        while self._last_id in self._sessions:
            self._last_id = self._last_id % MAX_SESSION_ID + 1
        session = ServerSession(
            self._last_id,
            transport,
            operations=self._operations,
            capabilities=self.capabilities,
            namespaces=self._namespaces,
            totals=self._counters,
            limits=self._limits,
            clock=self._clock,
            log=self._log,
            on_open=lambda session: self._notices.session_started(session.facts),
            on_end=self._forget,
        )
        self._sessions[session.session_id] = session
        session.start()
        return session

    def publish(self, notification: etree._Element, at_s: float | None = None) -> None:
        """Send a notification (its content element) to all subscribers and keep it for replay.

        `at_s` is the time of the event in seconds since 1970, now unless given.
        """
        self._stream.publish(notification, at_s)

    def touch(self) -> None:
        """What the device observes may have changed: whoever watches it is told sooner than by polling."""
        self.observer.touch()

    def running(self) -> list[etree._Element]:
        """The running configuration as top-level elements. They are shared: read them, never change them."""
        return list(self._datastores.read(Store.RUNNING).elements)

    async def change_running(self, elements: Sequence[etree._Element] | Remaking) -> None:
        """Replace running by a whole new configuration, on the device's own behalf.

        `elements`, or what makes them of running when it is its turn; see `Datastores.change_running`.

        `Device.apply` is not called and locks do not hold it up; it waits for an edit at hand, so it must
        not be awaited from within `Device.apply`. Raises RpcError (nothing changed) when it is not valid.
        """
        await self._datastores.change_running(elements)

    def find(self, session_id: int) -> ServerSession | None:
        """The open session of this id."""
        return self._sessions.get(session_id)

    def facts(self) -> Sequence[SessionFacts]:
        """What monitoring tells of every open session."""
        return [session.facts for session in self._sessions.values()]

    async def close(self) -> None:
        """Listen no more, end all sessions and wait for the rpcs at hand (at most 5 s)."""
        self.observer.close()
        services, self._services = self._services, []
        calls = tuple(self._calls)
        for service in services:
            service.stop()
        sessions = list(self._sessions.values())
        for session in sessions:
            session.end("server closed")
        # What was committed and not confirmed does not outlive the server (RFC 6241 clause 8.4.1).
        ends = [asyncio.ensure_future(session.finished()) for session in sessions]
        ends.append(asyncio.ensure_future(self._datastores.close()))
        timer = asyncio.ensure_future(self._clock.sleep(_CLOSE_GRACE_S))
        waiting = asyncio.ensure_future(asyncio.wait(ends))
        await asyncio.wait((timer, waiting), return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for service in services:
            await service.wait_closed()

    def _forget(self, session: ServerSession) -> None:
        self._sessions.pop(session.session_id, None)
        self._datastores.end_session(session.session_id)
        self._notices.session_ended(session.facts, session.termination, session.killed_by)


if TYPE_CHECKING:
    from keyweave_core.netconf.server.operations.calls import Registry

    def _is_registry(server: NetconfServer) -> Registry:
        return server
