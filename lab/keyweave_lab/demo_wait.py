"""Waiting for the network to show something."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from keyweave_core.errors import DeadlineExceeded
from keyweave_core.runtime.clock import Clock

T = TypeVar("T")

_POLL_S = 0.05


async def until(look: Callable[[], Awaitable[T | None]], clock: Clock, within_s: float, what: str) -> T:
    """What `look` returns once it is not None. DeadlineExceeded naming `what` after `within_s` seconds."""
    deadline = clock.monotonic() + within_s
    while True:
        seen = await look()
        if seen is not None:
            return seen
        if clock.monotonic() >= deadline:
            raise DeadlineExceeded(f"waited {within_s:.0f} s for {what}")
        await clock.sleep(_POLL_S)
