"""Edits with marks: defaults given back, choices, and that what is new is made as what is merged."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from keyweave_core.netconf.data.edit import OPERATION, edit
from keyweave_core.netconf.data.nodes import container, leaf
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.rpc_errors import RpcError

Xml = Callable[[str], etree._Element]
WD = "xmlns:wd='urn:ietf:params:xml:ns:netconf:default:1.0'"
NODE = "/tiny:node"


def text(elements) -> str:
    return "".join(etree.tostring(each, with_tail=False).decode() for each in elements)


def relay(xml: Xml, places: SchemaMap, before: str, mark: str, value: str = "true") -> str | None:
    current = edit((), xml(f"<node><id>n</id><caps>{before}</caps></node>"), schema=places)
    config = xml(f"<node {WD}><caps><relay {mark}>{value}</relay></caps></node>")
    (node,) = edit(current, config, schema=places)
    return node.findtext("{urn:test:tiny}caps/{urn:test:tiny}relay")


@pytest.mark.parametrize("before", ["", "<relay>false</relay>", "<relay>true</relay>"])
@pytest.mark.parametrize("mark", ["wd:default='true'", "wd:default='1'"])
@pytest.mark.parametrize("operation", ["", "nc:operation='merge'", "nc:operation='replace'"])
def test_what_is_said_to_be_the_default_is_no_longer_set(
    xml: Xml, places: SchemaMap, before: str, mark: str, operation: str
) -> None:
    assert relay(xml, places, before, f"{mark} {operation}") is None


def test_a_false_mark_means_nothing_and_creating_wants_a_free_place(xml: Xml, places: SchemaMap) -> None:
    assert relay(xml, places, "", "wd:default='false'") == "true"
    assert relay(xml, places, "", "wd:default='true' nc:operation='create'") is None
    with pytest.raises(RpcError) as caught:
        relay(xml, places, "<relay>false</relay>", "wd:default='true' nc:operation='create'")
    assert caught.value.tag == "data-exists"


@pytest.mark.parametrize(
    ("config", "tag"),
    [
        ("<node><caps><relay wd:default='true'>false</relay></caps></node>", "invalid-value"),
        ("<node><version wd:default='true'>1</version></node>", "invalid-value"),
        ("<node><caps wd:default='true'/></node>", "invalid-value"),
        ("<node><caps><relay wd:default='yes'>true</relay></caps></node>", "bad-attribute"),
        ("<node><caps><relay wd:default='true'>true</relay><relay>true</relay></caps></node>", "bad-element"),
    ],
)
def test_a_mark_that_is_not_true_is_refused(xml: Xml, places: SchemaMap, config: str, tag: str) -> None:
    with pytest.raises(RpcError) as caught:
        edit((), xml(config.replace("<node", f"<node {WD}", 1)), schema=places)
    assert caught.value.tag == tag


@pytest.fixture
def choices(tiny, monkeypatch) -> SchemaMap:
    """A node with a choice of two cases, one of two leaves, and a choice inside the other."""
    node = container("way", leaf("plain"), leaf("a1"), leaf("a2"), leaf("b"), leaf("b1"), leaf("b2")).bind(
        "urn:test:tiny", "tiny"
    )
    outer, inner = "tiny:outer", "tiny:inner"
    for name, cases in {
        "a1": ((outer, "a"),),
        "a2": ((outer, "a"),),
        "b": ((outer, "b"),),
        "b1": ((outer, "b"), (inner, "1")),
        "b2": ((outer, "b"), (inner, "2")),
    }.items():
        found = node.child("{urn:test:tiny}" + name)
        monkeypatch.setattr(found, "cases", cases)
    monkeypatch.setattr(tiny, "top", lambda tag: node if tag.endswith("}way") else None)
    return SchemaMap(tiny)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<a1>x</a1>", {"plain", "a1", "a2"}),
        ("<b>x</b>", {"plain", "b"}),
        ("<b1>x</b1><b>y</b>", {"plain", "b", "b1"}),
        ("<b nc:operation='create'>x</b>", {"plain", "b"}),
        ("<b nc:operation='remove'/>", {"plain", "a1", "a2"}),
    ],
)
def test_a_node_of_one_case_makes_those_of_the_others_go(
    xml: Xml, choices, given: str, left: set[str]
) -> None:
    current = edit((), xml("<way><plain>p</plain><a1>1</a1><a2>2</a2></way>"), schema=choices)
    (way,) = edit(current, xml(f"<way>{given}</way>"), schema=choices)
    assert {etree.QName(child).localname for child in way} == left


def test_an_inner_choice_goes_on_in_its_case_and_two_cases_at_once_are_refused(xml: Xml, choices) -> None:
    current = edit((), xml("<way><b>0</b><b1>1</b1></way>"), schema=choices)
    (way,) = edit(current, xml("<way><b2>2</b2></way>"), schema=choices)
    assert [etree.QName(child).localname for child in way] == ["b", "b2"]
    for config in ("<way><a1>1</a1><b>2</b></way>", "<way><b1>1</b1><b2>2</b2></way>"):
        for start in ((), current):
            with pytest.raises(RpcError, match="another case"):
                edit(start, xml(config), schema=choices)
    switch = "<way><b nc:operation='remove'/><b1 nc:operation='remove'/><a1>1</a1></way>"
    (way,) = edit(current, xml(switch), schema=choices)
    assert [etree.QName(child).localname for child in way] == ["a1"]


LEAVES = st.sampled_from(
    ["<version>1</version>", "<id>n</id>", "<caps><relay>true</relay></caps>", "<caps/>", ""]
)
ENTRY = st.builds(
    lambda key, body: f"<link><id>{key}</id>{body}</link>",
    st.integers(1, 9),
    st.sampled_from(
        ["", "<rate>007</rate>", "<type>ty:PHYS</type>", "<hop>a</hop><hop>b</hop>", "<rate>x</rate>"]
    ),
)
CONFIG = st.builds(
    lambda leaf_text, entries, tags: (
        f"<node>{leaf_text}<links>{''.join(entries)}</links>{''.join(f'<tag>{t}</tag>' for t in tags)}</node>"
    ),
    LEAVES,
    st.lists(ENTRY, max_size=5),
    st.lists(st.sampled_from("abc"), max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(CONFIG)
def test_law_what_is_new_is_made_as_if_every_node_had_said_its_operation(
    xml: Xml, places: SchemaMap, config: str
) -> None:
    plain = xml(config)
    spelled = copy.deepcopy(plain)
    for element in spelled.iterdescendants("*"):
        element.set(OPERATION, "merge")

    def outcome(given: etree._Element) -> object:
        try:
            return text(edit((), given, schema=places))
        except RpcError as fault:
            return (fault.tag, fault.path, fault.message)

    assert outcome(plain) == outcome(spelled)
