"""How a physical QKD link could be made: fibres, wavelength, modules, and what they would give.

Rule of this file: pure and deterministic. Every pair of free modules that fit together, every route that both
can bear, every wavelength that both can make and nobody else has on any fibre of the route; each with the key
rate that the physics predicts under the Raman noise of all classical light on the way. Most secret key first;
among equals least loss, then the lowest channel, then names.

When nothing will do, the reasons begin with the obstacle of the candidate that came furthest.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from keyweave_controller.control.optical.equipment import ModuleRef, QuantumChannel
from keyweave_controller.control.optical.grid import Band, band_of, channel_name
from keyweave_controller.control.optical.hearing import Heard, shortfall
from keyweave_controller.control.optical.layout import Layout, Route
from keyweave_controller.control.optical.noise import Scatter
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.wishes import (
    ChannelWish,
    ModulePair,
    Obstacle,
    Stage,
    module_pairs,
)
from keyweave_core.physics.rates import LinkFigures

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
        self._found: dict[tuple[str, str, Band], list[Route]] = {}
        self._hearings: dict[Hashable, Heard] = {}
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
        routes = self._routes(start, end, band)
        if not routes:
            text = f"no way from {start} to {end} through fibres in service without amplifiers"
            self._ended(Stage.ROUTE, text + (" that are not excluded" if self._without else ""))
        for route in routes:
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

    def _over(self, route: Route, pair: ModulePair, band: Band, channels: list[int]) -> Iterator[Candidate]:
        """The candidates of one route: its quietest free wavelengths that meet the demand."""
        over = f"over {', '.join(route.fibres)}"
        heard = self._heard(route, pair, band)
        quiet: list[tuple[float, int]] = []
        blocked = ""
        for channel in channels:
            by = heard.holder(channel)
            if by:
                blocked = blocked or f"{channel_name(channel)} by {by}"
            else:
                quiet.append((heard.noise(channel), channel))
        if not quiet:
            text = f"{over}: every wavelength that modules {pair.name} share is taken, {blocked}"
            self._ended(Stage.TAKEN, text)
        for _, channel in sorted(quiet)[: self.number]:
            seen = heard.predict(channel)
            if seen.figures.skr_bps < self._least_bps:
                why = shortfall(seen, pair.receiver, self._wish.demand_bps, self._wish.calibration)
                gap = self._least_bps - seen.figures.skr_bps
                self._ended(Stage.RATE, f"{over} on {channel_name(channel)}: {why}", gap=gap)
                return  # the others are noisier
            yield Candidate(
                transmitter=pair.transmitter.ref,
                receiver=pair.receiver.ref,
                fibres=route.fibres,
                channel=channel,
                loss_db=route.loss_db,
                km=route.km,
                figures=seen.figures,
                noise_w_per_nm=seen.noise_w_per_nm,
                loudest=seen.loudest,
                ducts=self._layout.ducts_of(route.fibres),
            )

    def _routes(self, start: str, end: str, band: Band) -> list[Route]:
        key = (start, end, band)
        if key not in self._found:
            number = max(1, self._wish.routes)
            self._found[key] = list(
                self._layout.routes(start, end, band, without=self._without, number=number)
            )
        return self._found[key]

    def _heard(self, route: Route, pair: ModulePair, band: Band) -> Heard:
        """The route as a receiver of this kind hears it; pairs that differ in bounds alone share it."""
        taker = pair.receiver
        turns = self._layout.shared.intersection(pair.refs)
        start = pair.transmitter.site
        key = (route.fibres, start, taker.profile, taker.filter_nm, taker.gate_ns, turns, band)
        if key not in self._hearings:
            sources = self._scatter.sources(route, start, band)
            self._hearings[key] = Heard(
                self._layout, self._scatter, self._wish, route=route, sources=sources, pair=pair
            )
        return self._hearings[key]

    def _ended(self, stage: Stage, text: str, *, gap: float = 0.0) -> None:
        self.obstacles.append(Obstacle(stage=stage, gap=gap, text=text))
