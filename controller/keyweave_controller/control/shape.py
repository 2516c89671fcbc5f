"""What a way looks like, be it a chain or a tree.

Rule of this file: plain geometry. A way has `nodes`, its source first, and `links`: the link at a place leads
to the node one place further. In a chain it comes from the node before; in a tree, which has `steps`, each
step says from where to where, outwards from the source.
"""

from itertools import pairwise
from typing import Protocol

from keyweave_core.model.ids import LinkId, NodeId

Hop = tuple[NodeId, NodeId]
"""One link of a way: from a node to the next one, away from the source."""


class Shape(Protocol):
    """Whatever has nodes, links between them, and steps when it is a tree."""

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """From the source."""

    @property
    def links(self) -> tuple[LinkId, ...]:
        """One for each step."""

    @property
    def steps(self) -> tuple[Hop, ...]:
        """Of a tree; none of a chain."""


def steps_of(way: Shape) -> tuple[Hop, ...]:
    """Every step, of a chain, too; the link of each is at the same place."""
    return way.steps or tuple(pairwise(way.nodes))


def relays(way: Shape) -> tuple[NodeId, ...]:
    """The nodes that pass keys on, besides the source."""
    if not way.steps:
        return way.nodes[1:-1]
    near = {here for here, _ in way.steps}
    return tuple(node for node in way.nodes[1:] if node in near)


def before(way: Shape, node_id: NodeId) -> NodeId | None:
    """The node nearer to the source; None at the source."""
    return next((here for here, there in steps_of(way) if there == node_id), None)


def behind(way: Shape, node_id: NodeId) -> tuple[NodeId, ...]:
    """The nodes to which keys go on from a node; several where a tree forks, none at an end."""
    return tuple(there for here, there in steps_of(way) if here == node_id)


def beside(way: Shape, node_id: NodeId) -> tuple[LinkId, ...]:
    """The links of a way at a node."""
    if not way.steps:
        place = way.nodes.index(node_id)
        return way.links[max(0, place - 1) : place + 1]
    return tuple(link for link, step in zip(way.links, steps_of(way), strict=True) if node_id in step)


def branch(way: Shape, node_id: NodeId) -> tuple[tuple[NodeId, ...], tuple[LinkId, ...]]:
    """The nodes and the links from the source to a node of the way, in order."""
    into = {step[1]: (step[0], link) for step, link in zip(steps_of(way), way.links, strict=True)}
    nodes, links = [node_id], []
    while nodes[-1] in into:
        here, link = into[nodes[-1]]
        nodes.append(here)
        links.append(link)
    return tuple(reversed(nodes)), tuple(reversed(links))


def branches(way: Shape) -> tuple[tuple[tuple[NodeId, ...], tuple[LinkId, ...]], ...]:
    """The same of every end of the way; one of a chain."""
    near = {here for here, _ in steps_of(way)}
    return tuple(branch(way, node) for node in way.nodes if node not in near)
