"""Links that come and go: penalties, holding back, going back after a repair, and no moves back and forth."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control import damping, topology
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import AssociationClosed, AssociationRequested, Notified
from keyweave_controller.control.service import Service
from keyweave_controller.control.state import Association, AssociationState, LinkRecord
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.alarms import AlarmType
from keyweave_core.model.application import AppQos
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.notifications import Event, LinkReport

ROUND = (("A", "B"), ("A", "C"), ("C", "B"))
"""A to B directly, or over C."""


def network(*spans: tuple[str, str], policy: Policy | None = None, rate: int = 1_000_000) -> Rehearsal:
    sites = sorted({site for span in spans for site in span})
    served = {site: tuple(f"sae:{site}{number}" for number in range(30)) for site in sites}
    show = Rehearsal(nodes=simulate([Span(a=a, b=b, skr_bps=rate) for a, b in spans], served))
    show.start(policy or Policy())
    return show


def ask(show: Rehearsal, number: int = 0, *, rate: int = 1_000, priority: int = 0) -> Association:
    show.now += 0.01
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id=f"r{number}",
            source=f"sae:A{number}",
            destination=f"sae:B{number}",
            qos=AppQos(min_bandwidth_bps=rate),
            priority=priority,
            service=Service(preemptible=False),
        )
    )
    show.settle()
    return show.network.associations[show.answers()[f"r{number}"].app_id]


def say(show: Rehearsal, a: str, b: str, status: LinkStatus) -> None:
    report = Event(link=LinkReport(link_id=simulated_link_id(a, b), status=status))
    for site in (a, b):
        show.feed(Notified(at=show.now, node_id=simulated_id(site), notification=report))
    show.settle()


def down(show: Rehearsal, a: str, b: str) -> None:
    say(show, a, b, LinkStatus.PASSIVE)


def up(show: Rehearsal, a: str, b: str) -> None:
    say(show, a, b, LinkStatus.ACTIVE)


def link(show: Rehearsal, a: str, b: str) -> LinkRecord:
    return show.network.links[simulated_link_id(a, b)]


def hops(association: Association) -> int:
    return len(association.path.links)


def test_a_penalty_counts_failures_and_halves() -> None:
    show = network(*ROUND)
    policy, ab = show.network.policy, link(show, "A", "B")
    for _ in range(2):
        down(show, "A", "B")
        down(show, "A", "B")  # the same failure
        up(show, "A", "B")
    assert damping.penalty(ab, policy, show.now) == 2.0
    assert damping.penalty(ab, policy, show.now + 60.0) == 1.0
    assert not damping.suppressed(ab, show.now)


def test_a_link_that_fails_often_is_suppressed_until_it_is_trusted_again() -> None:
    show = network(*ROUND)
    ab, policy = link(show, "A", "B"), show.network.policy
    for _ in range(4):
        down(show, "A", "B")
        up(show, "A", "B")
    # 4 halves to 1 in two half-lives.
    assert ab.suppressed_until == pytest.approx(show.now + 120.0)
    assert topology.shy_until(ab, policy) == ab.suppressed_until
    assert [alarm.type for alarm in show.management.alarms()] == [AlarmType.LINK_FLAPPING]
    assert hops(ask(show)) == 2
    show.advance(121.0)
    assert not show.management.alarms()
    assert hops(ask(show, 1)) == 1


def test_a_suppressed_link_is_used_when_nothing_else_fits() -> None:
    show = network(("A", "B"))
    for _ in range(6):
        down(show, "A", "B")
        up(show, "A", "B")
    assert hops(ask(show)) == 1


def test_no_link_is_suppressed_for_ever() -> None:
    show = network(*ROUND)
    for _ in range(2_000):
        down(show, "A", "B")
        up(show, "A", "B")
    longest = damping.LONGEST_HALF_LIVES * show.network.policy.damping_half_life_s
    assert 0 < link(show, "A", "B").suppressed_until - show.now <= longest


def test_after_a_repair_it_returns_to_the_better_path_when_the_link_is_trusted() -> None:
    show = network(*ROUND)
    one = ask(show)
    down(show, "A", "B")
    assert (hops(one), one.left_links) == (2, (simulated_link_id("A", "B"),))
    show.advance(100.0)
    up(show, "A", "B")
    show.advance(29.0)
    assert hops(one) == 2
    show.advance(2.0)
    assert (hops(one), one.left_links) == (1, ())
    assert one.outage_s == 0.0


def test_without_reverting_it_stays() -> None:
    show = network(*ROUND, policy=Policy(revert=False))
    one = ask(show)
    down(show, "A", "B")
    up(show, "A", "B")
    show.advance(1_000.0)
    assert (hops(one), one.left_links) == (2, ())


def test_a_path_as_good_is_no_reason_to_move() -> None:
    show = network(("A", "C"), ("C", "B"), ("A", "D"), ("D", "B"))
    one = ask(show)
    first = one.path.nodes[1]
    gone = show.network.state.node_name(first)
    down(show, "A", gone)
    second = one.path.nodes[1]
    assert second != first
    up(show, "A", gone)
    show.advance(1_000.0)
    assert one.path.nodes[1] == second
    assert one.left_links == ()


def test_at_most_so_many_move_at_a_time_and_by_priority() -> None:
    show = network(*ROUND, policy=Policy(move_budget=2))
    ones = [ask(show, number, priority=number) for number in range(5)]
    down(show, "A", "B")
    up(show, "A", "B")
    show.advance(31.0)
    assert [hops(one) for one in ones] == [2, 2, 2, 1, 1]
    show.advance(5.0)
    assert [hops(one) for one in ones] == [2, 1, 1, 1, 1]
    show.advance(5.0)
    assert [hops(one) for one in ones] == [1, 1, 1, 1, 1]


def test_a_link_that_fails_again_before_it_is_trusted_moves_nobody() -> None:
    show = network(*ROUND)
    one = ask(show)
    for _ in range(10):
        down(show, "A", "B")
        show.advance(5.0)
        up(show, "A", "B")
        show.advance(20.0)
    assert (hops(one), one.generation) == (2, 2)
    show.advance(4_000.0)
    assert (hops(one), one.generation) == (1, 3)


def test_what_ends_meanwhile_is_forgotten() -> None:
    show = network(*ROUND)
    one = ask(show)
    down(show, "A", "B")
    up(show, "A", "B")
    assert any(timer.startswith("revert:") for timer in show.network.state.timers)
    show.feed(AssociationClosed(at=show.now, request_id="c", app_id=one.app_id))
    show.settle()
    assert not any(timer.startswith("revert:") for timer in show.network.state.timers)


@pytest.mark.parametrize("period_s", [1.0, 10.0, 40.0, 90.0, 400.0])
def test_an_hour_of_flapping_makes_few_moves(period_s: float) -> None:
    """Down for half the period, up for the other half, for an hour."""
    show = network(*ROUND)
    one = ask(show)
    end = show.now + 3_600.0
    while show.now < end:
        down(show, "A", "B")
        show.advance(period_s / 2)
        up(show, "A", "B")
        show.advance(period_s / 2)
    failures = 3_600 / period_s
    assert one.generation - 1 <= (7 if failures > 30 else 2 * failures)
    show.advance(7_200.0)
    assert hops(one) == 1


def test_two_ways_that_both_flap_make_no_burst_of_moves() -> None:
    show = network(*ROUND)
    one = ask(show)
    for second in range(3_600):
        first = ("A", "B") if second % 2 else ("A", "C")
        other = ("A", "C") if second % 2 else ("A", "B")
        down(show, *first)
        up(show, *other)
        show.advance(1.0)
    assert one.generation <= 70  # about one each half-life
    up(show, "A", "B")
    up(show, "A", "C")
    show.advance(7_200.0)
    assert (one.state, hops(one)) == (AssociationState.ACTIVE, 1)


@given(st.integers(0, 2**32), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_once_all_is_quiet_everything_is_whole_and_no_link_doubted(seed: int, length: int) -> None:
    pick, show = random.Random(seed), network(*ROUND, ("B", "D"), ("D", "A"), rate=12_000)  # noqa: S311
    spans = (*ROUND, ("B", "D"), ("D", "A"))
    ones = [ask(show, number, rate=2_000, priority=number % 3) for number in range(4)]
    for _ in range(length):
        (down if pick.random() < 0.5 else up)(show, *pick.choice(spans))
        show.advance(pick.choice((0.1, 2.0, 31.0)))
    for span in spans:
        up(show, *span)
    show.advance(4_000.0)
    assert {one.state for one in ones} == {AssociationState.ACTIVE}
    assert all(not topology.broken_links(show.network.state, one.path) for one in ones)
    assert not show.network.state.timers.keys() - {"shares"}
    assert not show.network.state.stranded
    assert not show.management.alarms()
