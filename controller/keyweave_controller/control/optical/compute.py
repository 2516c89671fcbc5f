"""How a physical QKD link could be made: fibres, wavelength, modules, and what they would give.

Rule of this file: pure and deterministic. Every pair of free modules that fit together, every route that both
can bear, every wavelength that both can make and nobody else has on any fibre of the route; each with the key
rate that the physics predicts under the Raman noise of all classical light on the way. Most secret key first;
among equals least loss, then the lowest channel, then names.

When nothing will do, the reasons begin with the obstacle of the candidate that came furthest.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from keyweave_controller.control.optical.equipment import Module, ModuleRef, QuantumChannel
from keyweave_controller.control.optical.grid import Band, band_of, channel_name, clash
from keyweave_controller.control.optical.layout import Layout, Route
from keyweave_controller.control.optical.noise import Prediction, Scatter, disturbed, predict
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.wishes import (
    ChannelWish,
    ModulePair,
    Obstacle,
    Stage,
    module_pairs,
)
from keyweave_core.model.units import show_rate
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.rates import Disturbance, LinkFigures, link_figures

_REASONS_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to make the link. `noise_w_per_nm` arrives at the receiver, most of it from `loudest`."""

    transmitter: ModuleRef
    receiver: ModuleRef
    fibres: tuple[str, ...]
    channel: int
    loss_db: float
    km: float
    figures: LinkFigures
    noise_w_per_nm: float
    loudest: str
    ducts: frozenset[str] = field(default_factory=frozenset)

    def as_channel(self, link: str, *, calibration: float = 1.0) -> QuantumChannel:
        """The channel that this becomes when it is made."""
        return QuantumChannel(
            link=link,
            transmitter=self.transmitter,
            receiver=self.receiver,
            fibres=self.fibres,
            channel=self.channel,
            calibration=calibration,
        )


def compute_channels(plant: Plant, wish: ChannelWish) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Candidates, best first, and when there are none the reasons, the nearest obstacle first."""
    return channels_on(Layout(plant), wish)


def channels_on(layout: Layout, wish: ChannelWish) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """`compute_channels` on a layout that is there already."""
    search = _Search(layout, wish)
    found = sorted(search.candidates(), key=_rank)
    if found:
        return tuple(found[: search.number]), ()
    texts = dict.fromkeys(obstacle.text for obstacle in sorted(search.obstacles, key=Obstacle.nearness))
    return (), tuple(texts)[:_REASONS_MOST]


def _rank(candidate: Candidate) -> tuple[int, float, int, tuple[str, ...], ModuleRef, ModuleRef]:
    return (
        -candidate.figures.skr_bps,
        candidate.loss_db,
        candidate.channel,
        candidate.fibres,
        candidate.transmitter,
        candidate.receiver,
    )


class _Search:
    """One wish on one layout; `obstacles` tell where ways ended."""

    def __init__(self, layout: Layout, wish: ChannelWish) -> None:
        self.obstacles: list[Obstacle] = []
        self.number = max(1, wish.number)
        self._layout = layout
        self._wish = wish
        self._least_bps = max(1, wish.demand_bps)
        self._scatter = Scatter(layout)
        self._without = wish.without_fibres | {
            fibre.name for fibre in layout.plant.fibres if not wish.without_ducts.isdisjoint(fibre.ducts)
        }

    def candidates(self) -> Iterator[Candidate]:
        """All that will do: of each route the `number` quietest wavelengths."""
        for pair in module_pairs(self._layout, self._wish, self.obstacles):
            taken = frozenset(self._layout.usable(pair.receiver))
            common = [channel for channel in self._layout.usable(pair.transmitter) if channel in taken]
            if not common:
                made, taken_in = pair.transmitter.wavelength_range, pair.receiver.wavelength_range
                self._ended(
                    Stage.WAVELENGTHS,
                    f"modules {pair.name} have no common wavelength: {made} and {taken_in}",
                )
            for band in Band:
                channels = [channel for channel in common if band_of(channel) is band]
                if channels:
                    for route in self._bearable(pair, band):
                        yield from self._over(route, pair, band, channels)

    def _bearable(self, pair: ModulePair, band: Band) -> Iterator[Route]:
        """Routes whose loss both modules bear, least loss first."""
        bound_db = min(pair.transmitter.max_absorption_db, pair.receiver.max_absorption_db)
        start, end = (self._layout.point_of(module) for module in (pair.transmitter, pair.receiver))
        number = max(1, self._wish.routes)
        none = True
        for route in self._layout.routes(start, end, band, without=self._without, number=number):
            none = False
            over_db = route.loss_db - bound_db
            if over_db > 0:
                self._ended(
                    Stage.LOSS,
                    f"over {', '.join(route.fibres)}: a loss of {route.loss_db:.2f} dB is {over_db:.2f} dB "
                    f"above the max_absorption of {bound_db:.2f} dB of modules {pair.name}",
                    gap=over_db,
                )
                return  # the next ones lose more
            yield route
        if none:
            text = f"no way from {start} to {end} through fibres in service without amplifiers"
            self._ended(Stage.ROUTE, text + (" that are not excluded" if self._without else ""))

    def _over(self, route: Route, pair: ModulePair, band: Band, channels: list[int]) -> Iterator[Candidate]:
        """The candidates of one route: its quietest free wavelengths that meet the demand."""
        sources = self._scatter.sources(route, pair.transmitter.site, band)
        quiet: list[tuple[float, int]] = []
        blocked = ""
        for channel in channels:
            by = holder(self._layout, self._wish.link, route.fibres, channel, modules=pair.refs)
            if by:
                blocked = blocked or f"{channel_name(channel)} by {by}"
                continue
            seen = disturbed(self._scatter, sources, pair.receiver, route.loss_db, channel)
            quiet.append((seen.noise_counts + seen.excess_noise, channel))
        over = f"over {', '.join(route.fibres)}"
        if not quiet:
            text = f"{over}: every wavelength that modules {pair.name} share is taken, {blocked}"
            self._ended(Stage.TAKEN, text)
        for _, channel in sorted(quiet)[: self.number]:
            seen_there = predict(
                self._scatter,
                sources,
                receiver=pair.receiver,
                loss_db=route.loss_db,
                channel=channel,
                calibration=self._wish.calibration,
            )
            if seen_there.figures.skr_bps < self._least_bps:
                why = shortfall(seen_there, pair.receiver, self._wish.demand_bps, self._wish.calibration)
                gap = self._least_bps - seen_there.figures.skr_bps
                self._ended(Stage.RATE, f"{over} on {channel_name(channel)}: {why}", gap=gap)
                return  # the others are noisier
            yield Candidate(
                transmitter=pair.transmitter.ref,
                receiver=pair.receiver.ref,
                fibres=route.fibres,
                channel=channel,
                loss_db=route.loss_db,
                km=route.km,
                figures=seen_there.figures,
                noise_w_per_nm=seen_there.noise_w_per_nm,
                loudest=seen_there.loudest,
                ducts=self._layout.ducts_of(route.fibres),
            )

    def _ended(self, stage: Stage, text: str, *, gap: float = 0.0) -> None:
        self.obstacles.append(Obstacle(stage=stage, gap=gap, text=text))


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
