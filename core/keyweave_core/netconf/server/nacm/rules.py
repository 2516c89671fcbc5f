"""The `nacm` container (ietf-netconf-acm, RFC 8341) as values.

Rule of this file: what cannot be understood never opens a door. A rule whose path nobody can read denies all
data when it denies, and matches nothing when it permits; `faults` tells of it, so that such a rule is refused
when somebody writes it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntFlag, auto

from lxml import etree

from keyweave_core.errors import InvalidInput
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.server.nacm.paths import NodePath, read_path

NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
MODULE = "ietf-netconf-acm"
CONTAINER = f"{{{NACM}}}nacm"
ANY = "*"


class Access(IntFlag):
    """access-operations."""

    CREATE = auto()
    READ = auto()
    UPDATE = auto()
    DELETE = auto()
    EXEC = auto()


ALL = Access.CREATE | Access.READ | Access.UPDATE | Access.DELETE | Access.EXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. At most one of `rpc`, `notification` and `path` is there; none of them: all requests."""

    name: str
    permit: bool
    module: str = ANY
    rpc: str | None = None
    notification: str | None = None
    path: NodePath | None = None
    access: Access = ALL

    @property
    def on_data(self) -> bool:
        """True when the rule can match data nodes."""
        return self.rpc is None and self.notification is None


@dataclass(frozen=True, slots=True)
class RuleList:
    """Rules for the users of some groups ('*': of any)."""

    name: str
    groups: frozenset[str]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All of it; the defaults are those of the module."""

    enabled: bool = True
    read: bool = True
    write: bool = False
    execute: bool = True
    external_groups: bool = True
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of each user
    lists: tuple[RuleList, ...] = ()
    faults: tuple[tuple[str, str, str], ...] = ()  # rule-list, rule, what is wrong with its path

    def groups_of(self, name: str, external: Iterable[str]) -> frozenset[str]:
        """The groups of a user, those the transport tells included where that is wanted."""
        own = self.groups.get(name, frozenset())
        return own | frozenset(external) if self.external_groups else own

    def rules_for(self, groups: frozenset[str]) -> tuple[Rule, ...]:
        """The rules for somebody in these groups, in order; nobody's rules are theirs who are in none."""
        if not groups:
            return ()
        return tuple(
            rule
            for rules in self.lists
            if ANY in rules.groups or not groups.isdisjoint(rules.groups)
            for rule in rules.rules
        )


def find_nacm(running: Iterable[Element]) -> Element | None:
    """The container among top-level elements."""
    return next((element for element in running if element.tag == CONTAINER), None)


def read_rules(nacm: Element | None, modules: Mapping[str, str]) -> Rules:
    """The container as values; `modules` maps module names to namespaces."""
    if nacm is None:
        return Rules()
    members: dict[str, set[str]] = {}
    for group in nacm.iterfind(f"{{{NACM}}}groups/{{{NACM}}}group"):
        name = _text(group, "name") or ""
        for user in _texts(group, "user-name"):
            members.setdefault(user, set()).add(name)
    faults: list[tuple[str, str, str]] = []
    lists = tuple(_list(element, modules, faults) for element in nacm.iterfind(f"{{{NACM}}}rule-list"))
    return Rules(
        enabled=_text(nacm, "enable-nacm") not in ("false", "0"),
        read=_text(nacm, "read-default") != "deny",
        write=_text(nacm, "write-default") == "permit",
        execute=_text(nacm, "exec-default") != "deny",
        external_groups=_text(nacm, "enable-external-groups") not in ("false", "0"),
        groups={user: frozenset(names) for user, names in members.items()},
        lists=lists,
        faults=tuple(faults),
    )


def _list(element: Element, modules: Mapping[str, str], faults: list[tuple[str, str, str]]) -> RuleList:
    name = _text(element, "name") or ""
    rules = []
    for entry in element.iterfind(f"{{{NACM}}}rule"):
        rule = _rule(entry, modules, name, faults)
        if rule is not None:
            rules.append(rule)
    return RuleList(name, frozenset(_texts(element, "group")), tuple(rules))


def _rule(
    entry: Element, modules: Mapping[str, str], of: str, faults: list[tuple[str, str, str]]
) -> Rule | None:
    name = _text(entry, "name") or ""
    permit = _text(entry, "action") == "permit"
    leaf = entry.find(f"{{{NACM}}}path")
    path: NodePath | None = None
    if leaf is not None:
        try:
            path = read_path(leaf, modules)
        except InvalidInput as fault:
            faults.append((of, name, str(fault)))
            if permit:
                return None
            path = NodePath(())
    return Rule(
        name=name,
        permit=permit,
        module=_text(entry, "module-name") or ANY,
        rpc=_text(entry, "rpc-name"),
        notification=_text(entry, "notification-name"),
        path=path,
        access=_access(_text(entry, "access-operations")),
    )


def _access(text: str | None) -> Access:
    if text is None or text == ANY:
        return ALL
    found = Access(0)
    for name in text.split():
        found |= Access[name.upper()]
    return found


def _text(element: etree._Element, name: str) -> str | None:
    found = element.findtext(f"{{{NACM}}}{name}")
    return None if found is None else found.strip()


def _texts(element: etree._Element, name: str) -> Iterator[str]:
    return ((found.text or "").strip() for found in element.iterfind(f"{{{NACM}}}{name}"))
