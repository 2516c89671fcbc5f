"""[[links]]: what the operator knows of a link and no agent tells, as the settings file gives it.

Rule of this file: values and their checks; what a fact means is decided in `control.facts`.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite

from keyweave_controller.control.configuration import LinkFacts
from keyweave_controller.control.optical.windows import Window, ordered
from keyweave_core.model import ids

MOST_LATENCY_MS = 10_000.0
"""No way of light inside one network takes longer."""

MOST_GROUPS, LONGEST_GROUP = 64, 128


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """A span of time in which a link makes `rate_bps` of key: two moments with their offset from UTC."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    rate_bps: int

    def __post_init__(self) -> None:
        for name in ("starts_at", "ends_at"):
            if getattr(self, name).tzinfo is None:
                raise ValueError(f"{name} needs an offset, as in 2030-01-31T12:00:00Z")
        self.window()

    def window(self) -> Window:
        """The span in seconds since 1970."""
        return Window(
            starts_at=self.starts_at.timestamp(), ends_at=self.ends_at.timestamp(), rate_bps=self.rate_bps
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """[[links]]: one link, by its id or by the names of its ends in any order, `Norte-Distrito`.

    `risk_groups` name what it shares with others and fails with (a duct, a bridge). `latency_ms` is one way;
    without it the length of the fibre tells. `windows`: it makes key in these only; without: at any time.
    """

    link: str
    risk_groups: tuple[str, ...] = ()
    latency_ms: float | None = None
    windows: tuple[WindowSettings, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.risk_groups) > MOST_GROUPS:
            raise ValueError(
                f"link {self.link} has {len(self.risk_groups)} risk groups, {MOST_GROUPS} at most"
            )
        for group in self.risk_groups:
            if not 1 <= len(group) <= LONGEST_GROUP or not group.isprintable() or group != group.strip():
                raise ValueError(
                    f"a risk group of link {self.link} needs 1..{LONGEST_GROUP} printable characters, "
                    f"not {group[:40]!r}"
                )
        if self.latency_ms is not None and not (
            isfinite(self.latency_ms) and 0 <= self.latency_ms <= MOST_LATENCY_MS
        ):
            raise ValueError(
                f"latency_ms of link {self.link} must be 0..{MOST_LATENCY_MS:g}, not {self.latency_ms}"
            )
        self._windows()

    def among(self, names: Collection[str]) -> str:
        """How the link is found among sites of these names: its id, or both ends in the order of the text.

        ValueError when it is neither an id nor two of the names joined by a hyphen.
        """
        for cut in (place for place, mark in enumerate(self.link) if mark == "-"):
            ends = (self.link[:cut], self.link[cut + 1 :])
            if ends[0] in names and ends[1] in names and ends[0] != ends[1]:
                return "-".join(sorted(ends))
        try:
            return ids.link_id(self.link)
        except ValueError:
            raise ValueError(
                f"links: {self.link[:99]!r} is no id of a link, nor two names of agents joined by a hyphen"
            ) from None

    def facts(self, names: Collection[str]) -> LinkFacts:
        """The facts as the deciding code knows them; ValueError as `among`."""
        return LinkFacts(
            link=self.among(names),
            risk_groups=tuple(sorted(set(self.risk_groups))),
            latency_ms=self.latency_ms,
            windows=self._windows(),
        )

    def _windows(self) -> tuple[Window, ...] | None:
        return None if self.windows is None else ordered(window.window() for window in self.windows)
