"""Access control by RFC 8341, behind the door that `server.access` describes.

Rule of this file: rules are read when running changes and compiled when a user first asks; after that a
request costs look-ups. A user whose rules permit everything is recognised as such and data is not walked.

    operation     clause 3.4.4: exec rules by rpc-name, then default-deny-all, then exec-default
    action        read access to the nodes it hangs on, exec rules by path
    reading       clause 3.4.5: what may not be read is left out with all below it; keys stay with their entry
    writing       clause 3.4.5: create, update or delete for every node that differs, and for nothing else
    notification  clause 3.4.6: as a whole, by notification-name (by path where it hangs on data)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from lxml import etree

from keyweave_core.netconf.data.changes import Change, ChangeKind, changes, path_step
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, Schema, SchemaNode
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.messages import MONITORING, NETMOD_NOTIFICATION, NOTIFICATION, to_bytes
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.nacm.pruning import pruned
from keyweave_core.netconf.server.nacm.rules import (
    ANY,
    CONTAINER,
    MODULE,
    NACM,
    Access,
    Rule,
    Rules,
    find_nacm,
    read_rules,
)
from keyweave_core.netconf.server.nacm.scopes import Ground, Scope, below
from keyweave_core.netconf.server.protocol_modules import protocol_nodes
from keyweave_core.runtime.log import Logger, get_logger

_CLOSE_SESSION = f"{{{BASE}}}close-session"
_EDIT_CONFIG = f"{{{BASE}}}edit-config"
_ACTION = "{urn:ietf:params:xml:ns:yang:1}action"
_SUBSCRIBED = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
_YANG = "urn:ietf:params:xml:ns:yang"
# Operations of the protocol are of these modules even where the schema lacks them.
_PROTOCOL_MODULES = {
    BASE: "ietf-netconf",
    NOTIFICATION: "notifications",
    NETMOD_NOTIFICATION: "nc-notifications",
    MONITORING: "ietf-netconf-monitoring",
    _SUBSCRIBED: "ietf-subscribed-notifications",
    f"{_YANG}:ietf-yang-push": "ietf-yang-push",
    f"{_YANG}:ietf-netconf-nmda": "ietf-netconf-nmda",
}
# Denied unless a rule permits it: RFC 8341 clause 3.4.4 step 11, and marks of modules the schema may lack.
_DENIED_OPERATIONS = frozenset(
    {f"{{{BASE}}}kill-session", f"{{{BASE}}}delete-config", f"{{{_SUBSCRIBED}}}kill-subscription"}
)
# What ends a replay or a subscription is never held back (RFC 8341 clause 3.4.6 step 3).
_FREE_NOTIFICATIONS = frozenset(
    f"{{{namespace}}}{name}"
    for namespace in (NOTIFICATION, NETMOD_NOTIFICATION)
    for name in ("replayComplete", "notificationComplete")
)
_MAX_USERS = 1024  # compiled at a time
_WRITES = (Access.CREATE, Access.UPDATE, Access.DELETE)


class MarkedSchema(Schema, Protocol):
    """A schema that also knows operations and notifications, for their default-deny marks."""

    def operation(self, tag: str) -> SchemaNode | None: ...
    def notification(self, tag: str) -> SchemaNode | None: ...


@dataclass(slots=True)
class _Rights:
    """The rules of one user, compiled."""

    source: Rules
    rules: tuple[Rule, ...]
    data: Scope
    operations: dict[str, bool]
    notifications: dict[str, bool]


class Nacm:
    """`server.access.AccessControl` by the `nacm` container of running."""

    def __init__(self, schema: MarkedSchema, *, log: Logger | None = None) -> None:
        self._schema = schema
        self._places = SchemaMap(schema, protocol_nodes())
        self._modules: Mapping[str, str] = _PROTOCOL_MODULES | {
            uri: name for name, uri in self._places.namespaces.items()
        }
        self._log = log or get_logger("nacm")
        self._rules = Rules()
        self._text: bytes | None = b""
        self._rights: dict[tuple[str, frozenset[str]], _Rights] = {}
        self._below: dict[SchemaNode, tuple[frozenset[str], frozenset[str]]] = {}
        self._tops: tuple[frozenset[str], frozenset[str]] | None = None
        self.denied_operations = 0
        self.denied_data_writes = 0
        self.denied_notifications = 0

    def configured(self, running: Sequence[Element]) -> None:
        """See `AccessControl`. Rules that cannot be read are logged; they open no door."""
        nacm = find_nacm(running)
        text = None if nacm is None else to_bytes(nacm)
        if text == self._text:
            return
        self._text = text
        self._rules = read_rules(nacm, self._places.namespaces)
        self._rights.clear()
        for of, name, fault in self._rules.faults:
            self._log.error("access control rule not understood", rule_list=of, rule=name, reason=fault)

    def state(self) -> Sequence[Element]:
        """The counters of the `nacm` container, as top-level state."""
        root = new_element(CONTAINER, {None: NACM})
        for name in ("denied_operations", "denied_data_writes", "denied_notifications"):
            leaf = etree.SubElement(root, f"{{{NACM}}}{name.replace('_', '-')}")
            leaf.text = str(getattr(self, name) % 2**32)  # zero-based-counter32
        return [root]

    def check_operation(self, user: User, operation: Element) -> None:
        """See `AccessControl`."""
        tag = str(operation.tag)
        rights = self._of(user)
        if rights is None or tag == _CLOSE_SESSION:
            return
        permitted = rights.operations.get(tag)
        if permitted is None:
            permitted = self._may_call(rights, tag)
            if self._is_known(tag):
                rights.operations[tag] = permitted
        if permitted and tag == _ACTION:
            permitted = self._may_act(rights, operation)
        if not permitted:
            self.denied_operations += 1
            raise RpcError(
                "access-denied",
                f"access control: {user.name} may not call {etree.QName(tag).localname}",
                type="protocol",
            )

    def readable(self, user: User, elements: Sequence[Element]) -> Sequence[Element]:
        """See `AccessControl`; the very sequence when nothing is left out."""
        rights = self._of(user)
        if rights is None or rights.data.settled(Access.READ):
            return elements
        chosen: list[Element] = []
        for element in elements:
            node = self._places.top(str(element.tag))
            part = pruned(element, node, rights.data.child(element, node))
            if part is not None:
                chosen.append(part)
        same = len(chosen) == len(elements) and all(map(_is, chosen, elements))
        return elements if same else chosen

    def check_changes(self, user: User, before: Sequence[Element], after: Sequence[Element]) -> None:
        """See `AccessControl`. Raises invalid-value as well, for a new rule that cannot be read."""
        if before is after:
            return
        self._check_rules(before, after)
        rights = self._of(user)
        if rights is None or all(rights.data.settled(access) for access in _WRITES):
            return
        tops = {*before, *after}
        for change in changes(before, after, self._places):
            self._check_change(user, rights, change, tops)

    def check_lockout(self, user: User, before: Sequence[Element], after: Sequence[Element]) -> None:
        """See `AccessControl`."""
        old, new = find_nacm(before), find_nacm(after)
        if user.recovery or old is new:
            return
        if self._governs(user, old) and not self._governs(user, new):
            message = (
                f"{user.name} could not change access control any more: keep a rule that permits it,"
                " or do this as a user with recovery = true"
            )
            raise self._places.error("operation-failed", message, f"/{MODULE}:nacm", app_tag="lockout")

    def may_receive(self, user: User, notification: Element) -> bool:
        """See `AccessControl`."""
        tag = str(notification.tag)
        rights = self._of(user)
        if rights is None or tag in _FREE_NOTIFICATIONS:
            return True
        permitted = rights.notifications.get(tag)
        if permitted is None:
            node = self._places.top(tag)
            if node is not None and self._schema.notification(tag) is None:
                permitted = self._may_see(rights, notification, node)  # it hangs on data: entries may differ
            else:
                permitted = self._may_be_told(rights, tag)
                if self._is_known(tag):
                    rights.notifications[tag] = permitted
        if not permitted:
            self.denied_notifications += 1
        return permitted

    def _of(self, user: User) -> _Rights | None:
        """The rules for a user; None when there are none to follow."""
        if user.recovery or not self._rules.enabled:
            return None
        known = self._rights.get((user.name, user.groups))
        if known is None:
            if len(self._rights) >= _MAX_USERS:
                self._rights.clear()
            known = self._rights[user.name, user.groups] = self._compiled(user, self._rules)
        return known

    def _compiled(self, user: User, source: Rules) -> _Rights:
        rules = source.rules_for(source.groups_of(user.name, user.groups))
        if self._tops is None:
            parts = [below(node, self._below) for node in self._schema.tops()]
            # '?': protocol state and what a device adds without schema.
            modules = frozenset({"?"}).union(*(part[0] for part in parts))
            self._tops = modules, frozenset().union(*(part[1] for part in parts))
        ground = Ground(
            user=user.name,
            read=source.read,
            write=source.write,
            modules=self._modules,
            below=self._below,
            tops=self._tops,
        )
        return _Rights(source, rules, Scope.root(ground, rules), {}, {})

    def _governs(self, user: User, nacm: Element | None) -> bool:
        """Under these rules, may the user switch access control off, and so undo any of them?"""
        rules = read_rules(nacm, self._places.namespaces)
        if not rules.enabled:
            return True
        rights = self._compiled(user, rules)
        container = new_element(CONTAINER, {None: NACM})
        switch = etree.SubElement(container, f"{{{NACM}}}enable-nacm")
        top = self._places.top(CONTAINER)
        scope = rights.data.child(container, top)
        scope = scope.child(switch, top and top.child(str(switch.tag)))
        return self._may_call(rights, _EDIT_CONFIG) and scope.permits(Access.UPDATE)

    def _is_known(self, tag: str) -> bool:
        """Names that peers make up are not remembered."""
        return (etree.QName(tag).namespace or "") in self._modules

    def _module(self, tag: str) -> str:
        return self._modules.get(etree.QName(tag).namespace or "", "")

    def _may_call(self, rights: _Rights, tag: str) -> bool:
        module, name = self._module(tag), etree.QName(tag).localname
        for rule in rights.rules:
            if (
                rule.access & Access.EXEC
                and rule.module in (ANY, module)
                and rule.path is None
                and rule.notification is None
                and rule.rpc in (None, ANY, name)
            ):
                return rule.permit
        if tag in _DENIED_OPERATIONS:
            return False
        node = self._schema.operation(tag)
        return rights.source.execute and not (node is not None and node.default_deny == "all")

    def _may_be_told(self, rights: _Rights, tag: str) -> bool:
        module, name = self._module(tag), etree.QName(tag).localname
        for rule in rights.rules:
            if (
                rule.access & Access.READ
                and rule.module in (ANY, module)
                and rule.path is None
                and rule.rpc is None
                and rule.notification in (None, ANY, name)
            ):
                return rule.permit
        node = self._schema.notification(tag)
        return rights.source.read and not (node is not None and node.default_deny == "all")

    def _may_act(self, rights: _Rights, operation: Element) -> bool:
        """RFC 7950 clause 7.15: the data nodes down to the action, then the action itself."""
        element = next(operation.iterchildren("*"), None)
        scope, parent = rights.data, None
        while element is not None:
            tag = str(element.tag)
            node = self._places.top(tag) if parent is None else parent.child(tag)
            scope = scope.child(element, node)
            if node is None:
                return scope.permits(Access.EXEC, rights.source.execute)
            if not scope.permits(Access.READ):
                return False
            keys = node.keys
            element = next((child for child in element.iterchildren("*") if child.tag not in keys), None)
            parent = node
        return True  # no action there: whoever carries it out says so

    def _may_see(self, rights: _Rights, content: Element, top: SchemaNode) -> bool:
        """A notification that hangs on data: every node down to it must be readable, and it itself."""
        element: Element | None = content
        node: SchemaNode | None = top
        scope = rights.data
        while element is not None:
            scope = scope.child(element, node)
            if not scope.permits(Access.READ):
                return False
            if node is None:
                return True
            keys, parent = node.keys, node
            element = next((child for child in element.iterchildren("*") if child.tag not in keys), None)
            node = None if element is None else parent.child(str(element.tag))
        return True

    def _check_rules(self, before: Sequence[Element], after: Sequence[Element]) -> None:
        new = find_nacm(after)
        if new is None or new is find_nacm(before) or to_bytes(new) == self._text:
            return
        for of, name, fault in read_rules(new, self._places.namespaces).faults:
            raise self._places.error(
                "invalid-value",
                f"path: {fault}",
                f"/{MODULE}:nacm/{MODULE}:rule-list[{MODULE}:name={_quoted(of)}]"
                f"/{MODULE}:rule[{MODULE}:name={_quoted(name)}]/{MODULE}:path",
            )

    def _check_change(self, user: User, rights: _Rights, change: Change, tops: set[Element]) -> None:
        element = change.after if change.after is not None else change.before
        assert element is not None  # noqa: S101 - a change has one side at least
        chain = [element]
        while chain[-1] not in tops and (parent := chain[-1].getparent()) is not None:
            chain.append(parent)
        scope, node = rights.data, None
        for place in reversed(chain):
            tag = str(place.tag)
            node = self._places.top(tag) if place is chain[-1] else node and node.child(tag)
            scope = scope.child(place, node)
        match change.kind:
            case ChangeKind.CREATE:
                self._check_all(user, element, scope, change.path, Access.CREATE)
            case ChangeKind.DELETE:
                self._check_all(user, element, scope, change.path, Access.DELETE)
            case ChangeKind.REPLACE | ChangeKind.MOVE:
                if not scope.permits(Access.UPDATE):
                    self._deny(user, change.path, Access.UPDATE)

    def _check_all(self, user: User, element: Element, scope: Scope, path: str, access: Access) -> None:
        settled = scope.settled(access)
        if settled:
            return
        node = scope.node
        # A container without meaning of its own comes and goes with what is in it.
        empty = node is not None and node.kind is Kind.CONTAINER and not node.presence
        if not empty and (settled is False or not scope.permits(access)):
            self._deny(user, path, access)
        if node is not None and node.kind not in (Kind.CONTAINER, Kind.LIST):
            return
        for child in element.iterchildren("*"):
            inner = node and node.child(str(child.tag))
            at = path + path_step(child, inner)
            self._check_all(user, child, scope.child(child, inner), at, access)

    def _deny(self, user: User, path: str, access: Access) -> NoReturn:
        self.denied_data_writes += 1
        verb = str(access.name).lower()
        raise self._places.error("access-denied", f"access control: {user.name} may not {verb} this", path)


def _is(one: Element, other: Element) -> bool:
    return one is other


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
