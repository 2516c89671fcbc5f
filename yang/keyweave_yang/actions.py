"""Calls of actions: from <action> to the node that has the action and what is said to it.

Rule of this file: in RFC 7950 7.15.2 one line of elements leads from the root of the data down to the action;
beside it stand the keys of list entries and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind
from keyweave_yang.namespaces import is_element
from keyweave_yang.nodes import NodeView


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCall:
    """One call. `element` is that of the action, `input` describes what may stand in it.

    `node` is the element that has the action, inside its line of ancestors with their keys (below <action>);
    `path` names the action for errors.
    """

    element: etree._Element
    input: NodeView
    node: etree._Element
    path: str


def find_action(top: Callable[[str], NodeView | None], call: etree._Element) -> ActionCall:
    """The action that <action> calls; `top` finds top-level data nodes.

    Raises SchemaViolation: unknown-element for a name that is not there, missing-element for a list entry
    without its keys or a line that ends before an action, bad-element for more than one line.
    """
    view: NodeView | None = None
    element, path = call, ""
    while True:
        following = _following(element, view, path)
        tag = str(following.tag)
        if view is not None and (found := view.action(tag)) is not None:
            where = f"{path}/{found.module}:{tag.rpartition('}')[2]}"
            return ActionCall(element=following, input=found, node=element, path=where)
        inner = top(tag) if view is None else view.child(tag)
        if inner is None or inner.leaf is not None:
            raise SchemaViolation(
                f"there is no node with actions {tag[:200]} here", path=path, tag="unknown-element"
            )
        element, view = following, inner
        path = f"{path}/{view.module}:{view.name}"


def _following(element: etree._Element, view: NodeView | None, path: str) -> etree._Element:
    """The next element of the line: what is left beside the keys of a list entry."""
    inner = [child for child in element if is_element(child)]
    if view is not None and view.kind is Kind.LIST:
        for tag in view.keys:
            key, leaf = element.find(tag), view.child(tag)
            if key is None or leaf is None:
                name = tag.rpartition("}")[2]
                raise SchemaViolation(f"list entry without its key {name}", path=path, tag="missing-element")
            leaf.check_leaf(key)
            inner.remove(key)
    if not inner:
        raise SchemaViolation("an action is missing here", path=path, tag="missing-element")
    if len(inner) > 1:
        raise SchemaViolation("one action in one call", path=path, tag="bad-element")
    return inner[0]
