"""Satellite passes: told rates, and key worked out from a changing loss."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control.optical.passes import Pass, key_of, windows_of
from keyweave_core.physics.finite import DOWNLINK_100MHZ, distil


def test_told_rates_become_windows() -> None:
    one = Pass(starts_at=1000, ends_at=1300, rates=((0, 0), (60, 5000), (240, 2000)))
    key = key_of(one, DOWNLINK_100MHZ)
    assert [(w.starts_at, w.ends_at, w.rate_bps) for w in key.windows] == [
        (1060, 1240, 5000),
        (1240, 1300, 2000),
    ]
    assert key.key_bits == 180 * 5000 + 60 * 2000
    assert key.qber is None


def test_losses_are_one_block() -> None:
    one = Pass(starts_at=0, ends_at=200, losses=((0, 38.0), (100, 28.0), (199.5, 38.0)))
    key = key_of(one, DOWNLINK_100MHZ)
    (window,) = key.windows
    assert window.rate_bps == key.key_bits // 200
    assert key.key_bits - 200 < window.bits <= key.key_bits
    assert key.qber is not None
    assert 0.001 < key.qber < 0.01
    flat = Pass(starts_at=0, ends_at=200, losses=((0, 30.0),))
    assert key_of(flat, DOWNLINK_100MHZ).key_bits == distil(DOWNLINK_100MHZ, [(1.0, 30.0)] * 200).key_bits


def test_a_pass_too_low_gives_nothing() -> None:
    key = key_of(Pass(starts_at=0, ends_at=60, losses=((0, 55.0),)), DOWNLINK_100MHZ)
    assert (key.windows, key.key_bits) == ((), 0)


def test_passes_are_planned_in_order() -> None:
    first = Pass(starts_at=0, ends_at=300, losses=((0, 30.0),))
    second = Pass(starts_at=5400, ends_at=5700, rates=((0, 1000),))
    windows = windows_of([second, first], DOWNLINK_100MHZ)
    assert [window.starts_at for window in windows] == [0, 5400]
    with pytest.raises(ValueError, match="windows overlap"):
        windows_of([first, Pass(starts_at=299, ends_at=400, losses=((0, 60.0),))], DOWNLINK_100MHZ)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ends_at": 100.0}, "ends_at is later"),
        ({"ends_at": 1e9}, "by a day at most"),
        ({"starts_at": math.nan}, "ends_at is later"),
        ({"rates": ()}, "give rates or losses"),
        ({"losses": ((0, 30.0),)}, "give rates or losses"),
        ({"rates": ((1, 5),)}, "times begin at 0"),
        ({"rates": ((0, 5), (0, 6))}, "rise"),
        ({"rates": ((0, 5), (100, 6))}, "stay below the end"),
        ({"rates": (), "losses": ((0, -1.0),)}, r"a loss is 0\.\.200"),
    ],
)
def test_a_pass_has_bounds(changes: dict[str, Any], reason: str) -> None:
    given_as: dict[str, Any] = {"starts_at": 100.0, "ends_at": 200.0, "rates": ((0, 5),)}
    with pytest.raises(ValueError, match=reason):
        Pass(**given_as | changes)


@given(st.floats(25, 45), st.floats(0, 10), st.floats(30, 600))
def test_more_loss_never_gives_more_key(loss_db: float, more_db: float, length_s: float) -> None:
    near = Pass(starts_at=0, ends_at=length_s, losses=((0, loss_db),))
    far = Pass(starts_at=0, ends_at=length_s, losses=((0, loss_db + more_db),))
    assert key_of(near, DOWNLINK_100MHZ).key_bits >= key_of(far, DOWNLINK_100MHZ).key_bits
