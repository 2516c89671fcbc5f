"""What a review comes to: the plant after its moves, what both ends of a link are told, and facts of links.

Rule of this file: pure translation, from the optical layer's words to those of the network above it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from keyweave_controller.control.configuration import LinkFacts
from keyweave_controller.control.optical.equipment import ModuleRef
from keyweave_controller.control.optical.plant import Plant, risk_groups
from keyweave_controller.control.optical.review import Judgement
from keyweave_controller.control.optical.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What one end of a link is told (GS QKD 015): `phys_wavelength` and `phys_channel_att` of its PHYS link.

    `channel_att_db` has three decimals, as the wire has. The attenuation decides nothing in a node; a
    receiver may be glad to know what to expect.
    """

    module: ModuleRef
    link: str
    wavelength: int
    channel_att_db: float


def tunings(judgements: Iterable[Judgement]) -> tuple[Tuning, ...]:
    """Both ends of every link that moves, in order of links, the receiver first: it waits for the light."""
    moves = {one.link: one.move for one in judgements if one.move is not None}
    return tuple(
        Tuning(module=module, link=link, wavelength=move.channel, channel_att_db=round(move.loss_db, 3))
        for link, move in sorted(moves.items(), key=lambda each: each[0])
        for module in (move.receiver, move.transmitter)
    )


def moved(plant: Plant, judgements: Iterable[Judgement]) -> Plant:
    """The plant with every link where its judgement moves it."""
    moves = {one.link: one.move for one in judgements if one.move is not None}
    return replace(
        plant,
        channels=tuple(
            moves[channel.link].as_channel(channel.link, calibration=channel.calibration)
            if channel.link in moves
            else channel
            for channel in plant.channels
        ),
    )


def link_facts(plant: Plant, windows: Mapping[str, tuple[Window, ...]]) -> tuple[LinkFacts, ...]:
    """What routing and admission take from the plant: shared risks, and windows (`availability`), by link."""
    links = sorted({channel.link for channel in plant.channels} | windows.keys())
    return tuple(
        LinkFacts(link=link, risk_groups=tuple(sorted(risk_groups(plant, link))), windows=windows.get(link))
        for link in links
    )
