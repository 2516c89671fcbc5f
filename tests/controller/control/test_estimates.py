"""What is learnt of demands, and Erlang's formula behind the prices."""

from math import factorial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control.estimates import RATIO_STEPS, Estimates, offered_of, prices_of
from keyweave_core.model.ids import LinkId

LINKS = [LinkId("a"), LinkId("b")]


def loss(servers: int, load: float) -> float:
    """Erlang's B as it stands in books."""
    return load**servers / factorial(servers) / sum(load**k / factorial(k) for k in range(servers + 1))


@given(st.integers(1, 40), st.integers(1, 2 * RATIO_STEPS))
def test_a_shadow_price_is_the_quotient_of_two_losses(servers: int, offered: int) -> None:
    load = offered * servers / RATIO_STEPS
    prices = prices_of(servers, offered)
    assert prices[-1] == 1.0
    assert list(prices) == sorted(prices)
    for taken in (0, servers // 2):
        assert prices[taken] == pytest.approx(loss(servers, load) / loss(taken, load), rel=1e-9)


@given(st.integers(1, 100), st.integers(0, RATIO_STEPS))
def test_what_is_offered_carries_what_is_seen(servers: int, carried: int) -> None:
    offered = offered_of(servers, carried)
    most = offered_of(servers, RATIO_STEPS)
    assert offered <= most
    if offered < most:
        assert offered * (1 - loss(servers, offered * servers / RATIO_STEPS)) >= carried * (1 - 1e-9)


def play(estimates: Estimates, held: list[int], *, until: float, at: float = 0.0) -> float:
    """Twenty demands a second of 2 and 4 kbit/s that stay a second; what links carry stays as it is."""
    number = 0
    while at < until:
        number += 1
        at += 0.05
        estimates.demanded(2_000 if number % 2 else 4_000, at)
        estimates.left(1.0)
        estimates.watch(LINKS, [100_000, 100_000], held, at)
    return at


def test_a_busy_link_becomes_dear_and_an_idle_one_stays_cheap() -> None:
    estimates = Estimates()
    first = estimates.shadow(LINKS[0], 100_000)
    assert first.steady < 0
    play(estimates, [95_000, 30_000], until=20.0)
    busy, idle = (estimates.shadow(link, 100_000) for link in LINKS)
    assert busy.steady > 0.3
    assert idle.steady < 0.01
    assert busy.at(60_000) > 10 * idle.at(60_000)
    assert busy.at(100_000) == idle.at(100_000) == 1.0
    assert estimates.size_bps == pytest.approx(10_000 / 3, rel=0.01)  # (2*2 + 4*4) / (2 + 4) kbit/s


def test_nothing_is_learnt_while_the_network_is_young_or_nothing_ends() -> None:
    estimates = Estimates()
    for second in range(100):
        estimates.demanded(1_000, float(second))
        assert not estimates.watch(LINKS, [9_000, 9_000], [0, 0], float(second))
    assert estimates.links == {}
    young = Estimates()
    young.demanded(1_000, 0.0)
    young.left(10.0)
    assert not young.watch(LINKS, [9_000, 9_000], [0, 0], 39.0)
    assert young.links == {}


def test_prices_change_only_when_said_and_links_that_are_gone_are_forgotten() -> None:
    estimates = Estimates()
    at = play(estimates, [95_000, 30_000], until=20.0)
    before = estimates.shadow(LINKS[0], 100_000)
    assert estimates.shadow(LINKS[0], 100_000) == before
    changed = False
    while not changed:
        at += 0.05
        assert estimates.shadow(LINKS[0], 100_000) == before
        changed = estimates.watch(LINKS[:1], [100_000], [10_000], at)
    assert estimates.shadow(LINKS[0], 100_000) != before
    assert list(estimates.links) == LINKS[:1]


def test_the_same_events_teach_the_same_also_after_a_snapshot() -> None:
    one, other = Estimates(), Estimates()
    at = play(one, [80_000, 20_000], until=12.0)
    play(other, [80_000, 20_000], until=12.0)
    assert one == other
    other = msgspec.json.decode(msgspec.json.encode(other), type=Estimates)
    play(one, [50_000, 60_000], until=25.0, at=at)
    play(other, [50_000, 60_000], until=25.0, at=at)
    assert one == other


def test_time_that_stands_or_goes_back_teaches_nothing() -> None:
    estimates = Estimates()
    at = play(estimates, [80_000, 20_000], until=12.0)
    before = msgspec.to_builtins(estimates)
    assert not estimates.watch(LINKS, [100_000, 100_000], [0, 0], at)
    assert not estimates.watch(LINKS, [100_000, 100_000], [0, 0], at - 5.0)
    assert msgspec.to_builtins(estimates) == before
