"""Laws of the codec: what is written is valid, and what is read back is what was written."""

import contextlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.yang import strategies
from tests.yang.samples import ALPHA, FIBRE, NODE, node_xml, wire

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import Application
from keyweave_core.model.link import Interface, Link, LinkPerformance
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import Notification
from keyweave_yang.decode import decode_configuration, decode_node, decode_notification
from keyweave_yang.encode import (
    encode_configuration,
    encode_node,
    encode_notification,
    encode_state,
)
from keyweave_yang.namespaces import etsi
from keyweave_yang.schema import load_schema

FEW = settings(max_examples=60, deadline=None)


def _observed(node: Node) -> Node:
    return replace(node, links=tuple(replace(link, requested_status=None) for link in node.links))


def _configured_link(link: Link) -> Link:
    return replace(link, status=None, performance=LinkPerformance(), pool=None, quarantine=None)


def _configured_application(app: Application) -> Application:
    return replace(app, status=None, creation_time=None, statistics=(), origin=None)


def _configured_interface(interface: Interface) -> Interface:
    return replace(interface, status=None)


def _configured(node: Node) -> Node:
    return replace(
        node,
        status=None,
        links=tuple(map(_configured_link, node.links)),
        applications=tuple(map(_configured_application, node.applications)),
        interfaces=tuple(map(_configured_interface, node.interfaces)),
    )


@FEW
@given(strategies.nodes)
def test_a_node_written_is_valid_and_read_back_whole(node: Node) -> None:
    sent = wire(encode_node(node))
    load_schema("agent").validate_data([sent])
    assert decode_node(sent) == (_observed(node), ())


@FEW
@given(strategies.nodes)
def test_a_configuration_written_is_valid_and_read_back_whole(node: Node) -> None:
    sent = wire(encode_configuration(node))
    load_schema("agent").validate([sent])
    assert decode_configuration([sent]) == _configured(node)
    assert decode_node(sent, configuration=True) == (_configured(node), ())


@FEW
@given(strategies.nodes)
def test_state_is_valid_alone_and_with_the_configuration_makes_the_node(node: Node) -> None:
    state = wire(encode_state(node))
    load_schema("agent").validate_state([state])
    # Nothing that can be configured is told as state, but the status a link is observed in.
    written = {element.tag for element in encode_configuration(_configured(node)).iter()}
    told = {element.tag for element in state.iter() if element.text}
    keys = {"qkdl_id", "app_id", "qkdi_id", "qkdl_status"}
    assert {etree.QName(tag).localname for tag in written & told} <= keys | {"perf_type", "value"}


@FEW
@given(strategies.notifications)
def test_every_notification_is_valid_and_read_back_whole(notification: Notification) -> None:
    sent = wire(encode_notification(notification))
    load_schema("agent").validate_notification(sent)
    assert decode_notification(sent) == notification


@FEW
@given(strategies.nodes, strategies.texts, strategies.uint32)
def test_one_spoilt_value_never_costs_more_than_itself(node: Node, text: str, where: int) -> None:
    sent = wire(encode_node(node))
    leaves = [leaf for leaf in sent.iter() if len(leaf) == 0]
    spoilt = leaves[where % len(leaves)]
    spoilt.text = text
    try:
        read, faults = decode_node(sent)
    except SchemaViolation:
        assert etree.QName(spoilt).localname == "qkdn_id"
        return
    assert read.node_id
    whole = _observed(node)
    differing = [name for name in ("interfaces", "links", "applications") if _at_odds(read, whole, name)]
    assert len(differing) <= 1
    assert all("qkd_node/" in fault for fault in faults)


_NAMES = sorted({etree.QName(element).localname for element in encode_node(NODE).iter()})
_trees = st.recursive(
    st.tuples(st.sampled_from(_NAMES), st.sampled_from(["", "1", "x", ALPHA, FIBRE, "-1", "true", "t:PHYS"])),
    lambda inner: st.tuples(st.sampled_from(_NAMES), st.lists(inner, max_size=4)),
    max_leaves=20,
)


def _grown(name: str, content: object) -> etree._Element:
    element = etree.Element(etsi(name))
    if isinstance(content, str):
        element.text = content
    else:
        assert isinstance(content, list)
        for child in content:
            element.append(_grown(*child))
    return element


@settings(max_examples=150, deadline=None)
@given(st.lists(_trees, max_size=6))
def test_no_shape_of_data_stops_the_reader(children: list[tuple[str, object]]) -> None:
    node = node_xml("")
    for child in children:
        node.append(_grown(*child))
    read, faults = decode_node(node)
    assert read.node_id == ALPHA
    assert all(isinstance(fault, str) for fault in faults)
    with contextlib.suppress(SchemaViolation):
        load_schema("agent").validate([node])


def _at_odds(read: Node, whole: Node, name: str) -> bool:
    return bool(getattr(read, name) != getattr(whole, name))
