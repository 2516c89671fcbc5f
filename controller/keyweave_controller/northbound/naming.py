"""From the names that operators write in YANG data to what they mean in this network.

Rule of this file: a node goes by its id, its name or an application that it serves; a link by its id or by
the names of its ends, `A-B`. What means nothing is refused with the path of its leaf. What was configured
before is not refused again: a node may go while the entry that names it stays.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache

from keyweave_controller.control import candidates
from keyweave_controller.control.configuration import (
    ConfiguredAssociation,
    OperatorConfiguration,
    Policy,
)
from keyweave_controller.control.service import Service
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.northbound.configuration_tree import POLICY_PATH, association_path
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.ids import LinkId, NodeId

_STRATEGIES_OF_POLICY = ("guaranteed_strategy", "best_effort_strategy", "scheduled_strategy")


def place(state: NetworkState, path: str, text: str) -> NodeId:
    """The node that is meant; `path` is that of the leaf. Raises SchemaViolation when there is none."""
    found = candidates.place(state, text)
    if found is None:
        raise _wrong(path, f"neither an application nor a node here: {text}")
    return found


def link(state: NetworkState, path: str, text: str) -> LinkId:
    """The link that is meant. Raises SchemaViolation when there is none, or more than one."""
    found = candidates.links_named(state, text)
    if not found:
        raise _wrong(path, f"there is no physical link {text}")
    if len(found) > 1:
        raise _wrong(path, f"{text} are {len(found)} links; name one by its id: {', '.join(found)}")
    return found[0]


def risk(state: NetworkState, path: str, text: str) -> str:
    """A shared-risk group that some link is in. Raises SchemaViolation."""
    if text not in candidates.risk_groups(state):
        raise _wrong(path, f"no link is in a shared-risk group {text}")
    return text


def service(
    state: NetworkState, path: str, wanted: Service, expires_at: float | None, *, inside: str = ""
) -> Service:
    """The same with ids for names; `path` is that of the container, `inside` that of its constraints when
    they lie elsewhere. Raises SchemaViolation, also for what contradicts itself.
    """
    if wanted.strategy:
        _strategy(f"{path}/strategy", wanted.strategy)
    bounds, inside = wanted.constraints, inside or f"{path}/constraints"

    def links(leaf: str, texts: Iterable[str]) -> frozenset[LinkId]:
        return frozenset(link(state, f"{inside}/{leaf}", text) for text in sorted(texts))

    def nodes(leaf: str, texts: Iterable[str]) -> frozenset[NodeId]:
        return frozenset(place(state, f"{inside}/{leaf}", text) for text in sorted(texts))

    for name in sorted(bounds.exclude_risks):
        risk(state, f"{inside}/exclude-risk", name)
    for name in sorted(bounds.domains):
        if name and name not in candidates.domains(state):
            raise _wrong(f"{inside}/domain", f"no node of the inventory is in a domain {name}")
    meant = replace(
        wanted,
        constraints=replace(
            bounds,
            exclude_links=links("exclude-link", bounds.exclude_links),
            exclude_nodes=nodes("exclude-node", bounds.exclude_nodes),
            include_links=links("include-link", bounds.include_links),
            include_nodes=nodes("include-node", bounds.include_nodes),
        ),
    )
    for fault in meant.faults(expires_at):
        raise _wrong(path, fault)
    return meant


def as_far_as_known(state: NetworkState, configuration: OperatorConfiguration) -> OperatorConfiguration:
    """A configuration with ids for the names that mean something now; the others stay."""

    # Many entries name the same few places, and each look-up goes through the whole network.
    @cache
    def node_of(text: str) -> NodeId:
        return candidates.place(state, text) or NodeId(text)

    @cache
    def link_of(text: str) -> LinkId:
        found = candidates.links_named(state, text)
        return found[0] if len(found) == 1 else LinkId(text)

    entries = (_named(one, node_of, link_of) for one in configuration.associations)
    return replace(configuration, associations=tuple(entries))


def meant(
    state: NetworkState, before: OperatorConfiguration, after: OperatorConfiguration
) -> OperatorConfiguration:
    """`after` with ids for names. Raises SchemaViolation for what is new in it and means nothing here."""
    if after.policy is not None and after.policy != before.policy:
        _check_policy(after.policy)
    former = {one.name: one.service for one in before.associations}
    entries = []
    for one, known in zip(after.associations, as_far_as_known(state, after).associations, strict=True):
        path = f"{association_path(one.name)}/service"
        if former.get(one.name) == one.service:
            for fault in known.service.faults(one.expires_at):
                raise _wrong(path, fault)
            entries.append(known)
        else:
            entries.append(replace(one, service=service(state, path, one.service, one.expires_at)))
    return replace(after, associations=tuple(entries))


def _named(
    one: ConfiguredAssociation, node_of: Callable[[str], NodeId], link_of: Callable[[str], LinkId]
) -> ConfiguredAssociation:
    bounds = one.service.constraints
    if not (bounds.exclude_links or bounds.exclude_nodes or bounds.include_links or bounds.include_nodes):
        return one
    known = replace(
        bounds,
        exclude_links=frozenset(map(link_of, bounds.exclude_links)),
        exclude_nodes=frozenset(map(node_of, bounds.exclude_nodes)),
        include_links=frozenset(map(link_of, bounds.include_links)),
        include_nodes=frozenset(map(node_of, bounds.include_nodes)),
    )
    return replace(one, service=replace(one.service, constraints=known))


def _check_policy(policy: Policy) -> None:
    for name in _STRATEGIES_OF_POLICY:
        _strategy(f"{POLICY_PATH}/{name.replace('_', '-')}", getattr(policy, name))


def _strategy(path: str, name: str) -> None:
    if name not in STRATEGIES:
        raise _wrong(path, f"there is no strategy {name}; there are {', '.join(sorted(STRATEGIES))}")


def _wrong(path: str, reason: str) -> SchemaViolation:
    return SchemaViolation(reason, path=path, tag="invalid-value")
