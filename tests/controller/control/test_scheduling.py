"""Associations for a time to come: booked, kept, begun and ended."""

import json

import pytest
from tests.controller.control.plays import ask, live_one

from keyweave_controller.control import admission, planning
from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import (
    AssociationClosed,
    ControllerStarted,
    InventoryNode,
    LinkMeasure,
    LinksMeasured,
    Notified,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.service import Service, ServiceClass
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.link import KeyPool, LinkPerformance, LinkStatus
from keyweave_core.model.notifications import Event, LinkDown, LinkReport

AB, BC, AC = (simulated_link_id(a, b) for a, b in (("A", "B"), ("B", "C"), ("A", "C")))
SITES = {site: tuple(f"sae:{site}{end}" for end in ("", "2", "3")) for site in "ABC"}


@pytest.fixture
def show() -> Rehearsal:
    """A triangle whose links can promise 90 000 bit/s."""
    spans = [Span(a=a, b=b, skr_bps=100_000) for a, b in (("A", "B"), ("B", "C"), ("A", "C"))]
    show = Rehearsal(nodes=simulate(spans, SITES))
    show.start(Policy(optimise_every_s=0.0))
    return show


def booked(show: Rehearsal, a: str, b: str, rate_bps: int, begin_s: float, end_s: float):
    """Ask for a time from now."""
    return ask(
        show,
        a,
        b,
        rate_bps=rate_bps,
        service=Service(service_class=ServiceClass.SCHEDULED, starts_at=show.now + begin_s),
        expires_at=show.now + end_s,
    )


def held(show: Rehearsal) -> int:
    return sum(admission.reserved_bps(link) for link in show.network.links.values())


def test_it_waits_begins_at_its_time_and_ends(show: Rehearsal) -> None:
    answer = booked(show, "A", "B", 40_000, 100, 200)
    one = live_one(show)
    assert answer.app_id == one.app_id
    assert one.state is AssociationState.WAITING
    assert one.booked == ((AB,),)
    assert held(show) == 0
    assert not any(node.links or node.applications for node in show.nodes.values())
    show.advance(99.0)
    assert one.state is AssociationState.WAITING
    show.advance(2.0)
    assert one.state is AssociationState.ACTIVE
    assert not one.booked
    assert not show.network.links[AB].bookings
    assert show.network.links[AB].reserved_bps == {one.path.link_id: one.path.hop_bps}
    assert one.outage_s < 1.0
    show.advance(100.0)
    assert one.state is AssociationState.CLOSED
    assert held(show) == 0


def test_what_is_booked_is_promised_and_the_rest_of_the_time_is_free(show: Rehearsal) -> None:
    assert not booked(show, "A", "B", 80_000, 100, 200).reasons
    # For ever would meet the booking: it goes the other way round, and a second one finds no way.
    assert not ask(show, "A2", "B2", rate_bps=80_000).reasons
    assert live_one(show).path.links == (AC, BC)
    assert "lacks" in ask(show, "A3", "B3", rate_bps=80_000).reasons[0]
    # What ends before the booking begins takes the same link.
    short = ask(show, "A3", "B3", rate_bps=80_000, expires_at=show.now + 90)
    assert not short.reasons
    assert live_one(show).path.links == (AB,)
    assert booked(show, "B", "A", 80_000, 150, 250).reasons
    assert not booked(show, "B", "A", 80_000, 200, 250).reasons


def test_a_booking_moves_when_its_link_fails_and_begins_elsewhere(show: Rehearsal) -> None:
    booked(show, "A", "B", 40_000, 100, 200)
    one = live_one(show)
    for node_id in sorted(show.network.links[AB].ends):
        show.feed(Notified(at=show.now, node_id=node_id, notification=LinkDown(link_id=AB)))
    assert one.booked == ((AC, BC),)
    assert not show.network.links[AB].bookings
    show.advance(101.0)
    assert one.path.links == (AC, BC)


def test_a_booking_without_any_way_stays_and_says_so_and_a_start_without_one_waits(show: Rehearsal) -> None:
    booked(show, "A", "B", 40_000, 100, 300)
    one = live_one(show)
    for link_id in (AB, AC):
        for node_id in sorted(show.network.links[link_id].ends):
            show.feed(Notified(at=show.now, node_id=node_id, notification=LinkDown(link_id=link_id)))
    assert one.state is AssociationState.WAITING
    assert one.reasons
    show.advance(101.0)
    assert one.state is AssociationState.SUSPENDED
    show.advance(10.0)
    for node_id in sorted(show.network.links[AC].ends):
        report = LinkReport(link_id=AC, status=LinkStatus.ACTIVE)
        show.feed(Notified(at=show.now, node_id=node_id, notification=Event(link=report)))
    show.settle()
    assert one.state is AssociationState.ACTIVE
    assert one.outage_s == pytest.approx(11.0, abs=1.0)
    show.advance(200.0)
    assert one.state is AssociationState.CLOSED


def test_closing_it_gives_the_time_back(show: Rehearsal) -> None:
    booked(show, "A", "B", 80_000, 100, 200)
    show.feed(AssociationClosed(at=show.now, request_id="x", app_id=live_one(show).app_id))
    show.settle()
    assert not show.network.links[AB].bookings
    assert not any(timer.startswith("start:") for timer in show.timers)
    assert not booked(show, "A2", "B2", 80_000, 100, 200).reasons


def test_a_restart_keeps_bookings(show: Rehearsal) -> None:
    booked(show, "A", "B", 40_000, 100, 200)
    plain = json.loads(json.dumps(show.network.to_snapshot()))
    show.network = Network.from_snapshot(plain)
    show.start()
    one = live_one(show)
    show.advance(101.0)
    assert one.state is AssociationState.ACTIVE
    for node_id, node in show.nodes.items():
        assert (node.links, node.applications) == planning.wanted(show.network.state, node_id)


@pytest.mark.parametrize(
    ("begin_s", "end_s", "word"), [(100, 50, "expire before"), (100, None, "needs a start and an expiry")]
)
def test_what_contradicts_itself_is_refused(
    show: Rehearsal, begin_s: float, end_s: float | None, word: str
) -> None:
    answer = ask(
        show,
        "A",
        "B",
        service=Service(service_class=ServiceClass.SCHEDULED, starts_at=show.now + begin_s),
        expires_at=None if end_s is None else show.now + end_s,
    )
    assert word in answer.reasons[0]
    assert not show.network.associations


def test_over_a_satellite_no_more_is_promised_than_its_passes_bring() -> None:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B", skr_bps=0)], SITES))
    passes = tuple(
        Window(
            starts_at=show.now + 1_000 * number,
            ends_at=show.now + 1_000 * number + 100,
            rate_bps=100_000,
        )
        for number in range(1, 6)
    )
    inventory = tuple(InventoryNode(name=node.name) for node in show.nodes.values())
    facts = (LinkFacts(link="A-B", windows=passes),)
    show.feed(ControllerStarted(at=show.now, policy=Policy(), inventory=inventory, link_facts=facts))
    for node_id in show.nodes:
        show.connect(node_id)
    for node_id in show.nodes:
        measure = LinkMeasure(
            link_id=AB,
            status=LinkStatus.OFF,
            performance=LinkPerformance(skr_bps=0),
            pool=KeyPool(stored_bits=0, capacity_bits=100_000_000),
        )
        show.feed(LinksMeasured(at=show.now, node_id=node_id, links=(measure,)))
    # A pass brings 9 Mbit that may be promised, one every 1 000 s: 9 000 bit/s from the first pass on.
    assert ask(show, "A", "B", rate_bps=1_000).reasons  # nothing is stored now
    assert booked(show, "A", "B", 9_500, 1_000, 6_000).reasons
    assert not booked(show, "A", "B", 8_000, 1_000, 6_000).reasons
    assert live_one(show).booked == ((AB,),)
    assert booked(show, "A2", "B2", 2_000, 1_000, 6_000).reasons
    assert simulated_id("A") in show.nodes
