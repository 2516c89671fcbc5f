"""XML data as yangson instances, and yangson's refusals as ours.

Rule of this file: the walk goes by the schema, so an unknown element, a wrong value and a leaf given twice
are found with the path of the element; what needs the whole tree (when, mandatory, keys) is yangson's.
Paths are written with module names as prefixes: /etsi-qkd-sdn-node:qkd_node/...
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from lxml import etree
from yangson.exceptions import SchemaError, SemanticError, ValidationError, YangTypeError
from yangson.instance import ArrayEntry, InstanceNode
from yangson.instvalue import ArrayValue, ObjectValue
from yangson.schemanode import ChoiceNode, ListNode

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind
from keyweave_yang.approvals import Approvals
from keyweave_yang.namespaces import is_element
from keyweave_yang.nodes import Naming, NodeView

Finder = Callable[[str], NodeView | None]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - yangson compares naive times; ours never change


class Reader:
    """Turns elements into yangson values, for one validation.

    With `config_only`, a state node is refused. With `approvals`, entries approved before are left out of
    the value once their key is seen to be theirs alone; `unseen` holds the digests of the others.
    """

    def __init__(self, naming: Naming, *, config_only: bool = False, approvals: Approvals | None = None):
        self._naming = naming
        self._config_only = config_only
        self._approvals = approvals
        self._keys: dict[str, set[tuple[str, ...]]] = {}
        self.unseen: list[bytes] = []

    def read(self, find: Finder, elements: Iterable[etree._Element], path: str = "") -> ObjectValue:
        """The members that `elements` make below a node whose children `find` knows.

        `path` is the path of that node. Raises SchemaViolation with the path of the element at fault.
        """
        members = ObjectValue({}, _EPOCH)
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
            self._add(members, view, element, path)
        return members

    def _add(self, members: ObjectValue, view: NodeView, element: etree._Element, path: str) -> None:
        kind = view.kind
        if kind is Kind.LIST and self._approved(view, element, path):
            return
        if kind is Kind.LIST or kind is Kind.LEAF_LIST:
            entries = members.get(view.member)
            if entries is None:
                entries = members[view.member] = ArrayValue([], _EPOCH)
            entries.append(self._value(view, element, path))
        elif view.member in members:
            raise SchemaViolation("is there twice", path=_step(path, view), tag="bad-element")
        else:
            members[view.member] = self._value(view, element, path)

    def _approved(self, view: NodeView, element: etree._Element, path: str) -> bool:
        if self._approvals is None or view.tag not in self._approvals.tags:
            return False
        keys = _key_values(view, element)
        if len(keys) == len(view.keys):
            seen = self._keys.setdefault(f"{path} {view.tag}", set())
            if keys in seen:
                raise _same_key(_step(path, view), ", ".join(keys))
            seen.add(keys)
        digest = self._approvals.digest(element)
        if digest in self._approvals:
            return True
        self.unseen.append(digest)
        return False

    def _value(self, view: NodeView, element: etree._Element, path: str) -> Any:
        codec = view.leaf
        if codec is not None:
            try:
                return codec.read(element)
            except SchemaViolation as error:
                raise SchemaViolation(error.reason, path=_step(path, view), tag=error.tag) from None
        if view.kind is Kind.ANYDATA:
            return ObjectValue({}, _EPOCH)
        here = _step(path, view)
        if view.kind is Kind.LIST:
            here += key_predicates(view, element)
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


def key_predicates(view: NodeView, element: etree._Element) -> str:
    """The keys of a list entry as predicates of a path; a missing key is left out."""
    text = ""
    for tag in view.keys:
        key = element.find(tag)
        key_view = view.child(tag)
        if key is not None and key_view is not None:
            text += f"[{key_view.module}:{key_view.name}={_quoted(key_view.canonical(key))}]"
    return text


def _key_values(view: NodeView, element: etree._Element) -> tuple[str, ...]:
    found = ((view.child(tag), element.find(tag)) for tag in view.keys)
    return tuple(leaf.canonical(key) for leaf, key in found if leaf is not None and key is not None)


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
        return SchemaViolation("a value is there twice", path=path, tag="bad-element")
    if isinstance(error, SemanticError) and tag == "instance-required":
        # RFC 7950 15.5: what a leafref points at is not there.
        return SchemaViolation(
            "points at what is not there", path=path, tag="data-missing", app_tag="instance-required"
        )
    if isinstance(error, YangTypeError):
        return SchemaViolation(detail or tag, path=path, tag="invalid-value")
    # A `must` (RFC 7950 15.4): its own message and tag, when it has them, are what the client is told.
    text = detail if detail and isinstance(error, SemanticError) else f"{tag} {detail}".strip()
    return SchemaViolation(text, path=path, tag="operation-failed", app_tag=tag.partition(":")[0])
