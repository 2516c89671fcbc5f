"""Access control at the four doors, case by case."""

from collections.abc import Callable

import pytest
from lxml import etree

from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.access import AccessControl, User
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.initial import initial_nacm
from keyweave_core.netconf.server.nacm.rules import NACM

ONE = "urn:test:one"
ADA = User("ada")  # in group g by configuration
EVE = User("eve")  # in no group
OUT = User("oma", frozenset({"g"}))  # in group g by the transport
ROOT = User("root", recovery=True)

Ruled = Callable[..., Nacm]
Tree = Callable[[str], list[etree._Element]]

DATA = (
    "<net><name>n</name><secret>s</secret><fixed><f>1</f></fixed>"
    "<e><k>1</k><v>one</v><c><x>a</x><y>b</y></c></e><e><k>2</k><v>two</v></e></net><o:other><o:o>x</o:o></o:other>"
)


def call(name: str, namespace: str = BASE) -> etree._Element:
    return etree.Element(f"{{{namespace}}}{name}")


def fault_of(action: Callable[[], None]) -> RpcError | None:
    try:
        action()
    except RpcError as fault:
        return fault
    return None


def may_call(nacm: AccessControl, user: User, name: str, namespace: str = BASE) -> bool:
    fault = fault_of(lambda: nacm.check_operation(user, call(name, namespace)))
    assert fault is None or (fault.tag, fault.type) == ("access-denied", "protocol")
    return fault is None


def text_of(elements: object) -> str:
    text = "".join(etree.tostring(element, encoding="unicode") for element in elements)  # type: ignore[attr-defined] # a test
    for declaration in (f' xmlns="{ONE}"', ' xmlns:o="urn:test:two"', f' xmlns="{NACM}"'):
        text = text.replace(declaration, "")
    return text


def denial(nacm: Nacm, user: User, before: list[etree._Element], after: list[etree._Element]) -> str | None:
    fault = fault_of(lambda: nacm.check_changes(user, before, after))
    assert fault is None or (fault.tag, fault.type) == ("access-denied", "application")
    return None if fault is None else fault.path.replace("one:", "")


def test_without_rules_reading_is_free_writing_is_not_and_marks_hold(ruled: Ruled, tree: Tree) -> None:
    nacm = ruled()
    data = tree(DATA)
    assert text_of(nacm.readable(EVE, data)) == DATA.replace("<secret>s</secret>", "")
    assert nacm.readable(ROOT, data) is data
    assert denial(nacm, EVE, data, tree(DATA.replace("one", "uno"))) == "/net/e[k='1']/v"
    assert denial(nacm, ROOT, data, []) is None
    assert may_call(nacm, EVE, "get")
    assert may_call(nacm, EVE, "edit-config")
    assert not may_call(nacm, EVE, "kill-session")
    assert not may_call(nacm, EVE, "delete-config")
    assert not may_call(nacm, EVE, "reset", ONE)
    assert may_call(nacm, ROOT, "kill-session")
    assert nacm.may_receive(EVE, call("loud", ONE))
    assert not nacm.may_receive(EVE, call("quiet", ONE))
    counters = nacm.state()[0]
    assert [leaf.text for leaf in counters] == ["3", "1", "1"]


def test_disabled_access_control_denies_nothing(ruled: Ruled, tree: Tree) -> None:
    nacm = ruled("deny *", settings="<enable-nacm>false</enable-nacm>")
    data = tree(DATA)
    assert nacm.readable(ADA, data) is data
    assert may_call(nacm, ADA, "kill-session")
    assert denial(nacm, ADA, data, []) is None


def test_close_session_and_the_end_of_a_replay_are_never_denied(ruled: Ruled) -> None:
    nacm = ruled("deny *")
    assert may_call(nacm, ADA, "close-session")
    assert not may_call(nacm, ADA, "get")
    assert nacm.may_receive(ADA, call("replayComplete", "urn:ietf:params:xml:ns:netmod:notification"))
    assert not nacm.may_receive(ADA, call("loud", ONE))


