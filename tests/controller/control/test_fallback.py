"""Associations that may fall back to keys of ML-KEM: kept, opened without key, told of, and back again."""

from dataclasses import replace

import pytest

from keyweave_controller.control.events import AssociationRequested, Notified
from keyweave_controller.control.network import Network
from keyweave_controller.control.service import DEFAULT_SERVICE, Protection, Service
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.control.what_if import Fate, Question, what_if
from keyweave_controller.control.why import why
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.alarms import Alarm, AlarmSeverity, AlarmType
from keyweave_core.model.application import AppQos, KeyMode, KeyOrigin
from keyweave_core.model.ids import SaeId
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.notifications import Alarm as ToldAlarm
from keyweave_core.model.notifications import ApplicationReport, Event, LinkReport

CHAIN = [Span(a="A", b="B", skr_bps=10_000), Span(a="B", b="C", skr_bps=10_000)]
FALLS_BACK = Service(key_mode=KeyMode.PQC_FALLBACK)


@pytest.fixture
def show() -> Rehearsal:
    show = Rehearsal(nodes=simulate(CHAIN, {site: (f"sae:{site}",) for site in "ABC"}))
    show.start()
    return show


def ask(show: Rehearsal, service: Service = FALLS_BACK, rate: int = 1_000) -> Association | tuple[str, ...]:
    show.now += 1
    request_id = f"r{len(show.events)}"
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id=request_id,
            source=SaeId("sae:A"),
            destination=SaeId("sae:C"),
            qos=AppQos(min_bandwidth_bps=rate),
            service=service,
        )
    )
    show.settle()
    answer = show.answers()[request_id]
    return answer.reasons if answer.app_id is None else show.network.associations[answer.app_id]


def opened(show: Rehearsal, service: Service = FALLS_BACK, rate: int = 1_000) -> Association:
    found = ask(show, service, rate)
    assert isinstance(found, Association), found
    return found


def says(show: Rehearsal, site: str, notification: ToldAlarm | Event) -> None:
    show.feed(Notified(at=show.now, node_id=simulated_id(site), notification=notification))
    show.settle()


def set_fibre(show: Rehearsal, a: str, b: str, status: LinkStatus) -> None:
    """Both ends say so, and their trees too."""
    link_id = simulated_link_id(a, b)
    for site in (a, b):
        node = show.nodes[simulated_id(site)]
        node.fixed = replace(
            node.fixed,
            links=tuple(
                replace(link, status=status) if link.link_id == link_id else link for link in node.fixed.links
            ),
        )
        make = Event if status is LinkStatus.ACTIVE else ToldAlarm
        says(show, site, make(link=LinkReport(link_id=link_id, status=status, message="by hand")))


def origin(show: Rehearsal, one: Association, made_of: KeyOrigin, site: str = "A") -> None:
    report = ApplicationReport(app_id=one.app_id, origin=made_of, message="pools are empty")
    says(show, site, ToldAlarm(application=report) if made_of is KeyOrigin.PQC else Event(application=report))


def alarms(show: Rehearsal, kind: AlarmType) -> list[Alarm]:
    return [alarm for alarm in show.management.alarms() if alarm.type is kind and alarm.active]


def replayed(show: Rehearsal) -> None:
    """The journal of this story gives the same state."""
    again = Network()
    for event in show.events:
        again.handle(event)
    assert again.state == show.network.state


def test_a_cut_with_empty_pools_takes_nothing_from_the_nodes(show: Rehearsal) -> None:
    one = opened(show)
    held = {site: dict(show.nodes[simulated_id(site)].links) for site in "ABC"}
    set_fibre(show, "A", "B", LinkStatus.OFF)
    assert (one.state, one.outage_since) == (AssociationState.ACTIVE, None)
    assert {site: show.nodes[simulated_id(site)].links for site in "ABC"} == held
    assert one.app_id in show.nodes[simulated_id("C")].applications
    origin(show, one, KeyOrigin.PQC)
    (alarm,) = alarms(show, AlarmType.FALLBACK_ACTIVE)
    (cause,) = alarms(show, AlarmType.LINK_DOWN)
    assert (alarm.severity, alarm.affected, alarm.cause) == (
        AlarmSeverity.MAJOR,
        (one.app_id,),
        cause.alarm_id,
    )
    told = why(show.network.state, show.network.mesh, one.app_id, at=show.now)
    assert told.summary.endswith("; pools are empty")
    since = one.fallback_since
    origin(show, one, KeyOrigin.PQC)  # told again
    assert one.fallback_since == since
    set_fibre(show, "A", "B", LinkStatus.ACTIVE)
    origin(show, one, KeyOrigin.QKD)
    assert not alarms(show, AlarmType.FALLBACK_ACTIVE)
    assert (one.fallback, one.fallback_since, one.reasons) == ("", None, ())
    replayed(show)


def test_quantum_keys_alone_are_suspended_as_before(show: Rehearsal) -> None:
    one = opened(show, DEFAULT_SERVICE)
    set_fibre(show, "A", "B", LinkStatus.OFF)
    assert one.state is AssociationState.SUSPENDED


def test_only_the_source_says_what_keys_are_made_of(show: Rehearsal) -> None:
    one = opened(show)
    origin(show, one, KeyOrigin.PQC, site="C")
    assert not one.fallback


