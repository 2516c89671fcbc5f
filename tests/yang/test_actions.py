"""Calls of actions (RFC 7950 7.15.2): found at their node, their input checked, and nothing beside them."""

import pytest
from tests.yang.controller_samples import AL, KWA
from tests.yang.samples import parse

from keyweave_core.errors import SchemaViolation
from keyweave_yang.schema import load_schema

KEYS = (
    "<resource>link:1</resource><alarm-type-id>q:link-down</alarm-type-id>"
    "<alarm-type-qualifier></alarm-type-qualifier>"
)
WHERE = "/ietf-alarms:alarms/ietf-alarms:alarm-list"


def called(inner: str) -> str:
    return (
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><alarms xmlns="{AL}" xmlns:q="{KWA}">{inner}'
        "</alarms></action>"
    )


def set_state(keys: str = KEYS, said: str = "<state>ack</state><text>seen</text>") -> str:
    return called(
        f"<alarm-list><alarm>{keys}<set-operator-state>{said}</set-operator-state></alarm></alarm-list>"
    )


def test_an_action_of_a_list_entry() -> None:
    call = load_schema("controller").validate_action(parse(set_state()))
    assert call.element.tag == f"{{{AL}}}set-operator-state"
    assert call.node.tag == f"{{{AL}}}alarm"
    assert call.node.findtext(f"{{{AL}}}resource") == "link:1"
    assert [child.name for child in call.input.children()] == ["state", "text"]
    assert call.path == f"{WHERE}/ietf-alarms:alarm/ietf-alarms:set-operator-state"


def test_an_action_of_a_container() -> None:
    purge = "<purge-alarms><alarm-clearance-status>cleared</alarm-clearance-status></purge-alarms>"
    call = load_schema("controller").validate_action(
        parse(called(f"<!-- old ones --><alarm-list>{purge}</alarm-list>"))
    )
    assert call.path == f"{WHERE}/ietf-alarms:purge-alarms"


@pytest.mark.parametrize(
    ("text", "tag", "where"),
    [
        (set_state(keys=""), "missing-element", "alarm"),
        (set_state(keys=KEYS.replace("q:", "")), "invalid-value", ""),
        (set_state(said=""), "data-missing", "set-operator-state"),
        (set_state(said="<state>shelved</state>"), "invalid-value", "set-operator-state/ietf-alarms:state"),
        (set_state(said="<state>ack</state><nonsense/>"), "unknown-element", "set-operator-state"),
        (called(""), "missing-element", "alarms"),
        (called("<alarm-list/>"), "missing-element", "alarm-list"),
        (called("<alarm-list><nonsense/></alarm-list>"), "unknown-element", "alarm-list"),
        (called("<alarm-list/><control/>"), "bad-element", "alarms"),
        ('<action xmlns="urn:ietf:params:xml:ns:yang:1"><x xmlns="urn:x"/></action>', "unknown-element", ""),
        ('<action xmlns="urn:ietf:params:xml:ns:yang:1"/>', "missing-element", ""),
    ],
)
def test_what_is_no_call(text: str, tag: str, where: str) -> None:
    with pytest.raises(SchemaViolation) as caught:
        load_schema("controller").validate_action(parse(text))
    assert caught.value.tag == tag
    assert caught.value.path.endswith(where)
