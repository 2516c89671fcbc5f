"""What else speaks of a node: found without looking through the whole network.

Rule of this file: derived from the records of the state and kept beside them, never in a snapshot; whoever
changes a link's ends or what a node serves says so here. So an agent that speaks costs what it speaks of,
not what the network is.
"""

from collections.abc import Iterable
from typing import TypeVar

from keyweave_controller.control.crossings import Crossings
from keyweave_controller.control.mesh import Mesh, owners_of
from keyweave_controller.control.state import AssociationState, LinkRecord, NetworkState
from keyweave_controller.control.trial import Held
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

Item = TypeVar("Item", LinkId, NodeId, SaeId)


class LinkLookup:
    """The links that speak of a node: as their end, as a claimant, or as where they lead.

    What is believed of a link depends on these nodes alone, and for a link of one end (`lone`) on whether
    every agent has been heard. `claimed` are links that somebody claims who is none of their ends.
    """

    def __init__(self, links: Iterable[LinkRecord]) -> None:
        self.lone: set[LinkId] = set()
        self.claimed: set[LinkId] = set()
        self._of: dict[NodeId, set[LinkId]] = {}
        self._named: dict[LinkId, frozenset[NodeId]] = {}
        self._rank: dict[LinkId, int] = {}
        self._ranks = 0
        for link in links:
            self.note(link)

    def note(self, link: LinkRecord) -> None:
        """The link is there, with the ends and claims that it has now."""
        link_id = link.link_id
        if link_id not in self._rank:
            self._ranks += 1
            self._rank[link_id] = self._ranks
        spoken = (link.a, link.b, *link.ends, *link.claims)
        remotes = (end.remote_node for ends in (link.ends, link.claims) for end in ends.values())
        self._name(link_id, frozenset((*spoken, *(one for one in remotes if one is not None))))
        _put(self.lone, link_id, len(link.ends) == 1)
        _put(self.claimed, link_id, bool(link.claims))

    def forget(self, link_id: LinkId) -> None:
        """The link is no more."""
        self._name(link_id, frozenset())
        del self._named[link_id]
        self._rank.pop(link_id, None)
        self.lone.discard(link_id)
        self.claimed.discard(link_id)

    def of(self, node_id: NodeId) -> frozenset[LinkId]:
        """The links that speak of a node."""
        return frozenset(self._of.get(node_id, ()))

    def ordered(self, link_ids: Iterable[LinkId]) -> list[LinkId]:
        """Those of these links that are there, in the order in which they were first heard of."""
        return sorted((one for one in link_ids if one in self._rank), key=self._rank.__getitem__)

    def _name(self, link_id: LinkId, nodes: frozenset[NodeId]) -> None:
        before = self._named.get(link_id, frozenset())
        for node_id in before - nodes:
            self._of[node_id].discard(link_id)
            if not self._of[node_id]:
                del self._of[node_id]
        for node_id in nodes - before:
            self._of.setdefault(node_id, set()).add(link_id)
        self._named[link_id] = nodes


class ConsumerLookup:
    """Which nodes say that they serve an application; `contested` are those that several do."""

    def __init__(self) -> None:
        self.contested: set[SaeId] = set()
        self._claimants: dict[SaeId, set[NodeId]] = {}
        self._served: dict[NodeId, frozenset[SaeId]] = {}

    def note(self, node_id: NodeId, served: Iterable[SaeId]) -> list[SaeId]:
        """A node serves these and no others; the applications for which that is news."""
        now, before = frozenset(served), self._served.get(node_id, frozenset())
        if now:
            self._served[node_id] = now
        else:
            self._served.pop(node_id, None)
        news = sorted(now ^ before)
        for sae in news:
            claimants = self._claimants.setdefault(sae, set())
            _put(claimants, node_id, sae in now)
            _put(self.contested, sae, len(claimants) > 1)
            if not claimants:
                del self._claimants[sae]
        return news

    def of(self, sae: SaeId) -> list[NodeId]:
        """The nodes that say that they serve an application, the smallest id first."""
        return sorted(self._claimants.get(sae, ()))


class Lookups:
    """All of them, for one state; `all_heard`: no agent of the inventory is still to be heard or reached."""

    def __init__(self, state: NetworkState) -> None:
        self._mesh: Mesh | None = None
        # Associations by virtual link and by pair of applications, and those that ended, the oldest first.
        self.owners = owners_of(state)
        self.held: dict[LinkId, Held] = {}  # paths as those who make room see them; dies with the mesh
        self.pairs: dict[tuple[SaeId, ...], AppId] = {}  # by `Association.parties`
        self.refused: dict[AppId, None] = {}
        self.closed: dict[AppId, None] = {}
        self.booked = {one.app_id for one in state.associations.values() if one.booked}
        for association in state.associations.values():
            if association.live:
                self.pairs[association.parties] = association.app_id
            elif association.state is AssociationState.REFUSED:
                self.refused[association.app_id] = None
            else:
                self.closed[association.app_id] = None
        self.crossings = Crossings(state.associations)
        self.links = LinkLookup(state.links.values())
        self.consumers = ConsumerLookup()
        for node_id, record in state.nodes.items():
            self.consumers.note(node_id, served(state, record.name, record.consumers))
        self.faulty = {node_id for node_id, record in state.nodes.items() if record.faults}
        self.all_heard = all_heard(state)

    def mesh(self, state: NetworkState) -> Mesh:
        """The mesh of the state, made anew when nodes or links came or went."""
        if self._mesh is None:
            self._mesh = Mesh.of(state, self.owners)
            self.held.clear()
        return self._mesh

    def note(self, state: NetworkState, nodes: Iterable[NodeId], link_ids: Iterable[LinkId]) -> None:
        """These look different now: a mesh that stands is kept current."""
        mesh = self._mesh
        if mesh is None:
            return
        for node_id in nodes:
            if (node_id in state.nodes) != (node_id in mesh.node_place):
                self.reshape()
                return
            mesh.note_node(state, node_id)
        for link_id in link_ids:
            link = state.links.get(link_id)
            if mesh.joins(link) != mesh.ends_of(link_id):
                self.reshape()
                return
            if link is not None:
                mesh.note_link(state, link)

    def note_promises(self, state: NetworkState, link_ids: Iterable[LinkId]) -> None:
        """What is promised on these links changed, and nothing else."""
        if self._mesh is not None:
            for link_id in link_ids:
                if link_id in state.links:
                    self._mesh.note_promises(state.links[link_id])

    def reshape(self) -> None:
        """The mesh is made anew when next asked for: nodes, links, or what holds for all of them changed."""
        self._mesh = None


def served(state: NetworkState, name: str, told: tuple[SaeId, ...]) -> tuple[SaeId, ...]:
    """The applications behind an agent: those it tells of and those the inventory puts there."""
    listed = state.inventory.get(name)
    return (*told, *(listed.consumers if listed else ()))


def all_heard(state: NetworkState) -> bool:
    """Nobody may still come who offers the other end of a link."""
    return not state.settling and not state.unreached


def _put(items: set[Item], item: Item, wanted: bool) -> None:
    if wanted:
        items.add(item)
    else:
        items.discard(item)
