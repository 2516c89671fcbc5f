"""YANG patches: the form of each edit, and the law that a receiver who applies them has the newer tree."""

import copy
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from lxml import etree
from tests.core.netconf.conftest import NS, TinySchema
from tests.core.netconf.data.test_changes import normal, tree, trees

from keyweave_core.netconf.data.changes import changes, identity_of
from keyweave_core.netconf.data.nodes import container, leaf, list_of
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.subscriptions.patch import patch, resource_path
from keyweave_core.netconf.server.subscriptions.terms import Edit

T = f"{{{NS}}}"


def edits(before, after, places: SchemaMap, excluded=frozenset()) -> list[etree._Element]:
    made = patch(changes(before, after, places), after, places, excluded)
    found = list(parse_xml(b"<p>" + made.xml + b"</p>"))
    assert len(found) == made.count
    return found


def facts(edit: etree._Element) -> tuple[str, ...]:
    return tuple(edit.findtext(name) or "" for name in ("operation", "target", "where", "point"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("<id>a</id>", "<id>b</id>", [("replace", "/tiny:node/id", "", "")]),
        ("<id>a</id>", "", [("delete", "/tiny:node/id", "", "")]),
        (
            "",
            "<links><link><id>1</id><hop>x/y</hop></link></links>",
            [("create", "/tiny:node/links", "", "")],
        ),
        (
            "<links><link><id>1</id></link></links>",
            "<links><link><id>1</id><hop>x/y</hop></link></links>",
            [("create", "/tiny:node/links/link=1/hop=x%2Fy", "", "")],
        ),
        (
            "",
            "<pair><a>p,q</a><b>&lt;ü</b></pair>",
            [("create", "/tiny:node/pair=p%2Cq,%3C%C3%BC", "", "")],
        ),
        ("", "<tag>a</tag>", [("insert", "/tiny:node/tag=a", "first", "")]),
        (
            "<tag>b</tag>",
            "<tag>b</tag><tag>a</tag>",
            [("insert", "/tiny:node/tag=a", "after", "/tiny:node/tag=b")],
        ),
        (
            "<tag>a</tag><tag>b</tag><tag>c</tag>",
            "<tag>b</tag><tag>c</tag><tag>a</tag>",
            [("move", "/tiny:node/tag=a", "after", "/tiny:node/tag=c")],
        ),
    ],
)
def test_the_form_of_an_edit(before, after, expected, places: SchemaMap) -> None:
    assert [facts(edit) for edit in edits(tree(before), tree(after), places)] == expected


def test_values_stand_only_where_the_standard_has_them(places: SchemaMap) -> None:
    found = edits(
        tree("<id>a</id><version>1</version><tag>a</tag><tag>b</tag><tag>z</tag>"),
        tree("<id>b</id><caps/><tag>z</tag><tag>a</tag><tag>b</tag><tag>n</tag>"),
        places,
    )
    values = {edit.findtext("operation"): edit.find("value") for edit in found}
    assert set(values) == {"replace", "delete", "create", "move", "insert"}
    assert {name for name, value in values.items() if value is None} == {"delete", "move"}
    assert values["replace"][0].tag == f"{T}id"
    assert values["replace"][0].text == "b"
    assert [edit.findtext("edit-id") for edit in found] == [str(n) for n in range(1, len(found) + 1)]


def test_excluded_kinds_of_change_are_left_out(places: SchemaMap) -> None:
    before, after = tree("<id>a</id><version>1</version>"), tree("<id>b</id><caps/>")
    found = edits(before, after, places, frozenset({Edit.REPLACE, Edit.DELETE}))
    assert [facts(edit)[0] for edit in found] == ["create"]


def test_what_changes_in_a_list_without_keys_replaces_what_holds_it() -> None:
    node = container(
        "log", leaf("name"), container("box", list_of("line", "", leaf("text"))), config=False
    ).bind("urn:log", "log")

    class LogSchema(TinySchema):
        def top(self, tag: str):
            return node if tag == "{urn:log}log" else None

    places = SchemaMap(LogSchema())

    def log(*lines: str) -> list[etree._Element]:
        inner = "".join(f"<line><text>{line}</text></line>" for line in lines)
        return [parse_xml(f'<log xmlns="urn:log"><box>{inner}</box></log>'.encode())]

    for before, after in ((log("a", "b"), log("a", "c", "d")), (log("a", "b"), log("a"))):
        (edit,) = edits(before, after, places)
        assert facts(edit)[:2] == ("replace", "/log:log/box")
        assert etree.tostring(edit.find("value")[0]) == etree.tostring(after[0][0])


def test_paths_do_not_count_what_wraps_the_data(places: SchemaMap) -> None:
    wrapper = etree.Element("data")
    wrapper.append(tree("<caps><relay>1</relay></caps>")[0])
    assert resource_path(wrapper[0][0][0], places) == "/tiny:node/caps/relay"


class Receiver:
    """Applies the edits of a patch to its copy, by their targets alone."""

    def __init__(self, elements: list[etree._Element], places: SchemaMap) -> None:
        self.data = etree.Element("data")
        self.data.extend(copy.deepcopy(element) for element in elements)
        self.places = places

    def find(self, target: str):
        """The parent of a target and the target itself, None when it is not there."""
        here, node = self.data, None
        steps = target.strip("/").split("/")
        for depth, step in enumerate(steps):
            name, _, keys = step.partition("=")
            tag = f"{T}{name.rpartition(':')[2]}"
            node = self.places.top(tag) if depth == 0 else node.child(tag)
            mark = tuple(unquote(key) for key in keys.split(",")) if keys else ()
            found = next((e for e in here.iterchildren(tag) if identity_of(e, node) == mark), None)
            if depth == len(steps) - 1:
                return here, found
            here = found
        raise AssertionError(target)

    def apply(self, edit: etree._Element) -> None:
        operation, target, where, point = facts(edit)
        parent, here = self.find(target)
        if operation == "delete":
            parent.remove(here)
            return
        new = here if operation == "move" else copy.deepcopy(edit.find("value")[0])
        if operation == "replace":
            parent.replace(here, new)
            return
        assert (here is None) == (operation != "move")
        if where == "after":
            self.find(point)[1].addnext(new)
        else:
            parent.insert(0, new)


@settings(max_examples=300, deadline=None)
@given(trees(), trees())
def test_a_receiver_who_applies_the_edits_has_the_newer_tree(one: str, other: str) -> None:
    places = SchemaMap(TinySchema())
    before, after = tree(one), tree(other)
    receiver = Receiver(before, places)
    for edit in edits(before, after, places):
        receiver.apply(edit)
    node = places.top(f"{T}node")
    assert normal(receiver.data[0], node) == normal(after[0], node)
