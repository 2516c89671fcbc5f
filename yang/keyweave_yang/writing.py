"""Domain values as leaves of an XML tree.

Rule of this file: None writes nothing, and what is written is in the canonical form of its type. Gauges of
015 are 32 bits wide: an observed value beyond that is written as the greatest (`gauge`), a configured one
is a defect of the caller (`number`).
"""

import math
import re
from enum import StrEnum

from lxml import etree

from keyweave_core.errors import InternalFault
from keyweave_core.model.units import UINT32_MAX, clamp_uint32
from keyweave_yang.namespaces import ETSI_TYPES_PREFIX, KEYWEAVE_PREFIX

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(parent: etree._Element, tag: str, value: str | None) -> None:
    """A name or id. Raises InternalFault when XML cannot carry it."""
    if value is None:
        return
    try:
        etree.SubElement(parent, tag).text = value
    except ValueError as error:
        raise InternalFault(f"{tag}: XML cannot carry {value[:60]!r}") from error


def prose(parent: etree._Element, tag: str, value: str | None) -> None:
    """Text for people; characters that XML cannot carry are replaced."""
    if value is not None:
        etree.SubElement(parent, tag).text = _NOT_XML.sub("�", value)


def number(parent: etree._Element, tag: str, value: int | None, top: int = UINT32_MAX) -> None:
    """A configured whole number 0..top. Raises InternalFault outside."""
    if value is None:
        return
    if not 0 <= value <= top:
        raise InternalFault(f"{tag}: {value} is outside 0..{top}")
    etree.SubElement(parent, tag).text = str(value)


def gauge(parent: etree._Element, tag: str, value: float | None) -> None:
    """An observed number, held at the ends of 0..2**32-1."""
    if value is not None:
        etree.SubElement(parent, tag).text = str(clamp_uint32(value))


def boolean(parent: etree._Element, tag: str, value: bool) -> None:
    """true or false."""
    etree.SubElement(parent, tag).text = "true" if value else "false"


def decimal3(parent: etree._Element, tag: str, value: float | None) -> None:
    """A decimal64 with three fraction digits. Raises InternalFault when it is not finite."""
    if value is None:
        return
    if not math.isfinite(value):
        raise InternalFault(f"{tag}: {value} is no number")
    shown = f"{value:.3f}".rstrip("0")
    if shown.endswith("."):
        shown += "0"
    etree.SubElement(parent, tag).text = "0.0" if shown == "-0.0" else shown


def identity(parent: etree._Element, tag: str, value: StrEnum | None) -> None:
    """An identity of etsi-qkd-node-types."""
    if value is not None:
        etree.SubElement(parent, tag).text = f"{ETSI_TYPES_PREFIX}:{value.value}"


def own_identity(parent: etree._Element, tag: str, value: StrEnum | None) -> None:
    """An identity of keyweave-qkd-node."""
    if value is not None:
        etree.SubElement(parent, tag).text = f"{KEYWEAVE_PREFIX}:{value.value}"
