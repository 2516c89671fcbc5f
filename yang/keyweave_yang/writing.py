"""Domain values as leaves of an XML tree.

Rule of this file: None writes nothing, and what is written is in the canonical form of its type. Gauges of
015 are 32 bits wide: an observed value beyond that is written as the greatest (`gauge`), a configured one
is a defect of the caller (`number`).

Every subtree carries the namespaces it needs, so that it can be moved or copied into another tree: lxml
keeps a declaration that only the text of an identity uses just where it stands. So an identity declares
its module on its own leaf, with the module's name as prefix (the spelling of JSON, too), and our augments
declare their namespace as default.
"""

import math
import re
from typing import cast

from lxml import etree

from keyweave_core.errors import InternalFault
from keyweave_core.model.units import UINT32_MAX, clamp_uint32
from keyweave_yang.namespaces import ETSI_TYPES, KEYWEAVE

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_OWN_TAG = f"{{{KEYWEAVE}}}"
_OWN = cast("dict[str, str]", {None: KEYWEAVE})
_TYPES_PREFIX = "etsi-qkd-node-types"
_TYPES = {_TYPES_PREFIX: ETSI_TYPES}


def grow(parent: etree._Element, tag: str) -> etree._Element:
    """A new last child; the first of ours below a node of 015 declares our namespace as default."""
    if tag.startswith(_OWN_TAG) and not parent.tag.startswith(_OWN_TAG):
        return etree.SubElement(parent, tag, nsmap=_OWN)
    return etree.SubElement(parent, tag)


def text(parent: etree._Element, tag: str, value: str | None) -> None:
    """A name or id. Raises InternalFault when XML cannot carry it."""
    if value is None:
        return
    try:
        grow(parent, tag).text = value
    except ValueError as error:
        raise InternalFault(f"{tag}: XML cannot carry {value[:60]!r}") from error


def prose(parent: etree._Element, tag: str, value: str | None) -> None:
    """Text for people; characters that XML cannot carry are replaced."""
    if value is not None:
        grow(parent, tag).text = _NOT_XML.sub("�", value)


def number(parent: etree._Element, tag: str, value: int | None, top: int = UINT32_MAX) -> None:
    """A configured whole number 0..top. Raises InternalFault outside."""
    if value is None:
        return
    if not 0 <= value <= top:
        raise InternalFault(f"{tag}: {value} is outside 0..{top}")
    grow(parent, tag).text = str(value)


def gauge(parent: etree._Element, tag: str, value: float | None) -> None:
    """An observed number, held at the ends of 0..2**32-1."""
    if value is not None:
        grow(parent, tag).text = str(clamp_uint32(value))


def boolean(parent: etree._Element, tag: str, value: bool) -> None:
    """true or false."""
    grow(parent, tag).text = "true" if value else "false"


def decimal3(parent: etree._Element, tag: str, value: float | None) -> None:
    """A decimal64 with three fraction digits. Raises InternalFault when it is not finite."""
    if value is None:
        return
    if not math.isfinite(value):
        raise InternalFault(f"{tag}: {value} is no number")
    shown = f"{value:.3f}".rstrip("0")
    if shown.endswith("."):
        shown += "0"
    grow(parent, tag).text = "0.0" if shown == "-0.0" else shown


def identity(parent: etree._Element, tag: str, value: str | None) -> None:
    """An identity of etsi-qkd-node-types."""
    if value is not None:
        etree.SubElement(parent, tag, nsmap=_TYPES).text = f"{_TYPES_PREFIX}:{value}"


def own_identity(parent: etree._Element, tag: str, value: str | None) -> None:
    """An identity of keyweave-qkd-node in a leaf of it: the leaf's own module needs no prefix."""
    if value is not None:
        grow(parent, tag).text = value
