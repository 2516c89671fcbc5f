"""Links that make key only at times: they rest in between, and associations live on their pools."""

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.controller.control.optical.plants import module, square
from tests.controller.control.plays import ask, live_one

from keyweave_controller.control import facts
from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import LinkMeasure, LinksMeasured, Notified, PlantConfigured
from keyweave_controller.control.optical.equipment import QuantumChannel
from keyweave_controller.control.optical.passes import Pass
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.switched import SwitchPolicy
from keyweave_controller.control.optical.timed import Satellite, Sharing
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.resting import SLACK_S
from keyweave_controller.control.service import Service, ServiceClass
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_link_id
from keyweave_controller.management.alarms import AlarmType
from keyweave_core.model.link import KeyPool, LinkPerformance, LinkStatus, Role
from keyweave_core.model.notifications import LinkDown

AB, AC = simulated_link_id("A", "B"), simulated_link_id("A", "C")
CAPACITY = 100_000_000


def network(*others: tuple[str, str], skr_bps: int = 100_000) -> Rehearsal:
    spans = [Span(a=a, b=b, skr_bps=skr_bps) for a, b in (("A", "B"), *others)]
    sites = {site: (f"sae:{site}", f"sae:{site}2") for site in "ABC"}
    show = Rehearsal(nodes=simulate(spans, sites))
    show.start(Policy(optimise_every_s=0.0, rate_smoothing_s=0.0))
    return show


def configure(show: Rehearsal, plant: Plant | None) -> None:
    show.feed(PlantConfigured(at=show.now, request_id=f"p{len(show.events)}", plant=plant))
    show.settle()


def passing(show: Rehearsal, number: int = 4, *, every_s: float = 1_000.0, rate_bps: int = 100_000) -> Plant:
    """A satellite over A-B that passes for 200 s, the first time now."""
    passes = tuple(
        Pass(
            starts_at=show.now + every_s * place,
            ends_at=show.now + every_s * place + 200,
            rates=((0.0, rate_bps),),
        )
        for place in range(number)
    )
    return Plant(satellites=(Satellite(link="B-A", passes=passes),))


def tell(show: Rehearsal, status: LinkStatus, stored_bits: int, skr_bps: int = 0, link_id: str = AB) -> None:
    """Both ends of a link say how it does."""
    for node_id in sorted(show.network.links[link_id].ends):
        measure = LinkMeasure(
            link_id=link_id,
            status=status,
            performance=LinkPerformance(skr_bps=skr_bps),
            pool=KeyPool(stored_bits=stored_bits, capacity_bits=CAPACITY),
        )
        show.feed(LinksMeasured(at=show.now, node_id=node_id, links=(measure,)))
    show.settle()


def alarms(show: Rehearsal) -> set[str]:
    return {one.type for one in show.management.alarms()}


def test_an_association_over_a_satellite_stays_active_from_pass_to_pass_while_the_pool_lasts() -> None:
    show = network()
    configure(show, passing(show))
    tell(show, LinkStatus.ACTIVE, 18_000_000, 100_000)
    assert not ask(show, "A", "B", rate_bps=5_000).reasons
    one = live_one(show)
    for _ in range(3):
        show.advance(200.0)
        tell(show, LinkStatus.PASSIVE, 18_000_000)
        assert show.network.links[AB].resting
        show.advance(400.0)
        tell(show, LinkStatus.PASSIVE, 15_000_000)
        assert one.state is AssociationState.ACTIVE
        assert not one.reasons
        assert not alarms(show)
        show.advance(400.0)
        assert not alarms(show)  # the pass begins, and has a moment to be found
        tell(show, LinkStatus.ACTIVE, 14_000_000, 100_000)
        show.advance(0.0)
        assert show.network.links[AB].down_since is None
    assert one.outage_s == 0


def test_a_dry_pool_between_passes_suspends_without_calling_the_link_broken() -> None:
    show = network()
    configure(show, passing(show))
    ask(show, "A", "B", rate_bps=5_000)
    one = live_one(show)
    show.advance(300.0)
    tell(show, LinkStatus.OFF, 0)
    assert one.state is AssociationState.SUSPENDED
    assert alarms(show) == {AlarmType.APP_QOS_VIOLATED}
    show.advance(705.0)
    tell(show, LinkStatus.ACTIVE, 500_000, 100_000)
    assert one.state is AssociationState.ACTIVE
    assert not alarms(show)


def test_a_pass_that_does_not_come_is_an_alarm() -> None:
    show = network()
    configure(show, passing(show))
    show.advance(300.0)
    tell(show, LinkStatus.PASSIVE, 1_000_000)
    assert not alarms(show)
    show.advance(700.0 + SLACK_S - 1)
    assert not alarms(show)
    show.advance(2.0)
    assert alarms(show) == {AlarmType.LINK_DOWN}
    assert not show.network.links[AB].penalty  # a satellite is not damped
    tell(show, LinkStatus.ACTIVE, 1_000_000, 100_000)
    assert not alarms(show)


def test_a_link_that_goes_dark_in_a_pass_is_down_until_the_pass_is_over() -> None:
    show = network()
    configure(show, passing(show))
    ask(show, "A", "B", rate_bps=5_000)
    show.advance(100.0)
    for node_id in sorted(show.network.links[AB].ends):
        show.feed(Notified(at=show.now, node_id=node_id, notification=LinkDown(link_id=AB)))
    tell(show, LinkStatus.PASSIVE, 1_000_000)
    assert alarms(show) == {AlarmType.LINK_DOWN}
    show.advance(100.0)
    assert not alarms(show)
    assert live_one(show).state is AssociationState.ACTIVE
    assert not live_one(show).reasons


