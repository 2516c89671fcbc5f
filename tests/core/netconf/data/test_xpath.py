"""XPath filters: what is read, what is refused before it runs, what is selected."""

import copy
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from keyweave_core.netconf.data.filters import Effort, select
from keyweave_core.netconf.data.nodes import DataNode, container, leaf, list_of
from keyweave_core.netconf.data.selection import SubtreeSelection
from keyweave_core.netconf.data.xpath import NoNodeSet, XPathSelection
from keyweave_core.netconf.data.xpath_cost import Census, Rough, estimate
from keyweave_core.netconf.data.xpath_syntax import BadXPath, parse
from keyweave_core.netconf.data.xpath_tree import write
from keyweave_core.netconf.protocol.rpc_errors import RpcError

NS = "urn:test:x"
PREFIXES = {"x": NS, None: NS}

TREE = container(
    "net",
    leaf("name"),
    container("links", list_of("link", "id", leaf("id"), leaf("rate"), leaf("type"))),
).bind(NS, "x")


def top(tag: str) -> DataNode | None:
    return TREE if tag == f"{{{NS}}}net" else None


def net(links: int = 3) -> etree._Element:
    inner = "".join(f"<link><id>{n}</id><rate>{n * 10}</rate><type>t</type></link>" for n in range(links))
    return etree.fromstring(f'<net xmlns="{NS}"><name>N</name><links>{inner}</links></net>')


def other() -> etree._Element:
    return etree.fromstring('<o xmlns="urn:test:other"><p a="1">q</p></o>')


def picked(expression: str, *tops: etree._Element, cost: int = 10**7) -> str:
    selection = XPathSelection(expression, PREFIXES, max_cost=cost)
    chosen = selection.apply(tops or (net(),), top)
    text = "".join(etree.tostring(element, encoding="unicode") for element in chosen)
    return text.replace(f' xmlns="{NS}"', "").replace(' xmlns="urn:test:other"', "")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("/x:net/x:name", "<net><name>N</name></net>"),
        ("x:net/x:name", "<net><name>N</name></net>"),
        ("/x:net/x:name/text()", "<net><name>N</name></net>"),
        ("//x:link[x:id='1']/x:rate", "<net><links><link><id>1</id><rate>10</rate></link></links></net>"),
        ("//x:link[2]/x:rate", "<net><links><link><id>1</id><rate>10</rate></link></links></net>"),
        (
            "//x:link[last()]/@none | //x:link[last()]/x:id",
            "<net><links><link><id>2</id></link></links></net>",
        ),
        (
            "//x:rate[. > 5][. < 15]/../x:type",
            "<net><links><link><id>1</id><type>t</type></link></links></net>",
        ),
        ("/x:net/x:nothing", ""),
        ("/net/name", ""),  # no prefix is no namespace
        ("//x:link[x:id='0']/following-sibling::x:link[1]/x:id", None),
        ("/", "whole"),
        ("/x:net/..", "whole"),
        (".", "whole"),
        ("/*", "whole"),
        ("//node()[not(parent::*)]", "whole"),
        ("/x:net/x:links/ancestor::node()", "whole"),
        ("/..", ""),
        ("(//x:id)[3]", "<net><links><link><id>2</id></link></links></net>"),
        ("(//x:link)[1]/x:id", "<net><links><link><id>0</id></link></links></net>"),
        ("//x:id[string-length(concat(., 'ab')) = 3 and . = '2']/self::x:id", None),
        ("//x:rate[number(.) * 2 - 10 div 2 mod 3 >= -(1)][-1 < 0][position() = 1 or false()]", None),
    ],
)
def test_whole_subtrees_with_ancestors_and_keys_are_selected(expression: str, expected: str | None) -> None:
    data = net()
    before = etree.tostring(data)
    alone = picked(expression, data)
    assert etree.tostring(data) == before
    if expected == "whole":
        assert alone == etree.tostring(data, encoding="unicode").replace(f' xmlns="{NS}"', "")
    elif expected is not None:
        assert alone == expected
    else:
        assert alone
    # Beside another top-level element, and below one of somebody else's document, nothing changes.
    beside = picked(expression, net(), other())
    assert beside.replace('<o><p a="1">q</p></o>', "") == alone
    holder = etree.Element("holder")
    holder.append(net())
    holder.append(other())
    assert picked(expression, holder[0]) == alone


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("/*", 2),
        ("//*", 2),
        ("/x:net/../*", 2),
        ("/*/ancestor::*", 0),
        ("//*[ancestor::*]", 2),
        ("/self::*", 0),
    ],
)
def test_the_root_node_is_no_element_whatever_plays_it(expression: str, count: int) -> None:
    selection = XPathSelection(expression, PREFIXES, max_cost=10**7)
    assert len(selection.apply((net(), other()), top)) == count
    assert len(selection.apply((net(),), top)) == min(count, 1)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "/x:net[",
        "/x:net]",
        "//",
        "x:net/",
        "/x:net[]",
        "count(1)",
        "'a' | //x:a",
        "$user",
        "//*[$x]",
        "unknown()",
        "re:test(., 'a')",
        "document('file:///etc/passwd')",
        "/y:net",
        "namespace::*",
        "sideways::x",
        "x:net x:net",
        "concat('a')",
        "//x:a[position(1)]",
        "#",
        "'open",
        "1 2",
        "'a'/x:b",
        "text(",
        "/x:net/node('a')",
        "(" * 30 + "//x:a" + ")" * 30,
        "//x:a" + "[1]" * 3000,
        "/x:net" * 2000,
    ],
)
def test_what_is_no_xpath_of_ours_is_refused_when_it_is_read(expression: str) -> None:
    with pytest.raises(BadXPath):
        XPathSelection(expression, PREFIXES, max_cost=10**7)


