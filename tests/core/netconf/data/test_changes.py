"""Changes between trees: what they say of one difference, and the law that they lead to the other."""

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.core.netconf.conftest import NS, TYPES, TinySchema

from keyweave_core.netconf.data.changes import ChangeKind, changes, identity_of
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.messages import parse_xml

T = f"{{{NS}}}"


def tree(inner: str) -> list[etree._Element]:
    return [parse_xml(f'<node xmlns="{NS}" xmlns:ty="{TYPES}">{inner}</node>'.encode())]


def told(before: str, after: str, places: SchemaMap) -> list[tuple[str, str]]:
    return [(change.kind.value, change.path) for change in changes(tree(before), tree(after), places)]


LINK = "/tiny:node/tiny:links/tiny:link[tiny:id='1']"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("<id>a</id>", "<id>a</id>", []),
        ("<id>a</id>", "<id> a </id>", []),
        ("<id>a</id>", "<id>b</id>", [("replace", "/tiny:node/tiny:id")]),
        ("<id>a</id>", "", [("delete", "/tiny:node/tiny:id")]),
        ("", "<caps><relay>true</relay></caps>", [("create", "/tiny:node/tiny:caps")]),
        (
            "<links><link><id>1</id></link></links>",
            "<links><link><id>01</id><rate>5</rate></link><link><id>2</id></link></links>",
            [
                ("create", f"{LINK}/tiny:rate"),
                ("create", "/tiny:node/tiny:links/tiny:link[tiny:id='2']"),
            ],
        ),
        (
            "<links><link><id>1</id></link><link><id>2</id></link></links>",
            "<links><link><id>2</id></link><link><id>1</id></link></links>",
            [],
        ),
        (
            "<links><link><id>1</id><type>ty:PHYS</type></link></links>",
            f'<links><link><id>1</id><type xmlns:x="{TYPES}">x:PHYS</type></link></links>',
            [],
        ),
        ("<tag>a</tag><tag>b</tag>", "<tag>b</tag><tag>a</tag>", [("move", "/tiny:node/tiny:tag[.='b']")]),
        (
            "<tag>a</tag>",
            "<tag>b</tag>",
            [("delete", "/tiny:node/tiny:tag[.='a']"), ("create", "/tiny:node/tiny:tag[.='b']")],
        ),
        (
            "<rule><name>a</name></rule><rule><name>b</name></rule><rule><name>c</name></rule>",
            "<rule><name>c</name></rule><rule><name>a</name><action>x</action></rule><rule><name>b</name></rule>",
            [
                ("move", "/tiny:node/tiny:rule[tiny:name='c']"),
                ("create", "/tiny:node/tiny:rule[tiny:name='a']/tiny:action"),
            ],
        ),
        ("<extra><x/></extra>", "<extra><y/></extra>", [("replace", "/tiny:node/tiny:extra")]),
        ("<pair><a>1</a><b>2</b></pair>", "", [("delete", "/tiny:node/tiny:pair[tiny:a='1'][tiny:b='2']")]),
    ],
)
def test_what_is_told(before: str, after: str, expected: list[tuple[str, str]], places: SchemaMap) -> None:
    assert told(before, after, places) == expected


def test_whole_trees_that_come_and_go(places: SchemaMap) -> None:
    one = tree("<id>a</id>")
    assert [(c.kind, c.path) for c in changes([], one, places)] == [(ChangeKind.CREATE, "/tiny:node")]
    assert [(c.kind, c.path) for c in changes(one, [], places)] == [(ChangeKind.DELETE, "/tiny:node")]


_NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)
_TEXTS = st.one_of(st.none(), st.sampled_from(["1", "2", "3"]))


