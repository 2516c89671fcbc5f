"""Values of nodes as gNMI's TypedValue, and back.

Rule of this file: JSON and JSON_IETF both carry RFC 7951 (JSON readers may send plain numbers). PROTO writes
a scalar for each leaf:

    int8..int64 int_val     uint8..uint64 uint_val     boolean, empty bool_val     binary bytes_val
    decimal64 double_val    leaf-list leaflist_val     everything else string_val (identities module:name)
"""

import base64
import binascii
from collections.abc import Sequence
from decimal import Decimal

from lxml import etree

from keyweave_core.netconf.ports import Kind, SchemaNode, ValueForm
from keyweave_gnmi.faults import BadValue, Unsupported
from keyweave_gnmi.json_ietf import JsonWriter
from keyweave_gnmi.json_reading import JsonReader, parse_json
from keyweave_gnmi.matching import EVERYTHING, Found, Selection
from keyweave_proto.gnmi import gnmi_pb2 as pb

ENCODINGS = (pb.JSON_IETF, pb.JSON, pb.PROTO)
"""What a server of ours writes, the one that fits best first."""


def check_encoding(encoding: int) -> None:
    """Raise Unsupported for an encoding that is not offered."""
    if encoding not in ENCODINGS:
        name = pb.Encoding.Name(encoding) if encoding in pb.Encoding.values() else str(encoding)
        raise Unsupported(f"encoding {name} is not offered: ask for JSON_IETF, JSON or PROTO")


class ValueWriter:
    """TypedValues of what is found in a tree."""

    def __init__(self, json: JsonWriter) -> None:
        self._json = json

    def write(self, found: Found, encoding: int, selection: Selection = EVERYTHING) -> pb.TypedValue:
        """The value at one place. With PROTO it must be a leaf, a leaf-list or anydata (as JSON_IETF)."""
        if encoding == pb.JSON_IETF:
            return pb.TypedValue(json_ietf_val=self._json.text(found, selection))
        if encoding == pb.JSON:
            return pb.TypedValue(json_val=self._json.text(found, selection))
        node = found.node
        if node is None or node.kind is Kind.ANYDATA:
            return pb.TypedValue(json_ietf_val=self._json.text(found, selection))
        scalars = [self._scalar(element, node) for element in found.elements]
        if node.kind is Kind.LEAF_LIST:
            return pb.TypedValue(leaflist_val=pb.ScalarArray(element=scalars))
        return scalars[0]

    def _scalar(self, element: etree._Element, node: SchemaNode) -> pb.TypedValue:
        form = node.form(element)
        if form is ValueForm.EMPTY:
            return pb.TypedValue(bool_val=True)
        value = self._json.leaf(element, node)
        try:
            match form:
                case ValueForm.BOOLEAN:
                    return pb.TypedValue(bool_val=value is True)
                case ValueForm.INT | ValueForm.INT64:
                    return pb.TypedValue(int_val=int(str(value)))
                case ValueForm.UINT | ValueForm.UINT64:
                    return pb.TypedValue(uint_val=int(str(value)))
                case ValueForm.DECIMAL:
                    return pb.TypedValue(double_val=float(str(value)))
                case ValueForm.BINARY:
                    return pb.TypedValue(bytes_val=base64.b64decode(str(value), validate=True))
                case _:
                    pass
        except (ValueError, binascii.Error):
            pass  # a value that its own type refuses is shown as it is
        return pb.TypedValue(string_val=str(value))


