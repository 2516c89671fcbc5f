"""Intrusion, a key store that fails, messages without proof: what agents say of these, and what follows."""

from dataclasses import replace

import pytest
from tests.controller.control.plays import ask, live_one, nodes_over

from keyweave_controller.control.events import LinkReleased, Notified
from keyweave_controller.control.network import Network
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.alarms import Alarm, AlarmSeverity, AlarmType
from keyweave_core.model.application import AppStatus
from keyweave_core.model.link import LinkStatus, Quarantine
from keyweave_core.model.notifications import Alarm as ToldAlarm
from keyweave_core.model.notifications import ApplicationReport, Concern, Event, LinkReport

SQUARE = [Span(a=a, b=b, skr_bps=10_000) for a, b in ("AB", "BD", "AC", "CD")]
MEASURED = "QBER 14.1 % above 11.0 %; 4096 bits destroyed, 512 bits had been used"


@pytest.fixture
def show() -> Rehearsal:
    show = Rehearsal(nodes=simulate(SQUARE, {"A": ("sae:A",), "D": ("sae:D",)}))
    show.start()
    return show


def says(show: Rehearsal, site: str, notification: ToldAlarm | Event) -> None:
    show.feed(Notified(at=show.now, node_id=simulated_id(site), notification=notification))
    show.settle()


def alarms(show: Rehearsal, kind: AlarmType) -> list[Alarm]:
    return [alarm for alarm in show.management.alarms() if alarm.type is kind and alarm.active]


def between(show: Rehearsal) -> str:
    """The site between the ends of the only association."""
    ((_, site, _),) = nodes_over(show, live_one(show))
    return site


def suspected(show: Rehearsal, other: str) -> None:
    for site in ("A", other):
        says(
            show,
            site,
            ToldAlarm(
                link=LinkReport(
                    link_id=simulated_link_id("A", other),
                    status=LinkStatus.OFF,
                    message=MEASURED,
                    concern=Concern.INTRUSION,
                )
            ),
        )


def calm(show: Rehearsal, other: str, *sites: str) -> None:
    for site in sites or ("A", other):
        says(
            show,
            site,
            Event(
                link=LinkReport(
                    link_id=simulated_link_id("A", other),
                    status=LinkStatus.ACTIVE,
                    concern=Concern.INTRUSION,
                )
            ),
        )


def test_somebody_listening_moves_associations_and_is_critical(show: Rehearsal) -> None:
    assert not ask(show, "A", "D").reasons
    site = between(show)
    suspected(show, site)
    other = between(show)
    assert other != site
    (alarm,) = alarms(show, AlarmType.EAVESDROPPING_SUSPECTED)
    assert alarm.severity is AlarmSeverity.CRITICAL
    assert MEASURED in alarm.text
    assert "possible eavesdropping" in alarm.text
    calm(show, site, "A")
    assert alarms(show, AlarmType.EAVESDROPPING_SUSPECTED)  # the other end does not use it yet
    calm(show, site, site)
    assert not alarms(show, AlarmType.EAVESDROPPING_SUSPECTED)
    show.advance(31)  # wait to restore
    assert between(show) in (site, other)
    assert live_one(show).state is AssociationState.ACTIVE
    again = Network()
    for event in show.events:
        again.handle(event)
    assert again.state == show.network.state


def release(show: Rehearsal, a: str, b: str) -> tuple[str, ...]:
    show.now += 1
    request_id = f"release {len(show.events)}"
    link_id = simulated_link_id(a, b)
    show.feed(LinkReleased(at=show.now, request_id=request_id, link_id=link_id, requester="op"))
    return show.answers()[request_id].reasons


def test_the_operator_trusts_a_link_again(show: Rehearsal) -> None:
    assert any("is in no quarantine" in reason for reason in release(show, "A", "B"))
    assert any("there is no link" in reason for reason in release(show, "A", "D"))
    suspected(show, "B")
    assert release(show, "A", "B") == ()
    for site in "AB":
        assert show.nodes[simulated_id(site)].released == [simulated_link_id("A", "B")]
    assert alarms(show, AlarmType.EAVESDROPPING_SUSPECTED)  # until the ends say so
    show.disconnect(simulated_id("B"))
    assert any("cannot be reached" in reason for reason in release(show, "A", "B"))
    assert len(show.nodes[simulated_id("A")].released) == 1