@st.composite
def trees(draw: st.DrawFn) -> str:
    """The inside of a node with lists and leaf-lists of both orders."""
    parts = []
    for name in ("id", "version"):
        value = draw(_TEXTS)
        parts.append("" if value is None else f"<{name}>{value}</{name}>")
    caps = draw(_TEXTS)
    parts.append("" if caps is None else f"<caps><relay>{caps}</relay></caps>")
    links = []
    for number in draw(st.lists(st.integers(1, 5), unique=True, max_size=4)):
        rate = draw(_TEXTS)
        hops = "".join(f"<hop>{hop}</hop>" for hop in draw(_NAMES))
        inner = "" if rate is None else f"<rate>{rate}</rate>"
        links.append(f"<link><id>{number}</id>{inner}{hops}</link>")
    parts.append(f"<links>{''.join(links)}</links>" if links else "")
    parts += [f"<tag>{tag}</tag>" for tag in draw(_NAMES)]
    for rule in draw(_NAMES):
        action = draw(_TEXTS)
        inner = "" if action is None else f"<action>{action}</action>"
        parts.append(f"<rule><name>{rule}</name>{inner}</rule>")
    parts += [
        f"<pair><a>{a}</a><b>{b}</b></pair>"
        for a, b in draw(st.lists(st.tuples(*[st.sampled_from("xy")] * 2), unique=True))
    ]
    return "".join(parts)


def apply(
    before: list[etree._Element], after: list[etree._Element], places: SchemaMap
) -> list[etree._Element]:
    """A copy of `before` with the changes applied one by one, each at the place its ancestors tell."""
    data = etree.Element("data")
    data.extend(copy.deepcopy(element) for element in before)

    def node_of(chain: list[etree._Element]):
        node = places.top(str(chain[0].tag))
        for element in chain[1:]:
            node = node.child(str(element.tag))
        return node

    def find(chain: list[etree._Element]) -> etree._Element:
        here = data
        for depth, wanted in enumerate(chain):
            node = node_of(chain[: depth + 1])
            mark = identity_of(wanted, node)
            here = next(e for e in here.iterchildren(wanted.tag) if identity_of(e, node) == mark)
        return here

    for change in changes(before, after, places):
        subject = change.after if change.after is not None else change.before
        chain = [subject, *subject.iterancestors()][::-1]
        if change.kind is ChangeKind.DELETE:
            gone = find(chain)
            gone.getparent().remove(gone)
            continue
        parent = find(chain[:-1]) if len(chain) > 1 else data
        if change.kind is ChangeKind.REPLACE:
            parent.replace(find(chain), copy.deepcopy(subject))
            continue
        entry = find(chain) if change.kind is ChangeKind.MOVE else copy.deepcopy(subject)
        previous = next(subject.itersiblings(str(subject.tag), preceding=True), None)
        if change.node.user_ordered and previous is not None:
            find([*chain[:-1], previous]).addnext(entry)
        else:
            parent.insert(0, entry)
    return list(data)


def normal(element: etree._Element, node) -> tuple:
    """A tree as a value: order counts only where the user orders."""
    inner = [(str(child.tag), normal(child, node.child(str(child.tag)))) for child in element]
    ordered = [one for one in inner if node.child(one[0]).user_ordered]
    free = sorted((one for one in inner if not node.child(one[0]).user_ordered), key=repr)
    by_name = tuple(sorted({name for name, _ in ordered}))
    return (
        (element.text or "").strip(),
        tuple(free),
        tuple((name, tuple(value for found, value in ordered if found == name)) for name in by_name),
    )


@settings(max_examples=300, deadline=None)
@given(trees(), trees())
def test_applying_the_changes_of_a_and_b_to_a_gives_b(one: str, other: str) -> None:
    places = SchemaMap(TinySchema())
    before, after = tree(one), tree(other)
    texts = [etree.tostring(element) for element in before + after]
    (made,) = apply(before, after, places)
    node = places.top(f"{T}node")
    assert normal(made, node) == normal(after[0], node)
    assert [etree.tostring(element) for element in before + after] == texts


def test_a_move_of_one_among_many_is_one_change(places: SchemaMap) -> None:
    rng = random.Random(7)  # noqa: S311 - a test
    names = [f"r{n}" for n in range(60)]
    for _ in range(30):
        moved = rng.choice(names)
        rest = [name for name in names if name != moved]
        rest.insert(rng.randrange(len(names)), moved)
        found = told(
            "".join(f"<rule><name>{n}</name></rule>" for n in names),
            "".join(f"<rule><name>{n}</name></rule>" for n in rest),
            places,
        )
        assert len(found) <= 1
