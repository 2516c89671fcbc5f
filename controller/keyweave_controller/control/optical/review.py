"""Whether the quantum channels of a plant still do what they are for, and what to do about those that do not.

Rule of this file: pure and deterministic; nothing is done here. A channel keeps its place when its fibres
carry it, its wavelength is its own, its loss is bearable and the predicted rate meets its demand. One that
does not moves, to another wavelength or route between the same two modules, if some candidate meets the
demand; else it fails. Higher priority chooses first, then the smaller link id; nobody is moved to make room.
A move takes a wavelength that is free and makes no light that others would hear, so it never brings another
one down.

"May this classical channel be switched on?" is the same question about the plant with it (`permit`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from keyweave_controller.control.optical.compute import Candidate, channels_on
from keyweave_controller.control.optical.equipment import ClassicalChannel, QuantumChannel
from keyweave_controller.control.optical.grid import band_of, channel_name, clash
from keyweave_controller.control.optical.hearing import holder, shortfall
from keyweave_controller.control.optical.layout import Layout
from keyweave_controller.control.optical.noise import Prediction, Scatter, predict
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.wishes import ChannelWish

_LEAST_DBM = -60


class Verdict(StrEnum):
    """What becomes of a channel."""

    KEEPS = "keeps"  # as it is
    MOVES = "moves"  # to `Judgement.move`
    FAILS = "fails"  # nothing that is free would do


@dataclass(frozen=True, slots=True, kw_only=True)
class SkrDemand:
    """The secret key rate that a link must reach (`skr_bps` 0: any key), and how much it matters.

    `link` is spelled as its channel spells it (`plant.with_link_ids` makes both ids).
    """

    link: str
    skr_bps: int
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One channel as it is (`now`), and what becomes of it.

    `reasons` say why it cannot stay, and when it fails why it cannot move.
    """

    link: str
    verdict: Verdict
    demand_bps: int
    now: Prediction
    move: Candidate | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Whether a classical channel may be switched on.

    Granted when every link that meets its demand still does, those with verdict MOVES after their move. When
    not, `reasons` say whom it would bring down, and `most_dbm` is the highest launch level (in tenths of a
    dB, -60 or more) that would be granted; None when no level would.
    """

    granted: bool
    judgements: tuple[Judgement, ...]
    reasons: tuple[str, ...] = ()
    most_dbm: float | None = None


def review(
    plant: Plant, channels: Iterable[QuantumChannel], demands: Iterable[SkrDemand]
) -> tuple[Judgement, ...]:
    """A judgement for every channel, in the order given; a channel without demand must make any key.

    `channels` stand instead of those of the plant; errors as `Plant`. Demands of other links are ignored.
    """
    standing = tuple(channels)
    asked = {demand.link: demand for demand in demands}
    bench = _Bench(replace(plant, channels=standing), asked)
    order = sorted(standing, key=lambda channel: (-bench.demand(channel.link).priority, channel.link))
    judged: dict[str, Judgement] = {}
    waiting: list[tuple[QuantumChannel, Prediction, str]] = []
    settled: set[str] = set()
    for channel in order:
        now, flaw = bench.look(channel, settled)
        if flaw:
            waiting.append((channel, now, flaw))
            continue
        settled.add(channel.link)
        judged[channel.link] = Judgement(
            link=channel.link,
            verdict=Verdict.KEEPS,
            demand_bps=bench.demand(channel.link).skr_bps,
            now=now,
        )
    while waiting:
        left: list[tuple[QuantumChannel, Prediction, str]] = []
        for channel, now, flaw in waiting:
            move, reasons = bench.elsewhere(channel)
            judged[channel.link] = Judgement(
                link=channel.link,
                verdict=Verdict.FAILS if move is None else Verdict.MOVES,
                demand_bps=bench.demand(channel.link).skr_bps,
                now=now,
                move=move,
                reasons=(flaw, *reasons),
            )
            if move is None:
                left.append((channel, now, flaw))
        if len(left) == len(waiting):
            break
        waiting = left  # a wavelength that was left may be what another one needs
    return tuple(judged[channel.link] for channel in standing)


def permit(plant: Plant, classical: ClassicalChannel, demands: Iterable[SkrDemand]) -> Permit:
    """Whether `classical` may be switched on, or changed to this if one of its name is on already.

    Errors as `Plant`, for fibres that do not lead anywhere and the like.
    """
    asked = tuple(demands)
    down_already = {
        judgement.link
        for judgement in review(plant, plant.channels, asked)
        if judgement.verdict is Verdict.FAILS
    }
    others = tuple(channel for channel in plant.classical if channel.name != classical.name)
    for other in others:
        for name in other.fibres:
            if name in classical.fibres and clash(other.channel, classical.channel):
                reason = f"classical channel {other.name} has {channel_name(other.channel)} on {name}"
                return Permit(granted=False, judgements=(), reasons=(reason,))

    def brought_down(dbm: float) -> tuple[tuple[Judgement, ...], list[Judgement]]:
        lit = replace(plant, classical=(*others, replace(classical, launch_dbm=dbm)))
        judgements = review(lit, plant.channels, asked)
        fallen = [each for each in judgements if each.verdict is Verdict.FAILS]
        return judgements, [each for each in fallen if each.link not in down_already]

    judgements, fallen = brought_down(classical.launch_dbm)
    if not fallen:
        return Permit(granted=True, judgements=judgements)
    reasons = tuple(f"link {each.link}: {'; '.join(each.reasons)}" for each in fallen)
    too_much, least = round(classical.launch_dbm * 10), _LEAST_DBM * 10
    if too_much <= least or brought_down(_LEAST_DBM)[1]:
        return Permit(granted=False, judgements=judgements, reasons=reasons)
    while too_much - least > 1:
        middle = (too_much + least) // 2
        if brought_down(middle / 10)[1]:
            too_much = middle
        else:
            least = middle
    return Permit(granted=False, judgements=judgements, reasons=reasons, most_dbm=least / 10)


class _Bench:
    """The plant as it stands while channels are being moved."""

    def __init__(self, plant: Plant, asked: dict[str, SkrDemand]) -> None:
        self._asked = asked
        self._put(plant)

    def _put(self, plant: Plant) -> None:
        self._plant = plant
        self._layout = Layout(plant)
        self._scatter = Scatter(self._layout)

    def demand(self, link: str) -> SkrDemand:
        """What is asked of a link."""
        return self._asked.get(link, SkrDemand(link=link, skr_bps=0))

    def look(self, channel: QuantumChannel, settled: set[str]) -> tuple[Prediction, str]:
        """What a channel does where it is, and why it cannot stay ('' when it can).

        Of two channels that have the same wavelength the one in `settled` has the older right.
        """
        layout = self._layout
        band = band_of(channel.channel)
        sender, taker = layout.modules[channel.transmitter], layout.modules[channel.receiver]
        route = layout.along(channel.fibres, sender.site, band)
        now = predict(
            self._scatter,
            self._scatter.sources(route, sender.site, band),
            receiver=taker,
            loss_db=route.loss_db,
            channel=channel.channel,
            calibration=channel.calibration,
        )
        for name in channel.fibres:
            fibre = layout.fibres[name]
            if not fibre.in_service or fibre.amplified:
                return now, f"fibre {name} is {'amplified' if fibre.amplified else 'out of service'}"
        bound_db = min(sender.max_absorption_db, taker.max_absorption_db)
        if route.loss_db > bound_db:
            over_db = route.loss_db - bound_db
            return now, (
                f"a loss of {route.loss_db:.2f} dB is {over_db:.2f} dB above the max_absorption of "
                f"{bound_db:.2f} dB of modules {sender.ref} and {taker.ref}"
            )
        for module in (sender, taker):
            if channel.channel not in layout.usable(module):
                return now, f"{channel_name(channel.channel)} is not in the range of module {module.ref}"
        ends = (channel.transmitter, channel.receiver)
        by = holder(layout, channel.link, channel.fibres, channel.channel, modules=ends, among=settled)
        if by:
            return now, f"{channel_name(channel.channel)} is taken by {by}"
        demand_bps = self.demand(channel.link).skr_bps
        if now.figures.skr_bps < max(1, demand_bps):
            return now, shortfall(now, taker, demand_bps, channel.calibration)
        return now, ""

    def elsewhere(self, channel: QuantumChannel) -> tuple[Candidate | None, tuple[str, ...]]:
        """The best other place of a channel, which it then has; or why there is none."""
        candidates, reasons = channels_on(
            self._layout,
            ChannelWish(
                a=channel.transmitter.site,
                b=channel.receiver.site,
                demand_bps=self.demand(channel.link).skr_bps,
                link=channel.link,
                transmitter=channel.transmitter,
                receiver=channel.receiver,
                calibration=channel.calibration,
                number=1,
            ),
        )
        if not candidates:
            return None, reasons
        moved = candidates[0].as_channel(channel.link, calibration=channel.calibration)
        self._put(
            replace(
                self._plant,
                channels=tuple(moved if each.link == channel.link else each for each in self._plant.channels),
            )
        )
        return candidates[0], ()
