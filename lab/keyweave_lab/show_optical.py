"""The optical layer as tables: plant, channels, light, windows."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table

from keyweave_core.model.units import show_rate
from keyweave_lab.show_words import when
from keyweave_proto.v1 import optical_pb2 as pb

WINDOWS_SHOWN = 8
"""So many windows of a link; JSON has all."""


def candidates(answer: pb.ComputeChannelsResponse) -> RenderableType:
    """Ways to make a link, the best first; or why there are none."""
    table = Table("#", "channel", "over", "modules", "loss", "key rate", "QBER", "loudest")
    for place, one in enumerate(answer.candidates, start=1):
        table.add_row(
            str(place),
            _channel(one.channel, one.wavelength_nm),
            ", ".join(one.fibres),
            f"{_module(one.transmitter)} > {_module(one.receiver)}",
            f"{one.loss_db:.2f} dB",
            show_rate(one.skr_bps),
            _qber(one),
            one.loudest or "-",
        )
    return Group(*(() if not answer.candidates else (table,)), *answer.reasons)


def channels(judged: Iterable[pb.ChannelJudgement]) -> RenderableType:
    """Quantum channels, and what becomes of them."""
    table = Table("link", "channel", "over", "loss", "key rate", "demand", "verdict")
    reasons: list[str] = []
    for one in judged:
        verdict = pb.Verdict.Name(one.verdict).removeprefix("VERDICT_").lower()
        if one.HasField("move"):
            verdict += f" to {one.move.channel}, {show_rate(one.move.skr_bps)}"
        table.add_row(
            one.link,
            str(one.channel),
            ", ".join(one.fibres),
            f"{one.loss_db:.2f} dB",
            show_rate(one.skr_bps),
            show_rate(one.demand_bps),
            verdict,
        )
        reasons.extend(f"{one.link}: {reason}" for reason in one.reasons)
    return Group(table, *reasons)


def plant(answer: pb.PlantReply) -> RenderableType:
    """The plant in short."""
    if not answer.toml:
        return "no fibre plant is configured"
    whose = "configured over the northbound" if answer.configured else "of the controller's settings"
    moving = "; quantum channels are moving now" if answer.moving else ""
    head = f"{answer.fibres} fibres, {answer.modules} modules, {whose}{moving}"
    if not answer.classical:
        return Group(head, channels(answer.channels))
    light = Table("classical", "from", "over", "channel", "launched at")
    for one in answer.classical:
        light.add_row(
            one.name, one.source, ", ".join(one.fibres), str(one.channel), f"{one.launch_dbm:g} dBm"
        )
    return Group(head, channels(answer.channels), light)


def permit(answer: pb.PermitClassicalResponse) -> RenderableType:
    """May it be switched on?"""
    if answer.granted:
        moves = [one for one in answer.channels if one.HasField("move")]
        words = f"granted; {len(moves)} quantum channels would move" if moves else "granted"
        return Group(words, *((channels(moves),) if moves else ()))
    told = [f"refused: {reason}" for reason in answer.reasons]
    if answer.HasField("most_dbm"):
        told.append(f"would be granted at {answer.most_dbm:g} dBm or less")
    return Group(*told)


def windows(answer: pb.AvailabilityResponse) -> RenderableType:
    """When links make key."""
    if not answer.links:
        return "every link makes key at any time"
    table = Table("link", "from", "until", "key rate")
    for link in answer.links:
        name = link.link if link.link_id else f"{link.link} (no agent has it)"
        if link.always:
            table.add_row(name, "at any time", "", "")
        elif not link.windows:
            table.add_row(name, "no more windows are known", "", "")
        for place, one in enumerate(link.windows[:WINDOWS_SHOWN]):
            table.add_row(
                "" if place else name, when(one.starts_at), when(one.ends_at), show_rate(one.rate_bps)
            )
        if len(link.windows) > WINDOWS_SHOWN:
            table.add_row("", f"and {len(link.windows) - WINDOWS_SHOWN} more", "", "")
    return table


def _module(ref: pb.ModuleRef) -> str:
    return f"{ref.site}/{ref.interface_id}"


def _channel(channel: int, nanometres: float) -> str:
    return f"{channel} ({nanometres:.2f} nm)"


def _qber(one: pb.ChannelCandidate) -> str:
    return f"{one.qber:.2%}" if one.HasField("qber") else "-"
