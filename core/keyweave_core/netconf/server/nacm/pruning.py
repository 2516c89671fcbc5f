"""Data without what somebody may not read (RFC 8341 clause 3.4.5)."""

import copy

from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element, attributes_of
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.server.nacm.rules import Access
from keyweave_core.netconf.server.nacm.scopes import Scope


def pruned(element: Element, node: SchemaNode | None, scope: Scope) -> Element | None:
    """The element itself when all of it may be read, None when it may not, else a copy of what may.

    An entry that may be read keeps its keys, because it would be no entry without them.
    """
    settled = scope.settled(Access.READ)
    if settled is not None:
        return element if settled else None
    if not scope.permits(Access.READ):
        return None
    if node is not None and node.kind not in (Kind.CONTAINER, Kind.LIST):
        return element  # what stands in anydata is read with it
    keys = node.keys if node is not None and node.kind is Kind.LIST else ()
    kept: list[Element] = []
    whole = True
    for child in element.iterchildren("*"):
        tag = str(child.tag)
        inner = node and node.child(tag)
        part = child if tag in keys else pruned(child, inner, scope.child(child, inner))
        whole = whole and part is child
        if part is not None:
            kept.append(part)
    if whole:
        return element
    result = new_element(str(element.tag), element.nsmap, attributes_of(element))
    for part in kept:
        if part.getparent() is None:
            result.append(part)
        else:
            # What is still part of the data must be copied, or lxml would move it out.
            own = copy.deepcopy(part)
            own.tail = None
            result.append(own)
    return result
