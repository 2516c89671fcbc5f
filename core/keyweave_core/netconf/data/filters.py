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

# A search among the children takes as long as so many comparisons of names.
_SEARCH = 8

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


class Pattern:
    """One element of a filter, read once: its name, attributes and value, and what stands inside."""

    __slots__ = ("attributes", "contents", "deeper", "element", "leaf", "local", "tag", "text")

    def __init__(self, element: etree._Element) -> None:
        self.element = element
        self.tag = str(element.tag)
        # An element in no namespace stands for that name in any (clause 6.2.1).
        self.local = None if self.tag.startswith("{") else self.tag
        self.attributes = attributes_of(element)
        self.text = (element.text or "").strip()
        inner = [Pattern(child) for child in element.iterchildren("*")]
        self.leaf = not inner
        self.contents = tuple(pattern for pattern in inner if pattern.leaf and pattern.text)
        self.deeper = tuple(pattern for pattern in inner if not (pattern.leaf and pattern.text))

    def names(self, tag: str) -> bool:
        """True when an element of this Clark name can match."""
        return self.tag == tag or (self.local is not None and tag.rpartition("}")[2] == self.local)

    def matches(self, element: etree._Element, tag: str) -> bool:
        """Name and attribute match (clauses 6.2.1 and 6.2.2)."""
        return self.names(tag) and (
            not self.attributes or all(element.get(name) == value for name, value in self.attributes.items())
        )


def patterns_of(filters: Iterable[etree._Element]) -> tuple[Pattern, ...]:
    """The children of a <filter>, read."""
    return tuple(Pattern(element) for element in filters)


def select(
    filters: Iterable[etree._Element] | Sequence[Pattern],
    data: Iterable[etree._Element],
    top: TopLookup,
    effort: Effort | None = None,
) -> list[etree._Element]:
    """Apply the children of a <filter> to top-level data elements.

    `top` gives the schema node of a top-level Clark name; where it gives None the data is filtered without
    knowledge of keys. The result shares whole top-level elements with `data`: read it, do not change it.
    Raises RpcError resource-denied when `effort` (None: unbounded) is spent.
    """
    wanted = [item if isinstance(item, Pattern) else Pattern(item) for item in filters]
    effort = effort or Effort(sys.maxsize)
    chosen = []
    for element in data:
        picked = _pick(wanted, element, top(str(element.tag)), effort)
        if picked is not None:
            chosen.append(picked)
    return chosen


def asks_for(filters: Iterable[Pattern], tag: str) -> bool:
    """True when any of the filter elements can select something in a top-level element of this name."""
    return any(wanted.names(tag) for wanted in filters)


def children_asked(filters: Iterable[Pattern], tag: str) -> frozenset[str] | None:
    """Local names below a top-level element that the filters can select; None means all."""
    names: set[str] = set()
    for wanted in filters:
        if not wanted.names(tag):
            continue
        if wanted.leaf:
            return None
        names.update(etree.QName(child.element).localname for child in wanted.contents + wanted.deeper)
    return frozenset(names)


def _pick(
    filters: Sequence[Pattern], element: etree._Element, node: SchemaNode | None, effort: Effort
) -> etree._Element | None:
    """The part of `element` that any of the filters selects: itself when whole, a new element, or None."""
    effort.spend(len(filters))
    deeper: list[Pattern] = []
    held: set[etree._Element] = set()  # children that a content match named
    tag = str(element.tag)
    for wanted in filters:
        if wanted.attributes:
            effort.spend(_SEARCH)
        if not wanted.matches(element, tag):
            continue
        if wanted.leaf:
            if not wanted.text or _same_value(wanted.element, element, node):
                return element
            continue
        hits = _content_hits(wanted.contents, element, node, effort)
        if hits is None:
            continue
        if not wanted.deeper:
            return element
        held.update(hits)
        deeper += wanted.deeper
    if not deeper:
        return None
    return _assemble(element, node, deeper, held, effort)


def _content_hits(
    contents: Iterable[Pattern], element: etree._Element, node: SchemaNode | None, effort: Effort
) -> list[etree._Element] | None:
    """The children that satisfy the content matches, or None when one has none (they are ANDed)."""
    hits: list[etree._Element] = []
    for wanted in contents:
        # The tag filter of lxml is quick; a name without namespace needs the slow comparison.
        candidates = list(element.iterchildren("*" if wanted.local is not None else wanted.tag))
        effort.spend(_SEARCH + len(element) // 16 + len(candidates))
        found = []
        for child in candidates:
            tag = str(child.tag)
            if wanted.matches(child, tag) and _same_value(wanted.element, child, node and node.child(tag)):
                found.append(child)
        if not found:
            return None
        hits += found
    return hits


def _assemble(
    element: etree._Element,
    node: SchemaNode | None,
    deeper: Sequence[Pattern],
    held: set[etree._Element],
    effort: Effort,
) -> etree._Element | None:
    keys = node.keys if node is not None and node.kind is Kind.LIST else ()
    kept: list[etree._Element] = []
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
    if only_keys:
        return None
    result = new_element(str(element.tag), element.nsmap, attributes_of(element))
    for child in kept:
        # What is still part of the data must be copied, or lxml would move it out.
        result.append(copy.deepcopy(child) if child.getparent() is not None else child)
    return result


def _same_value(wanted: etree._Element, element: etree._Element, node: SchemaNode | None) -> bool:
    mine, theirs = (wanted.text or "").strip(), (element.text or "").strip()
    if node is None or node.kind not in (Kind.LEAF, Kind.LEAF_LIST):
        return mine == theirs
    if mine == theirs and ":" not in mine:
        return True
    try:
        return node.canonical(wanted) == node.canonical(element)
    except (KeyweaveError, ValueError):
        return mine == theirs  # no value of the type: equal text is all that is left
