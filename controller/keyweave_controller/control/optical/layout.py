"""A plant ready for questions: what joins what, and which light is where.

Rule of this file: derived from the plant, never changed. A *point* is where light can be handed over: a
switch, or the bare end of a fibre ("fibre@site"), where only the modules that hang on it are. Fibres out of
service and amplified ones join nothing for quantum light.
"""

import heapq
from collections.abc import Iterator, Set
from dataclasses import dataclass
from math import inf

from keyweave_controller.control.optical.equipment import (
    ClassicalChannel,
    Fibre,
    Module,
    ModuleRef,
    QuantumChannel,
)
from keyweave_controller.control.optical.grid import Band, band_of, channels_in
from keyweave_controller.control.optical.plant import Plant

_STEPS_MOST = 4000
"""Part ways looked at for one pair of points: a bound for plants made of nothing but loops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way of light: fibres in order, the points before, between and behind them, and its whole loss."""

    fibres: tuple[str, ...]
    points: tuple[str, ...]  # one more than fibres
    loss_db: float
    km: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bright:
    """A classical channel on one fibre: where it enters, and its level there."""

    channel: ClassicalChannel
    enters_at: str  # site
    dbm: float


class Layout:
    """Look at everything, change nothing."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.fibres: dict[str, Fibre] = {fibre.name: fibre for fibre in plant.fibres}
        self.modules: dict[ModuleRef, Module] = {module.ref: module for module in plant.modules}
        self.channels: dict[str, QuantumChannel] = {channel.link: channel for channel in plant.channels}
        self.shared = frozenset(sharing.module for sharing in plant.shared)
        self._usable: dict[str, tuple[int, ...]] = {}
        self.insertion_db = {switch.name: switch.insertion_db for switch in plant.switches}
        self._switch_at = {
            (fibre, switch.site): switch.name for switch in plant.switches for fibre in switch.fibres
        }
        self._around: dict[str, list[tuple[Fibre, str]]] = {}
        for fibre in sorted(plant.fibres, key=lambda fibre: fibre.name):
            if fibre.in_service and not fibre.amplified:
                a, b = self.point(fibre.name, fibre.a), self.point(fibre.name, fibre.b)
                self._around.setdefault(a, []).append((fibre, b))
                self._around.setdefault(b, []).append((fibre, a))
        self.bright: dict[str, list[Bright]] = {}  # what shines in a fibre now
        self.classical: dict[str, list[ClassicalChannel]] = {}  # who has a wavelength there, dark or not
        for classical in sorted(plant.classical, key=lambda channel: channel.name):
            self._spread(classical)
        self.quantum: dict[str, list[QuantumChannel]] = {}
        for channel in sorted(plant.channels, key=lambda channel: channel.link):
            for name in channel.fibres:
                self.quantum.setdefault(name, []).append(channel)

    def point(self, fibre: str, site: str) -> str:
        """Where a fibre ends at a site."""
        return self._switch_at.get((fibre, site), f"{fibre}@{site}")

    def point_of(self, module: Module) -> str:
        """Where a module hangs."""
        return module.at if module.at in self.insertion_db else f"{module.at}@{module.site}"

    def usable(self, module: Module) -> tuple[int, ...]:
        """The channels that a module can make or take."""
        known = self._usable.get(module.wavelength_range)
        if known is None:
            known = self._usable[module.wavelength_range] = channels_in(module.wavelength_range)
        return known

    def loss_of(self, point: str) -> float:
        """What light loses at a point in dB."""
        return self.insertion_db.get(point, 0.0)

    def ducts_of(self, names: tuple[str, ...]) -> frozenset[str]:
        """The shared-risk groups of these fibres."""
        return frozenset(duct for name in names for duct in self.fibres[name].ducts)

    def along(self, names: tuple[str, ...], start_site: str, band: Band) -> Route:
        """The route of a channel that is there: its fibres from the transmitter's site."""
        site = start_site
        points = [self.point(names[0], site)]
        loss_db, km = self.loss_of(points[0]), 0.0
        for name in names:
            fibre = self.fibres[name]
            site = fibre.other(site)
            points.append(self.point(name, site))
            loss_db += fibre.loss_in(band) + self.loss_of(points[-1])
            km += fibre.km
        return Route(fibres=names, points=tuple(points), loss_db=loss_db, km=km)

    def routes(self, start: str, end: str, band: Band, *, without: Set[str], number: int) -> Iterator[Route]:
        """Loop-free routes from point to point, least loss first, then fewest fibres and their names.

        At most `number`; none over fibres `without`. A* with the true loss that remains as its bound, so
        each is found in order; an end after `_STEPS_MOST` part ways.
        """
        remaining = self._losses_to(end, band, without)
        if start not in remaining or start == end:
            return
        first_db = self.loss_of(start)
        heap: list[tuple[float, int, tuple[str, ...], tuple[str, ...], float, float]] = [
            (first_db + remaining[start], 0, (), (start,), first_db, 0.0)
        ]
        steps = 0
        while heap and number > 0 and steps < _STEPS_MOST:
            steps += 1
            _, _, names, points, loss_db, km = heapq.heappop(heap)
            if points[-1] == end:
                number -= 1
                yield Route(fibres=names, points=points, loss_db=loss_db, km=km)
                continue
            for fibre, point in self._around.get(points[-1], ()):
                left_db = remaining.get(point)
                if left_db is None or point in points or fibre.name in without:
                    continue
                so_far_db = loss_db + fibre.loss_in(band) + self.loss_of(point)
                heapq.heappush(
                    heap,
                    (
                        so_far_db + left_db,
                        len(names) + 1,
                        (*names, fibre.name),
                        (*points, point),
                        so_far_db,
                        km + fibre.km,
                    ),
                )

    def _losses_to(self, end: str, band: Band, without: Set[str]) -> dict[str, float]:
        """Least loss behind each point on the way to `end`, that of the point itself not counted."""
        least: dict[str, float] = {}
        heap = [(0.0, end)]
        while heap:
            loss_db, point = heapq.heappop(heap)
            if point in least:
                continue
            least[point] = loss_db
            for fibre, other in self._around.get(point, ()):
                if other not in least and fibre.name not in without:
                    heapq.heappush(heap, (loss_db + fibre.loss_in(band) + self.loss_of(point), other))
        return least

    def _spread(self, channel: ClassicalChannel) -> None:
        """Note the channel on each of its fibres with the level at which it enters."""
        band, site, dbm = band_of(channel.channel), channel.source, channel.launch_dbm
        came_to, dark = "", False
        for name in channel.fibres:
            self.classical.setdefault(name, []).append(channel)
            fibre = self.fibres[name]
            point = self.point(name, site)
            if point == came_to:
                dbm -= self.loss_of(point)
            dark = dark or not fibre.in_service  # from a broken fibre on
            if not dark:
                self.bright.setdefault(name, []).append(Bright(channel=channel, enters_at=site, dbm=dbm))
            site = fibre.other(site)
            came_to = self.point(name, site)
            if not fibre.amplified:
                dbm -= fibre.loss_in(band)


def clear_of(loss_db: float) -> float:
    """The share of light that a loss leaves."""
    return float(10 ** (-loss_db / 10)) if loss_db < inf else 0.0
