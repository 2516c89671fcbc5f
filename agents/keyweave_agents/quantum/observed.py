"""What a QKD module tells about itself: its state at one moment, and what just changed.

Rule of this file: values only, never a key bit.
"""

from dataclasses import dataclass
from enum import StrEnum

from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import InterfaceStatus, Quarantine


class DownCause(StrEnum):
    """Why a link makes no key."""

    FIBRE = "fibre"  # the other end cannot be reached, or went silent
    NOISE = "noise"  # connected, but error ratio or excess noise is too high for any key
    SWITCHED_OFF = "switched-off"  # this end was told to stop
    PEER_OFF = "peer-off"  # the other end was told to stop
    MISMATCH = "mismatch"  # the other end is not the one expected
    WAVELENGTH = "wavelength"  # the two ends are not on one channel (any more)
    INTRUSION = "intrusion"  # somebody may be listening


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleState:
    """One module and its fibre as observed.

    `generating` is what the outside is told: it stays true during the hold-off after a loss. `connected`
    follows the fibre at once. `skr_bps` is 0 while nothing is made; `qber` (ratio) and `snr_db` are None
    while there is no light, or where the technology has none. `generated_bits` counts what was made (at the
    receiver: what arrived) since the program started, `discarded_bits` the part of it that was not kept.
    `cause` and `reason` say why a link does not generate; None and '' while it does or before it ever did.
    `quarantine`: somebody may be listening, and no key of the link is used.
    """

    link_id: LinkId
    interface_status: InterfaceStatus
    enabled: bool
    connected: bool
    generating: bool
    skr_bps: int
    qber: float | None
    snr_db: float | None
    loss_db: float
    excess_noise: float
    generated_bits: int
    discarded_bits: int
    cause: DownCause | None
    reason: str
    quarantine: Quarantine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """Key is made again, or for the first time."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDown:
    """No key has been made for the hold-off time. Told once, until LinkUp."""

    link_id: LinkId
    cause: DownCause
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresChanged:
    """Rate, error ratio, loss or noise of a link are not what they were."""

    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrusionSuspected:
    """Somebody may be listening. Told again when more key turns out to be suspect."""

    link_id: LinkId
    quarantine: Quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrusionOver:
    """Nothing is suspect any more: key is made and used again."""

    link_id: LinkId


ModuleEvent = LinkUp | LinkDown | FiguresChanged | IntrusionSuspected | IntrusionOver
