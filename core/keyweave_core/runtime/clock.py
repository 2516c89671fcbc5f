"""Time as an object: the real one at the rim, a hand-driven one in tests and whole-network scenarios.

Rule of this file: nobody else asks the operating system for the time. `now` is for records and orders
between machines; `monotonic` is for durations.
"""

import asyncio
import heapq
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What code that lives in time may ask for."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, from an arbitrary start."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds of this clock (at once when not positive)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(max(0.0, duration_s))


class ManualClock:
    """A clock that moves only when told; sleepers wake in order of their deadlines."""

    def __init__(self, start_s: float = 1_700_000_000.0) -> None:
        self._now = start_s
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC, as told."""
        return self._now

    def monotonic(self) -> float:
        """The same as `now`: this clock never jumps by itself."""
        return self._now

    async def sleep(self, duration_s: float) -> None:
        """Wait until `advance` has moved the clock by `duration_s`."""
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + duration_s, self._count, future))
        await future

    async def advance(self, duration_s: float) -> None:
        """Move time forward, waking each sleeper at its moment and letting it run before the next."""
        end = self._now + duration_s
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            for _ in range(5):
                await asyncio.sleep(0)
        self._now = end
        for _ in range(5):
            await asyncio.sleep(0)


def date_and_time(at_s: float) -> str:
    """Format seconds since 1970 as `yang:date-and-time`, e.g. '2026-11-21T10:00:00.000Z'."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_date_and_time(text: str) -> float:
    """Seconds since 1970 of a `yang:date-and-time`; ValueError naming a text without zone or form."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    return moment.timestamp()
