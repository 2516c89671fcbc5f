"""Numbers meet their units here, for people and for YANG."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.model.units import UINT32_MAX, clamp_uint32, show_bits, show_rate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bit/s"),
        (999, "999 bit/s"),
        (1000, "1 kbit/s"),
        (2_580_000, "2.58 Mbit/s"),
        (4e9, "4 Gbit/s"),
        (-1500, "-1.5 kbit/s"),
        (0.25, "0.25 bit/s"),
    ],
)
def test_rates_for_people(value: float, text: str) -> None:
    assert show_rate(value) == text


def test_amounts_for_people() -> None:
    assert show_bits(33_554_432) == "33.6 Mbit"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_yang_carries_is_within_its_bounds(value: float) -> None:
    assert 0 <= clamp_uint32(value) <= UINT32_MAX


@given(st.integers(0, UINT32_MAX))
def test_what_fits_is_not_changed(value: int) -> None:
    assert clamp_uint32(value) == value
