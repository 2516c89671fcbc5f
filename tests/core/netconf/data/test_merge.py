"""Three-way merge: what each side changed stands, and both changing one node is told."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from keyweave_core.netconf.data.edit import edit
from keyweave_core.netconf.data.merge import merge
from keyweave_core.netconf.data.schema_paths import SchemaMap

Xml = Callable[[str], etree._Element]

BASE = """<node><id>n</id><version>1</version><caps><relay>true</relay></caps>
<links><link><id>1</id><rate>10</rate><type>ty:PHYS</type></link><link><id>2</id></link></links>
<tag>a</tag><tag>b</tag><tag>c</tag><rule><name>x</name></rule><rule><name>y</name></rule></node>"""


def text(elements) -> str:
    return "".join(etree.tostring(each, with_tail=False).decode() for each in elements)


def lines(elements) -> set[str]:
    return set(text(elements).replace("><", ">\n<").splitlines())


@pytest.fixture
def stored(xml: Xml, places: SchemaMap) -> Callable[..., list[etree._Element]]:
    """A configuration in the form of the store, after edits."""

    def make(*edits: str) -> list[etree._Element]:
        elements: list[etree._Element] = []
        for each in (BASE, *edits):
            elements = edit(elements, xml(each), schema=places)
        return elements

    return make


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("<node><version>2</version></node>", "<node><caps><relay>false</relay></caps></node>"),
        (
            "<node><links><link><id>1</id><rate>11</rate></link></links></node>",
            "<node><links><link><id>2</id><hop>h</hop></link><link><id>3</id></link></links></node>",
        ),
        (
            "<node><links><link><id>1</id><rate>11</rate></link></links></node>",
            "<node><links><link><id>1</id><hop>h</hop></link></links></node>",
        ),
        ("<node><links nc:operation='remove'/></node>", "<node><tag>c</tag></node>"),
        ("<node><version nc:operation='remove'/></node>", "<node><debug><level>3</level></debug></node>"),
        (
            "<node><links><link><id>5</id></link></links></node>",
            "<node><links><link><id>6</id></link></links></node>",
        ),
        ("<node><tag yang:insert='first'>z</tag></node>", "<node><tag yang:insert='last'>q</tag></node>"),
        ("<node><version>7</version></node>", "<node><version>7</version></node>"),
    ],
)
def test_changes_of_both_sides_stand(stored, xml: Xml, places: SchemaMap, ours: str, theirs: str) -> None:
    merged = merge(stored(), stored(ours), stored(theirs), places)
    assert merged.conflicts == ()
    again = merge(stored(), stored(theirs), stored(ours), places)
    assert again.conflicts == ()
    for one in (merged, again):
        assert edit(one.elements, xml(BASE), schema=places) is not None  # still a tree of the store
        assert lines(one.elements) == lines(stored(ours, theirs))


@pytest.mark.parametrize(
    ("ours", "theirs", "path"),
    [
        ("<node><version>2</version></node>", "<node><version>3</version></node>", "/tiny:node/tiny:version"),
        (
            "<node><version nc:operation='delete'/></node>",
            "<node><version>3</version></node>",
            "/tiny:node/tiny:version",
        ),
        (
            "<node><links><link nc:operation='delete'><id>1</id></link></links></node>",
            "<node><links><link><id>1</id><rate>5</rate></link></links></node>",
            "/tiny:node/tiny:links/tiny:link[tiny:id='1']",
        ),
        (
            "<node><links><link><id>4</id><rate>1</rate></link></links></node>",
            "<node><links><link><id>4</id><rate>2</rate></link></links></node>",
            "/tiny:node/tiny:links/tiny:link[tiny:id='4']/tiny:rate",
        ),
        (
            "<node><tag yang:insert='first'>b</tag></node>",
            "<node><tag yang:insert='first'>c</tag></node>",
            "/tiny:node/tiny:tag",
        ),
    ],
)
def test_a_node_that_both_changed_is_a_conflict_and_ours_stands(
    stored, places: SchemaMap, ours: str, theirs: str, path: str
) -> None:
    merged = merge(stored(), stored(ours), stored(theirs), places)
    assert merged.conflicts == (path,)


def test_the_trees_stay_as_they_are(stored, places: SchemaMap) -> None:
    sides = stored(), stored("<node><version>2</version></node>"), stored("<node><tag>c</tag></node>")
    before = [text(side) for side in sides]
    merge(*sides, places)
    assert [text(side) for side in sides] == before


LINK = st.builds(
    lambda key, rate, gone: (
        f"<link {'nc:operation=' + repr('remove') if gone else ''}><id>{key}</id>"
        + ("" if gone or rate is None else f"<type>ty:PHYS</type><rate>{rate}</rate>")
        + "</link>"
    ),
    st.integers(1, 5),
    st.none() | st.integers(0, 3),
    st.booleans(),
)
EDITS = st.lists(
    LINK.map(lambda link: f"<node><links>{link}</links></node>")
    | st.sampled_from(["a", "b", "d"]).map(lambda tag: f"<node><tag>{tag}</tag></node>")
    | st.integers(0, 3).map(lambda version: f"<node><version>{version}</version></node>"),
    max_size=6,
)
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@QUIET
@given(EDITS, EDITS)
def test_law_a_side_that_changed_nothing_gives_the_other(stored, places: SchemaMap, one, two) -> None:
    base, changed = stored(*one), stored(*one, *two)
    for ours, theirs in ((changed, base), (base, changed), (changed, changed)):
        merged = merge(base, ours, theirs, places)
        assert (merged.conflicts, text(merged.elements)) == ((), text(changed))


@QUIET
@given(EDITS, EDITS, EDITS)
def test_law_both_orders_agree_whether_there_is_a_conflict(
    stored, places: SchemaMap, first, one, two
) -> None:
    base, ours, theirs = stored(*first), stored(*first, *one), stored(*first, *two)
    there, back = merge(base, ours, theirs, places), merge(base, theirs, ours, places)
    assert set(there.conflicts) == set(back.conflicts)
    if not there.conflicts:
        assert sorted(text(there.elements)) == sorted(text(back.elements))
