"""Validation that remembers: which parts it may approve, and the traps it must not fall into."""

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree
from tests.yang.controller_samples import CONFIGURATION, association, associations, tenant, tenants
from tests.yang.made import schema_of
from tests.yang.samples import FIBRE, NODE, link_xml, node_xml, wire

from keyweave_core.errors import SchemaViolation
from keyweave_yang.approvals import Approvals, Lookup, Rule, read_rules
from keyweave_yang.encode import encode_configuration
from keyweave_yang.schema import ModelSchema, load_schema


@pytest.fixture
def fresh() -> ModelSchema:
    """A schema that has seen nothing yet."""
    return forgetful(load_schema("agent"))


def forgetful(known: ModelSchema) -> ModelSchema:
    return ModelSchema(known._model, tuple(known.modules))


def found(schema: ModelSchema) -> dict[str, tuple[str, ...]]:
    """What may be approved, by data path: 'entry' or 'tree', 'plain', 'needed', names of the surroundings."""
    rules = read_rules(schema._model.schema)
    told: dict[str, tuple[str, ...]] = {}
    for kind, parts in (("entry", rules.entries), ("tree", rules.trees)):
        for node, rule in parts.items():
            marks = [kind, *(["plain"] if rule.plain else []), *(["needed"] if rule.needed else [])]
            told[node.data_path()] = (*marks, *(top.name for top, _ in rule.surroundings))
            told[node.data_path()] += tuple(f"-> {target[-1].data_path()}" for _, target in rule.references)
    return told


def test_what_may_be_approved_at_an_agent() -> None:
    root = "/etsi-qkd-sdn-node:qkd_node"
    assert found(load_schema("agent")) == {
        "/ietf-netconf-acm:nacm/groups/group": ("entry", "plain"),
        "/ietf-netconf-acm:nacm/rule-list": ("entry",),
        f"{root}/qkd_applications/qkd_app": ("entry", "plain"),
        f"{root}/qkd_interfaces/qkd_interface": ("entry", "plain"),
        f"{root}/qkd_links/qkd_link": ("entry",),  # conditions, all of them inside the link
    }


def test_what_may_be_approved_at_the_controller() -> None:
    told = found(load_schema("controller"))
    own = {path: marks for path, marks in told.items() if path.startswith("/keyweave")}
    assert own == {
        # An association stays valid while its tenant is there; a tenant depends on its neighbours.
        "/keyweave-qkd-network:key-associations/association": (
            "entry",
            "-> /keyweave-qkd-network:tenants/tenant/name",
        ),
        "/keyweave-qkd-network:tenants": ("tree", "needed"),
        "/keyweave-qkd-network:policy": ("tree",),
        "/keyweave-qkd-network:tariff": ("tree",),
    }
    assert told["/ietf-alarms:alarms"] == ("tree",)


def test_what_depends_on_its_neighbours_is_never_approved(tmp_path: Path) -> None:
    text = (Path(__file__).parent / "hard.yang").read_text()
    assert found(schema_of(tmp_path, hard=text)) == {
        "/hard:switch": ("tree", "needed"),
        "/hard:plain/row": ("entry", "plain"),
        "/hard:inner/own-must": ("entry",),
        # unique, counts, a choice, references among siblings: as a whole only
        "/hard:lone": ("tree",),
        "/hard:targets": ("tree", "needed"),
        "/hard:pointers/pointer": ("entry", "switch", "targets", "-> /hard:targets/target/id"),
    }


def test_a_condition_that_is_not_understood_forbids_everything(tmp_path: Path) -> None:
    text = """module wild {
      yang-version 1.1;
      namespace "urn:wild";
      prefix w;
      container a { list e { key "k"; leaf k { type uint8; } } }
      container b { leaf x { type uint8; must "count(//w:e) < 3"; } }
    }"""
    schema = schema_of(tmp_path, wild=text)
    assert found(schema) == {}
    entries = "".join(f"<e><k>{number}</k></e>" for number in range(3))
    config = [
        etree.fromstring(f'<a xmlns="urn:wild">{entries}</a>'),
        etree.fromstring('<b xmlns="urn:wild"><x>1</x></b>'),
    ]
    for _ in range(2):
        with pytest.raises(SchemaViolation, match="must-violation"):
            schema.validate(config)
    schema.validate(config[:1])


def test_an_instance_identifier_may_point_at_anything(tmp_path: Path) -> None:
    text = """module points {
      yang-version 1.1;
      namespace "urn:points";
      prefix p;
      container a { list e { key "k"; leaf k { type uint8; } } }
      leaf at { type instance-identifier; }
    }"""
    schema = schema_of(tmp_path, points=text)
    assert found(schema) == {}
    box = etree.fromstring('<a xmlns="urn:points"><e><k>1</k></e></a>')
    good, bad = (
        etree.fromstring(f"<at xmlns='urn:points' xmlns:q='urn:points'>/q:a/q:e[q:k=\"{key}\"]</at>")
        for key in (1, 2)
    )
    schema.validate([box, good])
    with pytest.raises(SchemaViolation) as caught:
        schema.validate([box, bad])
    assert caught.value.app_tag == "instance-required"


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
    with pytest.raises(SchemaViolation, match="qkd_node") as caught:
        fresh.validate([])
    assert caught.value.tag == "data-missing"


def test_an_association_is_looked_at_again_when_its_tenant_goes() -> None:
    schema = forgetful(load_schema("controller"))
    held = associations(association("<tenant>bank</tenant>"))
    schema.validate([held, tenants(tenant("bank"))])
    seen = len(schema._approvals)
    for others in ((tenant("bank"), tenant("city")), (tenant("bank", "sae-a"),)):
        seen += 1  # the tree of tenants, and not the association
        schema.validate([held, tenants(*others)])
        assert len(schema._approvals) == seen
    for gone in ([held], [held, tenants(tenant("city"))]):
        with pytest.raises(SchemaViolation) as caught:
            schema.validate(gone)
        assert caught.value.app_tag == "instance-required"


def test_memory_is_bounded_and_keeps_what_is_in_use() -> None:
    approvals = Approvals(most=4)
    rule, top = Rule(mark=b"qkd_node "), load_schema().tops()[0]
    for number in range(20):
        for text in ("kept", str(number)):
            lookup = Lookup(read_rules(load_schema()._model.schema), approvals, {})
            lookup.approved(rule, top, encode_configuration(replace(NODE, version=text)))
            assert (text == "kept" and number > 0) == (not lookup.unseen)
            lookup.keep()
    assert len(approvals) <= 8


def test_a_whole_configuration_is_remembered_by_its_parts() -> None:
    schema = forgetful(load_schema("controller"))
    schema.validate(CONFIGURATION)
    # two associations, one rule list; the trees of policy, tenants, tariff and alarms
    assert len(schema._approvals) == 7
