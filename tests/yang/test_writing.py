"""How values become text, at their bounds."""

import math

import pytest
from lxml import etree

from keyweave_core.errors import InternalFault
from keyweave_yang import writing


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0"), (-0.0001, "0.0"), (3.1, "3.1"), (-2.5, "-2.5"), (10.0, "10.0"), (0.0005001, "0.001")],
)
def test_decimals_are_canonical(value: float, shown: str) -> None:
    parent = etree.Element("p")
    writing.decimal3(parent, "v", value)
    assert parent.findtext("v") == shown


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_written(value: float) -> None:
    with pytest.raises(InternalFault, match="no number"):
        writing.decimal3(etree.Element("p"), "v", value)


def test_gauges_stay_in_their_32_bits_and_configured_numbers_must() -> None:
    parent = etree.Element("p")
    for value in (-5, 1e12, 7.6):
        writing.gauge(parent, "v", value)
    assert [child.text for child in parent] == ["0", "4294967295", "8"]
    with pytest.raises(InternalFault, match="outside"):
        writing.number(parent, "v", 2**32)


def test_text_that_xml_cannot_carry() -> None:
    parent = etree.Element("p")
    writing.prose(parent, "v", "a\x00b\ud800c")
    assert parent.findtext("v") == "a�b�c"
    with pytest.raises(InternalFault, match="cannot carry"):
        writing.text(parent, "w", "a\x00b")
