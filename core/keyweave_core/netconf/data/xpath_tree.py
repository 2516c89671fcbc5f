"""XPath 1.0 expressions as trees of values: what they can select, and how they are written out again.

Rule of this file: pure values. Made by `xpath_syntax`; what is evaluated later is what `write` gives, never
the text that came in: what was judged is what runs.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Test:
    """A node test: `name` is a Clark name, '{ns}*' or '*', or `kind` one of node, text, comment, ...().

    `text` is how it is written.
    """

    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path."""

    axis: str
    test: Test
    predicates: tuple["Expression", ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A location path, or a `start` with predicates and steps after it."""

    absolute: bool
    steps: tuple[Step, ...]
    start: "Expression | None" = None
    predicates: tuple["Expression", ...] = ()  # of `start`


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands; `operator` is one of the XPath operators, '|' among them."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Negative:
    """Unary minus."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the core library."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, with its quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    text: str


Expression: TypeAlias = Path | Binary | Negative | Call | Literal | Number


def selects_nodes(expression: Expression) -> bool:
    """True when the value of the expression is a node-set."""
    match expression:
        case Path(start=None) | Binary(operator="|") | Call(name="id"):
            return True
        case Path(start=start, steps=steps, predicates=predicates):
            return bool(steps or predicates) or (start is not None and selects_nodes(start))
        case _:
            return False


def rooted(expression: Expression) -> Expression:
    """The same expression for evaluation at the root node, with its outer paths made absolute."""
    match expression:
        case Path(absolute, steps, start, predicates):
            inner = None if start is None else rooted(start)
            return Path(absolute or start is None, steps, inner, predicates)
        case Binary(operator, left, right):
            return Binary(operator, rooted(left), rooted(right))
        case Negative(inner):
            return Negative(rooted(inner))
        case Call(name, arguments):
            return Call(name, tuple(rooted(argument) for argument in arguments))
        case _:
            return expression


def write(expression: Expression, *, below: bool = False) -> str:
    """The expression as text.

    With `below` the root node is played by an element that holds the top-level data (its own name is in no
    test): absolute paths begin there, and tests that would see it as an element are kept from doing so.
    """
    match expression:
        case Literal(text) | Number(text):
            return text
        case Negative(inner):
            return f"-({write(inner, below=below)})"
        case Binary(operator, left, right):
            return f"({write(left, below=below)} {operator} {write(right, below=below)})"
        case Call(name, arguments):
            return f"{name}({', '.join(write(argument, below=below) for argument in arguments)})"
        case Path(absolute, steps, start, predicates):
            texts = [_write_step(step, below) for step in steps]
            if start is not None:
                texts.insert(0, f"({write(start, below=below)}){_write_predicates(predicates, below)}")
            elif absolute:
                texts.insert(0, "/*" if below else "")
                if not steps:
                    return texts[0] or "/"
            return "/".join(texts)


def _write_step(step: Step, below: bool) -> str:
    guard = ""
    if below and step.axis in ("parent", "ancestor", "ancestor-or-self", "self", "descendant-or-self"):
        if step.test.name == "*":
            guard = "[parent::*]"
        elif step.test.name is None and step.axis in ("parent", "ancestor", "ancestor-or-self"):
            guard = "[parent::node()]"
    return f"{step.axis}::{step.test.text}{guard}{_write_predicates(step.predicates, below)}"


def _write_predicates(predicates: tuple[Expression, ...], below: bool) -> str:
    return "".join(f"[{write(predicate, below=below)}]" for predicate in predicates)
