"""Two small modules with marks of default-deny, and rules written short."""

from collections.abc import Callable, Sequence

import pytest
from lxml import etree

from keyweave_core.netconf.data.nodes import DataNode, container, leaf, leaf_list, list_of
from keyweave_core.netconf.ports import Kind, ModuleInfo
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.rules import MODULE, NACM

ONE = "urn:test:one"
TWO = "urn:test:two"


def marked(node: DataNode, mark: str) -> DataNode:
    node.default_deny = mark
    return node


def nacm_node() -> DataNode:
    node = container(
        "nacm",
        *(leaf(name) for name in ("enable-nacm", "read-default", "write-default", "exec-default")),
        leaf("enable-external-groups"),
        *(leaf(f"denied-{name}", config=False) for name in ("operations", "data-writes", "notifications")),
        container("groups", list_of("group", "name", leaf("name"), leaf_list("user-name"))),
        list_of(
            "rule-list",
            "name",
            leaf("name"),
            leaf_list("group"),
            list_of(
                "rule",
                "name",
                *(leaf(n) for n in ("name", "module-name", "rpc-name", "notification-name", "path")),
                *(leaf(n) for n in ("access-operations", "action", "comment")),
                user_ordered=True,
            ),
            user_ordered=True,
        ),
    )
    return marked(node, "all").bind(NACM, MODULE)


class Marks:
    """Modules `one` and `two`, and access control."""

    def __init__(self) -> None:
        one = container(
            "net",
            leaf("name"),
            marked(leaf("secret"), "all"),
            marked(container("fixed", leaf("f")), "write"),
            list_of("e", "k", leaf("k"), leaf("v"), container("c", leaf("x"), leaf("y")), leaf_list("t")),
            DataNode("any", Kind.ANYDATA),
        ).bind(ONE, "one")
        two = container("other", leaf("o"), list_of("e", "k", leaf("k"), leaf("v"))).bind(TWO, "two")
        self.nodes = {f"{{{node.namespace}}}{node.name}": node for node in (one, two, nacm_node())}
        self.content_id = "marks"
        self.modules = [
            ModuleInfo(
                name=name, revision="2026-01-01", namespace=uri, yang_version="1.1", implemented=True, text=""
            )
            for name, uri in (("one", ONE), ("two", TWO), (MODULE, NACM))
        ]

    def top(self, tag: str) -> DataNode | None:
        return self.nodes.get(tag)

    def tops(self) -> Sequence[DataNode]:
        return list(self.nodes.values())

    def operation(self, tag: str) -> DataNode | None:
        return marked(container("input"), "all") if tag == f"{{{ONE}}}reset" else None

    def notification(self, tag: str) -> DataNode | None:
        if tag == f"{{{ONE}}}quiet":
            return marked(container("quiet"), "all")
        return container("loud") if tag == f"{{{ONE}}}loud" else None

    def validate(self, _config: Sequence[etree._Element]) -> None:
        pass


def rules_xml(*rules: str, group: str = "g", settings: str = "") -> etree._Element:
    """Rules as 'permit|deny operations [module=M] [rpc=R|notification=N|path=P]' for one group."""
    text = ""
    for number, rule in enumerate(rules):
        action, access, *rest = rule.split(" ", 2)
        inner = ""
        for part in rest[0].split(" ") if rest else ():
            name, _, value = part.partition("=")
            tag = {"module": "module-name", "rpc": "rpc-name", "notification": "notification-name"}.get(
                name, name
            )
            inner += f"<{tag}>{value}</{tag}>"
        operations = access.replace(",", " ")
        text += (
            f"<rule><name>r{number}</name>{inner}<access-operations>{operations}</access-operations>"
            f"<action>{action}</action></rule>"
        )
    return etree.fromstring(
        f'<nacm xmlns="{NACM}" xmlns:a="{ONE}" xmlns:b="{TWO}">{settings}<groups><group><name>g</name>'
        f"<user-name>ada</user-name></group></groups><rule-list><name>l</name><group>{group}</group>{text}"
        "</rule-list></nacm>"
    )


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.fixture
def written() -> Callable[..., etree._Element]:
    """The container of rules written short."""
    return rules_xml


@pytest.fixture
def ruled(marks: Marks) -> Callable[..., Nacm]:
    """Access control by rules written short."""

    def make(*rules: str, group: str = "g", settings: str = "") -> Nacm:
        nacm = Nacm(marks)
        nacm.configured([rules_xml(*rules, group=group, settings=settings)])
        return nacm

    return make


@pytest.fixture
def tree() -> Callable[[str], list[etree._Element]]:
    """Top-level elements of text in which `net` is of module one, `o:other` of module two."""

    def parse(text: str) -> list[etree._Element]:
        return list(etree.fromstring(f'<d xmlns="{ONE}" xmlns:o="{TWO}">{text}</d>'))

    return parse
