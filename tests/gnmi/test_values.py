"""JSON and scalars at their edges: what reads, what is refused, and where the refusal points."""

import json

import pytest
from lxml import etree

from keyweave_core.errors import InvalidInput
from keyweave_core.netconf.data.nodes import container, leaf, leaf_list, list_of
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, SchemaNode, ValueForm
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_gnmi.faults import BadValue, NoSuchNode, Unsupported
from keyweave_gnmi.json_ietf import JsonWriter
from keyweave_gnmi.json_reading import JsonReader, parse_json
from keyweave_gnmi.matching import Found
from keyweave_gnmi.paths import PathReader, Place
from keyweave_gnmi.values import ValueReader, ValueWriter
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_yang.schema import load_schema

NS = "urn:test:values"
TOP = container(
    "top",
    leaf("small", form=ValueForm.INT),
    leaf("big", form=ValueForm.UINT64),
    leaf("exact", form=ValueForm.DECIMAL),
    leaf("yes", form=ValueForm.BOOLEAN),
    leaf("mark", form=ValueForm.EMPTY),
    leaf("raw", form=ValueForm.BINARY),
    leaf("kind", form=ValueForm.IDENTITY),
    leaf("where", form=ValueForm.INSTANCE),
    leaf("any", form=ValueForm.UNION),
    leaf("text"),
    leaf_list("numbers", form=ValueForm.UINT),
    list_of("row", "id", leaf("id"), leaf("text")),
).bind(NS, "values")
SCHEMA = load_schema("agent")
PLACES = SchemaMap(SCHEMA, [TOP])
READER = PathReader(PLACES, [TOP, *SCHEMA.tops()])
JSON = JsonReader(READER, PLACES.namespaces)
WRITER = JsonWriter(PLACES.top, {uri: name for name, uri in PLACES.namespaces.items()})


def node(name: str) -> SchemaNode:
    found = TOP.child(f"{{{NS}}}{name}")
    assert found is not None
    return found


def read(name: str, value: object, *, strict: bool = True) -> str:
    """The text that a leaf gets for a JSON value."""
    (made,) = JSON.elements(node(name), parse_json(json.dumps(value).encode(), name), name, strict=strict)
    return made.text or ""


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("small", -5, "-5"),
        ("big", str(2**64 - 1), str(2**64 - 1)),
        ("exact", "0.1", "0.1"),
        ("yes", False, "false"),
        ("mark", [None], ""),
        ("any", 7, "7"),
        ("any", True, "true"),
        ("any", "x", "x"),
        ("text", "", ""),
    ],
)
def test_each_form_reads_what_the_standard_writes(name: str, value: object, text: str) -> None:
    assert read(name, value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("small", "5", "want a whole number, not the string '5'"),
        ("small", True, "not true"),
        ("small", 1.5, "not the number 1.5"),
        ("big", 5, "want a number as a string"),
        ("yes", "true", "want true or false"),
        ("mark", None, r"an empty leaf is \[null\], not null"),
        ("text", {"a": 1}, "not an object"),
        ("text", "\x01", "characters that data cannot hold"),
        ("numbers", 5, "want an array, not the number 5"),
        ("numbers", ["1"], r"numbers\[0\]: want a whole number"),
        ("any", [], "want a scalar"),
    ],
)
def test_another_form_is_refused_with_its_place(name: str, value: object, text: str) -> None:
    with pytest.raises(BadValue, match=text):
        read(name, value)


def test_plain_json_may_have_numbers_where_rfc_7951_wants_strings() -> None:
    assert read("big", 5, strict=False) == "5"
    assert read("exact", 0.25, strict=False) == "0.25"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": 1, "a": 2}',
        b"NaN",
        b"[" * 100_000,
        b"1e99999999",
        b"\xff",
        b"9" * 5000,
    ],
)
def test_what_is_no_json_is_said_so(text: bytes) -> None:
    with pytest.raises(BadValue, match="here: no JSON"):
        parse_json(text, "here")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ({"values:top": {"nothing": 1}}, NoSuchNode, "/top: no node 'nothing'"),
        ({"nowhere:top": {}}, NoSuchNode, "/: no node 'nowhere:top'"),
        ({"top": 5}, BadValue, "/top: want an object, not the number 5"),
        ({"top": {"text": "a", "values:text": "b"}}, BadValue, "/top/text: is there twice"),
        ({"top": {"@text": {}}}, Unsupported, "annotations"),
        ({"top": {"row": [{"id": "1"}, 5]}}, BadValue, r"/top/row\[1\]: want an object"),
    ],
)
def test_a_fault_inside_an_object_is_found(value: object, kind: type[InvalidInput], text: str) -> None:
    root = new_element("root")
    with pytest.raises(kind, match=text):
        JSON.fill(root, None, value, "/")


