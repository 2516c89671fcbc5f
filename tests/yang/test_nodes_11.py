"""What YANG 1.1 brings: unions, leafrefs, bits, choices, actions, marks of NACM."""

from pathlib import Path

import pytest
from lxml import etree
from tests.yang.controller_samples import AL, ALPHA, KWA, KWN, NACM, NT, NW
from tests.yang.made import schema_of
from tests.yang.samples import parse

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind
from keyweave_yang.nodes import NodeView
from keyweave_yang.schema import ModelSchema, load_schema

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"


@pytest.fixture(scope="module")
def schema() -> ModelSchema:
    return load_schema("controller")


def at(schema: ModelSchema, *tags: str) -> NodeView:
    view = schema.top(tags[0])
    for tag in tags[1:]:
        assert view is not None
        view = view.child(tag)
    assert view is not None
    return view


def al(*names: str) -> list[str]:
    return [f"{{{AL}}}{name}" for name in names]


def nacm(*names: str) -> list[str]:
    return [f"{{{NACM}}}{name}" for name in names]


def leaf(text: str, **prefixes: str) -> etree._Element:
    names = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in prefixes.items())
    return parse(f'<x xmlns="urn:x"{names}>{text}</x>')


def test_actions_and_notifications_are_no_data_children(schema: ModelSchema) -> None:
    alarm = at(schema, *al("alarms", "alarm-list", "alarm"))
    names = {view.name for view in alarm.children()}
    assert "perceived-severity" in names
    assert {"alarm-id", "cleared-at"} <= names
    assert not names & {"set-operator-state", "operator-action"}
    assert alarm.child(f"{{{AL}}}set-operator-state") is None


def test_actions_are_found_at_their_node(schema: ModelSchema) -> None:
    alarm = at(schema, *al("alarms", "alarm-list", "alarm"))
    action = alarm.action(f"{{{AL}}}set-operator-state")
    assert action is not None
    assert [view.name for view in action.children()] == ["state", "text"]
    purge = at(schema, *al("alarms", "alarm-list")).action(f"{{{AL}}}purge-alarms")
    assert purge is not None
    assert alarm.action(f"{{{AL}}}purge-alarms") is None
    assert action.child(f"{{{AL}}}state") is not None
    assert at(schema, *nacm("nacm", "enable-nacm")).action("x") is None


def test_features_that_are_not_announced_have_no_nodes(schema: ModelSchema) -> None:
    alarms = at(schema, *al("alarms"))
    assert [view.name for view in alarms.children()] == [
        "control",
        "alarm-inventory",
        "summary",
        "alarm-list",
    ]


def test_choices_are_seen_through_and_told(schema: ModelSchema) -> None:
    rule = at(schema, *nacm("nacm", "rule-list", "rule"))
    cases = {view.name: view.cases for view in rule.children() if view.cases}
    choice = "ietf-netconf-acm:rule-type"
    assert cases == {
        "rpc-name": ((choice, "ietf-netconf-acm:protocol-operation"),),
        "notification-name": ((choice, "ietf-netconf-acm:notification"),),
        "path": ((choice, "ietf-netconf-acm:data-node"),),
    }


def test_two_cases_of_a_choice_are_refused_as_such(schema: ModelSchema) -> None:
    config = parse(
        f'<nacm xmlns="{NACM}"><rule-list><name>a</name><rule><name>1</name><rpc-name>x</rpc-name>'
        "<path>/</path><action>deny</action></rule></rule-list></nacm>"
    )
    with pytest.raises(SchemaViolation, match="another case") as caught:
        schema.validate([config])
    assert caught.value.tag == "bad-element"
    assert caught.value.path.endswith("/ietf-netconf-acm:path")


def test_a_leafref_is_read_as_what_it_points_at(schema: ModelSchema) -> None:
    view = at(schema, f"{{{KWN}}}key-associations", f"{{{KWN}}}association", f"{{{KWN}}}tenant")
    assert view.kind is Kind.LEAF
    assert view.canonical(leaf("bank")) == "bank"
    with pytest.raises(SchemaViolation):
        view.check_leaf(leaf(""))


def test_a_union_takes_the_first_type_that_fits(schema: ModelSchema) -> None:
    limit = at(schema, *al("alarms", "control", "max-alarm-status-changes"))
    assert limit.default == "32"
    assert limit.canonical(leaf(" 0040 ")) == "40"
    assert limit.canonical(leaf("infinite")) == "infinite"
    with pytest.raises(SchemaViolation, match="no valid"):
        limit.check_leaf(leaf("many"))
    way = at(schema, f"{{{KWN}}}accounting", f"{{{KWN}}}usage", f"{{{KWN}}}virtual-link-id")
    assert way.canonical(leaf(ALPHA.upper())) == ALPHA
    assert way.canonical(leaf("none")) == "none"


