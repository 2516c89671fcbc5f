"""A bounded wait, measured by a clock object."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from keyweave_core.errors import DeadlineExceeded
from keyweave_core.runtime.clock import Clock

T = TypeVar("T")


async def within(clock: Clock, work: Awaitable[T], limit_s: float, message: str) -> T:
    """Return what `work` gives, or cancel it after `limit_s` seconds and raise DeadlineExceeded(message)."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(limit_s))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise DeadlineExceeded(f"{message} within {limit_s:g} s")
    finally:
        timer.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif not task.cancelled():
            task.exception()  # cancelled in the moment it failed: nobody else will ask for it
