"""Finding the child of an element that an edit speaks of, quickly also among thousands of entries.

Rule of this file: it works on trees in the form of the store, where keys and values are canonical text. An
index is made when a list is first looked into and kept up by whoever changes it.
"""

from lxml import etree

from keyweave_core.netconf.ports import Kind, SchemaNode


class Entries:
    """The indexes of one edit."""

    def __init__(self) -> None:
        self._indexes: dict[tuple[etree._Element, str], dict[tuple[str, ...], etree._Element]] = {}

    def find(
        self, target: etree._Element, node: SchemaNode, identity: tuple[str, ...]
    ) -> etree._Element | None:
        """The child of `target` with this identity (key values, or the value of a leaf-list), or None."""
        tag = f"{{{node.namespace}}}{node.name}"
        if node.kind not in (Kind.LIST, Kind.LEAF_LIST):
            return target.find(tag)
        if node.kind is Kind.LIST and not node.keys:
            return None
        index = self._indexes.get((target, tag))
        if index is None:
            index = {}
            for element in target.iterchildren(tag):
                values = (
                    tuple(element.findtext(key) or "" for key in node.keys)
                    if node.kind is Kind.LIST
                    else (element.text or "",)
                )
                index[values] = element
            self._indexes[target, tag] = index
        return index.get(identity)

    def put(
        self, target: etree._Element, node: SchemaNode, identity: tuple[str, ...], element: etree._Element
    ) -> None:
        """`element` stands for this identity from here on."""
        if identity and self._indexes:
            index = self._indexes.get((target, f"{{{node.namespace}}}{node.name}"))
            if index is not None:
                index[identity] = element

    def drop(
        self, target: etree._Element, element: etree._Element, node: SchemaNode, identity: tuple[str, ...]
    ) -> None:
        """Remove a child."""
        target.remove(element)
        index = self._indexes.get((target, f"{{{node.namespace}}}{node.name}"))
        if index is not None:
            index.pop(identity, None)

    def forget(self, target: etree._Element, tag: str) -> None:
        """Children of this name were removed by other means."""
        self._indexes.pop((target, tag), None)