def test_identities_and_instances_change_their_prefixes() -> None:
    (kind,) = JSON.elements(node("kind"), "etsi-qkd-node-types:PHYS", "here")
    assert kind.nsmap["etsi-qkd-node-types"] == "urn:etsi:qkd:yang:etsi-qkd-node-types"
    text = "/etsi-qkd-sdn-node:qkd_node/qkd_links/qkd_link[qkdl_id='a/b[c]']"
    (where,) = JSON.elements(node("where"), text, "here")
    p = "etsi-qkd-sdn-node"
    assert where.text == f"/{p}:qkd_node/{p}:qkd_links/{p}:qkd_link[{p}:qkdl_id='a/b[c]']"
    assert WRITER.leaf(where, node("where")) == text
    with pytest.raises(BadValue, match="no module 'nowhere'"):
        JSON.elements(node("where"), "/nowhere:a", "here")


def scalar(name: str, value: pb.TypedValue) -> str:
    (made,) = ValueReader(JSON).elements(node(name), value, name)
    return made.text or ""


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("small", pb.TypedValue(int_val=-3), "-3"),
        ("big", pb.TypedValue(uint_val=2**64 - 1), str(2**64 - 1)),
        ("exact", pb.TypedValue(double_val=0.001), "0.001"),
        ("exact", pb.TypedValue(float_val=0.1), "0.1"),
        ("exact", pb.TypedValue(decimal_val=pb.Decimal64(digits=-15, precision=1)), "-1.5"),
        ("yes", pb.TypedValue(bool_val=True), "true"),
        ("mark", pb.TypedValue(bool_val=True), ""),
        ("raw", pb.TypedValue(bytes_val=b"\x00\xff"), "AP8="),
        ("any", pb.TypedValue(uint_val=1), "1"),
        ("text", pb.TypedValue(string_val="x"), "x"),
    ],
)
def test_scalars(name: str, value: pb.TypedValue, text: str) -> None:
    assert scalar(name, value) == text


@pytest.mark.parametrize(
    ("name", "value", "kind", "text"),
    [
        ("text", pb.TypedValue(), BadValue, "no value"),
        ("text", pb.TypedValue(uint_val=1), BadValue, "uint_val does not fit"),
        ("small", pb.TypedValue(string_val="1"), BadValue, "string_val does not fit"),
        ("exact", pb.TypedValue(double_val=float("nan")), BadValue, "no decimal64"),
        (
            "exact",
            pb.TypedValue(decimal_val=pb.Decimal64(digits=1, precision=4_000_000_000)),
            BadValue,
            "digits",
        ),
        ("mark", pb.TypedValue(bool_val=False), BadValue, "delete it"),
        ("text", pb.TypedValue(leaflist_val=pb.ScalarArray()), BadValue, "no list"),
        ("numbers", pb.TypedValue(uint_val=1), BadValue, "leaflist_val"),
        ("row", pb.TypedValue(uint_val=1), BadValue, "send JSON_IETF"),
        ("text", pb.TypedValue(proto_bytes=b"x"), Unsupported, "proto_bytes"),
    ],
)
def test_scalars_that_do_not_fit(
    name: str, value: pb.TypedValue, kind: type[InvalidInput], text: str
) -> None:
    with pytest.raises(kind, match=text):
        scalar(name, value)


def test_scalars_of_what_a_tree_holds() -> None:
    top = etree.fromstring(
        f'<top xmlns="{NS}"><small>-3</small><mark/><raw>AP8=</raw>'
        "<numbers>1</numbers><numbers>2</numbers></top>"
    )
    values = ValueWriter(WRITER)

    def written(name: str) -> pb.TypedValue:
        elements = tuple(top.findall(f"{{{NS}}}{name}"))
        return values.write(Found((Place(TOP), Place(node(name))), elements), pb.PROTO)

    assert written("small").int_val == -3
    assert written("mark").bool_val
    assert written("raw").bytes_val == b"\x00\xff"
    assert [each.uint_val for each in written("numbers").leaflist_val.element] == [1, 2]
    assert json.loads(WRITER.text(Found((Place(TOP),), (top,)))) == {
        "values:small": -3,
        "values:mark": [None],
        "values:raw": "AP8=",
        "values:numbers": [1, 2],
    }


def test_the_forms_of_the_agents_own_schema() -> None:
    def at(*steps: str) -> SchemaNode:
        here = SCHEMA.top("{urn:etsi:qkd:yang:etsi-qkd-node}qkd_node")
        for each in steps:
            assert here is not None
            here = here.child(f"{{urn:etsi:qkd:yang:etsi-qkd-node}}{each}")
        assert here is not None
        return here

    link = ("qkd_links", "qkd_link")
    assert at(*link, "qkdl_type").form() is ValueForm.IDENTITY
    assert at(*link, "phys_channel_att").form() is ValueForm.DECIMAL
    assert at(*link, "qkdl_enable").form() is ValueForm.BOOLEAN
    assert at(*link).kind is Kind.LIST
    assert at(*link).form() is ValueForm.TEXT
