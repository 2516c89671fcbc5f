"""JSON by RFC 7951 as elements, checked against the schema on the way.

Rule of this file: nothing is guessed. An unknown name, a member that is there twice, a value in the wrong
form is a fault that names where it stands. Values themselves are checked by whoever applies them. Numbers
where RFC 7951 wants strings are taken in plain JSON only (`strict` false).
"""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from lxml import etree

from keyweave_core.netconf.ports import Kind, SchemaNode, ValueForm
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_gnmi.faults import BadValue, NoSuchNode, Unsupported
from keyweave_gnmi.paths import PathReader

_MAX_DEPTH = 64
_MAX_NUMBER = 64
_NAME = re.compile(r"(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)\Z")
_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):")
_STEP = re.compile(r"([/\[])\s*(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def parse_json(text: bytes, where: str) -> Any:
    """JSON text as Python values (numbers with a point as Decimal); BadValue naming `where`."""
    try:
        return json.loads(
            text,
            object_pairs_hook=_no_twins,
            parse_float=_decimal,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise BadValue(f"{where}: no JSON: {reason[:200]}") from error


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if len(text) > _MAX_NUMBER or abs(number.adjusted()) > _MAX_NUMBER:
        raise ValueError("a number out of every range")
    return number


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


class JsonReader:
    """Makes elements for the nodes of one schema; `namespaces` maps module names to namespaces."""

    def __init__(self, reader: PathReader, namespaces: Mapping[str, str]) -> None:
        self._reader = reader
        self._namespaces = namespaces

    def fill(
        self,
        parent: etree._Element,
        node: SchemaNode | None,
        value: Any,
        where: str,
        *,
        strict: bool = True,
        depth: int = 0,
    ) -> None:
        """Put the members of the JSON object `value` below `parent`, an element of `node` (None: the root).

        Raises BadValue or NoSuchNode, naming the place behind `where`.
        """
        if not isinstance(value, dict):
            raise BadValue(f"{where}: want an object, not {_kind(value)}")
        if depth > _MAX_DEPTH:
            raise BadValue(f"{where}: nested too deep")
        seen: set[int] = set()
        for name, inner in value.items():
            child = self.member(node, name, where)
            at = f"{where.rstrip('/')}/{child.name}"
            if id(child) in seen:
                raise BadValue(f"{at}: is there twice, with and without its module")
            seen.add(id(child))
            for element in self.elements(child, inner, at, strict=strict, depth=depth + 1):
                parent.append(element)

    def elements(
        self, node: SchemaNode, value: Any, where: str, *, strict: bool = True, depth: int = 0
    ) -> Sequence[etree._Element]:
        """The elements for the value of a member: several for the array of a list or leaf-list."""
        if node.kind in (Kind.LIST, Kind.LEAF_LIST):
            if not isinstance(value, list):
                raise BadValue(f"{where}: want an array, not {_kind(value)}")
            return [
                self.element(node, each, f"{where}[{number}]", strict=strict, depth=depth)
                for number, each in enumerate(value)
            ]
        return [self.element(node, value, where, strict=strict, depth=depth)]

    def element(
        self, node: SchemaNode, value: Any, where: str, *, strict: bool = True, depth: int = 0
    ) -> etree._Element:
        """One element: a leaf, one value of a leaf-list, one list entry, a container."""
        made = new_element(f"{{{node.namespace}}}{node.name}", {None: node.namespace})
        if node.kind in (Kind.LEAF, Kind.LEAF_LIST):
            return self._leaf(node, value, where, strict)
        if node.kind is Kind.ANYDATA:
            self.fill(made, None, value, where, strict=strict, depth=depth)
        else:
            self.fill(made, node, value, where, strict=strict, depth=depth)
        return made

    def member(self, node: SchemaNode | None, name: str, where: str) -> SchemaNode:
        """The child that the name of a member means; NoSuchNode, BadValue for a name of two modules."""
        if name.startswith("@"):
            raise Unsupported(f"{where}: annotations ({name[:60]!r}) are not taken")
        read = _NAME.match(name)
        found = [
            child
            for child in self._reader.children(node)
            if read is not None and child.name == read[2] and read[1] in (None, child.module)
        ]
        if len(found) > 1:
            found = [child for child in found if node is not None and child.module == node.module]
            if not found:
                raise BadValue(f"{where}: several modules have {name[:60]!r} here: name the module")
        if not found:
            raise NoSuchNode(f"{where}: no node {name[:60]!r} in the schema at this place")
        return found[0]

    def _leaf(self, node: SchemaNode, value: Any, where: str, strict: bool) -> etree._Element:
        form = node.form()
        text = _text(value, form, where, strict)
        return self.leaf_element(node, text, where)

    def leaf_element(self, node: SchemaNode, text: str, where: str) -> etree._Element:
        """The element of a leaf with this text, as RFC 7951 writes it (identities by module name)."""
        form = node.form()
        nsmap: dict[str | None, str] = {None: node.namespace}
        if form in (ValueForm.IDENTITY, ValueForm.UNION):
            prefix = _PREFIX.match(text)
            if prefix is not None and prefix[1] in self._namespaces:
                nsmap[prefix[1]] = self._namespaces[prefix[1]]
        elif form is ValueForm.INSTANCE:
            text = self._instance(text, nsmap, where)
        made = new_element(f"{{{node.namespace}}}{node.name}", nsmap)
        try:
            made.text = text or None
        except ValueError as error:
            raise BadValue(f"{where}: characters that data cannot hold") from error
        return made

    def _instance(self, text: str, nsmap: dict[str | None, str], where: str) -> str:
        """An instance-identifier with a prefix at every name, as XML wants it."""
        quoted = _QUOTED.findall(text)
        module = ""

        def qualified(found: re.Match[str]) -> str:
            nonlocal module
            own = found[2] or module
            if found[1] == "/":
                module = own
            if own not in self._namespaces:
                raise BadValue(f"{where}: no module {own[:60]!r} is known here")
            nsmap[own] = self._namespaces[own]
            return f"{found[1]}{own}:{found[3]}"

        result = _STEP.sub(qualified, _QUOTED.sub("\0", text))
        for value in quoted:
            result = result.replace("\0", value, 1)
        return result


def _text(value: Any, form: ValueForm, where: str, strict: bool) -> str:
    """The text of a JSON scalar for a leaf of this form; BadValue when the form is another."""
    if form is ValueForm.EMPTY:
        if value != [None]:
            raise BadValue(f"{where}: an empty leaf is [null], not {_kind(value)}")
        return ""
    if form is ValueForm.UNION and value == [None]:
        return ""
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if form is ValueForm.BOOLEAN or (form is ValueForm.UNION and isinstance(value, bool)):
        fits, wanted = isinstance(value, bool), "true or false"
    elif form in (ValueForm.INT, ValueForm.UINT):
        fits, wanted = isinstance(value, int) and number, "a whole number"
    elif form in (ValueForm.INT64, ValueForm.UINT64, ValueForm.DECIMAL):
        fits, wanted = isinstance(value, str) or (number and not strict), "a number as a string"
    elif form is ValueForm.UNION:
        fits, wanted = isinstance(value, str) or number, "a scalar"
    else:
        fits, wanted = isinstance(value, str), "a string"
    if not fits:
        raise BadValue(f"{where}: want {wanted}, not {_kind(value)}")
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"the string {value[:60]!r}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return f"the number {str(value)[:60]}"
    if value is None:
        return "null"
    return "an object" if isinstance(value, dict) else "an array"
