"""Values of leaves: from the text of an element to what yangson holds, and to a canonical text.

Rule of this file: the lexical rules of RFC 7950 section 9 are checked here, because yangson reads what
Python reads ('1_000', 'NaN', a fourth fraction digit that it rounds away) and knows nothing of the prefixes
that are in scope where a value stands.
"""

import re
from collections.abc import Callable
from typing import Any

from lxml import etree
from yangson.datatype import (
    BinaryType,
    BitsType,
    BooleanType,
    DataType,
    Decimal64Type,
    EmptyType,
    EnumerationType,
    IdentityrefType,
    InstanceIdentifierType,
    Int64Type,
    IntegralType,
    LeafrefType,
    LinearType,
    NumericType,
    StringType,
    Uint8Type,
    Uint16Type,
    Uint32Type,
    Uint64Type,
    UnionType,
)

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import ValueForm
from keyweave_yang.namespaces import is_element

_INTEGER = re.compile(r"[+-]?[0-9]+")
_QUOTED = re.compile(r"""("[^"]*"|'[^']*')""")
_NODE_NAME = re.compile(r"(?<![\w.:-])(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)")
_SHOWN = 60

_FORMS = (
    # The first that fits: the 64-bit types before the integral ones.
    (Int64Type, ValueForm.INT64),
    (Uint64Type, ValueForm.UINT64),
    ((Uint8Type, Uint16Type, Uint32Type), ValueForm.UINT),
    (IntegralType, ValueForm.INT),
    (Decimal64Type, ValueForm.DECIMAL),
    (BooleanType, ValueForm.BOOLEAN),
    (EmptyType, ValueForm.EMPTY),
    (BinaryType, ValueForm.BINARY),
    (IdentityrefType, ValueForm.IDENTITY),
    (InstanceIdentifierType, ValueForm.INSTANCE),
)