@pytest.mark.parametrize("expression", ["1", "count(//x:a)", "'text'", "//x:a = 1", "-1", "not(//x:a)"])
def test_a_value_that_is_no_node_set_is_a_condition_only(expression: str) -> None:
    with pytest.raises(NoNodeSet):
        XPathSelection(expression, PREFIXES, max_cost=10**7)
    condition = XPathSelection(expression, PREFIXES, max_cost=10**7, condition=True)
    assert condition.matches_notification(net()) == (expression not in ("count(//x:a)", "//x:a = 1"))
    assert condition.apply([net()], top) == []


@pytest.mark.parametrize(
    ("expression", "wanted", "unwanted"),
    [
        ("/x:net/x:name", f"{{{NS}}}net", "{urn:o}o"),
        ("x:net[x:name]/..//x:b", "{urn:o}o", None),
        ("//x:b", "{urn:o}o", None),
        ("/x:net | /*", "{urn:o}o", None),
        ("/x:net/x:links/x:link[../../x:name]", f"{{{NS}}}net", "{urn:o}o"),
        ("/x:net/x:links/x:link[../../../x:o]", "{urn:o}o", None),
        ("/x:net[/x:o]", f"{{{NS}}}o", "{urn:o}o"),
        ("/x:net[following-sibling::*]", "{urn:o}o", None),
        ("/x:net//x:name", f"{{{NS}}}net", "{urn:o}o"),
    ],
)
def test_what_an_expression_looks_at_is_known_before_it_runs(
    expression: str, wanted: str, unwanted: str | None
) -> None:
    selection = XPathSelection(expression, PREFIXES, max_cost=10**7)
    assert selection.wants(wanted)
    assert selection.children_wanted(wanted) is None
    if unwanted is not None:
        assert not selection.wants(unwanted)


def test_notifications_pass_by_the_value_as_a_boolean() -> None:
    event = etree.fromstring(f'<up xmlns="{NS}"><level>3</level></up>')
    for expression, passes in (
        ("/x:up[x:level > 2]", True),
        ("/x:up[x:level > 3]", False),
        ("x:up/x:level", True),
        ("/", True),
        ("/x:down", False),
    ):
        selection = XPathSelection(expression, PREFIXES, max_cost=10**6)
        assert selection.matches_notification(event) is passes, expression


