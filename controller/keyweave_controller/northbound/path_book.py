"""Computed paths that may still be deployed.

Rule of this file: a promise to remember, not to reserve. What is deployed is checked against the network as
it is then; a book that forgot (it is bounded, and gone after a restart) costs its reader one more question.
"""

from collections.abc import Iterable

from keyweave_controller.control.candidates import Candidate
from keyweave_core.model.ids import LinkId

MOST_KEPT = 4_096
"""Paths remembered at a time; the oldest go first."""

Ways = tuple[tuple[LinkId, ...], ...]
"""The links of each path of a candidate, the first one first."""


class PathBook:
    """Candidates given out, by their ids, until they expire."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: dict[str, tuple[float, Ways]] = {}

    def note(self, given: Iterable[Candidate], expires_at: float) -> None:
        """These may be deployed before `expires_at` (seconds since 1970)."""
        for one in given:
            self._kept.pop(one.id, None)
            self._kept[one.id] = (expires_at, (one.links, *(other.links for other in one.others)))
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def ways(self, path_id: str, at: float) -> Ways | None:
        """The links of a candidate; None when it was never given out, has expired or was forgotten."""
        found = self._kept.get(path_id)
        if found is None:
            return None
        expires_at, ways = found
        if at >= expires_at:
            del self._kept[path_id]
            return None
        return ways
