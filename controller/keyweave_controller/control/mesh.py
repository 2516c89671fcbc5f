"""The network as small integers, kept current, so that ways are found in microseconds.

Rule of this file: derived from the state and never in a snapshot. Nodes and links have places in the order of
their ids, so a mesh built anew from the same state equals one that was kept current; `topology` decides what
is usable and `admission` what may be promised, this only remembers their answers. Whoever changes a record
says so (`note_link`, `note_node`); what a question leaves out for a moment is put back by `apart`.

Rates are bit/s. `room` is what a link may still promise, `CLOSED` when it carries no new path at all, so one
comparison decides whether a link fits. Lengths are kilometres, times microseconds, stored key bits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from keyweave_controller.control import admission, calendar, facts, topology
from keyweave_controller.control.estimates import Estimates, Shadow
from keyweave_controller.control.state import LinkRecord, NetworkState
from keyweave_core.model.ids import AppId, LinkId, NodeId

CLOSED = -1
"""`room` of a link that carries no new path; smaller than any rate."""

_RECOUNT = 50
"""Hops are counted again when this part of all links has closed since."""

Way = tuple[int, ...]
"""Places of links, from the source to the destination."""


def owners_of(state: NetworkState) -> dict[LinkId, AppId]:
    """Whose each virtual link is."""
    return {
        path.link_id: association.app_id
        for association in state.associations.values()
        for path in (*association.paths, *association.next_paths)
    }


@dataclass(slots=True)
class PriceList:
    """Prices of all links under one pricing, kept current; `floor` is the least price of any link.

    `least`: what each link costs at least, where the pricing knows better than `floor`. `learnt`: the prices
    depend on `Mesh.estimates` too. `ahead` is for `ways`: what is left to a node at least, by `least`.
    """

    price: Callable[["Mesh", int], float]
    floor: float
    prices: list[float]
    least: list[float] | None = None
    learnt: bool = False
    ahead: dict[int, list[float]] = field(default_factory=dict)

    def change(self, link: int, price: float) -> None:
        """A link costs this now."""
        self.prices[link] = price
        if self.least is not None and price < self.least[link]:
            self.least[link] = price
            self.ahead.clear()


class Mesh:
    """Nodes and links by place. Look at the lists, change them by the methods only."""

    def __init__(self, nodes: Iterable[NodeId], links: Iterable[tuple[LinkId, NodeId, NodeId]]) -> None:
        """All links closed, all nodes unable to relay, until they are noted."""
        self.node_ids = sorted(nodes)
        self.node_place = {node_id: place for place, node_id in enumerate(self.node_ids)}
        joined = sorted(one for one in links if one[1] in self.node_place and one[2] in self.node_place)
        self.link_ids = [link_id for link_id, _, _ in joined]
        self.link_place = {link_id: place for place, link_id in enumerate(self.link_ids)}
        self.a = [self.node_place[a] for _, a, _ in joined]
        self.b = [self.node_place[b] for _, _, b in joined]
        self.around: list[list[tuple[int, int]]] = [[] for _ in self.node_ids]
        for link, (a, b) in enumerate(zip(self.a, self.b, strict=True)):
            if a != b:
                self.around[a].append((link, b))
                self.around[b].append((link, a))
        size = len(joined)
        self.usable = [0] * size  # what may be promised in all
        self.reserved = [0] * size  # what is promised
        self.room = [CLOSED] * size
        self.shy_until = [0.0] * size  # until then used only when nothing else fits
        self.km = [0.0] * size  # 0 when nobody told the length
        self.latency_us = [0] * size
        self.stored = [0] * size  # key in the pool, as last counted
        self.capacity = [0] * size
        self.inside = [False] * len(self.node_ids)  # may stand inside a path
        self.timed: set[int] = set()  # what these may promise depends on when
        self.owners: Mapping[LinkId, AppId] = {}  # whose virtual links hold what is promised
        self.estimates = Estimates()  # what was learnt of the demands
        self._shadows: list[Shadow | None] = [None] * size
        self._up = [False] * size
        self._lists: dict[str, PriceList] = {}
        self._shy: set[int] = set()
        self._hops: dict[int, list[int]] = {}
        self._least: dict[int, tuple[int, list[int]]] = {}
        self._near: list[list[int]] | None = None
        self._closed = 0  # links that closed since the mesh was made
        self._loose = 0  # questions under way for which closed links are open

    @classmethod
    def of(cls, state: NetworkState, owners: Mapping[LinkId, AppId] | None = None) -> "Mesh":
        """The mesh of a state. `owners`: whose each virtual link is, when the caller keeps that."""
        mesh = cls(state.nodes, ((link.link_id, link.a, link.b) for link in state.links.values()))
        mesh.owners = owners_of(state) if owners is None else owners
        mesh.estimates = state.estimates
        for node_id in state.nodes:
            mesh.note_node(state, node_id)
        for link in state.links.values():
            mesh.note_link(state, link)
        return mesh

    def note_node(self, state: NetworkState, node_id: NodeId) -> None:
        """What is known of a node changed. A link that leads to a node that takes no entry is closed."""
        place = self.node_place.get(node_id)
        if place is None:
            return
        self.inside[place] = topology.may_relay(state.nodes.get(node_id))

    def note_link(self, state: NetworkState, link: LinkRecord) -> None:
        """What is known of a link, or what is promised on it, changed."""
        place = self.link_place.get(link.link_id)
        if place is None:
            return
        known = facts.of_link(state, link)
        self._set_up(place, topology.usable(link))
        self.shy_until[place] = topology.shy_until(link, state.policy)
        if self.shy_until[place]:
            self._shy.add(place)
        else:
            self._shy.discard(place)
        self.km[place] = link.distance_km or 0.0
        self.latency_us[place] = known.latency_us
        self.stored[place], self.capacity[place] = known.stored_bits, known.capacity_bits
        if calendar.is_timed(state, link) != (place in self.timed):
            self.timed ^= {place}
            self._least.clear()
            self._near = None
        self.usable[place] = admission.usable_bps(link, state.policy)
        self.reserved[place] = admission.reserved_bps(link)
        self._changed(place)

    def is_up(self, link: int) -> bool:
        """The link carries new paths, its rate aside."""
        return self._up[link]

    def note_promises(self, link: LinkRecord) -> None:
        """What is promised on a link changed, and nothing else."""
        place = self.link_place.get(link.link_id)
        if place is not None:
            self.reserved[place] = admission.reserved_bps(link)
            self._changed(place)

    def ends_of(self, link_id: LinkId) -> tuple[NodeId, NodeId] | None:
        """The nodes that a link joins here; None when it is not here."""
        place = self.link_place.get(link_id)
        return None if place is None else (self.node_ids[self.a[place]], self.node_ids[self.b[place]])

    def joins(self, link: LinkRecord | None) -> tuple[NodeId, NodeId] | None:
        """What `ends_of` must say of a link; None for a link to a node that is not known."""
        if link is None or link.a not in self.node_place or link.b not in self.node_place:
            return None
        return link.a, link.b

    def take(self, way: Way, rate_bps: int) -> None:
        """Promise `rate_bps` on each link of a way (below 0: give it back); the caller saw that it fits."""
        for link in way:
            self.reserved[link] += rate_bps
            self._changed(link)

    def open(self, link: int, *, usable_bps: int, up: bool = True) -> None:
        """Set what a link may promise, for a mesh that stands for no state (benchmarks, trials)."""
        self.usable[link] = usable_bps
        self._set_up(link, up)
        self._changed(link)

    def store(self, link: int, *, stored: int, capacity: int) -> None:
        """Set the key in the pool of a link and what the pool holds at most, like `open`."""
        self.stored[link], self.capacity[link] = stored, capacity
        self._changed(link)

    def watch(self, at: float) -> None:
        """Time has come to `at`: learn from what links carry now, and price anew when enough was learnt."""
        if self.estimates.watch(self.link_ids, self.usable, self.reserved, at):
            self._shadows = [None] * len(self.link_ids)
            for name in [name for name, one in self._lists.items() if one.learnt]:
                del self._lists[name]

    def shadow(self, link: int) -> Shadow:
        """The shadow prices of a link."""
        found = self._shadows[link]
        if found is None or found.usable_bps != self.usable[link]:
            found = self._shadows[link] = self.estimates.shadow(self.link_ids[link], self.usable[link])
        return found

    def prices(
        self,
        name: str,
        price: Callable[["Mesh", int], float],
        floor: float,
        *,
        least: Callable[["Mesh", int], float] | None = None,
        learnt: bool = False,
    ) -> PriceList:
        """The price list of a pricing, made when first asked for and kept current from then on."""
        found = self._lists.get(name)
        if found is None:
            places = range(len(self.link_ids))
            lowest = None if least is None else [least(self, link) for link in places]
            every = [price(self, link) for link in places]
            found = self._lists[name] = PriceList(price, floor, every, lowest, learnt)
        return found

    def hops_to(self, target: int) -> list[int]:
        """The least number of links from every node to `target`, whatever their state; -1: no chain."""
        found = self._hops.get(target)
        if found is None:
            found = [-1] * len(self.node_ids)
            found[target] = 0
            reached = [target]
            for here in reached:
                for _, there in self.around[here]:
                    if found[there] < 0:
                        found[there] = found[here] + 1
                        reached.append(there)
            self._hops[target] = found
        return found

    def least_hops_to(self, target: int) -> list[int]:
        """The same over what could be open now, for searches: at least `hops_to`, and no more than it takes.

        Kept while links close, because less than it takes is no error, until so many have that it pays to
        count again.
        """
        if self._loose:
            return self.hops_to(target)
        known = self._least.get(target)
        if known is not None and self._closed - known[0] <= len(self.link_ids) // _RECOUNT:
            return known[1]
        found = [-1] * len(self.node_ids)
        found[target] = 0
        reached, near = [target], self._open_neighbours()
        for here in reached:
            further = found[here] + 1
            for there in near[here]:
                if found[there] < 0:
                    found[there] = further
                    reached.append(there)
        self._least[target] = (self._closed, found)
        return found

    def _open_neighbours(self) -> list[list[int]]:
        """The nodes next to each over links that could be open now."""
        if self._near is None:
            up, timed = self._up, self.timed
            self._near = [
                [there for link, there in steps if up[link] or link in timed] for steps in self.around
            ]
        return self._near

    def shy(self, at: float) -> list[int]:
        """Links that are used only when nothing else fits, at a moment."""
        return sorted(link for link in self._shy if self.shy_until[link] > at)

    def _set_up(self, link: int, up: bool) -> None:
        if up != self._up[link]:
            self._near = None
        if up and not self._up[link]:
            self._least.clear()
        elif self._up[link] and not up:
            self._closed += 1
        self._up[link] = up

    @contextmanager
    def apart(
        self, rooms: Mapping[int, int], barred: Iterable[int] = (), *, relaying: bool = False
    ) -> Iterator[None]:
        """For the length of a question: other rooms for these links, and no relay at `barred` nodes.

        `relaying`: every other node may relay.
        """
        room, inside = self.room, self.inside
        before = [(link, room[link]) for link in rooms]
        up, timed, opened = self._up, self.timed, False
        for link, other in rooms.items():
            room[link] = other
            opened = opened or (other >= 0 and not up[link] and link not in timed)
        self._loose += opened
        if relaying or barred:
            self.inside = [True] * len(inside) if relaying else inside.copy()
            for node in barred:
                self.inside[node] = False
        try:
            yield
        finally:
            self._loose -= opened
            self.inside = inside
            for link, kept in before:
                room[link] = kept

    def nodes_of(self, source: int, way: Way) -> list[int]:
        """The nodes of a way, from its source."""
        nodes = [source]
        for link in way:
            nodes.append(self.b[link] if nodes[-1] == self.a[link] else self.a[link])
        return nodes

    def _changed(self, link: int) -> None:
        self.room[link] = self.usable[link] - self.reserved[link] if self._up[link] else CLOSED
        for one in self._lists.values():
            one.change(link, one.price(self, link))
