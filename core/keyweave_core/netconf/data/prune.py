"""Cutting selected data: configuration or state alone, and no deeper than asked (RFC 8526 clause 3.1.1).

Rule of this file: list keys and what leads to a kept node are always kept. Which nodes a filter selected as
a whole is seen by a mark: filters copy a selected node with all that is in it, and of the nodes above it
only the elements.
"""

import copy
from collections.abc import Sequence

from lxml import etree

from keyweave_core.netconf.data.filters import TopLookup
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element

_MARK = "keyweave-whole"


def only_config(data: Sequence[Element], config: bool, top: TopLookup) -> list[Element]:
    """A copy of top-level data with configuration only, or with state only."""
    copies = [copy.deepcopy(element) for element in data]
    return [each for each in copies if _of_kind(each, config, top(str(each.tag)))]


def marked(data: Sequence[Element]) -> list[Element]:
    """A copy of data in which every element that holds others is marked, for `cut`."""
    copies = [copy.deepcopy(element) for element in data]
    for top in copies:
        for element in list(top.iter("*")):
            if len(element):
                element.append(etree.ProcessingInstruction(_MARK))
    return copies


def cut(data: Sequence[Element], depth: int, top: TopLookup) -> None:
    """Leave `depth` levels (1: the node alone) of every selected node of marked data; marks are removed."""
    for element in data:
        _cut(element, depth, top(str(element.tag)))


def _of_kind(element: Element, config: bool, node: SchemaNode | None) -> bool:
    if node is None:
        return not config  # the server's own state
    if node.kind not in (Kind.CONTAINER, Kind.LIST):
        return node.config is config
    more = False
    for child in element.findall("*"):
        tag = str(child.tag)
        if node.kind is Kind.LIST and tag in node.keys:
            more = more or node.config is config
        elif _of_kind(child, config, node.child(tag)):
            more = True
        else:
            element.remove(child)
    return more or (node.config is config and node.presence)


def _cut(element: Element, depth: int, node: SchemaNode | None) -> None:
    marks = [child for child in element if isinstance(child, etree._ProcessingInstruction)]  # noqa: SLF001
    if marks or not len(element):
        _cut_below(element, depth, node)
        return
    for child in element.iterchildren("*"):
        _cut(child, depth, node and node.child(str(child.tag)))


def _cut_below(element: Element, depth: int, node: SchemaNode | None) -> None:
    keys = node.keys if node is not None and node.kind is Kind.LIST else ()
    for child in list(element):
        mark = isinstance(child, etree._ProcessingInstruction)  # noqa: SLF001
        if mark or (depth <= 1 and str(child.tag) not in keys):
            element.remove(child)
        else:
            _cut_below(child, depth - 1, node and node.child(str(child.tag)))
