"""What holds for every strategy, and what each is known for."""

from itertools import islice

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.meshes import UNIT, asked, drawn, every_way

from keyweave_controller.control import ways
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.strategies import SCALE, STRATEGIES
from keyweave_controller.control.ways import Ask
from keyweave_core.model.ids import LinkId, NodeId

SEEDS = st.integers(0, 2**32)
NAMES = st.sampled_from(sorted(STRATEGIES))


@given(SEEDS, NAMES)
@settings(max_examples=400, deadline=None)
def test_a_way_that_is_chosen_fits_and_keeps_its_bounds(seed: int, name: str) -> None:
    mesh, strategy = drawn(seed), STRATEGIES[name]
    wish = asked(seed, mesh)
    way = strategy.choose(mesh, wish)
    every = every_way(mesh, wish)
    assert way is None or way in every
    assert set(islice(strategy.ranked(mesh, wish), 20)) <= set(every)
    assert next(strategy.ranked(mesh, wish), None) == way
    assert strategy.choose(mesh, wish) == way == strategy.choose(drawn(seed), wish)


@given(SEEDS, NAMES)
@settings(max_examples=200, deadline=None)
def test_prices_are_whole_and_no_less_than_the_floor_and_the_least(seed: int, name: str) -> None:
    mesh = drawn(seed)
    priced = STRATEGIES[name].prices(mesh)
    assert all(price == int(price) >= priced.floor for price in priced.prices)
    assert priced.least is None or all(a <= b for a, b in zip(priced.least, priced.prices, strict=True))


@pytest.mark.parametrize("name", ["min-hop", "least-km", "widest", "balanced"])
def test_without_a_cap_whatever_fits_is_taken(name: str) -> None:
    for seed in range(100):
        mesh = drawn(seed)
        wish = asked(seed, mesh)
        assert (STRATEGIES[name].choose(mesh, wish) is None) == (not every_way(mesh, wish))


def square(usable: int = 100 * UNIT) -> Mesh:
    """a-b (0), a-c (1), b-c (2): a short way and a detour between any two."""
    nodes = [NodeId(one) for one in "abc"]
    ends = [(LinkId("0"), "a", "b"), (LinkId("1"), "a", "c"), (LinkId("2"), "b", "c")]
    mesh = Mesh(nodes, [(link, NodeId(a), NodeId(b)) for link, a, b in ends])
    mesh.inside = [True] * 3
    for link in range(3):
        mesh.open(link, usable_bps=usable)
        mesh.store(link, stored=100, capacity=100)
    return mesh


AB = Ask(source=0, target=1, rate_bps=UNIT, max_hops=8)


@pytest.mark.parametrize("name", ["exponential", "shadow-price", "steady-price"])
def test_prices_of_scarce_rate_rise_with_what_is_promised_to_the_worth_of_a_demand(name: str) -> None:
    mesh = square()
    strategy = STRATEGIES[name]
    seen = []
    for _ in range(100):
        seen.append(strategy.prices(mesh).prices[0])
        mesh.take((0,), UNIT)
    assert seen == sorted(seen)
    assert seen[0] < SCALE / 100
    assert SCALE * 0.9 < seen[-1] <= SCALE + 1
    assert strategy.choose(mesh, AB) == (1, 2)  # the short way is full


@pytest.mark.parametrize("name", ["exponential", "shadow-price", "steady-price"])
def test_a_detour_over_nearly_full_links_is_refused_and_a_short_way_is_not(name: str) -> None:
    mesh = square()
    strategy = STRATEGIES[name]
    mesh.take((1, 2), 99 * UNIT)
    mesh.take((0,), 100 * UNIT)
    assert every_way(mesh, AB) == [(1, 2)]
    assert strategy.choose(mesh, AB) is None
    assert list(strategy.ranked(mesh, AB)) == []
    assert strategy.choose(mesh, Ask(source=0, target=2, rate_bps=UNIT, max_hops=8)) == (1,)


def test_exponential_store_goes_around_low_stores_and_refuses_when_all_are_low() -> None:
    mesh, strategy = square(), STRATEGIES["exponential-store"]
    assert strategy.choose(mesh, AB) == (0,)
    mesh.store(0, stored=5, capacity=100)
    assert strategy.choose(mesh, AB) == (1, 2)
    for link in range(3):
        mesh.store(link, stored=2, capacity=100)
    assert strategy.choose(mesh, AB) is None
    for link in range(3):
        mesh.store(link, stored=0, capacity=0)  # nobody told of any store
    assert strategy.choose(mesh, AB) == (0,)


def test_first_fit_tries_the_shortest_ways_and_takes_the_first_with_room() -> None:
    mesh, strategy = square(), STRATEGIES["first-fit"]
    assert strategy.choose(mesh, AB) == (0,)
    mesh.take((0,), 100 * UNIT)
    assert strategy.choose(mesh, AB) == (1, 2)


def test_least_km_counts_kilometres_and_min_hop_links() -> None:
    mesh = square()
    mesh.km[:] = [100.0, 10.0, 10.0]
    assert STRATEGIES["min-hop"].choose(mesh, AB) == (0,)
    assert STRATEGIES["least-km"].choose(mesh, AB) == (1, 2)


def test_steady_price_remembers_that_a_link_was_scarce() -> None:
    mesh, steady, now = square(), STRATEGIES["steady-price"], STRATEGIES["shadow-price"]
    mesh.take((0,), 97 * UNIT)
    at = 0.0
    for _ in range(400):
        at += 0.05
        mesh.estimates.demanded(2 * UNIT, at)
        mesh.estimates.left(1.0)
        mesh.watch(at)
    mesh.take((0,), -97 * UNIT)  # a lull
    assert now.prices(mesh).prices[0] < SCALE / 4
    assert steady.prices(mesh).prices[0] > SCALE / 3
    assert steady.prices(mesh).prices[1] < SCALE / 100
    assert steady.choose(mesh, AB) == (1, 2)
    kept = msgspec.convert(msgspec.to_builtins(mesh.estimates), type(mesh.estimates))
    fresh = square()
    fresh.estimates = kept
    assert steady.prices(fresh).prices == steady.prices(mesh).prices
    assert ways.price_of(steady.prices(fresh), (0,)) == steady.prices(mesh).prices[0]