def test_without_its_plant_a_dark_link_is_a_broken_one_again() -> None:
    show = network()
    configure(show, passing(show))
    show.advance(300.0)
    tell(show, LinkStatus.PASSIVE, 1_000_000)
    assert not alarms(show)
    configure(show, None)
    assert alarms(show) == {AlarmType.LINK_DOWN}
    assert not any(timer.startswith("rest:") for timer in show.timers)


def test_windows_of_the_settings_rest_as_those_of_a_plant() -> None:
    show = network()
    windows = (Window(starts_at=show.now + 500, ends_at=show.now + 700, rate_bps=1_000),)
    show.network.state.link_facts["A-B"] = LinkFacts(link="A-B", windows=windows)
    tell(show, LinkStatus.PASSIVE, 1_000_000)
    assert show.network.links[AB].resting
    assert not alarms(show)


def test_scheduled_demands_use_the_passes_of_a_plant() -> None:
    show = network(skr_bps=0)
    configure(show, passing(show, 5))
    tell(show, LinkStatus.OFF, 0)
    service = Service(service_class=ServiceClass.SCHEDULED, starts_at=show.now + 1_000)
    # A pass brings 18 Mbit that may be promised, one every 1 000 s.
    late = {"service": service, "expires_at": show.now + 4_000}
    assert ask(show, "A", "B", rate_bps=25_000, **late).reasons
    assert not ask(show, "A", "B", rate_bps=15_000, **late).reasons
    assert live_one(show).booked == ((AB,),)


def shared(policy: SwitchPolicy, *, calibration: float = 1.0) -> Plant:
    """One module at A serves B and C in turn."""
    modules = (
        module("A", 1, role=Role.TRANSMITTER),
        module("B", 1, role=Role.RECEIVER),
        module("C", 2, role=Role.RECEIVER),
    )
    sender, *takers = (one.ref for one in modules)
    channels = tuple(
        QuantumChannel(
            link=f"A-{taker.site}",
            transmitter=sender,
            receiver=taker,
            fibres=fibres,
            channel=34,
            calibration=calibration,
        )
        for taker, fibres in zip(takers, (("AB",), ("AB", "BC")), strict=True)
    )
    return replace(
        square(), modules=modules, channels=channels, shared=(Sharing(module=sender, policy=policy),)
    )


POLICY = SwitchPolicy(switch_s=10.0, dwell_s=60.0, unserved_s=600.0)


def windows(show: Rehearsal, link_id: str) -> tuple[Window, ...]:
    found = facts.windows_of(show.network.state, show.network.links[link_id])
    assert found is not None
    return found


def test_a_shared_module_has_a_schedule_that_is_made_anew_before_it_ends() -> None:
    show = network(("A", "C"))
    configure(show, shared(POLICY))
    first = {AB: windows(show, AB), AC: windows(show, AC)}
    assert all(first.values())
    taken = sorted((one.starts_at, one.ends_at) for each in first.values() for one in each)
    assert all(one[1] <= other[0] for one, other in pairwise(taken))  # one at a time
    end = taken[-1][1]
    show.advance((end - show.now) / 2 + 60)
    assert windows(show, AB)[-1].ends_at > end
    show.advance(end - show.now + 60)
    assert windows(show, AC)[-1].ends_at > show.now


def test_who_runs_empty_is_served_more() -> None:
    show = network(("A", "C"))
    tell(show, LinkStatus.ACTIVE, 90_000_000, 100_000, link_id=AB)
    tell(show, LinkStatus.ACTIVE, 100_000, 100_000, link_id=AC)
    ask(show, "A", "C", rate_bps=80_000)
    configure(show, shared(POLICY, calibration=0.05))

    def served_s(link_id: str) -> float:
        return sum(one.duration_s for one in windows(show, link_id))

    assert served_s(AC) > 2 * served_s(AB)
    # Nobody waits longer than the bound all the same.
    starts = [show.now, *(one.starts_at for one in windows(show, AB))]
    ends = [one.ends_at for one in windows(show, AB)]
    assert all(start - end <= POLICY.unserved_s for end, start in zip(ends, starts[2:], strict=False))


def test_the_same_events_give_the_same_schedule() -> None:
    one, other = network(("A", "C")), network(("A", "C"))
    for show in (one, other):
        ask(show, "A", "C", rate_bps=20_000)
        configure(show, shared(POLICY))
        show.advance(20_000.0)
    assert windows(one, AB) == windows(other, AB)
    assert one.network.to_snapshot() == other.network.to_snapshot()


@pytest.mark.parametrize("gap_s", [0.0, 1.0])
def test_windows_that_follow_each_other_without_a_gap_are_one_time(gap_s: float) -> None:
    show = network()
    told = tuple(
        Window(
            starts_at=show.now + start + gap_s * (start > 0), ends_at=show.now + start + 100, rate_bps=rate
        )
        for start, rate in ((0, 1_000), (100, 2_000))
    )
    show.network.state.link_facts["A-B"] = LinkFacts(link="A-B", windows=told)
    tell(show, LinkStatus.ACTIVE, 1_000, 1_000)
    show.advance(99.5)
    assert show.network.links[AB].resting == (gap_s > 0)
