"""Confirmed commit at work: the state machine with its clock, its watchers and the sessions at hand.

Rule of this file: `confirmed` decides, `rollback` waits, and what is to be restored is restored by whoever
owns running. The turn of changes is held by every caller but the clock, which takes it itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.stores.confirmed import (
    CommitRequest,
    ConfirmedCommit,
    ConfirmedFact,
    Pending,
)
from keyweave_core.netconf.server.stores.rollback import RollBack
from keyweave_core.netconf.server.stores.snapshots import Editor, Snapshot
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger


class Confirming:
    """The confirmed commit of a server. `restore` brings running back; `turn` is the turn of changes."""

    def __init__(
        self,
        clock: Clock,
        turn: asyncio.Lock,
        restore: Callable[[Snapshot, Editor | None], Awaitable[None]],
        log: Logger,
    ) -> None:
        self._clock = clock
        self._turn = turn
        self._restore_running = restore
        self._log = log
        self._watchers: list[Callable[[ConfirmedFact], None]] = []
        self._roll_back = RollBack(clock, self._remaining, self._attempt)
        self._inside: dict[int, bool] = {}  # sessions within a commit: have they ended meanwhile?
        self.machine = ConfirmedCommit()

    @property
    def pending(self) -> Pending | None:
        """What waits to be confirmed, or to be rolled back."""
        return self.machine.pending

    def watch(self, watcher: Callable[[ConfirmedFact], None]) -> Callable[[], None]:
        """See `Datastores.watch_confirmed`."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    @contextmanager
    def within(self, session_id: int) -> Iterator[None]:
        """A session commits, waiting for its turn included: should it end meanwhile, that is noticed."""
        self._inside[session_id] = False
        try:
            yield
        finally:
            del self._inside[session_id]

    def check(self, session_id: int, request: CommitRequest) -> None:
        """May the session commit this way? RpcError also when it has ended and would confirm nothing."""
        if request.confirmed and request.persist is None and self._inside.get(session_id):
            raise RpcError("operation-failed", "the session ended before its commit began")
        self.machine.check_commit(session_id, request)

    def committed(self, editor: Editor, request: CommitRequest, before: Snapshot) -> None:
        """The commit was made; `before` is running before it."""
        self._tell(self.machine.committed(editor, request, before, self._clock.monotonic()))
        if self._inside.get(editor.session_id):
            self.machine.session_ended(editor.session_id)
        self._roll_back.restart()

    async def cancel(self, editor: Editor, persist_id: str | None) -> None:
        """Roll back now, and later again when it fails; RpcError."""
        self.machine.cancel(editor, persist_id)
        try:
            await self._restore()
        finally:
            self._roll_back.restart()

    def session_ended(self, session_id: int) -> None:
        """Roll back soon what hung on the session."""
        if session_id in self._inside:
            self._inside[session_id] = True
        if self.machine.session_ended(session_id):
            self._roll_back.restart()

    async def close(self) -> None:
        """Roll back what is pending, as the server ends; takes the turn itself."""
        async with self._turn:
            self._roll_back.stop()
            self.machine.abandon()
        await self._attempt()

    def _remaining(self) -> float | None:
        pending = self.pending
        if pending is None:
            return None
        return 0.0 if pending.due is not None else pending.deadline_s - self._clock.monotonic()

    async def _attempt(self) -> bool:
        """Roll back if it is (still) due; False when it must be tried again."""
        async with self._turn:
            self.machine.expired(self._clock.monotonic())
            try:
                await self._restore()
            except Exception as fault:  # noqa: BLE001 - whatever the device raised, running must come back
                self._log.error("roll back of a confirmed commit failed", reason=str(fault))
                return False
            return True

    async def _restore(self) -> None:
        pending = self.pending
        if pending is not None and pending.due is not None:
            await self._restore_running(pending.before, pending.due.by)
            self._tell(self.machine.restored())

    def _tell(self, fact: ConfirmedFact | None) -> None:
        if fact is not None:
            by = None if fact.by is None else fact.by.session_id
            self._log.info("confirmed commit", turn=str(fact.event), session=by, timeout_s=fact.timeout_s)
            for watcher in tuple(self._watchers):
                watcher(fact)
