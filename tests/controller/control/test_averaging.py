"""Key rates as averages over time: what was true for how long, blocks, coarse steps, and replays."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control import averaging
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import Event, LinkMeasure, LinksMeasured, Notified
from keyweave_controller.control.network import Network
from keyweave_controller.control.state import LinkEnd
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.link import KeyPool, LinkPerformance, LinkStatus
from keyweave_core.model.notifications import LinkDown, LinkOverloaded, LinkPerfUpdate

AB, A, B = simulated_link_id("A", "B"), simulated_id("A"), simulated_id("B")
CAPACITY = 8_000_000


def network(policy: Policy | None = None) -> Rehearsal:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B", skr_bps=10_000)]))
    show.start(policy or Policy(rate_smoothing_s=5.0))
    return show


def report(
    show: Rehearsal, rate: int | None = None, *, stored: int | None = None, status: LinkStatus | None = None
) -> bool:
    """As the engine does: weigh, and journal only what is not light; whether it was journaled."""
    pool = None if stored is None else KeyPool(stored_bits=stored, capacity_bits=CAPACITY)
    measure = LinkMeasure(link_id=AB, performance=LinkPerformance(skr_bps=rate), pool=pool, status=status)
    return take(show, LinksMeasured(at=show.now, node_id=A, links=(measure,)))


def take(show: Rehearsal, event: Event) -> bool:
    weighed = show.network.weighed(event)
    if isinstance(weighed, LinksMeasured) and show.network.is_light(weighed):
        show.network.show(weighed)
        return False
    show.feed(weighed)
    return True


def counted(show: Rehearsal) -> int:
    return show.network.links[AB].skr_bps


def test_the_average_follows_what_was_true_before() -> None:
    show = network()
    assert not report(show, 5_000)  # it was 10 000 until now
    assert counted(show) == 10_000
    for _ in range(5):
        show.now += 1.0
        report(show, 5_000)
    average = show.network.links[AB].ends[A].average_bps
    assert average == pytest.approx(5_000 + 5_000 * math.exp(-1))
    assert counted(show) == pytest.approx(average, rel=0.05)
    for _ in range(60):
        show.now += 1.0
        report(show)  # nothing new, and time passes
    assert counted(show) == pytest.approx(5_000, rel=0.06)


def test_a_short_dip_costs_little_and_is_not_journaled_for_ever() -> None:
    show = network()
    journaled = 0
    for second in range(600):
        show.now += 1.0
        journaled += report(show, 9_000 if second % 2 else 11_000)
    assert journaled == 0
    assert counted(show) == 10_000


def test_a_device_that_makes_key_in_blocks_counts_with_what_it_makes() -> None:
    """A block every 20 s, told as a burst for one second: 200 000 bit/s then, 10 000 on average."""
    show = network()
    rates = []
    for second in range(1_200):
        show.now += 1.0
        if second % 20 in (0, 1):  # a node tells only what changed
            report(show, 200_000 if second % 20 == 0 else 0)
        else:
            report(show)
        if second > 400:
            rates.append(counted(show))
    assert show.network.links[AB].ends[A].burst_every_s == 20.0
    # B tells 10 000 throughout, so the smaller of both is what counts; it is never far below.
    assert min(rates) > 8_000


def test_without_a_time_constant_rates_count_as_they_are_told() -> None:
    show = network(Policy(rate_smoothing_s=0.0))
    assert report(show, 4_000)
    assert counted(show) == 4_000


def test_what_a_link_tells_while_it_is_down_counts_at_once_and_so_does_the_first_rate_after() -> None:
    show = network()
    assert report(show, 0, status=LinkStatus.PASSIVE)
    assert counted(show) == 0
    show.now += 30.0
    assert report(show, 0, status=LinkStatus.ACTIVE)
    show.now += 1.0
    assert report(show, 6_000)
    assert counted(show) == 6_000


def test_an_impossible_rate_is_told_and_does_not_enter_the_average() -> None:
    show = network()
    assert report(show, 2_000_000_000)
    assert show.network.links[AB].faults
    show.now += 1.0
    assert report(show, 10_000)
    assert not show.network.links[AB].faults
    assert counted(show) == 10_000


def test_a_notification_of_figures_is_weighed_like_a_report() -> None:
    show = network()
    performance = LinkPerformance(skr_bps=9_900)
    update = LinkPerfUpdate(link_id=AB, performance=performance)
    weighed = show.network.weighed(Notified(at=show.now, node_id=A, notification=update))
    assert isinstance(weighed, LinksMeasured)
    assert show.network.is_light(weighed)
    nameless = Notified(at=show.now, node_id=A, notification=LinkPerfUpdate(performance=performance))
    assert show.network.weighed(nameless) == nameless
    down = Notified(at=show.now, node_id=A, notification=LinkDown(link_id=AB))
    assert show.network.weighed(down) == down
    unknown = LinksMeasured(at=show.now, node_id=A, links=(LinkMeasure(link_id="x"),))
    assert show.network.weighed(unknown) == unknown


def test_the_rate_in_a_warning_of_overload_is_of_that_moment_only() -> None:
    show = network()
    told = LinkOverloaded(link_id=AB, performance=LinkPerformance(skr_bps=0, expected_consumption_bps=9))
    show.feed(Notified(at=show.now, node_id=A, notification=told))
    assert show.network.links[AB].ends[A].overloaded
    assert counted(show) == 10_000


def test_a_tree_read_between_two_blocks_forgets_nothing() -> None:
    former = LinkEnd(
        status=LinkStatus.ACTIVE,
        performance=LinkPerformance(skr_bps=0),
        counted_skr_bps=900,
        average_bps=910.0,
        burst_at=5.0,
        burst_every_s=20.0,
    )
    read = LinkEnd(
        status=LinkStatus.ACTIVE, performance=LinkPerformance(skr_bps=0), counted_skr_bps=0, at=9.0
    )
    kept = averaging.taken_over(read, former)
    assert (kept.counted_skr_bps, kept.average_bps, kept.average_at) == (900, 910.0, 9.0)
    assert (kept.burst_at, kept.burst_every_s) == (5.0, 20.0)
    former.status = LinkStatus.OFF
    assert averaging.taken_over(read, former).counted_skr_bps == 0
    assert averaging.taken_over(read, None).average_bps == 0.0


def pool(stored: int, age: int | None = None) -> KeyPool:
    return KeyPool(stored_bits=stored, capacity_bits=CAPACITY, oldest_age_s=age)


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        (4_000_000, 3_500_000, False),
        (4_000_000, 3_000_000, True),  # an eighth of the capacity
        (1, 0, True),
        (0, 1, True),
        (2_100_000, 1_999_999, True),  # below the floor at once
        (1_900_000, 2_000_000, False),  # above it only by a margin
        (1_900_000, 2_062_500, True),
    ],
)
def test_stored_key_is_news_in_coarse_steps(before: int, now: int, news: bool) -> None:
    assert averaging.pool_is_news(pool(before), pool(now), [2_000_000]) == news


def test_a_pool_of_another_size_is_news_and_none_is_not() -> None:
    assert averaging.pool_is_news(None, pool(1), [])
    assert averaging.pool_is_news(pool(1), KeyPool(stored_bits=1, capacity_bits=2), [])
    assert not averaging.pool_is_news(pool(1), None, [])


def test_age_is_news_when_it_crosses_a_limit() -> None:
    assert averaging.age_is_news(pool(1, 50), pool(1, 70), [60])
    assert not averaging.age_is_news(pool(1, 50), pool(1, 59), [60])
    assert averaging.age_is_news(pool(1, None), pool(1, 5), [])
    assert averaging.age_is_news(None, pool(1, 5), [])
    assert not averaging.age_is_news(pool(1, 5), None, [60])


@given(st.integers(0, 2**32), st.integers(5, 60))
@settings(max_examples=60, deadline=None)
def test_a_replay_without_light_figures_comes_to_the_same(seed: int, length: int) -> None:
    pick, show = random.Random(seed), network()  # noqa: S311 - drawn figures
    for _ in range(length):
        show.now += pick.choice((0.1, 1.0, 7.0, 60.0))
        rate = pick.choice((None, 0, 500, 9_500, 10_000, 10_400, 300_000, 5_000_000_000))
        stored = pick.choice((None, 0, 1, 900_000, 1_000_000, CAPACITY))
        status = pick.choice((None, None, LinkStatus.ACTIVE, LinkStatus.PASSIVE))
        report(show, rate, stored=stored, status=status)
    replayed = Network()
    actions = [action for event in show.events for action in replayed.handle(event)]
    assert actions == show.actions
    live, again = show.network.links[AB], replayed.links[AB]
    for name in ("status", "skr_bps", "faults", "down_since", "penalty", "suppressed_until"):
        assert getattr(live, name) == getattr(again, name)
    for node_id in (A, B):
        ends = (live.ends[node_id], again.ends[node_id])
        assert len({end.counted_skr_bps for end in ends}) == 1
        assert ends[0].counted_pool == ends[1].counted_pool
