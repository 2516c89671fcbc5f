"""Channel numbers and the light they mean.

Rule of this file: pure arithmetic. GS QKD 015 carries a wavelength as a number 1..9999 and leaves open what
it numbers; here

    1..72        DWDM channels of the 100 GHz grid of ITU-T G.694.1, numbered as is custom: 190.0 THz + n x
                 0.1 THz (34 is 193.4 THz or 1550.12 nm; the C band is about 16 to 59)
    1260..1360   the O band, the number being the wavelength in nm (1310 is 1310 nm)

Every other number is none of ours.
"""

from enum import StrEnum

from keyweave_core.model.wavelengths import parse_range
from keyweave_core.physics.raman import LIGHT_NM_THZ

DWDM = range(1, 73)
"""Numbers of the 100 GHz grid."""

O_BAND = range(1260, 1361)
"""Numbers that are nanometres of the O band."""

_BASE_GHZ = 190_000
_SPACING_GHZ = 100
_O_SPACING_NM = 20  # ITU-T G.694.2: coarse filters are made for this spacing


class Band(StrEnum):
    """Where in the spectrum: what fibre loses there differs."""

    C = "C"  # the DWDM grid
    O = "O"  # noqa: E741  # its name


def known(channel: int) -> bool:
    """Whether the number means a wavelength here."""
    return channel in DWDM or channel in O_BAND


def band_of(channel: int) -> Band:
    """The band of a channel; ValueError for a number that means none."""
    if channel in DWDM:
        return Band.C
    if channel in O_BAND:
        return Band.O
    raise ValueError(
        f"channel {channel} is none: 1..{DWDM[-1]} are DWDM channels, {O_BAND[0]}..{O_BAND[-1]} nanometres"
    )


def frequency_thz(channel: int) -> float:
    """The centre of a channel in THz; ValueError for a number that means none."""
    if band_of(channel) is Band.O:
        return LIGHT_NM_THZ / channel
    return (_BASE_GHZ + _SPACING_GHZ * channel) / 1000


def wavelength_nm(channel: int) -> float:
    """The centre of a channel in nm (in vacuum); ValueError for a number that means none."""
    return LIGHT_NM_THZ / frequency_thz(channel)


def channel_at(thz: float) -> int:
    """The channel whose centre this frequency is, to 5 GHz (in the O band: to half a nm).

    ValueError when there is none: the grid has no channel there, or the frequency lies between two.
    """
    number = round((thz * 1000 - _BASE_GHZ) / _SPACING_GHZ) if 0 < thz < 1000 else 0
    if number in DWDM and abs(frequency_thz(number) - thz) <= 0.005:
        return number
    nanometres = round(LIGHT_NM_THZ / thz) if thz > 0 else 0
    if nanometres in O_BAND:
        return nanometres
    raise ValueError(f"{thz} THz is no channel")


def channel_name(channel: int) -> str:
    """For people: 'C34 (1550.12 nm)', 'O1310 (1310.00 nm)'."""
    return f"{band_of(channel)}{channel} ({wavelength_nm(channel):.2f} nm)"


def clash(one: int, other: int, guard_channels: int = 0) -> bool:
    """Whether two channels cannot share a fibre.

    DWDM channels clash when their numbers differ by `guard_channels` (>= 0) or less: 0 lets neighbours live
    side by side. In the O band filters are coarse: what is nearer than 20 nm clashes.
    """
    if band_of(one) is not band_of(other):
        return False
    if band_of(one) is Band.O:
        return abs(one - other) < _O_SPACING_NM
    return abs(one - other) <= guard_channels


def channels_in(text: str) -> tuple[int, ...]:
    """The known channels of a `wavelength_range`, each once, in order; errors as `parse_range`."""
    parts = parse_range(text)
    return tuple(channel for channel in (*DWDM, *O_BAND) if any(channel in part for part in parts))
