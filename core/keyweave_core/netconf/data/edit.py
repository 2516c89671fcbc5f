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
from enum import StrEnum

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.data.ordering import YANG, place
from keyweave_core.netconf.data.prefixes import prefixes_in
from keyweave_core.netconf.data.schema_paths import SchemaMap, step
from keyweave_core.netconf.ports import DEFAULT, Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, base_info

OPERATION = f"{{{BASE}}}operation"
_ORDER_ATTRIBUTES = (f"{{{YANG}}}insert", f"{{{YANG}}}key", f"{{{YANG}}}value")


class Operation(StrEnum):
    """What to do with a node; NONE can only be a default."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"


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


class _Edit:
    """One run: holds the indexes of the lists it has met."""

    def __init__(self, schema: SchemaMap) -> None:
        self._schema = schema
        self._indexes: dict[tuple[etree._Element, str], dict[tuple[str, ...], etree._Element]] = {}

    def children(
        self,
        target: etree._Element,
        source: etree._Element,
        node: SchemaNode | None,
        inherited: Operation,
        path: str,
    ) -> None:
        """Apply every child of `source` below `target`, which stands at `path`; keys are skipped."""
        if (source.text or "").strip() or any((child.tail or "").strip() for child in source):
            raise self._schema.error("invalid-value", "text where only elements may stand", path)
        keys = node.keys if node is not None else ()
        seen: set[tuple[str, tuple[str, ...]]] = set()
        for element in source.iterchildren("*"):
            inner = self._schema.child(node, element, path)
            # Keys were checked when the entry was identified.
            at, identity = (path, ()) if element.tag in keys else self._identify(inner, element, path)
            operation = self._operation(element, inner, inherited, at)
            mark = (str(element.tag), identity)
            if mark in seen and not (inner.kind is Kind.LIST and not inner.keys):
                raise self._schema.error(
                    "bad-element", f"{inner.name} stands here twice", at, bad_element=inner.name
                )
            seen.add(mark)
            if element.tag in keys:
                if OPERATION in element.attrib and operation in (Operation.DELETE, Operation.REMOVE):
                    raise self._bad_operation(element, at, "a list key cannot be deleted")
                continue
            self._apply(target, element, inner, operation, at, identity)

    def _apply(
        self,
        target: etree._Element,
        element: etree._Element,
        node: SchemaNode,
        operation: Operation,
        path: str,
        identity: tuple[str, ...],
    ) -> None:
        existing = self._find(target, node, identity)
        if operation not in (Operation.DELETE, Operation.REMOVE) and self._means_default(element, node, path):
            # RFC 6243 clause 4.5.2: back to the default, which is in use when nothing is set.
            if existing is not None and operation is Operation.CREATE:
                raise self._schema.error("data-exists", f"{node.name} exists already", path)
            operation = Operation.REMOVE
        if operation in (Operation.DELETE, Operation.REMOVE):
            if existing is not None:
                self._drop(target, existing, node, identity)
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
            fresh = self._make(node, element, identity)
            if existing is None:
                target.append(fresh)
            else:
                target.replace(existing, fresh)
            self._index_put(target, node, identity, fresh)
        elif node.kind in (Kind.LEAF, Kind.ANYDATA) and operation is Operation.MERGE:
            fresh = self._make(node, element, identity)
            target.replace(existing, fresh)
        if node.user_ordered and fresh is not None:
            place(target, fresh, element, node, self._schema, path)
        if node.kind in (Kind.CONTAINER, Kind.LIST) and fresh is not None:
            self.children(fresh, element, node, operation, path)
            if implied and not len(fresh):
                target.remove(fresh)

    def _make(self, node: SchemaNode, element: etree._Element, identity: tuple[str, ...]) -> etree._Element:
        """A new element for the store: a leaf with its value, a list entry with its keys, else empty."""
        tag = f"{{{node.namespace}}}{node.name}"
        if node.kind is Kind.ANYDATA:
            kept = copy.deepcopy(element)
            kept.tail = None
            kept.attrib.clear()
            return kept
        if node.kind in (Kind.LEAF, Kind.LEAF_LIST):
            return self._value_element(node, element, node.canonical(element), tag)
        made = new_element(tag, {None: node.namespace})
        if node.kind is Kind.LIST:
            for key, value in zip(node.keys, identity, strict=True):
                key_node = node.child(key)
                given = element.find(key)
                assert key_node is not None  # noqa: S101 - _identify has been here before
                assert given is not None  # noqa: S101
                made.append(self._value_element(key_node, given, value, key))
        return made

    def _value_element(
        self, node: SchemaNode, element: etree._Element, canonical: str, tag: str
    ) -> etree._Element:
        """The leaf to store. An identity is told by its canonical form naming the module that its prefix
        (or, without one, the leaf's own module) is bound to; it keeps that name as prefix, declared here.
        Other text keeps the prefixes that are bound in it.
        """
        prefix, colon, _ = (element.text or "").strip().rpartition(":")
        module = canonical.partition(":")[0]
        uri = self._schema.namespaces.get(module)
        nsmap: dict[str | None, str] = {None: node.namespace}
        bound = element.nsmap.get(prefix) if colon else node.namespace
        if ":" in canonical and uri is not None and uri == bound:
            nsmap[module] = uri
        elif colon:
            nsmap.update(prefixes_in(element))  # an XPath expression is a string with prefixes
        made = new_element(tag, nsmap)
        made.text = canonical or None
        return made

    def _identify(self, node: SchemaNode, element: etree._Element, path: str) -> tuple[str, tuple[str, ...]]:
        """The path of an edited element and what tells it from its siblings; values are checked here."""
        if node.kind is Kind.LIST:
            values = tuple(self._key(node, key, element, path) for key in node.keys)
            return path + step(node, values), values
        at = path + step(node)
        if node.kind in (Kind.LEAF, Kind.LEAF_LIST):
            # An element that is to go may come without a value (RFC 6241 clause 7.2, examples).
            going = element.get(OPERATION) in (Operation.DELETE, Operation.REMOVE)
            if not (going and node.kind is Kind.LEAF):
                self._check(node, element, at)
            if node.kind is Kind.LEAF_LIST:
                value = node.canonical(element)
                return path + step(node, value=value), (value,)
        return at, ()

    def _key(self, node: SchemaNode, key: str, element: etree._Element, path: str) -> str:
        name = etree.QName(key).localname
        found = element.find(key)
        key_node = node.child(key)
        if found is None or key_node is None:
            raise self._schema.error(
                "missing-element",
                f"list {node.name} without its key {name}",
                path + step(node),
                bad_element=name,
            )
        self._check(key_node, found, path + step(node) + step(key_node))
        return key_node.canonical(found)

    def _check(self, node: SchemaNode, element: etree._Element, path: str) -> None:
        inner = next(element.iterchildren("*"), None)
        if inner is not None:
            name = etree.QName(inner).localname
            raise self._schema.error(
                "unknown-element", f"{node.name} is a leaf and holds no elements", path, bad_element=name
            )
        try:
            node.check_leaf(element)
        except SchemaViolation as fault:
            raise self._schema.error(fault.tag, fault.reason, path, app_tag=fault.app_tag) from fault

    def _operation(
        self, element: etree._Element, node: SchemaNode, inherited: Operation, path: str
    ) -> Operation:
        if not node.config:
            raise self._schema.error(
                "invalid-value",
                f"{node.name} is state of the system and cannot be configured",
                path,
                bad_element=node.name,
            )
        for name in element.attrib:
            if name not in (OPERATION, DEFAULT) and not (node.user_ordered and name in _ORDER_ATTRIBUTES):
                plain = etree.QName(str(name)).localname
                raise self._schema.error(
                    "unknown-attribute",
                    f"attribute {plain!r} means nothing here",
                    path,
                    bad_attribute=plain,
                    bad_element=node.name,
                )
        given = element.get(OPERATION)
        if given is None:
            return inherited
        try:
            operation = Operation(str(given))
        except ValueError:
            operation = Operation.NONE
        if operation is Operation.NONE:
            raise self._bad_operation(element, path, f"no operation {str(given)[:60]!r}")
        return operation

    def _means_default(self, element: etree._Element, node: SchemaNode, path: str) -> bool:
        """Does the element carry default="true"? Then its value must be the default."""
        given = element.get(DEFAULT)
        if given is None or given in ("false", "0"):
            return False
        if given not in ("true", "1"):
            where, used = self._schema.located(path)
            info = base_info(bad_attribute="default", bad_element=node.name)
            message = f"default is true or false, not {given[:60]!r}"
            raise RpcError("bad-attribute", message, path=where, namespaces=used, info=info)
        if node.kind is not Kind.LEAF or node.default is None or node.canonical(element) != node.default:
            raise self._schema.error(
                "invalid-value", "said to be the default, which it is not", path, bad_element=node.name
            )
        return True

    def _bad_operation(self, element: etree._Element, path: str, message: str) -> RpcError:
        where, used = self._schema.located(path)
        name = etree.QName(element).localname
        info = base_info(bad_attribute="operation", bad_element=name)
        return RpcError("bad-attribute", message, path=where, namespaces=used, info=info)

    def _find(
        self, target: etree._Element, node: SchemaNode, identity: tuple[str, ...]
    ) -> etree._Element | None:
        tag = f"{{{node.namespace}}}{node.name}"
        if node.kind not in (Kind.LIST, Kind.LEAF_LIST):
            return target.find(tag)
        if node.kind is Kind.LIST and not node.keys:
            return None
        index = self._indexes.get((target, tag))
        if index is None:
            index = {}
            for element in target.iterchildren(tag):
                values = (
                    tuple(element.findtext(key) or "" for key in node.keys)
                    if node.kind is Kind.LIST
                    else (element.text or "",)
                )
                index[values] = element
            self._indexes[target, tag] = index
        return index.get(identity)

    def _index_put(
        self, target: etree._Element, node: SchemaNode, identity: tuple[str, ...], element: etree._Element
    ) -> None:
        index = self._indexes.get((target, f"{{{node.namespace}}}{node.name}"))
        if index is not None:
            index[identity] = element

    def _drop(
        self, target: etree._Element, element: etree._Element, node: SchemaNode, identity: tuple[str, ...]
    ) -> None:
        target.remove(element)
        index = self._indexes.get((target, f"{{{node.namespace}}}{node.name}"))
        if index is not None:
            index.pop(identity, None)
