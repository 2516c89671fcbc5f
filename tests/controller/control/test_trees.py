"""Multicast trees: cheapest where they say so, near it otherwise, never dearer than separate ways."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.small_graphs import Small, cheapest_joining, drawn, every_way, graph

from keyweave_controller.control.trees import MOST_WORK, Tree, multicast_tree
from keyweave_core.errors import InvalidInput

SEEDS = st.integers(0, 2**32)


def tree_of(small: Small, targets: list[int], most_work: int = MOST_WORK) -> Tree | None:
    return multicast_tree(small.around, small.costs, small.inside, small.source, targets, most_work=most_work)


def check(small: Small, targets: list[int], tree: Tree) -> None:
    """Connected, without a loop or a needless leaf, inner nodes that may relay, told consistently."""
    degree: dict[int, int] = {small.source: 0}
    met = {small.source}
    for link, here, there in tree.steps:
        assert set(small.links[link]) == {here, there}
        assert here in met
        assert there not in met
        met.add(there)
        degree[here] = degree.get(here, 0) + 1
        degree[there] = degree.get(there, 0) + 1
    assert sorted(link for link, _, _ in tree.steps) == list(tree.links)
    assert met.issuperset(targets)
    for node, links in degree.items():
        if links > 1:
            assert small.inside[node] or node == small.source
        else:
            assert node in targets or node == small.source
    assert tree.cost == small.cost(tree.links) <= tree.separate_cost
    onward = [here for _, here, _ in tree.steps]
    assert tree.forks == tuple(sorted({node for node in onward if onward.count(node) > 1}))
    for target in targets:
        way = tree.way_to(target)
        assert set(way) <= set(tree.links)
        assert small.nodes_of(way)[-1] == target


@given(SEEDS, st.integers(1, 5), st.sampled_from((0, MOST_WORK)))
@settings(max_examples=250, deadline=None)
def test_a_tree_against_all_sets_of_links(seed: int, number: int, most_work: int) -> None:
    small = drawn(seed, most_nodes=7, most_links=10)
    pick = random.Random(seed)  # noqa: S311 - drawn targets, no secrets
    others = [node for node in range(len(small.inside)) if node != small.source]
    targets = pick.sample(others, min(number, len(others)))
    best = cheapest_joining(small, targets)
    tree = tree_of(small, targets, most_work)
    assert (tree is None) == (best is None)
    if tree is None or best is None:
        return
    check(small, targets, tree)
    assert tree.cost >= best
    if tree.exact:
        assert tree.cost == best
    if all(small.inside[target] for target in targets):
        assert tree.cost <= 2 * best
    assert tree.exact or most_work == 0


@given(SEEDS, st.integers(2, 7))
@settings(max_examples=150, deadline=None)
def test_the_grown_tree_is_near_the_exact_one(seed: int, number: int) -> None:
    small = drawn(seed, most_nodes=25, most_links=80)
    pick = random.Random(seed)  # noqa: S311 - drawn targets, no secrets
    others = [node for node in range(len(small.inside)) if node != small.source]
    targets = pick.sample(others, min(number, len(others)))
    exact, near = tree_of(small, targets, 1 << 30), tree_of(small, targets, 0)
    assert (exact is None) == (near is None)
    if exact is None or near is None:
        return
    check(small, targets, exact)
    check(small, targets, near)
    assert exact.exact
    assert exact.separate_cost == near.separate_cost
    assert exact.cost <= near.cost
    if all(small.inside[target] for target in targets):
        assert near.cost <= 2 * exact.cost


@given(SEEDS)
@settings(max_examples=150, deadline=None)
def test_one_target_is_the_cheapest_way(seed: int) -> None:
    small = drawn(seed)
    tree = tree_of(small, [small.destination], 0)
    costs = [small.cost(way) for way in every_way(small)]
    assert (tree is None) == (not costs)
    if tree is not None:
        assert tree.exact
        assert tree.cost == tree.separate_cost == min(costs)
        assert tree.saving == 0.0
        assert not tree.forks


STAR = graph((0, 4, 2), (4, 1, 2), (4, 2, 2), (4, 3, 2), (0, 1, 3), (0, 2, 3), (0, 3, 3))


@pytest.mark.parametrize("most_work", [0, MOST_WORK])
def test_a_hub_that_nobody_asked_for_is_taken_in_where_it_helps(most_work: int) -> None:
    """Three ways by themselves cost 9; the star over node 4 costs 8, and no target's own way leads there."""
    tree = tree_of(STAR, [1, 2, 3], most_work)
    assert tree is not None
    assert (tree.cost, tree.separate_cost, tree.forks) == (8.0, 9.0, (4,))
    assert tree.links == (0, 1, 2, 3)
    assert tree.saving == pytest.approx(1 / 9)
    assert tree.way_to(2) == (0, 2)


def test_a_target_passes_the_key_on_where_it_may_and_not_where_it_may_not() -> None:
    chain = ((0, 1, 1), (1, 2, 1), (0, 2, 5))
    relays = tree_of(graph(*chain), [1, 2])
    assert relays is not None
    assert relays.steps == ((0, 0, 1), (1, 1, 2))
    assert not relays.forks
    for most_work in (0, MOST_WORK):
        leaf = tree_of(graph(*chain, outside=(1,)), [1, 2], most_work)
        assert leaf is not None
        assert leaf.links == (0, 2)
        assert leaf.forks == (0,)


def test_a_source_that_may_not_relay_is_the_root_all_the_same() -> None:
    tree = tree_of(graph((0, 1, 1), (0, 2, 1), outside=(0,)), [1, 2])
    assert tree is not None
    assert tree.forks == (0,)


def test_a_target_named_twice_counts_once() -> None:
    assert tree_of(STAR, [2, 1, 2, 3, 1]) == tree_of(STAR, [1, 2, 3])


def test_a_target_out_of_reach_means_no_tree() -> None:
    assert tree_of(graph((0, 1, 1), (2, 3, 1)), [1, 3]) is None
    assert tree_of(graph((0, 1, float("inf"))), [1]) is None


def test_links_for_nothing_make_a_tree_for_nothing() -> None:
    tree = tree_of(graph((0, 1, 0), (1, 2, 0), (2, 0, 0)), [1, 2])
    assert tree is not None
    assert len(tree.links) == 2
    assert tree.saving == 0.0


def test_a_way_to_a_node_outside_the_tree_is_refused() -> None:
    tree = tree_of(STAR, [1])
    assert tree is not None
    with pytest.raises(InvalidInput, match="node 3 is not in the tree from node 0"):
        tree.way_to(3)


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ([], "at least one target"),
        ([0, 1], "source 0 is among"),
        ([1, 8], "target 8 is no node"),
        ([-1], "-1"),
    ],
)
def test_what_makes_no_sense_is_refused(targets: list[int], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        tree_of(STAR, targets)
    with pytest.raises(InvalidInput, match="source 77 is no node"):
        multicast_tree(STAR.around, STAR.costs, STAR.inside, 77, [1])
