"""What becomes of associations when links fail, run low, or are not trusted any more; storms of failures."""

from dataclasses import replace

from benchmarks import cut_storm

from keyweave_controller.control import recovery, topology, what_if
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    AssociationClosed,
    AssociationRequested,
    LinkMeasure,
    LinksMeasured,
    Notified,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.service import Constraints, Protection, Service
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.alarms import AlarmType
from keyweave_core.model.application import AppQos
from keyweave_core.model.link import KeyPool, LinkStatus
from keyweave_core.model.node import TrustLevel
from keyweave_core.model.notifications import Event, LinkDown, LinkReport

ROUND = (("A", "B"), ("A", "C"), ("C", "B"))
CAPACITY = 8_000_000


def network(*spans: tuple[str, str], rate: int = 100_000, policy: Policy | None = None) -> Rehearsal:
    sites = sorted({site for span in spans for site in span})
    served = {site: tuple(f"sae:{site}{number}" for number in range(30)) for site in sites}
    show = Rehearsal(nodes=simulate([Span(a=a, b=b, skr_bps=rate) for a, b in spans], served))
    show.start(policy or Policy())
    return show


def ask(
    show: Rehearsal, number: int = 0, *, rate: int = 1_000, priority: int = 0, service: Service | None = None
) -> Association:
    show.now += 0.2
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id=f"r{number}",
            source=f"sae:A{number}",
            destination=f"sae:B{number}",
            qos=AppQos(min_bandwidth_bps=rate),
            priority=priority,
            service=service or Service(),
        )
    )
    show.settle()
    return show.network.associations[show.answers()[f"r{number}"].app_id]


def say(show: Rehearsal, a: str, b: str, status: LinkStatus) -> None:
    report = Event(link=LinkReport(link_id=simulated_link_id(a, b), status=status))
    for site in (a, b):
        show.feed(Notified(at=show.now, node_id=simulated_id(site), notification=report))
    show.settle()


def store(show: Rehearsal, a: str, b: str, bits: int) -> None:
    """Both ends tell a level, journaled only when it is not light."""
    pool = KeyPool(stored_bits=bits, capacity_bits=CAPACITY)
    measure = LinkMeasure(link_id=simulated_link_id(a, b), pool=pool)
    for site in (a, b):
        event = LinksMeasured(at=show.now, node_id=simulated_id(site), links=(measure,))
        if show.network.is_light(event):
            show.network.show(event)
        else:
            show.feed(event)
    show.settle()


def way(show: Rehearsal, association: Association) -> str:
    path = association.path
    return "".join(show.network.state.node_name(node) for node in path.nodes) if path else ""


def test_the_place_of_one_that_was_preempted_is_given_back_when_there_is_room() -> None:
    show = network(("A", "B"), rate=10_000)
    low = ask(show, 0, rate=6_000)
    high = ask(show, 1, rate=6_000, priority=5)
    assert (low.state, low.preempted_by) == (AssociationState.SUSPENDED, high.app_id)
    assert "preempted" in low.reasons[0]
    (alarm,) = show.management.alarms()
    assert (alarm.type, alarm.affected) == (AlarmType.ASSOCIATION_PREEMPTED, (low.app_id,))
    show.advance(30.0)
    show.feed(AssociationClosed(at=show.now, request_id="c", app_id=high.app_id))
    show.settle()
    assert (low.state, low.preempted_by, low.reasons, way(show, low)) == (
        AssociationState.ACTIVE,
        None,
        (),
        "AB",
    )
    assert low.outage_s >= 30.0
    assert not show.management.alarms()


def test_a_path_whose_pool_falls_below_the_floor_is_left_before_it_runs_dry() -> None:
    show = network(*ROUND)
    one = ask(show, service=Service(constraints=Constraints(min_stored_bits=500_000)))
    store(show, "A", "B", 500_000)
    assert way(show, one) == "AB"
    store(show, "A", "B", 499_999)
    assert way(show, one) == "ACB"
    assert one.left_links == ()  # the link did not fail; nobody goes back for it


def test_without_another_way_it_stays_and_says_what_it_lacks_until_there_is_enough() -> None:
    show = network(("A", "B"))
    one = ask(show, service=Service(constraints=Constraints(min_stored_bits=500_000)))
    store(show, "A", "B", 400_000)
    assert (one.state, way(show, one)) == (AssociationState.ACTIVE, "AB")
    assert one.reasons == ("link A-B has 400000 bits of key stored, not 500000",)
    store(show, "A", "B", 510_000)  # not by the margin
    assert one.reasons
    store(show, "A", "B", 520_000)
    assert one.reasons == ()
    assert not show.network.state.stranded


def test_a_relay_that_is_trusted_no_more_is_left_and_kept_when_there_is_no_other() -> None:
    show = network(("A", "C"), ("C", "B"), ("A", "D"), ("D", "B"))
    one = ask(show)
    first = way(show, one)[1]
    for name in (first, "D" if first == "C" else "C"):
        node = show.nodes[simulated_id(name)]
        node.fixed = replace(node.fixed, trust_level=TrustLevel.UNTRUSTED)
        show.connect(simulated_id(name))
        show.settle()
    other = "D" if first == "C" else "C"
    assert way(show, one) == f"A{other}B"
    assert one.state is AssociationState.ACTIVE
    assert "not trusted" in one.reasons[0]


