"""Reading XPath 1.0 expressions into trees (`xpath_tree`).

Rule of this file: only what the recommendation defines is read (its core library of functions, no variables,
no namespace axis), names with their prefixes resolved, everything bounded.
"""

import re
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

from keyweave_core.errors import InvalidInput
from keyweave_core.netconf.data.xpath_tree import (
    Binary,
    Call,
    Expression,
    Literal,
    Negative,
    Number,
    Path,
    Step,
    Test,
    selects_nodes,
)

_MAX_NESTING = 24
_MAX_TOKENS = 2000

FUNCTIONS: Mapping[str, tuple[int, int]] = {
    "last": (0, 0),
    "position": (0, 0),
    "count": (1, 1),
    "id": (1, 1),
    "local-name": (0, 1),
    "namespace-uri": (0, 1),
    "name": (0, 1),
    "string": (0, 1),
    "concat": (2, 64),
    "starts-with": (2, 2),
    "contains": (2, 2),
    "substring-before": (2, 2),
    "substring-after": (2, 2),
    "substring": (2, 3),
    "string-length": (0, 1),
    "normalize-space": (0, 1),
    "translate": (3, 3),
    "boolean": (1, 1),
    "not": (1, 1),
    "true": (0, 0),
    "false": (0, 0),
    "lang": (1, 1),
    "number": (0, 1),
    "sum": (1, 1),
    "floor": (1, 1),
    "ceiling": (1, 1),
    "round": (1, 1),
}
"""The core library (XPath 1.0 clause 4): least and greatest number of arguments."""

