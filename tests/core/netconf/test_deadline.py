"""A bounded wait that is given up in the very moment its work fails."""

import asyncio
import gc
from typing import Any

import pytest

from keyweave_core.errors import DeadlineExceeded, PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_core.runtime.clock import ManualClock, SystemClock


async def test_a_failure_that_meets_a_cancellation_is_not_left_behind() -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    work: asyncio.Future[None] = loop.create_future()
    waiting = asyncio.ensure_future(within(SystemClock(), work, 10, "no answer"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    work.set_exception(PeerUnreachable("the connection was lost"))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)  # callbacks still hold the work
    del work, waiting
    gc.collect()
    assert complaints == []


async def test_the_limit_is_told_and_the_work_cancelled() -> None:
    clock = ManualClock()
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(within(clock, work, 3, "no answer"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await clock.advance(3)
    with pytest.raises(DeadlineExceeded, match="no answer within 3 s"):
        await waiting
    assert work.cancelled()
