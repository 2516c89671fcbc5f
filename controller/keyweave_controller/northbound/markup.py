"""Writing values of the controller as leaves of YANG data, and reading them back.

Rule of this file: None writes nothing. Observed text is cleaned of what XML cannot carry; an observed number
is held inside the range of its type. Elements come out in the namespaces of the controller's modules, whose
prefixes the tops of trees declare.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import cast

from lxml import etree

from keyweave_core.runtime.clock import date_and_time

NETWORK = "urn:ietf:params:xml:ns:yang:ietf-network"
TOPOLOGY = "urn:ietf:params:xml:ns:yang:ietf-network-topology"
QKD = "urn:keyweave:yang:keyweave-qkd-network"
ALARMS = "urn:ietf:params:xml:ns:yang:ietf-alarms"
QKD_ALARMS = "urn:keyweave:yang:keyweave-qkd-alarms"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UINT64_MAX = 2**64 - 1


def nw(name: str) -> str:
    """Clark name of a node of `ietf-network`."""
    return f"{{{NETWORK}}}{name}"


def nt(name: str) -> str:
    """Clark name of a node of `ietf-network-topology`."""
    return f"{{{TOPOLOGY}}}{name}"


def kwn(name: str) -> str:
    """Clark name of a node of `keyweave-qkd-network`."""
    return f"{{{QKD}}}{name}"


def al(name: str) -> str:
    """Clark name of a node of `ietf-alarms`."""
    return f"{{{ALARMS}}}{name}"


def kwa(name: str) -> str:
    """Clark name of a node of `keyweave-qkd-alarms`."""
    return f"{{{QKD_ALARMS}}}{name}"


def tree(tag: str, prefixes: dict[str | None, str]) -> etree._Element:
    """An empty tree whose top declares `prefixes`."""
    return etree.Element(tag, nsmap=cast("dict[str, str]", prefixes))


def qkd_tree(name: str) -> etree._Element:
    """An empty top-level tree of `keyweave-qkd-network`, which is its default namespace."""
    return tree(kwn(name), {None: QKD})


def text(parent: etree._Element, tag: str, value: str | None) -> None:
    """Text; None and nothing write no leaf."""
    if value:
        etree.SubElement(parent, tag).text = _NOT_XML.sub("\ufffd", value)


def texts(parent: etree._Element, tag: str, values: Iterable[str]) -> None:
    """A leaf-list of text: in order, each value once, empty ones left out."""
    for value in dict.fromkeys(values):
        text(parent, tag, value)


def number(parent: etree._Element, tag: str, value: float | None, most: int = _UINT64_MAX) -> None:
    """A whole number, held inside 0..`most`."""
    if value is not None:
        etree.SubElement(parent, tag).text = str(min(max(int(value), 0), most))


def flag(parent: etree._Element, tag: str, value: bool) -> None:
    """true or false."""
    etree.SubElement(parent, tag).text = "true" if value else "false"


def decimal(parent: etree._Element, tag: str, value: float | None, places: int = 3) -> None:
    """A decimal64 of `places` fraction digits, in canonical form."""
    if value is not None:
        plain = f"{value:.{places}f}".rstrip("0")
        etree.SubElement(parent, tag).text = plain + "0" if plain.endswith(".") else plain


def moment(parent: etree._Element, tag: str, at_s: float | None) -> None:
    """A date-and-time of seconds since 1970."""
    if at_s is not None:
        etree.SubElement(parent, tag).text = date_and_time(at_s)


def member(parent: etree._Element, tag: str, value: StrEnum | None) -> None:
    """A member of an enumeration: in small letters, hyphens for what the code writes otherwise."""
    if value is not None:
        etree.SubElement(parent, tag).text = value.value.lower().replace("_", "-")


def found(parent: etree._Element, tag: str) -> str | None:
    """The text of a child leaf; None when there is none."""
    child = parent.find(tag)
    return None if child is None else (child.text or "")


def found_number(parent: etree._Element, tag: str) -> int | None:
    """The whole number of a child leaf of validated data; None when there is none."""
    value = found(parent, tag)
    return None if value is None else int(value)


def truth(text: str) -> bool:
    """What a boolean of validated data says."""
    return text in ("true", "1")


def found_all(parent: etree._Element, tag: str) -> tuple[str, ...]:
    """The values of a leaf-list, in order."""
    return tuple(child.text or "" for child in parent.iterchildren(tag))
