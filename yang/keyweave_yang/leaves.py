"""Values of leaves: from the text of an element to what yangson holds, and to a canonical text.

Rule of this file: the lexical rules of RFC 7950 section 9 are checked here, because yangson reads what
Python reads ('1_000', 'NaN', a fourth fraction digit that it rounds away).
"""

import re
from typing import Any

from lxml import etree
from yangson.datatype import (
    BinaryType,
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
    """Reads the values of one leaf or leaf-list.

    `modules_by_namespace` maps namespace URIs to module names, for the prefixes of identities.
    """

    __slots__ = ("_decimal", "_lower", "_module", "_modules", "_type")

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

    @property
    def type_name(self) -> str:
        """The type as a reader of the module knows it: the derived name, else the built-in one."""
        return str(self._type.name or self._type.yang_type())

    def read(self, element: etree._Element) -> Any:
        """The value of `element` as yangson holds it.

        Raises SchemaViolation without a path: tag invalid-value when the type refuses the text, bad-element
        when there are elements inside.
        """
        text = _text(element)
        kind = self._type
        if isinstance(kind, StringType):
            value: Any = text.lower() if self._lower else text
        elif isinstance(kind, IdentityrefType):
            value = self._identity(text.strip(), element)
        elif isinstance(kind, IntegralType):
            text = text.strip()
            value = int(text) if _INTEGER.fullmatch(text) and len(text) < _SHOWN else None
        elif self._decimal is not None:
            text = text.strip()
            value = kind.parse_value(text) if self._decimal.fullmatch(text) else None
        elif isinstance(kind, BooleanType | EnumerationType):
            value = kind.parse_value(text.strip())
        elif isinstance(kind, InstanceIdentifierType):
            return text.strip()  # its prefixes are XML's; none of our configuration has one
        else:
            value = kind.parse_value(text)
        if value is None or value not in kind:
            raise SchemaViolation(self._refusal(text), tag="invalid-value")
        return value

    def canonical(self, element: etree._Element) -> str:
        """The canonical text (identity as 'module:name'); the text as it is when the type refuses it."""
        try:
            value = self.read(element)
        except SchemaViolation:
            return (element.text or "").strip()
        return self.show(value)

    def show(self, value: Any) -> str:
        """Canonical text of a value as `read` returns it."""
        if isinstance(self._type, InstanceIdentifierType):
            return str(value)
        return str(self._type.canonical_string(value))

    def form(self, element: etree._Element | None = None) -> ValueForm:
        """How a value (of `element`, or any) is written outside XML; see `SchemaNode.form`."""
        if not isinstance(self._type, UnionType):
            return next((form for kinds, form in _FORMS if isinstance(self._type, kinds)), ValueForm.TEXT)
        members = [LeafCodec(kind, self._module, self._modules) for kind in self._type.types]
        if element is None:
            forms = {member.form() for member in members}
            return forms.pop() if len(forms) == 1 else ValueForm.UNION
        for member in members:
            try:
                member.read(element)
            except SchemaViolation:
                continue
            return member.form(element)
        return ValueForm.TEXT

    def _identity(self, text: str, element: etree._Element) -> tuple[str, str]:
        prefix, colon, name = text.partition(":")
        if not colon:
            return (text, self._module)  # RFC 7950 9.10.3: the leaf's own module
        namespace = element.nsmap.get(prefix)
        if namespace is None:
            raise SchemaViolation(f"prefix {prefix[:_SHOWN]!r} of {text[:_SHOWN]!r} is not declared")
        module = self._modules.get(namespace)
        if module is None:
            raise SchemaViolation(f"prefix {prefix!r} stands for {namespace[:_SHOWN]!r}, an unknown module")
        return (name, module)

    def _refusal(self, text: str) -> str:
        kind = self._type
        shown = repr(text[:_SHOWN])
        if isinstance(kind, EnumerationType):
            return f"{shown} is none of {', '.join(kind.enum)}"
        if isinstance(kind, IdentityrefType):
            bases = ", ".join(f"{module}:{name}" for name, module in kind.bases)
            return f"{shown} is no identity derived from {bases}"
        if isinstance(kind, BooleanType):
            return f"{shown} is neither true nor false"
        return f"{shown} is no valid {self.type_name}"


def _text(element: etree._Element) -> str:
    """The character data of a leaf; comments and processing instructions are seen through."""
    text = element.text or ""
    for child in element:
        if is_element(child):
            raise SchemaViolation("a leaf holds a value, not elements", tag="bad-element")
        text += child.tail or ""
    return text
