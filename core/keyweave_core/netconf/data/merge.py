"""Three-way merge: what one side changed, carried over to what the other side made of the same base.

Rule of this file: a node that only one side changed comes out as that side has it. One that both changed in
different ways is a conflict, told by its path; containers and list entries are looked into first. All three
trees stay as they are.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_core.netconf.data.changes import identity_of, path_step
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element, attributes_of
from keyweave_core.netconf.protocol.elements import element as new_element

_Mark = tuple[str, tuple[str, ...]]
_Side = dict[_Mark, Element]
_Lookup = Callable[[str], SchemaNode | None]


@dataclass(frozen=True, slots=True)
class Merged:
    """The result; where `conflicts` names paths, it has what `ours` has there."""

    elements: tuple[etree._Element, ...]
    conflicts: tuple[str, ...]


def merge(
    base: Sequence[etree._Element],
    ours: Sequence[etree._Element],
    theirs: Sequence[etree._Element],
    schema: SchemaMap,
) -> Merged:
    """`theirs` with the changes that lead from `base` to `ours`; all as top-level elements of a store."""
    run = _Merge()
    elements = run.children(base, ours, theirs, schema.top, "")
    return Merged(tuple(elements), tuple(run.conflicts))


class _Merge:
    def __init__(self) -> None:
        self.conflicts: list[str] = []

    def children(
        self,
        base: Sequence[etree._Element],
        ours: Sequence[etree._Element],
        theirs: Sequence[etree._Element],
        lookup: _Lookup,
        path: str,
    ) -> list[etree._Element]:
        """Merged copies of children, in their order; entries ordered by their user in the order of ours."""
        was, mine, other = _marked(base, lookup), _marked(ours, lookup), _marked(theirs, lookup)
        merged: dict[_Mark, etree._Element] = {}
        for mark in (*other, *(mark for mark in mine if mark not in other)):
            node = lookup(mark[0])
            found = self._one(was.get(mark), mine.get(mark), other.get(mark), node, path)
            if found is not None:
                merged[mark] = found
        for tag in {mark[0] for mark in merged}:
            node = lookup(tag)
            if node is not None and node.user_ordered:
                merged = self._ordered(tag, node, merged, (was, mine, other), path)
        return list(merged.values())

    def _one(
        self,
        was: etree._Element | None,
        mine: etree._Element | None,
        other: etree._Element | None,
        node: SchemaNode | None,
        path: str,
    ) -> etree._Element | None:
        if _same(mine, was) or _same(mine, other):
            return None if other is None else copy.deepcopy(other)
        if _same(other, was):
            return None if mine is None else copy.deepcopy(mine)
        inner = node is not None and node.kind in (Kind.CONTAINER, Kind.LIST)
        if mine is not None and other is not None and node is not None and inner:
            at = path + path_step(mine, node)
            made = new_element(str(other.tag), other.nsmap, attributes_of(other))
            made.extend(
                self.children(
                    [] if was is None else was.findall("*"),
                    mine.findall("*"),
                    other.findall("*"),
                    node.child,
                    at,
                )
            )
            return made if len(made) or node.presence else None
        shown = next(each for each in (mine, other, was) if each is not None)
        self.conflicts.append(path + path_step(shown, node))
        return None if mine is None else copy.deepcopy(mine)

    def _ordered(
        self,
        tag: str,
        node: SchemaNode,
        merged: dict[_Mark, etree._Element],
        sides: tuple[_Side, _Side, _Side],
        path: str,
    ) -> dict[_Mark, etree._Element]:
        """Bring entries ordered by their user into the order of the side that changed it."""
        was, mine, other = ([mark for mark in side if mark[0] == tag] for side in sides)
        before, ours = _common(was, mine)
        if before == ours and not set(mine) - set(was):
            return merged  # the order is not ours
        earlier, theirs = _common(was, other)
        agreed = _common(mine, other)
        if before != ours and earlier != theirs and agreed[0] != agreed[1]:
            self.conflicts.append(f"{path}/{node.module}:{node.name}")
        order = [mark for mark in mine if mark in merged]
        # What only the other side has goes where it stands there: behind the entry before it.
        for place, mark in enumerate(other):
            if mark in merged and mark not in order:
                ahead = next((each for each in reversed(other[:place]) if each in order), None)
                order.insert(0 if ahead is None else order.index(ahead) + 1, mark)
        rest = {mark: element for mark, element in merged.items() if mark[0] != tag}
        return rest | {mark: merged[mark] for mark in order}


def _common(first: Sequence[_Mark], second: Sequence[_Mark]) -> tuple[list[_Mark], list[_Mark]]:
    """What both have, in the order of each."""
    left, right = set(first), set(second)
    return [mark for mark in first if mark in right], [mark for mark in second if mark in left]


def _marked(elements: Sequence[etree._Element], lookup: _Lookup) -> _Side:
    found: _Side = {}
    for element in elements:
        tag = str(element.tag)
        node = lookup(tag)
        identity = identity_of(element, node)
        if node is not None and node.kind is Kind.LIST and not node.keys:
            identity = (etree.tostring(element, with_tail=False).decode(),)
        mark = (tag, identity)
        while mark in found:
            mark = (tag, (*mark[1], ""))
        found[mark] = element
    return found


def _same(one: etree._Element | None, two: etree._Element | None) -> bool:
    if one is None or two is None:
        return one is two
    return one is two or bool(etree.tostring(one, with_tail=False) == etree.tostring(two, with_tail=False))
