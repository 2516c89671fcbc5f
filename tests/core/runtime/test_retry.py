"""Backoff: bounds and jitter."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.runtime.retry import Backoff


def test_delays_double_up_to_the_most() -> None:
    delays = Backoff(first_s=1, most_s=5).delays(lambda: 0.0)
    assert list(islice(delays, 5)) == [0.5, 1.0, 2.0, 2.5, 2.5]


@given(
    first_s=st.floats(0.001, 10),
    factor=st.floats(1, 1000),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_every_delay_stays_between_half_the_first_and_the_most(
    first_s: float, factor: float, uniform: float
) -> None:
    backoff = Backoff(first_s=first_s, most_s=first_s * factor)
    for delay in islice(backoff.delays(lambda: uniform), 30):
        assert first_s / 2 <= delay <= backoff.most_s


@pytest.mark.parametrize(("first_s", "most_s"), [(0, 1), (-1, 1), (2, 1), (float("nan"), 1)])
def test_bounds_are_checked(first_s: float, most_s: float) -> None:
    with pytest.raises(ValueError, match="backoff wants"):
        Backoff(first_s=first_s, most_s=most_s)
