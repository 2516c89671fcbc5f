"""What is asked for, the modules that could do it, and why a way ended.

Rule of this file: modules alone, no fibre. A pair fits when both are free and of the same device, and one may
transmit and the other receive.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from enum import IntEnum

from keyweave_controller.control.optical.equipment import Module, ModuleRef
from keyweave_controller.control.optical.layout import Layout
from keyweave_core.model.link import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelWish:
    """A physical QKD link wanted between two sites, in either direction.

    `demand_bps` is the secret key rate it must reach (0: any key at all). `link` names the link when it is
    there already and is to move: its modules and wavelength count as free. `transmitter` and `receiver` name
    the only ones that may be taken. `calibration` is the link's factor over the model. `without_fibres` and
    `without_ducts` are not to be used. `number` candidates at most (1 or more), over the `routes` (1 or more)
    routes of least loss.
    """

    a: str
    b: str
    demand_bps: int = 0
    link: str = ""
    transmitter: ModuleRef | None = None
    receiver: ModuleRef | None = None
    calibration: float = 1.0
    without_fibres: frozenset[str] = frozenset()
    without_ducts: frozenset[str] = frozenset()
    number: int = 8
    routes: int = 4


class Stage(IntEnum):
    """What a way must pass, in this order; the further it came, the more its end has to say."""

    MODULE = 0  # a module at each site
    FREE = 1  # that serves nobody else
    FIT = 2  # of the same device, by role
    WAVELENGTHS = 3  # with a wavelength in common
    ROUTE = 4  # and fibres between them
    LOSS = 5  # within max_absorption
    TAKEN = 6  # on a wavelength that nobody has
    RATE = 7  # with the key that is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a way ended. `gap` says by how much, in the unit of its stage."""

    stage: Stage
    gap: float
    text: str

    def nearness(self) -> tuple[int, float, str]:
        """Sorts the nearest to success first."""
        return (-self.stage, self.gap, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModulePair:
    """Two free modules of a kind, and who sends."""

    transmitter: Module
    receiver: Module

    @property
    def refs(self) -> tuple[ModuleRef, ModuleRef]:
        """Transmitter and receiver."""
        return self.transmitter.ref, self.receiver.ref

    @property
    def name(self) -> str:
        """For people: 'Norte/1 and Distrito/2'."""
        return f"{self.transmitter.ref} and {self.receiver.ref}"


def module_pairs(layout: Layout, wish: ChannelWish, obstacles: list[Obstacle]) -> Iterator[ModulePair]:
    """Free modules that fit, both ways round; of modules that do not differ only the first."""
    ends: list[list[Module]] = []
    busy = {
        ref: channel.link
        for channel in layout.plant.channels
        if channel.link != wish.link
        for ref in (channel.transmitter, channel.receiver)
        if ref not in layout.shared
    }
    for site in (wish.a, wish.b):
        named = [ref for ref in (wish.transmitter, wish.receiver) if ref is not None and ref.site == site]
        here = [
            module
            for module in sorted(layout.plant.modules, key=lambda module: module.ref)
            if module.site == site and (not named or module.ref in named)
        ]
        free = [module for module in here if module.ref not in busy]
        if not here:
            obstacles.append(Obstacle(stage=Stage.MODULE, gap=0, text=f"there is no module at {site}"))
        elif not free:
            taken = ", ".join(f"{module.ref} serves {busy[module.ref]}" for module in here)
            obstacles.append(Obstacle(stage=Stage.FREE, gap=0, text=f"no module is free at {site}: {taken}"))
        ends.append(_different(free, layout.shared))
    for one in ends[0]:
        for other in ends[1]:
            if layout.shared.issuperset((one.ref, other.ref)):
                text = f"modules {one.ref} and {other.ref} are both shared"
                obstacles.append(Obstacle(stage=Stage.FIT, gap=0, text=text))
                continue
            if one.profile != other.profile:
                text = f"module {one.ref} is a {one.profile}, {other.ref} a {other.profile}"
                obstacles.append(Obstacle(stage=Stage.FIT, gap=0, text=text))
                continue
            fits = False
            for sender, taker in ((one, other), (other, one)):
                may_send = sender.role is not Role.RECEIVER and wish.transmitter in (None, sender.ref)
                may_take = taker.role is not Role.TRANSMITTER and wish.receiver in (None, taker.ref)
                if may_send and may_take:
                    fits = True
                    yield ModulePair(transmitter=sender, receiver=taker)
            if not fits:
                text = f"modules {one.ref} ({one.role}) and {other.ref} ({other.role}) do not fit by role"
                obstacles.append(Obstacle(stage=Stage.FIT, gap=0, text=text))


def _different(modules: Iterable[Module], shared: Set[ModuleRef]) -> list[Module]:
    """The first of each kind: equal ones behind the same switch would give equal candidates."""
    kinds: dict[tuple[object, ...], Module] = {}
    for module in modules:
        kind = (
            module.at,
            module.ref in shared,
            module.role,
            module.profile,
            module.wavelength_range,
            module.max_absorption_db,
            module.filter_nm,
            module.gate_ns,
        )
        kinds.setdefault(kind, module)
    return list(kinds.values())
