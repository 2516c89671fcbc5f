"""Links that make key only at times: whose module serves several partners, and whose satellite passes.

Rule of this file: values; when such links make key is `availability`'s to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from keyweave_controller.control.optical.equipment import ModuleRef, QuantumChannel
from keyweave_controller.control.optical.passes import Pass
from keyweave_controller.control.optical.switched import SwitchPolicy
from keyweave_core.physics.finite import DOWNLINKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """A module that serves every channel that names it, one after the other."""

    module: ModuleRef
    policy: SwitchPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite:
    """A link over satellite passes; `device` names one of `physics.finite.DOWNLINKS`.

    ValueError for an unknown device, and for passes that overlap.
    """

    link: str
    passes: tuple[Pass, ...] = ()
    device: str = "downlink-100mhz"

    def __post_init__(self) -> None:
        at = f"satellites {self.link[:60]!r}"
        if self.device not in DOWNLINKS:
            raise ValueError(
                f"{at}: device: no device {self.device[:60]!r}; there are {', '.join(DOWNLINKS)}"
            )
        by_start = sorted(self.passes, key=lambda one: one.starts_at)
        for one, other in pairwise(by_start):
            if other.starts_at < one.ends_at:
                raise ValueError(f"{at}: passes: those at {one.starts_at} s and {other.starts_at} s overlap")


def partners_of(channels: Iterable[QuantumChannel], module: ModuleRef) -> tuple[str, ...]:
    """The links that a shared module serves, in order."""
    return tuple(
        sorted(channel.link for channel in channels if module in (channel.transmitter, channel.receiver))
    )
