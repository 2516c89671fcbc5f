"""Data as JSON by RFC 7951.

Rule of this file: names at the top of a value carry their module, deeper ones where it differs from their
parent's (clause 4). 64-bit integers and decimals are strings, an empty leaf is [null] (clause 6).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from lxml import etree

from keyweave_core.netconf.ports import Kind, SchemaNode, ValueForm
from keyweave_gnmi.matching import EVERYTHING, Found, Selection

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
TopLookup: TypeAlias = Callable[[str], SchemaNode | None]

_PREFIXED = re.compile(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_])")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class JsonWriter:
    """Writes what a schema describes; `modules` maps namespaces to module names."""

    def __init__(self, top: TopLookup, modules: Mapping[str, str]) -> None:
        self._top = top
        self._modules = modules

    def text(self, found: Found, selection: Selection = EVERYTHING) -> bytes:
        """The value at one place as JSON text in UTF-8."""
        value = self.value(found, selection)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def value(self, found: Found, selection: Selection = EVERYTHING) -> Json:
        """The value at one place: a scalar, an array for a leaf-list, else an object of what it holds."""
        node = found.node
        if node is None:
            return self._members(self._top, found.elements, "", selection)
        if node.kind is Kind.LEAF_LIST:
            return [self.leaf(element, node) for element in found.elements]
        if node.kind is Kind.LEAF:
            return self.leaf(found.elements[0], node)
        if node.kind is Kind.ANYDATA:
            return self._anydata(found.elements[0])
        return self._members(node.child, found.elements[0], "", selection, node.keys)

    def leaf(self, element: etree._Element, node: SchemaNode) -> Json:
        """The value of one leaf element, or of one value of a leaf-list."""
        form = node.form(element)
        if form is ValueForm.EMPTY:
            return [None]
        if form is ValueForm.INSTANCE:
            return self._instance(element)
        text = node.canonical(element)
        if form in (ValueForm.INT, ValueForm.UINT):
            return _number(text)
        if form is ValueForm.BOOLEAN:
            return text == "true"
        return text

    def _members(
        self,
        lookup: TopLookup,
        elements: "Sequence[etree._Element] | etree._Element",
        module: str,
        selection: Selection,
        keys: Sequence[str] = (),
    ) -> dict[str, Json]:
        """The members for elements below a node of `module` ('' writes every module out)."""
        members: dict[str, Json] = {}
        arrays: dict[str, list[Json]] = {}
        held: dict[str, Json] = {}  # keys that nobody asked for, but that entries are known by
        for element in elements:
            node = lookup(str(element.tag))
            if node is None:
                continue
            name = node.name if node.module == module else f"{node.module}:{node.name}"
            if node.kind in (Kind.LEAF, Kind.LEAF_LIST, Kind.ANYDATA):
                if not selection.takes(node):
                    if element.tag in keys:
                        held[name] = self.leaf(element, node)
                    continue
                value = self._anydata(element) if node.kind is Kind.ANYDATA else self.leaf(element, node)
            else:
                value = self._members(node.child, element, node.module, selection, node.keys)
                if not value and not (node.presence and selection.takes(node)):
                    continue
            if node.kind in (Kind.LIST, Kind.LEAF_LIST):
                if name not in arrays:
                    members[name] = arrays[name] = []
                arrays[name].append(value)
            else:
                members[name] = value
        return {**held, **members} if members else {}

    def _anydata(self, element: etree._Element) -> Json:
        """Content by the schema where a top-level node has that name, else objects of strings."""
        members: dict[str, Json] = {}
        for child in element.iterchildren("*"):
            name = etree.QName(child)
            node = self._top(str(child.tag))
            module = self._modules.get(name.namespace or "", "")
            key = f"{module}:{name.localname}" if module else name.localname
            if node is not None and node.kind in (Kind.CONTAINER, Kind.LIST):
                value: Json = self._members(node.child, child, node.module, EVERYTHING)
            elif node is not None and node.kind is not Kind.ANYDATA:
                value = self.leaf(child, node)
            else:
                value = self._anydata(child) if len(child) else (child.text or "")
            before = members.get(key)
            if before is None:
                members[key] = value
            else:
                members[key] = [*before, value] if isinstance(before, list) else [before, value]
        return members

    def _instance(self, element: etree._Element) -> str:
        """An instance-identifier: prefixes of XML become modules, said where they change (clause 6.11)."""
        text = (element.text or "").strip()
        quoted = _QUOTED.findall(text)
        module = ""
        written: list[str] = []
        # Predicates name children of the node before them: its module stays the current one.
        for part in re.split(r"(/|\[)", _QUOTED.sub("\0", text)):
            found = _PREFIXED.match(part)
            if found is None:
                written.append(part)
                continue
            own = self._modules.get(element.nsmap.get(found[1]) or "", found[1])
            written.append(part[found.end() :] if own == module else f"{own}:{part[found.end() :]}")
            module = own
        result = "".join(written)
        for value in quoted:
            result = result.replace("\0", value, 1)
        return result


def _number(text: str) -> Json:
    try:
        return int(text)
    except ValueError:  # what a foreign device holds may be no number; it is told as it is
        return text
