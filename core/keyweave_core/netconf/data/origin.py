"""Where configuration in use comes from (RFC 8342 clause 5.3.4): the annotation of operational data.

Rule of this file: only configuration has an origin, what is observed has none. What running has with the
same value is `intended`, what is there by default is `default`; the rest the system brought itself. The
annotation stands where it differs from that of the node above.
"""

import copy
from collections.abc import Sequence

from keyweave_core.netconf.data.changes import identity_of
from keyweave_core.netconf.data.filters import TopLookup
from keyweave_core.netconf.ports import DEFAULT, Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.elements import element as new_element

ORIGIN = "urn:ietf:params:xml:ns:yang:ietf-origin"
ORIGINS = frozenset({"intended", "dynamic", "system", "learned", "default", "unknown"})
"""The identities derived from `origin`."""

_ATTRIBUTE = f"{{{ORIGIN}}}origin"


def annotated(operational: Sequence[Element], running: Sequence[Element], top: TopLookup) -> list[Element]:
    """A copy of operational data with its origins, given the running configuration."""
    holder = new_element("data", {"or": ORIGIN})
    holder.extend(copy.deepcopy(element) for element in operational)
    known = {str(element.tag): element for element in running}
    for element in holder:
        tag = str(element.tag)
        node = top(tag)
        if node is not None:
            _annotate(element, known.get(tag), node, None)
    return list(holder)


def with_origins(data: Sequence[Element], wanted: frozenset[str], top: TopLookup) -> list[Element]:
    """Annotated data without the configuration of other origins; state stays, and what leads to the rest.

    The elements given are changed.
    """
    return [each for each in data if _keep(each, wanted, top(str(each.tag)), "unknown")]


def without_origins(data: Sequence[Element]) -> None:
    """Take the annotations away again, from the elements given."""
    for top in data:
        for element in top.iter("*"):
            element.attrib.pop(_ATTRIBUTE, "")


def _annotate(element: Element, intended: Element | None, node: SchemaNode, above: str | None) -> None:
    if not node.config:
        return
    if element.get(DEFAULT) is not None:
        origin = "default"
    elif intended is None or not _same(element, intended, node):
        origin = "system"
    else:
        origin = "intended"
    if origin != above:
        element.set(_ATTRIBUTE, f"or:{origin}")
    if node.kind not in (Kind.CONTAINER, Kind.LIST):
        return
    known: dict[tuple[str, tuple[str, ...]], Element] = {}
    if intended is not None:
        for child in intended.iterchildren("*"):
            known[str(child.tag), identity_of(child, node.child(str(child.tag)))] = child
    for child in element.iterchildren("*"):
        tag = str(child.tag)
        inner = node.child(tag)
        if inner is not None:
            _annotate(child, known.get((tag, identity_of(child, inner))), inner, origin)


def _same(element: Element, intended: Element, node: SchemaNode) -> bool:
    return node.kind is not Kind.LEAF or node.canonical(element) == node.canonical(intended)


def _keep(element: Element, wanted: frozenset[str], node: SchemaNode | None, above: str) -> bool:
    if node is None or not node.config:
        return True
    origin = (element.get(_ATTRIBUTE) or f"or:{above}").partition(":")[2]
    if node.kind not in (Kind.CONTAINER, Kind.LIST):
        return origin in wanted
    more = False
    for child in element.findall("*"):
        tag = str(child.tag)
        if node.kind is Kind.LIST and tag in node.keys:
            continue
        if _keep(child, wanted, node.child(tag), origin):
            more = True
        else:
            element.remove(child)
    # A container that means nothing by itself is there for what is in it.
    means = node.kind is Kind.LIST or node.presence
    return more or (means and origin in wanted)