HOSTILE = (
    "//*[//*[//*]]",
    "//*|//*|//*|//*",
    "//x:link[../x:link[../x:link]]",
    "//*/following::*",
    "//x:link/preceding-sibling::*/following-sibling::*",
    "//*[string-length(string(/)) > 1]",
    "//*[contains(string(/), string(/*))]",
    "//*[translate(string(/), string(/), string(/)) = 'x']",
    "//x:link[x:id = //x:link/x:rate]",
    "//*[count(//*) > 1]",
    "//*[count(ancestor::*/descendant::*) > 1]",
    "//*[. < //*]",
    "//node()[//node() = //node()]",
    "(//*)[(//*)[(//*)]]",
)


@pytest.mark.parametrize("expression", HOSTILE)
def test_what_could_stall_the_server_is_refused_at_once(expression: str) -> None:
    data = net(3000)
    selection = XPathSelection(expression, PREFIXES, max_cost=30_000_000)
    begin = time.perf_counter()
    with pytest.raises(RpcError) as refused:
        selection.apply([data], top)
    assert time.perf_counter() - begin < 1.0
    assert refused.value.tag == "resource-denied"


@pytest.mark.parametrize(
    "expression",
    [
        "//x:link[x:id='1500']",
        "/x:net/x:links/x:link[x:id='1500' or x:rate < 20]/x:type",
        "//x:link[contains(x:type, 't')]",
        "//x:link[position() <= 10]",
        "//x:link/x:id | //x:name",
        "//*[starts-with(local-name(), 'ra')]",
        "//x:link[not(x:rate) and x:id]/..",
    ],
)
def test_what_operators_ask_for_is_within_the_bound(expression: str) -> None:
    begin = time.perf_counter()
    XPathSelection(expression, PREFIXES, max_cost=30_000_000).apply([net(3000)], top)
    assert time.perf_counter() - begin < 1.0


def test_a_huge_subtree_filter_is_refused_quickly() -> None:
    data = net(3000)
    wanted = etree.fromstring(
        f'<f xmlns="{NS}"><net><links>' + "<link><id>x</id></link>" * 30000 + "</links></net></f>"
    )
    begin = time.process_time()
    with pytest.raises(RpcError) as refused:
        SubtreeSelection(list(wanted), max_cost=1_000_000, max_elements=100_000).apply([data], top)
    assert refused.value.tag == "resource-denied"
    with pytest.raises(RpcError, match="may hold 20000 elements"):
        SubtreeSelection(list(wanted), max_cost=1_000_000, max_elements=20_000)
    assert time.process_time() - begin < 1.0
    # What is asked for in reason costs far less than the bound.
    few = etree.fromstring(f'<f xmlns="{NS}"><net><links><link><id>7</id></link></links></net></f>')
    assert len(select(list(few), [data], top, Effort(100_000))) == 1


# The law: the same as a slow evaluator of another make, on random data.

Walk = tuple[str, str, str | None]  # axis, name ('*' any), value that some child must have

AXES = ("child", "descendant", "descendant-or-self", "parent", "ancestor", "self", "following-sibling")
names = st.sampled_from("abc")


@st.composite
def forests(draw: st.DrawFn) -> list[etree._Element]:
    def grow(depth: int) -> etree._Element:
        element = etree.Element(f"{{{NS}}}{draw(names)}", nsmap={"x": NS})
        below = draw(st.integers(0, 3)) if depth < 3 else 0
        for _ in range(below):
            element.append(grow(depth + 1))
        if not below:
            element.text = draw(st.sampled_from(["1", "2"]))
        return element

    return [grow(0) for _ in range(draw(st.integers(1, 3)))]


# node() also means texts where it looks down, which the naive evaluator does not have.
TESTS = ["x:a", "x:b", "x:c", "*"]
values = st.sampled_from([None, "1", "2"])
walks = st.lists(
    st.tuples(st.sampled_from(AXES), st.sampled_from(TESTS), values)
    | st.tuples(st.sampled_from(["parent", "ancestor", "self"]), st.just("node()"), values),
    max_size=4,
)

