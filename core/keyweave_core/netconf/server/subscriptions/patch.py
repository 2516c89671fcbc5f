"""Changes between two trees as the edits of a YANG patch (RFC 8072 clause 2.5, RFC 8641 clause 3.7).

Rule of this file: edits stand in an order in which they can be applied one by one. Targets are paths of
RESTCONF (RFC 8040 clause 3.5.3). An entry of a list without keys has no such path: what changes in one is
told as a replacement of what holds the list.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from lxml import etree

from keyweave_core.netconf.data.changes import Change, ChangeKind, identity_of
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import to_bytes
from keyweave_core.netconf.server.subscriptions.terms import Edit


@dataclass(frozen=True, slots=True)
class Patch:
    """The <edit> elements of a patch one after the other (in the default namespace), and how many."""

    count: int
    xml: bytes


def patch(
    changes: Iterable[Change], after: Sequence[Element], places: SchemaMap, excluded: frozenset[Edit]
) -> Patch:
    """The edits for `changes`, which lead to the top-level elements `after`; not those `excluded`."""
    parts: list[bytes] = []
    replaced: set[str] = set()
    for change in changes:
        subject = change.before if change.after is None else change.after
        assert subject is not None  # noqa: S101 - a change has a side
        steps = _steps(subject, places)
        holder = next((n for n, (_, node) in enumerate(steps) if _keyless(node)), None)
        if holder:
            target, value = _replacement(steps[:holder], after)
            if value is None or target in replaced or Edit.REPLACE in excluded:
                continue
            replaced.add(target)
            parts.append(_edit(len(parts) + 1, Edit.REPLACE, target, b"", value))
            continue
        edit = _kind(change)
        if edit in excluded:
            continue
        where = _place(subject, change.node, steps) if edit in (Edit.INSERT, Edit.MOVE) else b""
        value = subject if edit in (Edit.CREATE, Edit.REPLACE, Edit.INSERT) else None
        parts.append(_edit(len(parts) + 1, edit, _target(steps), where, value))
    return Patch(len(parts), b"".join(parts))


def resource_path(element: Element, places: SchemaMap) -> str:
    """The path of RESTCONF to a data node."""
    return _target(_steps(element, places))


_Steps = list[tuple[Element, SchemaNode | None]]


def _steps(element: Element, places: SchemaMap) -> _Steps:
    """The elements from the top-level one down to this, with their schema nodes."""
    chain = [element, *element.iterancestors()]
    chain.reverse()
    # What stands above a top-level element (<data>, <config>) is no data.
    while len(chain) > 1 and places.top(str(chain[0].tag)) is None:
        del chain[0]
    steps: _Steps = []
    node: SchemaNode | None = None
    for depth, one in enumerate(chain):
        tag = str(one.tag)
        node = places.top(tag) if depth == 0 else node and node.child(tag)
        steps.append((one, node))
    return steps


def _keyless(node: SchemaNode | None) -> bool:
    return node is not None and node.kind is Kind.LIST and not node.keys


def _target(steps: _Steps) -> str:
    path = ""
    module = ""
    for element, node in steps:
        if node is None:
            path += f"/{etree.QName(element).localname}"
            continue
        path += f"/{node.name}" if node.module == module else f"/{node.module}:{node.name}"
        module = node.module
        identity = identity_of(element, node)
        if identity:
            path += "=" + ",".join(quote(value, safe="") for value in identity)
    return path


def _replacement(holder: _Steps, after: Sequence[Element]) -> tuple[str, Element | None]:
    """The path to what holds a list without keys, and what is there now."""
    found: Element | None = None
    level: Iterable[Element] = after
    for wanted, node in holder:
        mark = identity_of(wanted, node)
        found = next((e for e in level if e.tag == wanted.tag and identity_of(e, node) == mark), None)
        if found is None:
            break
        level = found.iterchildren("*")
    return _target(holder), found


def _kind(change: Change) -> Edit:
    match change.kind:
        case ChangeKind.CREATE:
            ordered = change.node is not None and change.node.user_ordered
            return Edit.INSERT if ordered else Edit.CREATE
        case ChangeKind.DELETE:
            return Edit.DELETE
        case ChangeKind.MOVE:
            return Edit.MOVE
        case ChangeKind.REPLACE:
            return Edit.REPLACE


def _place(element: Element, node: SchemaNode | None, steps: _Steps) -> bytes:
    """Behind which entry of its list an element stands."""
    before = next(element.itersiblings(str(element.tag), preceding=True), None)
    if before is None:
        return b"<where>first</where>"
    point = _target([*steps[:-1], (before, node)])
    return f"<point>{_escaped(point)}</point><where>after</where>".encode()


def _edit(number: int, edit: Edit, target: str, where: bytes, value: Element | None) -> bytes:
    head = (
        f"<edit><edit-id>{number}</edit-id><operation>{edit}</operation><target>{_escaped(target)}</target>"
    )
    tail = b"" if value is None else b"".join((b"<value>", to_bytes(value), b"</value>"))
    return b"".join((head.encode(), where, tail, b"</edit>"))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
