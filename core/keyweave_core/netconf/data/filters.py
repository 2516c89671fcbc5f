"""Subtree filtering (RFC 6241 clause 6).

Rule of this file: data is never changed; what is selected comes out as copies, whole elements where a whole
subtree is selected. Schema nodes serve two ends: list keys are always part of the output (clause 6.2.5), and
values are compared by meaning where their text may differ (prefixes of identities).

How one filter element reads:

    no children, no text     selection: the whole subtree
    text only                content match: white space around it means nothing
    children                 containment: all content matches among them must hold; if nothing else is
                             asked for, the whole node is selected
"""

import copy
import sys
from collections.abc import Callable, Iterable, Sequence

from lxml import etree

from keyweave_core.errors import KeyweaveError
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import attributes_of
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import RpcError

TopLookup = Callable[[str], SchemaNode | None]


class Effort:
    """What one use of a filter may still cost, in comparisons of a filter element with a data node."""

    __slots__ = ("_left", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def spend(self, comparisons: int) -> None:
        """Account for work; raises RpcError resource-denied when the bound is passed."""
        self._left -= comparisons
        if self._left < 0:
            raise RpcError(
                "resource-denied",
                f"the filter costs more than {self._limit} comparisons with the data: ask for less at a time",
            )


def select(
    filters: Iterable[etree._Element],
    data: Iterable[etree._Element],
    top: TopLookup,
    effort: Effort | None = None,
) -> list[etree._Element]:
    """Apply the children of a <filter> to top-level data elements.

    `top` gives the schema node of a top-level Clark name; where it gives None the data is filtered without
    knowledge of keys. The result shares whole top-level elements with `data`: read it, do not change it.
    Raises RpcError resource-denied when `effort` (None: unbounded) is spent.
    """
    wanted = list(filters)
    effort = effort or Effort(sys.maxsize)
    chosen = []
    for element in data:
        picked = _pick(wanted, element, top(str(element.tag)), effort)
        if picked is not None:
            chosen.append(picked)
    return chosen


def asks_for(filters: Iterable[etree._Element], tag: str) -> bool:
    """True when any of the filter elements can select something in a top-level element of this name."""
    return any(_tag_matches(wanted, tag) for wanted in filters)


def children_asked(filters: Iterable[etree._Element], tag: str) -> frozenset[str] | None:
    """Local names below a top-level element that the filters can select; None means all."""
    names: set[str] = set()
    for wanted in filters:
        if not _tag_matches(wanted, tag):
            continue
        inner = list(wanted.iterchildren("*"))
        if not inner:
            return None
        names.update(etree.QName(child).localname for child in inner)
    return frozenset(names)


def _tag_matches(wanted: etree._Element, tag: str) -> bool:
    name = str(wanted.tag)
    # An element in no namespace stands for that name in any (clause 6.2.1).
    return name == tag if name.startswith("{") else tag.rpartition("}")[2] == name


def _matches(wanted: etree._Element, element: etree._Element) -> bool:
    """Name and attribute match (clauses 6.2.1 and 6.2.2)."""
    return _tag_matches(wanted, str(element.tag)) and all(
        element.get(name) == value for name, value in wanted.attrib.items()
    )


def _text(element: etree._Element) -> str:
    return (element.text or "").strip()


def _pick(
    filters: Sequence[etree._Element], element: etree._Element, node: SchemaNode | None, effort: Effort
) -> etree._Element | None:
    """The part of `element` that any of the filters selects: itself when whole, a new element, or None."""
    effort.spend(len(filters))
    deeper: list[etree._Element] = []
    held: set[etree._Element] = set()  # children that a content match named
    for wanted in filters:
        if not _matches(wanted, element):
            continue
        inner = wanted.findall("*")
        if not inner:
            if not _text(wanted) or _same_value(wanted, element, node):
                return element
            continue
        contents = [child for child in inner if _text(child) and not len(child)]
        hits = _content_hits(contents, element, node, effort)
        if hits is None:
            continue
        if len(contents) == len(inner):
            return element
        held.update(hits)
        deeper += [child for child in inner if not (_text(child) and not len(child))]
    if not deeper:
        return None
    return _assemble(element, node, deeper, held, effort)


def _content_hits(
    contents: Iterable[etree._Element], element: etree._Element, node: SchemaNode | None, effort: Effort
) -> list[etree._Element] | None:
    """The children that satisfy the content matches, or None when one has none (they are ANDed)."""
    hits: list[etree._Element] = []
    for wanted in contents:
        effort.spend(1 + len(element) // 16)  # looking for a name is quick
        tag = str(wanted.tag)
        # The tag filter of lxml is quick; a name without namespace needs the slow comparison.
        candidates = element.iterchildren(tag) if tag.startswith("{") else element.iterchildren("*")
        found = [
            child
            for child in candidates
            if _matches(wanted, child) and _same_value(wanted, child, node and node.child(str(child.tag)))
        ]
        if not found:
            return None
        hits += found
    return hits


def _assemble(
    element: etree._Element,
    node: SchemaNode | None,
    deeper: Sequence[etree._Element],
    held: set[etree._Element],
    effort: Effort,
) -> etree._Element | None:
    keys = node.keys if node is not None and node.kind is Kind.LIST else ()
    kept: list[etree._Element] = []
    key_elements: list[etree._Element] = []
    only_keys = True
    for child in element.iterchildren("*"):
        tag = str(child.tag)
        if child in held:
            kept.append(child)
            only_keys = False
            continue
        picked = _pick(deeper, child, node and node.child(tag), effort)
        if picked is not None:
            kept.append(picked)
            only_keys = False
        elif tag in keys:
            kept.append(child)
            key_elements.append(child)
    if only_keys:
        return None
    result = new_element(str(element.tag), element.nsmap, attributes_of(element))
    for child in kept:
        # What is still part of the data must be copied, or lxml would move it out.
        result.append(copy.deepcopy(child) if child.getparent() is not None else child)
    return result


def _same_value(wanted: etree._Element, element: etree._Element, node: SchemaNode | None) -> bool:
    mine, theirs = _text(wanted), _text(element)
    if node is None or node.kind not in (Kind.LEAF, Kind.LEAF_LIST):
        return mine == theirs
    if mine == theirs and ":" not in mine:
        return True
    try:
        return node.canonical(wanted) == node.canonical(element)
    except (KeyweaveError, ValueError):
        return mine == theirs  # no value of the type: equal text is all that is left
