"""Cheap trees that join given nodes (Steiner trees in graphs): grown, then improved.

Rule of this file: graphs as in `flows`; a tree is a set of links. Nodes other than the source that are not
`inside` are leaves, so whether links may meet at a node is asked in one place (`Graph.joins`).

- `grown`: the nearest target is joined to the tree by the cheapest way, again and again: at most
  2 (1 - 1/terminals) times the cheapest tree when all targets may relay (H. Takahashi, A. Matsuyama, Math.
  Japonica 24, 1980), and never dearer than a way to each target by itself. Where targets must be leaves only
  the second bound stands (the choice of the node to hang a leaf on holds the group Steiner problem).
- `improved`: pieces between forks are replaced by cheaper ones, nodes are taken in and left out, while the
  tree gets cheaper (E. Uchoa, R. Werneck, Fast local search for the Steiner problem in graphs, J. Exp.
  Algorithmics 17, 2012).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from keyweave_controller.control.flows import NEVER, Around
from keyweave_core.errors import InternalFault

Links = frozenset[int]

_ROUNDS = 8  # of improvement; two or three are the rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What is joined: the source with the targets, which it does not hold."""

    around: Around
    costs: Sequence[float]
    inside: Sequence[bool] | bytearray
    source: int
    targets: tuple[int, ...]
    ends: Mapping[int, tuple[int, int]]

    @classmethod
    def of(
        cls,
        around: Around,
        costs: Sequence[float],
        inside: Sequence[bool] | bytearray,
        source: int,
        targets: Iterable[int],
    ) -> "Graph":
        """With the ends of its links looked up."""
        ends = {link: (here, there) for here, near in enumerate(around) for link, there in near}
        return cls(
            around=around,
            costs=costs,
            inside=inside,
            source=source,
            targets=tuple(sorted(targets)),
            ends=ends,
        )

    def joins(self, node: int) -> bool:
        """Whether more than one link of a tree may meet at a node."""
        return bool(self.inside[node]) or node == self.source

    def cost(self, links: Iterable[int]) -> float:
        """What links cost together."""
        return sum(self.costs[link] for link in links)


def separate_costs(graph: Graph) -> list[float] | None:
    """The cost of the cheapest way to each target; None when one cannot be reached."""
    reached = [NEVER] * len(graph.around)
    reached[graph.source] = 0.0
    left = set(graph.targets)
    waiting = [(0.0, graph.source)]
    while waiting and left:
        so_far, here = heappop(waiting)
        if so_far > reached[here]:
            continue
        left.discard(here)
        if not graph.joins(here):
            continue
        for link, there in graph.around[here]:
            further = so_far + graph.costs[link]
            if further < reached[there]:
                reached[there] = further
                heappush(waiting, (further, there))
    return None if left else [reached[target] for target in graph.targets]


def grown(graph: Graph) -> Links:
    """The tree that takes in the nearest target again and again; all targets can be reached."""
    links: set[int] = set()
    nodes = {graph.source}
    left = set(graph.targets)
    while left:
        found = _bridge(graph, [node for node in nodes if graph.joins(node)], left)
        if found is None:
            raise InternalFault(f"no way from node {graph.source} to nodes {sorted(left)}")
        for link, node in found[1]:
            links.add(link)
            nodes.add(node)
        left -= nodes
    return frozenset(links)


def improved(graph: Graph, links: Links) -> Links:
    """A tree at most as dear, in which no single exchange helps any more (within some rounds)."""
    for _ in range(_ROUNDS):
        before = graph.cost(links)
        links = _exchange_pieces(graph, links)
        links = _exchange_nodes(graph, links)
        if graph.cost(links) >= before:
            break
    return links


def from_the_root(graph: Graph, links: Iterable[int]) -> list[tuple[int, int, int]]:
    """(link, node nearer to the source, node behind it) for each link of a tree, from the source outwards."""
    taken = frozenset(links)
    steps: list[tuple[int, int, int]] = []
    met = {graph.source}
    reached = [graph.source]
    for here in reached:
        for link, there in graph.around[here]:
            if link in taken and there not in met:
                met.add(there)
                reached.append(there)
                steps.append((link, here, there))
    return steps


