"""Defaults in use, as the schema of an agent and of the controller know them."""

import pytest
from lxml import etree
from tests.yang.samples import node_xml

from keyweave_core.netconf.data.defaults import Mode, reported
from keyweave_core.netconf.ports import DEFAULT
from keyweave_yang.namespaces import etsi
from keyweave_yang.schema import load_schema

NACM = "{urn:ietf:params:xml:ns:yang:ietf-netconf-acm}"


def added(elements) -> dict[str, str | None]:
    return {
        etree.QName(each).localname: each.text
        for top in elements
        for each in top.iter("*")
        if each.get(DEFAULT)
    }


@pytest.fixture
def tree() -> etree._Element:
    return node_xml(
        "<qkd_links><qkd_link><qkdl_id>11111111-0000-4000-8000-000000000001</qkdl_id>"
        "<qkdl_type>t:VIRT</qkdl_type></qkd_link></qkd_links>"
    )


def test_what_is_missing_is_added_with_a_mark_and_the_given_stays(tree) -> None:
    schema = load_schema("agent")
    before = etree.tostring(tree)
    done = schema.with_defaults([tree])
    assert etree.tostring(tree) == before
    found = added(done)
    assert found["qkdl_enable"] == "true"
    assert found["key_relay_mode_enable"] == "true", "in a container that nobody made"
    assert (found["enable-nacm"], found["write-default"]) == ("true", "deny")
    assert "in-rpcs" not in found, "figures that nobody observed have no default"
    assert done[0].tag == tree.tag


def test_nothing_is_added_twice_and_trimming_takes_away_what_was_added(tree) -> None:
    schema = load_schema("agent")
    once = reported([tree], Mode.REPORT_ALL, schema)
    assert added(schema.with_defaults(once)) == {}
    for top in once:
        assert not any(each.get(DEFAULT) for each in top.iter("*"))
    config = [each for each in once if each.tag == tree.tag]
    trimmed = reported(config, Mode.TRIM, schema)
    assert [etree.tostring(each) for each in trimmed] == [etree.tostring(tree)]
    assert reported([tree], None, schema)[0] is tree


def test_a_default_says_when_its_condition_holds_only(tree) -> None:
    """The leaves of a fibre are none of a virtual link."""
    schema = load_schema("agent")
    (link,) = schema.with_defaults([tree])[0].iter(etsi("qkd_link"))
    names = {etree.QName(each).localname for each in link}
    assert not any(name.startswith("phys_") for name in names)


def test_what_was_completed_is_valid() -> None:
    schema = load_schema("controller")
    full = reported([], Mode.REPORT_ALL, schema)
    schema.validate(full)
    assert f"{NACM}nacm" in [each.tag for each in full]
