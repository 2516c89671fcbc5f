"""One module, several partners: whom an optical switch connects it with, and when.

Rule of this file: pure and deterministic. Time is cut into turns; at the end of each the next partner is

    1. one whose buffer would run empty within a round, higher priority first, then the sooner empty one;
    2. else one whose buffer is not full, that which lasts least (buffer over consumption), priority weighing;
    3. else the one whose bound comes first;

and whoever it is, only if every other partner can still be reached before its bound `unserved_s` ends
(earliest deadline first); else it is the partner whose bound comes first. So nobody starves, whatever the
levels. Changing partners costs `switch_s` without key; staying costs nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite

from keyweave_controller.control.optical.windows import Window
from keyweave_core.model.units import UINT32_MAX

_TURNS_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A link that shares the module.

    `rate_bps` is its secret key rate while connected, `stored_bits` of `capacity_bits` are in its buffer,
    `consumption_bps` leave it; all 0 or more. Larger `priority` (0..255) goes first.
    """

    link: str
    rate_bps: int
    stored_bits: int
    capacity_bits: int
    consumption_bps: int
    priority: int = 0

    def __post_init__(self) -> None:
        for key in ("rate_bps", "consumption_bps"):
            if not 0 <= getattr(self, key) <= UINT32_MAX:
                raise ValueError(f"partner {self.link!r}: {key} is 0..{UINT32_MAX}, not {getattr(self, key)}")
        if not 0 <= self.stored_bits <= self.capacity_bits:
            raise ValueError(f"partner {self.link!r}: stored_bits is 0..{self.capacity_bits} (capacity_bits)")
        if not 0 <= self.priority <= 255:
            raise ValueError(f"partner {self.link!r}: priority is 0..255, not {self.priority}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPolicy:
    """`switch_s` without key (0 or more) at each change: switching and alignment; then at least `dwell_s`
    (above 0) of key; nobody waits longer than `unserved_s` from one service to the next.
    """

    switch_s: float
    dwell_s: float
    unserved_s: float

    def __post_init__(self) -> None:
        if not (isfinite(self.switch_s) and self.switch_s >= 0):
            raise ValueError(f"switch_s is 0 or more, not {self.switch_s}")
        if not (isfinite(self.dwell_s) and self.dwell_s > 0):
            raise ValueError(f"dwell_s is above 0, not {self.dwell_s}")
        if not (isfinite(self.unserved_s) and self.unserved_s > 0):
            raise ValueError(f"unserved_s is above 0, not {self.unserved_s}")

    def least_unserved_s(self, partners: int) -> float:
        """The shortest bound that so many partners (1 or more) can keep.

        The one that waits longest waits for the turns of all others, and for its own switching.
        """
        return (partners - 1) * (self.switch_s + self.dwell_s) + self.switch_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedModule:
    """The schedule of one module: the windows of each link, in order of links, and how often it switches."""

    windows: Mapping[str, tuple[Window, ...]]
    switches: int


def switch_schedule(
    partners: Iterable[Partner],
    policy: SwitchPolicy,
    *,
    starts_at: float,
    horizon_s: float,
    connected: str = "",
) -> SharedModule:
    """Who is connected when, from `starts_at` for `horizon_s` (above 0), seconds.

    `connected` is the link that the switch holds now ('' for none). ValueError for a link given twice, for a
    bound that so many partners cannot keep (naming the least that they could), and for a horizon of more than
    100,000 turns.
    """
    state = _State(tuple(sorted(partners, key=lambda partner: partner.link)), policy, starts_at, connected)
    if not (isfinite(starts_at) and isfinite(horizon_s) and horizon_s > 0):
        raise ValueError(f"horizon_s is above 0, not {horizon_s}")
    if horizon_s / policy.dwell_s > _TURNS_MOST:
        raise ValueError(f"{horizon_s} s are more than {_TURNS_MOST} turns of {policy.dwell_s} s")
    ends_at = starts_at + horizon_s
    spans: dict[str, list[tuple[float, float]]] = {link: [] for link in state.partners}
    switches = 0
    while state.partners and state.at < ends_at:
        link = state.choose()
        dead_s = state.dead_s(link)
        switches += link != state.connected
        begins = state.at + dead_s
        state.serve(link)
        until = min(state.at, ends_at)
        if begins >= until:
            continue
        if spans[link] and spans[link][-1][1] == begins:
            spans[link][-1] = (spans[link][-1][0], until)
        else:
            spans[link].append((begins, until))
    return SharedModule(
        windows={
            link: tuple(
                Window(starts_at=start, ends_at=end, rate_bps=state.partners[link].rate_bps)
                for start, end in listed
            )
            for link, listed in spans.items()
        },
        switches=switches,
    )


class _State:
    """Buffers and deadlines while the schedule is being made."""

    def __init__(
        self, partners: tuple[Partner, ...], policy: SwitchPolicy, starts_at: float, connected: str
    ) -> None:
        self.partners = {partner.link: partner for partner in partners}
        if len(self.partners) < len(partners):
            raise ValueError("a link shares the module twice")
        self.at = starts_at
        self.connected = connected if connected in self.partners else ""
        self._policy = policy
        self._turn_s = policy.switch_s + policy.dwell_s
        self._stored = {partner.link: float(partner.stored_bits) for partner in partners}
        self._served_until = dict.fromkeys(self.partners, starts_at)
        least_s = policy.least_unserved_s(max(1, len(partners)))
        if policy.unserved_s < least_s:
            raise ValueError(
                f"{len(partners)} partners with turns of {self._turn_s} s can each be served every "
                f"{least_s} s, not within {policy.unserved_s} s"
            )

    def dead_s(self, link: str) -> float:
        """Time without key before a link makes key again."""
        return 0.0 if link == self.connected else self._policy.switch_s

    def choose(self) -> str:
        """Whom to serve next."""
        by_need = min(self.partners, key=self._need)
        if self._leaves_room(by_need):
            return by_need
        return min(self.partners, key=lambda link: (self._served_until[link], link))

    def serve(self, link: str) -> None:
        """Let one turn of `link` pass."""
        turn_s = self.dead_s(link) + self._policy.dwell_s
        for other, partner in self.partners.items():
            made = partner.rate_bps * self._policy.dwell_s if other == link else 0.0
            level = self._stored[other] + made - partner.consumption_bps * turn_s
            self._stored[other] = min(float(partner.capacity_bits), max(0.0, level))
        self.at += turn_s
        self.connected = link
        self._served_until[link] = self.at

    def _need(self, link: str) -> tuple[int, float, float, str]:
        """Sorts the neediest first."""
        partner, stored = self.partners[link], self._stored[link]
        lasts_s = stored / partner.consumption_bps if partner.consumption_bps else inf
        if partner.rate_bps == 0 or stored >= partner.capacity_bits:
            return (2, self._served_until[link], 0.0, link)
        if lasts_s <= len(self.partners) * self._turn_s:
            return (0, -partner.priority, lasts_s, link)
        if lasts_s == inf:  # nobody draws on it: the emptier one first
            lasts_s = 1e12 * (1 + stored / partner.capacity_bits)
        return (1, lasts_s / (1 + partner.priority), 0.0, link)

    def _leaves_room(self, link: str) -> bool:
        """Whether every other partner can be served in time after a turn of `link`."""
        begins = self.at + self.dead_s(link) + self._policy.dwell_s + self._policy.switch_s
        waiting = sorted(self._served_until[other] for other in self.partners if other != link)
        return all(
            begins + place * self._turn_s <= served_until + self._policy.unserved_s
            for place, served_until in enumerate(waiting)
        )
