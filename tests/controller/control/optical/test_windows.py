"""Spans of time in which a link makes key."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control.optical.windows import (
    Window,
    bits_between,
    mean_rate_bps,
    ordered,
    rate_at,
)


def window(starts_at: float, ends_at: float, rate_bps: int = 1000) -> Window:
    return Window(starts_at=starts_at, ends_at=ends_at, rate_bps=rate_bps)


@pytest.mark.parametrize(("starts_at", "ends_at"), [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_window_has_a_start_before_its_end(starts_at: float, ends_at: float) -> None:
    with pytest.raises(ValueError, match="is none"):
        window(starts_at, ends_at)


@pytest.mark.parametrize("rate_bps", [-1, 2**32])
def test_a_rate_fits_the_standard(rate_bps: int) -> None:
    with pytest.raises(ValueError, match="rate_bps of a window"):
        window(0, 1, rate_bps)


def test_windows_are_sorted_and_may_touch() -> None:
    first, second = window(0, 10), window(10, 20)
    assert ordered([second, first]) == (first, second)
    with pytest.raises(ValueError, match="windows overlap: 0 s to 10 s, and 9 s to 20 s"):
        ordered([window(9, 20), first])


def test_key_between_two_times() -> None:
    both = (window(0, 10), window(20, 30, 500))
    assert bits_between(both, 5, 25) == 5 * 1000 + 5 * 500
    assert bits_between(both, 12, 18) == 0
    assert bits_between(both, 25, 5) == 0
    assert mean_rate_bps(both, 0, 30) == (10_000 + 5000) // 30
    with pytest.raises(ValueError, match="no time between"):
        mean_rate_bps(both, 3, 3)


def test_a_window_holds_its_start_and_not_its_end() -> None:
    both = (window(0, 10), window(10, 20, 7))
    assert [rate_at(both, at) for at in (-1, 0, 9.9, 10, 20)] == [0, 1000, 1000, 7, 0]


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 50), st.integers(0, 10**6)), max_size=8))
def test_all_time_holds_all_key(parts: list[tuple[int, int, int]]) -> None:
    windows = tuple(window(start, start + length, rate) for start, length, rate in parts)
    assert bits_between(windows, -1, 2000) == sum(one.bits for one in windows)
