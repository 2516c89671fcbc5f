"""Trees for associations with several destinations: where one may run, and why none may.

Rule of this file: decides and changes nothing. A tree is the cheapest that `trees` finds by the prices of the
strategy; when a branch of that is too long, one whose branches have the fewest hops, or the shortest fibres.
A destination may relay to others even where constraints keep relays out: it gets the same keys anyhow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from keyweave_controller.control import routing, topology, trees
from keyweave_controller.control.mesh import CLOSED, Mesh
from keyweave_controller.control.routing import Route, RouteWish
from keyweave_controller.control.service import Protection, Service, ServiceClass
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.ways import Ask
from keyweave_core.model.application import KeyMode, RelayMethod
from keyweave_core.model.ids import NodeId, SaeId

MOST_DESTINATIONS = 64
"""Most destinations of one tree."""

_CLOSED = float("inf")


def faults(
    state: NetworkState, source: SaeId, destinations: tuple[SaeId, ...], service: Service
) -> Iterator[str]:
    """What speaks against the same keys for several destinations, room aside."""
    near = state.consumers.get(source)
    if len(set(destinations)) < len(destinations):
        yield "an application is named twice among the destinations"
    if len(destinations) > MOST_DESTINATIONS:
        yield f"{len(destinations)} destinations; the same keys go to {MOST_DESTINATIONS} at most"
    for sae in destinations:
        if near is not None and state.consumers.get(sae) == near:
            name = state.node_name(near)
            yield f"application {sae} is at {name} like {source}: the same keys go to other nodes only"
    if service.key_mode not in (None, KeyMode.QKD_ONLY):
        yield f"keys {service.key_mode} are agreed upon by two: they cannot be had for several destinations"
    if len({state.consumers.get(sae) for sae in destinations}) > 1:
        yield from _not_for_trees(service)


def _not_for_trees(service: Service) -> Iterator[str]:
    """What an association with destinations at several nodes cannot have."""
    if service.protection is not Protection.RESTORATION:
        yield f"keys for several nodes take a tree, which has no protection {service.protection}"
    if service.relay_method is RelayMethod.XOR_ANNOUNCE:
        yield "keys for several nodes take a tree, which forks: they cannot be announced (xor-announce)"
    if service.service_class is ServiceClass.SCHEDULED:
        yield "keys for several nodes take a tree, which cannot be booked for a time to come"
    if service.constraints.include_links or service.constraints.include_nodes:
        yield "keys for several nodes take a tree, which does not go by links and nodes to be included"


def find_tree(state: NetworkState, mesh: Mesh, wish: RouteWish, *, at: float) -> Route | None:
    """A tree from the source to the destination and all `others` of a wish; None when there is none."""
    ask = routing.ask_of(state, mesh, wish)
    if ask is None or wish.source in wish.others:
        return None
    if any(next(topology.node_obstacles(state.nodes.get(one)), None) is not None for one in wish.others):
        return None
    targets = [mesh.node_place[one] for one in (wish.destination, *wish.others)]
    rooms, barred = routing.restrictions(state, mesh, wish, at=at)
    prices = routing.strategy_of(wish).prices(mesh).prices
    shy = dict.fromkeys(mesh.shy(at), CLOSED)
    for closed in ({**rooms, **shy}, rooms) if shy else (rooms,):
        with mesh.apart(closed, [place for place in barred if place not in targets]):
            costs = [
                price if room >= wish.rate_bps else _CLOSED
                for price, room in zip(prices, mesh.room, strict=True)
            ]
            steps = _within_bounds(mesh, costs, ask, targets)
        if steps is not None:
            return _route(mesh, ask.source, steps)
    return None


def explain(state: NetworkState, mesh: Mesh, wish: RouteWish, *, at: float) -> tuple[str, ...]:
    """Why there is no tree: which destinations cannot be reached, and what keeps each of them from it."""
    found: list[str] = []
    for target in (wish.destination, *wish.others):
        one, name = replace(wish, destination=target, others=()), state.node_name(target)
        if routing.find_route(state, mesh, one, at=at) is None:
            found += [f"{name} is out of reach: {why}" for why in routing.explain(state, one, mesh, at=at)]
    return tuple(found) or (
        "there is a way to each destination, and no tree to all of them keeps the bounds on hops and time",
    )


Steps = Sequence[tuple[int, int, int]]
"""(link, node nearer to the source, node behind it), each after the one that leads to it."""


def _within_bounds(mesh: Mesh, costs: Sequence[float], ask: Ask, targets: list[int]) -> Steps | None:
    """The cheapest tree whose branches are short enough, as far as it is found."""
    cheapest = trees.multicast_tree(mesh.around, costs, mesh.inside, ask.source, targets)
    if cheapest is None or _short_enough(mesh, cheapest.steps, ask, targets):
        return None if cheapest is None else cheapest.steps
    for lengths in ([1] * len(costs), mesh.latency_us):
        steps = _nearest(mesh, costs, lengths, ask.source, targets)
        if _short_enough(mesh, steps, ask, targets):
            return steps
    return None


def _short_enough(mesh: Mesh, steps: Steps, ask: Ask, targets: list[int]) -> bool:
    hops, takes_us = {ask.source: 0}, {ask.source: 0}
    for link, here, there in steps:
        hops[there] = hops[here] + 1
        takes_us[there] = takes_us[here] + mesh.latency_us[link]
    most_us = ask.max_latency_us
    return all(
        hops[target] <= ask.max_hops and (most_us is None or takes_us[target] <= most_us)
        for target in targets
    )


def _nearest(
    mesh: Mesh, costs: Sequence[float], lengths: Sequence[int], source: int, targets: list[int]
) -> Steps:
    """The tree of the shortest ways to all targets, of equally short ones the cheap; each can be reached."""
    reached: dict[int, tuple[int, float]] = {source: (0, 0.0)}
    into: dict[int, tuple[int, int]] = {}
    waiting = [(0, 0.0, source)]
    while waiting:
        length, cost, here = heappop(waiting)
        if (length, cost) > reached[here] or (here != source and not mesh.inside[here]):
            continue
        for link, there in mesh.around[here]:
            further = (length + lengths[link], cost + costs[link])
            if costs[link] != _CLOSED and (there not in reached or further < reached[there]):
                reached[there], into[there] = further, (link, here)
                heappush(waiting, (*further, there))
    steps: dict[int, tuple[int, int, int]] = {}
    for target in targets:
        chain, here = [], target
        while here != source and here not in steps:
            link, near = into[here]
            chain.append((link, near, here))
            here = near
        steps.update((step[2], step) for step in reversed(chain))
    return tuple(steps.values())


def _route(mesh: Mesh, source: int, steps: Steps) -> Route:
    """The tree by ids, level by level and in the order of ids: the same tree is always told the same way."""
    ids = sorted(
        (mesh.node_ids[here], mesh.node_ids[there], mesh.link_ids[link]) for link, here, there in steps
    )
    nodes: list[NodeId] = [mesh.node_ids[source]]
    taken = []
    for near in nodes:
        for step in ids:
            if step[0] == near:
                nodes.append(step[1])
                taken.append(step)
    return Route(
        nodes=tuple(nodes),
        links=tuple(link for _, _, link in taken),
        steps=tuple((here, there) for here, there, _ in taken),
    )
