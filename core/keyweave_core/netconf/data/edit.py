"""The edit-config engine (RFC 6241 clause 7.2, RFC 7950 clauses 7.5.8, 7.6.7, 7.7.9 and 7.8.6).

Rule of this file: edits are applied to a copy, so an edit happens whole or not at all. What enters the
store is rebuilt by the schema: values canonical, identities with their module's name as prefix, no
attributes, no blank text, list keys first, and no container that is empty and means nothing.

Operations on a node, by what is there:

              missing                      present
    merge     made                         values set, children merged
    replace   made                         emptied, then made
    create    made                         data-exists
    delete    data-missing                 removed
    remove    nothing                      removed
    none      data-missing, but for a      children visited
              container that is no presence
"""

import copy
from collections.abc import Sequence

from lxml import etree

from keyweave_core.netconf.data.entries import Entries
from keyweave_core.netconf.data.marks import GOING, OPERATION, Marks, Operation
from keyweave_core.netconf.data.ordering import place
from keyweave_core.netconf.data.schema_paths import SchemaMap, step
from keyweave_core.netconf.data.stored import Values
from keyweave_core.netconf.ports import Kind, SchemaNode

__all__ = ["OPERATION", "Operation", "edit"]


def edit(
    current: Sequence[etree._Element],
    config: etree._Element,
    *,
    schema: SchemaMap,
    default: Operation = Operation.MERGE,
) -> list[etree._Element]:
    """Apply the children of a <config> element to top-level elements; both stay as they are.

    Default operation REPLACE also removes top-level nodes that `config` does not name. Returns the new
    top-level elements. Raises RpcError (application layer) for the first fault; the result is not yet
    validated as a whole.
    """
    named = {str(child.tag) for child in config.iterchildren("*")}
    root = etree.Element("config")
    for element in current:
        if default is not Operation.REPLACE or str(element.tag) in named:
            root.append(copy.deepcopy(element))
    _Edit(schema).children(root, config, None, default, "")
    return list(root)


class _Siblings:
    """What one parent in an edit has named so far, to refuse what stands there twice."""

    __slots__ = ("_cases", "_schema", "_seen")

    def __init__(self, schema: SchemaMap) -> None:
        self._schema = schema
        self._seen: set[tuple[str, tuple[str, ...]]] = set()
        self._cases: dict[str, str] = {}

    def add(self, tag: str, node: SchemaNode, identity: tuple[str, ...], path: str, *, stays: bool) -> None:
        """RpcError bad-element for a second of a kind, or when another case of a choice was named.

        `path` is that of the parent.
        """
        mark = (tag, identity)
        if mark in self._seen and not (node.kind is Kind.LIST and not node.keys):
            at = path + _step(node, identity)
            message = f"{node.name} stands here twice"
            raise self._schema.error("bad-element", message, at, bad_element=node.name)
        self._seen.add(mark)
        if not stays:
            return
        for choice, case in node.cases:
            if self._cases.setdefault(choice, case) != case:
                message = f"{node.name} is of another case of {choice} than what stands beside it"
                at = path + _step(node, identity)
                raise self._schema.error("bad-element", message, at, bad_element=node.name)


