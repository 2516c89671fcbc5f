"""Rules compiled along the tree: what is permitted at a place in the data, and what below it.

Rule of this file: nothing is asked twice. A `Scope` stands for every place where the same rules have matched
in the same way; from one place to a child it is found by name, and only steps with key predicates look at
the element itself. Where the rules decide the same for all that lies below, a scope says so, and nobody
walks further.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.server.nacm.paths import Match, NodePath, holds
from keyweave_core.netconf.server.nacm.rules import ANY, Access, Rule

_Below = tuple[frozenset[str], frozenset[str]]  # modules and marks (default_deny) of a node and all below it


@dataclass(frozen=True, slots=True)
class _Live:
    """A rule that may still match: `at` steps of its path are behind us."""

    rule: Rule
    path: NodePath | None
    at: int

    @property
    def covers(self) -> bool:
        """True when the rule is about this place and all below it."""
        return self.path is None or self.at == len(self.path.steps)


@dataclass(slots=True)
class Ground:
    """What all scopes of one user share."""

    user: str
    read: bool  # what no rule matches may be read
    write: bool
    modules: Mapping[str, str]  # namespace to module name
    below: dict[SchemaNode, _Below]  # filled as it is asked for; the same for all users
    tops: _Below  # of all top-level nodes together


class _Branch:
    """The way to the children of one name."""

    __slots__ = ("conditions", "live", "mark", "module", "node", "scopes")

    def __init__(
        self,
        live: tuple[_Live, ...],
        conditions: tuple[tuple[int, tuple[Match, ...]], ...],
        node: SchemaNode | None,
        module: str,
        mark: str | None,
    ) -> None:
        self.live = live  # as if all conditions held
        self.conditions = conditions  # index in `live`, and what must hold for it to stay
        self.node = node
        self.module = module
        self.mark = mark
        self.scopes: dict[tuple[bool, ...], Scope] = {}


class Scope:
    """A place in the data as the rules for one user see it."""

    __slots__ = ("_branches", "_ground", "_live", "_permits", "_settled", "mark", "module", "node")

    def __init__(
        self,
        ground: Ground,
        live: tuple[_Live, ...],
        *,
        node: SchemaNode | None = None,
        module: str = "",
        mark: str | None = None,
    ) -> None:
        self._ground = ground
        self._live = live
        self.node = node
        self.module = module
        self.mark = mark  # default-deny of this node or one above it: 'write', 'all' or None
        self._branches: dict[str, _Branch] = {}
        self._permits: dict[Access, bool] = {}
        self._settled: dict[Access, bool | None] = {}

    @classmethod
    def root(cls, ground: Ground, rules: tuple[Rule, ...]) -> "Scope":
        """The place above all data."""
        return cls(ground, tuple(_Live(rule, rule.path, 0) for rule in rules if rule.on_data))

    def child(self, element: Element, node: SchemaNode | None) -> "Scope":
        """The place of a child; `node` is its schema node (None: not known, as within anydata)."""
        tag = str(element.tag)
        branch = self._branches.get(tag)
        if branch is None:
            branch = self._branches[tag] = self._branch(tag, node)
        held: tuple[bool, ...] = ()
        if branch.conditions:
            held = tuple(
                all(
                    holds(match, element, branch.node, _path_of(branch.live[index]), self._ground.user)
                    for match in matches
                )
                for index, matches in branch.conditions
            )
        scope = branch.scopes.get(held)
        if scope is None:
            gone = {
                index for (index, _), held_one in zip(branch.conditions, held, strict=True) if not held_one
            }
            live = tuple(one for index, one in enumerate(branch.live) if index not in gone)
            scope = Scope(self._ground, live, node=branch.node, module=branch.module, mark=branch.mark)
            branch.scopes[held] = scope
        return scope

    def permits(self, access: Access, default: bool | None = None) -> bool:
        """May the node at this place itself be accessed so? `default` is for EXEC (of an action)."""
        known = self._permits.get(access)
        if known is None:
            known = self._permits[access] = self._decide(access, default)
        return known

    def settled(self, access: Access) -> bool | None:
        """What holds for this place and all below it alike; None when that depends. Not for EXEC."""
        if access not in self._settled:
            self._settled[access] = self._settle(access)
        return self._settled[access]

    def _decide(self, access: Access, default: bool | None) -> bool:
        for one in self._live:
            rule = one.rule
            if access & rule.access and one.covers and rule.module in (ANY, self.module):
                return rule.permit
        if self._denied_by(self.mark, access):
            return False
        if default is not None:
            return default
        return self._ground.read if access is Access.READ else self._ground.write

    def _settle(self, access: Access) -> bool | None:
        modules, marks = self._below()
        possible: set[bool] = set()
        for one in self._live:
            rule = one.rule
            if not access & rule.access:
                continue
            if one.covers and (rule.module == ANY or modules == {rule.module}):
                possible.add(rule.permit)
                break
            if rule.module == ANY or rule.module in modules or not one.covers:
                possible.add(rule.permit)
        else:
            if self._denied_by(self.mark, access):
                possible.add(False)
            else:
                possible.add(self._ground.read if access is Access.READ else self._ground.write)
                if any(self._denied_by(mark, access) for mark in marks):
                    possible.add(False)
        return possible.pop() if len(possible) == 1 else None

    @staticmethod
    def _denied_by(mark: str | None, access: Access) -> bool:
        return mark == "all" or (mark == "write" and access is not Access.READ and access is not Access.EXEC)

    def _below(self) -> _Below:
        if self.node is not None:
            return below(self.node, self._ground.below)
        if self.module:
            return frozenset({self.module, "?"}), frozenset()
        return self._ground.tops

    def _branch(self, tag: str, node: SchemaNode | None) -> _Branch:
        live: list[_Live] = []
        conditions: list[tuple[int, tuple[Match, ...]]] = []
        for one in self._live:
            if one.covers:
                live.append(one)
                continue
            step = _path_of(one).steps[one.at]
            if step.tag != tag:
                continue
            if step.matches:
                conditions.append((len(live), step.matches))
            live.append(_Live(one.rule, one.path, one.at + 1))
        if node is not None:
            module, own = node.module, node.default_deny
        else:
            module, own = self._ground.modules.get(etree.QName(tag).namespace or "", self.module or "?"), None
        mark = "all" if "all" in (self.mark, own) else own or self.mark
        return _Branch(tuple(live), tuple(conditions), node, module, mark)


def below(node: SchemaNode, known: dict[SchemaNode, _Below]) -> _Below:
    """Modules and marks of a schema node and all below it."""
    found = known.get(node)
    if found is None:
        modules: set[str] = {node.module}
        marks: set[str] = set() if node.default_deny is None else {node.default_deny}
        if node.kind is Kind.ANYDATA:
            modules.add("?")  # whatever may stand in it
        for inner in node.children():
            inner_modules, inner_marks = below(inner, known)
            modules |= inner_modules
            marks |= inner_marks
        found = known[node] = (frozenset(modules), frozenset(marks))
    return found


def _path_of(live: _Live) -> NodePath:
    assert live.path is not None  # noqa: S101 - only rules with a path have steps to go
    return live.path