class ValueReader:
    """Elements for TypedValues that a client sends."""

    def __init__(self, json: JsonReader) -> None:
        self._json = json

    def elements(self, node: SchemaNode, value: pb.TypedValue, where: str) -> Sequence[etree._Element]:
        """The elements of `node` that a value means: one; for a leaf-list one for each value.

        A list entry comes without the keys that stand in its path. Raises BadValue, NoSuchNode (in JSON) or
        Unsupported.
        """
        kind = value.WhichOneof("value")
        if kind in ("json_val", "json_ietf_val"):
            json = parse_json(getattr(value, kind), where)
            strict = kind == "json_ietf_val"
            if node.kind is Kind.LIST:  # the path names one entry
                return [self._json.element(node, json, where, strict=strict)]
            return self._json.elements(node, json, where, strict=strict)
        return self._scalars(node, value, kind, where)

    def entries(self, node: SchemaNode, value: pb.TypedValue, where: str) -> Sequence[etree._Element]:
        """The entries of a whole list, which only JSON can write: an array of objects with their keys."""
        kind = value.WhichOneof("value")
        if kind not in ("json_val", "json_ietf_val"):
            raise BadValue(f"{where}: the entries of a list are written as a JSON array")
        json = parse_json(getattr(value, kind), where)
        return self._json.elements(node, json, where, strict=kind == "json_ietf_val")

    def fill_root(self, root: etree._Element, value: pb.TypedValue) -> None:
        """Put what a value for the root means below `root`."""
        kind = value.WhichOneof("value")
        if kind not in ("json_val", "json_ietf_val"):
            raise BadValue("/: the root is written as a JSON object")
        self._json.fill(
            root, None, parse_json(getattr(value, kind), "/"), "/", strict=kind == "json_ietf_val"
        )

    def _scalars(
        self, node: SchemaNode, value: pb.TypedValue, kind: str | None, where: str
    ) -> Sequence[etree._Element]:
        if kind is None:
            raise BadValue(f"{where}: no value")
        if kind in ("ascii_val", "any_val", "proto_bytes"):
            raise Unsupported(f"{where}: values in {kind} are not taken: send JSON_IETF or a scalar")
        if node.kind not in (Kind.LEAF, Kind.LEAF_LIST):
            raise BadValue(f"{where}: {node.name} holds nodes: send JSON_IETF")
        if node.kind is Kind.LEAF:
            if kind == "leaflist_val":
                raise BadValue(f"{where}: {node.name} is one value, no list of values")
            return [self._element(node, value, kind, where)]
        if kind != "leaflist_val":
            raise BadValue(f"{where}: {node.name} is a leaf-list: send leaflist_val or a JSON array")
        made = []
        for number, each in enumerate(value.leaflist_val.element):
            inner = each.WhichOneof("value")
            if (
                inner is None
                or inner == "leaflist_val"
                or inner.startswith(("json", "any", "proto", "ascii"))
            ):
                raise BadValue(f"{where}[{number}]: want a scalar")
            made.append(self._element(node, each, inner, f"{where}[{number}]"))
        return made

    def _element(self, node: SchemaNode, value: pb.TypedValue, kind: str, where: str) -> etree._Element:
        return self._json.leaf_element(node, _scalar_text(value, kind, node.form(), where), where)


_MAX_FRACTION_DIGITS = 18  # RFC 7950 clause 9.3.4
_FITTING = {
    "string_val": {ValueForm.TEXT, ValueForm.IDENTITY, ValueForm.INSTANCE},
    "int_val": {ValueForm.INT, ValueForm.INT64, ValueForm.UINT, ValueForm.UINT64, ValueForm.DECIMAL},
    "uint_val": {ValueForm.INT, ValueForm.INT64, ValueForm.UINT, ValueForm.UINT64, ValueForm.DECIMAL},
    "bool_val": {ValueForm.BOOLEAN, ValueForm.EMPTY},
    "bytes_val": {ValueForm.BINARY},
    "double_val": {ValueForm.DECIMAL},
    "float_val": {ValueForm.DECIMAL},
    "decimal_val": {ValueForm.DECIMAL},
}


def _scalar_text(value: pb.TypedValue, kind: str, form: ValueForm, where: str) -> str:
    """The text that a leaf of this form holds for a scalar; BadValue when the two do not fit."""
    if form is not ValueForm.UNION and form not in _FITTING[kind]:
        raise BadValue(f"{where}: a value in {kind} does not fit, the leaf is {form.name.lower()}")
    match kind:
        case "bool_val":
            if form is ValueForm.EMPTY and not value.bool_val:
                raise BadValue(f"{where}: an empty leaf is there or not: delete it instead of false")
            return "" if form is ValueForm.EMPTY else str(value.bool_val).lower()
        case "bytes_val":
            return base64.b64encode(value.bytes_val).decode()
        case "double_val" | "float_val":
            number = float(getattr(value, kind))
            # Single precision holds seven digits: more would be noise.
            return _plain(number, f"{number:.7g}" if kind == "float_val" else repr(number), where)
        case "decimal_val":
            digits, precision = value.decimal_val.digits, value.decimal_val.precision
            if precision > _MAX_FRACTION_DIGITS:
                raise BadValue(f"{where}: {precision} fraction digits, at most {_MAX_FRACTION_DIGITS}")
            return format(Decimal(digits).scaleb(-precision), "f")
        case _:
            return str(getattr(value, kind))


def _plain(number: float, text: str, where: str) -> str:
    """A floating number without exponent; what is no number or beyond decimal64 is refused."""
    if not abs(number) < 1e19:  # NaN as well
        raise BadValue(f"{where}: {number} is no decimal64")
    return format(Decimal(text), "f")
