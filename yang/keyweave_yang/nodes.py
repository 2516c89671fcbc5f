"""The schema tree as the NETCONF server sees it: data nodes found by their XML name.

Rule of this file: a view is built from a yangson node when it is first asked for, then kept; choices and
cases are seen through. `keyweave_core.netconf.ports.SchemaNode` is the contract.
"""

from collections.abc import Sequence
from typing import Any, Literal

from lxml import etree
from yangson.enumerations import DefaultDeny
from yangson.schemanode import (
    AnyContentNode,
    CaseNode,
    ChoiceNode,
    ContainerNode,
    DataNode,
    LeafListNode,
    LeafNode,
    ListNode,
    RpcActionNode,
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
    """One data node of the schema (also the top of a notification or of the input of an rpc).

    `origin` is the yangson node behind it. `deny_from` is the node that carries the extensions of NACM when
    that is another one: those of an rpc stand at the rpc, not at its input.
    """

    __slots__ = (
        "_actions",
        "_by_tag",
        "_naming",
        "_ordered",
        "cases",
        "config",
        "default",
        "default_deny",
        "keys",
        "kind",
        "leaf",
        "member",
        "module",
        "name",
        "namespace",
        "origin",
        "presence",
        "tag",
        "user_ordered",
    )

    def __init__(self, node: Any, naming: Naming, deny_from: Any = None):
        self.origin = node
        self._naming = naming
        self._by_tag: dict[str, NodeView] | None = None
        self._actions: dict[str, NodeView] | None = None
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
        self.default_deny: Literal["write", "all"] | None = _deny(deny_from or node)
        """`nacm:default-deny-write` or `-all` at this very node (RFC 8341 3.2)."""
        self.cases: tuple[tuple[str, str], ...] = _cases(node)
        """The choices it stands in, the outermost first, each with its case: of two siblings that name one
        choice with different cases only one may exist (RFC 7950 7.9)."""
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

    def action(self, tag: str) -> "NodeView | None":
        """The input of the action of this Clark name that this node has (RFC 7950 7.15), or None."""
        if self._actions is None:
            inner = getattr(self.origin, "children", ())
            self._actions = {
                self._naming.clark(node.name, node.ns): operation_view(node, self._naming)
                for node in inner
                if isinstance(node, RpcActionNode)
            }
        return self._actions.get(tag)

    def check_leaf(self, element: etree._Element) -> None:
        """Check the value of a leaf or leaf-list element; see `SchemaNode.check_leaf`."""
        self._codec().read(element)

    def checked(self, element: etree._Element) -> str:
        """The value in canonical text, or SchemaViolation; see `SchemaNode.checked`."""
        codec = self._codec()
        return codec.show(codec.read(element))

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
        self._ordered = tuple(NodeView(child, self._naming) for child in self.origin.data_children())
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


def _deny(node: Any) -> Literal["write", "all"] | None:
    match getattr(node, "default_deny", DefaultDeny.none):
        case DefaultDeny.write:
            return "write"
        case DefaultDeny.all:
            return "all"
        case _:
            return None


def _cases(node: Any) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    parent = node.parent
    while parent is not None and not isinstance(parent, DataNode | SchemaTreeNode):
        if isinstance(parent, CaseNode):
            choice = parent.parent
            while not isinstance(choice, ChoiceNode):  # a group that a `uses` with a `when` made
                choice = choice.parent
            found.append((f"{choice.ns}:{choice.name}", f"{parent.ns}:{parent.name}"))
        parent = parent.parent
    return tuple(reversed(found))


def operation_view(node: RpcActionNode, naming: Naming) -> NodeView:
    """The input of an rpc or action."""
    return NodeView(node.get_child("input", node.ns), naming, deny_from=node)


def schema_children(tree: SchemaTreeNode, naming: Naming) -> dict[str, NodeView]:
    """Views of the top-level data nodes of a whole schema, by Clark name."""
    return {view.tag: view for view in (NodeView(node, naming) for node in tree.data_children())}
