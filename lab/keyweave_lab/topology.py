"""A network as the laboratory knows it: sites, fibres, applications.

Rule of this file: values, and the derived identities. A name is what people write in a topology file; the
UUID of a node or link follows from the names alone (UUID version 5), so a deployment can be destroyed and
made again and everything is called as before. Reading from YAML: `topology_file.read_topology`.
"""

import uuid
from dataclasses import dataclass

from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.model.node import TrustLevel

DB_PER_KM = 0.2
"""Loss of standard fibre, used when a link says no `loss_db`."""

DEFAULT_PROFILE = "bb84-t12-1ghz"
"""The device pair on a link that names none (`physics.profiles`)."""

_NAMESPACE = uuid.UUID("7fb25ff7-f0b6-4d14-8fd4-c53394678f11")


def node_id_of(topology: str, node: str) -> NodeId:
    """The stable id of a node of a topology."""
    return NodeId(str(uuid.uuid5(_NAMESPACE, f"{topology}/{node}")))


def link_id_of(topology: str, a: str, b: str) -> LinkId:
    """The stable id of the fibre between two nodes; the same whichever end is named first."""
    first, second = sorted((a, b))
    return LinkId(str(uuid.uuid5(_NAMESPACE, f"{topology}/{first}/{second}")))


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyNode:
    """A site. `relay_of` names the long link that this node was inserted into, None for a real site.

    `trust_score` (0..100) and `domain` are what the operator tells the controller of the site.
    """

    name: str
    node_id: NodeId
    location: str
    trust: TrustLevel = TrustLevel.TRUSTED
    relay_of: str | None = None
    trust_score: int = 100
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyLink:
    """A fibre between two sites; `a` holds the transmitter. `secret_rate_bps` is a published rate or None.

    `risk_groups` (what it fails with) and `latency_ms` are what the operator tells the controller of it.
    """

    link_id: LinkId
    a: str
    b: str
    length_km: float
    loss_db: float
    profile: str = DEFAULT_PROFILE
    secret_rate_bps: int | None = None
    risk_groups: tuple[str, ...] = ()
    latency_ms: float | None = None

    @property
    def name(self) -> str:
        """How people call it: 'Norte~Distrito'."""
        return f"{self.a}~{self.b}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyApplication:
    """A consumer of keys at a site, with the quality of service it asks for (bit/s, seconds)."""

    sae_id: SaeId
    node: str
    min_bandwidth_bps: int | None = None
    max_bandwidth_bps: int | None = None
    priority: int = 0
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A whole network; names are unique, every link ends at a known node, everything is connected."""

    name: str
    source: str
    nodes: tuple[TopologyNode, ...]
    links: tuple[TopologyLink, ...]
    applications: tuple[TopologyApplication, ...] = ()

    def node(self, name: str) -> TopologyNode:
        """The node of this name; KeyError naming it when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name!r} in {self.name}")

    def link_between(self, one: str, other: str) -> TopologyLink:
        """The fibre between two nodes, in either direction; KeyError naming both when there is none."""
        for link in self.links:
            if {link.a, link.b} == {one, other}:
                return link
        raise KeyError(f"no link between {one!r} and {other!r} in {self.name}")

    def links_of(self, node: str) -> tuple[TopologyLink, ...]:
        """The fibres that end at a node, in the order of the file."""
        return tuple(link for link in self.links if node in (link.a, link.b))