def test_groups_come_from_configuration_and_from_the_transport(ruled: Ruled) -> None:
    nacm = ruled("deny exec rpc=lock")
    assert [may_call(nacm, user, "lock") for user in (ADA, OUT, EVE)] == [False, False, True]
    inside = ruled("deny exec rpc=lock", settings="<enable-external-groups>false</enable-external-groups>")
    assert [may_call(inside, user, "lock") for user in (ADA, OUT, EVE)] == [False, True, True]
    # '*' is every group, but not the lack of one.
    anyone = ruled("deny exec rpc=lock", group="*")
    assert [may_call(anyone, user, "lock") for user in (ADA, OUT, EVE)] == [False, False, True]


def test_the_first_rule_that_matches_decides(ruled: Ruled, tree: Tree) -> None:
    data = tree(DATA)
    nacm = ruled("permit read path=/a:net/a:e[a:k='1']/a:v", "deny read path=/a:net/a:e/a:v", "permit *")
    text = text_of(nacm.readable(ADA, data))
    assert "<v>one</v>" in text
    assert "<v>two</v>" not in text
    assert "<e><k>2</k></e>" in text
    assert "<secret>s</secret>" in text
    assert nacm.readable(EVE, data) != data


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("deny read path=/a:net",), "<o:other><o:o>x</o:o></o:other>"),
        (("deny read path=/",), ""),
        (("deny read module=one",), "<o:other><o:o>x</o:o></o:other>"),
        (("permit read module=one", "deny read"), DATA.partition("<o:other>")[0]),
        (
            ("deny read path=/a:net/a:e/a:c/a:x", "deny read module=two", "permit *"),
            DATA.partition("<o:other>")[0].replace("<x>a</x>", ""),
        ),
        # A key stays with its entry, and nothing opens what lies below a denied node.
        (("deny read path=/a:net/a:e/a:k", "permit *"), DATA),
        (("permit read path=/a:net/a:e/a:c", "deny read path=/a:net", "deny read module=two"), ""),
        (("deny create,update,delete,exec path=/a:net", "permit *"), DATA),
        (("deny read rpc=get", "deny read notification=loud", "permit *"), DATA),
    ],
)
def test_reading_leaves_out_what_is_denied(
    ruled: Ruled, tree: Tree, rules: tuple[str, ...], expected: str
) -> None:
    data = tree(DATA)
    before = text_of(data)
    chosen = ruled(*rules).readable(ADA, data)
    assert text_of(chosen) == expected
    assert text_of(data) == before
    if expected == DATA:
        assert chosen is data


def test_a_path_may_name_the_user(ruled: Ruled, tree: Tree) -> None:
    data = tree("<net><e><k>ada</k><v>1</v></e><e><k>oma</k><v>2</v></e></net>")
    nacm = ruled("permit * path=/a:net/a:e[a:k=$USER]", "deny * path=/a:net/a:e", "permit *")
    assert text_of(nacm.readable(ADA, data)) == "<net><e><k>ada</k><v>1</v></e></net>"
    assert text_of(nacm.readable(OUT, data)) == "<net><e><k>oma</k><v>2</v></e></net>"
    mine = tree("<net><e><k>ada</k><v>3</v></e><e><k>oma</k><v>2</v></e></net>")
    assert denial(nacm, ADA, data, mine) is None
    assert denial(nacm, OUT, data, mine) == "/net/e[k='ada']/v"


