"""What wants to leave the key manager waits here until the ledger has what it follows from.

Rule of this file: frames and answers leave in the order in which they came, and none before the changes that
were noted when it came are durable. One commit at a time; what comes meanwhile shares the next one. When a
commit fails, nothing leaves: those who wait for an answer hear of it, frames stay, every beat tries again.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.storage.ledger import Bytes, Ledger
from keyweave_core.model.ids import LinkId

Answer = Callable[[LedgerFailed | None], None]
"""Called once: with None when everything is durable, else with why nothing may leave."""

SLOW_S = 0.001

Frames = list[tuple[LinkId, int, Bytes]]
"""Physical link, number of its connection, frame."""


class Gate:
    """The way out of one key manager.

    `send` gets frames that may leave. `failed` is told why commits begin to fail, and None when they work
    again. `decided` hears after each commit whether it came through, before anybody else does. Commits of a
    `slow` ledger (it waits for a disk) run in a thread while they take long: the way there and back takes
    more than a fast disk does.
    """

    def __init__(
        self,
        ledger: Ledger,
        send: Callable[[Frames], None],
        failed: Callable[[str | None], None],
        decided: Callable[[bool], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._send = send
        self._failed = failed
        self._decided = decided
        self._monotonic = monotonic
        self.cost_s = 0.0  # of a commit, on average over the last few
        self._waiting: deque[tuple[int, Frames | Answer]] = deque()
        self._commit: asyncio.Task[None] | None = None
        self.broken: str | None = None

    def push(self, frames: Frames) -> None:
        """Frames that follow from what was noted so far."""
        if frames:
            self._waiting.append((self._ledger.noted, frames))

    def once_durable(self, answer: Answer) -> None:
        """Call `answer` when what was noted so far is durable, or cannot be made so."""
        self._waiting.append((self._ledger.noted, answer))

    async def durable(self) -> None:
        """Wait until what was noted so far is durable. LedgerFailed: it could not be made so now."""
        if self._ledger.kept >= self._ledger.noted:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def answer(error: LedgerFailed | None) -> None:
            if not done.done():
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

        self.once_durable(answer)
        self.turn()
        await done

    def prune(self, stands: Callable[[LinkId, int], bool]) -> None:
        """Let go of frames for connections that do not stand any more."""
        for place, (need, item) in enumerate(self._waiting):
            if not callable(item):
                self._waiting[place] = (need, [frame for frame in item if stands(frame[0], frame[1])])
        self._waiting = deque(item for item in self._waiting if item[1] != [])

    def turn(self) -> None:
        """The end of a turn of the loop: commit when something waits for it, and let out what may leave."""
        self._release()
        if self._waiting and self._commit is None and self.broken is None:
            self._begin()

    def beat(self) -> None:
        """Now and then: make lazy changes durable, and try again what failed."""
        if self._commit is None and (self._ledger.stale or self.broken is not None):
            self._begin()

    async def close(self) -> None:
        """Make everything durable that can be made so; what still waits is let out or told."""
        while self._commit is not None:
            await asyncio.wait([self._commit])
        self._finish()

    def _begin(self) -> None:
        if self._ledger.slow and self.cost_s > SLOW_S:
            self._commit = asyncio.get_running_loop().create_task(self._in_thread())
        else:
            self._finish()

    async def _in_thread(self) -> None:
        try:
            await asyncio.to_thread(self._write)
        except LedgerFailed as error:
            self._refuse(error)
        else:
            self._restored()
        finally:
            self._commit = None
        self.turn()

    def _write(self) -> None:
        began_s = self._monotonic()
        self._ledger.commit()
        self.cost_s += 0.2 * (self._monotonic() - began_s - self.cost_s)

    def _finish(self) -> None:
        try:
            self._write()
        except LedgerFailed as error:
            self._refuse(error)
        else:
            self._restored()
            self._release()

    def _release(self) -> None:
        kept = self._ledger.kept
        while self._waiting and self._waiting[0][0] <= kept:
            item = self._waiting.popleft()[1]
            if callable(item):
                item(None)
            else:
                self._send(item)

    def _restored(self) -> None:
        self._decided(True)
        if self.broken is not None:
            self.broken = None
            self._failed(None)

    def _refuse(self, error: LedgerFailed) -> None:
        if self.broken is None:
            self._failed(str(error))
        self.broken = str(error)
        self._release()
        self._decided(False)
        waiting, self._waiting = self._waiting, deque()
        for need, item in waiting:
            if callable(item):
                item(error)
            else:
                self._waiting.append((need, item))
