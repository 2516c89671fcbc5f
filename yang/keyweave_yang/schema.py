"""The modules that a server serves, as one schema made with yangson.

Rule of this file: a schema is loaded once in a process and never changes. `ModelSchema` is
`keyweave_core.netconf.ports.Schema` and adds the checks that agents run on what they send.
"""

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lxml import etree
from yangson import DataModel
from yangson.enumerations import ContentType, ValidationScope
from yangson.exceptions import ValidationError, YangsonException
from yangson.instance import InstanceNode, RootNode
from yangson.instvalue import ObjectValue
from yangson.schemanode import NotificationNode, RpcActionNode

from keyweave_core.errors import InternalFault, SchemaViolation
from keyweave_core.netconf.ports import ModuleInfo
from keyweave_yang.actions import ActionCall, find_action
from keyweave_yang.approvals import Approvals, Given, Lookup, read_rules
from keyweave_yang.catalogue import MODULES, ServerKind, Wanted
from keyweave_yang.defaults import completed
from keyweave_yang.instances import Reader, refusal
from keyweave_yang.nodes import Naming, NodeView, operation_view, schema_children
from keyweave_yang.sources import Source, find_source, search_path


class ModelSchema:
    """The schema of one server."""

    def __init__(self, model: DataModel, modules: tuple[ModuleInfo, ...]):
        self._model = model
        self._modules = modules
        naming = Naming({module.name: module.namespace for module in modules})
        self._naming = naming
        self._tops = schema_children(model.schema, naming)
        self._rules = read_rules(model.schema)
        self._approvals = Approvals()
        self._mandatory = [
            view.origin
            for view in self._tops.values()
            if view.origin.mandatory and view.origin.mandatory_config
        ]
        self._operations: dict[str, NodeView] = {}
        self._notifications: dict[str, NodeView] = {}
        for node in model.schema.children:
            if isinstance(node, RpcActionNode):
                tag = naming.clark(node.name, node.ns)
                self._operations[tag] = operation_view(node, naming)
            elif isinstance(node, NotificationNode):
                tag = naming.clark(node.name, node.ns)
                self._notifications[tag] = NodeView(node, naming)
        seal = "\n".join(
            f"{module.name}@{module.revision} {module.implemented} {' '.join(module.features)}"
            for module in sorted(modules, key=lambda module: module.name)
        )
        self._content_id = hashlib.sha256(seal.encode()).hexdigest()[:16]

    @property
    def modules(self) -> Sequence[ModuleInfo]:
        """Every module of the schema, implemented ones first."""
        return self._modules

    @property
    def content_id(self) -> str:
        """Changes only when the set of modules, their revisions or features do."""
        return self._content_id

    def top(self, tag: str) -> NodeView | None:
        """The top-level data node of this Clark name, or None."""
        return self._tops.get(tag)

    def tops(self) -> Sequence[NodeView]:
        """All top-level data nodes."""
        return tuple(self._tops.values())

    def operation(self, tag: str) -> NodeView | None:
        """The input of the rpc of this Clark name, or None."""
        return self._operations.get(tag)

    def notification(self, tag: str) -> NodeView | None:
        """The notification of this Clark name, or None."""
        return self._notifications.get(tag)

    def validate(self, config: Sequence[etree._Element]) -> None:
        """Validate a whole configuration given as top-level elements.

        Raises SchemaViolation with the instance path of the first fault: names, types, duplicates, state
        where only configuration belongs, list keys, `when`, `must`, leafrefs, mandatory nodes. Parts that
        were found valid before cost next to nothing (see `approvals`).
        """
        given = self._by_node(config)
        lookup = Lookup(self._rules, self._approvals, given)
        trees = self._rules.trees
        known = {
            node
            for node, elements in given.items()
            if node in trees and len(elements) == 1 and lookup.approved(trees[node], *elements[0])
        }
        skipped = {id(element) for node in known if not trees[node].needed for _, element in given[node]}
        read = [element for element in config if id(element) not in skipped]
        reader = Reader(self._naming, config_only=True, lookup=lookup)
        root = self._root(reader.read(self.top, read))
        if not self._rules:
            self._check(root)
            return
        for node in self._mandatory:
            if node not in given:
                raise SchemaViolation(f"mandatory node is missing: {node.iname()}", tag="data-missing")
        approved = {node.iname() for node in known}
        for member in root:
            if member not in approved:
                self._check(root[member])
        lookup.keep()

    def validate_afresh(self, config: Sequence[etree._Element]) -> None:
        """As `validate`, with the same verdict, from scratch and by yangson alone: slow."""
        members = Reader(self._naming, config_only=True).read(self.top, config)
        self._check(self._root(members))

    def validate_data(self, data: Sequence[etree._Element]) -> None:
        """Validate the configuration and state below each of `data`, as <get> returns them.

        Top-level nodes that are not given are not missed. Errors as `validate`.
        """
        self._check_each(data, ValidationScope.all)

    def validate_state(self, state: Sequence[etree._Element]) -> None:
        """Check state alone: names, values, duplicates and the keys of every list entry.

        State without the configuration around it lacks what `when` and mandatory nodes look at; they are
        checked by `validate_data` on the merged tree. Raises SchemaViolation.
        """
        self._check_each(state, ValidationScope.semantics)

    def validate_notification(self, element: etree._Element) -> None:
        """Check the content of a notification (the element below <eventTime>).

        Raises SchemaViolation; unknown-element when there is no such notification.
        """
        self._check_tree(element, self._notifications, "notification")

    def validate_rpc_input(self, element: etree._Element) -> None:
        """Check an operation as it stands in <rpc>.

        Raises SchemaViolation; unknown-element when there is no such operation.
        """
        self._check_tree(element, self._operations, "operation")

    def validate_rpc_output(self, operation: str, output: etree._Element) -> None:
        """Check what answers the operation of this Clark name: the children of `output`.

        Raises SchemaViolation; unknown-element when there is no such operation.
        """
        view = self._operations.get(operation)
        if view is None:
            raise SchemaViolation(f"there is no operation {operation[:200]}", tag="unknown-element")
        answer = NodeView(view.origin.parent.get_child("output", view.module), self._naming)
        path = f"/{view.module}:{operation.rpartition('}')[2]}"
        members = Reader(self._naming).read(answer.child, output, path)
        whole = ObjectValue({answer.member: members}, members.timestamp)
        self._check_below(whole, answer.origin.parent, path, f"/{answer.module}:output")

    def with_defaults(self, data: Sequence[etree._Element]) -> list[etree._Element]:
        """A copy of `data` with the defaults in use that it lacks; see `ports.Schema`."""
        return completed(
            data, self._root(Reader(self._naming).read(self.top, data)), self.tops(), self._naming
        )

    def validate_action(self, element: etree._Element) -> ActionCall:
        """Find and check the action that `element`, <action> of RFC 7950 7.15.2, calls.

        Raises SchemaViolation with the path of what is wrong. That the node exists is not looked at.
        """
        call = find_action(self.top, element)
        self._check_operation(call.element, call.input, call.path)
        return call

    def _by_node(self, config: Sequence[etree._Element]) -> Given:
        given: dict[Any, list[tuple[NodeView, etree._Element]]] = {}
        for element in config:
            view = self._tops.get(element.tag)
            if view is not None:
                given.setdefault(view.origin, []).append((view, element))
        return given

    def _root(self, members: ObjectValue) -> RootNode:
        return RootNode(members, self._model.schema, self._model.schema_data, members.timestamp)

    def _check_each(self, data: Sequence[etree._Element], scope: ValidationScope) -> None:
        members = Reader(self._naming).read(self.top, data)
        root = self._root(members)
        for member in members:
            self._check(root[member], ContentType.all, scope)

    def _check_tree(self, element: etree._Element, known: dict[str, NodeView], what: str) -> None:
        tag = str(element.tag)
        view = known.get(tag)
        if view is None:
            raise SchemaViolation(f"there is no {what} {tag[:200]}", tag="unknown-element")
        path = f"/{view.module}:{tag.rpartition('}')[2]}"
        if what == "operation":
            self._check_operation(element, view, path)
            return
        members = Reader(self._naming).read(view.child, element, path)
        self._check_below(members, view.origin, path)

    def _check_operation(self, element: etree._Element, view: NodeView, path: str) -> None:
        """Check the input of an rpc or action; its own node is the root of the tree to check."""
        members = Reader(self._naming).read(view.child, element, path)
        whole = ObjectValue({view.member: members}, members.timestamp)
        self._check_below(whole, view.origin.parent, path, f"/{view.module}:input")

    def _check_below(self, members: ObjectValue, tree: Any, path: str, shown: str = "") -> None:
        root = RootNode(members, tree, self._model.schema_data, members.timestamp)
        try:
            self._check(root, ContentType.all)
        except SchemaViolation as error:
            inner = error.path.removeprefix(shown)
            raise SchemaViolation(
                error.reason, path=path + inner, tag=error.tag, app_tag=error.app_tag
            ) from error

    def _check(
        self,
        instance: InstanceNode,
        content: ContentType = ContentType.config,
        scope: ValidationScope = ValidationScope.all,
    ) -> None:
        try:
            instance.validate(scope, content)
        except ValidationError as error:
            raise refusal(error) from error


