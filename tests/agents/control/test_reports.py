"""What becomes a notification, which one, and how often."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.control.pacing import Pace
from keyweave_agents.control.reports import of_key_event, of_module_event
from keyweave_agents.keys.plan import (
    AssociationExpired,
    AssociationRemoved,
    AssociationWanted,
    FallbackBegan,
    FallbackEnded,
    PoolEmptied,
    PoolFilled,
    RelayRestored,
    RelayTrouble,
    StoreRestored,
    StoreTrouble,
)
from keyweave_agents.quantum.observed import (
    DownCause,
    FiguresChanged,
    IntrusionOver,
    IntrusionSuspected,
    LinkDown,
    LinkUp,
)
from keyweave_core.model import notifications as told
from keyweave_core.model.application import (
    Application,
    AppQos,
    AppStatistics,
    AppStatus,
    AppType,
    KeyMode,
    KeyOrigin,
)
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    InterfaceStatus,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkType,
    Quarantine,
)
from keyweave_core.model.node import Node

ME = NodeId("aaaaaaaa-0000-4000-8000-000000000000")
FIBRE = LinkId("11111111-0000-4000-8000-000000000001")
PATH = LinkId("11111111-0000-4000-8000-000000000002")
APP = AppId("22222222-0000-4000-8000-000000000001")
ALICE, BOB = SaeId("alice"), SaeId("bob")
FIGURES = LinkPerformance(skr_bps=10_000, eskr_bps=9_000, qber=0.02)


def node(status: LinkStatus = LinkStatus.PASSIVE, module: InterfaceStatus = InterfaceStatus.ENABLED) -> Node:
    return Node(
        node_id=ME,
        interfaces=(Interface(interface_id=InterfaceId(4), status=module),),
        links=(
            Link(
                link_id=FIBRE,
                type=LinkType.PHYS,
                status=status,
                local=Endpoint(node_id=ME, interface_id=InterfaceId(4)),
                performance=FIGURES,
            ),
            Link(link_id=PATH, type=LinkType.VIRT, status=LinkStatus.ACTIVE),
        ),
        applications=(
            Application(app_id=APP, type=AppType.CLIENT, status=AppStatus.ON, backing_link_ids=(PATH,)),
        ),
    )


def test_an_application_that_wants_keys_is_told_with_what_it_asks_for() -> None:
    qos = AppQos(min_bandwidth_bps=1_000, ttl_s=60)
    event = AssociationWanted(server=ALICE, clients=(BOB,), qos=qos, priority=5)
    assert of_key_event(event, node(), {}) == (
        told.ApplicationNew(
            app_type=AppType.CLIENT,
            server_app_id=ALICE,
            client_app_ids=(BOB,),
            priority=5,
            local_node_id=ME,
            qos=qos,
        ),
    )


def test_a_lost_fibre_is_link_down_and_one_major_alarm() -> None:
    sent = of_module_event(LinkDown(link_id=FIBRE, cause=DownCause.FIBRE, reason="no light"), node())
    assert sent == (
        told.LinkDown(link_id=FIBRE, reason="no light"),
        told.Alarm(
            link=told.LinkReport(
                link_id=FIBRE, status=LinkStatus.PASSIVE, message="no light", severity=told.Severity.MAJOR
            )
        ),
    )


def test_a_failed_module_is_named_too() -> None:
    event = LinkDown(link_id=FIBRE, cause=DownCause.MISMATCH, reason="wrong peer")
    sent = of_module_event(event, node(module=InterfaceStatus.FAILED))
    assert sent[0] == told.InterfaceDown(interface_id=InterfaceId(4), reason="wrong peer")
    assert [type(each) for each in sent[1:]] == [told.LinkDown, told.Alarm]


@pytest.mark.parametrize("cause", [DownCause.SWITCHED_OFF, DownCause.PEER_OFF])
def test_nobody_is_alarmed_by_what_somebody_ordered(cause: DownCause) -> None:
    sent = of_module_event(LinkDown(link_id=FIBRE, cause=cause, reason="told to"), node())
    assert [type(each) for each in sent] == [told.LinkDown, told.Event]


def test_a_link_that_is_up_again_says_so_with_its_figures() -> None:
    sent = of_module_event(LinkUp(link_id=FIBRE), node(LinkStatus.ACTIVE))
    assert isinstance(sent[0], told.Event)
    assert sent[0].link is not None
    assert sent[0].link.status is LinkStatus.ACTIVE
    assert sent[1] == told.LinkPerfUpdate(link_id=FIBRE, performance=FIGURES)


def test_changed_figures_are_a_performance_update() -> None:
    sent = of_module_event(FiguresChanged(link_id=FIBRE), node())
    assert sent == (told.LinkPerfUpdate(link_id=FIBRE, performance=FIGURES),)


@pytest.mark.parametrize(
    ("skr", "expected", "overloaded"), [(10_000, 9_000, False), (10_000, 10_001, True), (0, 10, False)]
)
def test_a_link_with_more_reserved_than_made_is_overloaded(skr: int, expected: int, overloaded: bool) -> None:
    figures = LinkPerformance(skr_bps=skr, expected_consumption_bps=expected)
    tree = node()
    tree = replace(tree, links=(replace(tree.links[0], performance=figures), tree.links[1]))
    sent = of_module_event(FiguresChanged(link_id=FIBRE), tree)
    assert any(isinstance(each, told.LinkOverloaded) for each in sent) == overloaded


def test_an_empty_pool_is_an_alarm_when_nothing_comes_after_and_overload_when_key_is_made() -> None:
    (dry,) = of_key_event(PoolEmptied(link_id=FIBRE), node(LinkStatus.OFF), {})
    assert isinstance(dry, told.Alarm)
    assert dry.link is not None
    assert (dry.link.status, dry.link.severity) == (LinkStatus.OFF, told.Severity.MAJOR)
    (busy,) = of_key_event(PoolEmptied(link_id=FIBRE), node(LinkStatus.ACTIVE), {})
    assert busy == told.LinkOverloaded(link_id=FIBRE, performance=FIGURES)


def test_a_filled_pool_is_an_event() -> None:
    sent, figures = of_key_event(PoolFilled(link_id=FIBRE), node(), {})
    assert isinstance(figures, told.LinkPerfUpdate)
    assert isinstance(sent, told.Event)
    assert sent.link is not None
    assert sent.link.status is LinkStatus.PASSIVE


def test_an_expired_association_is_disconnected() -> None:
    assert of_key_event(AssociationExpired(app_id=APP), node(), {}) == (
        told.ApplicationDisconnected(app_id=APP),
    )


def test_a_removed_association_leaves_its_periods_with_the_controller() -> None:
    rows = (AppStatistics(end_time="2026-11-21T10:00:00Z", consumed_bits=256),)
    (sent,) = of_key_event(AssociationRemoved(app_id=APP, statistics=rows), node(), {})
    assert isinstance(sent, told.Event)
    assert sent.application is not None
    assert (sent.application.app_id, sent.application.last_periods) == (APP, rows)


def test_trouble_on_a_path_names_the_path_and_who_suffers() -> None:
    (sent,) = of_key_event(RelayTrouble(link_id=PATH, reason="no pad at the next hop"), node(), {})
    assert isinstance(sent, told.Alarm)
    assert sent.link is not None
    assert sent.application is not None
    assert (sent.link.link_id, sent.link.severity) == (PATH, told.Severity.MINOR)
    assert (sent.application.app_id, sent.application.status) == (APP, AppStatus.ON)


def test_the_end_of_trouble_is_an_event_about_the_same() -> None:
    (sent,) = of_key_event(RelayRestored(link_id=PATH), node(), {})
    assert isinstance(sent, told.Event)
    assert sent.link is not None
    assert sent.application is not None
    assert (sent.link.link_id, sent.application.app_id, sent.application.status) == (PATH, APP, AppStatus.ON)


def test_trouble_on_a_derived_route_names_the_physical_link() -> None:
    derived = LinkId("99999999-0000-4000-8000-000000000001")
    (sent,) = of_key_event(RelayTrouble(link_id=derived, reason="x"), node(), {derived: FIBRE})
    assert isinstance(sent, told.Alarm)
    assert sent.link is not None
    assert sent.link.link_id == FIBRE
    assert sent.application is None


def test_a_link_that_is_not_known_is_told_all_the_same() -> None:
    stranger = LinkId("99999999-0000-4000-8000-000000000001")
    sent = of_module_event(LinkDown(link_id=stranger, cause=DownCause.FIBRE, reason="x"), node())
    assert isinstance(sent[0], told.LinkDown)


@pytest.mark.parametrize(
    ("figures", "news"),
    [
        (FIGURES, False),
        (replace(FIGURES, skr_bps=10_900), False),
        (replace(FIGURES, skr_bps=11_000), True),
        (replace(FIGURES, skr_bps=9_000), True),
        (replace(FIGURES, skr_bps=0), True),
        (replace(FIGURES, qber=0.024), False),
        (replace(FIGURES, qber=0.0251), True),
        (replace(FIGURES, qber=None), True),
        (replace(FIGURES, snr_db=3.0), True),
        (replace(FIGURES, eskr_bps=0), False),
    ],
)
def test_only_what_is_enough_is_news(figures: LinkPerformance, news: bool) -> None:
    pace = Pace(interval_s=1.0)
    assert pace.wait_s(FIBRE, FIGURES, 100.0) == 0.0
    pace.note(FIBRE, FIGURES, 100.0)
    assert (pace.wait_s(FIBRE, figures, 200.0) is not None) == news


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 10**6)), max_size=40))
def test_law_two_updates_of_a_link_are_an_interval_apart(steps: list[tuple[float, int]]) -> None:
    pace, at, sent = Pace(interval_s=1.0), 0.0, list[float]()
    for pause, rate in steps:
        at += pause
        figures = LinkPerformance(skr_bps=rate)
        if pace.wait_s(FIBRE, figures, at) == 0.0:
            pace.note(FIBRE, figures, at)
            sent.append(at)
    assert all(after - before >= 1.0 - 1e-9 for before, after in itertools.pairwise(sent))


def test_a_fallback_begins_and_ends_in_a_form_for_programs() -> None:
    (began,) = of_key_event(FallbackBegan(app_id=APP, reason="pools are empty"), node(), {})
    assert isinstance(began, told.Alarm)
    assert began.application is not None
    assert (began.application.origin, began.application.severity) == (KeyOrigin.PQC, told.Severity.MAJOR)
    assert "pools are empty" in (began.application.message or "")
    (ended,) = of_key_event(FallbackEnded(app_id=APP), node(), {})
    assert isinstance(ended, told.Event)
    assert ended.application is not None
    assert (ended.application.app_id, ended.application.origin) == (APP, KeyOrigin.QKD)


def test_an_intrusion_names_what_was_destroyed_and_what_had_been_used() -> None:
    found = Quarantine(reason="QBER 14.0%, 11.0% is the limit", discarded_bits=4096, spent_bits=512)
    (alarm,) = of_module_event(IntrusionSuspected(link_id=FIBRE, quarantine=found), node())
    assert isinstance(alarm, told.Alarm)
    assert alarm.link is not None
    assert (alarm.link.concern, alarm.link.status) == (told.Concern.INTRUSION, LinkStatus.OFF)
    assert "4096 bits of key were destroyed, 512 bits had been used" in (alarm.link.message or "")
    (over,) = of_module_event(IntrusionOver(link_id=FIBRE), node(LinkStatus.ACTIVE))
    assert isinstance(over, told.Event)
    assert over.link is not None
    assert (over.link.concern, over.link.status) == (told.Concern.INTRUSION, LinkStatus.ACTIVE)


def test_a_wrong_tag_is_told_from_other_trouble_and_a_store_from_a_link() -> None:
    (forged,) = of_key_event(RelayTrouble(link_id=PATH, reason="no proof (wrong tag)"), node(), {})
    (slow,) = of_key_event(RelayTrouble(link_id=PATH, reason="no pad"), node(), {})
    (full,) = of_key_event(StoreTrouble(reason="No space left on device"), node(), {})
    (well,) = of_key_event(StoreRestored(), node(), {})
    concerns = [one.link.concern for one in (forged, slow, full, well) if one.link]
    store = told.Concern.KEY_STORE
    assert concerns == [told.Concern.AUTHENTICATION, None, store, store]
    assert [type(one) for one in (full, well)] == [told.Alarm, told.Event]


def test_an_application_may_say_what_its_keys_are_made_of() -> None:
    wanted = AssociationWanted(server=ALICE, clients=(BOB,), qos=AppQos(), mode=KeyMode.HYBRID)
    (new,) = of_key_event(wanted, node(), {})
    assert isinstance(new, told.ApplicationNew)
    assert new.key_mode is KeyMode.HYBRID
