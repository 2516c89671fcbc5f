"""Making lxml elements with the namespaces we choose.

Rule of this file: it exists because the type stubs of lxml know no default namespace (the prefix None).
"""

from collections.abc import Mapping
from typing import TypeAlias, cast

from lxml import etree

Element: TypeAlias = etree._Element  # noqa: SLF001 - the only name lxml has for the type


def element(
    tag: str, nsmap: Mapping[str | None, str] | None = None, attributes: Mapping[str, str] | None = None
) -> Element:
    """A new element: Clark name, prefixes to declare (None: the default namespace), attributes."""
    made = etree.Element(tag, nsmap=cast("Mapping[str, str] | None", nsmap))
    for name, value in (attributes or {}).items():
        made.set(name, value)
    return made


def child_of(parent: Element, tag: str, nsmap: Mapping[str | None, str]) -> Element:
    """A new last child of `parent`; what it inherits of `nsmap` is not declared again."""
    return etree.SubElement(parent, tag, nsmap=cast("Mapping[str, str]", nsmap))


def attributes_of(of: Element) -> dict[str, str]:
    """The attributes of an element by Clark name."""
    return {str(name): str(value) for name, value in of.attrib.items()}
