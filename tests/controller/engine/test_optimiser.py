"""The solver by itself: what it proposes can be done step by step and gains; and what its failures cost."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.crowded import Crowd, ask, crowd, drawn, held, place

from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    AssociationRequested,
    InventoryNode,
    PlacementProposed,
    ProposedMove,
)
from keyweave_controller.control.problem import Commodity, PlacementProblem
from keyweave_controller.engine import optimiser, relaxation
from keyweave_controller.engine.congestion import BASE, OVERLOAD, PIECES, price_of_load
from keyweave_controller.engine.journal import Journal
from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.engine.optimiser import SolverThread, solve
from keyweave_controller.engine.relaxation import Relaxation
from keyweave_controller.engine.simulation import SimulatedAgents, Span, simulate
from keyweave_core.errors import Unavailable
from keyweave_core.model.application import AppQos
from keyweave_core.runtime.clock import ManualClock


def problem_of(crowded: Crowd, *wanted: Commodity, most_moves: int = 10) -> PlacementProblem:
    mesh = crowded.mesh
    commodities = [
        Commodity(
            app_id=one.key,
            source=one.ask.source,
            target=one.ask.target,
            rate_bps=one.ask.rate_bps,
            max_hops=one.ask.max_hops,
            max_latency_us=None,
            closed=one.closed,
            way=one.way,
            priority=one.priority,
        )
        for one in crowded.held.values()
        if one.movable
    ]
    return PlacementProblem(
        link_ids=tuple(mesh.link_ids),
        a=tuple(mesh.a),
        b=tuple(mesh.b),
        inside=tuple(mesh.inside),
        rooms=tuple(mesh.room),
        usable=tuple(mesh.usable),
        latency_us=tuple(mesh.latency_us),
        commodities=(*commodities, *wanted),
        most_moves=most_moves,
    )


def wants(source: int, target: int, rate: int, max_hops: int = 16, priority: int = 0) -> Commodity:
    return Commodity(
        app_id="wants",  # type: ignore[arg-type]  # a text will do
        source=source,
        target=target,
        rate_bps=rate,
        max_hops=max_hops,
        max_latency_us=None,
        closed=frozenset(),
        way=None,
        priority=priority,
    )


def carried_out(crowded: Crowd, moves: tuple[ProposedMove, ...]) -> None:
    """Make the moves one by one; fails when one has no room, or is none."""
    mesh = crowded.mesh
    for move in moves:
        mover = crowded.held[move.app_id]
        way = tuple(mesh.link_place[link_id] for link_id in move.links)
        assert tuple(mesh.link_place[link_id] for link_id in move.present) == mover.way != way
        assert mover.movable
        assert not mover.closed & set(way)
        crowded.is_way(mover.ask, way)
        assert all(mesh.room[link] >= mover.ask.rate_bps for link in set(way) - set(mover.way))
        mesh.take(way, mover.ask.rate_bps)
        mesh.take(mover.way, -mover.ask.rate_bps)
        crowded.held[move.app_id] = held(move.app_id, mover.ask, way)


def cost(crowded: Crowd) -> float:
    mesh = crowded.mesh
    return sum(price_of_load(load, most) for load, most in zip(mesh.reserved, mesh.usable, strict=True))


def filled() -> Crowd:
    """Four on 0-1, nobody on 0-2-1."""
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    for key in "uvwx":
        place(crowded, held(key, ask(0, 1, 1), (0,)))
    return crowded


def test_what_is_crowded_is_spread() -> None:
    crowded = filled()
    moves = solve(problem_of(crowded))
    carried_out(crowded, moves)
    assert 1 <= len(moves) <= 2
    assert crowded.mesh.reserved == [4 - len(moves), len(moves), len(moves)]
    assert solve(problem_of(crowded)) == ()  # what is good stays


def test_the_best_move_comes_first_and_the_budget_is_kept() -> None:
    crowded = filled()
    everything = solve(problem_of(crowded))
    assert solve(problem_of(crowded, most_moves=1)) == everything[:1]
    assert solve(problem_of(crowded, most_moves=0)) == ()
    assert solve(problem_of(crowd(2, [(0, 1, 4)]))) == ()


def test_whoever_wants_to_be_carried_has_room_made() -> None:
    """Only 0-1 is short enough for it, and that is taken by one who may go around."""
    crowded = crowd(3, [(0, 1, 4), (0, 2, 4), (1, 2, 4)])
    place(crowded, held("x", ask(0, 1, 2), (0,)))
    moves = solve(problem_of(crowded, wants(0, 1, 3, max_hops=1)))
    assert [move.app_id for move in moves] == ["x"]
    carried_out(crowded, moves)
    assert crowded.mesh.room[0] >= 3


def test_a_chain_of_moves_is_told_in_an_order_that_works() -> None:
    """`y` must leave 0-2 before `x` can go there, and only then is there room on 0-1."""
    crowded = crowd(4, [(0, 1, 4), (0, 2, 4), (1, 2, 4), (0, 3, 4), (2, 3, 4)])
    place(crowded, held("x", ask(0, 1, 3, max_hops=2), (0,)))
    place(crowded, held("y", ask(0, 2, 3), (1,)))
    moves = solve(problem_of(crowded, wants(0, 1, 4, max_hops=1)))
    assert [move.app_id for move in moves] == ["y", "x"]
    carried_out(crowded, moves)


def test_nothing_new_comes_to_a_link_that_is_closed() -> None:
    crowded = filled()
    crowded.mesh.open(1, usable_bps=4, up=False)
    assert solve(problem_of(crowded)) == ()


def test_an_overbooked_link_is_left_first() -> None:
    crowded = filled()
    crowded.mesh.open(0, usable_bps=3)
    moves = solve(problem_of(crowded))
    carried_out(crowded, moves)
    assert crowded.mesh.room[0] >= 0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_each_move_fits_when_its_turn_comes_and_the_network_gains(seed: int) -> None:
    crowded, demand = drawn(seed, most_nodes=6, most_links=10)
    wanted = wants(demand.source, demand.target, demand.rate_bps, demand.max_hops)
    for more in ((), (wanted,)):
        crowded, _ = drawn(seed, most_nodes=6, most_links=10)
        before, given_problem = cost(crowded), problem_of(crowded, *more)
        moves = solve(given_problem)
        assert moves == solve(given_problem)
        assert len({move.app_id for move in moves}) == len(moves) <= 10
        carried_out(crowded, moves)
        if not more:
            assert cost(crowded) <= before


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_shares_add_up_to_one_at_most_and_keep_within_bounds(seed: int) -> None:
    crowded, _ = drawn(seed, most_nodes=6, most_links=10)
    relaxed = Relaxation(problem_of(crowded), lambda: False, 10.0)
    for one in relaxed.solve():
        assert 0 <= sum(one.shares) <= 1 + 1e-6
        assert all(len(way) <= one.commodity.max_hops for way in one.ways)
        assert len(set(one.ways)) == len(one.ways)


def test_pieces_are_as_dear_as_the_curve_they_stand_for() -> None:
    prices = [price for _, price in PIECES]
    assert prices == sorted(prices)
    assert sum(share for share, _ in PIECES) == pytest.approx(1.0)
    assert 1.0 < prices[0] < prices[-1] < BASE
    assert price_of_load(0, 10) == 0
    assert price_of_load(11, 10) - price_of_load(10, 10) == pytest.approx(OVERLOAD)


async def test_the_thread_answers_as_the_solver_does_and_stops_when_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_for = problem_of(filled())
    assert await SolverThread().propose(asked_for) == solve(asked_for)

    def broken(*_: object, **__: object) -> tuple[ProposedMove, ...]:
        raise MemoryError("too big")

    monkeypatch.setattr(optimiser, "solve", broken)
    with pytest.raises(Unavailable, match="too big"):
        await SolverThread().propose(asked_for)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_search_that_is_cut_short_gives_what_it_has(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    crowded, demand = drawn(7, most_nodes=6, most_links=10)
    wanted = wants(demand.source, demand.target, demand.rate_bps)
    carried_out(crowded, solve(problem_of(crowded, wanted), expired=lambda: True))
    monkeypatch.setattr(relaxation, "MOST_ROUNDS", rounds)
    crowded = filled()
    carried_out(crowded, solve(problem_of(crowded, wants(0, 1, 2))))


def test_a_round_that_fails_leaves_what_the_round_before_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[None] = []
    whole = Relaxation._program

    def failing(self: Relaxation) -> tuple[list[float], list[float]]:
        rounds.append(None)
        if len(rounds) == failing_from:
            raise Unavailable("no time")
        return whole(self)

    monkeypatch.setattr(Relaxation, "_program", failing)
    failing_from = 2
    crowded = filled()
    carried_out(crowded, solve(problem_of(crowded, wants(0, 1, 2))))
    assert len(rounds) == 2
    rounds.clear()
    failing_from = 1
    with pytest.raises(Unavailable, match="no time"):
        solve(problem_of(crowded))


def test_a_time_limit_of_nothing_is_a_failure() -> None:
    crowded, demand = drawn(7, most_nodes=6, most_links=10)
    wanted = wants(demand.source, demand.target, demand.rate_bps)
    with pytest.raises(Unavailable, match="no placement found"):
        solve(problem_of(crowded, wanted), time_limit_s=0.0)


class Solver:
    """Counts, and fails in the way it is told."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.asked = error, asyncio.Event()

    async def propose(self, problem: PlacementProblem) -> tuple[ProposedMove, ...]:
        self.asked.set()
        if self.error:
            raise self.error
        return solve(problem)


