"""Wavelength ranges as 015 writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.model.wavelengths import HIGHEST, in_range, parse_range

spans = st.tuples(st.integers(1, HIGHEST), st.integers(1, HIGHEST)).map(sorted)


@given(st.lists(spans, min_size=1, max_size=5), st.integers(1, HIGHEST))
def test_a_range_holds_what_its_parts_hold(parts: list[list[int]], channel: int) -> None:
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
    assert parse_range(text) == tuple(range(first, last + 1) for first, last in parts)
    assert in_range(channel, text) == any(first <= channel <= last for first, last in parts)


@pytest.mark.parametrize("text", ["", "0", "34,", "36-30", "1-99999", "a", "1 - 2", "-3"])
def test_what_is_no_range_is_refused_with_the_part(text: str) -> None:
    with pytest.raises(ValueError, match="no part of a wavelength range"):
        parse_range(text)
