"""Trees from one master to several slaves: a key that goes to all crosses each link once.

Rule of this file: the question, and the tree as it is told; `steiner` and `steiner_exact` find it. Graphs as
in `flows`. The source may always branch; a target that is not `inside` is always a leaf. The same arguments
always give the same tree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keyweave_controller.control import steiner, steiner_exact
from keyweave_controller.control.flows import Around, Way
from keyweave_core.errors import InvalidInput

MOST_WORK = 8_192
"""Up to 2**targets * nodes of this the tree is the cheapest there is: 3 targets at 1,000 nodes, 7 at 50."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree of `links` (sorted) that joins a source with all its targets.

    `steps` are (link, node nearer to the source, node behind it), each after the one that leads to it.
    `forks` are the nodes that pass the key on over more than one link (sorted; the source may be among them),
    `separate_cost` is what a cheapest way to each target by itself would cost in all, never less than `cost`.
    `exact`: no tree is cheaper. Otherwise, when all targets may relay, no tree costs less than half.
    """

    source: int
    links: tuple[int, ...]
    steps: tuple[tuple[int, int, int], ...]
    cost: float
    separate_cost: float
    forks: tuple[int, ...]
    exact: bool

    @property
    def saving(self) -> float:
        """The share of `separate_cost` that the tree does without, 0..1."""
        return 1 - self.cost / self.separate_cost if self.separate_cost else 0.0

    def way_to(self, target: int) -> Way:
        """The links from the source to a node of the tree, in order; InvalidInput when it is not in it."""
        into = {there: (link, here) for link, here, there in self.steps}
        links = []
        here = target
        while here != self.source:
            if here not in into:
                raise InvalidInput(f"node {target} is not in the tree from node {self.source}")
            link, here = into[here]
            links.append(link)
        return tuple(reversed(links))


def multicast_tree(
    around: Around,
    costs: Sequence[float],
    inside: Sequence[bool] | bytearray,
    source: int,
    targets: Iterable[int],
    *,
    most_work: int = MOST_WORK,
) -> Tree | None:
    """A cheap tree from `source` to all `targets` (each counted once); None when one cannot be reached.

    The cheapest one while 2**targets times the nodes is at most `most_work`, otherwise grown and improved.
    Raises InvalidInput without targets, and when one is the source or no node.
    """
    wanted = sorted(set(targets))
    _check(around, source, wanted)
    graph = steiner.Graph.of(around, costs, inside, source, wanted)
    separate = steiner.separate_costs(graph)
    if separate is None:
        return None
    exact = (1 << len(wanted)) * len(around) <= most_work
    links = steiner_exact.cheapest_tree(graph) if exact else steiner.improved(graph, steiner.grown(graph))
    steps = steiner.from_the_root(graph, links)
    children: dict[int, int] = {}
    for _, here, _ in steps:
        children[here] = children.get(here, 0) + 1
    return Tree(
        source=source,
        links=tuple(sorted(links)),
        steps=tuple(steps),
        cost=sum(costs[link] for link in links),
        separate_cost=sum(separate),
        forks=tuple(sorted(node for node, count in children.items() if count > 1)),
        exact=exact or len(wanted) == 1,
    )


def _check(around: Around, source: int, targets: list[int]) -> None:
    if not targets:
        raise InvalidInput("a tree needs at least one target")
    for name, place in [("source", source), *(("target", target) for target in targets)]:
        if not 0 <= place < len(around):
            raise InvalidInput(f"{name} {place} is no node: there are {len(around)}")
    if source in targets:
        raise InvalidInput(f"source {source} is among the targets")
