"""Whether somebody may be listening on a fibre, and which key is not trusted then.

Rule of this file: pure; seconds and facts in. Listening shows as errors. An error ratio is measured over
some time (`window_s`), so when it is too high, key that came in that time was perhaps overheard before
anybody could know: it is destroyed at both ends. The states of one end:

    trusted   own measure too high, or the other end suspects      -> suspect: distrust, nothing made or used
    suspect   own measure good for `release_after_s` without a gap,
              and the other end does not suspect (any more)         -> trusted
              the operator switches the link off                    -> trusted (measured anew when it is on)

No light is no measure: it neither begins a suspicion nor ends one.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from keyweave_core.physics.profiles import Bbm92, DecoyBb84, DeviceProfile, Dps
from keyweave_core.physics.rates import Disturbance, LinkFigures, link_figures

PARTS = 64
"""Into so many parts the window is divided: of each, the first block that came in it is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrusionSettings:
    """When errors mean that somebody may be listening.

    `qber` is the error ratio at which that begins (0..0.5; 0: it never does); None is that of the protocol,
    at which its security proof ends: 0.11 for BB84 and BBM92 (Shor and Preskill 2000), 0.055 for differential
    phase shift (individual attacks, Waks et al. 2006, weak pulses). `excess_noise` is the same for continuous
    variables, in shot-noise units (0..10). `window_s` (0..60) is over how long errors are measured.
    `release`: a link is used again after `release_after_s` (0..86400) of good measurements, or when the
    operator has switched it off and on at both ends.
    """

    qber: float | None = None
    excess_noise: float = 0.2
    window_s: float = 2.0
    release: Literal["automatic", "operator"] = "automatic"
    release_after_s: float = 30.0

    def __post_init__(self) -> None:
        for name, value, most in (
            ("qber", self.qber or 0.0, 0.5),
            ("excess_noise", self.excess_noise, 10.0),
            ("window_s", self.window_s, 60.0),
            ("release_after_s", self.release_after_s, 86_400.0),
        ):
            if not 0 <= value <= most:
                raise ValueError(f"intrusion: {name} is 0..{most:g}, not {value}")
        if self.release not in ("automatic", "operator"):
            raise ValueError(f"intrusion: release is automatic or operator, not {self.release!r}")

    def qber_of(self, profile: DeviceProfile) -> float:
        """The error ratio that counts for a device; 0: none does."""
        if self.qber is not None:
            return self.qber
        match profile.protocol:
            case DecoyBb84() | Bbm92():
                return 0.11
            case Dps():
                return 0.055
            case _:
                return 0.0


def suspicion(
    settings: IntrusionSettings,
    profile: DeviceProfile,
    loss_db: float,
    disturbance: Disturbance,
    measured: LinkFigures,
) -> str:
    """What of a measurement looks like somebody listening; empty: nothing does.

    Errors that the loss of the fibre alone explains (hardly any light arrives, so dark counts are all there
    is) are no sign: who takes light away learns nothing of the key that is made.
    """
    if measured.qber is not None:
        limit = settings.qber_of(profile)
        dark = link_figures(profile, loss_db, Disturbance(extra_loss_db=disturbance.extra_loss_db)).qber
        if 0 < limit <= measured.qber and (dark is None or dark < limit):
            return f"QBER {measured.qber:.1%}, {limit:.1%} is the limit"
    elif 0 < settings.excess_noise <= disturbance.excess_noise:
        noise, limit = disturbance.excess_noise, settings.excess_noise
        return f"excess noise of {noise:.3g} shot-noise units, {limit:.3g} is the limit"
    return ""


class Watch:
    """One end of a fibre. `first_block_id`: no block of this run has a lower id."""

    def __init__(self, settings: IntrusionSettings, first_block_id: int) -> None:
        self._settings = settings
        self._next_block_id = first_block_id
        self._part_s = settings.window_s / PARTS
        self._recent: deque[tuple[int, float]] = deque()  # first block of each part, and when it came
        self._good_since_s: float | None = None
        self.own = ""  # what is measured here, while that is suspect
        self.far = ""  # what the other end said
        self.since_block_id = 0  # from here on nothing is trusted, while suspect

    @property
    def suspect(self) -> bool:
        """No key is made or used."""
        return bool(self.own or self.far)

    @property
    def reason(self) -> str:
        """Why, for people."""
        return self.own or (f"the other end says: {self.far}" if self.far else "")

    def came(self, block_id: int, now_s: float) -> None:
        """A block was put into the pool."""
        self._next_block_id = block_id + 1
        recent = self._recent
        if not recent or now_s - recent[-1][1] >= self._part_s:
            recent.append((block_id, now_s))
        while len(recent) > 1 and recent[1][1] < now_s - 2 * self._settings.window_s:
            recent.popleft()

    def measured(self, words: str, now_s: float) -> bool:
        """A measurement: what is suspect about it, or empty. Whether this begins a suspicion here."""
        if not words:
            if self.own and self._good_since_s is None:
                self._good_since_s = now_s
            return False
        self._good_since_s = None
        was, began, self.own = self.suspect, not self.own, words
        if began:
            self._doubt(self._first_since(now_s - self._settings.window_s), was=was)
        return began

    def unlit(self) -> None:
        """There is no measurement now."""
        self._good_since_s = None

    def told(self, words: str, since_block_id: int, now_s: float) -> bool:
        """The other end suspects (with the first block that it does not trust), or does not (empty words).

        Whether there is something new to distrust here.
        """
        was, before, self.far = self.suspect, self.since_block_id, words[:200]
        if not words:
            return False
        first = (
            since_block_id if was else min(since_block_id, self._first_since(now_s - self._settings.window_s))
        )
        self._doubt(first, was=was)
        return not was or self.since_block_id < before

    def tick(self, now_s: float) -> bool:
        """Whether the own suspicion ends now; the other end is to be told."""
        waits = self._settings.release_after_s
        if not self.own or self._good_since_s is None or self._settings.release == "operator":
            return False
        if now_s - self._good_since_s < waits:
            return False
        self.own, self._good_since_s = "", None
        return True

    def released(self) -> None:
        """The operator has switched the link off: what it measures when it is on again counts."""
        self.own = self.far = ""
        self._good_since_s = None

    def _doubt(self, since_block_id: int, *, was: bool) -> None:
        """Nothing from here on is trusted; a suspicion that stands already reaches no less far back."""
        self.since_block_id = min(self.since_block_id, since_block_id) if was else since_block_id

    def _first_since(self, moment_s: float) -> int:
        """The first block that may have come at this moment or later; behind all of them when none did."""
        found = (block_id for block_id, at_s in self._recent if at_s + self._part_s >= moment_s)
        return next(found, self._next_block_id)
