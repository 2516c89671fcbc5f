"""What differs between two trees, as the least set of subtrees (RFC 8341 clause 3.2.4, RFC 8641 clause 3.7).

Rule of this file: both trees stay as they are, and the elements of a change are theirs: their ancestors tell
where they stand. A subtree that is new or gone is one change; a leaf with another value is one; containers
and list entries that both sides have are looked into.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lxml import etree

from keyweave_core.netconf.data.prefixes import prefixes_in
from keyweave_core.netconf.data.schema_paths import SchemaMap, step
from keyweave_core.netconf.ports import Kind, SchemaNode


class ChangeKind(StrEnum):
    """What happened to a node."""

    CREATE = "create"
    DELETE = "delete"
    REPLACE = "replace"  # another value of a leaf, another content of anydata
    MOVE = "move"  # another place among the entries of a list or leaf-list ordered by its user


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. `before` is None for CREATE, `after` is None for DELETE.

    `path` is the instance path ('/module:name[module:key='value']/...'). A MOVE may stand beside the changes
    inside the same entry. `node` is None only below top-level names that the schema does not know.
    """

    kind: ChangeKind
    path: str
    node: SchemaNode | None
    before: etree._Element | None
    after: etree._Element | None


def changes(
    before: Iterable[etree._Element], after: Iterable[etree._Element], schema: SchemaMap
) -> list[Change]:
    """The changes that lead from one list of top-level elements to another, in the order of `after`."""
    return list(each_change(before, after, schema))


def each_change(
    before: Iterable[etree._Element], after: Iterable[etree._Element], schema: SchemaMap
) -> Iterator[Change]:
    """As `changes`, one at a time: for those who may have seen enough before the last."""
    return _children(list(before), list(after), schema.top, "")


def identity_of(element: etree._Element, node: SchemaNode | None) -> tuple[str, ...]:
    """What tells an element from others of its name: key values, the value of a leaf-list, or ()."""
    if node is None or node.kind not in (Kind.LIST, Kind.LEAF_LIST):
        return ()
    if node.kind is Kind.LEAF_LIST:
        return (node.canonical(element),)
    return tuple(_key(element, node, key) for key in node.keys)


def path_step(element: etree._Element, node: SchemaNode | None) -> str:
    """The step of an instance path that leads to `element` from its parent."""
    if node is None:
        return f"/{etree.QName(element).localname}"
    identity = identity_of(element, node)
    if node.kind is Kind.LEAF_LIST:
        return step(node, value=identity[0])
    return step(node, identity)


def _key(element: etree._Element, node: SchemaNode, key: str) -> str:
    found, key_node = element.find(key), node.child(key)
    return key_node.canonical(found) if found is not None and key_node is not None else ""


_Mark = tuple[str, tuple[str, ...]]


def _children(
    before: Sequence[etree._Element], after: Sequence[etree._Element], lookup: "_Lookup", path: str
) -> Iterator[Change]:
    before, after = _differing(before, after)
    if not before:
        # A first load of thousands of entries: nothing to compare them with.
        for element in after:
            node = lookup(str(element.tag))
            at = path + path_step(element, node)
            yield Change(kind=ChangeKind.CREATE, path=at, node=node, before=None, after=element)
        return
    old = _marked(before, lookup)
    new = _marked(after, lookup)
    for mark, (element, node) in old.items():
        if mark not in new:
            yield Change(
                kind=ChangeKind.DELETE,
                path=path + path_step(element, node),
                node=node,
                before=element,
                after=None,
            )
    moved = _moved(old, new)
    for mark, (element, node) in new.items():
        known = old.get(mark)
        if known is None:
            at = path + path_step(element, node)
            yield Change(kind=ChangeKind.CREATE, path=at, node=node, before=None, after=element)
            continue
        if mark in moved:
            at = path + path_step(element, node)
            yield Change(kind=ChangeKind.MOVE, path=at, node=node, before=known[0], after=element)
        yield from _pair(known[0], element, node, path)


