"""What blocks a demand: no other link that opens brings the target within reach."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.reach import blocking
from keyweave_controller.control.ways import Ask


def drawn(seed: int) -> tuple[Mesh, Ask]:
    pick = random.Random(seed)  # noqa: S311 - drawn graphs
    nodes = [f"n{place}" for place in range(pick.randrange(2, 9))]
    pairs = [(a, b) for a in nodes for b in nodes if a < b and pick.random() < 0.5]
    mesh = Mesh(nodes, ((f"l{place:02}", a, b) for place, (a, b) in enumerate(pairs)))
    mesh.inside = [pick.random() < 0.8 for _ in nodes]
    for link in range(len(pairs)):
        mesh.open(link, usable_bps=pick.choice((0, 10)), up=pick.random() < 0.8)
    source, target = pick.sample(range(len(nodes)), 2)
    return mesh, Ask(source=source, target=target, rate_bps=5, max_hops=pick.randrange(1, 8))


def reaches(mesh: Mesh, ask: Ask) -> bool:
    depth, reached = {ask.source: 0}, [ask.source]
    for here in reached:
        if here != ask.source and not mesh.inside[here]:
            continue
        for link, there in mesh.around[here]:
            if there not in depth and mesh.room[link] >= ask.rate_bps and depth[here] < ask.max_hops:
                depth[there] = depth[here] + 1
                reached.append(there)
    return ask.target in depth


@given(st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
def test_nothing_but_the_blocking_links_helps(seed: int) -> None:
    mesh, ask = drawn(seed)
    found = blocking(mesh, ask)
    assert blocking(mesh, ask, surely=False) in (None, found)
    assert (found is None) == reaches(mesh, ask)
    if found is None:
        return
    closed = [link for link, room in enumerate(mesh.room) if room < ask.rate_bps]
    assert set(found) <= set(closed)
    # Everything else may open at once, and it still does not get there.
    with mesh.apart(dict.fromkeys((link for link in closed if link not in found), 10)):
        assert not reaches(mesh, ask)


def test_a_pocket_is_told_by_the_links_around_it() -> None:
    nodes = ["a", "b", "c", "d"]
    mesh = Mesh(nodes, (("ab", "a", "b"), ("bc", "b", "c"), ("cd", "c", "d")))
    mesh.inside = [True] * 4
    for link, usable in enumerate((10, 3, 10)):
        mesh.open(link, usable_bps=usable)
    assert blocking(mesh, Ask(source=0, target=3, rate_bps=5, max_hops=9)) == (1,)
    assert blocking(mesh, Ask(source=0, target=3, rate_bps=3, max_hops=9)) is None
    assert blocking(mesh, Ask(source=0, target=3, rate_bps=3, max_hops=2)) == ()
