"""The configuration datastores of a server: running and candidate (RFC 6241 clauses 5, 7.2 to 7.6, 8.2, 8.3).

Rule of this file: a snapshot is never changed, a change makes a new one; so every reader may keep what it
was given. Running is valid at every moment. Changes go one at a time, because the device makes each real
before the next may start; reading never waits.
"""

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from lxml import etree

from keyweave_core.errors import Refused, SchemaViolation
from keyweave_core.netconf.data.edit import Operation, edit
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Device, Schema
from keyweave_core.netconf.protocol.messages import to_bytes
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, base_info, from_fault
from keyweave_core.netconf.server.access import AccessControl, User
from keyweave_core.runtime.clock import Clock


class Store(StrEnum):
    """The datastores we have."""

    RUNNING = "running"
    CANDIDATE = "candidate"


class Test(StrEnum):
    """test-option of edit-config (RFC 6241 clause 8.6.4.1)."""

    TEST_THEN_SET = "test-then-set"
    SET = "set"
    TEST_ONLY = "test-only"


class Snapshot:
    """A configuration as top-level elements, with its text made once."""

    def __init__(self, elements: Sequence[etree._Element]) -> None:
        self.elements = tuple(elements)

    @cached_property
    def xml(self) -> bytes:
        """The elements one after the other, as UTF-8; equal configurations mostly have equal text."""
        return b"".join(to_bytes(element) for element in self.elements)


@dataclass(frozen=True, slots=True)
class Editor:
    """Who changes a datastore: a session (0: none of NETCONF's) and the user whose rights count."""

    session_id: int
    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningChanged:
    """Running became another configuration. `by` is None when the system did it itself."""

    before: Snapshot
    after: Snapshot
    by: Editor | None


@dataclass(frozen=True, slots=True)
class Lock:
    """A global lock of one datastore."""

    session_id: int
    since_s: float  # seconds since 1970


