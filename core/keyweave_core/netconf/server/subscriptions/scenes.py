"""A datastore at one moment, as the many who look at it see it.

Rule of this file: what several subscribers need is made once: what a user may read, what a filter leaves of
it, the edits between two such views. Everything here is dropped with the scene, and nothing of it is ever
changed.
"""

from collections.abc import Sequence
from functools import cached_property

from keyweave_core.netconf.data.changes import changes
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import to_bytes
from keyweave_core.netconf.server.access import AccessControl, User
from keyweave_core.netconf.server.subscriptions.patch import Patch, patch
from keyweave_core.netconf.server.subscriptions.terms import Edit, Filter


class View:
    """What one subscriber sees. Equal views have equal text, mostly."""

    def __init__(self, elements: Sequence[Element]) -> None:
        self.elements = elements

    @cached_property
    def text(self) -> bytes:
        """The elements one after the other, as UTF-8."""
        return b"".join(to_bytes(element) for element in self.elements)


class Scene:
    """The whole content of a datastore, taken at `at_s` (seconds since 1970).

    `complete` is False when a part could not be had.
    """

    def __init__(
        self,
        elements: Sequence[Element],
        *,
        at_s: float,
        access: AccessControl,
        places: SchemaMap,
        complete: bool = True,
    ) -> None:
        self.at_s = at_s
        self.complete = complete
        self._whole = View(elements)
        self._access = access
        self._places = places
        self._readable: dict[User, View] = {}
        self._views: dict[tuple[int, bytes], View] = {}
        self._patches: dict[tuple[int, int, frozenset[Edit]], tuple[View, View, Patch]] = {}

    @property
    def elements(self) -> Sequence[Element]:
        """All of it as top-level elements, whoever may read it."""
        return self._whole.elements

    @property
    def text(self) -> bytes:
        """All of it as UTF-8, whoever may read it."""
        return self._whole.text

    def view(self, user: User, matching: Filter | None) -> View:
        """What a user sees through a filter. Raises RpcError resource-denied when it costs too much."""
        readable = self._readable.get(user)
        if readable is None:
            elements = self._access.readable(user, self._whole.elements)
            # Those who may read everything share one view.
            readable = self._whole if elements is self._whole.elements else View(elements)
            self._readable[user] = readable
        if matching is None:
            return readable
        key = (id(readable), matching.key)
        found = self._views.get(key)
        if found is None:
            found = View(matching.selection.apply(readable.elements, self._places.top))
            self._views[key] = found
        return found

    def patch(self, before: View, after: View, excluded: frozenset[Edit]) -> Patch:
        """The edits that lead from an earlier view to one of this scene."""
        key = (id(before), id(after), excluded)
        known = self._patches.get(key)
        if known is None:
            made = patch(
                changes(before.elements, after.elements, self._places), after.elements, self._places, excluded
            )
            # The views are kept with it, so that their ids stay theirs.
            known = self._patches[key] = (before, after, made)
        return known[2]