def test_nothing_new_goes_over_a_link_in_quarantine_whatever_its_status(show: Rehearsal) -> None:
    for site in "BC":
        suspected(show, site)
        for end in ("A", site):  # a node that calls it active all the same
            link = LinkReport(link_id=simulated_link_id("A", site), status=LinkStatus.ACTIVE)
            says(show, end, Event(link=link))
    answer = ask(show, "A", "D")
    assert any("is in quarantine" in reason and MEASURED in reason for reason in answer.reasons)


def test_a_tree_tells_of_a_quarantine_that_nobody_heard_of(show: Rehearsal) -> None:
    node = show.nodes[simulated_id("A")]
    shut = Quarantine(reason=MEASURED, discarded_bits=4096, spent_bits=512)
    node.fixed = replace(node.fixed, links=tuple(replace(one, quarantine=shut) for one in node.fixed.links))
    show.disconnect(node.fixed.node_id)
    show.connect(node.fixed.node_id)
    assert len(alarms(show, AlarmType.EAVESDROPPING_SUSPECTED)) == 2


def test_a_stranger_cannot_put_the_links_of_others_into_quarantine(show: Rehearsal) -> None:
    report = LinkReport(
        link_id=simulated_link_id("A", "B"), status=LinkStatus.OFF, message="x", concern=Concern.INTRUSION
    )
    says(show, "D", ToldAlarm(link=report))
    assert not alarms(show, AlarmType.EAVESDROPPING_SUSPECTED)


def test_a_key_store_that_cannot_be_written_is_one_alarm_of_its_node(show: Rehearsal) -> None:
    for link_id in (simulated_link_id("A", "B"), simulated_link_id("B", "D")):
        report = LinkReport(link_id=link_id, message="No space left on device", concern=Concern.KEY_STORE)
        says(show, "B", ToldAlarm(link=report))
    (alarm,) = alarms(show, AlarmType.KEY_STORE_FAILED)
    assert (alarm.resource_name, alarm.text) == ("B", "No space left on device")
    for link_id in (simulated_link_id("A", "B"), simulated_link_id("B", "D")):
        says(show, "B", Event(link=LinkReport(link_id=link_id, message="well", concern=Concern.KEY_STORE)))
    assert not alarms(show, AlarmType.KEY_STORE_FAILED)


def test_messages_without_proof_are_told_from_other_trouble(show: Rehearsal) -> None:
    ask(show, "A", "D")
    one = live_one(show)
    assert one.path is not None
    link = LinkReport(link_id=one.path.link_id, message="wrong tag", concern=Concern.AUTHENTICATION)
    entry = ApplicationReport(app_id=one.app_id, message="wrong tag")
    says(show, "A", ToldAlarm(link=link, application=entry))
    (alarm,) = alarms(show, AlarmType.AUTHENTICATION_FAILED)
    assert not alarms(show, AlarmType.RELAY_FAILED)
    assert alarm.severity is AlarmSeverity.MAJOR
    says(show, "A", ToldAlarm(link=replace(link, concern=None), application=entry))
    assert alarms(show, AlarmType.RELAY_FAILED)
    assert not alarms(show, AlarmType.AUTHENTICATION_FAILED)
    says(show, "A", Event(application=replace(entry, status=AppStatus.ON)))
    assert not alarms(show, AlarmType.RELAY_FAILED)


def test_nodes_in_the_words_of_an_agent_get_their_names(show: Rehearsal) -> None:
    ask(show, "A", "D")
    one = live_one(show)
    message = f"no pad (at node {simulated_id('B')}, link {one.app_id})"
    says(show, "A", ToldAlarm(application=ApplicationReport(app_id=one.app_id, message=message)))
    (alarm,) = alarms(show, AlarmType.RELAY_FAILED)
    assert f"no pad (at node B, link {one.app_id})" in alarm.text
