"""Delivered keys and bits, counted per period, virtual link and origin (`app_statistics` of ETSI GS QKD 015).

Rule of this file: a period ends at a whole multiple of its length since 1970, so the rows of both ends of an
association line up; only periods with deliveries make a row, and a bounded number of rows is kept.
"""

from collections import deque
from dataclasses import dataclass

from keyweave_core.model.application import AppStatistics, KeyOrigin, PathUsage
from keyweave_core.model.ids import LinkId
from keyweave_core.model.units import clamp_uint32
from keyweave_core.runtime.clock import date_and_time

KEPT_PERIODS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """Statistics as they are kept over a restart: the open period, and the closed ones, oldest first."""

    start_s: float
    total_bits: int
    paths: tuple[tuple[LinkId, KeyOrigin, int, int], ...]  # bits, keys
    closed: tuple[AppStatistics, ...]


class Usage:
    """The statistics of one association at one node."""

    __slots__ = ("_closed", "_length_s", "_paths", "_start_s", "_total_bits", "changed")

    def __init__(self, period_s: float) -> None:
        self.changed = False  # since somebody last set this to False
        self._length_s = period_s
        self._start_s = 0.0
        self._total_bits = 0
        self._paths: dict[tuple[LinkId, KeyOrigin], tuple[int, int]] = {}
        self._closed: deque[AppStatistics] = deque(maxlen=KEPT_PERIODS)

    def count(
        self,
        link_id: LinkId | None,
        bits: int,
        keys: int,
        now_s: float,
        origin: KeyOrigin = KeyOrigin.QKD,
    ) -> None:
        """Keys were delivered at `now_s` (seconds since 1970) that are booked under `link_id`.

        Keys of ML-KEM alone came over no link; they are booked under the one that would have carried them.
        """
        self.roll(now_s)
        if not self._total_bits:
            self._start_s = now_s // self._length_s * self._length_s
        self._total_bits += bits
        self.changed = True
        if link_id is not None:
            old_bits, old_keys = self._paths.get((link_id, origin), (0, 0))
            self._paths[link_id, origin] = (old_bits + bits, old_keys + keys)

    def roll(self, now_s: float) -> None:
        """Close the period when its time is over."""
        end_s = self._start_s + self._length_s
        if self._total_bits and now_s >= end_s:
            self._close(end_s)

    def finish(self, now_s: float) -> tuple[AppStatistics, ...]:
        """Close the period at once, because nothing will be counted any more; all closed periods."""
        self.roll(now_s)
        if self._total_bits:
            self._close(now_s)
        return self.closed()

    def _close(self, end_s: float) -> None:
        self._closed.append(
            AppStatistics(
                end_time=date_and_time(end_s),
                start_time=date_and_time(self._start_s),
                consumed_bits=clamp_uint32(self._total_bits),
                paths=tuple(
                    PathUsage(link_id=link_id, delivered_bits=bits, delivered_keys=keys, origin=origin)
                    for (link_id, origin), (bits, keys) in self._paths.items()
                ),
            )
        )
        self._total_bits = 0
        self._paths = {}
        self.changed = True

    def record(self) -> UsageRecord:
        """Everything counted, to be kept over a restart."""
        return UsageRecord(
            start_s=self._start_s,
            total_bits=self._total_bits,
            paths=tuple((link_id, origin, *counted) for (link_id, origin), counted in self._paths.items()),
            closed=self.closed(),
        )

    def restore(self, left: UsageRecord) -> None:
        """Go on from what the last run counted."""
        self._start_s, self._total_bits = left.start_s, left.total_bits
        self._paths = {(link_id, origin): (bits, keys) for link_id, origin, bits, keys in left.paths}
        self._closed.extend(left.closed)

    def closed(self) -> tuple[AppStatistics, ...]:
        """Closed periods, oldest first."""
        return tuple(self._closed)
