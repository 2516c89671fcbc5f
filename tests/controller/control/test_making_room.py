"""Moves that make room: small networks worked out by hand, and laws held against trying everything."""

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.controller.control.crowded import Crowd, all_ways, ask, crowd, drawn, held, place

from keyweave_controller.control.making_room import make_room
from keyweave_controller.control.mesh import Mesh, Way
from keyweave_controller.control.strategies import BALANCED, MIN_HOP, Cheapest
from keyweave_controller.control.ways import Ask


def test_one_mover_gives_way() -> None:
    """0-1 is full; its holder can go over 2."""
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    place(crowded, held("x", ask(0, 1, 3), (0,)))
    demand = ask(0, 1, 4, max_hops=1)
    room = make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=1)
    assert room is not None
    assert (room.way, room.moves, room.evicted) == ((0,), (("x", (1, 2)),), ())


def test_nobody_moves_where_none_may() -> None:
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    place(crowded, held("x", ask(0, 1, 3), (0,)))
    demand = ask(0, 1, 4, max_hops=1)
    assert make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=0) is None
    place(crowded, held("y", ask(0, 1, 1), (0,), movable=False))
    assert make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=4) is None


def test_several_movers_when_each_is_small() -> None:
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    for key in "uvw":
        place(crowded, held(key, ask(0, 1, 1), (0,)))
    demand = ask(0, 1, 4, max_hops=1)
    assert make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=2) is None
    room = make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=3)
    assert room is not None
    assert [key for key, _ in room.moves] == ["u", "v", "w"]
    crowded.carry_out(demand, room)


def test_one_mover_that_frees_two_links_is_taken_before_two() -> None:
    crowded = crowd(4, [(0, 1, 2), (1, 2, 2), (0, 3, 2), (2, 3, 2), (1, 3, 2)])
    place(crowded, held("both", ask(0, 2, 1), (0, 1)))
    place(crowded, held("one", ask(0, 1, 1), (0,)))
    place(crowded, held("two", ask(1, 2, 1), (1,)))
    demand = ask(0, 2, 1, max_hops=2)
    crowded.mesh.open(2, usable_bps=1)
    room = make_room(crowded.mesh, MIN_HOP, demand, crowded.holders, most_moves=1)
    assert room is not None
    assert len(room.moves) <= 1
    crowded.carry_out(demand, room)


def test_a_chain_others_move_for_the_mover_first() -> None:
    """`x` can leave 0-1 only over 0-2-1, where `y` is in the way; `y` has a way of its own over 3."""
    crowded = crowd(4, [(0, 1, 4), (0, 2, 4), (1, 2, 4), (0, 3, 4), (2, 3, 4)])
    place(crowded, held("x", ask(0, 1, 3, max_hops=2), (0,)))
    place(crowded, held("y", ask(0, 2, 3), (1,)))
    demand = ask(0, 1, 4, max_hops=1)
    assert make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=1) is None
    room = make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=2)
    assert room is not None
    assert room.moves == (("y", (3, 4)), ("x", (1, 2)))
    crowded.carry_out(demand, room)


def test_a_mover_keeps_links_of_its_present_way() -> None:
    """On 2-3 the mover's old and new way count once: there is no room for both."""
    crowded = crowd(4, [(0, 1, 3), (1, 2, 3), (0, 2, 3), (2, 3, 3)])
    place(crowded, held("x", ask(0, 3, 2), (0, 1, 3)))
    demand = ask(0, 1, 3, max_hops=1)
    room = make_room(crowded.mesh, MIN_HOP, demand, crowded.holders, most_moves=1)
    assert room is not None
    assert room.moves == (("x", (2, 3)),)
    crowded.carry_out(demand, room)


def test_what_the_demand_alone_may_use_is_nothing_for_movers() -> None:
    """The demand holds 0-2-1 already and would give it back; the mover cannot have that yet."""
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    place(crowded, held("x", ask(0, 1, 3), (0,)))
    crowded.mesh.take((1, 2), 4)
    demand = ask(0, 1, 4, max_hops=1)
    with crowded.mesh.apart({1: 4, 2: 4}):
        assert make_room(crowded.mesh, BALANCED, demand, crowded.holders, most_moves=2) is None


def test_a_cap_counts_what_the_movers_pay() -> None:
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    place(crowded, held("x", ask(0, 1, 3), (0,)))
    demand = ask(0, 1, 4, max_hops=1)
    for cap, granted in ((2.0, True), (1.5, False)):
        dear = Cheapest(name=f"hops-{cap}", price=_one, floor=1.0, cap=cap)
        room = make_room(crowded.mesh, dear, demand, crowded.holders, most_moves=1)
        assert (room is not None) is granted


def _one(_mesh: Mesh, _link: int) -> float:
    return 1.0


@given(seed=st.integers(0, 10_000), most_moves=st.integers(1, 4))
def test_what_is_told_can_be_done_and_the_mesh_is_left_as_it_was(seed: int, most_moves: int) -> None:
    crowded, demand = drawn(seed, most_nodes=7, most_links=12)
    for strategy in (BALANCED, MIN_HOP):
        strategy.prices(crowded.mesh)
        before = crowded.looks()
        room = make_room(crowded.mesh, strategy, demand, crowded.holders, most_moves=most_moves)
        assert crowded.looks() == before
        assert room == make_room(crowded.mesh, strategy, demand, crowded.holders, most_moves=most_moves)
        if room is not None:
            assert 0 < len(room.moves) <= most_moves
            assert len({key for key, _ in room.moves}) == len(room.moves)
            assert room.evicted == ()
            again, _ = drawn(seed, most_nodes=7, most_links=12)
            again.carry_out(demand, room)


@given(seed=st.integers(0, 10_000))
def test_when_one_move_suffices_something_is_found(seed: int) -> None:
    crowded, demand = drawn(seed)
    assume(one_move(crowded, demand))
    for most_moves in (1, 4):
        assert make_room(crowded.mesh, MIN_HOP, demand, crowded.holders, most_moves=most_moves) is not None


def one_move(crowded: Crowd, demand: Ask) -> bool:
    """Trying everything: some association moves to some other way, and then the demand fits on some way."""
    mesh = crowded.mesh
    for mover in list(crowded.held.values()):
        if not mover.movable:
            continue
        for way in _others(crowded, mover.way, mover.ask, mover.closed):
            mesh.take(mover.way, -mover.ask.rate_bps)
            mesh.take(way, mover.ask.rate_bps)
            fits = bool(all_ways(mesh, demand, demand.rate_bps))
            mesh.take(way, -mover.ask.rate_bps)
            mesh.take(mover.way, mover.ask.rate_bps)
            if fits:
                return True
    return False


def _others(crowded: Crowd, present: Way, wanted: Ask, closed: frozenset[int]) -> list[Way]:
    mesh = crowded.mesh
    return [
        way
        for way in all_ways(mesh, wanted, 0)
        if way != present
        and not closed & set(way)
        and all(mesh.room[link] >= wanted.rate_bps for link in set(way) - set(present))
    ]
