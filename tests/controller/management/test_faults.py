"""Alarms: raised once, cleared once, with those they hurt."""

from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    AssociationRequested,
    ControllerStarted,
    InventoryNode,
    LinkMeasure,
    LinksMeasured,
    NodeLost,
    NodeRead,
    NodeRejected,
    Notified,
)
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management import faults
from keyweave_controller.management.alarms import AlarmChanged, AlarmType
from keyweave_controller.management.manager import Management
from keyweave_core.model.application import AppQos, AppStatus
from keyweave_core.model.link import InterfaceStatus, LinkPerformance, LinkStatus
from keyweave_core.model.notifications import (
    Alarm,
    ApplicationReport,
    Event,
    InterfaceDown,
    InterfaceReport,
    LinkDown,
    LinkOverloaded,
    LinkReport,
)

A, B, C = (simulated_id(name) for name in "ABC")
AB, BC = simulated_link_id("A", "B"), simulated_link_id("B", "C")


def line() -> Rehearsal:
    show = Rehearsal(
        nodes=simulate([Span(a="A", b="B"), Span(a="B", b="C")], {"A": ("sae:a",), "C": ("sae:c",)})
    )
    show.start()
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id="r",
            source="sae:a",
            destination="sae:c",
            qos=AppQos(min_bandwidth_bps=500_000),
            requester="operator",
        )
    )
    show.settle()
    return show


def say(show: Rehearsal, node_id: str, notification: object) -> list[AlarmChanged]:
    event = Notified(at=show.now, node_id=node_id, notification=notification)
    actions = show.network.handle(event)
    return show.management.handle(event, actions, show.network)


def types(show: Rehearsal) -> list[str]:
    return [alarm.type for alarm in show.management.alarms()]


def status(link_id: str, value: LinkStatus) -> Event:
    return Event(link=LinkReport(link_id=link_id, status=value))


def test_one_cut_is_one_alarm_whoever_tells_it_how_often() -> None:
    show = line()
    (raised,) = say(show, B, LinkDown(link_id=BC, reason="loss of light"))
    assert raised.alarm.active
    assert raised.alarm.affected == tuple(show.network.associations)
    for node_id in (C, B, C):
        assert say(show, node_id, LinkDown(link_id=BC, reason="loss of light")) == []
    assert say(show, C, Alarm(link=LinkReport(link_id=BC, status=LinkStatus.PASSIVE))) == []
    assert types(show) == [AlarmType.LINK_DOWN]
    assert say(show, B, status(BC, LinkStatus.ACTIVE)) == []
    show.now += 5
    (cleared,) = say(show, C, status(BC, LinkStatus.ACTIVE))
    assert (cleared.alarm.cleared_at, cleared.alarm.alarm_id) == (show.now, raised.alarm.alarm_id)
    assert say(show, C, status(BC, LinkStatus.ACTIVE)) == []
    assert types(show) == []
    assert [one.alarm_id for one in show.management.alarms(cleared=True)] == [raised.alarm.alarm_id]


def test_a_suspended_association_hangs_under_the_link() -> None:
    show = line()
    say(show, B, LinkDown(link_id=BC))
    say(show, C, status(BC, LinkStatus.OFF))
    link, association = show.management.alarms()
    assert (association.type, association.cause) == (AlarmType.APP_QOS_VIOLATED, link.alarm_id)
    show.now += 12
    say(show, B, status(BC, LinkStatus.ACTIVE))
    say(show, C, status(BC, LinkStatus.ACTIVE))
    assert types(show) == []
    (one,) = show.network.associations.values()
    assert one.outage_s == 12


def test_a_rate_below_the_promises_is_overbooked_until_it_is_back() -> None:
    show = line()

    def measure(rate_bps: int) -> None:
        figures = LinkMeasure(link_id=AB, performance=LinkPerformance(skr_bps=rate_bps))
        show.feed(LinksMeasured(at=show.now, node_id=A, links=(figures,)))

    measure(300_000)
    (alarm,) = show.management.alarms()
    assert alarm.type == AlarmType.CAPACITY_OVERBOOKED
    assert alarm.text == "link A-B promises 500000 bit/s of 270000 bit/s" or "B-A" in alarm.text
    (one,) = show.network.associations.values()
    assert one.state == "active"
    measure(1_000_000)
    assert types(show) == []
    overloaded = LinkPerformance(expected_consumption_bps=2_000_000, skr_bps=1_000_000)
    say(show, A, LinkOverloaded(link_id=AB, performance=overloaded))
    assert types(show) == [AlarmType.CAPACITY_OVERBOOKED]
    figures = LinkPerformance(expected_consumption_bps=10, skr_bps=1_000_000)
    show.feed(LinksMeasured(at=show.now, node_id=A, links=(LinkMeasure(link_id=AB, performance=figures),)))
    assert types(show) == []


def test_a_failed_interface_takes_its_link_down() -> None:
    show = line()
    say(show, A, InterfaceDown(interface_id=1, reason="laser"))
    assert types(show) == [AlarmType.INTERFACE_FAILED, AlarmType.LINK_DOWN]
    assert "interface 1 of A: laser" in show.management.alarms()[1].text
    say(show, A, Event(interface=InterfaceReport(interface_id=1, status=InterfaceStatus.ENABLED)))
    say(show, A, status(AB, LinkStatus.ACTIVE))
    assert types(show) == []


