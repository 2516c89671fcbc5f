"""Disjoint ways: as cheap as minimum cost flow says, within bounds, and honest about risk groups."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.small_graphs import Small, cheapest_flow, drawn, every_pair, graph

from keyweave_controller.control.disjoint import (
    Verdict,
    Way,
    disjoint_pair,
    disjoint_ways,
    risk_disjoint_pair,
)
from keyweave_core.errors import InvalidInput

SEEDS = st.integers(0, 2**32)

# The cheapest way 0-2-3-1 blocks both ways around it: whoever takes it first finds no second.
TRAP = graph((0, 2, 1), (2, 3, 1), (3, 1, 1), (0, 3, 4), (2, 1, 4))


def ways(small: Small, k: int, *, nodes: bool = False) -> list[Way]:
    return disjoint_ways(
        small.around, small.costs, small.inside, small.source, small.destination, k, nodes=nodes
    )


def pair(small: Small, *, nodes: bool = False, max_hops: int | None = None) -> tuple[Way, Way] | None:
    return disjoint_pair(
        small.around,
        small.costs,
        small.inside,
        small.source,
        small.destination,
        nodes=nodes,
        max_hops=max_hops,
    )


def check(small: Small, found: list[Way], *, nodes: bool) -> None:
    """Loop-free, over allowed nodes, disjoint, cheapest first."""
    used: set[int] = set()
    passed: set[int] = set()
    for way in found:
        on = small.nodes_of(way)
        assert on[-1] == small.destination
        assert len(set(on)) == len(on)
        assert all(small.inside[node] for node in on[1:-1])
        assert used.isdisjoint(way)
        used.update(way)
        if nodes:
            assert passed.isdisjoint(on[1:-1])
            passed.update(on[1:-1])
    costs = [small.cost(way) for way in found]
    assert costs == sorted(costs)


@given(SEEDS, st.booleans())
@settings(max_examples=1_200, deadline=None)
def test_a_pair_costs_what_minimum_cost_flow_costs(seed: int, nodes: bool) -> None:
    small = drawn(seed)
    number, least = cheapest_flow(small, 2, nodes=nodes)
    found = pair(small, nodes=nodes)
    assert (found is not None) == (number == 2)
    if found is not None:
        check(small, list(found), nodes=nodes)
        assert small.cost(found[0]) + small.cost(found[1]) == least


@given(SEEDS, st.booleans(), st.integers(1, 5))
@settings(max_examples=400, deadline=None)
def test_k_ways_are_as_many_as_there_are_and_cost_the_least(seed: int, nodes: bool, k: int) -> None:
    small = drawn(seed, most_nodes=9, most_links=26)
    found = ways(small, k, nodes=nodes)
    check(small, found, nodes=nodes)
    assert (len(found), sum(small.cost(way) for way in found)) == cheapest_flow(small, k, nodes=nodes)


def test_the_cheapest_way_is_given_up_where_it_stands_in_the_way() -> None:
    assert ways(TRAP, 1) == [(0, 1, 2)]
    assert pair(TRAP) == ((0, 4), (3, 2))
    assert pair(TRAP, nodes=True) == ((0, 4), (3, 2))


def test_ways_without_a_common_link_may_meet_at_a_node() -> None:
    bow_tie = graph((0, 2, 1), (0, 2, 2), (2, 1, 1), (2, 1, 2))
    found = pair(bow_tie)
    assert found is not None
    assert sorted(found[0] + found[1]) == [0, 1, 2, 3]
    assert pair(bow_tie, nodes=True) is None


def test_parallel_links_are_two_ways() -> None:
    assert pair(graph((0, 1, 5), (0, 1, 3)), nodes=True) == ((1,), (0,))


def test_ends_need_not_relay_but_what_is_between_must() -> None:
    square = ((0, 2, 1), (2, 1, 1), (0, 3, 1), (3, 1, 1))
    assert pair(graph(*square, outside=(0, 1))) is not None
    assert pair(graph(*square, outside=(3,))) is None


def test_a_link_of_infinite_cost_is_not_used() -> None:
    assert ways(graph((0, 1, 1), (0, 1, float("inf"))), 2) == [(0,)]


def test_prices_that_are_no_whole_numbers_lead_in_no_circles() -> None:
    pick = random.Random(7)  # noqa: S311 - drawn prices, no secrets
    for _ in range(200):
        links = [(*pick.sample(range(12), 2), pick.random() * 10 ** pick.randint(-9, 9)) for _ in range(30)]
        small = graph(*((a, b, cost) for a, b, cost in links), (0, 11, 1.0), (11, 1, 1.0))
        check(small, sorted(ways(small, 4, nodes=True), key=small.cost), nodes=True)


def test_the_same_question_has_the_same_answer() -> None:
    grid = graph(*((a, b, 1) for a in range(6) for b in range(a + 1, 6)))
    assert ways(grid, 5) == ways(grid, 5) == [(0,), (1, 5), (2, 6), (3, 7), (4, 8)]


@given(SEEDS, st.booleans(), st.integers(1, 5), st.one_of(st.none(), st.integers(2, 9)))
@settings(max_examples=300, deadline=None)
def test_a_bounded_pair_is_the_cheapest_within_the_bounds(
    seed: int, nodes: bool, max_hops: int, most_us: int | None
) -> None:
    small = drawn(seed, most_links=14)
    latency_us = [1 + link % 4 for link in range(len(small.links))]
    fitting = [
        small.cost(both[0] + both[1])
        for both in every_pair(small, nodes=nodes)
        if all(len(way) <= max_hops for way in both)
        and (most_us is None or all(sum(latency_us[link] for link in way) <= most_us for way in both))
    ]
    found = disjoint_pair(
        small.around,
        small.costs,
        small.inside,
        small.source,
        small.destination,
        nodes=nodes,
        max_hops=max_hops,
        latency_us=latency_us,
        max_latency_us=most_us,
    )
    assert (found is None) == (not fitting)
    if found is not None:
        check(small, list(found), nodes=nodes)
        assert small.cost(found[0] + found[1]) == min(fitting)
        assert max(len(way) for way in found) <= max_hops


@given(SEEDS, st.booleans(), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_bounded_ways_keep_their_bounds(seed: int, nodes: bool, k: int, max_hops: int) -> None:
    small = drawn(seed)
    found = disjoint_ways(
        small.around,
        small.costs,
        small.inside,
        small.source,
        small.destination,
        k,
        nodes=nodes,
        max_hops=max_hops,
    )
    check(small, found, nodes=nodes)
    assert all(len(way) <= max_hops for way in found)
    if not found:
        assert not any(len(way) <= max_hops for way in ways(small, k, nodes=nodes))
    if k == 2 and (both := pair(small, nodes=nodes, max_hops=max_hops)) is not None:
        assert tuple(found) == both


def risky(seed: int, most_groups: int) -> list[frozenset[int]]:
    pick = random.Random(seed)  # noqa: S311 - drawn groups, no secrets
    return [frozenset(group for group in range(most_groups) if pick.random() < 0.2) for _ in range(20)]


@given(SEEDS, st.booleans(), st.sampled_from((0, 2, 4, 7)), st.one_of(st.none(), st.integers(2, 4)))
@settings(max_examples=500, deadline=None)
def test_risk_groups_against_all_pairs(seed: int, nodes: bool, groups: int, max_hops: int | None) -> None:
    small = drawn(seed, most_links=14)
    risks = risky(seed, groups)[: len(small.links)]

    def common(one: Way, other: Way) -> frozenset[int]:
        return frozenset().union(*(risks[at] for at in one)) & frozenset().union(*(risks[at] for at in other))

    keys = sorted(
        (len(common(*both)), small.cost(both[0] + both[1]))
        for both in every_pair(small, nodes=nodes)
        if max_hops is None or all(len(way) <= max_hops for way in both)
    )
    found = risk_disjoint_pair(
        small.around,
        small.costs,
        small.inside,
        small.source,
        small.destination,
        risks,
        nodes=nodes,
        max_hops=max_hops,
    )
    assert found.proved  # so small that the bound on work is far
    assert (found.verdict is Verdict.PAIR) == bool(keys and keys[0][0] == 0)
    assert found.verdict is not Verdict.GAVE_UP
    if not keys:
        assert found.ways is None
        return
    assert found.ways is not None
    check(small, list(found.ways), nodes=nodes)
    assert set(found.shared) == common(*found.ways)
    assert (len(found.shared), found.cost) == keys[0]


def test_two_fibres_in_one_duct_are_told() -> None:
    """Both ways out of node 0 lie in duct 7; there is nothing better, and it is said which it is."""
    small = graph((0, 2, 1), (0, 3, 1), (2, 1, 1), (3, 1, 1))
    risks = [frozenset({7}), frozenset({7}), frozenset({1}), frozenset({2})]
    found = risk_disjoint_pair(small.around, small.costs, small.inside, 0, 1, risks)
    assert found.verdict is Verdict.NONE
    assert found.proved
    assert found.shared == (7,)
    assert found.ways == ((0, 2), (1, 3))


def test_a_detour_is_taken_where_the_cheapest_pair_shares_a_duct() -> None:
    small = graph((0, 1, 1), (0, 1, 1), (0, 2, 5), (2, 1, 5))
    risks = [frozenset({0}), frozenset({0}), frozenset(), frozenset()]
    found = risk_disjoint_pair(small.around, small.costs, small.inside, 0, 1, risks)
    assert (found.verdict, found.ways, found.shared) == (Verdict.PAIR, ((0,), (2, 3)), ())


@given(SEEDS, st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_whoever_stops_early_says_nothing_untrue(seed: int, most_work: int) -> None:
    small = drawn(seed, most_nodes=8, most_links=20)
    risks = risky(seed, 6)[: len(small.links)]
    question = small.around, small.costs, small.inside, small.source, small.destination, risks
    whole = risk_disjoint_pair(*question, nodes=True, max_hops=4)
    hasty = risk_disjoint_pair(*question, nodes=True, max_hops=4, most_work=most_work)
    assert hasty.work <= most_work
    assert (len(hasty.shared), hasty.cost) >= (len(whole.shared), whole.cost) or hasty.ways is None
    if hasty.proved:
        assert (hasty.verdict, len(hasty.shared), hasty.cost) == (
            whole.verdict,
            len(whole.shared),
            whole.cost,
        )
    elif hasty.verdict is not Verdict.GAVE_UP:
        assert hasty.verdict is whole.verdict


def test_a_search_that_gives_up_says_so_and_falls_back() -> None:
    """Stages of two fibres each; groups tie fibres of different stages, so many choices must be tried."""
    links = [(stage, stage + 1, cost) for stage in range(10) for cost in (1, 2)]
    risks = [{stage} for stage in range(10) for _ in (1, 2)]
    for stage in range(10):  # whoever takes one fibre here cannot take the other in the next stage
        risks[2 * stage] = {10 + stage}
        risks[(2 * stage + 3) % 20] |= {10 + stage}
    small = graph(*links, ends=(0, 10))
    question = small.around, small.costs, small.inside, 0, 10, [frozenset(group) for group in risks]
    found = risk_disjoint_pair(*question, most_work=1)
    assert (found.verdict, found.proved) == (Verdict.GAVE_UP, False)
    assert found.ways is not None
    assert found.shared
    assert risk_disjoint_pair(*question).proved


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"source": 1}, "the same node 1"),
        ({"source": 9}, "source 9 is no node"),
        ({"destination": -1}, "destination -1 is no node"),
        ({"k": 0}, "ask for at least 1"),
        ({"max_hops": 0}, "max_hops 0: at least 1"),
        ({"max_latency_us": 5, "latency_us": (1,)}, "latencies of 1 links for 5 links"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, int], told: str) -> None:
    question = {"source": 0, "destination": 1, "k": 2, "nodes": False} | change
    with pytest.raises(InvalidInput, match=told):
        disjoint_ways(TRAP.around, TRAP.costs, TRAP.inside, **question)


def test_a_search_for_risk_groups_refuses_nonsense_too() -> None:
    none = [frozenset[int]()] * len(TRAP.links)
    with pytest.raises(InvalidInput, match="risk groups of 1 links for 5 links"):
        risk_disjoint_pair(TRAP.around, TRAP.costs, TRAP.inside, 0, 1, none[:1])
    with pytest.raises(InvalidInput, match="most_work 0: at least 1"):
        risk_disjoint_pair(TRAP.around, TRAP.costs, TRAP.inside, 0, 1, none, most_work=0)
    with pytest.raises(InvalidInput, match="the same node"):
        risk_disjoint_pair(TRAP.around, TRAP.costs, TRAP.inside, 1, 1, none)