def test_a_link_that_is_switched_off_is_left() -> None:
    show = network(*ROUND)
    one = ask(show)
    node = show.nodes[simulated_id("A")]
    ab = simulated_link_id("A", "B")
    links = tuple(replace(link, enable=link.link_id != ab) for link in node.fixed.links)
    node.fixed = replace(node.fixed, links=links)
    show.connect(simulated_id("A"))
    show.settle()
    assert way(show, one) == "ACB"


def test_the_standby_takes_over_and_another_is_sought() -> None:
    show = network(*ROUND, ("A", "D"), ("D", "B"))
    one = ask(show, service=Service(protection=Protection.ONE_TO_ONE))
    standby = one.others[0]
    say(show, "A", "B", LinkStatus.PASSIVE)
    assert one.path == standby
    assert one.others
    assert not set(one.others[0].links) & set(standby.links)
    assert not show.network.state.stranded


def test_one_that_found_no_way_is_searched_for_again_only_when_a_link_opens_for_it(monkeypatch) -> None:
    show = network(*ROUND, ("C", "D"), ("D", "B"), rate=10_000)
    first, second = ask(show, 0, rate=7_000), ask(show, 1, rate=7_000)
    assert sorted((way(show, first), way(show, second))) == ["AB", "ACB"]
    direct = first if way(show, first) == "AB" else second
    searched = []
    blocking = recovery.reach.blocking

    def counting(mesh, wish, *, surely):
        searched.append(wish)
        return blocking(mesh, wish, surely=surely)

    monkeypatch.setattr(recovery.reach, "blocking", counting)
    say(show, "A", "B", LinkStatus.PASSIVE)
    assert searched
    assert simulated_link_id("A", "C") in direct.blocked_by
    searched.clear()
    third = AssociationRequested(
        at=show.now, request_id="x", source="sae:C7", destination="sae:D7", qos=AppQos(min_bandwidth_bps=500)
    )
    show.feed(third)
    show.settle()
    say(show, "D", "B", LinkStatus.PASSIVE)
    assert searched == []
    say(show, "A", "B", LinkStatus.ACTIVE)
    assert direct.state is AssociationState.ACTIVE
    assert direct.app_id not in show.network.state.stranded


def test_many_failures_at_once_are_looked_at_together_and_by_priority() -> None:
    relays = "CDEFGH"
    spans = (("A", "B"), *((one, relay) for relay in relays for one in "AB"))
    show = network(*spans, rate=3_000)
    ones = [ask(show, number, rate=2_000, priority=number) for number in range(4)]
    assert sorted(len(one.path.links) for one in ones) == [1, 2, 2, 2]
    relayed = [one for one in ones if len(one.path.links) == 2]
    began = len(show.actions)
    used = [way(show, one)[1] for one in relayed]
    free = [name for name in relays if name not in used]
    for name in (*used, *free[:2]):
        report = LinkDown(link_id=simulated_link_id("A", name))
        show.feed(Notified(at=show.now, node_id=simulated_id("A"), notification=report))
    assert len(show.actions) > began
    show.settle()
    show.advance(0.3)
    # Those hurt by the first failures moved at once, onto what fails a moment later; the rest waited.
    whole = [one for one in ones if not topology.broken_links(show.network.state, one.path)]
    assert len(whole) == 2
    assert not show.network.state.timers.keys() - {"shares"}
    assert show.network.state.storm_since is None


def test_a_storm_over_a_large_network_loses_nobody() -> None:
    run = cut_storm.storm(3, sites=150, associations=300)
    assert run.faults == []
    assert run.hurt > 100
    assert run.moved + run.without >= run.hurt
    assert run.moved > 50


def test_a_storm_replays_and_comes_out_of_a_snapshot_the_same(monkeypatch) -> None:
    events, actions, cut = [], [], {}

    class Watched(Network):
        def handle(self, event):
            if len(events) in (1_500, 2_500, 3_500):
                cut[len(events)] = self.to_snapshot()
            events.append(event)
            done = super().handle(event)
            actions.append(done)
            return done

    monkeypatch.setattr(cut_storm, "Network", Watched)
    cut_storm.storm(4, sites=60, associations=120)
    assert cut
    for place, snapshot in cut.items():
        again = Network.from_snapshot(snapshot)
        for event, done in zip(events[place:], actions[place:], strict=True):
            assert again.handle(event) == done


def test_a_question_about_many_failures_at_once_is_answered_as_the_storm_would_be() -> None:
    relays = "CDEFGH"
    spans = (("A", "B"), *((one, relay) for relay in relays for one in "AB"))
    show = network(*spans, rate=3_000)
    one = ask(show, 0, rate=2_000)
    failing = tuple(simulated_link_id("A", site) for site in "BCDEFG")
    before = show.network.to_snapshot()
    (told,) = what_if.what_if(show.network.state, what_if.Question(fail_links=failing), at=show.now)
    assert show.network.to_snapshot() == before
    assert told.fate is what_if.Fate.MOVED
    assert told.links == (simulated_link_id("A", "H"), simulated_link_id("H", "B"))
    assert way(show, one) == "AB"
