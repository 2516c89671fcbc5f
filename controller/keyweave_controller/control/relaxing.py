"""Which single constraint keeps a demand out, and how little it has to give.

Rule of this file: one constraint is dropped at a time; the ways that are found then say how far it has to
move, and the demand is put again with just that. Nothing is told that was not granted in that trial.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from keyweave_controller.control import facts, shape
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import Constraints
from keyweave_controller.control.state import LinkRecord, NetworkState
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import Technology

Search = Callable[[Constraints, str], Sequence[Route]]
"""The ways under other constraints, by a strategy (empty: the demand's own); none when it does not fit."""

_NONE = Constraints()

MOST_STEPS = 4
"""Searches for a way that is nearer to what was asked than the one found last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The ways that one constraint less allows."""

    state: NetworkState
    mesh: Mesh
    routes: Sequence[Route]
    at: float

    @property
    def ways(self) -> list[tuple[LinkId, ...]]:
        """The links from the source to each end, in order."""
        return [links for route in self.routes for _, links in shape.branches(route)]

    @property
    def link_ids(self) -> list[LinkId]:
        """Crossed by any of them."""
        return sorted({link_id for route in self.routes for link_id in route.links})

    @property
    def links(self) -> list[LinkRecord]:
        """The same, as records."""
        return [self.state.links[link_id] for link_id in self.link_ids]

    @property
    def relays(self) -> list[NodeId]:
        """Nodes inside any of them."""
        return sorted({node_id for route in self.routes for node_id in shape.relays(route)})

    def link_names(self, link_ids: frozenset[LinkId]) -> str:
        """For people, as the ways cross them."""
        first = {
            link: near
            for route in self.routes
            for link, (near, _) in zip(route.links, shape.steps_of(route), strict=True)
        }
        return ", ".join(sorted(self.state.link_name(link_id, first.get(link_id)) for link_id in link_ids))

    def node_names(self, node_ids: frozenset[NodeId]) -> str:
        """For people."""
        return ", ".join(sorted(self.state.node_name(node_id) for node_id in node_ids))


def relaxations(
    state: NetworkState, mesh: Mesh, bounds: Constraints, search: Search, *, at: float
) -> Iterator[str]:
    """What a constraint that alone stands in the way would have to be, one after the other, in words."""
    if bounds == _NONE:
        return
    for name, (needs, strategy) in _BY_FIELD.items():
        free = replace(bounds, **{name: getattr(_NONE, name)})
        if free == bounds:
            continue
        routes = search(free, strategy)
        if not routes:
            continue
        least, words = needs(Found(state=state, mesh=mesh, routes=routes, at=at), bounds)
        found = search(least, "") if least != bounds else ()
        if not found:
            continue
        for _ in range(MOST_STEPS if name in _STRICTER else 0):
            # The way that costs least need not be the one that asks least of the constraint.
            nearer = search(_STRICTER[name](least, bounds), "")
            if not nearer:
                break
            least, words = needs(Found(state=state, mesh=mesh, routes=nearer, at=at), bounds)
        yield words


def _hops(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    most = max(len(links) for links in found.ways)
    return replace(asked, max_hops=most), f"with at most {most} hops instead of {asked.max_hops}"


def _direct(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    return replace(asked, direct_only=False), f"with relays at {found.node_names(frozenset(found.relays))}"


def _latency(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    place, latency = found.mesh.link_place, found.mesh.latency_us
    takes_us = max(sum(latency[place[link_id]] for link_id in links) for links in found.ways)
    most_ms = (takes_us + 1) / 1_000  # whole microseconds must survive as milliseconds
    least = replace(asked, max_latency_ms=most_ms)
    return least, f"within {most_ms:g} ms instead of {asked.max_latency_ms:g} ms"


def _trust(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    least = min((facts.of_node(found.state, node_id)[0] for node_id in found.relays), default=0)
    return replace(asked, min_trust=least), f"over nodes trusted {least} of 100 instead of {asked.min_trust}"


def _excluded_links(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    used = asked.exclude_links & frozenset(found.link_ids)
    least = replace(asked, exclude_links=asked.exclude_links - used)
    return least, f"without excluding link {found.link_names(used)}"


def _excluded_nodes(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    used = asked.exclude_nodes & frozenset(found.relays)
    least = replace(asked, exclude_nodes=asked.exclude_nodes - used)
    return least, f"without excluding node {found.node_names(used)}"


def _included_links(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    missed = asked.include_links - frozenset(found.link_ids)
    least = replace(asked, include_links=asked.include_links - missed)
    return least, f"without link {found.link_names(missed)} on its way"


def _included_nodes(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    visited = frozenset(node_id for route in found.routes for node_id in route.nodes)
    missed = asked.include_nodes - visited
    least = replace(asked, include_nodes=asked.include_nodes - missed)
    return least, f"without node {found.node_names(missed)} on its way"


def _risks(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    run = frozenset[str]().union(*(facts.of_link(found.state, link).risk_groups for link in found.links))
    shared = asked.exclude_risks & run
    least = replace(asked, exclude_risks=asked.exclude_risks - shared)
    return least, f"sharing risk {', '.join(sorted(shared))}"


def _technologies(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    used = [facts.of_link(found.state, link).technologies for link in found.links]
    if not all(used):
        return replace(asked, technologies=frozenset()), "over links of any technology"
    more = frozenset[Technology]().union(*used) - asked.technologies
    least = replace(asked, technologies=asked.technologies | more)
    return least, f"over {', '.join(sorted(more))} links, too"


def _domains(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    used = frozenset(facts.of_node(found.state, node_id)[1] for node_id in found.relays)
    if "" in used:
        return replace(asked, domains=frozenset()), "relayed in any domain"
    more = used - asked.domains
    return replace(asked, domains=asked.domains | more), f"relayed in domain {', '.join(sorted(more))}, too"


def _stored(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    bits = min(facts.of_link(found.state, link).stored_bits for link in found.links)
    least = replace(asked, min_stored_bits=bits)
    return least, f"with {bits:,} bits of key stored instead of {asked.min_stored_bits:,}"


def _age(found: Found, asked: Constraints) -> tuple[Constraints, str]:
    known = [facts.of_link(found.state, link, found.at) for link in found.links]
    ages = [one.oldest_age_s for one in known if one.oldest_age_s is not None or one.stored_bits]
    told = [age for age in ages if age is not None]
    if len(told) < len(ages) or not told:
        return replace(asked, max_key_age_s=None), "without a bound on the age of key"
    least = replace(asked, max_key_age_s=max(told))
    return least, f"with key {max(told)} s old instead of {asked.max_key_age_s} s"


def _faster(least: Constraints, asked: Constraints) -> Constraints:
    # Whole microseconds: the last microsecond of `_latency`, and one less.
    most_ms = max(asked.max_latency_ms or 0.0, (least.max_latency_ms or 0.0) - 0.002)
    return replace(least, max_latency_ms=most_ms)


def _more_trusted(least: Constraints, asked: Constraints) -> Constraints:
    return replace(least, min_trust=min(asked.min_trust, least.min_trust + 1))


def _fuller(least: Constraints, asked: Constraints) -> Constraints:
    return replace(least, min_stored_bits=min(asked.min_stored_bits, least.min_stored_bits + 1))


def _fresher(least: Constraints, asked: Constraints) -> Constraints:
    if least.max_key_age_s is None:
        return replace(least, max_key_age_s=asked.max_key_age_s)
    return replace(least, max_key_age_s=max(asked.max_key_age_s or 0, least.max_key_age_s - 1))


_STRICTER: Mapping[str, Callable[[Constraints, Constraints], Constraints]] = MappingProxyType(
    {
        "max_latency_ms": _faster,
        "min_trust": _more_trusted,
        "min_stored_bits": _fuller,
        "max_key_age_s": _fresher,
    }
)
"""A little more than what the way found last keeps, and no more than was asked."""

Needs = Callable[[Found, Constraints], tuple[Constraints, str]]

_BY_FIELD: Mapping[str, tuple[Needs, str]] = MappingProxyType(
    {
        "direct_only": (_direct, "min-hop"),
        "max_hops": (_hops, "min-hop"),
        "max_latency_ms": (_latency, "least-km"),
        "min_trust": (_trust, ""),
        "exclude_links": (_excluded_links, ""),
        "exclude_nodes": (_excluded_nodes, ""),
        "include_links": (_included_links, ""),
        "include_nodes": (_included_nodes, ""),
        "exclude_risks": (_risks, ""),
        "technologies": (_technologies, ""),
        "domains": (_domains, ""),
        "min_stored_bits": (_stored, ""),
        "max_key_age_s": (_age, ""),
    }
)
"""How to tell what a constraint would have to be, and the strategy whose ways ask least of it."""
