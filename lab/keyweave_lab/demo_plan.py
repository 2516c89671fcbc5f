"""What the demo does on a given topology: which applications, which fibre, which demand.

Rule of this file: pure choices on the topology, so that any topology file can be played.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import LinkId, SaeId
from keyweave_lab.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two applications; `source` asks first."""

    source: SaeId
    destination: SaeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Fibre:
    """A physical link by the names of its ends."""

    link_id: LinkId
    a: str
    b: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.a} - {self.b}"


def choose_pair(topology: Topology) -> Pair:
    """The applications farthest apart (in fibres) between which a fibre can break and a second way is left.

    Without any second way: the farthest apart. InvalidInput when no two sites have applications.
    """
    graph = _graph(topology)
    bridges = {frozenset(edge) for edge in nx.bridges(graph)}

    def worth(pair: tuple[SaeId, str, SaeId, str]) -> tuple[bool, int]:
        path = nx.shortest_path(graph, pair[1], pair[3])
        second_way = any(frozenset(edge) not in bridges for edge in pairwise(path))
        return second_way, len(path)

    candidates = list(_pairs(topology))
    if not candidates:
        raise InvalidInput(f"topology {topology.name}: the demo needs applications at two sites")
    source, _, destination, _ = max(candidates, key=worth)
    return Pair(source=source, destination=destination)


def choose_demand(topology: Topology) -> Pair:
    """Two applications for the demand that cannot fit: others than the first pair where there are others."""
    first = choose_pair(topology)
    for source, _, destination, _ in _pairs(topology):
        if {source, destination}.isdisjoint({first.source, first.destination}):
            return Pair(source=source, destination=destination)
    return Pair(source=first.destination, destination=first.source)


def choose_fibre(topology: Topology, path: tuple[str, ...]) -> Fibre | None:
    """The fibre of the path (node names) nearest the destination without which a way is left; None: none."""
    bridges = {frozenset(edge) for edge in nx.bridges(_graph(topology))}
    for a, b in reversed(list(pairwise(path))):
        if frozenset((a, b)) not in bridges:
            return Fibre(link_id=topology.link_between(a, b).link_id, a=a, b=b)
    return None


def crosses(path: tuple[str, ...], fibre: Fibre) -> bool:
    """Whether a path (node names) runs over a fibre."""
    return any({a, b} == {fibre.a, fibre.b} for a, b in pairwise(path))


def _graph(topology: Topology) -> "nx.Graph[str]":
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(node.name for node in topology.nodes)
    graph.add_edges_from((link.a, link.b) for link in topology.links)
    return graph


def _pairs(topology: Topology) -> Iterator[tuple[SaeId, str, SaeId, str]]:
    for one in topology.applications:
        for other in topology.applications:
            if one.node != other.node:
                yield one.sae_id, one.node, other.sae_id, other.node
