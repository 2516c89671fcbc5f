"""Links that make less than they promised: who is cut, who moves, who gets what back."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyweave_controller.control import admission
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    AssociationClosed,
    AssociationRequested,
    LinkMeasure,
    LinksMeasured,
    Notified,
)
from keyweave_controller.control.service import Service, ServiceClass
from keyweave_controller.control.state import Association, AssociationState, LinkRecord
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.alarms import AlarmType
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkPerformance, LinkStatus
from keyweave_core.model.notifications import Event, LinkReport

POLICY = Policy(usable_share=1.0, keys_per_batch=4_096)
"""Everything may be promised, and tags cost next to nothing."""


def network(*spans: tuple[str, str, int], applications: int = 6) -> Rehearsal:
    sites = sorted({site for a, b, _ in spans for site in (a, b)})
    served = {site: tuple(f"sae:{site}{number}" for number in range(applications)) for site in sites}
    show = Rehearsal(nodes=simulate([Span(a=a, b=b, skr_bps=rate) for a, b, rate in spans], served))
    show.start(POLICY)
    return show


def ask(
    show: Rehearsal,
    number: int,
    rate: int,
    priority: int = 0,
    *,
    ends: str = "AB",
    service: Service | None = None,
) -> Association:
    show.now += 0.01
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id=f"r{number}",
            source=f"sae:{ends[0]}{number}",
            destination=f"sae:{ends[1]}{number}",
            qos=AppQos(min_bandwidth_bps=rate),
            priority=priority,
            service=service or Service(preemptible=False),
        )
    )
    show.settle()
    app_id = show.answers()[f"r{number}"].app_id
    assert app_id is not None
    return show.network.associations[app_id]


def close(show: Rehearsal, association: Association) -> None:
    show.feed(AssociationClosed(at=show.now, request_id=f"c{association.app_id}", app_id=association.app_id))
    show.settle()


def makes(show: Rehearsal, a: str, b: str, rate: int) -> None:
    """Both ends tell another rate."""
    link_id = simulated_link_id(a, b)
    measure = LinkMeasure(link_id=link_id, performance=LinkPerformance(skr_bps=rate))
    for site in (a, b):
        show.feed(LinksMeasured(at=show.now, node_id=simulated_id(site), links=(measure,)))
    show.settle()


def held(show: Rehearsal, association: Association, a: str, b: str) -> int:
    link = show.network.links[simulated_link_id(a, b)]
    return sum(link.reserved_bps.get(path.link_id, 0) for path in association.paths)


def alarms(show: Rehearsal) -> list[AlarmType]:
    return sorted(alarm.type for alarm in show.management.alarms())


def test_a_short_dip_costs_nobody_anything() -> None:
    show = network(("A", "B", 10_000))
    one = ask(show, 0, 9_000)
    makes(show, "A", "B", 5_000)
    assert alarms(show) == [AlarmType.CAPACITY_OVERBOOKED]
    show.advance(9.0)
    makes(show, "A", "B", 10_000)
    show.advance(60.0)
    assert (one.degraded_bps, held(show, one, "A", "B") >= 9_000) == (None, True)
    assert alarms(show) == []
    assert not show.network.state.timers.keys() - {"shares"}


def test_what_does_not_fit_any_more_is_cut_by_priority_and_the_older_first() -> None:
    show = network(("A", "B", 10_000))
    low, old, young = ask(show, 0, 3_000, 0), ask(show, 1, 3_000, 1), ask(show, 2, 3_000, 1)
    makes(show, "A", "B", 5_000)
    show.advance(11.0)
    link = show.network.links[simulated_link_id("A", "B")]
    assert admission.reserved_bps(link) == 5_000
    assert old.degraded_bps is None
    assert held(show, old, "A", "B") == old.path.hop_bps
    assert 0 < young.degraded_bps < 3_000
    assert (low.degraded_bps, held(show, low, "A", "B")) == (0, 0)
    assert {one.state for one in (low, old, young)} == {AssociationState.ACTIVE}
    assert "keeps 0 of" in low.reasons[0]
    assert alarms(show) == [AlarmType.ASSOCIATION_DEGRADED] * 2


def test_whoever_was_cut_gets_it_back_before_anybody_new_and_by_priority() -> None:
    show = network(("A", "B", 10_000))
    low, high = ask(show, 0, 4_000, 0), ask(show, 1, 5_000, 1)
    makes(show, "A", "B", 4_000)
    show.advance(11.0)
    assert (held(show, low, "A", "B"), held(show, high, "A", "B")) == (0, 4_000)
    makes(show, "A", "B", 7_000)
    assert held(show, high, "A", "B") == high.path.hop_bps
    assert held(show, low, "A", "B") == 7_000 - high.path.hop_bps
    refused = AssociationRequested(
        at=show.now,
        request_id="new",
        source="sae:A5",
        destination="sae:B5",
        qos=AppQos(min_bandwidth_bps=1_000),
        priority=9,
        service=Service(preemptible=False),
    )
    show.feed(refused)
    assert show.answers()["new"].reasons
    makes(show, "A", "B", 10_000)
    assert (low.degraded_bps, high.degraded_bps, low.reasons, high.reasons) == (None, None, (), ())
    assert alarms(show) == []


def test_a_link_that_makes_what_it_made_before_keeps_all_of_its_promises_again() -> None:
    show = network(("A", "B", 10_000))
    one = ask(show, 0, 9_900)
    makes(show, "A", "B", 5_000)
    show.advance(11.0)
    assert one.degraded_bps is not None
    # The average comes near the rate that is told, and not all the way; and most of it is no news by itself.
    link_id = simulated_link_id("A", "B")
    for second in range(60):
        show.now += 1.0
        told = LinkPerformance(skr_bps=None if second else 10_000)
        for site in ("A", "B"):
            links = (LinkMeasure(link_id=link_id, performance=told),)
            event = show.network.weighed(LinksMeasured(at=show.now, node_id=simulated_id(site), links=links))
            assert isinstance(event, LinksMeasured)
            if show.network.is_light(event):
                show.network.show(event)
            else:
                show.feed(event)
    show.advance(11.0)
    assert show.network.links[link_id].skr_bps == 10_000
    assert (one.degraded_bps, held(show, one, "A", "B")) == (None, one.path.hop_bps)


def test_what_somebody_gives_back_goes_to_those_that_were_cut() -> None:
    show = network(("A", "B", 10_000))
    high, low = ask(show, 0, 4_000, 1), ask(show, 1, 4_000, 0)
    makes(show, "A", "B", 5_000)
    show.advance(11.0)
    assert low.degraded_bps is not None
    close(show, high)
    assert held(show, low, "A", "B") == low.path.hop_bps
    assert low.degraded_bps is None


def test_room_without_spare_is_trusted_only_after_another_hold() -> None:
    show = network(("A", "B", 10_000))
    one = ask(show, 0, 9_000)
    makes(show, "A", "B", 5_000)
    show.advance(11.0)
    makes(show, "A", "B", 9_100)
    assert held(show, one, "A", "B") == one.path.hop_bps
    assert one.degraded_bps == 9_000
    show.advance(5.0)
    makes(show, "A", "B", 8_000)
    makes(show, "A", "B", 9_100)
    show.advance(5.1)
    assert one.degraded_bps is not None
    show.advance(5.0)
    assert (one.degraded_bps, one.reasons) == (None, ())


def test_whoever_is_cut_moves_when_another_way_has_room() -> None:
    show = network(("A", "B", 10_000), ("A", "C", 10_000), ("B", "C", 10_000))
    one, two = ask(show, 0, 6_000, 1), ask(show, 1, 3_000, 0)
    assert len(one.path.links) == len(two.path.links) == 1
    makes(show, "A", "B", 7_000)
    show.advance(11.0)
    assert (len(one.path.links), len(two.path.links)) == (1, 2)
    assert (one.degraded_bps, two.degraded_bps, two.reasons) == (None, None, ())
    assert held(show, two, "A", "C") == two.path.hop_bps
    assert alarms(show) == []


def test_best_effort_holds_nothing_and_is_never_cut() -> None:
    show = network(("A", "B", 10_000))
    one = ask(show, 0, 1_000, service=Service(service_class=ServiceClass.BEST_EFFORT))
    makes(show, "A", "B", 100)
    show.advance(30.0)
    assert (one.degraded_bps, held(show, one, "A", "B")) == (None, 0)


def test_a_link_that_is_down_keeps_its_promises() -> None:
    show = network(("A", "B", 10_000))
    one = ask(show, 0, 9_000)
    down = Event(link=LinkReport(link_id=simulated_link_id("A", "B"), status=LinkStatus.PASSIVE))
    show.feed(Notified(at=show.now, node_id=simulated_id("A"), notification=down))
    makes(show, "A", "B", 1_000)
    show.advance(30.0)
    assert held(show, one, "A", "B") == one.path.hop_bps


def test_one_that_closes_while_cut_leaves_nothing() -> None:
    show = network(("A", "B", 10_000))
    one = ask(show, 0, 9_000)
    makes(show, "A", "B", 9_100)
    makes(show, "A", "B", 5_000)
    show.advance(11.0)
    makes(show, "A", "B", 9_100)  # the second hold has begun
    close(show, one)
    show.advance(60.0)
    assert not show.network.state.timers
    assert not show.network.state.stranded
    assert not any(link.reserved_bps for link in show.network.links.values())


SPANS = (("A", "B", 20_000), ("B", "C", 20_000), ("C", "D", 20_000), ("D", "A", 20_000), ("A", "C", 20_000))


@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(("ask", "rate", "close", "wait")), min_size=5, max_size=50),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_promises_never_exceed_a_rate_for_longer_than_the_hold(seed: int, operations: list[str]) -> None:
    pick, show = random.Random(seed), network(*SPANS, applications=60)  # noqa: S311 - drawn histories
    number, over = 0, {}
    for operation in operations:
        show.now += 0.5
        match operation:
            case "ask":
                number += 1
                a, b = pick.sample("ABCD", 2)
                show.feed(
                    AssociationRequested(
                        at=show.now,
                        request_id=f"r{number}",
                        source=f"sae:{a}{number}",
                        destination=f"sae:{b}{number}",
                        qos=AppQos(min_bandwidth_bps=pick.choice((1_000, 4_000, 9_000))),
                        priority=pick.randrange(3),
                        service=Service(preemptible=pick.random() < 0.5),
                    )
                )
            case "rate":
                a, b, _ = pick.choice(SPANS)
                makes(show, a, b, pick.choice((500, 5_000, 12_000, 20_000)))
            case "close":
                live = [one for one in show.network.associations.values() if one.live]
                if live:
                    close(show, pick.choice(live))
            case _:
                show.advance(pick.choice((1.0, 11.0)))
        show.settle()
        check(show, over)
    show.advance(11.0)
    check(show, over)
    assert not any(_over(show, link) for link in show.network.links.values())


def check(show: Rehearsal, over: dict[LinkId, float]) -> None:
    network = show.network
    for link_id, link in network.links.items():
        if not _over(show, link):
            over.pop(link_id, None)
            check_order(show, link)
        else:
            assert show.now - over.setdefault(link_id, show.now) <= POLICY.overbooked_hold_s
    for one in network.associations.values():
        whole = all(
            network.links[link_id].reserved_bps.get(path.link_id, 0) == path.hop_bps
            for path in one.paths
            for link_id in path.links
        )
        if one.state is AssociationState.ACTIVE and not whole:
            assert one.degraded_bps is not None
            assert one.reasons


def check_order(show: Rehearsal, link: LinkRecord) -> None:
    """Nobody of lower priority holds anything where one of higher priority lacks something."""
    shares = [
        (one.priority, link.reserved_bps[path.link_id], path.hop_bps)
        for one in show.network.associations.values()
        if one.state is AssociationState.ACTIVE
        for path in one.paths
        if path.link_id in link.reserved_bps
    ]
    lacking = [priority for priority, has, wants in shares if has < wants]
    assert not any(has for priority, has, _ in shares if lacking and priority < max(lacking))


def _over(show: Rehearsal, link: LinkRecord) -> bool:
    return admission.overbooked(link, show.network.policy)