def _differing(
    before: Sequence[etree._Element], after: Sequence[etree._Element]
) -> tuple[Sequence[etree._Element], Sequence[etree._Element]]:
    """Both sides without what is the same at their beginnings and at their ends: mostly all but one."""
    if len(before) == len(after) == 1:
        return before, after  # writing both out would tell no more than looking inside
    start, end = 0, min(len(before), len(after))
    while start < end and _same_text(before[start], after[start]):
        start += 1
    behind = 0
    while behind < end - start and _same_text(before[-1 - behind], after[-1 - behind]):
        behind += 1
    return before[start : len(before) - behind], after[start : len(after) - behind]


def _same_text(one: etree._Element, other: etree._Element) -> bool:
    # Equal text means equal data; the other way round, only a look inside tells (prefixes, order).
    return one is other or (one.tag == other.tag and _text(one) == _text(other))


def _pair(
    before: etree._Element, after: etree._Element, node: SchemaNode | None, path: str
) -> Iterator[Change]:
    if before is after:
        return
    if node is not None and node.kind in (Kind.CONTAINER, Kind.LIST):
        yield from _children(
            before.findall("*"), after.findall("*"), node.child, path + path_step(after, node)
        )
        return
    if node is not None and node.kind is not Kind.ANYDATA and _same_value(before, after, node):
        return
    if _text(before) == _text(after):
        return
    at = path + path_step(after, node)
    yield Change(kind=ChangeKind.REPLACE, path=at, node=node, before=before, after=after)


def _same_value(before: etree._Element, after: etree._Element, node: SchemaNode) -> bool:
    canonical = node.canonical(after)
    if node.canonical(before) != canonical:
        return False
    # Text as it came is the same value only with the same namespaces: a path in a rule of access control.
    raw = (before.text or "").strip() == (after.text or "").strip() == canonical
    return not raw or prefixes_in(before) == prefixes_in(after)


class _Lookup(Protocol):
    """Called with a Clark name: the schema node of a child, or None."""

    def __call__(self, tag: str, /) -> SchemaNode | None: ...


def _marked(
    elements: Sequence[etree._Element], lookup: _Lookup
) -> dict[_Mark, tuple[etree._Element, SchemaNode | None]]:
    found: dict[_Mark, tuple[etree._Element, SchemaNode | None]] = {}
    for element in elements:
        tag = str(element.tag)
        node = lookup(tag)
        identity = identity_of(element, node)
        if node is not None and node.kind is Kind.LIST and not node.keys:
            # Entries without keys are told apart by what is in them and, when that is equal, by their place.
            identity = (_text(element).decode(),)
        mark = (tag, identity)
        while mark in found:
            mark = (tag, (*mark[1], ""))
        found[mark] = (element, node)
    return found


def _moved(
    old: dict[_Mark, tuple[etree._Element, SchemaNode | None]],
    new: dict[_Mark, tuple[etree._Element, SchemaNode | None]],
) -> set[_Mark]:
    """The entries ordered by their user that stand elsewhere among those that both sides have."""
    moved: set[_Mark] = set()
    ordered = {mark[0] for mark, (_, node) in new.items() if node is not None and node.user_ordered}
    for tag in ordered:
        was = [mark for mark in old if mark[0] == tag and mark in new]
        now = [mark for mark in new if mark[0] == tag and mark in old]
        if was == now:
            continue
        place = {mark: number for number, mark in enumerate(was)}
        staying = _longest_rising([place[mark] for mark in now])
        moved.update(mark for mark in now if place[mark] not in staying)
    return moved


def _longest_rising(numbers: Sequence[int]) -> set[int]:
    """A longest rising subsequence of different numbers: what need not move to bring the rest in order."""
    ends: list[int] = []  # ends[n]: the smallest number that ends a rising run of n + 1
    before: dict[int, int | None] = {}
    for number in numbers:
        at = bisect_left(ends, number)
        before[number] = ends[at - 1] if at else None
        ends[at : at + 1] = [number]
    kept: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return kept


def _text(element: etree._Element) -> bytes:
    return bytes(etree.tostring(element, with_tail=False))
