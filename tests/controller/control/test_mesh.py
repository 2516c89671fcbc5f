"""A mesh kept current equals one made anew; what a question leaves out is put back."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.meshes import UNIT, asked, drawn

from keyweave_controller.control.mesh import CLOSED, Mesh
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_core.model.ids import LinkId, NodeId

SEEDS = st.integers(0, 2**32)


def again(mesh: Mesh) -> Mesh:
    """The same mesh, made anew from its figures."""
    nodes = mesh.node_ids
    ends = zip(mesh.link_ids, mesh.a, mesh.b, strict=True)
    fresh = Mesh(nodes, [(link_id, nodes[a], nodes[b]) for link_id, a, b in ends])
    fresh.inside, fresh.estimates = list(mesh.inside), mesh.estimates
    for link in range(len(mesh.link_ids)):
        fresh.km[link], fresh.latency_us[link] = mesh.km[link], mesh.latency_us[link]
        fresh.open(link, usable_bps=mesh.usable[link], up=mesh.is_up(link))
        fresh.store(link, stored=mesh.stored[link], capacity=mesh.capacity[link])
        fresh.take((link,), mesh.reserved[link])
    return fresh


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_mesh_kept_current_equals_one_made_anew(seed: int) -> None:
    mesh, pick = drawn(seed), random.Random(seed)  # noqa: S311 - drawn promises
    links = range(len(mesh.link_ids))
    for strategy in STRATEGIES.values():
        strategy.prices(mesh)
    for moment in range(120):
        link = pick.choice(links)
        match pick.randrange(6):
            case 0:
                mesh.open(link, usable_bps=pick.randint(1, 20) * UNIT, up=pick.random() > 0.2)
            case 1:
                mesh.store(link, stored=pick.randint(0, 100), capacity=100)
            case 2:
                mesh.take((link,), -mesh.reserved[link])
                mesh.estimates.left(1.0 + pick.random())
            case _:
                mesh.take((link,), UNIT)
                mesh.estimates.demanded(UNIT, float(moment))
        mesh.watch(float(moment))
    fresh = again(mesh)
    assert fresh.room == mesh.room
    for strategy in STRATEGIES.values():
        assert strategy.prices(fresh).prices == strategy.prices(mesh).prices
        wish = asked(seed, mesh)
        assert strategy.choose(fresh, wish) == strategy.choose(mesh, wish)


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_promise_given_back_leaves_no_trace(seed: int) -> None:
    mesh = drawn(seed)
    strategies = list(STRATEGIES.values())
    before = [list(one.prices(mesh).prices) for one in strategies], list(mesh.room)
    way = tuple(range(len(mesh.link_ids)))
    mesh.take(way, 3 * UNIT)
    mesh.take(way, -3 * UNIT)
    assert ([list(one.prices(mesh).prices) for one in strategies], list(mesh.room)) == before


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_what_a_question_leaves_out_is_put_back(seed: int) -> None:
    mesh = drawn(seed)
    room, inside = list(mesh.room), list(mesh.inside)
    with mesh.apart({0: CLOSED}, [0]):
        assert mesh.room[0] == CLOSED
        assert not mesh.inside[0]
    assert (mesh.room, mesh.inside) == (room, inside)


def test_places_are_in_the_order_of_ids_and_links_to_strangers_are_left_out() -> None:
    nodes = [NodeId("b"), NodeId("a")]
    links = [
        (LinkId("2"), nodes[0], nodes[1]),
        (LinkId("1"), nodes[1], nodes[0]),
        (LinkId("0"), nodes[0], NodeId("x")),
    ]
    mesh = Mesh(nodes, links)
    assert mesh.node_ids == ["a", "b"]
    assert mesh.link_ids == ["1", "2"]
    assert mesh.hops_to(0) == [0, 1]
    assert mesh.nodes_of(0, (0,)) == [0, 1]