@functools.cache
def load_schema(which: ServerKind = "agent") -> ModelSchema:
    """The schema of the NETCONF server of an agent or of the controller; the same object each time.

    Raises SettingsError when a module is not installed, InternalFault when yangson refuses our modules.
    """
    return build_schema(which, MODULES[which], search_path())


def build_schema(name: str, wanted: tuple[Wanted, ...], folders: tuple[Path, ...]) -> ModelSchema:
    """A new schema of the modules `wanted`, found in `folders`; errors as `load_schema`."""
    sources = [find_source(module.name, folders) for module in wanted]
    library = {
        "ietf-yang-library:modules-state": {
            "module-set-id": name,
            "module": [_entry(*pair) for pair in zip(wanted, sources, strict=True)],
        }
    }
    try:
        model = DataModel(json.dumps(library), [str(folder) for folder in folders])
    except YangsonException as error:
        raise InternalFault(f"the YANG modules do not load: {type(error).__name__}: {error}") from error
    return ModelSchema(model, tuple(_infos(zip(wanted, sources, strict=True))))


def _entry(wanted: Wanted, source: Source) -> dict[str, object]:
    return {
        "name": source.name,
        "revision": source.revision,
        "namespace": source.namespace,
        "conformance-type": "implement" if wanted.implemented else "import",
        "feature": list(wanted.features),
    }


def _infos(pairs: Iterable[tuple[Wanted, Source]]) -> Iterable[ModuleInfo]:
    for wanted, source in pairs:
        yield ModuleInfo(
            name=source.name,
            revision=source.revision,
            namespace=source.namespace,
            yang_version=source.yang_version,
            implemented=wanted.implemented,
            features=wanted.features,
            text=source.text,
        )
