"""Elements in the form of the store: values canonical, no attributes, no blank text, list keys first.

Rule of this file: what comes from a message is read once, checked and remembered for the run; what is made is
made in its place, so that it needs no namespace declaration that its parent has.
"""

import copy

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.data.prefixes import prefixes_in
from keyweave_core.netconf.data.schema_paths import SchemaMap, step
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import child_of


class Values:
    """The values of one edit."""

    def __init__(self, schema: SchemaMap) -> None:
        self._schema = schema
        self._known: dict[tuple[SchemaNode, etree._Element], str] = {}

    def read(self, node: SchemaNode, element: etree._Element, path: str) -> str:
        """The canonical value of a leaf or leaf-list element whose parent stands at `path`.

        Raises RpcError unknown-element for elements inside, or what the type says, with the path.
        """
        known = self._known.get((node, element))
        if known is None:
            if len(element):
                self._refuse_inner(node, element, path)
            try:
                known = node.checked(element)
            except SchemaViolation as fault:
                at = path + step(node)
                raise self._schema.error(fault.tag, fault.reason, at, app_tag=fault.app_tag) from fault
            self._known[node, element] = known
        return known

    def make(
        self, target: etree._Element, node: SchemaNode, element: etree._Element, identity: tuple[str, ...]
    ) -> etree._Element:
        """A new last child of `target`: a leaf with its value, a list entry with its keys, else empty."""
        match node.kind:
            case Kind.LEAF | Kind.LEAF_LIST:
                return self._leaf(target, node, element)
            case Kind.ANYDATA:
                kept = copy.deepcopy(element)
                kept.tail = None
                kept.attrib.clear()
                target.append(kept)
                return kept
            case _:
                made = child_of(target, f"{{{node.namespace}}}{node.name}", {None: node.namespace})
        if identity:
            for key in node.keys:
                key_node, given = node.child(key), element.find(key)
                assert key_node is not None  # noqa: S101 - the identity was made of them
                assert given is not None  # noqa: S101
                self._leaf(made, key_node, given)
        return made

    def _leaf(self, target: etree._Element, node: SchemaNode, element: etree._Element) -> etree._Element:
        """The leaf to store. An identity is told by its canonical form naming the module that its prefix
        (or, without one, the leaf's own module) is bound to; it keeps that name as prefix, declared here.
        Other text keeps the prefixes that are bound in it.
        """
        canonical = self._known.get((node, element))
        if canonical is None:
            canonical = node.canonical(element)
        nsmap: dict[str | None, str] = {None: node.namespace}
        if ":" in canonical or ":" in (element.text or ""):
            prefix, colon, _ = (element.text or "").strip().rpartition(":")
            module = canonical.partition(":")[0]
            uri = self._schema.namespaces.get(module)
            bound = element.nsmap.get(prefix) if colon else node.namespace
            if ":" in canonical and uri is not None and uri == bound:
                nsmap[module] = uri
            elif colon:
                nsmap.update(prefixes_in(element))  # an XPath expression is a string with prefixes
        made = child_of(target, f"{{{node.namespace}}}{node.name}", nsmap)
        made.text = canonical or None
        return made

    def _refuse_inner(self, node: SchemaNode, element: etree._Element, path: str) -> None:
        inner = next(element.iterchildren("*"), None)
        if inner is not None:
            name = etree.QName(inner).localname
            message = f"{node.name} is a leaf and holds no elements"
            raise self._schema.error("unknown-element", message, path + step(node), bad_element=name)
