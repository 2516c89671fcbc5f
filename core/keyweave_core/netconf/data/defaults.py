"""The ways to report defaults (RFC 6243 clause 3): as asked for, nothing is done otherwise.

Rule of this file: stores hold what was set (the basic mode is `explicit`). Which defaults are in use is the
schema's to say (`ports.Schema.with_defaults`); it marks them, and here marks and values are taken away.
"""

import copy
from collections.abc import Iterable, Sequence
from enum import StrEnum

from keyweave_core.netconf.ports import DEFAULT, Kind, Schema, SchemaNode
from keyweave_core.netconf.protocol.elements import Element

WITH_DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"


class Mode(StrEnum):
    """with-defaults-mode."""

    EXPLICIT = "explicit"  # what was set, also when it was set to the default
    REPORT_ALL = "report-all"
    REPORT_ALL_TAGGED = "report-all-tagged"
    TRIM = "trim"  # without what has the value of the default


def reported(elements: Sequence[Element], mode: Mode | None, schema: Schema) -> Sequence[Element]:
    """Top-level data of `schema` in this mode. `elements` stay as they are; EXPLICIT gives them back."""
    match mode:
        case None | Mode.EXPLICIT:
            return elements
        case Mode.REPORT_ALL_TAGGED:
            return schema.with_defaults(elements)
        case Mode.REPORT_ALL:
            return untagged(schema.with_defaults(elements))
        case Mode.TRIM:
            copies = [copy.deepcopy(element) for element in elements]
            return [each for each in copies if not _trim(each, schema.top(str(each.tag)))]


def untagged(elements: Iterable[Element]) -> list[Element]:
    """The same elements, no longer telling what is there by default."""
    found = list(elements)
    for top in found:
        for element in top.iter("*"):
            element.attrib.pop(DEFAULT, "")
    return found


def _trim(element: Element, node: SchemaNode | None) -> bool:
    """Remove what has the value of its default; True when the element itself is to go."""
    if node is None:
        return False
    if node.kind is Kind.LEAF:
        return node.default is not None and node.canonical(element) == node.default
    inner = element.findall("*")
    for child in inner:
        if str(child.tag) not in node.keys and _trim(child, node.child(str(child.tag))):
            element.remove(child)
    return bool(inner) and not len(element) and node.kind is Kind.CONTAINER and not node.presence
