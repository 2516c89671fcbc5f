"""What has passed validation before, so that an edit costs what it touches.

Rule of this file: a part of a configuration may be approved when nothing in it can become wrong while its own
text, and what its conditions look at elsewhere, stay the same. Which parts those are is read off the schema
(`reach`), never written down by hand:

    an entry of a list    no condition outside looks into the list, and those inside look no further than the
                          entry and other top-level trees; no neighbour counts (unique, min- and max-elements,
                          choice). Approved entries are left out of the tree: what is left to check among
                          entries is that their keys differ.
    a top-level tree      that has no such list, whatever its conditions look at

A test proves on random configurations and edits that the verdict is that of a first look at everything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from lxml import etree
from yangson.schemanode import ListNode, SchemaTreeNode

from keyweave_yang.namespaces import is_element
from keyweave_yang.nodes import NodeView
from keyweave_yang.reach import (
    Condition,
    Node,
    Nodes,
    conditions,
    data_nodes,
    inside,
    top_of,
)
from keyweave_yang.standing import is_plain, stands_free

Chain = tuple[Node, ...]
"""Schema nodes, each below the one before."""

_MOST = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a part may be approved.

    `surroundings` are the nodes elsewhere that its conditions look at, by the top-level node that they are
    below: what they hold must stay the same. `references` are plain leafrefs, as the nodes from the part down
    to the leaf and those from the top down to what it points at: the value must stay among the values there,
    whatever else changes. `plain`: what breaks no rule of names, values, keys and repetitions is valid.
    `needed`: the conditions of others look at it (a tree; an entry never is).
    """

    mark: bytes
    surroundings: tuple[tuple[Node, Nodes], ...] = ()
    references: tuple[tuple[Chain, Chain], ...] = ()
    plain: bool = False
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The parts of a schema that may be approved, by their yangson nodes."""

    entries: dict[Node, Rule] = field(default_factory=dict)
    trees: dict[Node, Rule] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.entries or self.trees)


def read_rules(schema: SchemaTreeNode) -> Rules:
    """Which parts of the configuration of `schema` may be approved."""
    found = conditions(schema)
    tops = [node for node in schema.data_children() if node.config]
    ordinary = all(isinstance(top.parent, SchemaTreeNode) and top.when is None for top in tops)
    if not ordinary or any(one.reach is None for one in found):
        return Rules()
    rules = Rules()
    for top in tops:
        before = len(rules.entries)
        for node in data_nodes(top):
            if isinstance(node, ListNode) and not any(inside(node, known) for known in rules.entries):
                rule = _entry_rule(node, found)
                if rule is not None:
                    rules.entries[node] = rule
        if len(rules.entries) == before:
            rules.trees[top] = _tree_rule(top, found)
    return rules


def _entry_rule(node: ListNode, found: list[Condition]) -> Rule | None:
    if not stands_free(node) or _looked_into(node, found):
        return None
    home = top_of(node)
    if any(top_of(one) is home for one in _looked_at(node, found)):
        return None
    plain = [one for one in found if one.target and inside(one.context, node)]
    return Rule(
        mark=_mark(node),
        surroundings=_tops(_looked_at(node, [one for one in found if not one.target])),
        references=tuple((_chain(node, one.context), one.target) for one in plain),
        plain=is_plain(node),
    )


def _chain(part: Node, leaf: Node) -> Chain:
    """The data nodes below `part` down to `leaf`."""
    nodes = [leaf]
    while (above := nodes[-1].data_parent()) is not part:
        nodes.append(above)
    return tuple(reversed(nodes))


def _tree_rule(node: Node, found: list[Condition]) -> Rule:
    return Rule(
        mark=_mark(node), surroundings=_tops(_looked_at(node, found)), needed=_looked_into(node, found)
    )


def _looked_into(part: Node, found: list[Condition]) -> bool:
    outside = (one for one in found if not inside(one.context, part))
    return any(inside(node, part) for one in outside for node in one.reach or ())


def _looked_at(part: Node, found: list[Condition]) -> list[Node]:
    within = (one for one in found if inside(one.context, part))
    return [node for one in within for node in one.reach or () if not inside(node, part)]


def _tops(nodes: list[Node]) -> tuple[tuple[Node, Nodes], ...]:
    tops = sorted({top_of(node) for node in nodes}, key=lambda node: str(node.iname()))
    return tuple((top, frozenset(node for node in nodes if inside(node, top))) for top in tops)


def _mark(node: Node) -> bytes:
    return f"{node.data_path()} ".encode()


class Approvals:
    """Digests of parts that are known to be valid.

    Two generations: when the younger is full it becomes the older, which is forgotten then. What is met
    again moves to the younger, so a configuration of up to `most` parts is never forgotten while in use.
    """

    def __init__(self, most: int = _MOST):
        self._most = most
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, digest: bytes) -> bool:
        if digest in self._young:
            return True
        if digest not in self._old:
            return False
        self.add((digest,))
        return True

    def __len__(self) -> int:
        return len(self._young | self._old)

    def add(self, digests: Iterable[bytes]) -> None:
        """Remember parts of a configuration that was found valid."""
        for digest in digests:
            if len(self._young) >= self._most:
                self._young, self._old = set(), self._young
            self._young.add(digest)


Given = Mapping[Node, Sequence[tuple[NodeView, Any]]]
"""The top-level elements of one configuration, each with its view, by their yangson nodes."""


class Lookup:
    """One validation's use of what is known. `unseen` holds the digests of the parts that were not known."""

    def __init__(self, rules: Rules, known: Approvals, given: Given):
        self.rules = rules
        self._known = known
        self._given = given
        self._around: dict[tuple[Node, Nodes], bytes] = {}
        self._values: dict[Chain, frozenset[str]] = {}
        self.unseen: list[bytes] = []

    def approved(self, rule: Rule, view: NodeView, element: etree._Element) -> bool:
        """This part was valid before, with these surroundings."""
        # The text has all namespaces in scope: the same letters may mean something else elsewhere.
        digest = blake2b(rule.mark, digest_size=16)
        digest.update(etree.tostring(element, with_tail=False))
        for surrounding in rule.surroundings:
            digest.update(self._surrounding(*surrounding))
        for leaf, target in rule.references:
            known = self._targets(target)
            digest.update(b"".join(b"+" if one in known else b"-" for one in _values(view, element, leaf)))
        key = digest.digest()
        if key in self._known:
            return True
        self.unseen.append(key)
        return False

    def keep(self) -> None:
        """All was valid: remember what was new."""
        self._known.add(self.unseen)

    def _surrounding(self, top: Node, nodes: Nodes) -> bytes:
        told = self._around.get((top, nodes))
        if told is None:
            digest = blake2b(digest_size=16)
            for text in _told(self._given.get(top, ()), nodes):
                digest.update(text.encode())
            told = self._around[top, nodes] = digest.digest()
        return told

    def _targets(self, chain: Chain) -> frozenset[str]:
        values = self._values.get(chain)
        if values is None:
            top, *rest = chain
            given = self._given.get(top, ())
            values = self._values[chain] = frozenset(
                value for view, element in given for value in _values(view, element, tuple(rest))
            )
        return values


def _values(view: NodeView, element: etree._Element, chain: Chain) -> Iterator[str]:
    """The canonical values of the leaves at the end of `chain` below `element`."""
    if not chain:
        yield view.canonical(element)
        return
    for child in element:
        if is_element(child):
            inner = view.child(child.tag)
            if inner is not None and inner.origin is chain[0]:
                yield from _values(inner, child, chain[1:])


def _told(elements: Iterable[tuple[NodeView, etree._Element]], nodes: Nodes) -> Iterator[str]:
    """All that conditions can see of `elements` when they look at `nodes` only: structure and values."""
    for view, element in elements:
        if view.origin not in nodes:
            continue
        if view.leaf is not None:
            value = view.leaf.canonical(element)
            yield f"{element.tag}={len(value)}:{value}"
        else:
            inner = ((view.child(child.tag), child) for child in element if is_element(child))
            yield f"{element.tag}("
            yield from _told(((known, child) for known, child in inner if known is not None), nodes)
            yield ")"