class LeafCodec:
    """Reads the values of one leaf or leaf-list; a leafref is read as the leaf that it points at.

    `modules_by_namespace` maps namespace URIs to module names, for prefixes inside values.
    """

    __slots__ = ("_decimal", "_form", "_lower", "_members", "_module", "_modules", "_parse", "_type")

    def __init__(self, kind: DataType, module: str, modules_by_namespace: dict[str, str]):
        while isinstance(kind, LeafrefType):
            kind = kind.ref_type
        self._type: Any = kind
        self._module = module
        self._modules = modules_by_namespace
        # RFC 6991: the canonical representation of a uuid uses lower case, so two spellings are one key.
        self._lower = kind.name == "uuid"
        self._decimal: re.Pattern[str] | None = None
        if isinstance(kind, Decimal64Type):
            self._decimal = re.compile(rf"[+-]?[0-9]+(\.[0-9]{{1,{kind.fraction_digits}}})?")
        self._members: tuple[LeafCodec, ...] = ()
        if isinstance(kind, UnionType):
            self._members = tuple(LeafCodec(one, module, modules_by_namespace) for one in kind.types)
        self._form = next((form for kinds, form in _FORMS if isinstance(kind, kinds)), ValueForm.TEXT)
        self._parse: Callable[[str, etree._Element], Any] = self._parser()

    @property
    def type_name(self) -> str:
        """The type as a reader of the module knows it: the derived name, else the built-in one."""
        return str(self._type.name or self._type.yang_type())

    def read(self, element: etree._Element) -> Any:
        """The value of `element` as yangson holds it.

        Raises SchemaViolation without a path: tag invalid-value when the type refuses the text, bad-element
        when there are elements inside.
        """
        text = (element.text or "") if not len(element) else _text(element)
        value = self._parse(text, element)
        if value is None or (not self._members and value not in self._type):
            raise SchemaViolation(self._refusal(text.strip(), value), tag="invalid-value")
        return value

    def canonical(self, element: etree._Element) -> str:
        """The canonical text (identity as 'module:name'); the text as it is when the type refuses it."""
        try:
            value = self.read(element)
        except SchemaViolation:
            return (element.text or "").strip()
        return self.show(value)

    def show(self, value: Any) -> str:
        """Canonical text of a value as `read` returns it.

        An instance-identifier has the form of RFC 7951: names of modules instead of prefixes.
        """
        return str(self._type.canonical_string(value))

    def form(self, element: etree._Element | None = None) -> ValueForm:
        """How a value (of `element`, or any) is written outside XML; see `SchemaNode.form`."""
        if not self._members:
            return self._form
        if element is None:
            forms = {member.form() for member in self._members}
            return forms.pop() if len(forms) == 1 else ValueForm.UNION
        for member in self._members:
            try:
                member.read(element)
            except SchemaViolation:
                continue
            return member.form(element)
        return ValueForm.TEXT

    def _parser(self) -> Callable[[str, etree._Element], Any]:
        kind = self._type
        if isinstance(kind, StringType):
            return self._lowered if self._lower else _as_it_is
        special: dict[type, Callable[[str, etree._Element], Any]] = {
            IdentityrefType: self._identity,
            Decimal64Type: self._decimal64,
            InstanceIdentifierType: self._instance,
            UnionType: self._union,
            BitsType: self._bits,
            BinaryType: self._binary,
        }
        for known, parse in special.items():
            if isinstance(kind, known):
                return parse
        return _integer if isinstance(kind, IntegralType) else self._stripped

    # Each parser takes the text and the element (for its prefixes); None: not of this type.

    def _stripped(self, text: str, _element: etree._Element) -> Any:
        return self._type.parse_value(text.strip())

    def _lowered(self, text: str, _element: etree._Element) -> str:
        return text.lower()

    def _decimal64(self, text: str, _element: etree._Element) -> Any:
        text = text.strip()
        fits = self._decimal is not None and self._decimal.fullmatch(text)
        return self._type.parse_value(text) if fits else None

    def _bits(self, text: str, _element: etree._Element) -> Any:
        # In canonical order, so that equal sets are equal values; a bit may be named once (RFC 7950 9.7.2).
        names = text.split()
        known = self._type.bit
        if len(set(names)) < len(names) or any(name not in known for name in names):
            return None
        return tuple(sorted(names, key=known.__getitem__))

    def _binary(self, text: str, _element: etree._Element) -> Any:
        return self._type.parse_value("".join(text.split()))

    def _union(self, text: str, element: etree._Element) -> Any:
        """The value of the first member that takes it (RFC 7950 9.12)."""
        for member in self._members:
            try:
                value = member._parse(text, element)  # noqa: SLF001 - of the same class
            except SchemaViolation:
                continue
            if value is not None and (member._members or value in member._type):  # noqa: SLF001
                return value
        return None

    def _instance(self, text: str, element: etree._Element) -> Any:
        """The route of an instance-identifier; every name of a node has a prefix (RFC 7950 9.13.2)."""
        unknown = False

        def named(match: re.Match[str]) -> str:
            nonlocal unknown
            module = self._modules.get(element.nsmap.get(match[1]) or "") if match[1] else None
            unknown = unknown or module is None
            return f"{module}:{match[2]}"

        parts = _QUOTED.split(text.strip())
        parts[::2] = [_NODE_NAME.sub(named, part) for part in parts[::2]]
        return None if unknown else self._type.parse_value("".join(parts))

    def _identity(self, text: str, element: etree._Element) -> tuple[str, str]:
        prefix, colon, name = text.strip().partition(":")
        if not colon:
            return (prefix, self._module)  # RFC 7950 9.10.3: the leaf's own module
        namespace = element.nsmap.get(prefix)
        if namespace is None:
            raise SchemaViolation(f"prefix {prefix[:_SHOWN]!r} of {text[:_SHOWN]!r} is not declared")
        module = self._modules.get(namespace)
        if module is None:
            raise SchemaViolation(f"prefix {prefix!r} stands for {namespace[:_SHOWN]!r}, an unknown module")
        return (name, module)

    def _refusal(self, text: str, value: Any) -> str:
        """Why the type refuses a text, which was read as `value` when it is not that which is wrong."""
        kind = self._type
        shown = repr(text[:_SHOWN])
        beyond = self._beyond(value)
        if beyond:
            return f"{shown} {beyond}"
        if isinstance(kind, EnumerationType):
            return f"{shown} is none of {', '.join(kind.enum)}"
        if isinstance(kind, BitsType):
            return f"{shown} is no set of {', '.join(kind.bit)}"
        if isinstance(kind, EmptyType):
            return f"{shown} where nothing may stand"
        if isinstance(kind, IdentityrefType):
            bases = ", ".join(f"{module}:{name}" for name, module in kind.bases)
            return f"{shown} is no identity derived from {bases}"
        if isinstance(kind, BooleanType):
            return f"{shown} is neither true nor false"
        if self._members and self.type_name == "union":
            names = dict.fromkeys(member.type_name for member in self._members)
            return f"{shown} is no valid {' or '.join(names)}"
        return f"{shown} is no valid {self.type_name}"

    def _beyond(self, value: Any) -> str:
        """What bound of the type a value breaks; '' when it is no matter of bounds."""
        kind = self._type
        if isinstance(kind, NumericType) and value is not None:
            low, high = kind._range  # noqa: SLF001 - the only place that knows it
            return f"is outside {kind.range or f'{low}..{high}'}".replace(" | ", " and ")
        if (
            isinstance(kind, LinearType)
            and value is not None
            and kind.length
            and len(value) not in kind.length
        ):
            what = "octets" if isinstance(kind, BinaryType) else "characters"
            return f"has {len(value)} {what}, not {kind.length}".replace(" | ", " or ")
        if isinstance(kind, StringType) and self.type_name == "string" and kind.patterns:
            patterns = " and ".join(one.pattern for one in kind.patterns if not one.invert_match)
            return f"does not match {patterns[: 2 * _SHOWN]}" if patterns else ""
        return ""


def _as_it_is(text: str, _element: etree._Element) -> str:
    return text


def _integer(text: str, _element: etree._Element) -> int | None:
    text = text.strip()
    return int(text) if _INTEGER.fullmatch(text) and len(text) < _SHOWN else None


def _text(element: etree._Element) -> str:
    """The character data of a leaf; comments and processing instructions are seen through."""
    text = element.text or ""
    for child in element:
        if is_element(child):
            raise SchemaViolation("a leaf holds a value, not elements", tag="bad-element")
        text += child.tail or ""
    return text
