"""The hand on the clock of a confirmed commit: waits for its deadline and brings running back.

Rule of this file: it decides nothing. It asks how long there is to wait, waits, and tries; what fails is
tried again, later each time, for as long as there is something to bring back.
"""

import asyncio
from collections.abc import Awaitable, Callable

from keyweave_core.runtime.clock import Clock

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class RollBack:
    """One task at most. `remaining` gives the seconds to the roll back (None: there is none), `attempt` makes
    it and returns False when it must be tried again.
    """

    def __init__(
        self, clock: Clock, remaining: Callable[[], float | None], attempt: Callable[[], Awaitable[bool]]
    ) -> None:
        self._clock = clock
        self._remaining = remaining
        self._attempt = attempt
        self._task: asyncio.Task[None] | None = None

    def restart(self) -> None:
        """Look at the remaining time anew; not to be called from within an attempt."""
        self.stop()
        if self._remaining() is not None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        pause = _FIRST_PAUSE_S
        while (remaining := self._remaining()) is not None:
            if remaining > 0:
                await self._clock.sleep(remaining)
            elif not await self._attempt():
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
