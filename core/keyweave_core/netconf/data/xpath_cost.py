"""What an XPath expression can cost at most over given data, before it is evaluated.

Rule of this file: an upper bound from the form of the expression and a census of the data, never an
experiment. The unit is one look at one node by libxml2 (some 20 ns). Names narrow the bound: a step to
`app` cannot find more than there are apps. The known dear places of libxml2 are counted as such: results of
upward and sideways axes and of '|' are compared pair by pair to remove doubles, comparisons of two node-sets
compare all pairs, and the text of an element is made anew each time it is asked for.

    c contexts  the nodes an expression is evaluated for, one after the other
    size        nodes of the result for one of them, at most
    total       nodes of the results for all of them together, at most
    apart       the results for different contexts have no node in common
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from lxml import etree

from keyweave_core.netconf.data.xpath_tree import (
    Binary,
    Call,
    Expression,
    Literal,
    Negative,
    Number,
    Path,
    Step,
)

_PAIRS_A_LOOK = 16  # comparisons of two pointers that take as long as one look
_BYTES_A_LOOK = 16  # bytes of text, likewise
_NUMBER_CHARS = 32
_ANY_DEPTH = 66  # a message has at most 64 levels (`NetconfLimits.max_depth`)


@dataclass(slots=True)
class _Kind:
    """Elements of one name: how many, their children in all and at most, their parents."""

    count: int = 0
    children: int = 0
    widest: int = 0
    parents: int = 0
    parent: str | None = None  # the name of the parents, None when there are several


class Rough:
    """The size of a forest of elements and nothing else: quickly found, and enough for most questions."""

    rough = True

    def __init__(self, tops: Sequence[etree._Element]) -> None:
        self.kinds: dict[str, _Kind] = {}
        self.tops = len(tops)
        self.total = sum(int(cast("float", top.xpath("count(descendant-or-self::*)"))) for top in tops)
        self.text = sum(int(cast("float", top.xpath("string-length()"))) for top in tops)
        self.leaf_text = self.text
        self.depth = _ANY_DEPTH


class Census:
    """Figures of a forest of elements."""

    rough = False

    def __init__(self, tops: Iterable[etree._Element]) -> None:
        self.kinds: dict[str, _Kind] = {}
        self.total = self.depth = self.text = self.leaf_text = 0
        stack = [(top, 1) for top in tops]
        self.tops = len(stack)
        for top, _ in stack:
            kind = self._kind(str(top.tag))
            kind.parents = 1
        while stack:
            element, depth = stack.pop()
            tag = str(element.tag)
            kind = self._kind(tag)
            kind.count += 1
            self.total += 1
            self.depth = max(self.depth, depth)
            length = len(element.text or "")
            self.text += length
            if not len(element):
                self.leaf_text = max(self.leaf_text, length)
                continue
            kind.children += len(element)
            kind.widest = max(kind.widest, len(element))
            inside: set[str] = set()
            for child in element.iterchildren("*"):
                inside.add(str(child.tag))
                if len(child):
                    stack.append((child, depth + 1))
                else:
                    self._leaf(child)
            for name in inside:
                below = self._kind(name)
                below.parent = tag if below.parents == 0 or below.parent == tag else None
                below.parents += 1
        self.depth += 2  # a level of leaves and one of text

    def _kind(self, tag: str) -> _Kind:
        kind = self.kinds.get(tag)
        if kind is None:
            kind = self.kinds[tag] = _Kind()
        return kind

    def _leaf(self, element: etree._Element) -> None:
        self._kind(str(element.tag)).count += 1
        self.total += 1
        length = len(element.text or "")
        self.text += length
        self.leaf_text = max(self.leaf_text, length)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """Bounds of the value of an expression over all its contexts; `size` None: not a node-set."""

    cost: int
    size: int | None = None
    total: int = 0
    tag: str | None = None  # the Clark name of all nodes, _ROOT, or None: unknown
    chars: int = 0  # of the text of one value
    all_chars: int = 0  # of the texts of all nodes or values


_ROOT = "/"
_TEXT = "text()"


def estimate(expression: Expression, census: Census | Rough) -> int:
    """Looks at nodes that evaluating the expression once, at the root node, takes at most."""
    return _Estimate(census).of(expression, 1, _ROOT, apart=True).cost


class _Estimate:
    def __init__(self, census: Census | Rough) -> None:
        self._census = census
        self._nodes = 2 * census.total + 1  # elements, their texts, the root

    def of(self, expression: Expression, contexts: int, tag: str | None, *, apart: bool) -> _Figures:
        """Figures for an expression evaluated at `contexts` nodes of this name."""
        match expression:
            case Literal(text):
                return _Figures(cost=contexts, chars=len(text), all_chars=len(text) * contexts)
            case Number():
                return self._value(contexts, contexts)
            case Negative(inner):
                found = self.of(inner, contexts, tag, apart=apart)
                return self._value(found.cost + self._read(found), contexts)
            case Binary(operator, left, right):
                first = self.of(left, contexts, tag, apart=apart)
                second = self.of(right, contexts, tag, apart=apart)
                return self._binary(operator, first, second, contexts)
            case Call(name, arguments):
                given = [self.of(argument, contexts, tag, apart=apart) for argument in arguments]
                if not given and name in ("string", "string-length", "normalize-space", "number"):
                    given = [self._at(contexts, tag, apart)]
                return self._call(name, given, contexts)
            case Path():
                return self._path(expression, contexts, tag, apart)

    def _value(self, cost: int, contexts: int) -> _Figures:
        return _Figures(cost=cost, chars=_NUMBER_CHARS, all_chars=_NUMBER_CHARS * contexts)

    def _at(self, contexts: int, tag: str | None, apart: bool) -> _Figures:
        """The context nodes themselves."""
        return self._nodes_of(0, 1, contexts, tag, apart=apart)

    def _nodes_of(self, cost: int, size: int, total: int, tag: str | None, *, apart: bool) -> _Figures:
        census = self._census
        leaf = tag == _TEXT or (tag is not None and tag in census.kinds and not census.kinds[tag].widest)
        chars = min(census.leaf_text if leaf else census.text, census.text)
        all_chars = chars * total
        if apart:
            # Every character belongs to the text of at most `depth` different nodes.
            all_chars = min(all_chars, census.text * census.depth)
        return _Figures(cost=cost, size=size, total=total, tag=tag, chars=chars, all_chars=all_chars)

    def _read(self, figures: _Figures) -> int:
        """The cost of taking the value of the first node, or of all, as text or number."""
        return figures.total + figures.all_chars // _BYTES_A_LOOK

    def _binary(self, operator: str, left: _Figures, right: _Figures, contexts: int) -> _Figures:
        cost = left.cost + right.cost + contexts
        if operator == "|":
            size, other = left.size or 0, right.size or 0
            pairs = contexts * size * other
            tag = left.tag if left.tag == right.tag else None
            return self._nodes_of(
                cost + pairs // _PAIRS_A_LOOK,
                min(size + other, self._nodes),
                left.total + right.total,
                tag,
                apart=contexts == 1,
            )
        if operator in ("and", "or"):
            return self._value(cost, contexts)
        cost += self._read(left) + self._read(right)
        if left.size is not None and right.size is not None and operator not in ("+", "-", "*", "div", "mod"):
            cost += contexts * left.size * right.size // 4
        return self._value(cost, contexts)

    def _call(self, name: str, given: list[_Figures], contexts: int) -> _Figures:
        cost = contexts + sum(figures.cost for figures in given)
        if name in ("count", "boolean", "not", "position", "last", "true", "false", "lang"):
            return self._value(cost, contexts)
        if name in ("local-name", "namespace-uri", "name"):
            return self._value(cost + contexts, contexts)
        cost += sum(self._read(figures) for figures in given)
        if name in ("contains", "substring-before", "substring-after", "translate", "starts-with"):
            # A search without tricks: every place of the one text, every character of the other.
            cost += given[0].all_chars * max(1, min(figures.chars for figures in given[1:])) // _BYTES_A_LOOK
        if name == "id":
            return self._nodes_of(cost, self._nodes, contexts * self._nodes, None, apart=False)
        if name in ("number", "sum", "floor", "ceiling", "round", "string-length"):
            return self._value(cost, contexts)
        chars = sum(figures.chars for figures in given)
        return _Figures(cost=cost, chars=chars, all_chars=sum(figures.all_chars for figures in given))

    def _path(self, path: Path, contexts: int, tag: str | None, apart: bool) -> _Figures:
        if path.absolute and contexts > 1:
            once = self._path(path, 1, _ROOT, True)
            return replace(
                once,
                cost=once.cost * contexts,
                total=once.total * contexts,
                all_chars=once.all_chars * contexts,
            )
        if path.start is not None:
            found = self.of(path.start, contexts, tag, apart=apart)
            cost, size, total, tag = found.cost, found.size or 0, found.total, found.tag
            apart = contexts == 1
            for predicate in path.predicates:
                cost += self._filtered(predicate, total, tag)
        else:
            cost, size, total = contexts, 1, contexts
            if path.absolute:
                tag = _ROOT
        for step in path.steps:
            looks, size, total, tag, apart = self._step(step, contexts, size, total, tag, apart)
            cost += looks
        return self._nodes_of(cost, size, total, tag, apart=apart)

    def _filtered(self, predicate: Expression, evaluations: int, tag: str | None) -> int:
        """The cost of a predicate that is evaluated so often, at nodes of this name."""
        different = max(1, min(evaluations, self._count(tag)))
        times = -(-evaluations // different)
        return self.of(predicate, different, tag, apart=True).cost * times

    def _step(
        self, step: Step, contexts: int, size: int, total: int, tag: str | None, apart: bool
    ) -> tuple[int, int, int, str | None, bool]:
        census = self._census
        found = self._tag(step)
        most = self._count(found)
        doubles = 0  # pairs compared to remove doubles
        match step.axis:
            case "child":
                wide = self._widest(tag)
                looks = total * wide
                if apart:
                    looks = min(looks, self._children(tag))
                picked, size = min(looks, total * wide), min(size * wide, most)
            case "attribute":
                looks = picked = 4 * total
                size, found, most = 4 * size, _TEXT, 4 * self._nodes
            case "self":
                looks = picked = total
                size = min(size, most)
                found = found or tag
            case "parent":
                looks = picked = total
                found = found or self._parent(tag)
                size = min(size, self._parents(tag), self._count(found))
                doubles, apart = picked * size, False
            case "ancestor" | "ancestor-or-self":
                looks = picked = total * census.depth
                size = min(size * census.depth, most)
                doubles, apart = picked * size, False
            case "descendant" | "descendant-or-self":
                looks = total * self._nodes
                if apart:
                    looks = min(looks, self._nodes * census.depth)
                picked = min(looks, total * most)
                if apart:
                    picked = min(picked, most * census.depth)
                doubles = picked * min(size * most, most) if size > 1 else 0
                size = min(size * most, most)
            case _:  # sideways
                reach = self._nodes
                if step.axis.endswith("-sibling"):
                    reach = self._widest(self._parent(tag))
                looks = total * reach
                picked = min(looks, total * most)
                doubles = picked * min(size * most, most) if size > 1 else 0
                size, apart = min(size * reach, most), False
        looks += doubles // _PAIRS_A_LOOK
        for predicate in step.predicates:
            looks += self._filtered(predicate, picked, found)
        apart = (apart and step.axis not in ("descendant", "descendant-or-self")) or contexts == 1
        total = min(contexts * size, most) if apart else contexts * size
        return looks, size, total, found, apart

    def _tag(self, step: Step) -> str | None:
        name = step.test.name
        if name is not None:
            return None if name.endswith("*") else name
        return _TEXT if step.test.text != "node()" else None

    def _count(self, tag: str | None) -> int:
        if tag is None or tag == _TEXT:
            return self._nodes
        if tag == _ROOT:
            return 1
        kind = self._census.kinds.get(tag)
        return kind.count if kind is not None else self._unknown()

    def _widest(self, tag: str | None) -> int:
        if tag == _ROOT:
            return self._census.tops
        if tag is None:
            kinds = self._census.kinds.values()
            if self._census.rough:
                return self._nodes
            widest = 2 * max((kind.widest for kind in kinds), default=0) + self._census.tops + 1
            return min(widest, self._nodes)
        if tag == _TEXT:
            return 0
        if tag not in self._census.kinds:
            return self._unknown()
        # White space may stand between.
        return min(2 * self._census.kinds[tag].widest + 1, self._nodes)

    def _unknown(self) -> int:
        """How many there may be of what the census does not have."""
        return self._nodes if self._census.rough else 0

    def _children(self, tag: str | None) -> int:
        if tag is None or tag in (_ROOT, _TEXT) or tag not in self._census.kinds:
            return self._nodes
        kind = self._census.kinds[tag]
        return min(2 * kind.children + kind.count, self._nodes)

    def _parent(self, tag: str | None) -> str | None:
        if tag is None or tag in (_ROOT, _TEXT):
            return None
        kind = self._census.kinds.get(tag)
        return kind.parent if kind is not None else None

    def _parents(self, tag: str | None) -> int:
        kind = self._census.kinds.get(tag) if tag is not None else None
        return kind.parents if kind is not None else self._nodes