class Datastores:
    """Running and candidate with their locks. Sessions are known by their ids."""

    def __init__(
        self,
        schema: Schema,
        places: SchemaMap,
        device: Device,
        running: Sequence[etree._Element],
        *,
        clock: Clock,
        access: AccessControl,
    ) -> None:
        """Start with `running`; raises RpcError or SchemaViolation when it is no valid configuration."""
        self._schema = schema
        self._places = places
        self._device = device
        self._clock = clock
        self._access = access
        self._watchers: list[Callable[[RunningChanged], None]] = []
        self._turn = asyncio.Lock()
        self.locks: dict[Store, Lock] = {}
        self._candidate: Snapshot | None = None  # None: the same as running
        self._editors: dict[int, None] = {}  # sessions with changes in the candidate, in order
        self._running = self._normal(running)
        schema.validate(self._running.elements)
        access.configured(self._running.elements)

    def watch(self, watcher: Callable[[RunningChanged], None]) -> Callable[[], None]:
        """Call `watcher` after each change of running; it must not raise or wait. Returns how to stop."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def read(self, store: Store) -> Snapshot:
        """The store as it is now."""
        if store is Store.CANDIDATE and self._candidate is not None:
            return self._candidate
        return self._running

    async def edit(
        self,
        editor: Editor,
        target: Store,
        config: etree._Element,
        *,
        default: Operation = Operation.MERGE,
        test: Test | None = None,
    ) -> None:
        """Apply an edit-config. Running is always validated; the candidate only when `test` asks for it.

        Raises RpcError; nothing was changed then.
        """
        async with self._turn:
            self._refuse_locked(editor.session_id, target)
            base = self.read(target)
            new = Snapshot(edit(base.elements, config, schema=self._places, default=default))
            self._access.check_changes(editor.user, base.elements, new.elements)
            if target is Store.RUNNING or test in (Test.TEST_ONLY, Test.TEST_THEN_SET):
                self.check(new)
            if test is Test.TEST_ONLY or new.xml == base.xml:
                return
            if target is Store.RUNNING:
                await self._make_real(new, editor)
            else:
                self._candidate = new
                self._editors[editor.session_id] = None

    async def rewrite(self, editor: Editor, make: Callable[[Snapshot], Snapshot]) -> None:
        """Make running what `make` returns for it, as one change: for edits that build on each other.

        `make` may raise what `data.edit.edit` does. Raises RpcError; nothing was changed then.
        """
        async with self._turn:
            self._refuse_locked(editor.session_id, Store.RUNNING)
            base = self._running
            new = make(base)
            self._access.check_changes(editor.user, base.elements, new.elements)
            self.check(new)
            if new.xml != base.xml:
                await self._make_real(new, editor)

    async def copy(self, editor: Editor, source: Snapshot | etree._Element, target: Store) -> None:
        """Replace `target` as a whole by a snapshot or by the content of a <config> element."""
        if not isinstance(source, Snapshot):
            source = self.inline(source)
        async with self._turn:
            self._refuse_locked(editor.session_id, target)
            base = self.read(target)
            self._access.check_changes(editor.user, base.elements, source.elements)
            if target is Store.RUNNING:
                self.check(source)
                await self._make_real(source, editor)
            elif source.xml != base.xml:
                self._candidate = source
                self._editors[editor.session_id] = None

    async def commit(self, editor: Editor) -> None:
        """Make the candidate the running configuration; without changes in it this is nothing."""
        async with self._turn:
            self._refuse_locked(editor.session_id, Store.RUNNING)
            self._refuse_locked(editor.session_id, Store.CANDIDATE)
            if self._candidate is not None:
                self._access.check_changes(editor.user, self._running.elements, self._candidate.elements)
                self.check(self._candidate)
                await self._make_real(self._candidate, editor)
            self._forget_changes()

    async def discard(self, session_id: int) -> None:
        """Make the candidate equal to running again."""
        async with self._turn:
            self._refuse_locked(session_id, Store.CANDIDATE)
            self._forget_changes()

    def inline(self, config: etree._Element) -> Snapshot:
        """The content of a <config> element as a whole configuration of its own; raises RpcError."""
        return Snapshot(edit((), config, schema=self._places))

    def check(self, snapshot: Snapshot) -> None:
        """Validate a configuration; raises RpcError."""
        try:
            self._schema.validate(snapshot.elements)
        except SchemaViolation as fault:
            raise from_fault(fault, self._places.namespaces) from fault

    async def change_running(self, elements: Sequence[etree._Element]) -> None:
        """Replace running on the device's own behalf: the device is not asked, locks do not count.

        A candidate without changes follows. Raises RpcError; nothing was changed then. Must not be awaited
        from within `Device.apply`, which holds the turn.
        """
        async with self._turn:
            new = self._normal(elements)
            self.check(new)
            self._change(new, None)

    def lock(self, session_id: int, store: Store) -> None:
        """Take the global lock; raises RpcError lock-denied, naming who is in the way."""
        held = self.locks.get(store)
        if held is not None:
            raise _denied(f"{store} is locked by session {held.session_id}", held.session_id)
        if store is Store.CANDIDATE and self._candidate is not None:
            editor = next(iter(self._editors), 0)
            raise _denied("the candidate has changes that are not committed", editor)
        self.locks[store] = Lock(session_id, self._clock.now())

    def unlock(self, session_id: int, store: Store) -> None:
        """Give the lock back; raises RpcError operation-failed when the session does not hold it."""
        held = self.locks.get(store)
        if held is None or held.session_id != session_id:
            raise RpcError("operation-failed", f"this session holds no lock of {store}", type="protocol")
        self._release(store)

    def end_session(self, session_id: int) -> None:
        """Free what a session held when it ended, however it ended."""
        for store in [s for s, held in self.locks.items() if held.session_id == session_id]:
            self._release(store)
        self._editors.pop(session_id, None)

    def _release(self, store: Store) -> None:
        del self.locks[store]
        if store is Store.CANDIDATE:
            # RFC 6241 clause 8.3.5.2: changes go with the lock, so that the next holder starts clean.
            self._forget_changes()

    def _forget_changes(self) -> None:
        self._candidate = None
        self._editors.clear()

    def _refuse_locked(self, session_id: int, store: Store) -> None:
        held = self.locks.get(store)
        if held is not None and held.session_id != session_id:
            raise RpcError("in-use", f"{store} is locked by session {held.session_id}")

    async def _make_real(self, new: Snapshot, editor: Editor) -> None:
        try:
            await self._device.apply(self._running.elements, new.elements)
        except (SchemaViolation, Refused) as fault:
            raise from_fault(fault, self._places.namespaces) from fault
        self._change(new, editor)

    def _change(self, new: Snapshot, editor: Editor | None) -> None:
        change = RunningChanged(before=self._running, after=new, by=editor)
        self._running = new
        self._access.configured(new.elements)
        for watcher in tuple(self._watchers):
            watcher(change)

    def _normal(self, elements: Sequence[etree._Element]) -> Snapshot:
        """Elements of any origin in the form of the store; the originals stay where they are."""
        config = etree.Element(f"{{{BASE}}}config")
        config.extend(copy.deepcopy(element) for element in elements)
        for element in config:
            element.tail = None
        return self.inline(config)


def _denied(message: str, session_id: int) -> RpcError:
    return RpcError("lock-denied", message, type="protocol", info=base_info(session_id=str(session_id)))
