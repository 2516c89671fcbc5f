"""Doing something later, by the clock of the program."""

import asyncio
from collections.abc import Callable

from keyweave_core.runtime.clock import Clock


def after(clock: Clock, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` once `delay_s` seconds have passed (on the next turn of the loop when not positive).

    `action` must not raise or wait. Returns how to call it off; harmless afterwards.
    """

    due_s = clock.monotonic() + delay_s  # counts from here, whenever the task has its first turn

    async def wait() -> None:
        await clock.sleep(due_s - clock.monotonic())
        action()

    task = asyncio.get_running_loop().create_task(wait())

    def cancel() -> None:
        # An action may call itself off; its task is then at its end and must not be disturbed.
        if asyncio.current_task() is not task:
            task.cancel()

    return cancel
