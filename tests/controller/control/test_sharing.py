"""Fair shares: feasible, within bounds, max-min fair, to the last bit, in any order, and fast."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control.sharing import Claim, fair_shares

LINKS = 5


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[int], list[Claim]]:
    capacities = draw(st.lists(st.integers(-5, 60), min_size=LINKS, max_size=LINKS))
    claims = []
    for _ in range(draw(st.integers(0, 8))):
        links = draw(st.lists(st.integers(0, LINKS - 1), min_size=1, max_size=4))
        least = draw(st.integers(0, 12))
        more = draw(st.none() | st.integers(0, 40))
        claims.append(
            Claim(links=tuple(links), least_bps=least, most_bps=None if more is None else least + more)
        )
    return capacities, claims


def used(link: int, claims: list[Claim], amounts: list[int]) -> int:
    return sum(claim.links.count(link) * amount for claim, amount in zip(claims, amounts, strict=True))


@given(networks())
def test_every_claim_has_its_most_or_a_full_link_on_which_nobody_has_more(
    network: tuple[list[int], list[Claim]],
) -> None:
    capacities, claims = network
    shares = fair_shares(capacities, claims)
    least = [claim.least_bps for claim in claims]
    extras = [share - low for share, low in zip(shares, least, strict=True)]
    spare = [max(0, capacity - used(link, claims, least)) for link, capacity in enumerate(capacities)]
    for link in range(LINKS):
        assert used(link, claims, extras) <= spare[link]
    for claim, share, extra in zip(claims, shares, extras, strict=True):
        assert claim.least_bps <= share <= (share if claim.most_bps is None else claim.most_bps)
        if share == claim.most_bps:
            continue
        bottlenecks = []
        for link in claim.links:
            beside = [more for other, more in zip(claims, extras, strict=True) if link in other.links]
            equal = sum(
                other.links.count(link) for other, more in zip(claims, extras, strict=True) if more == extra
            )
            left = spare[link] - used(link, claims, extras)
            bottlenecks.append(max(beside) == extra and left < equal)
        assert any(bottlenecks)


@given(networks(), st.randoms(use_true_random=False))
def test_the_order_makes_no_difference(network: tuple[list[int], list[Claim]], pick: random.Random) -> None:
    capacities, claims = network
    order = list(range(len(claims)))
    pick.shuffle(order)
    shares = fair_shares(capacities, claims)
    assert fair_shares(capacities, [claims[place] for place in order]) == [shares[place] for place in order]


def test_the_classic_example() -> None:
    """One long flow over two links, one short on the first, two on the second."""
    claims = [Claim(links=(0, 1)), Claim(links=(0,)), Claim(links=(1,)), Claim(links=(1,))]
    assert fair_shares([300, 300], claims) == [100, 200, 100, 100]


def test_minima_come_first_and_the_rest_is_equal() -> None:
    claims = [Claim(links=(0,), least_bps=50), Claim(links=(0,)), Claim(links=(0,), most_bps=5)]
    assert fair_shares([100], claims) == [72, 22, 5]  # 45 for two: one bit/s is left of the division
    assert fair_shares([30], claims) == [50, 0, 0]  # more is promised than there is


def test_a_rate_split_over_ways_counts_on_each() -> None:
    assert fair_shares([90, 30], [Claim(links=(0, 1)), Claim(links=(0,))]) == [30, 60]
    assert fair_shares([90], [Claim(links=(0, 0)), Claim(links=(0,))]) == [30, 30]


def test_a_claim_that_crosses_nothing_has_its_most() -> None:
    assert fair_shares([], [Claim(links=(), most_bps=7)]) == [7]
    with pytest.raises(ValueError, match="needs a most"):
        Claim(links=())
    with pytest.raises(ValueError, match="is none"):
        Claim(links=(0,), least_bps=5, most_bps=4)


def test_five_thousand_claims_on_two_thousand_links_take_well_under_a_second() -> None:
    pick = random.Random(1)  # noqa: S311 - drawn networks, no secrets
    claims = [
        Claim(
            links=tuple(pick.sample(range(2_000), pick.randint(2, 16))),
            least_bps=pick.randrange(3_000),
            most_bps=pick.choice((None, 3_000, 10_000, 100_000)),
        )
        for _ in range(5_000)
    ]
    capacities = [pick.randrange(1_000, 1_000_000) for _ in range(2_000)]
    begun = time.process_time()
    shares = fair_shares(capacities, claims)
    assert time.process_time() - begun < 1.0
    assert len(shares) == 5_000
