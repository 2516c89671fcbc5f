"""Laws: paths read back as written, JSON carries any node, differences lead from one tree to the other."""

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.yang import strategies

from keyweave_core.model.node import Node
from keyweave_core.netconf.data.changes import changes
from keyweave_core.netconf.data.edit import edit
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.stores.datastores import Snapshot
from keyweave_gnmi.faults import BadPath
from keyweave_gnmi.json_ietf import JsonWriter
from keyweave_gnmi.json_reading import JsonReader, parse_json
from keyweave_gnmi.matching import Found, difference, find, leaves
from keyweave_gnmi.paths import PathReader, Pattern, read_pattern, to_path
from keyweave_gnmi.text_paths import parse_path, path_text
from keyweave_gnmi.values import ValueReader, ValueWriter
from keyweave_gnmi.writing import SetReader
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_yang.encode import encode_configuration, encode_node
from keyweave_yang.schema import load_schema

FEW = settings(max_examples=40, deadline=None)
SCHEMA = load_schema("agent")
PLACES = SchemaMap(SCHEMA)
READER = PathReader(PLACES, SCHEMA.tops())
WRITER = JsonWriter(PLACES.top, {uri: name for name, uri in PLACES.namespaces.items()})
JSON = JsonReader(READER, PLACES.namespaces)
SETS = SetReader(READER, PLACES, max_paths=1000, max_elements=64)

names = st.text(min_size=1, max_size=12)
paths = st.builds(
    pb.Path,
    origin=st.sampled_from(["", "etsi-qkd-sdn-node"]),
    elem=st.lists(
        st.builds(pb.PathElem, name=names, key=st.dictionaries(names, st.text(max_size=12))), max_size=6
    ),
)


def stored(elements: list[etree._Element]) -> tuple[etree._Element, ...]:
    """Configuration in the form of the datastores."""
    config = new_element(f"{{{BASE}}}config", {None: BASE})
    config.extend(elements)
    return Snapshot(edit((), config, schema=PLACES)).elements


def configured(node: Node) -> tuple[etree._Element, ...]:
    return stored([encode_configuration(node)])


def pattern(text: str) -> Pattern:
    return read_pattern(pb.Path(), parse_path(text), modules=PLACES.namespaces, max_elements=64)


def value(found: Found) -> pb.TypedValue:
    return pb.TypedValue(json_ietf_val=WRITER.text(found))


@given(paths)
def test_a_path_reads_back_as_it_was_written(path: pb.Path) -> None:
    assert parse_path(path_text(path)) == path


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        path = parse_path(text)
    except BadPath:
        return
    assert parse_path(path_text(path)) == path


@FEW
@given(strategies.nodes)
def test_json_carries_a_whole_node_there_and_back(node: Node) -> None:
    sent = encode_node(node)
    root = new_element(f"{{{BASE}}}config", {None: BASE})
    JSON.fill(root, None, parse_json(WRITER.text(Found((), (sent,))), "/"), "/")
    assert not changes([sent], list(root), PLACES)
    SCHEMA.validate_data(list(root))


@FEW
@given(strategies.nodes)
def test_every_leaf_of_a_node_goes_there_and_back_by_itself(node: Node) -> None:
    reading = ValueReader(JSON)
    writing = ValueWriter(WRITER)
    for leaf in leaves(READER, Found((), (encode_node(node),))):
        schema_node = leaf.node
        assert schema_node is not None
        # PROTO has decimals as floating numbers, which hold the digits that decimal64 of this model has.
        for encoding in (pb.JSON_IETF, pb.JSON, pb.PROTO):
            back = reading.elements(schema_node, writing.write(leaf, encoding), "here")
            assert [schema_node.canonical(each) for each in back] == [
                schema_node.canonical(each) for each in leaf.elements
            ]


@FEW
@given(strategies.nodes)
def test_each_leaf_is_found_at_its_path_and_nowhere_else(node: Node) -> None:
    data = (encode_node(node),)
    for leaf in list(leaves(READER, Found((), data)))[:40]:
        path = to_path(leaf.steps, qualified=True)
        asked = read_pattern(pb.Path(), path, modules=PLACES.namespaces, max_elements=64)
        READER.check(asked)
        (found,) = find(READER, asked, data)
        assert found.mark == leaf.mark
        assert found.elements == leaf.elements


@FEW
@given(strategies.nodes, strategies.nodes)
def test_what_is_told_of_a_change_makes_one_tree_the_other(before: Node, after: Node) -> None:
    old, new = configured(before), configured(after)
    told = difference(READER, PLACES, [pattern("/")], changes(old, new, PLACES), new)
    request = pb.SetRequest(
        delete=[to_path(steps, qualified=False) for steps in told.gone],
        replace=[
            pb.Update(path=to_path(each.steps, qualified=False), val=value(each)) for each in told.values
        ],
    )
    applied = SETS.read(request)(Snapshot(old)).elements
    left = [
        each
        for each in changes(applied, new, PLACES)
        if each.kind != "move"  # the order of entries is not told
    ]
    assert not left


@FEW
@given(strategies.nodes, strategies.nodes)
def test_replacing_the_root_makes_any_node_of_any_other(before: Node, after: Node) -> None:
    wanted = configured(after)
    request = pb.SetRequest(replace=[pb.Update(path=pb.Path(), val=value(Found((), wanted)))])
    applied = SETS.read(request)(Snapshot(configured(before))).elements
    assert not changes(applied, wanted, PLACES)


@FEW
@given(strategies.nodes)
def test_updating_with_what_is_there_changes_nothing(node: Node) -> None:
    held = configured(node)
    request = pb.SetRequest(update=[pb.Update(path=pb.Path(), val=value(Found((), held)))])
    assert not changes(held, SETS.read(request)(Snapshot(held)).elements, PLACES)


@FEW
@given(strategies.nodes)
def test_deleting_all_entries_deletes_what_holds_them(node: Node) -> None:
    held = configured(node)
    one_by_one = pb.SetRequest(delete=[parse_path("/qkd_node/qkd_links/qkd_link"), parse_path(".../qkd_app")])
    at_once = pb.SetRequest(
        delete=[parse_path("/qkd_node/qkd_links"), parse_path("/qkd_node/qkd_applications")]
    )
    first = SETS.read(one_by_one)(Snapshot(held)).elements
    second = SETS.read(at_once)(Snapshot(held)).elements
    assert not changes(first, second, PLACES)
