"""The operations of the server (RFC 6241 clauses 7 and 8, RFC 6022 clause 3, RFC 5277 clause 2.1).

Rule of this file: one method an operation; it reads its parameters, does its work and returns the body of
the reply, or raises RpcError. What must come after the reply (a subscription, the end of a session) is
returned with it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from keyweave_core.netconf.data.edit import Operation
from keyweave_core.netconf.data.filters import asks_for, children_asked, select
from keyweave_core.netconf.data.overlay import overlay
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Device, ModuleInfo, Schema
from keyweave_core.netconf.protocol.elements import element
from keyweave_core.netconf.protocol.messages import (
    MONITORING,
    NETMOD_NOTIFICATION,
    NOTIFICATION,
    OK,
    YANG_LIBRARY,
    to_bytes,
)
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, bad_element, base_info
from keyweave_core.netconf.server import library, monitoring
from keyweave_core.netconf.server.datastores import Datastores, Snapshot, Store, Test
from keyweave_core.netconf.server.events import STREAM, EventStream
from keyweave_core.netconf.server.parameters import (
    choice,
    moment,
    parameters,
    required,
    store,
    store_or_config,
    subtree_filter,
    text_of,
)
from keyweave_core.runtime.clock import Clock


class Caller(Protocol):
    """The session an operation came from."""

    @property
    def session_id(self) -> int: ...
    @property
    def username(self) -> str: ...
    @property
    def subscribed(self) -> bool: ...

    def subscribe(
        self, filters: Sequence[etree._Element] | None, start_s: float | None, stop_s: float | None
    ) -> None:
        """Start the one subscription of the session."""
        ...

    def end(self, reason: str) -> None:
        """Close the session after what was written."""
        ...


class Registry(Protocol):
    """The sessions of the server."""

    def find(self, session_id: int) -> Caller | None: ...
    def facts(self) -> Sequence[monitoring.SessionFacts]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a reply, and what to do once it is written."""

    body: bytes = OK
    then: Callable[[], None] | None = None


