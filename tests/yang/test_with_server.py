"""The trees of this package in the hands of the NETCONF server: cut up, copied, merged, edited."""

import copy
from dataclasses import replace

from lxml import etree
from tests.yang.samples import ASSOCIATION, BETA, FIBRE, NODE, PATH, VIRTUAL, parse, wire

from keyweave_core.model.link import VirtualSpec
from keyweave_core.netconf.data.edit import Operation, edit
from keyweave_core.netconf.data.filters import select
from keyweave_core.netconf.data.overlay import overlay
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_yang.decode import decode_configuration, decode_node
from keyweave_yang.edits import edit_config, figures_filter, node_filter, usage_filter
from keyweave_yang.encode import encode_configuration, encode_node, encode_state
from keyweave_yang.namespaces import ETSI_NODE, NETCONF
from keyweave_yang.schema import load_schema


def _config(inner: etree._Element) -> etree._Element:
    config = etree.Element(f"{{{NETCONF}}}config")
    config.append(inner)
    return wire(config)


def test_an_edit_of_ours_becomes_the_configuration_it_means() -> None:
    schema = load_schema("agent")
    before = replace(NODE, applications=())
    moved = replace(VIRTUAL, virtual=VirtualSpec(next_hops=(BETA,), bandwidth_bps=77))
    change = _config(edit_config((moved,), (ASSOCIATION,), (FIBRE,)))
    after = edit([wire(encode_configuration(before))], change, schema=SchemaMap(schema))
    schema.validate(after)
    node = decode_configuration(after)
    assert [link.link_id for link in node.links] == [PATH]
    assert node.links[0].virtual == moved.virtual
    assert node.links[0].relay_method is moved.relay_method
    assert [app.app_id for app in node.applications] == [ASSOCIATION.app_id]
    again = edit(after, change, schema=SchemaMap(schema))
    assert decode_configuration(again) == node


def test_state_over_configuration_is_the_whole_node() -> None:
    schema = load_schema("agent")
    merged = overlay([encode_configuration(NODE)], [encode_state(NODE)], schema.top)
    schema.validate_data(merged)
    assert decode_node(merged)[0] == NODE
    # a configuration that a client replaced from the top
    change = _config(encode_configuration(NODE))
    rewritten = edit([], change, schema=SchemaMap(schema), default=Operation.REPLACE)
    merged = overlay(rewritten, [encode_state(NODE)], schema.top)
    schema.validate_data(merged)
    assert decode_node(merged)[0] == NODE


def test_filters_choose_what_the_controller_polls() -> None:
    schema = load_schema("agent")
    whole = [wire(encode_node(NODE))]
    assert decode_node(select([node_filter()], whole, schema.top)) == (NODE, ())
    figures, faults = decode_node(select([figures_filter()], whole, schema.top))
    assert faults == ()
    assert [(link.performance, link.pool, link.status) for link in figures.links] == [
        (link.performance, link.pool, link.status) for link in NODE.links
    ]
    assert figures.applications == ()
    usage, faults = decode_node(select([usage_filter()], whole, schema.top))
    assert faults == ()
    assert usage.applications[0].statistics == ASSOCIATION.statistics
    assert usage.links == ()


def test_every_part_can_live_in_another_tree() -> None:
    tree = encode_configuration(NODE)
    bare = parse(f'<qkd_node xmlns="{ETSI_NODE}"/>')
    for part in tree:
        bare.append(copy.deepcopy(part))
    # read strictly: an identity whose prefix went missing would be refused
    assert decode_configuration(wire(bare)) == decode_configuration(tree)
