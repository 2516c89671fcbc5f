"""A route as a receiver hears it: who has which wavelength, how noisy the others are, what they would give.

Rule of this file: pure; what one route gives is worked out once, however many pairs of modules ask.
"""

from collections.abc import Set

from keyweave_controller.control.optical.equipment import Module, ModuleRef
from keyweave_controller.control.optical.grid import clash
from keyweave_controller.control.optical.layout import Layout, Route
from keyweave_controller.control.optical.noise import Prediction, Scatter, Source, disturbed, predict
from keyweave_controller.control.optical.wishes import ChannelWish, ModulePair
from keyweave_core.model.units import show_rate
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.rates import Disturbance, link_figures


class Heard:
    """One route from one end, as one kind of receiver hears it; each channel is worked out once."""

    def __init__(
        self,
        layout: Layout,
        scatter: Scatter,
        wish: ChannelWish,
        *,
        route: Route,
        sources: tuple[Source, ...],
        pair: ModulePair,
    ) -> None:
        self._layout, self._scatter, self._wish = layout, scatter, wish
        self._route, self._sources, self._pair = route, sources, pair
        self._holders: dict[int, str] = {}
        self._noises: dict[int, float] = {}
        self._predictions: dict[int, Prediction] = {}

    def holder(self, channel: int) -> str:
        """Who has the channel on this route; '' when it is free."""
        if channel not in self._holders:
            self._holders[channel] = holder(
                self._layout, self._wish.link, self._route.fibres, channel, modules=self._pair.refs
            )
        return self._holders[channel]

    def noise(self, channel: int) -> float:
        """What sorts channels by how little they are disturbed."""
        if channel not in self._noises:
            seen = disturbed(self._scatter, self._sources, self._pair.receiver, self._route.loss_db, channel)
            self._noises[channel] = seen.noise_counts + seen.excess_noise
        return self._noises[channel]

    def predict(self, channel: int) -> Prediction:
        """What the channel would do."""
        if channel not in self._predictions:
            self._predictions[channel] = predict(
                self._scatter,
                self._sources,
                receiver=self._pair.receiver,
                loss_db=self._route.loss_db,
                channel=channel,
                calibration=self._wish.calibration,
            )
        return self._predictions[channel]


def holder(
    layout: Layout,
    link: str,
    fibres: tuple[str, ...],
    channel: int,
    *,
    modules: tuple[ModuleRef, ...] = (),
    among: Set[str] | None = None,
) -> str:
    """What has this wavelength, or one too near, on one of the fibres; '' when it is free on all.

    The light of `link` itself does not count, nor that of links that take turns with it at one of its
    `modules`; of other links only those `among`, when given.
    """
    guard = layout.plant.guard_channels
    in_turn = layout.shared.intersection(modules)
    for name in fibres:
        for classical in layout.classical.get(name, ()):
            if clash(classical.channel, channel, guard):
                return f"classical channel {classical.name} on {name}"
        for quantum in layout.quantum.get(name, ()):
            counts = quantum.link != link and in_turn.isdisjoint((quantum.transmitter, quantum.receiver))
            counts = counts and (among is None or quantum.link in among)
            if counts and clash(quantum.channel, channel):
                return f"link {quantum.link} on {name}"
    return ""


def shortfall(seen: Prediction, receiver: Module, demand_bps: int, calibration: float) -> str:
    """Why a predicted rate does not do: what is missing, and whose fault it is."""
    rate_bps = seen.figures.skr_bps
    text = f"the predicted {show_rate(rate_bps)} "
    if demand_bps > 0:
        text += f"is {show_rate(demand_bps - rate_bps)} below the demand of {show_rate(demand_bps)}"
    else:
        text += "is no key"
    dark = link_figures(PROFILES[receiver.profile], seen.loss_db, Disturbance(), calibration=calibration)
    if seen.loudest and dark.skr_bps > rate_bps:
        return (
            f"{text} because of classical channel {seen.loudest} "
            f"({show_rate(dark.skr_bps)} without any classical light)"
        )
    return f"{text} because of the loss of {seen.loss_db:.2f} dB"
