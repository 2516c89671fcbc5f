"""Which list entries stand for themselves as far as their own shape goes.

Rule of this file: shape only (mandatory nodes, counts, choices, `unique`); what conditions look at is told by
`reach`. When in doubt, the answer is no.
"""

from collections.abc import Iterator

from yangson.enumerations import NodeStatus
from yangson.schemanode import (
    DataNode,
    LeafListNode,
    LeafNode,
    ListNode,
    SchemaTreeNode,
    SequenceNode,
)

from keyweave_yang.reach import Everywhere, Node, bound_paths, inner_nodes


def is_plain(entry: ListNode) -> bool:
    """No entry of this list can break a rule beyond names, values, keys and repetitions.

    So nothing inside is conditional, mandatory, chosen among cases, counted, unique or pointing elsewhere.
    """
    return all(_is_plain(node, entry) for node in _everything(entry))


def _everything(node: Node) -> Iterator[Node]:
    """Every schema node of the configuration below `node`, itself included, groups and choices too."""
    if isinstance(node, DataNode) and not node.config:
        return
    yield node
    for child in inner_nodes(node):
        yield from _everything(child)


def _is_plain(node: Node, entry: ListNode) -> bool:
    if not isinstance(node, DataNode) or node.must or node.when is not None or _obsolete(node):
        return False
    if isinstance(node, LeafNode | LeafListNode):
        try:
            if any(True for _ in bound_paths(node.type)):
                return False
        except Everywhere:
            return False
    if node is entry or _is_key(node):
        return True
    return not node.mandatory and not _counted(node)


def _is_key(node: Node) -> bool:
    home = node.data_parent()
    return isinstance(home, ListNode) and node.qual_name in home.keys


def _counted(node: Node) -> bool:
    if not isinstance(node, SequenceNode):
        return False
    return node.min_elements > 0 or node.max_elements is not None or bool(getattr(node, "unique", ()))


def _obsolete(node: Node) -> bool:
    return node.status not in (NodeStatus.current, NodeStatus.deprecated)


def stands_free(entry: ListNode) -> bool:
    """Whether an entry may exist does not depend on its neighbours: no count, `unique`, choice or `when`."""
    if not isinstance(entry.parent, DataNode | SchemaTreeNode) or _obsolete(entry):
        return False
    return entry.when is None and not _counted(entry) and bool(entry.keys)
