"""Channel numbers, frequencies, ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control.optical.grid import (
    DWDM,
    O_BAND,
    Band,
    band_of,
    channel_at,
    channel_name,
    channels_in,
    clash,
    frequency_thz,
    known,
    wavelength_nm,
)
from keyweave_core.model.wavelengths import parse_range

channels = st.sampled_from((*DWDM, *O_BAND))


# ITU-T G.694.1: 193.1 THz is the anchor of the grid.
@pytest.mark.parametrize(
    ("channel", "thz", "nm"),
    [
        (31, 193.1, 1552.52),
        (34, 193.4, 1550.12),
        (21, 192.1, 1560.61),
        (61, 196.1, 1528.77),
        (1, 190.1, 1577.03),
    ],
)
def test_the_hundred_gigahertz_grid(channel: int, thz: float, nm: float) -> None:
    assert frequency_thz(channel) == pytest.approx(thz, abs=1e-9)
    assert wavelength_nm(channel) == pytest.approx(nm, abs=0.005)
    assert band_of(channel) is Band.C


def test_the_o_band_is_named_by_nanometres() -> None:
    assert band_of(1310) is Band.O
    assert wavelength_nm(1310) == pytest.approx(1310)
    assert channel_name(1310) == "O1310 (1310.00 nm)"
    assert channel_name(34) == "C34 (1550.12 nm)"


@given(channels)
def test_a_frequency_finds_its_channel(channel: int) -> None:
    assert known(channel)
    assert channel_at(frequency_thz(channel)) == channel


@pytest.mark.parametrize("channel", [0, -3, 73, 1259, 1361, 1550, 9999])
def test_other_numbers_mean_nothing(channel: int) -> None:
    assert not known(channel)
    with pytest.raises(ValueError, match=f"channel {channel} is none"):
        frequency_thz(channel)


@pytest.mark.parametrize("thz", [0.0, -1.0, 193.45, 150.0, 500.0])
def test_a_frequency_between_channels_is_none(thz: float) -> None:
    with pytest.raises(ValueError, match="is no channel"):
        channel_at(thz)


def test_ranges() -> None:
    assert parse_range("1,12-20,40") == (range(1, 2), range(12, 21), range(40, 41))
    assert channels_in("40,34-36,35") == (34, 35, 36, 40)
    assert channels_in("70-1262") == (70, 71, 72, 1260, 1261, 1262)
    assert channels_in("100-200") == ()


@pytest.mark.parametrize("text", ["", "0", "1,", "20-12", "1-", "a", "01", "10000", "1 2", "1550.12", "3--4"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no part of a wavelength range"):
        parse_range(text)


@given(channels, channels, st.integers(0, 3))
def test_clashing_is_mutual(one: int, other: int, guard: int) -> None:
    assert clash(one, other, guard) == clash(other, one, guard)
    assert clash(one, one, guard)
    assert not clash(one, other, guard) or clash(one, other, guard + 1)


def test_who_clashes() -> None:
    assert not clash(34, 35)
    assert clash(34, 35, 1)
    assert clash(1310, 1311)
    assert not clash(1290, 1310)
    assert not clash(34, 1310, 72)