Node = tuple[int, ...]  # the place of an element: indexes from the root node down


def at(forest: list[etree._Element], place: Node) -> etree._Element:
    element = forest[place[0]]
    for index in place[1:]:
        element = element[index]
    return element


def places(forest: list[etree._Element], place: Node = ()) -> list[Node]:
    inner = forest if not place else list(at(forest, place))
    found = [place]
    for index in range(len(inner)):
        found += places(forest, (*place, index))
    return found


def step_slowly(forest: list[etree._Element], start: Node, walk: Walk) -> set[Node]:
    axis, test, value = walk
    relation: dict[str, Callable[[Node], bool]] = {
        "child": lambda to: to[:-1] == start and bool(to),
        "descendant": lambda to: len(to) > len(start) and to[: len(start)] == start,
        "descendant-or-self": lambda to: to[: len(start)] == start,
        "parent": lambda to: bool(start) and to == start[:-1],
        "ancestor": lambda to: len(to) < len(start) and start[: len(to)] == to,
        "self": lambda to: to == start,
        "following-sibling": lambda to: bool(start) and bool(to) and to[:-1] == start[:-1] and to > start,
    }
    found = set()
    for to in places(forest):
        if not relation[axis](to):
            continue
        if test != "node()" and (not to or (test != "*" and at(forest, to).tag != f"{{{NS}}}{test[2:]}")):
            continue
        inner = forest if not to else list(at(forest, to))
        if value is not None and not any("".join(map(str, child.itertext())) == value for child in inner):
            continue
        found.add(to)
    return found


@settings(max_examples=300, deadline=None)
@given(forests(), walks)
def test_selection_is_what_a_naive_evaluator_selects(forest: list[etree._Element], walk: list[Walk]) -> None:
    expression = "/" + "/".join(
        f"{axis}::{test}" + ("" if value is None else f"[*='{value}']") for axis, test, value in walk
    )
    current: set[Node] = {()}
    for part in walk:
        current = {to for start in current for to in step_slowly(forest, start, part)}

    def prune(element: etree._Element, place: Node) -> etree._Element | None:
        if any(place[: len(chosen)] == chosen for chosen in current):
            return copy.deepcopy(element)
        kept = [prune(child, (*place, index)) for index, child in enumerate(element)]
        if all(child is None for child in kept):
            return None
        part = etree.Element(element.tag, nsmap=element.nsmap)
        part.extend(child for child in kept if child is not None)
        return part

    expected = [prune(element, (index,)) for index, element in enumerate(forest)]
    selection = XPathSelection(expression, {"x": NS}, max_cost=10**12)
    chosen = selection.apply(forest, lambda _tag: None)
    assert [etree.tostring(element) for element in chosen] == [
        etree.tostring(element) for element in expected if element is not None
    ]


@given(walks)
def test_an_expression_written_again_reads_the_same(walk: list[Walk]) -> None:
    text = "/" + "/".join(
        f"{axis}::{test}" + (f"[* = '{value}']" if value else "") for axis, test, value in walk
    )
    once = parse(text, {"x": NS})
    assert parse(write(once), {"x": NS}) == once


@settings(max_examples=200, deadline=None)
@given(forests(), walks)
def test_no_evaluation_finds_more_nodes_than_its_bound_says(
    forest: list[etree._Element], walk: list[Walk]
) -> None:
    text = "/" + "/".join(
        f"{axis}::{test}" + (f"[*='{value}']" if value else "") for axis, test, value in walk
    )
    expression = parse(text, {"x": NS})
    current: set[Node] = {()}
    found = 0
    for part in walk:
        steps = [step_slowly(forest, start, part) for start in current]
        found += sum(len(step) for step in steps)
        current = set().union(*steps)
    for size in (Rough(forest), Census(forest)):
        assert estimate(expression, size) >= found
