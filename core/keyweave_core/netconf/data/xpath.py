"""Filters that are XPath expressions (RFC 6241 clause 8.9).

Rule of this file: an expression is judged before it runs (`xpath_syntax` its form, `xpath_cost` its cost over
the data at hand). What is selected comes out as whole subtrees, with the elements above them and the keys of
the list entries on the way. Names without prefix are in no namespace, as XPath 1.0 has it, and so select
nothing of ours. Values are compared as text in the form in which they are stored.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lxml import etree

from keyweave_core.errors import InternalFault
from keyweave_core.netconf.data.filters import TopLookup
from keyweave_core.netconf.data.xpath_cost import Census, Rough, estimate
from keyweave_core.netconf.data.xpath_syntax import BadXPath, parse
from keyweave_core.netconf.data.xpath_tree import (
    Binary,
    Call,
    Expression,
    Negative,
    Path,
    Step,
    rooted,
    selects_nodes,
    write,
)
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element, attributes_of
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import RpcError

MAX_CHARS = 8192
# The name of the element that plays the root node where several top-level elements are filtered.
_ROOT = "root-node"


class XPathSelection:
    """An XPath expression as a filter."""

    def __init__(
        self,
        expression: str,
        namespaces: Mapping[str | None, str],
        *,
        max_cost: int,
        condition: bool = False,
    ) -> None:
        """`namespaces` are the prefixes in scope; a default namespace means nothing to XPath.

        `max_cost` bounds the looks at nodes that one use may take. With `condition` any value will do (the
        filter of a notification, RFC 8639); without, only a node-set. Raises BadXPath.
        """
        if len(expression) > MAX_CHARS:
            raise BadXPath(f"an expression has at most {MAX_CHARS} characters")
        self._prefixes = {prefix: uri for prefix, uri in namespaces.items() if prefix}
        self._expression = rooted(parse(expression, self._prefixes))
        self.nodes = selects_nodes(self._expression)
        if not self.nodes and not condition:
            raise NoNodeSet("the expression does not select nodes")
        self._max_cost = max_cost
        self._tops = _tops_of(self._expression)
        self._text = write(self._expression)
        self._text_below = write(self._expression, below=True)
        try:
            etree.XPath(self._text, namespaces=self._prefixes or None, regexp=False)
        except (etree.XPathError, ValueError, TypeError) as error:
            raise BadXPath(f"libxml2 does not take it: {error}") from error

    def apply(self, elements: Iterable[Element], top: TopLookup) -> list[Element]:
        """See `selection.Selection`."""
        tops = [element for element in elements if self.wants(str(element.tag))]
        if not tops or not self.nodes:
            return []
        self._judge(tops)
        if len(tops) == 1:
            ask = self._asked_of(tops[0])
            # lxml leaves the root node out of results; whether it is in must be asked apart.
            if _last_may_be_root(self._expression) and ask(f"boolean(({self._text})[not(parent::node())])"):
                return tops
            return _pruned(tops, _owners(ask(self._text)), top)
        root = etree.Element(_ROOT)
        root.extend(copy.deepcopy(element) for element in tops)
        for element in root:
            element.tail = None
        selected = _owners(self._asked_of(root)(self._text_below))
        if root in selected:
            return tops
        copies = list(root)
        whole = {mine: theirs for mine, theirs in zip(copies, tops, strict=True) if mine in selected}
        return [whole.get(element, element) for element in _pruned(copies, selected, top)]

    def wants(self, tag: str) -> bool:
        """See `selection.Selection`."""
        return self._tops is None or tag in self._tops

    def children_wanted(self, tag: str) -> frozenset[str] | None:
        """See `selection.Selection`; an expression may look anywhere inside."""
        return None if self.wants(tag) else frozenset()

    def matches_notification(self, content: Element) -> bool:
        """See `selection.Selection`: the value as a boolean, `content` being the child of the root node."""
        self._judge([content])
        return bool(self._asked_of(content)(f"boolean({self._text})"))

    def _asked_of(self, element: Element) -> "etree.XPathDocumentEvaluator":
        """Evaluates with `element` as the root element of a document, wherever it stands."""
        return etree.XPathDocumentEvaluator(
            etree.ElementTree(element), namespaces=self._prefixes or None, regexp=False
        )

    def _judge(self, tops: Sequence[Element]) -> None:
        if estimate(self._expression, Rough(tops)) <= self._max_cost:
            return
        cost = estimate(self._expression, Census(tops))
        if cost > self._max_cost:
            raise RpcError(
                "resource-denied",
                f"the expression may take {cost} looks at nodes of the data, {self._max_cost} are allowed: "
                "name the elements on the way instead of searching, above all inside predicates",
            )


class NoNodeSet(BadXPath):
    """The expression is right, but its value is no node-set."""


def _owners(result: object) -> set[Element]:
    """The elements of a result: of a text the element that holds it, of an attribute the one that has it."""
    if not isinstance(result, list):
        raise InternalFault(f"an XPath filter became {type(result).__name__}")
    owners: set[Element] = set()
    for item in result:
        owner = item if isinstance(item, etree._Element) else item.getparent()  # noqa: SLF001
        if owner is not None and getattr(item, "is_tail", False):
            owner = owner.getparent()
        if owner is not None and not isinstance(owner.tag, str):
            owner = owner.getparent()  # a comment or processing instruction
        if owner is not None:
            owners.add(owner)
    return owners


def _pruned(tops: Iterable[Element], selected: set[Element], top: TopLookup) -> list[Element]:
    """The top-level elements with only what is selected, whole where they are selected themselves."""
    inside: dict[Element, set[Element]] = {}
    for found in selected:
        child = found
        for parent in found.iterancestors():
            known = parent in inside
            inside.setdefault(parent, set()).add(child)
            if known:
                break
            child = parent
    chosen = []
    for element in tops:
        if element in selected:
            chosen.append(element)
        elif element in inside:
            chosen.append(_part(element, selected, inside, top(str(element.tag))))
    return chosen


def _part(
    element: Element,
    selected: set[Element],
    inside: Mapping[Element, set[Element]],
    node: SchemaNode | None,
) -> Element:
    keys = node.keys if node is not None and node.kind is Kind.LIST else ()
    wanted = inside[element]
    part = new_element(str(element.tag), element.nsmap, attributes_of(element))
    for child in element.iterchildren("*"):
        tag = str(child.tag)
        if child in wanted and child not in selected:
            part.append(_part(child, selected, inside, node and node.child(tag)))
        elif child in wanted or tag in keys:
            kept = copy.deepcopy(child)
            kept.tail = None
            part.append(kept)
    return part


def _last_may_be_root(expression: Expression) -> bool:
    """Can the root node itself be in the result?"""
    match expression:
        case Path(steps=(), start=None):
            return True
        case Path(steps=(), start=start):
            return start is not None and _last_may_be_root(start)
        case Path(steps=steps):
            last = steps[-1]
            return last.test.text == "node()" and last.axis not in ("child", "attribute", "descendant")
        case Binary("|", left, right):
            return _last_may_be_root(left) or _last_may_be_root(right)
        case _:
            return False


def _tops_of(expression: Expression) -> frozenset[str] | None:
    """The names of the top-level elements that the value can depend on; None: all."""
    names: set[str] = set()
    for name in _tops_named(expression, 0):
        if name is None:
            return None
        names.add(name)
    return frozenset(names)


def _tops_named(expression: Expression, depth: int) -> Iterator[str | None]:
    """Top-level names that evaluating at a node so deep (0: the root node) looks at; None: any."""
    match expression:
        case Path(absolute, steps, start, predicates):
            if start is not None:
                yield from _tops_named(start, depth)
                if any(True for _ in (*steps, *predicates)):
                    yield None
                return
            yield from _tops_walked(steps, 0 if absolute else depth)
        case Binary(_, left, right):
            yield from _tops_named(left, depth)
            yield from _tops_named(right, depth)
        case Negative(inner):
            yield from _tops_named(inner, depth)
        case Call(name, arguments):
            if name == "id" or (not arguments and depth == 0):
                yield None
            for argument in arguments:
                yield from _tops_named(argument, depth)
        case _:
            return


def _tops_walked(steps: Sequence[Step], depth: int) -> Iterator[str | None]:
    for step in steps:
        if step.axis == "child":
            if depth == 0:
                name = step.test.name
                yield None if name is None or name.endswith("*") else name
            depth += 1
        elif step.axis == "parent" and depth > 1:
            depth -= 1
        elif step.axis in ("descendant", "attribute") and depth > 0:
            depth += 1
        elif not (step.axis in ("self", "descendant-or-self") and depth > 0):
            yield None  # upward past the top, sideways, or from the root to anywhere
            return
        for predicate in step.predicates:
            yield from _tops_named(predicate, depth)
    if depth == 0:
        yield None  # the root node itself is the value
