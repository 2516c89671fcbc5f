"""Blocks hold the bits that the rate gave, in sizes that pools can live with."""

from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.quantum.frames import MAX_BLOCK_BYTES
from keyweave_agents.quantum.pace import LONGEST_S, SHORTEST_S, Pace, interval_s


@given(st.integers(0, 100_000_000), st.lists(st.floats(0, 2), max_size=50))
def test_no_bit_is_made_or_lost(rate_bps: int, waits: list[float]) -> None:
    pace, now, made = Pace(0.0), 0.0, 0
    for wait in waits:
        now += wait
        sizes = pace.due(rate_bps, now)
        assert all(0 < size <= MAX_BLOCK_BYTES for size in sizes)
        made += 8 * sum(sizes)
    assert -8 < rate_bps * now - made < 8 + 1e-6 * rate_bps


def test_a_suspended_machine_made_no_key() -> None:
    pace = Pace(0.0)
    assert sum(pace.due(8000, 3600.0)) == 3000  # three seconds of it
    assert pace.due(8000, 3599.0) == []  # nor does a clock that steps back


def test_intervals() -> None:
    assert interval_s(10_000_000) == SHORTEST_S
    assert interval_s(2048) == 1.0
    assert interval_s(12) == LONGEST_S
    assert interval_s(0) == SHORTEST_S


def test_a_slow_link_still_makes_whole_bytes() -> None:
    pace, sizes = Pace(0.0), []
    for second in range(1, 21):
        sizes += pace.due(3, float(second))
    assert sum(sizes) == 7  # 60 bits
