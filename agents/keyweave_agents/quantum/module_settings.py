"""What the operator says of one QKD module: its fibre, its device and how it reaches the other end.

Rule of this file: values and their bounds. The agent's settings file embeds one `ModuleSettings` a module
(`[[modules]]`); a wrong value is refused when it is made, with what is wrong and where.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from keyweave_agents.quantum.intrusion import IntrusionSettings
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId, parse_uuid
from keyweave_core.model.units import UINT32_MAX
from keyweave_core.model.wavelengths import in_range
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.rates import Disturbance, calibration_for, link_figures

ModuleRole = Literal["transmitter", "receiver"]

MAX_DISTANCE_KM = 1000.0
MAX_LOSS_DB = 100.0
DEFAULT_WAVELENGTH = 34
"""DWDM channel 34, 1550.12 nm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSettings:
    """One QKD module of a node, and the fibre it sits on.

    Exactly one of `listen` and `connect` ("host:port") is set: two modules meet directly (one listens), or
    both connect to a fibre plant. `loss_db` is the attenuation of the fibre (0..100), `distance_km` its
    length (0..1000). `profile` names a device of `physics.profiles`; both ends of a fibre must name the same.
    `secret_rate_bps` is a published rate at `loss_db`: the model is scaled so that it gives just that there.
    `wavelength` is the WDM channel number (1..9999) that it begins with, `wavelength_range` all that it can
    be told ("30-36,1310"); empty: that one alone. `hold_off_s` (0..60) is how long a fibre may be dark
    before the link is called down; `silence_s` (0.05..60) how long nothing may be heard before it counts as
    dark. `intrusion` says which errors mean that somebody may be listening.

    Raises ValueError for a value out of bounds, naming the field and the value.
    """

    interface_id: InterfaceId
    link_id: LinkId
    remote_node_id: NodeId
    remote_interface_id: InterfaceId
    role: ModuleRole
    profile: str
    distance_km: float
    loss_db: float
    secret_rate_bps: int | None = None
    wavelength: int = DEFAULT_WAVELENGTH
    wavelength_range: str = ""
    listen: str | None = None
    connect: str | None = None
    hold_off_s: float = 0.1
    silence_s: float = 3.0
    intrusion: IntrusionSettings = field(default_factory=IntrusionSettings)

    def __post_init__(self) -> None:
        where = f"module {self.interface_id}"
        _within(where, "interface_id", self.interface_id, 0, UINT32_MAX)
        _within(where, "remote_interface_id", self.remote_interface_id, 0, UINT32_MAX)
        _canonical(where, "link_id", self.link_id)
        _canonical(where, "remote_node_id", self.remote_node_id)
        if self.role not in ("transmitter", "receiver"):
            raise ValueError(f"{where}: role is transmitter or receiver, not {self.role!r}")
        if self.profile not in PROFILES:
            known = ", ".join(sorted(PROFILES))
            raise ValueError(f"{where}: profile {self.profile!r} is not known; there are {known}")
        _within(where, "distance_km", self.distance_km, 0, MAX_DISTANCE_KM)
        _within(where, "loss_db", self.loss_db, 0, MAX_LOSS_DB)
        _within(where, "wavelength", self.wavelength, 1, 9999)
        try:
            fits = in_range(self.wavelength, self.channels)
        except ValueError as error:
            raise ValueError(f"{where}: wavelength_range: {error}") from error
        if not fits:
            raise ValueError(
                f"{where}: wavelength {self.wavelength} is not in its range {self.channels[:80]}"
            )
        _within(where, "hold_off_s", self.hold_off_s, 0, 60)
        _within(where, "silence_s", self.silence_s, 0.05, 60)
        if (self.listen is None) == (self.connect is None):
            raise ValueError(f"{where}: give exactly one of listen and connect")
        address = self.listen if self.listen is not None else self.connect
        if address is not None:
            try:
                split_address(address)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
        if self.secret_rate_bps is not None:
            _within(where, "secret_rate_bps", self.secret_rate_bps, 1, UINT32_MAX)
            try:
                calibration_for(PROFILES[self.profile], self.loss_db, self.secret_rate_bps)
            except ValueError as error:
                raise ValueError(f"{where}: secret_rate_bps: {error}") from error

    @property
    def channels(self) -> str:
        """The wavelengths that it can be told, as 015 writes them."""
        return self.wavelength_range or str(self.wavelength)

    @property
    def calibration(self) -> float:
        """The factor that turns the profile's rate into this fibre's published one; 1 without one."""
        if self.secret_rate_bps is None:
            return 1.0
        return calibration_for(PROFILES[self.profile], self.loss_db, self.secret_rate_bps)

    def expected_rate_bps(self) -> int:
        """The secret key rate of the undisturbed fibre in bit/s, 0 when it is too long for the device."""
        profile = PROFILES[self.profile]
        return link_figures(profile, self.loss_db, Disturbance(), calibration=self.calibration).skr_bps


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port" ("[::1]:4000" for IPv6); ValueError naming the text otherwise."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"not host:port with a port of 0..65535: {address[:80]!r}")
    return host, int(port)


def _within(where: str, name: str, value: float, least: float, most: float) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{where}: {name} is {least}..{most}, not {value}")


def _canonical(where: str, name: str, value: str) -> None:
    try:
        canonical = parse_uuid(value)
    except ValueError as error:
        raise ValueError(f"{where}: {name}: {error}") from error
    if canonical != value:
        raise ValueError(f"{where}: {name}: write {canonical}, ids are lower case")
