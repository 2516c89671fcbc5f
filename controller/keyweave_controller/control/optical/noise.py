"""The Raman noise that reaches a receiver, from every classical channel on every fibre of a route.

Rule of this file: pure. Each classical channel scatters in each fibre that it shares with the quantum
channel, forward when both go the same way and backward when they meet; what is scattered is attenuated by all
that lies between the end of that fibre and the receiver. Joints are taken as half at either end of their
fibre, so both the light on its way in and the noise on its way out lose half of them.
"""

from dataclasses import dataclass

from keyweave_controller.control.optical.equipment import Module
from keyweave_controller.control.optical.grid import Band, band_of, frequency_thz
from keyweave_controller.control.optical.layout import Layout, Route, clear_of
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.raman import backward_km, disturbance_of, forward_km, watts
from keyweave_core.physics.rates import Disturbance, LinkFigures, link_figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A classical channel as a receiver meets it: watts times km, still to be multiplied by an efficiency."""

    name: str
    channel: int
    watt_km: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a quantum channel will do, and the classical channel that disturbs it most ('' when none does)."""

    figures: LinkFigures
    loss_db: float
    noise_w_per_nm: float
    disturbance: Disturbance
    loudest: str


class Scatter:
    """The efficiencies of a plant's fibre, each worked out once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._efficiency: dict[tuple[int, int], float] = {}

    def sources(self, route: Route, start_site: str, band: Band) -> tuple[Source, ...]:
        """Every classical channel on the route, by name; the light of the route starts at `start_site`."""
        strengths: dict[str, tuple[int, float]] = {}
        site, behind_db = start_site, route.loss_db - self._layout.loss_of(route.points[0])
        for place, name in enumerate(route.fibres):
            fibre = self._layout.fibres[name]
            behind_db -= fibre.loss_in(band)
            for bright in self._layout.bright.get(name, ()):
                classical_db_per_km = fibre.glass_db_per_km(band_of(bright.channel.channel))
                reach_km = forward_km if bright.enters_at == site else backward_km
                strength = (
                    watts(bright.dbm)
                    * reach_km(fibre.km, classical_db_per_km, fibre.glass_db_per_km(band))
                    * clear_of(fibre.joints_db + behind_db)
                )
                before = strengths.get(bright.channel.name, (0, 0.0))[1]
                strengths[bright.channel.name] = (bright.channel.channel, before + strength)
            site = fibre.other(site)
            behind_db -= self._layout.loss_of(route.points[place + 1])
        return tuple(
            Source(name=name, channel=channel, watt_km=watt_km)
            for name, (channel, watt_km) in sorted(strengths.items())
        )

    def noise_w_per_nm(self, sources: tuple[Source, ...], channel: int) -> float:
        """What arrives at the receiver on this channel."""
        return sum(source.watt_km * self._of(source.channel, channel) for source in sources)

    def loudest(self, sources: tuple[Source, ...], channel: int) -> str:
        """The classical channel that adds most; the first name among equals, '' when none adds any."""
        parts = [(-source.watt_km * self._of(source.channel, channel), source.name) for source in sources]
        most, name = min(parts, default=(0.0, ""))
        return name if most < 0 else ""

    def _of(self, classical: int, quantum: int) -> float:
        key = (classical, quantum)
        known = self._efficiency.get(key)
        if known is None:
            known = self._layout.plant.scattering.efficiency(frequency_thz(classical), frequency_thz(quantum))
            self._efficiency[key] = known
        return known


def disturbed(
    scatter: Scatter, sources: tuple[Source, ...], receiver: Module, loss_db: float, channel: int
) -> Disturbance:
    """What the light of `sources` does to a receiver on a channel over `loss_db`."""
    return disturbance_of(
        PROFILES[receiver.profile],
        scatter.noise_w_per_nm(sources, channel),
        loss_db=loss_db,
        thz=frequency_thz(channel),
        filter_nm=receiver.filter_nm,
        gate_ns=receiver.gate_ns,
    )


def predict(
    scatter: Scatter,
    sources: tuple[Source, ...],
    *,
    receiver: Module,
    loss_db: float,
    channel: int,
    calibration: float,
) -> Prediction:
    """The figures of a channel over `loss_db` under the light of `sources`."""
    disturbance = disturbed(scatter, sources, receiver, loss_db, channel)
    return Prediction(
        figures=link_figures(PROFILES[receiver.profile], loss_db, disturbance, calibration=calibration),
        loss_db=loss_db,
        noise_w_per_nm=scatter.noise_w_per_nm(sources, channel),
        disturbance=disturbance,
        loudest=scatter.loudest(sources, channel),
    )
