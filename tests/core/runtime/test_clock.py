"""Clocks: the machine's, and the one that tests drive by hand."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.runtime.clock import ManualClock, SystemClock, date_and_time, parse_date_and_time


async def test_sleepers_wake_in_order_of_their_moments() -> None:
    clock = ManualClock(100.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, duration_s: float) -> None:
        await clock.sleep(duration_s)
        woken.append((name, clock.now()))

    tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("c", 3), ("a", 1), ("b", 1), ("z", 0))]
    await clock.advance(0)
    await clock.advance(2)
    assert woken == [("z", 100.0), ("a", 101.0), ("b", 101.0)]
    assert clock.now() == clock.monotonic() == 102.0
    await clock.advance(1)
    assert woken[-1] == ("c", 103.0)
    await asyncio.gather(*tasks)


async def test_who_sleeps_again_while_time_moves_wakes_again() -> None:
    clock = ManualClock(0.0)
    ticks: list[float] = []

    async def ticking() -> None:
        while True:
            await clock.sleep(1)
            ticks.append(clock.now())

    task = asyncio.create_task(ticking())
    await asyncio.sleep(0)
    await clock.advance(3.5)
    task.cancel()
    assert ticks == [1.0, 2.0, 3.0]
    await clock.advance(1)  # a cancelled sleeper is passed over
    assert ticks == [1.0, 2.0, 3.0]


async def test_the_system_clock_moves_and_takes_no_negative_wait() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(-1)
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.009
    assert clock.now() > 1_600_000_000


def test_moments_as_yang_writes_them() -> None:
    assert date_and_time(0) == "1970-01-01T00:00:00.000Z"
    assert date_and_time(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
    assert parse_date_and_time(" 2023-11-14T23:13:20.25+01:00 ") == 1_700_000_000.25
    assert parse_date_and_time("2023-11-14T22:13:20Z") == 1_700_000_000


@pytest.mark.parametrize("text", ["2023-11-14T22:13:20", "yesterday", ""])
def test_a_moment_without_zone_or_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time zone|Invalid isoformat"):
        parse_date_and_time(text)


@given(st.integers(0, 4_000_000_000_000))
def test_every_millisecond_reads_back(milliseconds: int) -> None:
    assert round(parse_date_and_time(date_and_time(milliseconds / 1000)) * 1000) == milliseconds