def test_a_tree_tells_what_was_missed(show: Rehearsal) -> None:
    one = opened(show)
    node = show.nodes[simulated_id("A")]
    node.applications[one.app_id] = replace(node.applications[one.app_id], origin=KeyOrigin.PQC)
    show.disconnect(simulated_id("A"))
    show.connect(simulated_id("A"))
    assert one.fallback
    node.applications[one.app_id] = replace(node.applications[one.app_id], origin=KeyOrigin.QKD)
    show.disconnect(simulated_id("A"))
    show.connect(simulated_id("A"))
    assert not one.fallback


def test_opened_without_any_key_and_whole_when_key_comes(show: Rehearsal) -> None:
    for a, b in ("AB", "BC"):
        set_fibre(show, a, b, LinkStatus.OFF)
    one = opened(show)
    assert one.state is AssociationState.ACTIVE
    assert one.path is not None
    assert one.path.hops == 2
    for a, b in ("AB", "BC"):
        set_fibre(show, a, b, LinkStatus.ACTIVE)
    show.advance(120)
    assert one.degraded_bps is None
    held = [link.reserved_bps[one.path.link_id] for link in show.network.state.links.values()]
    assert held == [one.path.hop_bps] * 2
    assert one.reasons == ()
    replayed(show)


def test_it_promises_no_more_than_its_links_have(show: Rehearsal) -> None:
    other = opened(show, replace(DEFAULT_SERVICE), rate=8_000)
    for a, b in ("AB", "BC"):
        set_fibre(show, a, b, LinkStatus.OFF)
    show.nodes[simulated_id("B")].fixed = replace(show.nodes[simulated_id("B")].fixed, consumers=("sae:B",))
    show.now += 1
    wish = AssociationRequested(
        at=show.now,
        request_id="second",
        source=SaeId("sae:B"),
        destination=SaeId("sae:C"),
        qos=AppQos(min_bandwidth_bps=5_000),
        service=FALLS_BACK,
    )
    show.feed(wish)
    show.settle()
    app_id = show.answers()["second"].app_id
    assert app_id is not None
    one = show.network.associations[app_id]
    link = show.network.state.links[simulated_link_id("B", "C")]
    assert sum(link.reserved_bps.values()) <= 9_000
    assert one.degraded_bps is not None
    assert other.path is not None
    assert link.reserved_bps[other.path.link_id] == other.path.hop_bps


def test_where_key_is_made_and_room_lacks_it_is_refused(show: Rehearsal) -> None:
    reasons = ask(show, rate=20_000)
    assert isinstance(reasons, tuple)
    assert any("lacks" in reason for reason in reasons)


def test_without_fallback_nothing_opens_where_no_key_is_made(show: Rehearsal) -> None:
    set_fibre(show, "A", "B", LinkStatus.OFF)
    assert isinstance(ask(show, DEFAULT_SERVICE), tuple)
    assert isinstance(ask(show, Service(key_mode=KeyMode.HYBRID)), tuple)


def test_a_share_threshold_keeps_serving_while_enough_ways_stand() -> None:
    spans = [Span(a=a, b=b, skr_bps=10_000) for a, b in ("AB", "BD", "AC", "CD", "AE", "ED")]
    show = Rehearsal(nodes=simulate(spans, {"A": ("sae:A",), "D": ("sae:C",)}))
    show.start()
    one = opened(show, Service(protection=Protection.ONE_PLUS_ONE, ways=3, share_threshold=2))
    set_fibre(show, "A", "B", LinkStatus.OFF)
    assert one.state is AssociationState.ACTIVE
    assert any("carries no shares" in reason for reason in one.reasons)
    set_fibre(show, "A", "C", LinkStatus.OFF)
    assert one.state is AssociationState.SUSPENDED
    set_fibre(show, "A", "C", LinkStatus.ACTIVE)
    set_fibre(show, "A", "B", LinkStatus.ACTIVE)
    assert (one.state, one.reasons) == (AssociationState.ACTIVE, ())
    replayed(show)


def fates(show: Rehearsal, *fibres: str) -> dict[str, tuple[Fate, tuple[str, ...]]]:
    links = tuple(simulated_link_id(*fibre) for fibre in fibres)
    answer = what_if(show.network.state, Question(fail_links=links), at=show.now)
    return {one.id: (one.fate, one.reasons) for one in answer}


def test_what_if_knows_of_fallback_and_thresholds(show: Rehearsal) -> None:
    one = opened(show)
    fate, reasons = fates(show, "AB")[one.app_id]
    assert fate is Fate.DEGRADED
    assert "ML-KEM" in reasons[0]
    spans = [Span(a=a, b=b, skr_bps=10_000) for a, b in ("AB", "BD", "AC", "CD", "AE", "ED")]
    show = Rehearsal(nodes=simulate(spans, {"A": ("sae:A",), "D": ("sae:C",)}))
    show.start()
    one = opened(show, Service(protection=Protection.ONE_PLUS_ONE, ways=3, share_threshold=2))
    assert fates(show, "AB")[one.app_id][0] is Fate.DEGRADED
    assert fates(show, "AB", "AC")[one.app_id][0] is Fate.LOST
