"""The law: compiled rules decide as the steps of RFC 8341 clause 3.4 read, on random rules and data."""

import copy
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.rules import NACM

ONE, TWO = "urn:test:one", "urn:test:two"
MODULES = {ONE: "one", TWO: "two", NACM: "ietf-netconf-acm"}
KEYS = {f"{{{ONE}}}e": f"{{{ONE}}}k", f"{{{TWO}}}e": f"{{{TWO}}}k"}
ADA = User("1")  # a name that is also the value of keys

values = st.sampled_from("12")


@st.composite
def entries(draw: st.DrawFn, ns: str) -> str:
    text = ""
    for key in draw(st.sets(values)):
        inner = f"<v>{draw(values)}</v>" if draw(st.booleans()) else ""
        if ns == ONE and draw(st.booleans()):
            leaves = "".join(f"<{n}>{draw(values)}</{n}>" for n in "xy" if draw(st.booleans()))
            inner += f"<c>{leaves}</c>"
        if ns == ONE:
            inner += "".join(f"<t>{value}</t>" for value in draw(st.sets(values)))
        text += f'<e xmlns="{ns}"><k>{key}</k>{inner}</e>'
    return text


@st.composite
def forests(draw: st.DrawFn) -> list[etree._Element]:
    found = []
    if draw(st.integers(0, 4)):
        leaves = "".join(f"<{n}>{draw(values)}</{n}>" for n in ("name", "secret") if draw(st.booleans()))
        fixed = f"<fixed><f>{draw(values)}</f></fixed>" if draw(st.booleans()) else ""
        found.append(etree.fromstring(f'<net xmlns="{ONE}">{leaves}{fixed}{draw(entries(ONE))}</net>'))
    if draw(st.booleans()):
        found.append(
            etree.fromstring(f'<other xmlns="{TWO}"><o>{draw(values)}</o>{draw(entries(TWO))}</other>')
        )
    return found


paths = st.sampled_from(
    [
        "/",
        "/a:net",
        "/a:net/a:secret",
        "/a:net/a:fixed",
        "/a:net/a:fixed/a:f",
        "/a:net/a:e",
        "/a:net/a:e[a:k='1']",
        '/a:net/a:e[a:k = "2"]',
        "/a:net/a:e[a:k=$USER]/a:c",
        "/a:net/a:e/a:c/a:x",
        "/a:net/a:e[a:k='2']/a:c/a:x",
        "/a:net/a:e/a:k",
        "/a:net/a:e/a:t[.='1']",
        "/a:net/a:e/a:t",
        "/b:other",
        "/b:other/b:e[b:k='1']/b:v",
        "/b:other/a:e",
    ]
)
operations = st.sets(st.sampled_from(["create", "read", "update", "delete", "exec"]), min_size=1)


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    kind = draw(st.integers(0, 6))
    inner = {0: "<rpc-name>*</rpc-name>", 1: "<notification-name>*</notification-name>", 2: "", 3: ""}.get(
        kind, f"<path>{draw(paths)}</path>"
    )
    if draw(st.integers(0, 2)) == 0:
        inner += (
            f"<module-name>{draw(st.sampled_from(['one', 'two', '*', 'ietf-netconf-acm']))}</module-name>"
        )
    if draw(st.booleans()):
        access = draw(st.just("*") | operations.map(" ".join))
        inner += f"<access-operations>{access}</access-operations>"
    return inner + f"<action>{draw(st.sampled_from(['permit', 'deny']))}</action>"


@st.composite
def nacms(draw: st.DrawFn) -> etree._Element:
    defaults = "".join(
        f"<{name}>{draw(st.sampled_from(['permit', 'deny']))}</{name}>"
        for name in ("read-default", "write-default")
    )
    lists = ""
    for number in range(draw(st.integers(0, 3))):
        rules = draw(st.lists(rule_texts(), max_size=4))
        group = draw(st.sampled_from(["g", "h", "*"]))
        inside = "".join(f"<rule><name>{n}</name>{rule}</rule>" for n, rule in enumerate(rules))
        lists += f"<rule-list><name>{number}</name><group>{group}</group>{inside}</rule-list>"
    member = "<user-name>1</user-name>" if draw(st.integers(0, 5)) else ""
    groups = f"<groups><group><name>g</name>{member}</group></groups>"
    return etree.fromstring(
        f'<nacm xmlns="{NACM}" xmlns:a="{ONE}" xmlns:b="{TWO}">{defaults}{groups}{lists}</nacm>'
    )


def own(element: etree._Element, name: str) -> str | None:
    return element.findtext(f"{{{NACM}}}{name}")


