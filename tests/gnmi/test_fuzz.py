"""Whatever a client sends is a change or an error of ours; nothing else escapes, and nothing is half done."""

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from tests.gnmi.node import AT_LINK, INITIAL, LINK
from tests.gnmi.test_laws import PLACES, READER, SETS, stored

from keyweave_core.errors import InvalidInput
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.stores.datastores import Snapshot
from keyweave_gnmi.matching import find
from keyweave_gnmi.paths import read_pattern
from keyweave_gnmi.text_paths import parse_path
from keyweave_proto.gnmi import gnmi_pb2 as pb

SOME = settings(max_examples=200, deadline=None)
HELD = stored([parse_xml(INITIAL.encode())])

words = st.sampled_from(
    [
        "qkd_node",
        "qkd_links",
        "qkd_link",
        "qkdl_id",
        "qkdl_enable",
        "client_app_id",
        "qkd_applications",
        "qkd_app",
        "etsi-qkd-sdn-node:qkd_node",
        "nacm",
        "groups",
        *("*", "...", "", ":", "a:b", "x"),
    ]
)
keys = st.dictionaries(
    st.sampled_from(["qkdl_id", "app_id", "", "x:qkdl_id"]),
    st.sampled_from([LINK, "*", "", "\x00", "]"]),
    max_size=2,
)
paths: SearchStrategy[pb.Path] = st.one_of(
    st.builds(pb.Path, elem=st.lists(st.builds(pb.PathElem, name=words, key=keys), max_size=5)),
    st.sampled_from([parse_path(AT_LINK), parse_path("/qkd_node/qkd_links/qkd_link"), pb.Path()]),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
values: SearchStrategy[pb.TypedValue] = st.one_of(
    trees.map(lambda tree: pb.TypedValue(json_ietf_val=json.dumps(tree).encode())),
    trees.map(lambda tree: pb.TypedValue(json_val=json.dumps(tree).encode())),
    st.binary(max_size=8).map(lambda raw: pb.TypedValue(json_ietf_val=raw)),
    st.text(max_size=5).map(lambda text: pb.TypedValue(string_val=text)),
    st.floats().map(lambda number: pb.TypedValue(double_val=number)),
    st.integers(0, 2**64 - 1).map(lambda number: pb.TypedValue(uint_val=number)),
    st.just(pb.TypedValue()),
)
updates = st.lists(st.builds(pb.Update, path=paths, val=values), max_size=3)
requests = st.builds(
    pb.SetRequest, prefix=paths, delete=st.lists(paths, max_size=2), replace=updates, update=updates
)


@SOME
@given(requests)
def test_a_set_is_a_change_or_an_error_of_ours(request: pb.SetRequest) -> None:
    before = Snapshot(HELD).xml
    with contextlib.suppress(InvalidInput):
        SETS.read(request)(Snapshot(HELD))
    assert Snapshot(HELD).xml == before


@SOME
@given(paths, paths)
def test_a_path_is_found_or_refused(prefix: pb.Path, path: pb.Path) -> None:
    try:
        pattern = read_pattern(prefix, path, modules=PLACES.namespaces, max_elements=64)
        READER.check(pattern)
    except InvalidInput:
        return
    marks = [found.mark for found in find(READER, pattern, HELD)]
    assert len(marks) == len(set(marks))
