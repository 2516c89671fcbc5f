"""What is observed keeps the prefixes of its values when it is laid over configuration."""

from collections.abc import Callable

import pytest
from lxml import etree

from keyweave_core.netconf.data.overlay import overlay
from keyweave_core.netconf.data.schema_paths import SchemaMap

NS, TYPES = "{urn:test:tiny}", "urn:test:types"


@pytest.mark.parametrize(
    ("config", "state", "where"),
    [
        (
            "<links><link><id>1</id></link></links>",
            "<links><link><id>1</id><type>q:VIRT</type></link></links>",
            "links/link/type",
        ),
        (
            "<links><link><id>1</id><type>ty:PHYS</type></link></links>",
            "<links><link><id>1</id><type>q:VIRT</type></link></links>",
            "links/link/type",
        ),
        ("<links/>", "<links><link><id>2</id><type>q:VIRT</type></link></links>", "links/link/type"),
        ("", "<links><link><id>2</id><type>q:VIRT</type></link></links>", "links/link/type"),
    ],
)
def test_a_prefix_declared_above_is_declared_where_the_value_goes(
    xml: Callable[[str], etree._Element], places: SchemaMap, config: str, state: str, where: str
) -> None:
    observed = etree.fromstring(f'<node xmlns="{NS[1:-1]}" xmlns:q="{TYPES}">{state}</node>')
    before = etree.tostring(observed)
    (merged,) = overlay(list(xml(f"<node><id>n</id>{config}</node>")), [observed], places.top)
    again = etree.fromstring(etree.tostring(merged))
    (found,) = again.iterfind("/".join(NS + step for step in where.split("/")))
    assert (found.text, found.nsmap["q"]) == ("q:VIRT", TYPES)
    assert etree.tostring(observed) == before
