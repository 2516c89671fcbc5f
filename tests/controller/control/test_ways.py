"""Searches against networkx and against looking at every way there is."""

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.meshes import asked, drawn, every_way, networkx_price

from keyweave_controller.control import ways
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.control.ways import Ask

SEEDS = st.integers(0, 2**32)
NAMES = st.sampled_from(sorted(STRATEGIES))


@given(SEEDS, NAMES)
@settings(max_examples=300, deadline=None)
def test_the_cheapest_way_costs_what_networkx_says(seed: int, name: str) -> None:
    mesh = drawn(seed, most_nodes=12, most_links=30)
    wish = asked(seed, mesh)
    free = Ask(source=wish.source, target=wish.target, rate_bps=wish.rate_bps, max_hops=256)
    priced = STRATEGIES[name].prices(mesh)
    way = ways.cheapest(mesh, priced, free)
    assert (None if way is None else ways.price_of(priced, way)) == networkx_price(mesh, priced, free)


@given(SEEDS, NAMES)
@settings(max_examples=400, deadline=None)
def test_within_bounds_it_is_the_cheapest_of_all_that_keep_them(seed: int, name: str) -> None:
    mesh = drawn(seed)
    wish = asked(seed, mesh)
    priced = STRATEGIES[name].prices(mesh)
    way = ways.cheapest(mesh, priced, wish)
    every = every_way(mesh, wish)
    if way is None:
        assert not every
        return
    assert way in every
    assert ways.price_of(priced, way) == min(ways.price_of(priced, one) for one in every)


@given(SEEDS, NAMES)
@settings(max_examples=200, deadline=None)
def test_a_cap_keeps_exactly_what_costs_more_away(seed: int, name: str) -> None:
    mesh = drawn(seed)
    wish = asked(seed, mesh)
    priced = STRATEGIES[name].prices(mesh)
    way = ways.cheapest(mesh, priced, wish)
    if way is None:
        return
    price = ways.price_of(priced, way)
    assert ways.cheapest(mesh, priced, wish, cap=price) == way
    assert ways.cheapest(mesh, priced, wish, cap=price - 1) is None


@given(SEEDS, NAMES)
@settings(max_examples=300, deadline=None)
def test_ranked_are_all_ways_each_once_the_cheaper_first(seed: int, name: str) -> None:
    mesh = drawn(seed, most_nodes=6, most_links=9)
    wish = asked(seed, mesh)
    priced = STRATEGIES[name].prices(mesh)
    found = list(islice(ways.ranked(mesh, priced, wish), 500))
    assert len(set(found)) == len(found)
    assert set(found) == set(every_way(mesh, wish))
    prices = [ways.price_of(priced, way) for way in found]
    assert prices == sorted(prices)
    if found:
        assert found[0] == ways.cheapest(mesh, priced, wish)


@given(SEEDS)
@settings(max_examples=300, deadline=None)
def test_the_widest_way_has_the_most_room_and_is_the_shortest_of_those(seed: int) -> None:
    mesh = drawn(seed)
    wish = asked(seed, mesh)
    priced = STRATEGIES["widest"].prices(mesh)
    way = ways.widest(mesh, priced, wish)
    every = every_way(mesh, wish)
    if way is None:
        assert not every
        return

    def width(one: tuple[int, ...]) -> int:
        return min(mesh.room[link] for link in one)

    assert way in every
    assert width(way) == max(width(one) for one in every)
    assert len(way) == min(len(one) for one in every if width(one) == width(way))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_search_follows_what_prices_do_after_it(name: str) -> None:
    """What is kept between searches (bounds on what is left) stays true when prices fall and links open."""
    for seed in range(60):
        mesh = drawn(seed, most_nodes=8, most_links=20)
        priced = STRATEGIES[name].prices(mesh)
        for turn in range(6):
            wish = asked(seed + turn, mesh)
            free = Ask(source=wish.source, target=wish.target, rate_bps=wish.rate_bps, max_hops=256)
            way = ways.cheapest(mesh, priced, free)
            assert (way is None) == (networkx_price(mesh, priced, free) is None)
            if way is not None:
                assert ways.price_of(priced, way) == networkx_price(mesh, priced, free)
            link = (seed + 7 * turn) % len(mesh.link_ids)
            mesh.take((link,), -mesh.reserved[link])
            mesh.open((link + 1) % len(mesh.link_ids), usable_bps=9_000 + turn, up=turn % 2 == 0)
