"""RFC 6241 clause 6, rule by rule."""

from collections.abc import Callable

import pytest
from lxml import etree

from keyweave_core.netconf.data.filters import asks_for, children_asked, patterns_of, select
from keyweave_core.netconf.data.schema_paths import SchemaMap

Xml = Callable[[str], etree._Element]

DATA = """
<node><id>n1</id><version>7</version><caps><relay>true</relay><stats>false</stats></caps><links>
<link><id>1</id><rate>10</rate><type xmlns:a="urn:test:types">a:PHYS</type><hop>x</hop><hop>y</hop></link>
<link><id>2</id><rate>20</rate><type>ty:VIRT</type></link>
<link><id>3</id><rate>10</rate></link></links></node>
""".replace("\n", "")


def shape(elements: list[etree._Element]) -> str:
    """The elements as compact text: name(children) or name=value."""

    def one(element: etree._Element) -> str:
        name = etree.QName(element).localname
        inner = [one(child) for child in element]
        return f"{name}({' '.join(inner)})" if inner else f"{name}={element.text}" if element.text else name

    return " ".join(one(element) for element in elements)


@pytest.mark.parametrize(
    ("wanted", "result"),
    [
        ("", ""),
        ("<node><id/></node>", "node(id=n1)"),
        ("<node><id> </id><version/></node>", "node(id=n1 version=7)"),
        ("<node><caps/></node>", "node(caps(relay=true stats=false))"),
        ("<node><caps><stats/></caps></node>", "node(caps(stats=false))"),
        # a key is always part of the output
        (
            "<node><links><link><rate/></link></links></node>",
            "node(links(link(id=1 rate=10) link(id=2 rate=20) link(id=3 rate=10)))",
        ),
        ("<node><links><link><hop/></link></links></node>", "node(links(link(id=1 hop=x hop=y)))"),
        ("<node><links><link><nothing/></link></links></node>", ""),
        # content match: alone it selects the whole entry, with others it restricts
        (
            "<node><links><link><id> 2\n</id></link></links></node>",
            "node(links(link(id=2 rate=20 type=ty:VIRT)))",
        ),
        (
            "<node><links><link><rate>10</rate><id/></link></links></node>",
            "node(links(link(id=1 rate=10) link(id=3 rate=10)))",
        ),
        (
            "<node><links><link><rate>10</rate><hop>y</hop></link></links></node>",
            "node(links(link(id=1 rate=10 type=a:PHYS hop=x hop=y)))",
        ),
        (
            "<node><links><link><rate>10</rate><hop>y</hop><type/></link></links></node>",
            "node(links(link(id=1 rate=10 type=a:PHYS hop=y)))",
        ),
        ("<node><links><link><rate>11</rate></link></links></node>", ""),
        ("<node><version>7</version><id/></node>", "node(id=n1 version=7)"),
        ("<node><version>8</version><id/></node>", ""),
        # values are compared by meaning: the prefix does not matter
        (
            "<node><links><link><type>ty:PHYS</type><id/></link></links></node>",
            "node(links(link(id=1 type=a:PHYS)))",
        ),
        ("<node><links><link><id>02</id><rate/></link></links></node>", "node(links(link(id=2 rate=20)))"),
        # several filters of one name are a union, nothing comes twice
        (
            "<node><links><link><id>1</id><rate/></link><link><id>1</id><hop/></link></links></node>",
            "node(links(link(id=1 rate=10 hop=x hop=y)))",
        ),
        ("<node><id/></node><node><version/></node>", "node(id=n1 version=7)"),
        # names without or of an unknown namespace
        ('<node xmlns=""><id/></node>', "node(id=n1)"),
        ('<node><id xmlns=""/></node>', "node(id=n1)"),
        ('<node xmlns="urn:other"/>', ""),
        ('<node><id xmlns="urn:other"/></node>', ""),
        ("<other/>", ""),
        # an attribute must match too, and our data has none
        ('<node><id some="x"/></node>', ""),
    ],
)
def test_a_filter_selects(xml: Xml, places: SchemaMap, wanted: str, result: str) -> None:
    data = list(xml(DATA))
    before = etree.tostring(data[0])
    assert shape(select(list(xml(wanted)), data, places.top)) == result
    assert etree.tostring(data[0]) == before


def test_an_attribute_that_the_data_has_is_matched(xml: Xml, places: SchemaMap) -> None:
    data = list(xml('<node><caps kind="a"><relay>1</relay></caps><id>n</id></node>'))
    assert (
        shape(select(list(xml('<node><caps kind="a"/></node>')), data, places.top)) == "node(caps(relay=1))"
    )
    assert select(list(xml('<node><caps kind="b"/></node>')), data, places.top) == []


def test_without_a_schema_nothing_is_known_of_keys(xml: Xml) -> None:
    wanted = list(xml("<node><links><link><hop/></link></links></node>"))
    assert shape(select(wanted, list(xml(DATA)), lambda _tag: None)) == "node(links(link(hop=x hop=y)))"


def test_what_a_filter_can_reach_is_told_before_data_is_made(xml: Xml) -> None:
    tag = "{urn:test:tiny}node"
    assert asks_for(patterns_of(xml("<node/>")), tag)
    assert asks_for(patterns_of(xml('<node xmlns=""/>')), tag)
    assert not asks_for(patterns_of(xml("<other/>")), tag)
    assert children_asked(patterns_of(xml("<node/>")), tag) is None
    assert children_asked(patterns_of(xml("<node><id/><caps><relay/></caps></node><other/>")), tag) == {
        "id",
        "caps",
    }
