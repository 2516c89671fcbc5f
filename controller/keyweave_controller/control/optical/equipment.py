"""What a fibre plant is made of: fibres, switches, modules, and the channels on them.

Rule of this file: frozen values, each with its own bounds (ValueError naming table, entry and key). Whether
they fit together is for `plant.Plant`.
"""

import math
from dataclasses import dataclass

from keyweave_controller.control.optical.grid import Band, band_of, channels_in
from keyweave_core.model.ids import InterfaceId
from keyweave_core.model.link import Role
from keyweave_core.model.units import UINT32_MAX
from keyweave_core.physics.profiles import PROFILES

MAX_KM = 1000.0
MAX_DB = 100.0
DB_PER_KM = 0.2
"""Loss of standard fibre in the C band, where a fibre says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fibre:
    """One strand between two sites.

    `km` is above 0. Its loss in the C band is either measured (`loss_db`, everything between the two ends) or
    reckoned: `km` times `attenuation_db_per_km` plus `connectors_db` (connectors and splices). Of a measured
    loss, glass takes what `attenuation_db_per_km` says and the rest are joints. `attenuation_o_db_per_km` is
    what glass takes in the O band. `ducts` are the ways in the ground it lies in: fibres with a duct in
    common fail together. An `amplified` fibre carries no quantum channel; one out of service carries nothing.
    """

    name: str
    a: str
    b: str
    km: float
    attenuation_db_per_km: float = DB_PER_KM
    attenuation_o_db_per_km: float = 0.35
    connectors_db: float = 0.0
    loss_db: float | None = None
    ducts: tuple[str, ...] = ()
    amplified: bool = False
    in_service: bool = True

    def __post_init__(self) -> None:
        at = f"fibres {_shown(self.name)}"
        _named(at, "name", self.name)
        if self.a == self.b:
            raise ValueError(f"{at}: b: a fibre from {_shown(self.a)} to itself")
        _within(at, "km", self.km, 0, MAX_KM, above=True)
        _within(at, "attenuation_db_per_km", self.attenuation_db_per_km, 0, 10, above=True)
        _within(at, "attenuation_o_db_per_km", self.attenuation_o_db_per_km, 0, 10, above=True)
        _within(at, "connectors_db", self.connectors_db, 0, MAX_DB)
        if self.loss_db is not None:
            _within(at, "loss_db", self.loss_db, 0, MAX_DB, above=True)
            if self.connectors_db:
                raise ValueError(f"{at}: connectors_db: a measured loss_db holds them already, give one")
        for duct in self.ducts:
            _named(at, "ducts", duct)

    @property
    def joints_db(self) -> float:
        """Loss in connectors and splices, half of it taken at either end."""
        if self.loss_db is None:
            return self.connectors_db
        return self.loss_db - self.glass_db_per_km(Band.C) * self.km

    def glass_db_per_km(self, band: Band) -> float:
        """Loss spread over the length."""
        if band is Band.O:
            return self.attenuation_o_db_per_km
        if self.loss_db is None:
            return self.attenuation_db_per_km
        return min(self.attenuation_db_per_km, self.loss_db / self.km)

    def loss_in(self, band: Band) -> float:
        """Loss from end to end in dB."""
        return self.glass_db_per_km(band) * self.km + self.joints_db

    def other(self, site: str) -> str:
        """The far end seen from `site`."""
        return self.b if site == self.a else self.a


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """An optical switch at a site; light that passes it loses `insertion_db` (0..100).

    `fibres` are those that end on it; they and the modules that hang on it need a port each (1..10,000).
    """

    name: str
    site: str
    insertion_db: float
    ports: int
    fibres: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at = f"switches {_shown(self.name)}"
        _named(at, "name", self.name)
        _within(at, "insertion_db", self.insertion_db, 0, MAX_DB)
        _within(at, "ports", self.ports, 1, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ModuleRef:
    """A module: the site (the node) that it stands in, and its interface id there (015 `qkdi_id`)."""

    site: str
    interface_id: InterfaceId

    def __str__(self) -> str:
        return f"{self.site}/{self.interface_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A QKD module.

    `at` names the switch or fibre of its site that it hangs on, `profile` a device of `physics.profiles`.
    `wavelength_range` and `max_absorption_db` are its 015 capabilities. `filter_nm` and `gate_ns` (above 0)
    say how much stray light a photon counter lets in; coherent receivers do not use them.
    """

    site: str
    interface_id: InterfaceId
    at: str
    role: Role
    profile: str
    wavelength_range: str
    max_absorption_db: float
    filter_nm: float = 0.2
    gate_ns: float = 0.1

    def __post_init__(self) -> None:
        at = f"modules {_shown(f'{self.site}/{self.interface_id}')}"
        _within(at, "interface_id", self.interface_id, 0, UINT32_MAX)
        if self.profile not in PROFILES:
            known = ", ".join(sorted(PROFILES))
            raise ValueError(f"{at}: profile: no device {_shown(self.profile)}; there are {known}")
        try:
            usable = channels_in(self.wavelength_range)
        except ValueError as error:
            raise ValueError(f"{at}: wavelength_range: {error}") from error
        if not usable:
            raise ValueError(
                f"{at}: wavelength_range: {_shown(self.wavelength_range)} holds no channel that is known: "
                f"1..72 (DWDM) and 1260..1360 (nm)"
            )
        _within(at, "max_absorption_db", self.max_absorption_db, 0, MAX_DB)
        _within(at, "filter_nm", self.filter_nm, 0, 100, above=True)
        _within(at, "gate_ns", self.gate_ns, 0, 1000, above=True)

    @property
    def ref(self) -> ModuleRef:
        """Which module this is."""
        return ModuleRef(site=self.site, interface_id=self.interface_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicalChannel:
    """Bright light from `source` over `fibres` in this order, on one channel of the grid.

    `launch_dbm` (-60..30) is its level where it enters the first fibre. An amplified fibre gives back what it
    takes; a switch that holds both fibres takes its insertion loss.
    """

    name: str
    source: str
    fibres: tuple[str, ...]
    channel: int
    launch_dbm: float

    def __post_init__(self) -> None:
        at = f"classical {_shown(self.name)}"
        _named(at, "name", self.name)
        _channel(at, self.channel)
        _within(at, "launch_dbm", self.launch_dbm, -60, 30)
        if not self.fibres:
            raise ValueError(f"{at}: fibres: a channel needs at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantumChannel:
    """The light of a physical QKD link: from transmitter to receiver over `fibres` in this order.

    `link` is the link's id, or "A-B" by the names of its sites. `calibration` (above 0) is what the link
    really does over what the model says; `physics.rates.calibration_for` finds it.
    """

    link: str
    transmitter: ModuleRef
    receiver: ModuleRef
    fibres: tuple[str, ...]
    channel: int
    calibration: float = 1.0

    def __post_init__(self) -> None:
        at = f"channels {_shown(self.link)}"
        _named(at, "link", self.link)
        _channel(at, self.channel)
        _within(at, "calibration", self.calibration, 0, 1e6, above=True)
        if not self.fibres:
            raise ValueError(f"{at}: fibres: a channel needs at least one")


def _shown(name: str) -> str:
    return repr(name[:60])


def _named(at: str, key: str, name: str) -> None:
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise ValueError(f"{at}: {key}: a name has 1 to 200 printable characters, not {_shown(name)}")


def _channel(at: str, channel: int) -> None:
    try:
        band_of(channel)
    except ValueError as error:
        raise ValueError(f"{at}: channel: {error}") from error


def _within(at: str, key: str, value: float, least: float, most: float, *, above: bool = False) -> None:
    """Refuse what is not a number of least..most, `least` itself too when `above`."""
    if not (math.isfinite(value) and least <= value <= most) or (above and value == least):
        bound = f"above {least} and at most {most}" if above else f"{least}..{most}"
        raise ValueError(f"{at}: {key}: {key} is {bound}, not {value}")