@pytest.mark.parametrize(
    ("rules", "after", "denied"),
    [
        (("permit create path=/a:net/a:e",), "<e><k>3</k><v>x</v></e>", None),
        (("permit update path=/a:net/a:e",), "<e><k>3</k><v>x</v></e>", "/net/e[k='3']"),
        (("deny create path=/a:net/a:e/a:v", "permit *"), "<e><k>3</k><v>x</v></e>", "/net/e[k='3']/v"),
        (("deny create path=/a:net/a:e/a:v", "permit *"), "<e><k>3</k></e>", None),
        (("permit delete path=/a:net/a:fixed",), "-fixed", None),
        (("permit delete path=/a:net/a:fixed/a:f",), "-fixed", None),
        (("permit * module=one",), "-fixed", None),
        (("permit create,update,delete module=two",), "-fixed", "/net/fixed/f"),
        ((), "", None),  # what does not change needs no right
    ],
)
def test_writing_wants_a_right_for_every_node_that_differs(
    ruled: Ruled, tree: Tree, rules: tuple[str, ...], after: str, denied: str | None
) -> None:
    new = (
        DATA.replace("<fixed><f>1</f></fixed>", "")
        if after == "-fixed"
        else DATA.replace("</net>", f"{after}</net>")
    )
    nacm = ruled(*rules)
    assert denial(nacm, ADA, tree(DATA), tree(new)) == denied
    assert nacm.denied_data_writes == (denied is not None)


def test_write_marks_hold_below_them_whatever_the_default(ruled: Ruled, tree: Tree) -> None:
    nacm = ruled(settings="<write-default>permit</write-default>")
    data = tree(DATA)
    assert denial(nacm, ADA, data, tree(DATA.replace("<f>1</f>", "<f>2</f>"))) == "/net/fixed/f"
    assert denial(nacm, ADA, data, tree(DATA.replace("<name>n</name>", "<name>m</name>"))) is None
    assert denial(nacm, ADA, data, tree(DATA.replace("<secret>s</secret>", ""))) == "/net/secret"


