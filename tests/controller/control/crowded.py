"""Small meshes full of associations, and what searches that make room tell, carried out with suspicion."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from keyweave_controller.control import ways
from keyweave_controller.control.making_room import Held, Room
from keyweave_controller.control.mesh import Mesh, Way
from keyweave_controller.control.strategies import MIN_HOP
from keyweave_controller.control.ways import Ask
from keyweave_core.model.ids import AppId, LinkId, NodeId


@dataclass(slots=True)
class Crowd:
    """A mesh and who holds what on it."""

    mesh: Mesh
    held: dict[AppId, Held]

    def holders(self, link: int) -> list[Held]:
        return [one for one in self.held.values() if link in one.way]

    def looks(self) -> tuple[object, ...]:
        """Everything of the mesh that a question must leave as it was."""
        mesh = self.mesh
        prices = {name: list(one.prices) for name, one in mesh._lists.items()}
        return list(mesh.room), list(mesh.reserved), list(mesh.usable), list(mesh.inside), prices

    def carry_out(self, ask: Ask, room: Room) -> None:
        """Do as told, step by step; fails when a step has no room, or a way is none."""
        mesh = self.mesh
        for key in room.evicted:
            gone = self.held.pop(key)
            mesh.take(gone.way, -gone.ask.rate_bps)
        for key, way in room.moves:
            mover = self.held[key]
            assert mover.movable
            assert way != mover.way
            assert not mover.closed & set(way)
            self.is_way(mover.ask, way)
            fresh = set(way) - set(mover.way)
            assert all(mesh.room[link] >= mover.ask.rate_bps for link in fresh), f"{key} has no room on {way}"
            mesh.take(way, mover.ask.rate_bps)
            mesh.take(mover.way, -mover.ask.rate_bps)
            self.held[key] = held(key, mover.ask, way, mover.priority)
        self.is_way(ask, room.way)
        assert all(mesh.room[link] >= ask.rate_bps for link in room.way), "the demand does not fit"

    def is_way(self, ask: Ask, way: Way) -> None:
        nodes = self.mesh.nodes_of(ask.source, way)
        assert nodes[-1] == ask.target
        assert len(set(nodes)) == len(nodes)
        assert all(self.mesh.inside[node] for node in nodes[1:-1])
        assert len(way) <= ask.max_hops
        assert all(self.mesh.is_up(link) for link in way)


def held(key: str, ask: Ask, way: Way, priority: int = 0, **other: object) -> Held:
    found: dict[str, object] = {"preemptible": True, "movable": True, "since": 0.0, **other}
    return Held(key=AppId(key), ask=ask, way=way, priority=priority, **found)  # type: ignore[arg-type]  # drawn


def ask(source: int, target: int, rate: int, max_hops: int = 16) -> Ask:
    return Ask(source=source, target=target, rate_bps=rate, max_hops=max_hops)


def crowd(nodes: int, links: Sequence[tuple[int, int, int]]) -> Crowd:
    """Nobody yet; links are (node, node, rate)."""
    ids = [NodeId(f"{node:02}") for node in range(nodes)]
    named = [(LinkId(f"{place:02}"), ids[a], ids[b]) for place, (a, b, _) in enumerate(links)]
    mesh = Mesh(ids, named)
    mesh.inside = [True] * nodes
    for place, (_, _, rate) in enumerate(links):
        mesh.open(place, usable_bps=rate)
    return Crowd(mesh, {})


def place(crowded: Crowd, one: Held) -> None:
    crowded.mesh.take(one.way, one.ask.rate_bps)
    crowded.held[one.key] = one


def drawn(seed: int, *, most_nodes: int = 5, most_links: int = 8) -> tuple[Crowd, Ask]:
    """A crowd and a demand that does not fit, when there is one."""
    draw = random.Random(seed)  # noqa: S311 - drawn networks, no secrets
    size = draw.randint(3, most_nodes)
    pairs = [(a, b) for a in range(size) for b in range(a + 1, size)]
    draw.shuffle(pairs)
    crowded = crowd(
        size, [(a, b, draw.randint(2, 8)) for a, b in pairs[: draw.randint(size - 1, most_links)]]
    )
    mesh = crowded.mesh
    mesh.inside = [draw.random() < 0.95 for _ in range(size)]
    for number in range(40):
        source, target = draw.sample(range(size), 2)
        wanted = ask(source, target, draw.choice((1, 1, 2, 3)), draw.choice((2, 3, 16)))
        ways_ = all_ways(mesh, wanted, wanted.rate_bps)
        if not ways_:
            if number > 5:
                return crowded, wanted
            continue
        closed = frozenset(link for link in range(len(mesh.room)) if draw.random() < 0.05)
        way = draw.choice(ways_)
        one = held(
            f"{number:02}",
            wanted,
            way,
            priority=draw.randint(0, 2),
            preemptible=draw.random() < 0.8,
            movable=draw.random() < 0.9,
            since=float(draw.randint(0, 9)),
            closed=closed - set(way),
        )
        place(crowded, one)
    return crowded, ask(0, 1, 9)


def all_ways(mesh: Mesh, wanted: Ask, room: int) -> list[Way]:
    """Every way within the bounds over links that have this room."""
    free = Ask(source=wanted.source, target=wanted.target, rate_bps=0, max_hops=wanted.max_hops)
    kept, mesh.room = mesh.room, [0 if have >= room else -1 for have in mesh.room]
    try:
        return list(ways.ranked(mesh, MIN_HOP.prices(mesh), free))
    finally:
        mesh.room = kept