def test_bits_are_a_set(schema: ModelSchema) -> None:
    access = at(schema, *nacm("nacm", "rule-list", "rule", "access-operations"))
    assert access.default == "*"
    assert access.canonical(leaf("exec\n create")) == access.canonical(leaf("create exec")) == "create exec"
    assert access.canonical(leaf("*")) == "*"
    for wrong in ("create create", "create jump"):
        with pytest.raises(SchemaViolation):
            access.check_leaf(leaf(wrong))


def test_an_instance_identifier_is_compared_by_its_modules(schema: ModelSchema) -> None:
    resource = at(schema, *al("alarms", "alarm-list", "alarm", "resource"))
    one = leaf(
        "/n:networks/n:network[n:network-id='qkd']/t:link[t:link-id = 'a:b/c']",
        n=NW,
        t=NT,
    )
    other = leaf(
        '/q:networks/q:network[q:network-id="qkd"]/nt:link[nt:link-id="a:b/c"]',
        q=NW,
        nt=NT,
    )
    assert resource.canonical(one) == resource.canonical(other)
    assert resource.canonical(one).startswith("/ietf-network:networks/ietf-network:network[")
    # What names no known module is a string of the union.
    assert resource.canonical(leaf("/x:y")) == "/x:y"
    assert resource.canonical(leaf("link:11111111")) == "link:11111111"


def test_an_identity_is_compared_by_its_module(schema: ModelSchema) -> None:
    kind = at(schema, *al("alarms", "alarm-list", "alarm", "alarm-type-id"))
    assert kind.canonical(leaf("q:link-down", q=KWA)) == "keyweave-qkd-alarms:link-down"
    with pytest.raises(SchemaViolation, match="no identity derived"):
        kind.check_leaf(leaf("link-down"))
    with pytest.raises(SchemaViolation, match="not declared"):
        kind.check_leaf(leaf("q:link-down"))


def test_an_empty_leaf_is_empty(schema: ModelSchema) -> None:
    notification = schema.notification(f"{{{KWN}}}node-changed")
    assert notification is not None
    removed = notification.child(f"{{{KWN}}}removed")
    assert removed is not None
    assert removed.canonical(leaf("\n  ")) == ""
    with pytest.raises(SchemaViolation, match="nothing may stand"):
        removed.check_leaf(leaf("x"))


def test_defaults_of_every_type(schema: ModelSchema) -> None:
    policy = at(schema, f"{{{KWN}}}policy")
    told = {view.name: view.default for view in policy.children()}
    assert (
        told.items()
        >= {
            "default-min-bandwidth-bps": "2000",
            "max-relay-hops": "16",
            "usable-share": "0.9",
            "wait-to-restore-s": "30.0",
            "guaranteed-strategy": "balanced",
            "preemption": "true",
        }.items()
    )


@pytest.mark.parametrize("which", ["agent", "controller"])
def test_marks_of_nacm_are_told_where_they_stand(which: str) -> None:
    schema = load_schema("agent" if which == "agent" else "controller")
    assert at(schema, *nacm("nacm")).default_deny == "all"
    assert at(schema, *nacm("nacm", "enable-nacm")).default_deny is None  # inheritance is for who enforces
    # ietf-netconf marks nothing: that kill-session and delete-config are denied is a rule of RFC 8341 3.4.4.
    operation = schema.operation(f"{{{NETCONF}}}kill-session")
    assert operation is not None
    assert operation.default_deny is None


def test_marks_of_nacm_at_operations_and_notifications(tmp_path: Path) -> None:
    text = """module marked {
      yang-version 1.1;
      namespace "urn:marked";
      prefix m;
      import ietf-netconf-acm { prefix nacm; }
      rpc reset { nacm:default-deny-all; input { leaf now { type empty; } } }
      notification secret { nacm:default-deny-all; leaf what { type string; } }
      container box { leaf lid { nacm:default-deny-write; type string; } }
    }"""
    schema = schema_of(tmp_path, marked=text)
    operation, notification = schema.operation("{urn:marked}reset"), schema.notification("{urn:marked}secret")
    assert operation is not None
    assert notification is not None
    assert (operation.default_deny, notification.default_deny) == ("all", "all")
    assert at(schema, "{urn:marked}box", "{urn:marked}lid").default_deny == "write"