def test_actions_want_reading_down_to_them_and_exec_on_them(ruled: Ruled) -> None:
    def action() -> etree._Element:
        inner = f'<net xmlns="{ONE}"><e><k>1</k><go/></e></net>'
        return etree.fromstring(f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{inner}</action>')

    def permitted(*rules: str) -> bool:
        nacm = ruled(*rules)
        try:
            nacm.check_operation(ADA, action())
        except RpcError:
            assert nacm.denied_operations == 1
            return False
        return True

    assert permitted()
    assert not permitted("deny exec path=/a:net/a:e/a:go")
    assert not permitted("deny exec path=/a:net/a:e[a:k='1']")
    assert permitted("deny exec path=/a:net/a:e[a:k='2']")
    assert not permitted("deny read path=/a:net/a:e")
    assert not permitted("deny exec rpc=action")


def test_a_notification_that_hangs_on_data_goes_by_path(ruled: Ruled) -> None:
    event = etree.fromstring(f'<net xmlns="{ONE}"><e><k>1</k><down><why>x</why></down></e></net>')
    assert ruled().may_receive(ADA, event)
    assert not ruled("deny read path=/a:net/a:e/a:down").may_receive(ADA, event)
    assert not ruled("deny read path=/a:net/a:e[a:k='1']").may_receive(ADA, event)
    assert ruled("deny read path=/a:net/a:e[a:k='2']").may_receive(ADA, event)


def test_notification_rules_go_by_name_and_module(ruled: Ruled) -> None:
    nacm = ruled("permit read notification=quiet", "deny read notification=*", "permit *")
    assert nacm.may_receive(ADA, call("quiet", ONE))
    assert not nacm.may_receive(ADA, call("loud", ONE))
    assert ruled("deny read notification=loud module=two").may_receive(ADA, call("loud", ONE))
    assert not ruled("deny read module=one").may_receive(ADA, call("loud", ONE))


@pytest.mark.parametrize(
    "path", ["net/e", "/net", "/z:net", "/a:net[", "/a:net/", "//a:net", "/a:net[1]", "/a:net[a:k=$YOU]"]
)
def test_a_rule_that_cannot_be_read_is_refused_and_opens_nothing(ruled: Ruled, tree: Tree, path: str) -> None:
    new = ruled("permit *")
    rules = etree.fromstring(
        f'<nacm xmlns="{NACM}" xmlns:a="{ONE}">'
        "<groups><group><name>g</name><user-name>ada</user-name></group></groups>"
        f"<rule-list><name>l</name><group>g</group><rule><name>it's</name><path>{path}</path><action>deny</action>"
        "</rule><rule><name>all</name><action>permit</action></rule></rule-list></nacm>"
    )
    with pytest.raises(RpcError) as refused:
        new.check_changes(ROOT, [], [rules])
    assert refused.value.tag == "invalid-value"
    assert refused.value.path.endswith(
        '/ietf-netconf-acm:rule[ietf-netconf-acm:name="it\'s"]/ietf-netconf-acm:path'
    )
    new.configured([rules])  # however it came there
    assert new.readable(ADA, tree(DATA)) == []
    assert may_call(new, ADA, "get")


def test_rules_hold_from_the_moment_they_are_configured(ruled: Ruled, tree: Tree) -> None:
    nacm = ruled("permit *")
    data = tree(DATA)
    assert nacm.readable(ADA, data) is data
    nacm.configured([])  # no container: the defaults of the module
    assert nacm.readable(ADA, data) is not data
    assert may_call(nacm, ADA, "get")


def test_names_that_peers_make_up_are_not_remembered(ruled: Ruled) -> None:
    nacm = ruled("deny exec rpc=x0")
    for number in range(5000):
        may_call(nacm, ADA, f"x{number}", f"urn:made:up:{number}")
        nacm.may_receive(User(f"user{number}", frozenset({"g"})), call("loud", ONE))
    assert len(nacm._rights) <= 1024
    assert not nacm._rights.get(("ada", frozenset())) or len(nacm._rights["ada", frozenset()].operations) < 3


def test_the_beginning_gives_groups_what_their_names_say(ruled: Ruled, tree: Tree, marks: object) -> None:
    nacm = Nacm(marks)  # type: ignore[arg-type] # a schema of tests
    start = initial_nacm({"tool": ("agent-local",)}, harmless=[("one", "look")])
    nacm.configured([start])
    data = [*tree(DATA), start]
    for group in ("admin", "controller", "operator"):
        user = User("u", frozenset({group}))
        assert nacm.readable(user, data) is data
        assert may_call(nacm, user, "kill-session")
        assert may_call(nacm, user, "reset", ONE)
        assert denial(nacm, user, data, []) is None
    for user in (*(User("u", frozenset({g})) for g in ("orchestrator", "auditor", "else")), User("tool")):
        assert text_of(nacm.readable(user, data)) == DATA.replace("<secret>s</secret>", "")
        assert may_call(nacm, user, "get")
        assert may_call(nacm, user, "look", ONE)
        for name in ("lock", "commit", "edit-config", "kill-session", "discard-changes", "cancel-commit"):
            assert not may_call(nacm, user, name)
        assert (denial(nacm, user, data, tree(DATA)) or "").startswith("/ietf-netconf-acm:nacm/")
    assert not may_call(nacm, EVE, "get")
    assert may_call(nacm, EVE, "close-session")


def test_nobody_takes_their_own_right_to_change_the_rules(
    tree: Tree, marks: object, written: Callable[..., etree._Element]
) -> None:
    nacm = Nacm(marks)  # type: ignore[arg-type] # a schema of tests
    start = initial_nacm()
    nacm.configured([start])
    operator, auditor = User("olga", frozenset({"operator"})), User("amy", frozenset({"auditor"}))
    before = [*tree(DATA), start]

    def lockout(user: User, *after: etree._Element) -> str | None:
        fault = fault_of(lambda: nacm.check_lockout(user, before, after))
        return None if fault is None else f"{fault.tag} {fault.app_tag} {fault.path}"

    refused = "operation-failed lockout /ietf-netconf-acm:nacm"
    assert lockout(operator, *tree(DATA)) == refused  # all replaced by what knows nothing of rules
    assert lockout(operator, written("deny update path=/ietf-netconf-acm:nacm", group="*")) == refused
    assert lockout(operator, written("deny exec rpc=edit-config", "permit *", group="operator")) == refused
    assert lockout(operator, written("permit *", group="operator")) is None
    assert lockout(operator, written(settings="<enable-nacm>false</enable-nacm>")) is None
    assert lockout(operator, start) is None
    assert lockout(auditor, *tree(DATA)) is None  # had no such right
    assert lockout(User("r", recovery=True), *tree(DATA)) is None
