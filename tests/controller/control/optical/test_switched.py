"""One module and several partners: who is served when, and that nobody is forgotten."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control.optical.switched import (
    Partner,
    SharedModule,
    SwitchPolicy,
    switch_schedule,
)
from keyweave_controller.control.optical.windows import bits_between

POLICY = SwitchPolicy(switch_s=10, dwell_s=30, unserved_s=300)


def partner(link: str, *, stored: int = 0, draws: int = 100, priority: int = 0, rate: int = 1000) -> Partner:
    return Partner(
        link=link,
        rate_bps=rate,
        stored_bits=stored,
        capacity_bits=1_000_000,
        consumption_bps=draws,
        priority=priority,
    )


def served(schedule: SharedModule) -> list[str]:
    """Links in the order of their windows."""
    return [
        link
        for _, link in sorted(
            (window.starts_at, link) for link, windows in schedule.windows.items() for window in windows
        )
    ]


@st.composite
def drawn(draw: st.DrawFn) -> tuple[tuple[Partner, ...], SwitchPolicy, float]:
    number = draw(st.integers(1, 6))
    partners = tuple(
        Partner(
            link=f"L{place}",
            rate_bps=draw(st.integers(0, 5000)),
            stored_bits=draw(st.integers(0, 100_000)),
            capacity_bits=draw(st.integers(100_000, 1_000_000)),
            consumption_bps=draw(st.integers(0, 3000)),
            priority=draw(st.integers(0, 3)),
        )
        for place in range(number)
    )
    switch_s, dwell_s = draw(st.integers(0, 20)), draw(st.integers(1, 60))
    least_s = (number - 1) * (switch_s + dwell_s) + switch_s
    policy = SwitchPolicy(
        switch_s=switch_s, dwell_s=dwell_s, unserved_s=least_s + draw(st.integers(0, 200)) or 1
    )
    return partners, policy, draw(st.integers(1, 3000))


def test_the_one_that_runs_empty_goes_first() -> None:
    partners = (partner("A", stored=900_000), partner("B", stored=1000), partner("C", stored=500_000))
    schedule = switch_schedule(partners, POLICY, starts_at=0, horizon_s=40)
    assert served(schedule) == ["B"]
    (window,) = schedule.windows["B"]
    assert (window.starts_at, window.ends_at, window.rate_bps) == (10, 40, 1000)
    assert schedule.windows["A"] == ()


def test_priority_decides_among_the_needy() -> None:
    partners = (partner("A", stored=100), partner("B", stored=2000, priority=5))
    assert served(switch_schedule(partners, POLICY, starts_at=0, horizon_s=40)) == ["B"]


def test_what_draws_more_is_served_more() -> None:
    partners = (partner("A", stored=500_000, draws=600), partner("B", stored=500_000, draws=10))
    windows = switch_schedule(partners, POLICY, starts_at=0, horizon_s=10_000).windows
    assert bits_between(windows["A"], 0, 10_000) > 3 * bits_between(windows["B"], 0, 10_000)
    assert windows["B"]


def test_staying_costs_nothing() -> None:
    schedule = switch_schedule([partner("A")], POLICY, starts_at=100, horizon_s=1000, connected="A")
    (window,) = schedule.windows["A"]
    assert (window.starts_at, window.ends_at) == (100, 1100)
    assert schedule.switches == 0
    assert switch_schedule([partner("A")], POLICY, starts_at=100, horizon_s=1000).switches == 1


def test_a_full_buffer_waits_for_its_bound() -> None:
    partners = (partner("A", stored=1_000_000, draws=0), partner("B", draws=900), partner("C", draws=900))
    windows = switch_schedule(partners, POLICY, starts_at=0, horizon_s=3000).windows
    assert len(windows["A"]) >= 3000 // 340 - 1
    assert bits_between(windows["A"], 0, 3000) < bits_between(windows["B"], 0, 3000)


def test_nothing_to_serve() -> None:
    schedule = switch_schedule([], POLICY, starts_at=0, horizon_s=100)
    assert (schedule.windows, schedule.switches) == ({}, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rate_bps": -1}, r"partner 'A': rate_bps is 0\.\."),
        ({"consumption_bps": 2**32}, r"partner 'A': consumption_bps is 0\.\."),
        ({"stored_bits": 2_000_000}, r"partner 'A': stored_bits is 0\.\.1000000"),
        ({"priority": 256}, r"partner 'A': priority is 0\.\.255"),
    ],
)
def test_a_partner_has_bounds(changes: dict[str, int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(partner("A"), **changes)  # type: ignore[arg-type]  # the table names whole-number fields only


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"switch_s": -1}, "switch_s"),
        ({"dwell_s": 0}, "dwell_s"),
        ({"unserved_s": float("inf")}, "unserved_s"),
    ],
)
def test_a_policy_has_bounds(changes: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(POLICY, **changes)


def test_what_cannot_be_kept_is_refused() -> None:
    three = [partner(link) for link in "ABC"]
    tight = SwitchPolicy(switch_s=10, dwell_s=30, unserved_s=89)
    with pytest.raises(ValueError, match="can each be served every 90 s, not within 89 s"):
        switch_schedule(three, tight, starts_at=0, horizon_s=100)
    with pytest.raises(ValueError, match="a link shares the module twice"):
        switch_schedule([partner("A"), partner("A")], POLICY, starts_at=0, horizon_s=100)
    with pytest.raises(ValueError, match="horizon_s is above 0"):
        switch_schedule(three, POLICY, starts_at=0, horizon_s=0)
    with pytest.raises(ValueError, match="more than 100000 turns"):
        switch_schedule(three, POLICY, starts_at=0, horizon_s=1e9)


@given(drawn())
def test_nobody_starves(case: tuple[tuple[Partner, ...], SwitchPolicy, float]) -> None:
    partners, policy, horizon_s = case
    schedule = switch_schedule(partners, policy, starts_at=1000, horizon_s=horizon_s)
    for windows in schedule.windows.values():
        edges = [1000.0, *(edge for window in windows for edge in (window.starts_at, window.ends_at))]
        edges.append(1000 + horizon_s)
        waits = [later - earlier for earlier, later in zip(edges[::2], edges[1::2], strict=True)]
        assert max(waits) <= policy.unserved_s + 1e-6


@given(drawn())
def test_one_at_a_time_with_dead_time_between(case: tuple[tuple[Partner, ...], SwitchPolicy, float]) -> None:
    partners, policy, horizon_s = case
    schedule = switch_schedule(partners, policy, starts_at=0, horizon_s=horizon_s)
    spans = sorted(
        (window.starts_at, window.ends_at, link)
        for link, windows in schedule.windows.items()
        for window in windows
    )
    for (_, until, one), (begins, _, other) in pairwise(spans):
        assert begins >= until + policy.switch_s - 1e-6
        assert one != other
    for begins, until, _ in spans:
        assert 0 <= begins < until <= horizon_s
        assert until - begins >= policy.dwell_s - 1e-6 or until == horizon_s


@given(drawn())
def test_the_order_of_the_partners_changes_nothing(
    case: tuple[tuple[Partner, ...], SwitchPolicy, float],
) -> None:
    partners, policy, horizon_s = case
    once = switch_schedule(partners, policy, starts_at=0, horizon_s=horizon_s)
    assert switch_schedule(partners[::-1], policy, starts_at=0, horizon_s=horizon_s) == once
