"""The law of incremental validation: its verdict is that of a first look at everything.

A configuration is changed again and again, as by edits, and each state is judged twice: by a schema that
remembers what it has seen and by yangson alone, from scratch. Three schemas: an agent's, the controller's
(must, leafrefs, rules across entries), and one made of every condition that could trip the shortcut.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.yang.controller_samples import CONFIGURATION, kwn, tenant, tenants, topology
from tests.yang.made import schema_of
from tests.yang.samples import NODE, parse, wire

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind
from keyweave_yang.encode import encode_configuration
from keyweave_yang.nodes import NodeView
from keyweave_yang.schema import ModelSchema, load_schema

Config = list[etree._Element]

HARD = Path(__file__).parent.parent / "yang" / "hard.yang"

VALUES = (
    *("", "0", "1", "2", "3", "7", "256", "-1", "true", "false", "x", "bank", "city", "sae-a", "sae-d"),
    *("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000A", "permit", "deny", "*"),
    *("0.5", "2026-11-21T08:00:00Z", "severity-level", "major", "create read", "/", "TRANSMITTER"),
)
"""Texts of leaves: each is right for some and wrong for others."""

EDITS_MOST = 8


def agent_start() -> Config:
    nacm = next(element for element in CONFIGURATION if element.tag.endswith("nacm"))
    return [wire(encode_configuration(NODE)), deepcopy(nacm)]


def controller_start() -> Config:
    return [deepcopy(element) for element in CONFIGURATION] + [parse(topology())]


def hard_start() -> Config:
    def part(name: str, inner: str) -> etree._Element:
        return parse(f'<{name} xmlns="urn:hard">{inner}</{name}>')

    return [
        part("plain", "<row><id>1</id><mark>1</mark><deep><cell><x>1</x><y>1</y></cell></deep></row>" * 1),
        part(
            "inner",
            "<own-must><id>1</id><low>1</low><extra>1</extra><sub><id>1</id><tint>1</tint></sub>"
            "<by-sea>1</by-sea><sub-ref>1</sub-ref></own-must><own-must><id>2</id><high>2</high></own-must>",
        ),
        part(
            "lone",
            "<once><id>1</id><tint>1</tint></once><once><id>2</id><tint>2</tint></once>"
            "<few><id>1</id></few><left><id>1</id></left><sibling><id>1</id><next>1</next></sibling>"
            "<counted><id>1</id></counted><total>1</total><shown><id>1</id></shown>",
        ),
        part("targets", "<target><id>1</id></target><target><id>2</id><kind>1</kind></target>"),
        part(
            "pointers",
            "<pointer><id>1</id><to>1</to><lit>1</lit><loose>7</loose></pointer>"
            "<pointer><id>2</id><same>1</same></pointer>",
        ),
    ]


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> ModelSchema:
    return schema_of(tmp_path_factory.mktemp("hard"), hard=HARD.read_text())


def forgetful(schema: ModelSchema) -> ModelSchema:
    """The same schema without memory."""
    return ModelSchema(schema._model, tuple(schema.modules))


def verdict(validate: Callable[[Sequence[etree._Element]], None], config: Config) -> tuple[str, ...]:
    try:
        validate(config)
    except SchemaViolation as error:
        return (error.tag, error.app_tag or "", error.path)
    return ("valid",)


def within(config: Config) -> Config:
    """Every element, the top-level ones included."""
    return [element for top in config for element in top.iter()]


def view_of(schema: ModelSchema, element: etree._Element) -> NodeView | None:
    lineage = [element, *element.iterancestors()]
    view = schema.top(str(lineage.pop().tag))
    while view is not None and lineage:
        view = view.child(str(lineage.pop().tag))
    return view


def grown(schema: ModelSchema, parent: etree._Element, data: st.DataObject) -> None:
    """Put a child below `parent` that the schema knows there, with whatever value."""
    view = view_of(schema, parent)
    known = [] if view is None else [child for child in view.children() if child.config]
    if not known:
        return
    child = data.draw(st.sampled_from(known))
    made = etree.Element(child.tag)
    if child.leaf is not None:
        made.text = data.draw(st.sampled_from(VALUES))
    for tag in child.keys:
        etree.SubElement(made, tag).text = data.draw(st.sampled_from(VALUES))
    parent.insert(data.draw(st.integers(0, len(parent))), made)


def edit(schema: ModelSchema, config: Config, data: st.DataObject) -> None:
    """One random change, sensible or not."""
    everything = within(config)
    one = data.draw(st.sampled_from(everything))
    match data.draw(st.sampled_from(["value", "value", "grow", "grow", "remove", "repeat", "other", "top"])):
        case "value":
            leaves = [element for element in everything if len(element) == 0]
            leaf = data.draw(st.sampled_from(leaves))
            texts = [other.text or "" for other in leaves]
            leaf.text = data.draw(st.one_of(st.sampled_from(texts), st.sampled_from(VALUES)))
        case "grow":
            grown(schema, one, data)
        case "remove" if (parent := one.getparent()) is not None:
            parent.remove(one)
        case "repeat" if (parent := one.getparent()) is not None:
            parent.append(deepcopy(one))
        case "other" if (parent := one.getparent()) is not None:
            # the same entry under another key, as a new one beside it
            twin = deepcopy(one)
            keys = [element for element in twin if len(element) == 0]
            if keys:
                keys[0].text = data.draw(st.sampled_from(VALUES))
            parent.append(twin)
        case "top" if len(config) > 1:
            config.pop(data.draw(st.integers(0, len(config) - 1)))
        case _:
            pass


def judge_edits(schema: ModelSchema, start: Config, data: st.DataObject) -> None:
    remembering = forgetful(schema)
    config = start
    for _ in range(data.draw(st.integers(1, EDITS_MOST))):
        before = [deepcopy(element) for element in config]
        edit(schema, config, data)
        expected = verdict(schema.validate_afresh, config)
        # One that knows this example only, and one that has seen every example so far.
        assert verdict(remembering.validate, config) == expected
        assert verdict(schema.validate, config) == expected
        # A server undoes what is refused; going on from there as well finds what hides behind one fault.
        if expected != ("valid",) and data.draw(st.booleans()):
            config = before


def test_the_starts_are_valid_and_worth_remembering(hard: ModelSchema) -> None:
    for schema, start in (
        (load_schema("agent"), agent_start()),
        (load_schema("controller"), controller_start()),
        (hard, hard_start()),
    ):
        schema.validate_afresh(start)
        remembering = forgetful(schema)
        remembering.validate(start)
        seen = len(remembering._approvals)
        assert seen > 3
        remembering.validate(start)
        assert len(remembering._approvals) == seen


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_edits_of_an_agent(data: st.DataObject) -> None:
    judge_edits(load_schema("agent"), agent_start(), data)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_edits_of_the_controller(data: st.DataObject) -> None:
    judge_edits(load_schema("controller"), controller_start(), data)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_edits_of_what_could_trip_the_shortcut(hard: ModelSchema, data: st.DataObject) -> None:
    judge_edits(hard, hard_start(), data)


def test_what_an_approved_entry_points_at_may_go(hard: ModelSchema) -> None:
    """The traps by name: an entry untouched by the edit becomes wrong."""
    schema = load_schema("controller")
    start = controller_start()
    schema.validate(start)
    without = [element for element in start if not element.tag.endswith("}tenants")]
    for config in (without, [*without, tenants(tenant("city", "sae-c"))]):
        assert verdict(schema.validate, config)[:2] == ("data-missing", "instance-required")
    schema.validate(start)

    config = hard_start()
    hard.validate(config)
    off = [*config, parse('<switch xmlns="urn:hard">false</switch>')]
    assert verdict(hard.validate, off)[0] == "unknown-element"
    kind = config[3].find(".//{urn:hard}kind")
    assert kind is not None
    targets = config[3]
    etree.SubElement(targets[0], "{urn:hard}kind").text = "2"
    assert verdict(hard.validate, config)[1] == "must-violation"


def test_a_default_elsewhere_is_looked_at(hard: ModelSchema) -> None:
    hard.validate(hard_start())
    assert verdict(hard.validate, [*hard_start(), parse('<switch xmlns="urn:hard">true</switch>')]) == (
        "valid",
    )


def test_two_copies_of_an_unchanged_tree_are_refused() -> None:
    schema = load_schema("controller")
    policy = kwn("policy", "<closed-kept>7</closed-kept>")
    schema.validate([policy])
    assert verdict(schema.validate, [policy, deepcopy(policy)])[0] == "bad-element"


def test_kinds_are_what_the_walk_expects() -> None:
    """The generator grows leaves and lists, so the law is about more than removals."""
    view = load_schema("controller").top("{urn:keyweave:yang:keyweave-qkd-network}tenants")
    assert view is not None
    assert view.children()[0].kind is Kind.LIST
