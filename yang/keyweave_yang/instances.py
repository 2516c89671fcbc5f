"""XML data as yangson instances, and yangson's refusals as ours.

Rule of this file: the walk goes by the schema, so an unknown element, a wrong value and a leaf given twice
are found with the path of the element, and so are missing or repeated keys; what needs the whole tree (when,
must, mandatory) is yangson's.
Paths are written with module names as prefixes: /etsi-qkd-sdn-node:qkd_node/...
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from lxml import etree
from yangson.exceptions import SchemaError, SemanticError, ValidationError, YangTypeError
from yangson.instance import ArrayEntry, InstanceNode
from yangson.instvalue import ArrayValue, ObjectValue
from yangson.schemanode import ChoiceNode, ListNode

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind
from keyweave_yang.approvals import Lookup
from keyweave_yang.namespaces import is_element
from keyweave_yang.nodes import Naming, NodeView

Finder = Callable[[str], NodeView | None]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - yangson compares naive times; ours never change


class Reader:
    """Turns elements into yangson values, for one validation.

    With `config_only`, a state node is refused. With `lookup`, entries that were approved before, and those
    that only this reader can find fault with, are left out of the value.
    """

    def __init__(self, naming: Naming, *, config_only: bool = False, lookup: Lookup | None = None):
        self._naming = naming
        self._config_only = config_only
        self._lookup = lookup
        self._rules = lookup.rules.entries if lookup is not None else {}

    def read(self, find: Finder, elements: Iterable[etree._Element], path: str = "") -> ObjectValue:
        """The members that `elements` make below a node whose children `find` knows.

        `path` is the path of that node. Raises SchemaViolation with the path of the element at fault.
        """
        members: dict[str, Any] = {}
        met: dict[NodeView, set[Any]] = {}  # keys of the entries of each list, values of each leaf-list
        for element in elements:
            if not is_element(element):
                continue
            view = find(element.tag)
            if view is None:
                raise self._unknown(element, path)
            if self._config_only and not view.config:
                raise SchemaViolation(
                    "is state of the node and cannot be written", path=_step(path, view), tag="invalid-value"
                )
            if view.kind is Kind.LIST:
                value = self._entry(view, element, path, met)
                if value is not None:
                    _entries(members, view).append(value)
            elif view.kind is Kind.LEAF_LIST:
                value = self._leaf(view, element, path)
                if view.config:  # state may repeat itself (RFC 7950 7.7)
                    values = met.setdefault(view, set())
                    if value in values:
                        raise _repeated(_step(path, view))
                    values.add(value)
                _entries(members, view).append(value)
            elif view.member in members:
                raise SchemaViolation("is there twice", path=_step(path, view), tag="bad-element")
            elif view.leaf is not None:
                members[view.member] = self._leaf(view, element, path)
            else:
                members[view.member] = self._inner(view, element, _step(path, view))
        return ObjectValue(members, _EPOCH)

    def _leaf(self, view: NodeView, element: etree._Element, path: str) -> Any:
        codec = view.leaf
        try:
            return None if codec is None else codec.read(element)
        except SchemaViolation as error:
            raise SchemaViolation(error.reason, path=_step(path, view), tag=error.tag) from None

    def _entry(
        self, view: NodeView, element: etree._Element, path: str, met: dict[NodeView, set[Any]]
    ) -> ObjectValue | None:
        """The value of a list entry; None when nothing is left to check in it."""
        keys: list[str] = []
        for tag in view.keys:
            leaf, key = view.child(tag), element.find(tag)
            if leaf is None or key is None:
                raise SchemaViolation(
                    f"list entry without its key {tag.rpartition('}')[2]}",
                    path=_step(path, view),
                    tag="missing-element",
                )
            keys.append(leaf.canonical(key))
        if keys:
            seen, mine = met.setdefault(view, set()), tuple(keys)
            if mine in seen:
                raise _same_key(_step(path, view), ", ".join(keys))
            seen.add(mine)
        rule = self._rules.get(view.origin)
        if rule is not None and self._lookup is not None and self._lookup.approved(rule, view, element):
            return None
        value = self._inner(view, element, _step(path, view) + _predicates_of(view, keys))
        return None if rule is not None and rule.plain else value

    def _inner(self, view: NodeView, element: etree._Element, here: str) -> ObjectValue:
        if view.kind is Kind.ANYDATA:
            return ObjectValue({}, _EPOCH)
        if element.text is not None and element.text.strip():
            raise SchemaViolation("text where elements belong", path=here, tag="bad-element")
        return self.read(view.child, element, here)

    def _unknown(self, element: etree._Element, path: str) -> SchemaViolation:
        name = etree.QName(element)
        module = self._naming.modules.get(name.namespace or "")
        if module is None:
            return SchemaViolation(
                f"no module with namespace {(name.namespace or '')[:100]!r} is known here "
                f"(element {name.localname[:100]})",
                path=path,
                tag="unknown-namespace",
            )
        return SchemaViolation(
            f"there is no {name.localname[:100]} of {module} here", path=path, tag="unknown-element"
        )


def _step(path: str, view: NodeView) -> str:
    return f"{path}/{view.module}:{view.name}"


def _entries(members: dict[str, Any], view: NodeView) -> list[Any]:
    entries: list[Any] | None = members.get(view.member)
    if entries is None:
        entries = members[view.member] = ArrayValue([], _EPOCH)
    return entries


def _predicates_of(view: NodeView, keys: Sequence[str]) -> str:
    """The keys of a list entry as predicates of a path."""
    names = (tag[1:].partition("}") for tag in view.keys)
    held = zip((name for _, _, name in names), keys, strict=True)
    return "".join(f"[{view.module}:{name}={_quoted(value)}]" for name, value in held)


def _repeated(path: str) -> SchemaViolation:
    return SchemaViolation("a value is there twice", path=path, tag="bad-element")


def _same_key(path: str, key: str) -> SchemaViolation:
    return SchemaViolation(
        f"two list entries with the key {key}", path=path, tag="operation-failed", app_tag="data-not-unique"
    )


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


def instance_path(instance: InstanceNode) -> str:
    """The path of a yangson instance, in the form this file uses."""
    steps: list[str] = []
    for node in _upwards(instance):
        schema = node.schema_node
        if isinstance(node, ArrayEntry):
            if isinstance(schema, ListNode):
                steps.append("".join(_predicates(schema, node.value)))
        else:
            steps.append(f"/{schema.ns}:{schema.name}")
    return "".join(reversed(steps))


def _upwards(instance: InstanceNode) -> Iterator[InstanceNode]:
    while instance.parinst is not None:
        yield instance
        instance = instance.parinst


def _predicates(schema: ListNode, value: Any) -> Iterator[str]:
    for name, module in schema.keys:
        leaf = schema.get_data_child(name, module)
        held = value.get(leaf.iname())
        if held is not None:
            yield f"[{module}:{name}={_quoted(str(leaf.type.canonical_string(held)))}]"


def _of_another_case(home: Any, name: str, module: str) -> bool:
    """The node that a pattern refused stands in a choice and has no `when` that could be false."""
    node = home.get_data_child(name, module)
    in_choice = False
    while node is not None and node is not home:
        if node.when is not None:
            return False
        in_choice = in_choice or isinstance(node, ChoiceNode)
        node = node.parent
    return in_choice


def refusal(error: ValidationError) -> SchemaViolation:
    """yangson's refusal as ours, with the error-tag and error-app-tag of RFC 6241 and RFC 7950 that fit."""
    path = instance_path(error.instance)
    tag = str(error.tag)
    detail = error.message or ""
    if isinstance(error, SchemaError) and tag.endswith("member-not-allowed"):
        # Names are known by now, so what is not allowed is what a `when` excludes (RFC 7950 8.3.1).
        module, colon, name = detail.rpartition(":")
        home = error.instance.schema_node
        step = f"/{module if colon else home.ns}:{name}"
        if _of_another_case(home, name, module if colon else home.ns):
            return SchemaViolation(
                "belongs to another case than its neighbours", path=path + step, tag="bad-element"
            )
        return SchemaViolation(
            "does not apply: its 'when' condition is false", path=path + step, tag="unknown-element"
        )
    if isinstance(error, SchemaError) and tag == "missing-data":
        return SchemaViolation(f"mandatory node is missing: {detail}", path=path, tag="data-missing")
    if isinstance(error, SchemaError) and tag == "list-key-missing":
        return SchemaViolation(f"list entry without its key {detail}", path=path, tag="missing-element")
    if isinstance(error, SemanticError) and tag == "non-unique-key":
        return _same_key(path, detail)
    if isinstance(error, SemanticError) and tag == "repeated-leaf-list-value":
        return _repeated(path)
    if isinstance(error, SemanticError) and tag == "instance-required":
        # RFC 7950 15.5: what a leafref points at is not there.
        return SchemaViolation(
            f"there is no {str(error.instance.value)[:60]!r} for it to point at",
            path=path,
            tag="data-missing",
            app_tag="instance-required",
        )
    if isinstance(error, YangTypeError):
        return SchemaViolation(detail or tag, path=path, tag="invalid-value")
    # A `must` (RFC 7950 15.4): its own message and tag, when it has them, are what the client is told.
    text = detail if detail and isinstance(error, SemanticError) else f"{tag} {detail}".strip()
    return SchemaViolation(text, path=path, tag="operation-failed", app_tag=tag.partition(":")[0])
