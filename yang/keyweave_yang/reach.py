"""How far the conditions of a schema reach: which parts of a configuration depend on which others.

Rule of this file: an answer may be too cautious and never too bold. A condition is a `must`, a `when`, the
path of a leafref or an instance-identifier that must point at something. Its *reach* is every schema node
that its outcome may depend on: each node that its path steps on; everything below a container or list whose
content it takes; and, since a default stands in for an absent leaf only where the leaf may exist, the reach
of the `when` of each of those and its rivals in a choice. What is not understood here reaches everything.

Only configuration is looked at, because only configuration is validated piece by piece.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from yangson.datatype import DataType, InstanceIdentifierType, LeafrefType, UnionType
from yangson.enumerations import Axis
from yangson.schemanode import (
    ChoiceNode,
    DataNode,
    InternalNode,
    LeafListNode,
    LeafNode,
    NotificationNode,
    RpcActionNode,
    SchemaTreeNode,
)
from yangson.xpathast import (
    Expr,
    FilterExpr,
    FuncCurrent,
    FuncDeref,
    LocationPath,
    PathExpr,
    Root,
    Step,
    UnionExpr,
)

Node = Any
"""A yangson schema node: yangson tells no types."""

Nodes = frozenset[Node]


class Everywhere(Exception):
    """A condition may depend on anything; never leaves this file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition: where it is evaluated, and its reach (None: everything).

    `target` is set for the plainest of leafrefs, whose path names nodes from the top down and picks none: the
    nodes of the path. It holds exactly when the value is among those of the last one.
    """

    context: Node
    reach: Nodes | None
    target: tuple[Node, ...] = ()


def data_nodes(node: Node) -> Iterator[Node]:
    """The configuration nodes of the subtree of `node`, itself included; choices and groups are not told."""
    if isinstance(node, DataNode):
        if not node.config:
            return
        yield node
    for child in inner_nodes(node):
        yield from data_nodes(child)


def conditions(tree: SchemaTreeNode) -> list[Condition]:
    """Every condition on the configuration of a schema."""
    found = []
    for node in data_nodes(tree):
        expressions = [(one.expression, node) for one in node.must]
        expressions += [(when, context) for when, context in whens(node)]
        found += [Condition(context=at, reach=_reach(one, at)) for one, at in expressions]
        if not isinstance(node, LeafNode | LeafListNode):
            continue
        target = _plain_target(node)
        try:
            paths = list(bound_paths(node.type))
        except Everywhere:
            found.append(Condition(context=node, reach=None))
            continue
        found += [Condition(context=node, reach=_reach(path, node), target=target) for path in paths]
    return found


def _plain_target(node: Node) -> tuple[Node, ...]:
    """The nodes that the path of a leafref names, when nothing but their values decides; else none."""
    if not isinstance(node.type, LeafrefType):
        return ()
    names: list[Any] = []
    step: Expr = node.type.path
    while isinstance(step, LocationPath):
        last = step.right
        if not isinstance(last, Step) or last.axis is not Axis.child or last.predicates or not last.qname:
            return ()
        names.append(last.qname)
        step = step.left
    if not isinstance(step, Root):
        return ()
    chain: list[Node] = [node.schema_root()]
    for name in reversed(names):
        inner = chain[-1].get_data_child(*name)
        # A default, or what a `when` takes away, would be among the values without being there.
        if inner is None or any(True for _ in whens(inner)) or getattr(inner, "default", None) is not None:
            return ()
        chain.append(inner)
    return tuple(chain[1:])


def whens(node: Node) -> Iterator[tuple[Expr, Node]]:
    """The `when` of a data node and of the groups, choices and cases around it, each with its context."""
    if node.when is not None:
        yield node.when, node
    parent = node.parent
    while parent is not None and not isinstance(parent, DataNode | SchemaTreeNode):
        if parent.when is not None:
            yield parent.when, _above(node)
        parent = parent.parent


def inner_nodes(node: Node) -> list[Node]:
    """The schema nodes right below `node` that data may have; no actions, no notifications."""
    children = node.children if isinstance(node, InternalNode) else []
    return [child for child in children if not isinstance(child, RpcActionNode | NotificationNode)]


def _above(node: Node) -> Node:
    return node.data_parent() or node.schema_root()


def bound_paths(kind: DataType[Any, Any]) -> Iterator[Expr]:
    """The paths that values must lead along to something; raises Everywhere when they may lead anywhere."""
    if isinstance(kind, UnionType):
        for member in kind.types:
            yield from bound_paths(member)
    elif isinstance(kind, LeafrefType) and kind.require_instance:
        yield kind.path
    elif isinstance(kind, InstanceIdentifierType) and kind.require_instance:
        raise Everywhere


def _reach(expression: Expr, context: Node) -> Nodes | None:
    walk = _Walk(context)
    try:
        walk.value(expression, frozenset({context}))
    except Everywhere:
        return None
    return frozenset(walk.touched)


class _Walk:
    """One expression followed through the schema instead of through data."""

    def __init__(self, origin: Node):
        self.origin = origin
        self.touched: set[Node] = set()

    def value(self, expression: Expr, context: Nodes) -> None:
        """`expression` is evaluated and its value used."""
        for node in self.nodes(expression, context):
            if isinstance(node, SchemaTreeNode):
                raise Everywhere  # the text of all there is
            for inner in data_nodes(node):
                self._touch(inner)

    def nodes(self, expression: Expr, context: Nodes) -> Nodes:
        """The schema nodes that `expression` selects from `context`; none when its value is no node set."""
        match expression:
            case Step():
                return self._step(expression, context)
            case LocationPath() | PathExpr():
                return self.nodes(expression.right, self.nodes(expression.left, context))
            case UnionExpr():
                return self.nodes(expression.left, context) | self.nodes(expression.right, context)
            case FilterExpr():
                found = self.nodes(expression.primary, context)
                self._predicates(expression.predicates, found)
                return found
            case Root():
                return frozenset({self.origin.schema_root()})
            case FuncCurrent():
                return frozenset({self.origin})
            case FuncDeref():
                raise Everywhere
            case _:
                self._operands(expression, context)
                return frozenset()

    def _operands(self, expression: Expr, context: Nodes) -> None:
        """Every expression inside an operator or function; one without an argument looks at its context."""
        inner = list(_expressions(vars(expression).values()))
        for one in inner:
            self.value(one, context)
        if not inner and "expr" in vars(expression):
            for node in context:
                self._touch_all(node)

    def _step(self, step: Step, context: Nodes) -> Nodes:
        found: set[Node] = set()
        for node in context:
            if step.axis is Axis.self:
                found.add(node)
            elif step.axis is Axis.parent:
                if not isinstance(node, SchemaTreeNode):
                    found.add(_above(node))
            elif step.axis is Axis.child:
                found.update(_children(node, step.qname))
            else:
                raise Everywhere  # siblings, ancestors, descendants: not worth following
        for node in found:
            self._touch(node)
        self._predicates(step.predicates, frozenset(found))
        return frozenset(found)

    def _predicates(self, predicates: Iterable[Expr], context: Nodes) -> None:
        for one in predicates:
            self.value(one, context)

    def _touch_all(self, node: Node) -> None:
        if isinstance(node, SchemaTreeNode):
            raise Everywhere
        for inner in data_nodes(node):
            self._touch(inner)

    def _touch(self, node: Node) -> None:
        if isinstance(node, SchemaTreeNode) or node in self.touched:
            return
        self.touched.add(node)
        for rival in _rivals(node):
            self._touch(rival)
        for when, context in whens(node):
            inner = _Walk(context)
            inner.touched = self.touched
            inner.value(when, frozenset({context}))


def _rivals(node: Node) -> Iterator[Node]:
    """The nodes of the choices around `node`: what stands in one case keeps the defaults of another away."""
    parent = node.parent
    while parent is not None and not isinstance(parent, DataNode | SchemaTreeNode):
        if isinstance(parent, ChoiceNode):
            yield from parent.data_children()
        parent = parent.parent


def _children(node: Node, name: Any) -> list[Node]:
    if not isinstance(node, InternalNode):
        return []
    if not name:
        return list(node.data_children())
    child = node.get_data_child(*name)
    return [] if child is None else [child]


def _expressions(values: Iterable[object]) -> Iterator[Expr]:
    for value in values:
        if isinstance(value, Expr):
            yield value
        elif isinstance(value, list | tuple):
            yield from _expressions(value)


def inside(node: Node, ancestor: Node) -> bool:
    """`node` is `ancestor` or below it."""
    while node is not None:
        if node is ancestor:
            return True
        node = node.parent
    return False


def top_of(node: Node) -> Node:
    """The top-level data node above `node`, or itself."""
    while (parent := node.data_parent()) is not None:
        node = parent
    return node
