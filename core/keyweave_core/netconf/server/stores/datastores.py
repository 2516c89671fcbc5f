"""The configuration datastores of a server (RFC 6241 clauses 5, 7.2 to 7.6, 8.2 to 8.4, 8.7).

Rule of this file: a snapshot is never changed, a change makes a new one; so every reader may keep what it
was given. Running is valid at every moment. Changes go one at a time, because the device makes each real
before the next may start; reading never waits.

What is kept for the next start of the process: running after every change of it, but for a confirmed commit
that nobody has confirmed yet; with a startup datastore, that alone.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.data.edit import Operation, edit
from keyweave_core.netconf.data.merge import merge
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Device, Keeper, Schema
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, from_fault
from keyweave_core.netconf.server.access import AccessControl
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.stores.candidate import Candidate
from keyweave_core.netconf.server.stores.confirmed import PLAIN, CommitRequest, ConfirmedFact
from keyweave_core.netconf.server.stores.confirming import Confirming
from keyweave_core.netconf.server.stores.locks import Locks, denied
from keyweave_core.netconf.server.stores.making import Making
from keyweave_core.netconf.server.stores.snapshots import (
    Editor,
    Lock,
    Remaking,
    RunningChanged,
    Snapshot,
    Store,
    Test,
)
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger, get_logger

__all__ = ["Datastores", "Editor", "Lock", "RunningChanged", "Snapshot", "Store", "Test"]


class Datastores:
    """Running, candidate and startup with their locks. Sessions are known by their ids."""

    def __init__(
        self,
        schema: Schema,
        places: SchemaMap,
        device: Device,
        running: Sequence[etree._Element],
        *,
        clock: Clock,
        access: AccessControl,
        features: ServerFeatures | None = None,
        keeper: Keeper | None = None,
        log: Logger | None = None,
    ) -> None:
        """Start with `running`, and with the same in startup.

        Raises RpcError or SchemaViolation when it is no valid configuration, ValueError for a startup
        datastore without a keeper.
        """
        features = features or ServerFeatures()
        if features.startup and keeper is None:
            raise ValueError("a startup datastore wants a keeper: it must outlive the process")
        self._schema = schema
        self._places = places
        log = log or get_logger("netconf")
        self._making = Making(device, keeper, places, log, keeps_running=not features.startup)
        self._clock = clock
        self._access = access
        self._log = log
        self._watchers: list[Callable[[RunningChanged], None]] = []
        self._turn = asyncio.Lock()
        self._locks = Locks()
        self._candidate = Candidate(places)
        self._confirming = Confirming(clock, self._turn, self._restore, log)
        self._running = self._normal(running)
        schema.validate(self._running.elements)
        self._startup = self._running if features.startup else None
        self.stores = tuple(store for store in Store if store is not Store.STARTUP or features.startup)
        access.configured(self._running.elements)

    def watch(self, watcher: Callable[[RunningChanged], None]) -> Callable[[], None]:
        """Call `watcher` after each change of running; it must not raise or wait. Returns how to stop."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def watch_confirmed(self, watcher: Callable[[ConfirmedFact], None]) -> Callable[[], None]:
        """Call `watcher` with each turn of a confirmed commit, running being changed already.

        It must not raise or wait. Returns how to stop.
        """
        return self._confirming.watch(watcher)

    @property
    def locks(self) -> Mapping[Store, Lock]:
        """The locks that are held."""
        return self._locks.held

    def read(self, store: Store) -> Snapshot:
        """The store as it is now; raises RpcError operation-not-supported when there is none."""
        if store is Store.STARTUP:
            if self._startup is None:
                message = "startup is no capability of this server"
                raise RpcError("operation-not-supported", message, type="protocol")
            return self._startup
        if store is Store.CANDIDATE and self._candidate.content is not None:
            return self._candidate.content
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
        """Apply an edit. The candidate is validated only when `test` asks for it, the others always.

        Raises RpcError; nothing was changed then.
        """
        async with self._turn:
            base = self.read(target)
            self._refuse_busy(editor.session_id, target)
            new = Snapshot(edit(base.elements, config, schema=self._places, default=default))
            self._check_rights(editor, base, new, target)
            if target is not Store.CANDIDATE or test in (Test.TEST_ONLY, Test.TEST_THEN_SET):
                self.check(new)
            if test is not Test.TEST_ONLY and new.xml != base.xml:
                await self._put(editor, target, new)

    async def rewrite(self, editor: Editor, make: Callable[[Snapshot], Snapshot]) -> None:
        """Make running what `make` returns for it, as one change: for edits that build on each other.

        `make` may raise what `data.edit.edit` does. Raises RpcError; nothing was changed then.
        """
        async with self._turn:
            self._refuse_busy(editor.session_id, Store.RUNNING)
            base = self._running
            new = make(base)
            self._check_rights(editor, base, new, Store.RUNNING)
            self.check(new)
            if new.xml != base.xml:
                await self._put(editor, Store.RUNNING, new)

    async def copy(
        self, editor: Editor, source: Store | Sequence[etree._Element] | etree._Element, target: Store
    ) -> None:
        """Replace `target` as a whole by a datastore, by top-level elements or by what a <config> holds.

        Of a datastore only what the user may read is copied, but for running to startup, which wants no more
        than the right to call the operation (RFC 8341 clause 3.2). Raises RpcError; nothing was changed
        then.
        """
        async with self._turn:
            base = self.read(target)
            self._refuse_busy(editor.session_id, target)
            new = self._source(editor, source, target)
            if not (source is Store.RUNNING and target is Store.STARTUP):
                self._check_rights(editor, base, new, target)
            if target is not Store.CANDIDATE:
                self.check(new)
                if target is Store.STARTUP or new.xml != base.xml:
                    await self._put(editor, target, new)
            elif new.xml == self._running.xml:
                self._candidate.forget()
            else:
                self._candidate.put(new, editor.session_id, self._running, whole=True)

    async def delete_startup(self, editor: Editor) -> None:
        """Empty the startup datastore: the next start is one without any saved configuration."""
        async with self._turn:
            base = self.read(Store.STARTUP)
            self._refuse_busy(editor.session_id, Store.STARTUP)
            self._access.check_changes(editor.user, base.elements, ())
            await self._making.keep(None)
            self._startup = Snapshot(())

    async def commit(self, editor: Editor, request: CommitRequest = PLAIN) -> None:
        """Make the candidate running, for good or, by a confirmed commit, until further notice.

        Raises RpcError; nothing was changed then.
        """
        session = editor.session_id
        with self._confirming.within(session):
            async with self._turn:
                self._locks.refuse(session, Store.RUNNING)
                self._locks.refuse(session, Store.CANDIDATE)
                self._confirming.check(session, request)
                self._refuse_conflict()
                before = self._running
                await self._commit(editor, keep=not request.confirmed)
                self._confirming.committed(editor, request, before)

    async def cancel_commit(self, editor: Editor, persist_id: str | None = None) -> None:
        """Bring running back to what it was before the pending confirmed commit.

        Raises RpcError: there is none, it is not the caller's, or the device refuses. In the last case it is
        tried again until it is done.
        """
        async with self._turn:
            self._locks.refuse(editor.session_id, Store.RUNNING)
            await self._confirming.cancel(editor, persist_id)

    async def discard(self, session_id: int) -> None:
        """Make the candidate equal to running again."""
        async with self._turn:
            self._locks.refuse(session_id, Store.CANDIDATE)
            self._candidate.forget()

    def inline(self, config: etree._Element) -> Snapshot:
        """The content of a <config> element as a whole configuration of its own; raises RpcError."""
        return Snapshot(edit((), config, schema=self._places))

    def check(self, snapshot: Snapshot) -> None:
        """Validate a configuration; raises RpcError."""
        try:
            self._schema.validate(snapshot.elements)
        except SchemaViolation as fault:
            raise from_fault(fault, self._places.namespaces) from fault

    def validate(self, source: Store | etree._Element) -> None:
        """Validate a datastore or the content of a <config>; RpcError also when the candidate conflicts."""
        self.check(self.read(source) if isinstance(source, Store) else self.inline(source))
        if source is Store.CANDIDATE:
            self._refuse_conflict()

    async def change_running(self, elements: Sequence[etree._Element] | Remaking) -> None:
        """Replace running on the device's own behalf: the device is not asked, locks do not count.

        `elements` may be what makes them of running once its turn has come (None: it stays as it is). The
        candidate follows, and so does what a pending confirmed commit would restore. Raises RpcError;
        nothing was changed then. Must not be awaited from within `Device.apply`, which holds the turn.
        """
        async with self._turn:
            given = elements(self._running.elements) if callable(elements) else elements
            if given is None:
                return
            new = self._normal(given)
            self.check(new)
            pending = self._confirming.pending
            if pending is not None:
                self._rebase(pending.before, new)
            self._change(new, None)

    def lock(self, session_id: int, store: Store) -> None:
        """Take the global lock; raises RpcError lock-denied, naming who is in the way."""
        self.read(store)
        self._locks.refuse_second(store)
        if store is Store.CANDIDATE and self._candidate.content is not None:
            raise denied("the candidate has changes that are not committed", self._candidate.editor)
        pending = self._confirming.pending
        if store is Store.RUNNING and pending is not None:
            owner = pending.by.session_id
            if pending.due is not None or owner != session_id:
                raise denied("a confirmed commit is pending", owner)
        self._locks.take(session_id, store, self._clock.now())

    def unlock(self, session_id: int, store: Store) -> None:
        """Give the lock back; raises RpcError operation-failed when the session does not hold it."""
        self._locks.give(session_id, store)
        self._released(store)

    def end_session(self, session_id: int) -> None:
        """Free what a session held when it ended, however it ended; its confirmed commit is rolled back."""
        for store in self._locks.of(session_id):
            self.unlock(session_id, store)
        self._candidate.leave(session_id)
        self._confirming.session_ended(session_id)

    async def close(self) -> None:
        """Roll back what nobody has confirmed; nothing may be changed afterwards."""
        await self._confirming.close()

    async def _commit(self, editor: Editor, *, keep: bool) -> None:
        new = self._candidate.content
        if new is not None:
            self._check_rights(editor, self._running, new, Store.RUNNING)
            self.check(new)
            await self._making.make(self._running, new, editor, keep=keep)
            self._candidate.forget()
            self._change(new, editor)
        elif keep and self._confirming.pending is not None:
            await self._making.keep_running(self._running)

    async def _restore(self, before: Snapshot, by: Editor | None) -> None:
        """Running as it was before a confirmed commit: that is what is kept already."""
        if before.xml != self._running.xml:
            await self._making.make(self._running, before, by, keep=False)
            self._change(before, by)

    def _rebase(self, before: Snapshot, new: Snapshot) -> None:
        """What the system changes itself is to stay also after a roll back."""
        merged = merge(self._running.elements, new.elements, before.elements, self._places)
        rebased = Snapshot(merged.elements)
        try:
            self.check(rebased)
        except RpcError as fault:
            self._log.warning("a roll back would undo a change of the system", reason=str(fault))
            return
        self._confirming.machine.rebased(rebased)

    def _source(
        self, editor: Editor, source: Store | Sequence[etree._Element] | etree._Element, target: Store
    ) -> Snapshot:
        if isinstance(source, Store):
            snapshot = self.read(source)
            if source is Store.RUNNING and target is Store.STARTUP:
                return snapshot
            readable = self._access.readable(editor.user, snapshot.elements)
            return snapshot if readable is snapshot.elements else Snapshot(readable)
        return self.inline(source) if isinstance(source, Element) else self._normal(source)

    def _check_rights(self, editor: Editor, base: Snapshot, new: Snapshot, target: Store) -> None:
        self._access.check_changes(editor.user, base.elements, new.elements)
        if target is Store.RUNNING:
            self._access.check_lockout(editor.user, base.elements, new.elements)

    async def _put(self, editor: Editor, target: Store, new: Snapshot) -> None:
        match target:
            case Store.CANDIDATE:
                self._candidate.put(new, editor.session_id, self._running)
            case Store.STARTUP:
                await self._making.keep(new)
                self._startup = new
            case Store.RUNNING:
                await self._making.make(self._running, new, editor, keep=self._confirming.pending is None)
                self._change(new, editor)

    def _change(self, new: Snapshot, editor: Editor | None) -> None:
        change = RunningChanged(before=self._running, after=new, by=editor)
        self._running = new
        self._candidate.follow(new)
        self._access.configured(new.elements)
        for watcher in tuple(self._watchers):
            watcher(change)

    def _released(self, store: Store) -> None:
        if store is Store.CANDIDATE:
            # RFC 6241 clause 8.3.5.2: changes go with the lock, so that the next holder starts clean.
            self._candidate.forget()

    def _refuse_busy(self, session_id: int, store: Store) -> None:
        self._locks.refuse(session_id, store)
        if store is Store.RUNNING:
            self._confirming.machine.check_change(session_id)
        elif store is Store.STARTUP and self._confirming.pending is not None:
            raise RpcError("in-use", "a confirmed commit is pending: nothing is saved before it is settled")

    def _refuse_conflict(self) -> None:
        path = self._candidate.conflict
        if path is not None:
            message = "changed in the candidate and, meanwhile, in running: discard-changes and edit anew"
            raise self._places.error("operation-failed", message, path, app_tag="conflict")

    def _normal(self, elements: Sequence[etree._Element]) -> Snapshot:
        """Elements of any origin in the form of the store; the originals stay where they are."""
        config = etree.Element(f"{{{BASE}}}config")
        config.extend(copy.deepcopy(element) for element in elements)
        for element in config:
            element.tail = None
        return self.inline(config)
