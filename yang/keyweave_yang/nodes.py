"""The schema tree as the NETCONF server sees it: data nodes found by their XML name.

Rule of this file: a view is built from a yangson node when it is first asked for, then kept; choices and
cases are seen through. `keyweave_core.netconf.ports.SchemaNode` is the contract.
"""

from collections.abc import Sequence
from typing import Any

from lxml import etree
from yangson.schemanode import (
    AnyContentNode,
    ContainerNode,
    LeafListNode,
    LeafNode,
    ListNode,
    SchemaTreeNode,
)

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind, ValueForm
from keyweave_yang.leaves import LeafCodec


class Naming:
    """Names of the modules of one schema: module name to namespace and back."""

    __slots__ = ("modules", "namespaces")

    def __init__(self, namespaces: dict[str, str]):
        self.namespaces = namespaces
        self.modules = {uri: name for name, uri in namespaces.items()}

    def clark(self, name: str, module: str) -> str:
        """The XML name of a node of `module`."""
        return f"{{{self.namespaces[module]}}}{name}"


class NodeView:
    """One data node of the schema (also the top of a notification or of the input of an rpc)."""

    __slots__ = (
        "_by_tag",
        "_naming",
        "_node",
        "_ordered",
        "config",
        "default",
        "keys",
        "kind",
        "leaf",
        "member",
        "module",
        "name",
        "namespace",
        "presence",
        "tag",
        "user_ordered",
    )

    def __init__(self, node: Any, naming: Naming):
        self._node = node
        self._naming = naming
        self._by_tag: dict[str, NodeView] | None = None
        self._ordered: tuple[NodeView, ...] = ()
        self.name: str = node.name
        self.module: str = node.ns
        self.namespace: str = naming.namespaces[node.ns]
        self.tag = f"{{{self.namespace}}}{self.name}"
        self.kind = _kind(node)
        self.config: bool = bool(node.config)
        self.presence: bool = isinstance(node, ContainerNode) and node.presence
        self.user_ordered: bool = isinstance(node, ListNode | LeafListNode) and node.user_ordered
        self.keys: tuple[str, ...] = ()
        if isinstance(node, ListNode):
            self.keys = tuple(naming.clark(*key) for key in node.keys)
        self.member: str = node.iname()
        """The name of the node among the members of its parent in a yangson value."""
        self.leaf: LeafCodec | None = None
        self.default: str | None = None
        if isinstance(node, LeafNode | LeafListNode):
            self.leaf = LeafCodec(node.type, node.ns, naming.modules)
        if isinstance(node, LeafNode) and node.default is not None and self.leaf is not None:
            self.default = self.leaf.show(node.default)

    def child(self, tag: str) -> "NodeView | None":
        """The data child of this Clark name, or None."""
        if self._by_tag is None:
            self._by_tag = self._expand()
        return self._by_tag.get(tag)

    def children(self) -> Sequence["NodeView"]:
        """All data children in schema order."""
        if self._by_tag is None:
            self._by_tag = self._expand()
        return self._ordered

    def check_leaf(self, element: etree._Element) -> None:
        """Check the value of a leaf or leaf-list element; see `SchemaNode.check_leaf`."""
        self._codec().read(element)

    def canonical(self, element: etree._Element) -> str:
        """The value in canonical text; see `SchemaNode.canonical`."""
        return self._codec().canonical(element)

    def form(self, element: etree._Element | None = None) -> ValueForm:
        """How its values are written outside XML; see `SchemaNode.form`."""
        return ValueForm.TEXT if self.leaf is None else self.leaf.form(element)

    def __repr__(self) -> str:
        return f"<NodeView {self.module}:{self.name} {self.kind.name}>"

    def _codec(self) -> LeafCodec:
        if self.leaf is None:
            raise SchemaViolation(f"{self.name} is no leaf", tag="bad-element")
        return self.leaf

    def _expand(self) -> dict[str, "NodeView"]:
        if self.leaf is not None or self.kind is Kind.ANYDATA:
            return {}
        self._ordered = tuple(NodeView(child, self._naming) for child in self._node.data_children())
        return {view.tag: view for view in self._ordered}


def _kind(node: Any) -> Kind:
    if isinstance(node, LeafNode):
        return Kind.LEAF
    if isinstance(node, LeafListNode):
        return Kind.LEAF_LIST
    if isinstance(node, ListNode):
        return Kind.LIST
    if isinstance(node, AnyContentNode):
        return Kind.ANYDATA
    return Kind.CONTAINER


def schema_children(tree: SchemaTreeNode, naming: Naming) -> dict[str, NodeView]:
    """Views of the top-level data nodes of a whole schema, by Clark name."""
    return {view.tag: view for view in (NodeView(node, naming) for node in tree.data_children())}
