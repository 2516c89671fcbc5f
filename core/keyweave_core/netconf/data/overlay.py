"""Laying observed state over configuration for <get> (RFC 6241 clause 7.7).

Rule of this file: the configuration given is not changed. Where both have a leaf the observed value wins:
`qkdl_status` of ETSI GS QKD 015 is written as a wish and read as a fact.
"""

import copy
from collections.abc import Iterable, Sequence

from lxml import etree

from keyweave_core.netconf.data.filters import TopLookup
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import attributes_of
from keyweave_core.netconf.protocol.elements import element as new_element


def overlay(
    config: Iterable[etree._Element], state: Sequence[etree._Element], top: TopLookup
) -> list[etree._Element]:
    """Top-level elements of `config` with those of `state` merged in.

    List entries meet by their keys, leaf-list values by equality; what only the state has is added. Elements
    whose top-level name `top` does not know are taken as they are.
    """
    if not state:
        return list(config)
    root = etree.Element("data")
    touched = {element.tag for element in state}
    untouched = []
    for element in config:
        if element.tag in touched:
            root.append(copy.deepcopy(element))
        else:
            untouched.append(element)
    for element in state:
        _merge_one(root, element, top(str(element.tag)))
    return untouched + list(root)


def _merge_one(parent: etree._Element, element: etree._Element, node: SchemaNode | None) -> None:
    existing = None if node is None else parent.find(str(element.tag))
    if node is None or existing is None:
        parent.append(_copied(element))
    elif node.kind is Kind.CONTAINER:
        _merge_children(existing, element, node)
    else:
        parent.replace(existing, _copied(element))


def _merge_children(target: etree._Element, source: etree._Element, node: SchemaNode) -> None:
    indexes: dict[str, dict[tuple[str, ...], etree._Element]] = {}
    for element in source.iterchildren("*"):
        tag = str(element.tag)
        if tag in node.keys:
            continue
        inner = node.child(tag)
        if inner is None or inner.kind not in (Kind.LIST, Kind.LEAF_LIST):
            _merge_one(target, element, inner)
            continue
        index = indexes.get(tag)
        if index is None:
            index = indexes[tag] = {_identity(other, inner): other for other in target.iterchildren(tag)}
        known = index.get(_identity(element, inner))
        if known is None or (inner.kind is Kind.LIST and not inner.keys):
            target.append(_copied(element))
        elif inner.kind is Kind.LIST:
            _merge_children(known, element, inner)


def _copied(element: etree._Element) -> etree._Element:
    """A copy with the prefixes that the elements above declare: values (identities) may use them."""
    kept = copy.deepcopy(element)
    scope = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
    if not scope or (not len(element) and ":" not in (element.text or "")):
        return kept
    own = kept.nsmap
    if all(own.get(prefix) == uri for prefix, uri in scope.items()):
        return kept
    made = new_element(str(element.tag), element.nsmap, attributes_of(element))
    made.text = kept.text
    made.extend(list(kept))
    return made


def _identity(element: etree._Element, node: SchemaNode) -> tuple[str, ...]:
    if node.kind is Kind.LEAF_LIST:
        return (node.canonical(element),)
    values = []
    for key in node.keys:
        found, key_node = element.find(key), node.child(key)
        values.append(key_node.canonical(found) if found is not None and key_node is not None else "")
    return tuple(values)
