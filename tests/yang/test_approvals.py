"""Validation that remembers: the same verdict as without memory, and only where that is sound."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.yang import strategies
from tests.yang.samples import ALPHA, FIBRE, NODE, PATH, link_xml, node_xml, wire

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.node import Node
from keyweave_yang.approvals import SELF_CONTAINED, Approvals
from keyweave_yang.encode import encode_configuration
from keyweave_yang.schema import ModelSchema, load_schema
from keyweave_yang.sources import find_source, our_folders


@pytest.fixture
def fresh() -> ModelSchema:
    """A schema that has seen nothing yet."""
    known = load_schema("agent")
    return ModelSchema(known._model, tuple(known.modules))


def test_the_lists_named_stand_for_themselves() -> None:
    """No constraint of the modules reaches out of an entry: what the shortcut rests on."""
    for name in ("etsi-qkd-sdn-node", "etsi-qkd-node-types", "keyweave-qkd-node"):
        text = find_source(name, our_folders()).text
        assert not re.search(r"^\s*(must|unique|path|type instance-identifier)\b", text, re.MULTILINE)
        conditions = re.findall(r'^\s*when "([^"]+)"', text, re.MULTILINE)
        # each looks at the type of its own link: beside it, or one step up from a child of the entry
        assert all(re.fullmatch(r"(\.\./)?(etsi-qkdn:)?qkdl_type = '[^']+'", found) for found in conditions)
    assert {tag.rpartition("}")[2] for tag in SELF_CONTAINED} == {"qkd_app", "qkd_interface", "qkd_link"}


def test_a_second_look_costs_no_conversion(fresh: ModelSchema) -> None:
    config = wire(encode_configuration(NODE))
    fresh.validate([config])
    seen = len(fresh._approvals)
    assert seen == len(NODE.links) + len(NODE.applications) + len(NODE.interfaces)
    fresh.validate([config])
    assert len(fresh._approvals) == seen


def test_what_was_refused_is_refused_again(fresh: ModelSchema) -> None:
    bad = link_xml("<virt_bandwidth>1</virt_bandwidth>")
    for _ in range(2):
        with pytest.raises(SchemaViolation, match="when"):
            fresh.validate([bad])
    assert len(fresh._approvals) == 0


def test_an_approved_entry_given_twice_is_refused(fresh: ModelSchema) -> None:
    fresh.validate([link_xml("")])
    entry = f"<qkd_link><qkdl_id>{FIBRE}</qkdl_id></qkd_link>"
    for pair in (
        entry * 2,
        entry + entry.replace(FIBRE, FIBRE.upper()).replace("</qkd_link>", " </qkd_link>"),
    ):
        with pytest.raises(SchemaViolation, match="two list entries") as caught:
            fresh.validate([node_xml(f"<qkd_links>{pair}</qkd_links>")])
        assert caught.value.app_tag == "data-not-unique"


def test_the_same_text_with_another_meaning_is_looked_at_again(fresh: ModelSchema) -> None:
    fresh.validate([link_xml("<qkdl_type>t:PHYS</qkdl_type>")])
    other = node_xml(
        '<qkd_links xmlns:t="urn:vendor"><qkd_link>'
        f"<qkdl_id>{FIBRE}</qkdl_id><qkdl_type>t:PHYS</qkdl_type></qkd_link></qkd_links>"
    )
    with pytest.raises(SchemaViolation, match="unknown module"):
        fresh.validate([other])


def test_what_surrounds_the_entries_is_always_checked(fresh: ModelSchema) -> None:
    config = wire(encode_configuration(NODE))
    fresh.validate([config])
    config.remove(config[0])
    with pytest.raises(SchemaViolation, match="qkdn_id"):
        fresh.validate([config])


@settings(max_examples=40, deadline=None)
@given(strategies.nodes, st.data())
def test_the_verdict_is_that_of_a_first_look(node: Node, data: st.DataObject) -> None:
    known = load_schema("agent")
    config = wire(encode_configuration(node))
    known.validate([config])
    leaves = [leaf for leaf in config.iter() if len(leaf) == 0]
    spoilt = data.draw(st.sampled_from(leaves))
    spoilt.text = data.draw(st.sampled_from(["", "x", "1", "true", ALPHA, PATH, "etsi-qkd-node-types:VIRT"]))

    def verdict(schema: ModelSchema) -> str:
        try:
            schema.validate([config])
        except SchemaViolation as error:
            return f"{error} {error.tag}"
        return "valid"

    assert verdict(known) == verdict(ModelSchema(known._model, tuple(known.modules)))


def test_memory_is_bounded() -> None:
    approvals = Approvals(most=2)
    digests = [
        approvals.digest(encode_configuration(replace(NODE, version=str(number)))) for number in range(5)
    ]
    for digest in digests:
        approvals.add([digest])
    assert len(approvals) <= 2
    assert digests[-1] in approvals