_ERROR_OPTIONS = ("stop-on-error", "continue-on-error", "rollback-on-error")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What the operations work on."""

    schema: Schema
    places: SchemaMap
    modules: Sequence[ModuleInfo]
    capabilities: Sequence[str]
    library_id: str
    device: Device
    datastores: Datastores
    stream: EventStream
    registry: Registry
    counters: monitoring.ServerCounters
    clock: Clock


class Operations:
    """Dispatch by name, and the operations."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._library = library.yang_library(system.modules, system.library_id)
        self._modules_state = library.modules_state(system.modules, system.library_id)
        self._table: dict[str, Callable[[Caller, etree._Element], Awaitable[Answer]]] = {
            f"{{{BASE}}}get": self._get,
            f"{{{BASE}}}get-config": self._get_config,
            f"{{{BASE}}}edit-config": self._edit_config,
            f"{{{BASE}}}copy-config": self._copy_config,
            f"{{{BASE}}}delete-config": self._delete_config,
            f"{{{BASE}}}commit": self._commit,
            f"{{{BASE}}}discard-changes": self._discard,
            f"{{{BASE}}}validate": self._validate,
            f"{{{BASE}}}lock": self._lock,
            f"{{{BASE}}}unlock": self._unlock,
            f"{{{BASE}}}close-session": self._close_session,
            f"{{{BASE}}}kill-session": self._kill_session,
            f"{{{MONITORING}}}get-schema": self._get_schema,
            f"{{{NOTIFICATION}}}create-subscription": self._create_subscription,
        }
        self._own = {BASE, MONITORING, NOTIFICATION, NETMOD_NOTIFICATION, YANG_LIBRARY}
        # The schema may hold the protocol's own modules; what they describe is made here alone.
        self._device_tops = [
            f"{{{node.namespace}}}{node.name}"
            for node in system.schema.tops()
            if node.namespace not in self._own
        ]
        self._callable = {m.namespace for m in system.schema.modules if m.implemented}

    async def perform(self, caller: Caller, operation: etree._Element) -> Answer:
        """Carry out one operation; raises RpcError, or what the device raised."""
        method = self._table.get(str(operation.tag))
        if method is not None:
            return await method(caller, operation)
        name = etree.QName(operation)
        namespace = name.namespace or ""
        if namespace in self._callable and namespace not in self._own:
            try:
                elements = await self._system.device.call(operation, caller.username)
            except KeyError:
                raise _not_supported(name.localname) from None
            return Answer(OK if elements is None else b"".join(to_bytes(element) for element in elements))
        if namespace in self._callable or namespace in self._own:
            raise _not_supported(name.localname)
        raise RpcError(
            "unknown-namespace",
            f"no module here has the namespace {namespace[:200]!r}",
            type="protocol",
            info=base_info(bad_element=name.localname, bad_namespace=namespace[:200]),
        )

    async def _get_config(self, _caller: Caller, operation: etree._Element) -> Answer:
        found = parameters(operation, "source", "filter")
        snapshot = self._system.datastores.read(store(required(found, "source")))
        filters = subtree_filter(found)
        if filters is None:
            return _data(snapshot.xml)
        chosen = select(filters, snapshot.elements, self._system.places.top)
        return _data(b"".join(to_bytes(element) for element in chosen))

    async def _get(self, _caller: Caller, operation: etree._Element) -> Answer:
        filters = subtree_filter(parameters(operation, "filter"))
        elements: list[etree._Element] = []
        if filters is None or any(asks_for(filters, tag) for tag in self._device_tops):
            state = await self._system.device.state()
            running = self._system.datastores.read(Store.RUNNING)
            elements = overlay(running.elements, state, self._system.places.top)
        elements = [e for e in elements if etree.QName(e).namespace not in self._own]
        elements += self._own_state(filters)
        if filters is not None:
            elements = select(filters, elements, self._system.places.top)
        return _data(b"".join(to_bytes(element) for element in elements))

    def _own_state(self, filters: Sequence[etree._Element] | None) -> list[etree._Element]:
        system = self._system

        def wanted(tag: str) -> bool:
            return filters is None or asks_for(filters, tag)

        elements = []
        tag = f"{{{MONITORING}}}netconf-state"
        if wanted(tag):
            elements.append(
                monitoring.netconf_state(
                    None if filters is None else children_asked(filters, tag),
                    capabilities=system.capabilities,
                    locks=system.datastores.locks,
                    modules=system.modules,
                    sessions=system.registry.facts(),
                    statistics=system.counters,
                )
            )
        elements += [e for e in (self._library, self._modules_state) if wanted(str(e.tag))]
        if wanted(f"{{{NETMOD_NOTIFICATION}}}netconf"):
            elements.append(system.stream.describe())
        return elements

    async def _edit_config(self, caller: Caller, operation: etree._Element) -> Answer:
        found = parameters(
            operation, "target", "default-operation", "test-option", "error-option", "config", "url"
        )
        target = store(required(found, "target"))
        default = choice(found, "default-operation", Operation) or Operation.MERGE
        if default in (Operation.CREATE, Operation.DELETE, Operation.REMOVE):
            raise bad_element("invalid-value", f"{default} is no default operation", "default-operation")
        test = choice(found, "test-option", Test)
        option = text_of(found, "error-option")
        # Every edit of ours is all or nothing, which satisfies each of the three.
        if option is not None and option not in _ERROR_OPTIONS:
            raise bad_element("invalid-value", f"no error-option {option[:60]!r}", "error-option")
        if "url" in found:
            raise _not_supported("url")
        config = required(found, "config")
        await self._system.datastores.edit(caller.session_id, target, config, default=default, test=test)
        return Answer()

    async def _copy_config(self, caller: Caller, operation: etree._Element) -> Answer:
        found = parameters(operation, "target", "source")
        target = store(required(found, "target"))
        source = store_or_config(required(found, "source"), config=True)
        if source == target:
            raise bad_element("invalid-value", "source and target are the same", "target")
        content: Snapshot | etree._Element
        content = self._system.datastores.read(source) if isinstance(source, Store) else source
        await self._system.datastores.copy(caller.session_id, content, target)
        return Answer()

    async def _delete_config(self, _caller: Caller, operation: etree._Element) -> Answer:
        target = store(required(parameters(operation, "target"), "target"))
        raise RpcError("operation-not-supported", f"{target} cannot be deleted", type="protocol")

    async def _commit(self, caller: Caller, operation: etree._Element) -> Answer:
        parameters(operation)
        await self._system.datastores.commit(caller.session_id)
        return Answer()

    async def _discard(self, caller: Caller, operation: etree._Element) -> Answer:
        parameters(operation)
        await self._system.datastores.discard(caller.session_id)
        return Answer()

    async def _validate(self, _caller: Caller, operation: etree._Element) -> Answer:
        source = store_or_config(required(parameters(operation, "source"), "source"), config=True)
        datastores = self._system.datastores
        datastores.check(datastores.read(source) if isinstance(source, Store) else datastores.inline(source))
        return Answer()

    async def _lock(self, caller: Caller, operation: etree._Element) -> Answer:
        target = store(required(parameters(operation, "target"), "target"))
        self._system.datastores.lock(caller.session_id, target)
        return Answer()

    async def _unlock(self, caller: Caller, operation: etree._Element) -> Answer:
        target = store(required(parameters(operation, "target"), "target"))
        self._system.datastores.unlock(caller.session_id, target)
        return Answer()

    async def _close_session(self, caller: Caller, operation: etree._Element) -> Answer:
        parameters(operation)
        return Answer(then=lambda: caller.end("closed by its client"))

    async def _kill_session(self, caller: Caller, operation: etree._Element) -> Answer:
        found = parameters(operation, "session-id")
        required(found, "session-id")
        text = text_of(found, "session-id") or ""
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
        victim = self._system.registry.find(number)
        if victim is None or number == caller.session_id:
            why = "is this session" if victim is not None else "is no session"
            raise bad_element("invalid-value", f"{text[:20]!r} {why}", "session-id")
        victim.end(f"killed by session {caller.session_id}")
        return Answer()

    async def _get_schema(self, _caller: Caller, operation: etree._Element) -> Answer:
        found = parameters(operation, "identifier", "version", "format")
        required(found, "identifier")
        text = monitoring.find_schema(
            self._system.modules,
            text_of(found, "identifier") or "",
            text_of(found, "version"),
            text_of(found, "format") or "yang",
        )
        data = element(f"{{{MONITORING}}}data", {None: MONITORING})
        data.text = text
        return Answer(to_bytes(data))

    async def _create_subscription(self, caller: Caller, operation: etree._Element) -> Answer:
        found = parameters(operation, "stream", "filter", "startTime", "stopTime")
        name = text_of(found, "stream")
        if name is not None and name != STREAM:
            raise bad_element("invalid-value", f"no stream {name[:60]!r}", "stream")
        filters = subtree_filter(found)
        start_s, stop_s = moment(found, "startTime"), moment(found, "stopTime")
        if stop_s is not None and start_s is None:
            raise bad_element("missing-element", "stopTime wants a startTime", "startTime")
        if start_s is not None and start_s > self._system.clock.now():
            raise bad_element("bad-element", "startTime is in the future", "startTime")
        if start_s is not None and stop_s is not None and stop_s < start_s:
            raise bad_element("bad-element", "stopTime is before startTime", "stopTime")
        if caller.subscribed:
            raise RpcError("in-use", "this session has a subscription already", type="protocol")
        return Answer(then=lambda: caller.subscribe(filters, start_s, stop_s))


def _data(content: bytes) -> Answer:
    return Answer(b"".join((b"<data>", content, b"</data>")))


def _not_supported(name: str) -> RpcError:
    return RpcError("operation-not-supported", f"no operation {name[:100]!r} here", type="protocol")
