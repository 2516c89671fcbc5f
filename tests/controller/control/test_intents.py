"""The operator's configuration: whole or not at all, kept across restarts, governing what it names."""

import json

import pytest

from keyweave_controller.control import admission
from keyweave_controller.control.actions import Answer, Changed
from keyweave_controller.control.configuration import (
    ConfiguredAssociation,
    OperatorConfiguration,
    Policy,
    Tariff,
    Tenant,
)
from keyweave_controller.control.events import (
    AssociationClosed,
    AssociationRequested,
    ConfigurationAbandoned,
    ConfigurationKept,
    Notified,
    OperatorConfigured,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.alarms import Alarm, AlarmType
from keyweave_core.model.application import AppQos
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.notifications import (
    ApplicationDisconnected,
    ApplicationNew,
    ApplicationQosUpdate,
    Event,
    LinkReport,
)

A, B, C = (simulated_id(name) for name in "ABC")


@pytest.fixture
def show() -> Rehearsal:
    """A - B - C, 100 kbit/s each, 90 of it to promise."""
    spans = [Span(a="A", b="B", skr_bps=100_000), Span(a="B", b="C", skr_bps=100_000)]
    served = {"A": ("sae:a", "sae:a2"), "B": ("sae:b",), "C": ("sae:c", "sae:c2")}
    rehearsal = Rehearsal(nodes=simulate(spans, served))
    rehearsal.start()
    return rehearsal


def entry(
    name: str, source: str = "sae:a", destination: str = "sae:c", **more: object
) -> ConfiguredAssociation:
    rate = more.pop("rate", None)
    return ConfiguredAssociation(
        name=name, source=source, destination=destination, qos=AppQos(min_bandwidth_bps=rate), **more
    )


def configure(
    show: Rehearsal, request_id: str, *, settle: bool = True, kept: bool = True, **what: object
) -> Answer | None:
    show.now += 1
    event = OperatorConfigured(
        at=show.now,
        request_id=request_id,
        configuration=OperatorConfiguration(**what),
        requester="op",
        kept=kept,
    )
    show.feed(event)
    if settle:
        show.settle()
    return show.answers().get(request_id)


def live(show: Rehearsal) -> dict[str, Association]:
    return {one.configured_as: one for one in show.network.associations.values() if one.live}


def restart(show: Rehearsal) -> None:
    show.waiting.clear()
    show.timers.clear()
    show.network = Network.from_snapshot(json.loads(json.dumps(show.network.to_snapshot())))
    show.start()


def alarms(show: Rehearsal) -> list[Alarm]:
    """Alarms about entries, by name."""
    about = (one for one in show.management.alarms() if one.resource.startswith("configured:"))
    return sorted(about, key=lambda one: one.resource)


def nothing_held(show: Rehearsal) -> bool:
    return not any(node.links or node.applications for node in show.nodes.values())


def test_what_is_configured_becomes_active_and_what_is_deleted_goes(show: Rehearsal) -> None:
    answer = configure(show, "1", associations=(entry("one"), entry("two", "sae:a2", rate=5_000)))
    assert answer == Answer(request_id="1")
    assert {name: one.state for name, one in live(show).items()} == {
        "one": AssociationState.ACTIVE,
        "two": AssociationState.ACTIVE,
    }
    assert live(show)["two"].reserved_bps == 5_000
    assert live(show)["one"].requested_by == "op"
    assert configure(show, "2", associations=(entry("one"),)) == Answer(request_id="2")
    assert list(live(show)) == ["one"]
    configure(show, "3")
    assert not live(show)
    assert nothing_held(show)


def test_the_answer_comes_only_when_the_network_has_granted_everything(show: Rehearsal) -> None:
    assert configure(show, "1", settle=False, associations=(entry("one"),)) is None
    assert show.network.state.operator == OperatorConfiguration()
    show.settle()
    assert show.answers()["1"] == Answer(request_id="1")
    assert show.network.state.operator.associations == (entry("one"),)


def test_one_refusal_leaves_everything_as_it_was(show: Rehearsal) -> None:
    kept = entry("kept", "sae:a2", "sae:b", rate=10_000)
    configure(show, "1", associations=(kept,))
    before = live(show)["kept"].app_id
    answer = configure(
        show,
        "2",
        policy=Policy(usable_share=0.95),
        tenants=(Tenant(name="bank"),),
        associations=(entry("fits", rate=20_000), entry("large", "sae:b", "sae:c2", rate=200_000)),
    )
    assert answer is not None
    assert answer.about == ("association/large",)
    assert "lacks" in answer.reasons[0]
    assert {one.app_id for one in live(show).values()} == {before}
    assert show.network.policy == Policy()
    assert not show.network.state.tenants
    assert show.network.state.operator.associations == (kept,)
    assert sum(admission.reserved_bps(link) for link in show.network.links.values()) == 10_625


def test_a_node_that_refuses_undoes_the_change(show: Rehearsal) -> None:
    show.nodes[B].refusal = "not today"
    answer = configure(show, "1", associations=(entry("one"), entry("near", "sae:a2", "sae:a")))
    assert answer is not None
    assert any("not today" in reason for reason in answer.reasons)
    show.nodes[B].refusal = ""
    show.advance(10)
    assert not live(show)
    assert nothing_held(show)


def test_qualities_change_in_place(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one", rate=10_000),))
    before = live(show)["one"].app_id
    assert configure(show, "2", associations=(entry("one", rate=60_000, priority=7),)) == Answer(
        request_id="2"
    )
    one = live(show)["one"]
    assert (one.app_id, one.reserved_bps, one.priority) == (before, 60_000, 7)
    answer = configure(show, "3", associations=(entry("one", rate=95_000),))
    assert answer is not None
    assert set(answer.about) == {"association/one"}
    assert live(show)["one"].reserved_bps == 60_000
    assert configure(show, "4", associations=(entry("one", rate=1_000),)) == Answer(request_id="4")
    assert live(show)["one"].reserved_bps == 1_000


def test_what_was_raised_goes_back_when_another_entry_is_refused_by_a_node(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one", rate=10_000), entry("far", "sae:b", rate=10_000)))
    configure(
        show, "2", settle=False, associations=(entry("one", rate=20_000), entry("far", "sae:b", rate=30_000))
    )
    for node in (B, B, C, C, A):
        show.work(node)
    show.nodes[A].refusal = "full"
    show.settle()
    show.advance(5)
    answer = show.answers()["2"]
    assert "full" in answer.reasons[0]
    assert {name: one.reserved_bps for name, one in live(show).items()} == {"one": 10_000, "far": 10_000}
    assert {one.bandwidth_bps for one in _paths(show)} == {10_000}


def _paths(show: Rehearsal) -> list:
    return [one.path for one in show.network.associations.values() if one.live and one.path]


def test_another_destination_is_a_new_association_and_the_old_one_ends(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"),))
    before = live(show)["one"].app_id
    configure(show, "2", associations=(entry("one", destination="sae:b"),))
    assert list(live(show)) == ["one"]
    assert live(show)["one"].destination == "sae:b"
    assert live(show)["one"].app_id != before


def test_another_name_keeps_the_association(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"),))
    before = live(show)["one"].app_id
    configure(show, "2", associations=(entry("uno"),))
    assert live(show)["uno"].app_id == before


def test_an_association_that_exists_is_taken_over(show: Rehearsal) -> None:
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id="g",
            source="sae:a",
            destination="sae:c",
            qos=AppQos(),
            expires_at=show.now + 60,
        )
    )
    show.settle()
    before = show.answers()["g"].app_id
    configure(show, "1", associations=(entry("one", rate=7_000),))
    one = live(show)["one"]
    assert (one.app_id, one.reserved_bps, one.expires_at) == (before, 7_000, None)
    show.advance(120)
    assert live(show)["one"].state is AssociationState.ACTIVE


def test_only_the_configuration_ends_what_it_names(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"),))
    one = live(show)["one"]
    show.feed(AssociationClosed(at=show.now, request_id="c", app_id=one.app_id))
    assert "configured as one" in show.answers()["c"].reasons[0]
    gone = ApplicationDisconnected(app_id=one.app_id)
    show.feed(Notified(at=show.now, node_id=A, notification=gone))
    show.settle()
    assert one.state is AssociationState.ACTIVE


def test_an_agent_does_not_change_configured_qualities(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one", rate=5_000),))
    one = live(show)["one"]
    wish = ApplicationQosUpdate(app_id=one.app_id, qos=AppQos(min_bandwidth_bps=50_000))
    show.feed(Notified(at=show.now, node_id=A, notification=wish))
    show.settle()
    assert one.reserved_bps == 5_000
    assert show.nodes[A].applications[one.app_id].qos.min_bandwidth_bps == 5_000


def test_it_stays_configured_while_suspended(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"),))
    report = LinkReport(link_id=simulated_link_id("A", "B"), status=LinkStatus.OFF)
    show.feed(Notified(at=show.now, node_id=A, notification=Event(link=report)))
    show.settle()
    assert live(show)["one"].state is AssociationState.SUSPENDED
    assert configure(show, "2", policy=Policy(closed_kept=5), associations=(entry("one"),)) == Answer(
        request_id="2"
    )
    answer = configure(show, "3", associations=(entry("one", rate=9_000),))
    assert answer is not None
    assert "suspended" in answer.reasons[0]
    assert configure(show, "4") == Answer(request_id="4")
    assert not live(show)


def test_a_change_waits_for_an_association_that_is_on_its_way_out(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"),))
    configure(show, "2", settle=False)
    before = next(iter(show.network.associations))
    assert show.network.associations[before].state is AssociationState.CLOSING
    assert configure(show, "3", settle=False, associations=(entry("one"),)) is None
    show.settle()
    assert show.answers()["3"] == Answer(request_id="3")
    assert live(show)["one"].app_id != before


def test_two_changes_never_mix(show: Rehearsal) -> None:
    configure(show, "1", settle=False, associations=(entry("one"),))
    answer = configure(show, "2", settle=False)
    assert answer is not None
    assert "under way" in answer.reasons[0]
    configure(show, "1", associations=(entry("one"),))  # asked again: no second change
    assert len(show.network.associations) == 1


def test_a_change_nobody_waits_for_is_undone(show: Rehearsal) -> None:
    configure(show, "1", settle=False, associations=(entry("one"),))
    show.feed(ConfigurationAbandoned(at=show.now, request_id="1", reason="no outcome in time"))
    assert show.answers()["1"].reasons == ("no outcome in time",)
    show.settle()
    assert not live(show)
    assert nothing_held(show)
    configure(show, "2", associations=(entry("one"),))
    show.feed(ConfigurationAbandoned(at=show.now, request_id="2", reason="late"))
    assert show.answers()["2"] == Answer(request_id="2")
    assert "one" in live(show)


def test_a_restart_keeps_what_is_configured_and_undoes_what_was_under_way(show: Rehearsal) -> None:
    tenant = Tenant(name="bank", applications=("sae:a",), max_associations=1)
    configure(show, "1", associations=(entry("one"),), tenants=(tenant,), policy=Policy(max_relay_hops=3))
    configure(
        show,
        "2",
        settle=False,
        associations=(entry("one"), entry("two", "sae:b")),
        policy=Policy(closed_kept=1),
    )
    restart(show)
    show.advance(20)
    assert list(live(show)) == ["one"]
    assert show.network.policy == Policy(max_relay_hops=3)
    assert show.network.state.tenants == {"bank": tenant}
    assert show.answers()["2"].reasons == ("the controller was restarted meanwhile",)


def test_the_policy_of_the_settings_counts_until_one_is_configured(show: Rehearsal) -> None:
    show.start(Policy(max_relay_hops=5))
    assert show.network.policy.max_relay_hops == 5
    configure(show, "1", policy=Policy(max_relay_hops=7))
    show.start(Policy(max_relay_hops=6))
    assert show.network.policy.max_relay_hops == 7
    configure(show, "2")
    assert show.network.policy.max_relay_hops == 6


def test_bills_use_the_tariff_configured(show: Rehearsal) -> None:
    assert show.management.tariff == Tariff()
    configure(show, "1", tariff=Tariff(currency="CHF"))
    assert show.management.bill().currency == "CHF"
    configure(show, "2")
    assert show.management.bill().currency == "EUR"


def test_an_entry_that_lost_its_association_gets_one_after_a_restart(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"),))
    show.network.associations.clear()  # as after a store that was set back
    restart(show)
    show.advance(5)
    assert live(show)["one"].state is AssociationState.ACTIVE


def test_a_commit_that_was_not_confirmed_does_not_outlive_the_controller(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one", rate=50_000),))
    configure(show, "2", kept=False, associations=(entry("one", rate=10_000), entry("two", "sae:b")))
    answer = configure(show, "3", associations=())
    assert answer is not None
    assert "still to be confirmed" in answer.reasons[0]
    restart(show)
    show.advance(40)
    assert {name: one.reserved_bps for name, one in live(show).items()} == {"one": 50_000}
    configure(show, "4", kept=False, associations=())
    show.feed(ConfigurationKept(at=show.now, request_id="k"))
    restart(show)
    show.advance(40)
    assert not live(show)
    assert nothing_held(show)


def test_going_back_to_what_was_kept_needs_no_confirmation(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"),))
    configure(show, "2", kept=False, associations=())
    configure(show, "3", kept=False, associations=(entry("one"),))
    assert show.network.state.kept is None
    assert configure(show, "4", associations=()) == Answer(request_id="4")


def test_an_entry_without_room_is_tried_again(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one", rate=60_000),))
    configure(show, "2", kept=False, associations=())
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id="g",
            source="sae:a2",
            destination="sae:c",
            qos=AppQos(min_bandwidth_bps=60_000),
        )
    )
    show.settle()
    restart(show)
    show.advance(40)
    assert not live(show).get("one")
    (alarm,) = alarms(show)
    assert (alarm.resource, alarm.type) == ("configured:one", AlarmType.APP_QOS_VIOLATED)
    assert "one is not served: link A-B lacks" in alarm.text
    show.feed(AssociationClosed(at=show.now, request_id="x", app_id=show.answers()["g"].app_id))
    show.advance(40)
    assert live(show)["one"].reserved_bps == 60_000
    assert not alarms(show)
    show.advance(40)
    assert not show.network.state.timers


def test_the_alarm_of_an_entry_lasts_while_nodes_refuse_and_goes_with_the_entry(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one"), entry("two", "sae:b")))
    show.network.associations.clear()
    show.nodes[C].refusal = "not today"
    restart(show)
    for _ in range(4):
        show.advance(20)
        assert [one.text for one in alarms(show)] == [
            f"the configured association {name} is not served: node C refused: not today"
            for name in ("one", "two")
        ]
    assert len(show.management.alarms(cleared=True)) == 2, "raised once, however often it is tried"
    configure(show, "2", associations=(entry("two", "sae:b"),))
    assert [one.resource for one in alarms(show)] == ["configured:two"]
    show.nodes[C].refusal = ""
    show.advance(40)
    assert not alarms(show)


def test_what_expires_ends_and_its_entry_stays(show: Rehearsal) -> None:
    configure(show, "1", associations=(entry("one", expires_at=show.now + 50),))
    show.advance(60)
    assert not live(show)
    restart(show)
    show.settle()
    assert not live(show)
    later = entry("one", expires_at=show.now + 500)
    assert configure(show, "2", associations=(later,)) == Answer(request_id="2")
    longer = entry("one", expires_at=None)
    assert configure(show, "3", associations=(longer,)) == Answer(request_id="3")
    show.advance(1000)
    assert live(show)["one"].state is AssociationState.ACTIVE


@pytest.mark.parametrize(
    ("what", "about", "words"),
    [
        ({"associations": (entry("x"), entry("y"))}, "association/y", "association x already"),
        ({"associations": (entry("x"), entry("x", "sae:a2"))}, "association/x", "twice"),
        ({"associations": (entry("x", tenant="bank"),)}, "association/x", "no tenant bank"),
        ({"associations": (entry("x", "sae:a", "sae:a"),)}, "association/x", "with itself"),
        ({"associations": (entry("x", "sae:nobody"),)}, "association/x", "no node serves"),
        (
            {"tenants": (Tenant(name="p", applications=("s",)), Tenant(name="q", applications=("s",)))},
            "tenant/q",
            "belongs to tenant p",
        ),
    ],
)
def test_contradictions_are_named(show: Rehearsal, what: dict, about: str, words: str) -> None:
    answer = configure(show, "1", **what)
    assert answer is not None
    assert about in answer.about
    assert any(words in reason for reason in answer.reasons)
    assert not live(show)


class TestTenants:
    """Limits hold whoever asks and however."""

    def configured(self, show: Rehearsal, **limits: int) -> None:
        tenant = Tenant(name="bank", applications=("sae:a", "sae:a2"), **limits)
        assert configure(show, "t", tenants=(tenant,)) == Answer(request_id="t")

    def ask(self, show: Rehearsal, source: str, destination: str, rate: int | None = None) -> tuple[str, ...]:
        show.now += 1
        request_id = f"{source} {destination} {show.now}"
        show.feed(
            AssociationRequested(
                at=show.now,
                request_id=request_id,
                source=source,
                destination=destination,
                qos=AppQos(min_bandwidth_bps=rate),
            )
        )
        show.settle()
        return show.answers()[request_id].reasons

    def test_number_by_every_way_of_asking(self, show: Rehearsal) -> None:
        self.configured(show, max_associations=1)
        assert not self.ask(show, "sae:a", "sae:c")
        (reason,) = self.ask(show, "sae:a2", "sae:c")
        assert reason == "tenant bank has 1 key associations of at most 1"
        wish = ApplicationNew(server_app_id="sae:a2", client_app_ids=("sae:b",), local_node_id=A)
        show.feed(Notified(at=show.now, node_id=A, notification=wish))
        assert show.nodes[A].refused[-1][2] == (reason,)
        tenants = show.network.state.operator.tenants
        answer = configure(show, "c", tenants=tenants, associations=(entry("one", "sae:a2"),))
        assert answer is not None
        assert answer.reasons == (f"association/one: {reason}",)
        assert not self.ask(show, "sae:c", "sae:a")  # who is asked does not pay
        assert not self.ask(show, "sae:b", "sae:c")  # nobody's application

    def test_bandwidth_and_what_is_given_back(self, show: Rehearsal) -> None:
        self.configured(show, max_bandwidth_bps=12_000)
        assert not self.ask(show, "sae:a", "sae:c", 10_000)
        (reason,) = self.ask(show, "sae:a2", "sae:c", 3_000)
        assert "tenant bank has 10000 bit/s of at most 12000 bit/s reserved" in reason
        app_id = next(iter(show.network.associations))
        show.feed(AssociationClosed(at=show.now, request_id="x", app_id=app_id))
        assert not self.ask(show, "sae:a2", "sae:c", 3_000)

    def test_a_change_counts_what_the_association_has_already(self, show: Rehearsal) -> None:
        self.configured(show, max_bandwidth_bps=12_000)
        assert not self.ask(show, "sae:a", "sae:c", 10_000)
        one = next(iter(show.network.associations.values()))
        for rate, granted in ((12_000, 12_000), (13_000, 12_000), (4_000, 4_000)):
            wish = ApplicationQosUpdate(app_id=one.app_id, qos=AppQos(min_bandwidth_bps=rate))
            show.feed(Notified(at=show.now, node_id=A, notification=wish))
            show.settle()
            assert one.reserved_bps == granted

    def test_an_entry_may_run_on_the_account_of_another_tenant(self, show: Rehearsal) -> None:
        payer = Tenant(name="payer", max_associations=1)
        bank = Tenant(name="bank", applications=("sae:a", "sae:a2"), max_associations=0)
        first = entry("one", tenant="payer")
        assert configure(show, "1", tenants=(payer, bank), associations=(first,)) == Answer(request_id="1")
        answer = configure(
            show, "2", tenants=(payer, bank), associations=(first, entry("two", "sae:a2", tenant="payer"))
        )
        assert answer is not None
        assert "tenant payer" in answer.reasons[0]
        answer = configure(show, "3", tenants=(payer, bank), associations=(entry("one", tenant="bank"),))
        assert answer is not None
        assert "tenant bank has 0 key associations of at most 0" in answer.reasons[0]
        assert live(show)["one"].tenant == "payer"

    def test_watchers_hear_of_a_configuration(self, show: Rehearsal) -> None:
        self.configured(show, max_associations=1)
        assert any(isinstance(action, Changed) and action.configuration for action in show.actions)