def _bridge(
    graph: Graph, starts: Iterable[int], goals: set[int]
) -> tuple[float, list[tuple[int, int]]] | None:
    """The cheapest way from any of `starts` to any of `goals`: its cost, and (link, node) backwards."""
    reached = dict.fromkeys(starts, 0.0)
    before: dict[int, tuple[int, int]] = {}
    waiting = [(0.0, node) for node in sorted(reached)]
    while waiting:
        so_far, here = heappop(waiting)
        if so_far > reached[here]:
            continue
        if here in goals:
            way = []
            while here in before:
                link, last = before[here]
                way.append((link, here))
                here = last
            return so_far, way
        if not graph.joins(here):
            continue
        for link, there in graph.around[here]:
            further = so_far + graph.costs[link]
            if further < reached.get(there, NEVER):
                reached[there] = further
                before[there] = (link, here)
                heappush(waiting, (further, there))
    return None


def _exchange_pieces(graph: Graph, links: Links) -> Links:
    """Each piece between forks and terminals gives way to what joins its two sides for less."""
    for _ in range(_ROUNDS * len(graph.targets)):
        better = next(filter(None, (_without(graph, links, piece) for piece in _pieces(graph, links))), None)
        if better is None:
            break
        links = better
    return links


def _without(graph: Graph, links: Links, piece: Links) -> Links | None:
    """The tree with something cheaper in place of a piece; None when there is nothing."""
    rest = links - piece
    degree = degrees(graph, rest)
    near = {graph.source, *(there for _, _, there in from_the_root(graph, rest))}
    far = {*degree, *graph.targets} - near
    goals = {node for node in far if graph.joins(node) or node not in degree}
    found = _bridge(graph, (node for node in near if graph.joins(node)), goals)
    if found is None or found[0] >= graph.cost(piece):
        return None
    return rest | {link for link, _ in found[1]}


def _pieces(graph: Graph, links: Links) -> list[Links]:
    forks = [node for node, count in degrees(graph, links).items() if count > 2]
    ends = {graph.source, *graph.targets, *forks}
    pieces: list[set[int]] = []
    piece_into: dict[int, set[int]] = {}
    for link, here, there in from_the_root(graph, links):
        if here in ends:
            pieces.append(set())
            piece_into[there] = pieces[-1]
        else:
            piece_into[there] = piece_into[here]
        piece_into[there].add(link)
    return [frozenset(piece) for piece in pieces]


def _exchange_nodes(graph: Graph, links: Links) -> Links:
    """Nodes beside the tree are taken in, and inner nodes left out, where the rest then spans for less."""
    terminals = {graph.source, *graph.targets}
    nodes = set(degrees(graph, links))
    beside = {there for node in nodes for _, there in graph.around[node] if graph.inside[there]}
    cost = graph.cost(links)
    for node in sorted((beside | nodes) - terminals):
        trial = spanning(graph, nodes ^ {node})
        if trial is not None and graph.cost(trial) < cost:
            links, cost, nodes = trial, graph.cost(trial), set(degrees(graph, trial))
    return links


def spanning(graph: Graph, nodes: set[int], only: set[int] | None = None) -> Links | None:
    """The cheapest tree over `nodes` (and of the links `only`) without needless leaves (Kruskal).

    None when they do not hang together. Nodes that join nothing are hung on by their cheapest link.
    """
    between: list[tuple[float, int, int, int]] = []
    leaves: dict[int, tuple[float, int]] = {}
    for here in sorted(nodes):
        for link, there in graph.around[here]:
            if there not in nodes or (only is not None and link not in only):
                continue
            if not graph.joins(here):
                if graph.joins(there):
                    leaves[here] = min(leaves.get(here, (NEVER, link)), (graph.costs[link], link))
            elif graph.joins(there) and here < there and graph.costs[link] < NEVER:
                between.append((graph.costs[link], link, here, there))
    roots = {node: node for node in nodes}

    def root(node: int) -> int:
        while roots[node] != node:
            roots[node] = roots[roots[node]]
            node = roots[node]
        return node

    links = {link for _, link in leaves.values()}
    for _, link, here, there in sorted(between):
        one, other = root(here), root(there)
        if one != other:
            roots[one] = other
            links.add(link)
    if len(links) != len(nodes) - 1:
        return None
    return _pruned(graph, links)


def _pruned(graph: Graph, links: set[int]) -> Links:
    """Without leaves that nobody asked for."""
    terminals = {graph.source, *graph.targets}
    degree = degrees(graph, links)
    for link, here, there in reversed(from_the_root(graph, links)):
        if degree[there] == 1 and there not in terminals:
            links.discard(link)
            degree[here] -= 1
    return frozenset(links)


def degrees(graph: Graph, links: Iterable[int]) -> dict[int, int]:
    """How many of the links meet at each node that they touch."""
    degree: dict[int, int] = {}
    for link in links:
        for node in graph.ends[link]:
            degree[node] = degree.get(node, 0) + 1
    return degree
