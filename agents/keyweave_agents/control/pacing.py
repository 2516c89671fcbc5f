"""How often the controller is told of what changes all the time: figures, and pools at the edge.

Rule of this file: no I/O and no clock; time comes in as seconds.
"""

from keyweave_agents.keys.plan import PoolEmptied, PoolFilled
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkPerformance


class Pace:
    """Holds back figures that say nothing new, and all that would come too often.

    A rate is news when it differs by a tenth from what was told last, an error ratio by half a point (0.005),
    a signal-to-noise ratio by 1 dB; two updates of one link are at least `interval_s` apart.
    """

    def __init__(self, *, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._told: dict[LinkId, tuple[float, LinkPerformance]] = {}

    def wait_s(self, link_id: LinkId, figures: LinkPerformance, at_s: float) -> float | None:
        """Seconds until these figures may be told (0: now); None when they are no news."""
        if link_id not in self._told:
            return 0.0
        when, before = self._told[link_id]
        if not _news(before, figures):
            return None
        return max(0.0, when + self._interval_s - at_s)

    def note(self, link_id: LinkId, figures: LinkPerformance, at_s: float) -> None:
        """These figures were told at `at_s`."""
        self._told[link_id] = (at_s, figures)


class Turns:
    """Tells the turns of pools between empty and filled at most every `interval_s`, the last one surely.

    A pool at the edge empties and fills several times a second; who is told must end up with the truth.
    """

    def __init__(self, *, interval_s: float = 5.0) -> None:
        self._interval_s = interval_s
        self._told: dict[LinkId, tuple[float, type[PoolEmptied | PoolFilled]]] = {}

    def wait_s(self, turn: PoolEmptied | PoolFilled, at_s: float) -> float | None:
        """Seconds until this turn may be told (0: now); None when it was told last."""
        if turn.link_id not in self._told:
            return 0.0
        when, kind = self._told[turn.link_id]
        return None if isinstance(turn, kind) else max(0.0, when + self._interval_s - at_s)

    def note(self, turn: PoolEmptied | PoolFilled, at_s: float) -> None:
        """This turn was told at `at_s`."""
        self._told[turn.link_id] = (at_s, type(turn))


def _news(before: LinkPerformance, now: LinkPerformance) -> bool:
    return (
        _apart(before.skr_bps, now.skr_bps, 0.1 * (before.skr_bps or 0))
        or _apart(before.qber, now.qber, 0.005)
        or _apart(before.snr_db, now.snr_db, 1.0)
    )


def _apart(before: float | None, now: float | None, least: float) -> bool:
    if before is None or now is None:
        return before is not now
    return before != now and abs(now - before) >= least
