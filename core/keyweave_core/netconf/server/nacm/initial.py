"""The access control that a server starts with, where nothing is configured yet.

    member of                               may
    admin, controller, operator             everything
    orchestrator, auditor, agent-local      read, subscribe, validate
    any other group                         the same
    no group                                end the session

Groups come from the settings of users, from certificates, or from the container itself.

Rule of this file: it is a beginning, written into running once; operators change it like any configuration.
"""

from collections.abc import Iterable, Mapping

from lxml import etree

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.server.nacm.rules import ANY, CONTAINER, NACM

FULL_ACCESS = ("admin", "controller", "operator")
READ_ONLY = ("orchestrator", "auditor", "agent-local")

_HARMLESS = (
    ("ietf-netconf", ("get", "get-config", "validate")),
    ("ietf-netconf-monitoring", ("get-schema",)),
    ("ietf-netconf-nmda", ("get-data",)),
    ("notifications", ("create-subscription",)),
    (
        "ietf-subscribed-notifications",
        ("establish-subscription", "modify-subscription", "delete-subscription"),
    ),
    ("ietf-yang-push", ("resync-subscription",)),
)
"""Operations that change nothing but the caller's own session."""


def initial_nacm(
    users: Mapping[str, Iterable[str]] | None = None,
    *,
    harmless: Iterable[tuple[str, str]] = (),
) -> Element:
    """The `nacm` container of a new server.

    `users` maps names to the groups they are put into by the container; users whose groups the transport
    tells need not be named. `harmless` are further operations (module, rpc) that change nothing, for those
    who only read.
    """
    root = new_element(CONTAINER, {None: NACM})
    for name, text in (
        ("enable-nacm", "true"),
        ("read-default", "permit"),
        ("write-default", "deny"),
        ("exec-default", "deny"),
        ("enable-external-groups", "true"),
    ):
        _leaf(root, name, text)
    members: dict[str, list[str]] = {name: [] for name in (*FULL_ACCESS, *READ_ONLY)}
    for user, groups in (users or {}).items():
        for group in groups:
            members.setdefault(group, []).append(user)
    container = etree.SubElement(root, f"{{{NACM}}}groups")
    for group, names in members.items():
        entry = etree.SubElement(container, f"{{{NACM}}}group")
        _leaf(entry, "name", group)
        for name in names:
            _leaf(entry, "user-name", name)
    everything = _rule_list(root, "full-access", FULL_ACCESS)
    _rule(everything, "everything", "permit", comment="also kill-session, delete-config and these rules")
    limited = _rule_list(root, "read-only", (ANY,))
    calls = [(module, rpc) for module, rpcs in _HARMLESS for rpc in rpcs]
    for module, rpc in (*calls, *harmless):
        _rule(limited, f"{module}:{rpc}", "permit", module=module, rpc=rpc)
    return root


def _rule_list(root: Element, name: str, groups: Iterable[str]) -> Element:
    rules = etree.SubElement(root, f"{{{NACM}}}rule-list")
    _leaf(rules, "name", name)
    for group in groups:
        _leaf(rules, "group", group)
    return rules


def _rule(
    rules: Element, name: str, action: str, *, module: str = ANY, rpc: str | None = None, comment: str = ""
) -> None:
    rule = etree.SubElement(rules, f"{{{NACM}}}rule")
    _leaf(rule, "name", name)
    _leaf(rule, "module-name", module)
    if rpc is None:
        _leaf(rule, "access-operations", ANY)
    else:
        _leaf(rule, "rpc-name", rpc)
        _leaf(rule, "access-operations", "exec")
    _leaf(rule, "action", action)
    if comment:
        _leaf(rule, "comment", comment)


def _leaf(parent: Element, name: str, text: str) -> None:
    etree.SubElement(parent, f"{{{NACM}}}{name}").text = text
