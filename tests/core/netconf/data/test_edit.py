"""edit-config: every operation, every refusal, and laws."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from keyweave_core.netconf.data.edit import Operation, edit
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError

Xml = Callable[[str], etree._Element]
BAD = f"{{{BASE}}}bad-element"
START = (
    "<node><id>n</id><caps><relay>true</relay></caps><links><link><id>1</id><rate>10</rate>"
    "<hop>x</hop></link></links></node>"
)


def text(elements: list[etree._Element]) -> str:
    """Plain text without namespaces, for comparing."""

    def one(element: etree._Element) -> str:
        name = etree.QName(element).localname
        inner = "".join(one(child) for child in element) or (element.text or "")
        return f"<{name}>{inner}</{name}>"

    return "".join(one(element) for element in elements)


def run(xml: Xml, places: SchemaMap, start: str, config: str, default: str = "merge") -> str:
    current = edit((), xml(start), schema=places)
    before = [etree.tostring(element) for element in current]
    try:
        return text(edit(current, xml(config), schema=places, default=Operation(default)))
    finally:
        assert [etree.tostring(element) for element in current] == before


CREATE = " nc:operation='create'"
LINK2 = "<link{}><id>2</id><rate>5</rate></link>"
AFTER = START.replace("</links>", "<link><id>2</id><rate>5</rate></link></links>")


@pytest.mark.parametrize(
    ("config", "default", "result"),
    [
        # merge
        (
            "<node><version>2</version></node>",
            "merge",
            START.replace("</node>", "<version>2</version></node>"),
        ),
        (f"<node><links>{LINK2.format('')}</links></node>", "merge", AFTER),
        (
            "<node><links><link><rate>11</rate><id>1</id></link></links></node>",
            "merge",
            START.replace("10", "11"),
        ),
        ("<node><links><link><id> 01 </id><rate>010</rate></link></links></node>", "merge", START),
        (
            "<node><links><link><id>1</id><hop>x</hop><hop>y</hop></link></links></node>",
            "merge",
            START.replace("</hop>", "</hop><hop>y</hop>"),
        ),
        ("<node><caps/></node>", "merge", START),
        ("<node><debug/></node>", "merge", START.replace("</node>", "<debug></debug></node>")),
        # replace
        (
            "<node><links nc:operation='replace'><link><id>2</id></link></links></node>",
            "merge",
            START.replace("<link><id>1</id><rate>10</rate><hop>x</hop></link>", "<link><id>2</id></link>"),
        ),
        (
            "<node><links><link nc:operation='replace'><id>1</id></link></links></node>",
            "merge",
            START.replace("<rate>10</rate><hop>x</hop>", ""),
        ),
        ("<node><id>m</id></node>", "replace", "<node><id>m</id></node>"),
        ("", "replace", ""),
        ("<node nc:operation='merge'><id>m</id></node>", "replace", START.replace("<id>n", "<id>m")),
        # create
        (
            f"<node><links>{LINK2.format(CREATE)}</links></node>",
            "merge",
            AFTER,
        ),
        (
            f"<node><links>{LINK2.format(CREATE)}</links></node>",
            "none",
            AFTER,
        ),
        # delete and remove; a container left empty vanishes
        (
            "<node><links><link nc:operation='delete'><id>1</id></link></links></node>",
            "none",
            "<node><id>n</id><caps><relay>true</relay></caps></node>",
        ),
        ("<node><links><link nc:operation='remove'><id>9</id></link></links></node>", "merge", START),
        (
            "<node><caps><relay nc:operation='delete'/></caps></node>",
            "none",
            START.replace("<caps><relay>true</relay></caps>", ""),
        ),
        (
            "<node><links><link><id>1</id><hop nc:operation='delete'>x</hop></link></links></node>",
            "none",
            START.replace("<hop>x</hop>", ""),
        ),
        ("<node nc:operation='delete'/>", "none", ""),
        # none: a container that means nothing by itself is always there
        (
            "<node><debug nc:operation='create'><level>3</level></debug></node>",
            "none",
            START.replace("</node>", "<debug><level>3</level></debug></node>"),
        ),
        # nested operations
        (
            (
                "<node><links><link nc:operation='replace'><id>1</id><hop nc:operation='create'>"
                "z</hop></link></links></node>"
            ),
            "merge",
            START.replace("<rate>10</rate><hop>x</hop>", "<hop>z</hop>"),
        ),
        (
            (
                "<node><links nc:operation='replace'><link nc:operation='remove'><id>1</id></link>"
                "</links></node>"
            ),
            "merge",
            START.replace("<links><link><id>1</id><rate>10</rate><hop>x</hop></link></links>", ""),
        ),
        (
            "<node><extra><any xmlns='urn:z' a='1'>b</any></extra></node>",
            "merge",
            START.replace("</node>", "<extra><any>b</any></extra></node>"),
        ),
    ],
)
def test_an_edit_does(xml: Xml, places: SchemaMap, config: str, default: str, result: str) -> None:
    assert run(xml, places, START, config, default) == result


@pytest.mark.parametrize(
    ("config", "default", "tag", "path", "bad"),
    [
        ("<node><id nc:operation='create'>x</id></node>", "merge", "data-exists", "/tiny:node/tiny:id", None),
        (
            "<node><links><link nc:operation='create'><id>01</id></link></links></node>",
            "merge",
            "data-exists",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']",
            None,
        ),
        (
            "<node><version nc:operation='delete'/></node>",
            "merge",
            "data-missing",
            "/tiny:node/tiny:version",
            None,
        ),
        (
            "<node><links><link nc:operation='delete'><id>9</id></link></links></node>",
            "merge",
            "data-missing",
            "/tiny:node/tiny:links/tiny:link[tiny:id='9']",
            None,
        ),
        (
            "<node><links><link><id>9</id><rate nc:operation='create'>1</rate></link></links></node>",
            "none",
            "data-missing",
            "/tiny:node/tiny:links/tiny:link[tiny:id='9']",
            None,
        ),
        ("<node><version>1</version></node>", "none", "data-missing", "/tiny:node/tiny:version", None),
        (
            "<node><debug><level>1</level></debug></node>",
            "none",
            "data-missing",
            "/tiny:node/tiny:debug",
            None,
        ),
        ("<node><colour>1</colour></node>", "merge", "unknown-element", "/tiny:node", "colour"),
        ("<nodes/>", "merge", "unknown-element", "", "nodes"),
        ("<node xmlns='urn:none'/>", "merge", "unknown-namespace", "", "node"),
        ("<node><id xmlns='urn:none'/></node>", "merge", "unknown-namespace", "/tiny:node", "id"),
        ("<node colour='1'/>", "merge", "unknown-attribute", "/tiny:node", "node"),
        ("<node operation='delete'/>", "merge", "unknown-attribute", "/tiny:node", "node"),
        ("<node nc:operation='none'/>", "merge", "bad-attribute", "/tiny:node", "node"),
        ("<node nc:operation='explode'/>", "merge", "bad-attribute", "/tiny:node", "node"),
        (
            "<node><links><link><id>x</id></link></links></node>",
            "merge",
            "invalid-value",
            "/tiny:node/tiny:links/tiny:link/tiny:id",
            None,
        ),
        (
            "<node><links><link><id>1</id><rate>fast</rate></link></links></node>",
            "merge",
            "invalid-value",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']/tiny:rate",
            None,
        ),
        (
            "<node><links><link><id>1</id><type>PHYS</type></link></links></node>",
            "merge",
            "invalid-value",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']/tiny:type",
            None,
        ),
        ("<node><status>UP</status></node>", "merge", "invalid-value", "/tiny:node/tiny:status", "status"),
        (
            "<node><links><link><id>1</id><perf><qber>1</qber></perf></link></links></node>",
            "merge",
            "invalid-value",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']/tiny:perf",
            "perf",
        ),
        (
            "<node><links><link><rate>1</rate></link></links></node>",
            "merge",
            "missing-element",
            "/tiny:node/tiny:links/tiny:link",
            "id",
        ),
        ("<node><pair><a>1</a></pair></node>", "merge", "missing-element", "/tiny:node/tiny:pair", "b"),
        (
            "<node><links><link nc:operation='remove'/></links></node>",
            "merge",
            "missing-element",
            "/tiny:node/tiny:links/tiny:link",
            "id",
        ),
        (
            "<node><version>1</version><version>2</version></node>",
            "merge",
            "bad-element",
            "/tiny:node/tiny:version",
            "version",
        ),
        (
            "<node><links><link><id>1</id><id>1</id></link></links></node>",
            "merge",
            "bad-element",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']/tiny:id",
            "id",
        ),
        (
            "<node><links><link><id>4</id></link><link><id>04</id></link></links></node>",
            "merge",
            "bad-element",
            "/tiny:node/tiny:links/tiny:link[tiny:id='4']",
            "link",
        ),
        (
            "<node><links><link><id>1</id><hop>a</hop><hop>a</hop></link></links></node>",
            "merge",
            "bad-element",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']/tiny:hop[.='a']",
            "hop",
        ),
        ("<node><id><x/></id></node>", "merge", "unknown-element", "/tiny:node/tiny:id", "x"),
        ("<node>words<id>1</id></node>", "merge", "invalid-value", "/tiny:node", None),
        ("<node><id>1</id>words</node>", "merge", "invalid-value", "/tiny:node", None),
        (
            "<node><links><link><id nc:operation='delete'>1</id></link></links></node>",
            "merge",
            "bad-attribute",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']",
            "id",
        ),
    ],
)
def test_an_edit_is_refused(
    xml: Xml, places: SchemaMap, config: str, default: str, tag: str, path: str, bad: str | None
) -> None:
    with pytest.raises(RpcError) as caught:
        run(xml, places, START, config, default)
    assert (caught.value.tag, caught.value.path, caught.value.type) == (tag, path, "application")
    assert dict(caught.value.info).get(BAD) == bad
    assert caught.value.namespaces == ({"tiny": "urn:test:tiny"} if path else {})


@pytest.mark.parametrize("value", ["ty:PHYS", " ty:PHYS\n", "<!-- -->ty:PHYS"])
def test_identities_enter_with_the_name_of_their_module_as_prefix(
    xml: Xml, places: SchemaMap, value: str
) -> None:
    config = xml(f"<node><links><link><id>1</id><type>{value}</type></link></links></node>")
    (node,) = edit((), config, schema=places)
    stored = node[0][0][1]
    assert stored.text == "types:PHYS"
    assert stored.nsmap["types"] == "urn:test:types"
    assert "ty" not in stored.nsmap
    # The text stands for itself: parsed alone, it still says what it means.
    again = etree.fromstring(etree.tostring(node))
    assert again[0][0][1].nsmap["types"] == "urn:test:types"


def test_what_is_stored_has_no_attributes_blank_text_or_foreign_prefixes(xml: Xml, places: SchemaMap) -> None:
    config = xml("\n <node nc:operation='create'>\n  <ty:id xmlns:ty='urn:test:tiny'>n</ty:id>\n </node>\n")
    (node,) = edit((), config, schema=places)
    assert etree.tostring(node) == b'<node xmlns="urn:test:tiny"><id>n</id></node>'


@pytest.mark.parametrize(
    ("insert", "order"),
    [
        ("", "abcx"),
        ("yang:insert='last'", "abcx"),
        ("yang:insert='first'", "xabc"),
        ("yang:insert='before' yang:{0}='{1}'", "axbc"),
        ("yang:insert='after' yang:{0}='{1}'", "abxc"),
    ],
)
def test_lists_ordered_by_the_user_keep_the_order_asked_for(
    xml: Xml, places: SchemaMap, insert: str, order: str
) -> None:
    start = "<node>" + "".join(f"<tag>{c}</tag><rule><name>{c}</name></rule>" for c in "abc") + "</node>"
    tag, rule = (
        insert.format("value", "b"),
        insert.format("key", '[tiny:name="b"]').replace("'[", '"[').replace("]'", ']"'),
    )
    rule = rule.replace('tiny:name="b"', "tiny:name='b'")
    config = f"<node><tag {tag}>x</tag><rule {rule}><name>x</name></rule></node>"
    (node,) = edit(edit((), xml(start), schema=places), xml(config), schema=places)
    ns = "{urn:test:tiny}"
    assert "".join(e.text or "" for e in node.iterchildren(f"{ns}tag")) == order
    assert "".join(e.findtext(f"{ns}name") or "" for e in node.iterchildren(f"{ns}rule")) == order


@pytest.mark.parametrize(
    ("attributes", "tag"),
    [
        ("yang:insert='before'", "missing-attribute"),
        ("yang:insert='before' yang:value='q'", "bad-attribute"),
        ("yang:insert='middle'", "bad-attribute"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    xml: Xml, places: SchemaMap, attributes: str, tag: str
) -> None:
    with pytest.raises(RpcError) as caught:
        run(xml, places, "<node><tag>a</tag></node>", f"<node><tag {attributes}>x</tag></node>")
    assert caught.value.tag == tag


numbers = st.integers(0, 6).map(str)
links = st.dictionaries(numbers, st.tuples(st.none() | numbers, st.sets(st.sampled_from("xyz"))), max_size=5)
trees = st.tuples(
    links, st.none() | st.text("ab<&>\"' é", min_size=1, max_size=4).filter(str.strip), st.booleans()
)


def written(tree: tuple, operation: str = "") -> str:
    entries, version, debug = tree
    mark = f" nc:operation='{operation}'" if operation else ""
    inner = "".join(
        f"<link><id>{key}</id>"
        + (f"<rate>{rate}</rate>" if rate else "")
        + "".join(f"<hop>{hop}</hop>" for hop in sorted(hops))
        + "</link>"
        for key, (rate, hops) in entries.items()
    )
    escaped = (version or "").replace("&", "&amp;").replace("<", "&lt;")
    body = (f"<version>{escaped}</version>" if version else "") + ("<debug/>" if debug else "")
    return f"<node{mark}><id>n</id>{body}<links>{inner}</links></node>"


law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@law
@given(old=trees, new=trees)
def test_replacing_twice_is_replacing_once_and_forgets_what_was(
    xml: Xml, places: SchemaMap, old: tuple, new: tuple
) -> None:
    first = run(xml, places, written(old), written(new, "replace"))
    again = run(xml, places, written(new), written(new, "replace"))
    assert first == again == run(xml, places, "", written(new))


@law
@given(tree=trees)
def test_merging_a_configuration_into_itself_changes_nothing(
    xml: Xml, places: SchemaMap, tree: tuple
) -> None:
    current = edit((), xml(written(tree)), schema=places)
    own = etree.Element("config")
    own.extend(etree.fromstring(etree.tostring(element)) for element in current)
    after = edit(current, own, schema=places)
    assert [etree.tostring(e) for e in after] == [etree.tostring(e) for e in current]


@law
@given(tree=trees, key=st.integers(10, 20), rate=numbers)
def test_removing_what_was_created_restores(
    xml: Xml, places: SchemaMap, tree: tuple, key: int, rate: str
) -> None:
    current = edit((), xml(written(tree)), schema=places)
    made = edit(
        current,
        xml(
            f"<node><links><link nc:operation='create'><id>{key}</id><rate>{rate}</rate></link>"
            f"</links></node>"
        ),
        schema=places,
        default=Operation.NONE,
    )
    assert text(made) != text(current)
    gone = edit(
        made,
        xml(f"<node><links><link nc:operation='remove'><id>{key}</id></link></links></node>"),
        schema=places,
    )
    assert [etree.tostring(e) for e in gone] == [etree.tostring(e) for e in current]