class _Edit:
    """One run."""

    def __init__(self, schema: SchemaMap) -> None:
        self._schema = schema
        self._values = Values(schema)
        self._marks = Marks(schema)
        self._entries = Entries()

    def children(
        self,
        target: etree._Element,
        source: etree._Element,
        node: SchemaNode | None,
        inherited: Operation,
        path: str,
    ) -> None:
        """Apply every child of `source` below `target`, which stands at `path`; keys are skipped."""
        self._refuse_text(source, path)
        siblings = _Siblings(self._schema)
        for element in source.iterchildren("*"):
            self._child(target, element, node, inherited, path, siblings)

    def _child(
        self,
        target: etree._Element,
        element: etree._Element,
        parent: SchemaNode | None,
        inherited: Operation,
        path: str,
        siblings: _Siblings,
    ) -> None:
        tag = str(element.tag)
        node = self._schema.child(parent, element, path)
        is_key = parent is not None and tag in parent.keys
        # Keys were checked when the entry was identified.
        identity = () if is_key else self._identify(node, element, path)
        at = path if is_key else path + _step(node, identity)
        operation = self._marks.operation(element, node, inherited, at)
        siblings.add(tag, node, identity, path, stays=operation not in GOING)
        if not is_key:
            self._apply(target, element, node, operation, at, identity, parent)
        elif OPERATION in element.attrib and operation in GOING:
            raise self._marks.bad_operation(element, at, "a list key cannot be deleted")

    def _apply(
        self,
        target: etree._Element,
        element: etree._Element,
        node: SchemaNode,
        operation: Operation,
        path: str,
        identity: tuple[str, ...],
        parent: SchemaNode | None,
    ) -> None:
        existing = self._entries.find(target, node, identity)
        if operation not in GOING and self._marks.means_default(element, node, path):
            # RFC 6243 clause 4.5.2: back to the default, which is in use when nothing is set.
            if existing is not None and operation is Operation.CREATE:
                raise self._schema.error("data-exists", f"{node.name} exists already", path)
            operation = Operation.REMOVE
        if operation in GOING:
            if existing is not None:
                self._entries.drop(target, existing, node, identity)
            elif operation is Operation.DELETE:
                raise self._schema.error("data-missing", f"{node.name} does not exist", path)
            return
        if existing is not None and operation is Operation.CREATE:
            raise self._schema.error("data-exists", f"{node.name} exists already", path)
        implied = node.kind is Kind.CONTAINER and not node.presence
        if existing is None and operation is Operation.NONE and not implied:
            raise self._schema.error("data-missing", f"{node.name} does not exist", path)
        fresh = existing
        if existing is None or operation is Operation.REPLACE:
            fresh = self._values.make(target, node, element, identity)
            if existing is None:
                self._other_cases(target, node, parent)
            else:
                target.replace(existing, fresh)
            self._entries.put(target, node, identity, fresh)
        elif node.kind in (Kind.LEAF, Kind.ANYDATA) and operation is Operation.MERGE:
            fresh = self._values.make(target, node, element, identity)
            target.replace(existing, fresh)
        if node.user_ordered and fresh is not None:
            place(target, fresh, element, node, self._schema, path)
        if node.kind in (Kind.CONTAINER, Kind.LIST) and fresh is not None:
            if fresh is existing or operation is Operation.NONE:
                self.children(fresh, element, node, operation, path)
            else:
                self._fill(fresh, element, node, operation, path)
            if implied and not len(fresh):
                target.remove(fresh)

    def _fill(
        self,
        target: etree._Element,
        source: etree._Element,
        node: SchemaNode,
        operation: Operation,
        path: str,
    ) -> None:
        """As `children`, below what is new: nothing is there yet, so what has no attributes is just made."""
        self._refuse_text(source, path)
        siblings = _Siblings(self._schema)
        for element in source.iterchildren("*"):
            tag = str(element.tag)
            if element.attrib or tag in node.keys:
                self._child(target, element, node, operation, path, siblings)
                continue
            inner = self._schema.child(node, element, path)
            if not inner.config:
                raise self._marks.state(inner, path)
            identity = self._identify(inner, element, path)
            siblings.add(tag, inner, identity, path, stays=True)
            made = self._values.make(target, inner, element, identity)
            self._entries.put(target, inner, identity, made)
            if inner.kind in (Kind.CONTAINER, Kind.LIST):
                self._fill(made, element, inner, operation, path + _step(inner, identity))
                if inner.kind is Kind.CONTAINER and not inner.presence and not len(made):
                    target.remove(made)

    def _refuse_text(self, source: etree._Element, path: str) -> None:
        if (source.text and source.text.strip()) or any(
            child.tail and child.tail.strip() for child in source
        ):
            raise self._schema.error("invalid-value", "text where only elements may stand", path)

    def _other_cases(self, target: etree._Element, node: SchemaNode, parent: SchemaNode | None) -> None:
        """A new node makes those of the other cases of its choice go (RFC 7950 clause 7.9)."""
        if not node.cases or parent is None:
            return
        mine = dict(node.cases)
        for element in target.findall("*"):
            other = parent.child(str(element.tag))
            if other is not None and any(mine.get(choice, case) != case for choice, case in other.cases):
                target.remove(element)
                self._entries.forget(target, str(element.tag))

    def _identify(self, node: SchemaNode, element: etree._Element, path: str) -> tuple[str, ...]:
        """What tells an edited element from its siblings; values are checked here."""
        match node.kind:
            case Kind.LIST:
                return tuple(self._key(node, key, element, path) for key in node.keys)
            case Kind.LEAF_LIST:
                return (self._values.read(node, element, path),)
            case Kind.LEAF if element.get(OPERATION) not in GOING:
                # An element that is to go may come without a value (RFC 6241 clause 7.2, examples).
                self._values.read(node, element, path)
            case _:
                pass
        return ()

    def _key(self, node: SchemaNode, key: str, element: etree._Element, path: str) -> str:
        found = element.find(key)
        key_node = node.child(key)
        if found is None or key_node is None:
            name = etree.QName(key).localname
            message = f"list {node.name} without its key {name}"
            raise self._schema.error("missing-element", message, path + step(node), bad_element=name)
        return self._values.read(key_node, found, path + step(node))


def _step(node: SchemaNode, identity: tuple[str, ...]) -> str:
    if node.kind is Kind.LEAF_LIST:
        return step(node, value=identity[0])
    return step(node, identity)