def test_a_lost_node_is_alarmed_and_forgiven_and_keys_flow_meanwhile() -> None:
    show = line()
    show.disconnect(B, "connection reset")
    (alarm,) = show.management.alarms()
    assert (alarm.type, alarm.text, alarm.resource_name) == (
        AlarmType.NODE_UNREACHABLE,
        "connection reset",
        "B",
    )
    assert alarm.affected == tuple(show.network.associations)
    assert show.network.nodes[B].status == "FAILURE"
    assert next(iter(show.network.associations.values())).state == "active"
    show.connect(B)
    assert types(show) == []
    assert show.network.nodes[B].status == "OPERATING"


def test_agents_never_read_and_agents_not_believed() -> None:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B")]))
    inventory = tuple(InventoryNode(name=name) for name in "ABX")
    show.feed(ControllerStarted(at=1.0, policy=Policy(), inventory=inventory))
    show.feed(NodeLost(at=1.0, name="X", reason="connection refused"))
    show.feed(NodeRejected(at=1.0, name="A", faults=("no qkdn_id",)))
    show.connect(B)
    assert [(one.type, one.resource) for one in show.management.alarms()] == [
        (AlarmType.NODE_UNREACHABLE, "agent:X"),
        (AlarmType.CONFIG_MISMATCH, "agent:A"),
    ]
    show.connect(A)
    double = show.nodes[A].tree()
    show.feed(NodeRead(at=2.0, name="X", node=double))
    (alarm,) = show.management.alarms()
    assert alarm.text == f"node id {A} belongs to agent A"
    assert show.network.nodes[A].name == "A"
    show.feed(ControllerStarted(at=3.0, policy=Policy(), inventory=inventory[:2]))
    assert types(show) == []


def test_history_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(faults, "HISTORY_KEPT", 3)
    show = line()
    for _ in range(5):
        show.now += 3_600.0  # so far apart that the link does not count as flapping
        say(show, B, LinkDown(link_id=BC))
        say(show, B, status(BC, LinkStatus.ACTIVE))
    assert [one.alarm_id for one in show.management.alarms(cleared=True)] == ["3", "4", "5"]


def test_requests_are_audited_and_all_survives_a_snapshot() -> None:
    show = line()
    say(show, B, LinkDown(link_id=BC))
    (entry,) = show.management.audit()
    assert (entry.requester, entry.asked, entry.reasons) == ("operator", "open sae:a -> sae:c", ())
    again = Management.from_snapshot(show.management.to_snapshot())
    assert again.alarms() == show.management.alarms()
    assert again.audit() == show.management.audit()
    assert again.to_snapshot() == show.management.to_snapshot()


def test_an_interface_whose_link_makes_key_again_has_not_failed() -> None:
    show = line()
    say(show, A, InterfaceDown(interface_id=1, reason="laser"))
    say(show, A, status(AB, LinkStatus.ACTIVE))
    assert types(show) == []


def test_a_complaint_about_an_association_is_alarmed_and_ages() -> None:
    show = line()
    (app_id,) = show.network.associations
    complaint = Alarm(application=ApplicationReport(app_id=app_id, message="no pad left at B"))
    event = Notified(at=show.now, node_id=A, notification=complaint)
    show.feed(event)
    show.feed(event)
    (alarm,) = show.management.alarms()
    assert (alarm.type, alarm.text) == (AlarmType.RELAY_FAILED, "A: no pad left at B")
    show.advance(61)
    assert types(show) == []
    say(show, A, Alarm(application=ApplicationReport(app_id="ghost")))
    assert types(show) == []


def test_a_complaint_ends_when_keys_get_through_again() -> None:
    show = line()
    (app_id,) = show.network.associations
    complaint = Alarm(application=ApplicationReport(app_id=app_id, message="no pad left at B"))
    say(show, A, complaint)
    assert types(show) == [AlarmType.RELAY_FAILED]
    say(show, A, Event(application=ApplicationReport(app_id=app_id, status=AppStatus.DISCONNECTED)))
    assert types(show) == [AlarmType.RELAY_FAILED]
    say(show, A, Event(application=ApplicationReport(app_id=app_id, status=AppStatus.ON)))
    assert types(show) == []


def test_a_link_that_has_not_told_its_rate_is_not_overbooked() -> None:
    show = line()
    figures = LinkMeasure(link_id=AB, performance=LinkPerformance(skr_bps=0))
    show.feed(LinksMeasured(at=show.now, node_id=A, links=(figures,)))
    assert types(show) == []


def test_an_overload_told_by_an_agent_that_died_since_does_not_stand_for_ever() -> None:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B")], {}))
    show.start()
    figures = LinkPerformance(skr_bps=1_000_000, expected_consumption_bps=0)
    say(show, A, LinkOverloaded(link_id=AB, performance=figures))
    assert AlarmType.CAPACITY_OVERBOOKED in types(show)
    show.disconnect(A)
    show.connect(A)
    show.settle()
    assert types(show) == []
