"""The paths of access control rules: node-instance-identifier of ietf-netconf-acm (RFC 8341 clause 5).

Rule of this file: a path is read once, with the prefixes in scope where it stands, and is then compared step
by step with where an element stands. Key predicates may be left out: the step then means every entry.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from keyweave_core.errors import InvalidInput, KeyweaveError
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.elements import element as new_element

USER = "$USER"
_MAX_STEPS = 64
_NAME = r"[^\W\d][\w.\-]*"
_STEP = re.compile(rf"\s*/\s*({_NAME}(?:\s*:\s*{_NAME})?)")
_PREDICATE = re.compile(
    rf"""\s*\[\s*({_NAME}(?:\s*:\s*{_NAME})?|\.)\s*=\s*("[^"]*"|'[^']*'|\$\s*USER)\s*\]"""
)


@dataclass(frozen=True, slots=True)
class Match:
    """A predicate: the child `tag` ('.': the element itself) has this value ('$USER': the user's name)."""

    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class PathStep:
    """One node of a path, by Clark name."""

    tag: str
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class NodePath:
    """A path; no steps stand for '/', which is all data. `prefixes` give meaning to values of identities."""

    steps: tuple[PathStep, ...]
    prefixes: tuple[tuple[str | None, str], ...] = ()


def read_path(leaf: etree._Element, modules: Mapping[str, str]) -> NodePath:
    """Read the text of a `path` leaf.

    Prefixes are those in scope on the leaf; where none is declared, the name of a module will do, and a name
    without prefix after one so written is of the same module (the form of RFC 7951, which comes by gNMI).
    `modules` maps module names to namespaces. Raises InvalidInput.
    """
    text = (leaf.text or "").strip()
    prefixes = tuple(leaf.nsmap.items())
    if text == "/":
        return NodePath((), prefixes)
    scope = {prefix: uri for prefix, uri in prefixes if prefix is not None}
    steps: list[PathStep] = []
    inherited: str | None = None
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or len(steps) == _MAX_STEPS:
            raise InvalidInput(f"no instance path: {text[at : at + 40]!r} at character {at + 1}")
        tag, inherited = _resolve(found.group(1), scope, modules, inherited)
        at = found.end()
        matches: list[Match] = []
        while (predicate := _PREDICATE.match(text, at)) is not None:
            name, value = predicate.groups()
            child = name if name == "." else _resolve(name, scope, modules, inherited)[0]
            matches.append(Match(child, USER if value.startswith("$") else value[1:-1]))
            at = predicate.end()
        steps.append(PathStep(tag, tuple(matches)))
    if not steps:
        raise InvalidInput("no instance path: it is empty")
    return NodePath(tuple(steps), prefixes)


def _resolve(
    name: str, scope: Mapping[str, str], modules: Mapping[str, str], inherited: str | None
) -> tuple[str, str | None]:
    """The Clark name, and the namespace that names without prefix have from here on."""
    prefix, colon, local = (part.strip() for part in name.partition(":"))
    if not colon:
        if inherited is None:
            raise InvalidInput(f"the name {prefix!r} wants a prefix")
        return f"{{{inherited}}}{prefix}", inherited
    if prefix in scope:
        return f"{{{scope[prefix]}}}{local}", None
    if prefix in modules:
        return f"{{{modules[prefix]}}}{local}", modules[prefix]
    raise InvalidInput(f"the prefix {prefix!r} is not declared and no module has this name")


def holds(match: Match, element: Element, node: SchemaNode | None, path: NodePath, user: str) -> bool:
    """Does an element (with its schema node) satisfy a predicate for this user?"""
    found = element if match.tag == "." else element.find(match.tag)
    if found is None:
        return False
    inner = node if match.tag == "." else node and node.child(match.tag)
    text = (found.text or "").strip()
    if match.value == USER:
        return text == user
    if inner is None or inner.kind not in (Kind.LEAF, Kind.LEAF_LIST):
        return text == match.value
    wanted = new_element(match.tag if match.tag != "." else str(element.tag), dict(path.prefixes))
    wanted.text = match.value
    try:
        return inner.canonical(found) == inner.canonical(wanted)
    except (KeyweaveError, ValueError):
        return text == match.value