class Literal:
    """Clause 3.4.5, step by step, each time anew; paths are evaluated by libxml2."""

    def __init__(self, nacm: etree._Element, forest: list[etree._Element]) -> None:
        self.nacm = nacm
        self.root = etree.Element("root")
        self.root.extend(copy.deepcopy(element) for element in forest)

    def permits(self, node: etree._Element, access: str) -> bool:
        line = [node, *(up for up in node.iterancestors() if up is not self.root)]
        module = MODULES[etree.QName(node).namespace or ""]
        groups = {
            own(group, "name")
            for group in self.nacm.iterfind(f"{{{NACM}}}groups/{{{NACM}}}group")
            if "1" in [name.text for name in group.iterfind(f"{{{NACM}}}user-name")]
        }
        for rules in self.nacm.iterfind(f"{{{NACM}}}rule-list") if groups else ():
            listed = {group.text for group in rules.iterfind(f"{{{NACM}}}group")}
            if "*" not in listed and not listed & groups:
                continue
            for rule in rules.iterfind(f"{{{NACM}}}rule"):
                if own(rule, "module-name") not in (None, "*", module):
                    continue
                if own(rule, "rpc-name") is not None or own(rule, "notification-name") is not None:
                    continue
                allowed = own(rule, "access-operations") or "*"
                if allowed != "*" and access not in allowed.split():
                    continue
                path = own(rule, "path")
                if path not in (None, "/"):
                    named = self.root.xpath("." + str(path), namespaces={"a": ONE, "b": TWO}, USER="1")
                    if not any(place in named for place in line):
                        continue
                return own(rule, "action") == "permit"
        marks = {f"{{{ONE}}}secret": "all", f"{{{ONE}}}fixed": "write", f"{{{NACM}}}nacm": "all"}
        for place in line:
            mark = marks.get(str(place.tag))
            if mark == "all" or (mark == "write" and access != "read"):
                return False
        return own(self.nacm, "read-default" if access == "read" else "write-default") == "permit"

    def readable(self) -> list[bytes]:
        def part(element: etree._Element) -> etree._Element | None:
            if not self.permits(element, "read"):
                return None
            made = etree.Element(element.tag, nsmap=element.nsmap)
            made.text = element.text
            for child in element:
                kept = copy.deepcopy(child) if child.tag == KEYS.get(str(element.tag)) else part(child)
                if kept is not None:
                    made.append(kept)
            return made

        return [canonical(kept) for kept in map(part, self.root) if kept is not None]


def canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n")


def places(forest: list[etree._Element]) -> dict[tuple[object, ...], etree._Element]:
    """Every node by its instance path."""
    found: dict[tuple[object, ...], etree._Element] = {}

    def walk(element: etree._Element, above: tuple[object, ...]) -> None:
        mark: object = element.tag
        if element.tag in KEYS:
            mark = (element.tag, element.findtext(KEYS[str(element.tag)]))
        elif element.tag == f"{{{ONE}}}t":
            mark = (element.tag, element.text)
        found[*above, mark] = element
        for child in element:
            walk(child, (*above, mark))

    for element in forest:
        walk(element, ())
    return found


def make(marks: object, nacm: etree._Element) -> Nacm:
    control = Nacm(marks)  # type: ignore[arg-type] # a schema of tests
    control.configured([nacm])
    return control


def test_reading_is_what_the_steps_say(marks: object) -> None:
    @settings(max_examples=250, deadline=None)
    @given(nacms(), forests())
    def law(nacm: etree._Element, forest: list[etree._Element]) -> None:
        chosen = make(marks, nacm).readable(ADA, forest)
        expected = Literal(nacm, forest).readable()
        assert [canonical(element) for element in chosen] == expected
        if expected == [canonical(element) for element in forest]:
            assert chosen is forest

    law()


def test_writing_is_what_the_steps_say(marks: object) -> None:
    @settings(max_examples=250, deadline=None)
    @given(nacms(), forests(), forests())
    def law(nacm: etree._Element, before: list[etree._Element], after: list[etree._Element]) -> None:
        old, new = Literal(nacm, before), Literal(nacm, after)
        was, now = places(list(old.root)), places(list(new.root))
        created, deleted = now.keys() - was.keys(), was.keys() - now.keys()
        denied = any(not new.permits(now[place], "create") for place in created if counts(now[place]))
        denied |= any(not old.permits(was[place], "delete") for place in deleted if counts(was[place]))
        denied |= any(
            not new.permits(now[place], "update")
            for place in now.keys() & was.keys()
            if (now[place].text or "") != (was[place].text or "")
        )
        control = make(marks, nacm)
        assert refused(lambda: control.check_changes(ADA, before, after)) == (
            "access-denied" if denied else None
        )
        assert control.denied_data_writes == denied

    law()


def counts(element: etree._Element) -> bool:
    """Containers without presence come and go with what is in them."""
    return etree.QName(element).localname not in ("net", "fixed", "c", "other")


def refused(action: Callable[[], None]) -> str | None:
    try:
        action()
    except RpcError as error:
        return error.tag
    return None
