"""A filter that was read once and may be applied often, whatever its kind (RFC 6241 clauses 6 and 8.9).

Rule of this file: applying a selection never changes data and never takes longer than its bound on cost
allows: what would is refused with resource-denied before, or while, it is done.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Protocol

from keyweave_core.netconf.data.filters import (
    Effort,
    TopLookup,
    asks_for,
    children_asked,
    patterns_of,
    select,
)
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.rpc_errors import RpcError


class Selection(Protocol):
    """What a filter selects."""

    def apply(self, elements: Iterable[Element], top: TopLookup) -> list[Element]:
        """The selected part of top-level data, in its order; shares what is whole with `elements`.

        `top` gives the schema node of a top-level Clark name: list keys are part of what is selected. Give
        only what the user may read. Raises RpcError resource-denied when it would cost too much.
        """
        ...

    def wants(self, tag: str) -> bool:
        """False when nothing in a top-level element of this Clark name can matter to `apply`."""
        ...

    def children_wanted(self, tag: str) -> frozenset[str] | None:
        """Local names of the children of such an element that can matter; None means all."""
        ...

    def matches_notification(self, content: Element) -> bool:
        """True when the content element of a notification passes the filter (RFC 5277 clause 3.6)."""
        ...


class SubtreeSelection:
    """The children of a subtree filter. No children select nothing (RFC 6241 clause 6.4.2)."""

    def __init__(self, filters: Sequence[Element], *, max_cost: int, max_elements: int) -> None:
        """`max_cost` bounds how often one filter element and one data node are compared in one use.

        Raises RpcError resource-denied when there are more than `max_elements` elements in the filter.
        """
        elements = chain.from_iterable(part.iter("*") for part in filters)
        if next(islice(elements, max_elements, None), None) is not None:
            message = f"a filter may hold {max_elements} elements: ask for less at a time"
            raise RpcError("resource-denied", message)
        self._patterns = patterns_of(filters)
        self._max_cost = max_cost

    def apply(self, elements: Iterable[Element], top: TopLookup) -> list[Element]:
        """See `Selection`."""
        return select(self._patterns, elements, top, Effort(self._max_cost))

    def wants(self, tag: str) -> bool:
        """See `Selection`."""
        return asks_for(self._patterns, tag)

    def children_wanted(self, tag: str) -> frozenset[str] | None:
        """See `Selection`."""
        return children_asked(self._patterns, tag)

    def matches_notification(self, content: Element) -> bool:
        """See `Selection`: what the filter names must be in the notification."""
        return bool(select(self._patterns, [content], _no_schema, Effort(self._max_cost)))


def _no_schema(_tag: str) -> None:
    return None
