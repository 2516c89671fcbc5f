"""A network of agents as a model: what the engine meets when no real agent is there.

Rule of this file: a model, not a mock. A simulated node holds what it was told, atomically, and can refuse,
be slow or be cut off; so a test asks what the nodes hold in the end, never which call was made. Used by
tests, by rehearsals of a field fault from its journal, and by whoever builds on `ports.Agents`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import NAMESPACE_OID, uuid5

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import Event, NodeRead
from keyweave_core.errors import PeerUnreachable, Refused
from keyweave_core.model.application import Application
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    InterfaceStatus,
    KeyPool,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkTuning,
    LinkType,
    PhysicalSpec,
)
from keyweave_core.model.node import Node
from keyweave_core.runtime.clock import Clock


@dataclass(slots=True, kw_only=True)
class SimulatedNode:
    """One node. `fixed` is what it is by itself; `links` and `applications` are what it was told."""

    name: str
    fixed: Node
    links: dict[LinkId, Link] = field(default_factory=dict)
    applications: dict[AppId, Application] = field(default_factory=dict)
    reachable: bool = True
    refusal: str = ""  # not empty: every edit is refused with it
    latency_s: float = 0.0
    refused: list[tuple[SaeId, tuple[SaeId, ...], tuple[str, ...]]] = field(default_factory=list)
    released: list[LinkId] = field(default_factory=list)
    edits: int = 0

    def apply(self, edit: NodeEdit) -> None:
        """Hold what the edit says; the same edit again changes nothing."""
        for link_id in edit.remove_links:
            self.links.pop(link_id, None)
        for app_id in edit.remove_applications:
            self.applications.pop(app_id, None)
        self.links.update({link.link_id: link for link in edit.put_links})
        self.applications.update({one.app_id: one for one in edit.put_applications})
        tuned = {one.link_id: one for one in edit.tune_links}
        if tuned:
            links = tuple(_tuned(link, tuned.get(link.link_id)) for link in self.fixed.links)
            self.fixed = replace(self.fixed, links=links)
        self.edits += 1

    def tree(self) -> Node:
        """The node's whole tree as it would be read now."""
        return replace(
            self.fixed,
            links=(*self.fixed.links, *self.links.values()),
            applications=(*self.fixed.applications, *self.applications.values()),
        )


def _tuned(link: Link, tuning: LinkTuning | None) -> Link:
    if tuning is None or link.physical is None:
        return link
    channel = replace(
        link.physical, wavelength=tuning.wavelength, channel_att_db=round(tuning.channel_att_db, 3)
    )
    return replace(link, physical=channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One fibre between two sites by name, and the key rate both ends tell."""

    a: str
    b: str
    skr_bps: int = 1_000_000
    loss_db: float = 5.0
    wavelength: int | None = None


def simulated_id(name: str) -> NodeId:
    """The id of the simulated node of a name; the same name always has the same id."""
    return NodeId(str(uuid5(NAMESPACE_OID, f"node {name}")))


def simulated_link_id(a: str, b: str) -> LinkId:
    """The id of the simulated fibre between two names, in either order."""
    first, second = sorted((a, b))
    return LinkId(str(uuid5(NAMESPACE_OID, f"link {first} {second}")))


def simulate(
    spans: Iterable[Span], consumers: Mapping[str, tuple[str, ...]] | None = None
) -> dict[NodeId, SimulatedNode]:
    """The nodes of a network of fibres, every link ACTIVE; `consumers` are applications by site name."""
    links: dict[str, list[Link]] = {}
    for span in spans:
        links.setdefault(span.a, [])
        links.setdefault(span.b, [])
        ends = {name: InterfaceId(len(links[name]) + 1) for name in (span.a, span.b)}
        for near, far in ((span.a, span.b), (span.b, span.a)):
            links[near].append(_span_link(span, near, far, ends))
    served = consumers or {}
    return {
        simulated_id(name): SimulatedNode(
            name=name,
            fixed=Node(
                node_id=simulated_id(name),
                consumers=tuple(SaeId(one) for one in served.get(name, ())),
                interfaces=tuple(
                    Interface(interface_id=InterfaceId(place), status=InterfaceStatus.ENABLED)
                    for place in range(1, len(own) + 1)
                ),
                links=tuple(own),
            ),
        )
        for name, own in links.items()
    }


def _span_link(span: Span, near: str, far: str, ends: dict[str, InterfaceId]) -> Link:
    return Link(
        link_id=simulated_link_id(span.a, span.b),
        type=LinkType.PHYS,
        status=LinkStatus.ACTIVE,
        local=Endpoint(node_id=simulated_id(near), interface_id=ends[near]),
        remote=Endpoint(node_id=simulated_id(far), interface_id=ends[far]),
        physical=PhysicalSpec(channel_att_db=span.loss_db, wavelength=span.wavelength),
        performance=LinkPerformance(skr_bps=span.skr_bps, qber=0.02),
        pool=KeyPool(stored_bits=1_000_000, capacity_bits=8_000_000),
    )


class SimulatedAgents:
    """The Agents port over simulated nodes. `submit` takes what agents say (usually `engine.submit`)."""

    def __init__(
        self, nodes: dict[NodeId, SimulatedNode], clock: Clock, submit: Callable[[Event], None]
    ) -> None:
        self.nodes = nodes
        self._clock = clock
        self._submit = submit

    def connect_all(self) -> None:
        """Every node that can be reached is read, as after the connection of a fleet."""
        for node in self.nodes.values():
            if node.reachable:
                self._submit(NodeRead(at=self._clock.now(), name=node.name, node=node.tree()))

    async def configure(self, node_id: NodeId, edit: NodeEdit) -> None:
        """Write the edit atomically. Raises Refused or PeerUnreachable as the node's condition says."""
        node = await self._reach(node_id)
        if node.refusal:
            raise Refused(node.refusal)
        node.apply(edit)

    async def refuse(
        self, node_id: NodeId, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]
    ) -> None:
        """Note the refusal at the node."""
        node = await self._reach(node_id)
        node.refused.append((server, clients, reasons))

    async def release(self, node_id: NodeId, link_id: LinkId) -> None:
        """Note it at the node."""
        node = await self._reach(node_id)
        node.released.append(link_id)

    async def read(self, node_id: NodeId) -> None:
        """Submit the node's tree."""
        node = await self._reach(node_id)
        self._submit(NodeRead(at=self._clock.now(), name=node.name, node=node.tree(), reconnected=False))

    async def _reach(self, node_id: NodeId) -> SimulatedNode:
        node = self.nodes.get(node_id)
        if node is None or not node.reachable:
            raise PeerUnreachable(f"node {node.name if node else node_id} does not answer")
        if node.latency_s:
            await self._clock.sleep(node.latency_s)
        else:
            await asyncio.sleep(0)
        return node
