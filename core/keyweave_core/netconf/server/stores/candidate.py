"""The candidate: running plus the edits that are not committed yet (RFC 6241 clause 8.3).

Rule of this file: without edits the candidate is running. When running changes under edits, they are carried
over to the new running, so that a commit never reverts what it did not touch. Where both changed the same
node nobody can know what is wanted: the candidate stays as it was edited and refuses to be committed, naming
the path, until it is discarded or replaced as a whole.
"""

from keyweave_core.netconf.data.merge import merge
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.server.stores.snapshots import Snapshot


class Candidate:
    """The edits and who made them."""

    def __init__(self, places: SchemaMap) -> None:
        self._places = places
        self._editors: dict[int, None] = {}  # sessions with changes in it, in order
        self._base: Snapshot | None = None
        self.content: Snapshot | None = None  # None: the same as running
        self.conflict: str | None = None  # path of a node that was changed here and in running

    @property
    def editor(self) -> int:
        """The first session that made changes and is still there; 0 when there is none."""
        return next(iter(self._editors), 0)

    def put(self, content: Snapshot, session_id: int, running: Snapshot, *, whole: bool = False) -> None:
        """Take an edited content; `whole` when it replaces what was there and settles a conflict."""
        if self._base is None or whole:
            self._base, self.conflict = running, None
        self.content = content
        self._editors[session_id] = None

    def forget(self) -> None:
        """Drop all edits."""
        self.content = self._base = self.conflict = None
        self._editors.clear()

    def leave(self, session_id: int) -> None:
        """The session has ended; its edits stay, as the candidate is shared."""
        self._editors.pop(session_id, None)

    def follow(self, running: Snapshot) -> None:
        """Running is another one now."""
        if self.content is None or self._base is None or self.conflict is not None:
            return
        merged = merge(self._base.elements, self.content.elements, running.elements, self._places)
        if merged.conflicts:
            self.conflict = merged.conflicts[0]
            return
        self._base, self.content = running, Snapshot(merged.elements)
