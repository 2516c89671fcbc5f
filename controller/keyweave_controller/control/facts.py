"""What no agent tells of links: ducts they share, their latency, when they can be had at all.

Rule of this file: facts are the operator's (settings file or fibre plant), found by the link's id or by the
names of its ends in either order, `Norte-Distrito`; whatever an agent measures goes before what is derived
here. Those of the settings go before those that follow from the fibre plant, but for shared risks: a link
has all that anybody knows of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from keyweave_controller.control.configuration import LinkFacts
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.state import LinkEnd, LinkRecord, NetworkState
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import Technology

LIGHT_US_PER_KM = 4.9
"""Group delay of standard single-mode fibre, microseconds a kilometre (index 1.468)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLink:
    """What is known of a link besides its rate. `windows` None: it can be had at any time.

    `stored_bits` and `oldest_age_s` are those of the end that has less, or older, key; as last counted.
    """

    latency_us: int
    risk_groups: frozenset[str]
    technologies: frozenset[Technology]
    stored_bits: int
    capacity_bits: int
    oldest_age_s: int | None
    windows: tuple[Window, ...] | None


def of_link(state: NetworkState, link: LinkRecord, at: float = 0.0) -> KnownLink:
    """Everything known of a link. `at`: now, for the age of its key, which grows between two reports."""
    told = _told(state, link)
    latency_ms = told.latency_ms if told else None
    if latency_ms is None:
        latency_ms = (link.distance_km or 0.0) * LIGHT_US_PER_KM / 1_000
    pools = [end.counted_pool for end in link.ends.values() if end.counted_pool is not None]
    ages = [_age_s(end, at) for end in link.ends.values()]
    return KnownLink(
        latency_us=round(latency_ms * 1_000),
        risk_groups=frozenset(told.risk_groups if told else ()),
        technologies=_technologies(state, link),
        stored_bits=min((pool.stored_bits for pool in pools), default=0),
        capacity_bits=min((pool.capacity_bits for pool in pools), default=0),
        oldest_age_s=max((age for age in ages if age is not None), default=None),
        windows=told.windows if told else None,
    )


def _age_s(end: LinkEnd, at: float) -> int | None:
    age = end.counted_pool.oldest_age_s if end.counted_pool else None
    return None if age is None else age + int(max(0.0, at - end.counted_pool_at))


def windows_of(state: NetworkState, link: LinkRecord) -> tuple[Window, ...] | None:
    """When a link makes key; None: at any time."""
    told = _told(state, link)
    return told.windows if told else None


def of_node(state: NetworkState, node_id: NodeId) -> tuple[int, str]:
    """What the operator thinks of a site (0..100), and its domain."""
    record = state.nodes.get(node_id)
    listed = state.inventory.get(record.name) if record else None
    return (listed.trust, listed.domain) if listed else (0, "")


def _told(state: NetworkState, link: LinkRecord) -> LinkFacts | None:
    if not state.link_facts and not state.plant_facts:
        return None
    a, b = state.node_name(link.a), state.node_name(link.b)
    names = (link.link_id, f"{a}-{b}", f"{b}-{a}")
    told, of_plant = _of(state.link_facts, names), _of(state.plant_facts, names)
    if told is None or of_plant is None:
        return told or of_plant
    return replace(
        told,
        risk_groups=(*told.risk_groups, *of_plant.risk_groups),
        windows=of_plant.windows if told.windows is None else told.windows,
    )


def _of(known: Mapping[str, LinkFacts], names: tuple[str, ...]) -> LinkFacts | None:
    return next((known[name] for name in names if name in known), None)


def _technologies(state: NetworkState, link: LinkRecord) -> frozenset[Technology]:
    """Of the modules at both ends, as far as they tell."""
    found = set()
    for node_id, end in link.ends.items():
        node = state.nodes.get(node_id)
        module = node.interfaces.get(end.interface_id) if node and end.interface_id is not None else None
        if module is not None and module.technology is not None:
            found.add(module.technology)
    return frozenset(found)
