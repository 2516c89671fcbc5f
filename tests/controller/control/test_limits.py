"""The cheapest way within bounds, against all ways."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.small_graphs import drawn, every_way, graph

from keyweave_controller.control.limits import Limits, bent, cheapest_within


@given(
    st.integers(0, 2**32),
    st.one_of(st.none(), st.integers(1, 6)),
    st.one_of(st.none(), st.integers(0, 12)),
)
@settings(max_examples=400, deadline=None)
def test_nothing_cheaper_keeps_the_bounds(seed: int, max_hops: int | None, most_us: int | None) -> None:
    small = drawn(seed, most_nodes=9, most_links=16)
    latency_us = [(7 * link) % 5 for link in range(len(small.links))]
    limits = Limits(max_hops=max_hops, latency_us=latency_us, max_latency_us=most_us)
    fitting = [
        way
        for way in every_way(small)
        if (max_hops is None or len(way) <= max_hops)
        and (most_us is None or sum(latency_us[link] for link in way) <= most_us)
    ]
    found = cheapest_within(small.around, small.costs, small.inside, small.source, small.destination, limits)
    assert (found is None) == (not fitting)
    if found is not None:
        assert found in fitting
        assert small.cost(found) == min(small.cost(way) for way in fitting)


def test_a_dearer_way_is_taken_where_the_cheapest_is_too_long() -> None:
    small = graph((0, 2, 1), (2, 3, 1), (3, 1, 1), (0, 4, 2), (4, 1, 2), (0, 1, 9))
    question = small.around, small.costs, small.inside, 0, 1
    assert cheapest_within(*question, Limits()) == (0, 1, 2)
    assert cheapest_within(*question, Limits(max_hops=2)) == (3, 4)
    assert cheapest_within(*question, Limits(max_hops=1)) == (5,)
    slow = Limits(max_hops=2, latency_us=[1, 1, 1, 1, 8, 3], max_latency_us=4)
    assert cheapest_within(*question, slow) == (5,)
    assert cheapest_within(*question, Limits(latency_us=[5] * 6, max_latency_us=4)) is None


def test_prices_on_length_rise_from_none_and_leave_unusable_links_unusable() -> None:
    never = float("inf")
    hops = list(bent([2.0, 4.0, never], Limits(max_hops=3)))
    assert hops[0] == [2.0, 4.0, never]
    assert hops[1] == [5.0, 7.0, never]
    assert all(lower[0] < higher[0] for lower, higher in pairwise(hops))
    times = list(bent([2.0, 4.0], Limits(latency_us=[1, 3], max_latency_us=9)))
    assert times[1] == [2.0 + 2, 4.0 + 4]  # 3 a link on average: 1.5 and 4.5, in whole numbers
    free = list(bent([0.0], Limits(max_hops=1)))
    assert free[-1] == [256.0]