@pytest.mark.parametrize("error", [None, Unavailable("no time"), RuntimeError("a defect")])
async def test_a_solver_that_fails_costs_nothing(tmp_path: Path, error: Exception | None) -> None:
    """The engine goes on, and the proposal is in the journal either way."""
    nodes = simulate([Span(a="A", b="B")], {"A": ("sae:A",), "B": ("sae:B",)})
    clock, solver = ManualClock(), Solver(error)
    store = f"sqlite:///{tmp_path / 'store'}"
    engine = ControllerEngine(
        store_url=store,
        clock=clock,
        policy=Policy(optimise_every_s=10.0),
        inventory=tuple(InventoryNode(name=node.name) for node in nodes.values()),
        optimiser=solver,
    )
    agents = SimulatedAgents(nodes, clock, engine.submit)
    agents.connect_all()
    running = asyncio.create_task(engine.run(agents))
    engine.submit(_opened(clock.now()))
    async with asyncio.timeout(10):
        while not solver.asked.is_set():
            await clock.advance(1.0)
        while engine.network.state.optimising:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    journal = Journal(store, holder="reader", at=clock.now())
    kinds = [entry.kind for entry in journal.entries_after(0)]
    journal.close()
    assert PlacementProposed.__name__ in kinds


def _opened(at: float) -> AssociationRequested:
    return AssociationRequested(
        at=at, request_id="r", source="sae:A", destination="sae:B", qos=AppQos(min_bandwidth_bps=1_000)
    )


def test_problems_are_values() -> None:
    one = problem_of(filled())
    assert replace(one) == one
    assert hash(one) == hash(replace(one))