AXES = frozenset(
    {
        "ancestor",
        "ancestor-or-self",
        "attribute",
        "child",
        "descendant",
        "descendant-or-self",
        "following",
        "following-sibling",
        "parent",
        "preceding",
        "preceding-sibling",
        "self",
    }
)
_NODE_TYPES = frozenset({"node", "text", "comment", "processing-instruction"})
_SYMBOLS = frozenset({"/", "//", "|", "+", "-", "=", "!=", "<", "<=", ">", ">="})
_WORDS = frozenset({"*", "and", "or", "mod", "div"})  # after an operand
_LEVELS = (
    ("or",),
    ("and",),
    ("=", "!="),
    ("<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "div", "mod"),
)


class BadXPath(InvalidInput):
    """The expression is no XPath 1.0, names what is not there, or goes beyond a bound on its form."""


_NCNAME = r"[^\W\d][\w.\-\u00b7]*"
_TOKEN = re.compile(
    rf"""[ \t\r\n]*(?:
      (?P<literal>"[^"]*"|'[^']*')
    | (?P<number>\d+(?:\.\d*)?|\.\d+)
    | (?P<variable>\$)
    | (?P<symbol>::|\.\.|//|!=|<=|>=|[()\[\].@,/|+\-=<>*])
    | (?P<name>{_NCNAME}(?::(?!:)(?:{_NCNAME}|\*))?)
    )""",
    re.VERBOSE,
)
_Token: TypeAlias = tuple[str, str, int]  # kind, text, position
_END: _Token = ("end", "", -1)


def parse(text: str, namespaces: Mapping[str, str]) -> Expression:
    """Read an expression; `namespaces` gives the namespace of each prefix. Raises BadXPath."""
    return _Parser(_tokens(text), namespaces).whole()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip(" \t\r\n"))
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise BadXPath(f"cannot read {text[at : at + 20].strip()!r} at character {at + 1}")
        kind, value = match.lastgroup, match.group(match.lastgroup)
        if kind == "variable":
            raise BadXPath("there are no variables here")
        # XPath 1.0 clause 3.7: after an operand, '*' and names are operators.
        after_operand = bool(found) and not (
            found[-1][0] == "operator"
            or (found[-1][0] == "symbol" and found[-1][1] in ("@", "::", "(", "[", ","))
        )
        if (kind == "symbol" and value in _SYMBOLS) or (after_operand and value in _WORDS):
            kind = "operator"
        found.append((kind, value, match.start(match.lastgroup)))
        at = match.end()
        if len(found) > _MAX_TOKENS:
            raise BadXPath(f"more than {_MAX_TOKENS} tokens")
    return found


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[_Token], namespaces: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._namespaces = namespaces
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._level(0)
        if self._peek() is not _END:
            self._fail("an operator or the end")
        return expression

    def _peek(self, ahead: int = 0) -> _Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _END

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, *texts: str) -> str | None:
        """Consume a symbol or operator if it is one of `texts`."""
        kind, value, _ = self._peek()
        if kind in ("symbol", "operator") and value in texts:
            self._at += 1
            return value
        return None

    def _want(self, text: str) -> None:
        if self._take(text) is None:
            self._fail(repr(text))

    def _fail(self, wanted: str) -> NoReturn:
        kind, value, at = self._peek()
        where = "the end" if kind == "end" else f"{value[:40]!r} at character {at + 1}"
        raise BadXPath(f"{wanted} is wanted, not {where}")

    def _level(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while self._peek()[0] == "operator" and self._peek()[1] in _LEVELS[level]:
            operator = self._next()[1]
            left = Binary(operator, left, self._level(level + 1))
        return left

    def _unary(self) -> Expression:
        minus = 0
        while self._take("-"):
            minus += 1
        left = self._path()
        while self._take("|"):
            right = self._path()
            if not (selects_nodes(left) and selects_nodes(right)):
                raise BadXPath("'|' joins node-sets only")
            left = Binary("|", left, right)
        for _ in range(min(minus, 2 - minus % 2)):
            left = Negative(left)
        return left

    def _path(self) -> Expression:
        kind, value, _ = self._peek()
        if kind in ("literal", "number") or value == "(" or self._calls():
            start = self._primary()
            predicates = self._predicates()
            steps: tuple[Step, ...] = ()
            if self._peek()[0] == "operator" and self._peek()[1] in ("/", "//"):
                steps = self._steps(self._next()[1])
            if not (predicates or steps):
                return start
            if not selects_nodes(start):
                raise BadXPath("predicates and steps follow a node-set only")
            return Path(False, steps, start, predicates)
        if self._take("/"):
            return Path(True, self._relative() if self._begins_step() else ())
        if self._take("//"):
            return Path(True, _joined((_ANYWHERE, *self._relative())))
        return Path(False, self._relative())

    def _calls(self) -> bool:
        kind, value, _ = self._peek()
        return kind == "name" and self._peek(1)[1] == "(" and value not in _NODE_TYPES

    def _begins_step(self) -> bool:
        kind, value, _ = self._peek()
        return kind == "name" or (kind == "symbol" and value in (".", "..", "@", "*"))

    def _primary(self) -> Expression:
        kind, value, _ = self._next()
        if kind == "literal":
            return Literal(value)
        if kind == "number":
            return Number(value)
        if value == "(":
            inner = self._deeper()
            self._want(")")
            return inner
        least, most = FUNCTIONS.get(value, (-1, -1))
        if least < 0:
            raise BadXPath(f"{value[:60]!r} is no function of XPath 1.0")
        self._want("(")
        arguments: list[Expression] = []
        if not self._take(")"):
            arguments.append(self._deeper())
            while self._take(","):
                arguments.append(self._deeper())
            self._want(")")
        if not least <= len(arguments) <= most:
            raise BadXPath(f"{value}() does not take {len(arguments)} arguments")
        if value in ("count", "sum", "local-name", "namespace-uri", "name") and not all(
            selects_nodes(argument) for argument in arguments
        ):
            raise BadXPath(f"{value}() takes a node-set")
        return Call(value, tuple(arguments))

    def _deeper(self) -> Expression:
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise BadXPath(f"nested more than {_MAX_NESTING} times")
        expression = self._level(0)
        self._depth -= 1
        return expression

    def _steps(self, separator: str) -> tuple[Step, ...]:
        lead = (_ANYWHERE,) if separator == "//" else ()
        return _joined((*lead, *self._relative()))

    def _relative(self) -> tuple[Step, ...]:
        steps = [self._step()]
        while (separator := self._take("/", "//")) is not None:
            if separator == "//":
                steps.append(_ANYWHERE)
            steps.append(self._step())
        return _joined(tuple(steps))

    def _step(self) -> Step:
        if self._take("."):
            return Step("self", _NODE)
        if self._take(".."):
            return Step("parent", _NODE)
        axis = "child"
        if self._take("@"):
            axis = "attribute"
        elif self._peek(1)[1] == "::" and self._peek()[0] == "name":
            axis = self._next()[1]
            self._at += 1
            if axis not in AXES:
                raise BadXPath(f"there is no axis {axis[:40]!r} here")
        return Step(axis, self._test(), self._predicates())

    def _test(self) -> Test:
        kind, value, _ = self._peek()
        if self._take("*"):
            return Test("*", "*")
        if kind != "name":
            self._fail("a name")
        self._at += 1
        if self._peek()[1] == "(":
            return self._node_type(value)
        prefix, colon, name = value.rpartition(":")
        if not colon:
            return Test(value, value)  # no prefix is no namespace (XPath 1.0 clause 2.3)
        if prefix not in self._namespaces:
            raise BadXPath(f"the prefix {prefix[:60]!r} is not declared")
        return Test(value, f"{{{self._namespaces[prefix]}}}{name}")

    def _node_type(self, name: str) -> Test:
        if name not in _NODE_TYPES:
            self._fail("a node test")
        self._want("(")
        target = ""
        if name == "processing-instruction" and self._peek()[0] == "literal":
            target = self._next()[1]
        self._want(")")
        return Test(f"{name}({target})")

    def _predicates(self) -> tuple[Expression, ...]:
        found = []
        while self._take("["):
            found.append(self._deeper())
            self._want("]")
        return tuple(found)


_NODE = Test("node()")
_ANYWHERE = Step("descendant-or-self", _NODE)


def _joined(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """'//name' as one step to descendants, which is the same unless a predicate counts places."""
    found: list[Step] = []
    for step in steps:
        if (
            found
            and found[-1] is _ANYWHERE
            and step.axis == "child"
            and not any(_counts(predicate) for predicate in step.predicates)
        ):
            found[-1] = Step("descendant", step.test, step.predicates)
        else:
            found.append(step)
    return tuple(found)


def _counts(predicate: Expression) -> bool:
    """Can the predicate depend on the place of a node among the others?"""
    match predicate:
        case Number() | Negative():
            return True
        case Binary(operator, left, right):
            return operator in ("+", "-", "*", "div", "mod") or _places(left) or _places(right)
        case Call(name, arguments):
            numeric = ("number", "sum", "count", "string-length", "floor", "ceiling", "round")
            return name in numeric or any(_places(argument) for argument in (predicate, *arguments))
        case _:
            return False


def _places(expression: Expression) -> bool:
    """Does it name last() or position() of the node that is judged?"""
    match expression:
        case Call(name, arguments):
            return name in ("last", "position") or any(_places(argument) for argument in arguments)
        case Binary(_, left, right):
            return _places(left) or _places(right)
        case Negative(inner):
            return _places(inner)
        case Path(start=start):
            return start is not None and _places(start)
        case _:
            return False
