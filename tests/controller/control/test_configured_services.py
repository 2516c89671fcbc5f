"""Configured associations with a service of their own: granted, changed hitlessly, given back whole."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control import admission
from keyweave_controller.control.actions import Answer
from keyweave_controller.control.configuration import ConfiguredAssociation, OperatorConfiguration
from keyweave_controller.control.events import OperatorConfigured
from keyweave_controller.control.network import Network
from keyweave_controller.control.service import (
    DEFAULT_SERVICE,
    Constraints,
    Protection,
    Service,
    ServiceClass,
)
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import AppQos

# A square with a longer way around: A-B-D, A-C-D, A-E-F-D.
SPANS = [
    Span(a=a, b=b, skr_bps=100_000)
    for a, b in (("A", "B"), ("B", "D"), ("A", "C"), ("C", "D"), ("A", "E"), ("E", "F"), ("F", "D"))
]
SPLIT = Service(protection=Protection.ONE_PLUS_ONE)
STANDBY = Service(protection=Protection.ONE_TO_ONE)


@pytest.fixture
def show() -> Rehearsal:
    show = Rehearsal(nodes=simulate(SPANS, {site: (f"sae:{site}", f"sae:{site}2") for site in "ABCDEF"}))
    show.start()
    return show


def entry(name: str = "one", service: Service = DEFAULT_SERVICE, **more: object) -> ConfiguredAssociation:
    number = "2" if name == "two" else ""
    rate = more.pop("rate", 1_000)
    return ConfiguredAssociation(
        name=name,
        source=f"sae:A{number}",
        destination=f"sae:D{number}",
        qos=AppQos(min_bandwidth_bps=rate),
        service=service,
        **more,
    )


def configure(show: Rehearsal, *entries: ConfiguredAssociation, settle: bool = True) -> Answer | None:
    show.now += 1
    request_id = f"r{len(show.events)}"
    configuration = OperatorConfiguration(associations=entries)
    show.feed(
        OperatorConfigured(at=show.now, request_id=request_id, configuration=configuration, requester="op")
    )
    if settle:
        show.settle()
    return show.answers().get(request_id)


def granted(answer: Answer | None) -> bool:
    return answer is not None and not answer.reasons


def one_of(show: Rehearsal, name: str = "one") -> Association:
    (found,) = [one for one in show.network.associations.values() if one.live and one.configured_as == name]
    return found


def ways(show: Rehearsal, name: str = "one") -> list[str]:
    names = show.network.state.node_name
    return ["".join(names(node_id) for node_id in path.nodes) for path in one_of(show, name).paths]


def held(show: Rehearsal) -> dict[str, int]:
    return {one: rate for one, link in show.network.links.items() if (rate := admission.reserved_bps(link))}


def virtual_links(show: Rehearsal) -> set[str]:
    return {link_id for node in show.nodes.values() for link_id in node.links}


def standing(show: Rehearsal) -> tuple[object, ...]:
    """What must be as before when a change was refused."""
    one = one_of(show)
    return (
        one.app_id,
        one.state,
        one.qos,
        one.priority,
        one.service,
        one.expires_at,
        one.booked,
        {path.links for path in one.paths},
        held(show),
        {link_id: dict(link.bookings) for link_id, link in show.network.links.items() if link.bookings},
    )


def test_an_entry_is_opened_with_its_service(show: Rehearsal) -> None:
    service = Service(
        protection=Protection.ONE_TO_ONE,
        preemptible=False,
        constraints=Constraints(exclude_nodes=frozenset({simulated_id("B")})),
    )
    assert granted(configure(show, entry(service=service)))
    assert one_of(show).service == service
    assert sorted(ways(show)) == ["ACD", "AEFD"]


def test_contradictions_of_a_service_are_named_before_anything_is_begun(show: Rehearsal) -> None:
    answer = configure(show, entry(service=Service(key_bits=7)), entry("two"))
    assert answer is not None
    assert answer.about == ("association/one",)
    assert "key_bits" in answer.reasons[0]
    assert not show.network.associations


@pytest.mark.parametrize(
    ("before", "after", "number"),
    [
        (Service(), SPLIT, 2),
        (Service(), STANDBY, 2),
        (SPLIT, Service(protection=Protection.ONE_PLUS_ONE, ways=3), 3),
        (SPLIT, Service(), 1),
        (STANDBY, SPLIT, 2),
        (STANDBY, Service(service_class=ServiceClass.BEST_EFFORT), 1),
    ],
)
def test_another_protection_is_a_change_in_place(
    show: Rehearsal, before: Service, after: Service, number: int
) -> None:
    configure(show, entry(service=before))
    first = one_of(show)
    app_id, working = first.app_id, first.path
    assert granted(configure(show, entry(service=after)))
    one = one_of(show)
    assert (one.app_id, one.state, one.service) == (app_id, AssociationState.ACTIVE, after)
    assert one.next_service is None
    assert len(one.paths) == number
    assert working is not None
    assert working.links in {path.links for path in one.paths}, "what does for the new is kept"
    assert virtual_links(show) == {path.link_id for path in one.paths}
    backing = show.nodes[simulated_id("A")].applications[one.app_id].backing_link_ids
    expected = one.paths if after.protection is Protection.ONE_PLUS_ONE else one.paths[:1]
    assert set(backing) == {path.link_id for path in expected}
    rate = admission.promised_bps(one.qos, after, show.network.policy)
    hop = admission.hop_bps(rate, after, show.network.policy)
    assert held(show) == ({link: hop for path in one.paths for link in path.links} if hop else {})


def test_a_constraint_moves_it_without_a_break(show: Rehearsal) -> None:
    configure(show, entry())
    before = one_of(show).path
    assert before is not None
    middle = before.nodes[1]
    away = Service(constraints=Constraints(exclude_nodes=frozenset({middle})))
    assert configure(show, entry(service=away), settle=False) is None
    moving = one_of(show)
    assert moving.state is AssociationState.MOVING
    assert moving.path == before, "the old path stands until the new one does"
    assert moving.service == Service()
    show.settle()
    assert one_of(show).service == away
    assert middle not in one_of(show).paths[0].nodes


def test_what_asks_nothing_of_the_paths_leaves_them(show: Rehearsal) -> None:
    configure(show, entry())
    path = one_of(show).path
    loose = Service(preemptible=False, constraints=Constraints(max_hops=4, max_latency_ms=100.0))
    assert granted(configure(show, entry(service=loose)))
    assert one_of(show).path == path


def test_a_service_that_cannot_be_had_is_refused_and_what_was_stays(show: Rehearsal) -> None:
    configure(show, entry())
    before = standing(show)
    answer = configure(show, entry(service=Service(constraints=Constraints(direct_only=True))))
    assert answer is not None
    assert answer.about == ("association/one",)
    assert standing(show) == before
    assert show.network.state.operator.associations == (entry(),)


@pytest.mark.parametrize("after", [SPLIT, STANDBY, Service(service_class=ServiceClass.BEST_EFFORT)])
def test_a_refusal_of_another_entry_gives_the_former_service_back(show: Rehearsal, after: Service) -> None:
    configure(show, entry())
    before = standing(show)
    answer = configure(show, entry(service=after, priority=4), entry("two", rate=500_000))
    assert answer is not None
    assert set(answer.about) == {"association/two"}
    assert standing(show) == before


@pytest.mark.parametrize("after", [SPLIT, STANDBY, Service(service_class=ServiceClass.BEST_EFFORT)])
@pytest.mark.parametrize("made", [True, False])
def test_what_was_made_or_begun_is_given_back_when_a_node_refuses_another(
    show: Rehearsal, after: Service, made: bool
) -> None:
    far = ConfiguredAssociation(name="two", source="sae:E", destination="sae:F")
    configure(show, entry(), far)
    before = standing(show)
    show.nodes[simulated_id("E")].refusal = "not today"
    wanted = [entry(service=after, priority=4), replace(far, service=SPLIT)]
    answer = configure(show, *(wanted if made else reversed(wanted)))
    assert answer is not None
    assert set(answer.about) == {"association/two"}
    show.nodes[simulated_id("E")].refusal = ""
    show.settle()
    show.advance(10)
    assert standing(show) == before
    assert one_of(show).next_service is None


def test_a_node_that_refuses_gives_the_former_service_back(show: Rehearsal) -> None:
    configure(show, entry())
    before = standing(show)
    taken = one_of(show).paths[0].nodes[1]
    for node_id, node in show.nodes.items():
        if node_id not in {taken, simulated_id("A"), simulated_id("D")}:
            node.refusal = "not today"
    answer = configure(show, entry(service=SPLIT))
    assert answer is not None
    assert any("not today" in reason for reason in answer.reasons)
    for node in show.nodes.values():
        node.refusal = ""
    show.advance(10)
    assert standing(show) == before
    assert virtual_links(show) == {one_of(show).paths[0].link_id}


def test_two_changes_of_service_are_granted_together_or_given_back_together(show: Rehearsal) -> None:
    configure(show, entry(), entry("two"))
    before = standing(show)
    impossible = Service(protection=Protection.ONE_PLUS_ONE, ways=4)
    answer = configure(show, entry(service=SPLIT), entry("two", service=impossible))
    assert answer is not None
    assert answer.about == ("association/two",)
    assert standing(show) == before
    assert granted(configure(show, entry(service=SPLIT), entry("two", service=SPLIT)))
    assert len(ways(show)) == len(ways(show, "two")) == 2


def test_a_snapshot_in_the_middle_of_a_change_gives_the_former_service_back(show: Rehearsal) -> None:
    configure(show, entry())
    before = standing(show)
    configure(show, entry(service=SPLIT), settle=False)
    restart(show)
    assert standing(show) == before


def restart(show: Rehearsal) -> None:
    show.waiting.clear()
    show.timers.clear()
    show.network = Network.from_snapshot(json.loads(json.dumps(show.network.to_snapshot())))
    show.start()


class TestScheduled:
    """Entries for a time to come."""

    def scheduled(
        self, show: Rehearsal, after_s: float = 100, for_s: float = 100, **more: object
    ) -> ConfiguredAssociation:
        starts_at = self.origin(show) + after_s
        service = Service(service_class=ServiceClass.SCHEDULED, starts_at=starts_at)
        return entry(service=service, expires_at=starts_at + for_s, **more)

    @staticmethod
    def origin(show: Rehearsal) -> float:
        return float(int(show.events[0].at)) + 1_000

    def test_what_is_booked_counts_as_granted(self, show: Rehearsal) -> None:
        wanted = self.scheduled(show)
        assert granted(configure(show, wanted))
        one = one_of(show)
        assert (one.state, len(one.booked)) == (AssociationState.WAITING, 1)
        assert show.network.state.operator.associations == (wanted,)
        assert not show.network.state.unserved
        assert not held(show)
        assert granted(configure(show, wanted, entry("two")))
        assert one_of(show).app_id == one.app_id
        show.advance(wanted.service.starts_at + 1 - show.now)
        assert one_of(show).state is AssociationState.ACTIVE
        assert one_of(show).service == wanted.service
        show.advance(200)
        assert not [one for one in show.network.associations.values() if one.live and one.source == "sae:A"]
        assert not show.network.state.unserved, "its time is over, the entry stays"

    def test_another_time_or_rate_is_another_booking(self, show: Rehearsal) -> None:
        configure(show, self.scheduled(show))
        before = one_of(show).app_id
        later = self.scheduled(show, 500, 50, rate=7_000, priority=2)
        assert granted(configure(show, later))
        one = one_of(show)
        assert (one.app_id, one.state, one.expires_at) == (before, AssociationState.WAITING, later.expires_at)
        bookings = self.bookings(show)
        assert {(each.starts_at, each.ends_at) for each in bookings} == {
            (later.service.starts_at, later.expires_at)
        }
        assert {each.rate_bps for each in bookings} == {7_438}
        show.advance(later.service.starts_at + 1 - show.now)
        assert one_of(show).state is AssociationState.ACTIVE
        assert not self.bookings(show)

    def test_an_end_alone_is_another_booking(self, show: Rehearsal) -> None:
        configure(show, self.scheduled(show))
        assert granted(configure(show, self.scheduled(show, for_s=300)))
        assert {each.ends_at - each.starts_at for each in self.bookings(show)} == {300}
        assert not show.nodes[simulated_id("A")].applications, "no node hears of it before its time"

    def test_a_start_that_has_come_begins_it(self, show: Rehearsal) -> None:
        configure(show, self.scheduled(show))
        now = self.scheduled(show, after_s=-1_010, for_s=2_000)
        assert now.service.starts_at < show.now
        assert granted(configure(show, now))
        show.advance(1)
        assert one_of(show).state is AssociationState.ACTIVE

    def test_a_refusal_gives_the_former_booking_back(self, show: Rehearsal) -> None:
        configure(show, self.scheduled(show))
        before = standing(show)
        for wanted in ((self.scheduled(show, 500),), (self.scheduled(show, rate=90_001),)):
            answer = configure(show, *wanted, entry("two", rate=500_000))
            assert answer is not None
            assert answer.reasons
            assert standing(show) == before
            assert show.network.state.timers[f"start:{before[0]}"] == before[4].starts_at

    def test_a_restart_in_the_middle_gives_the_former_booking_back(self, show: Rehearsal) -> None:
        configure(show, self.scheduled(show))
        before = standing(show)
        assert configure(show, self.scheduled(show, 500, rate=2_000), entry("two"), settle=False) is None
        assert one_of(show).service != before[4], "booked already, and not granted before the rest is"
        restart(show)
        assert standing(show) == before
        show.settle()
        show.advance(10)
        assert [one.source for one in show.network.associations.values() if one.live] == ["sae:A"]
        assert show.network.state.operator.associations == (self.scheduled(show),)

    def test_what_runs_is_not_booked_and_what_is_booked_does_not_run(self, show: Rehearsal) -> None:
        for first, second, words in (
            (entry(), self.scheduled(show), "it runs already"),
            (self.scheduled(show), entry(), "it is booked"),
        ):
            assert granted(configure(show))
            assert granted(configure(show, first))
            before = standing(show)
            answer = configure(show, second)
            assert answer is not None
            assert words in answer.reasons[0]
            assert standing(show) == before

    @staticmethod
    def bookings(show: Rehearsal) -> Sequence[object]:
        return [one for link in show.network.links.values() for one in link.bookings.values()]


def test_links_are_named_by_id_in_what_is_granted(show: Rehearsal) -> None:
    bounds = Constraints(include_links=frozenset({simulated_link_id("E", "F")}))
    configure(show, entry())
    assert granted(configure(show, entry(service=Service(constraints=bounds))))
    assert ways(show) == ["AEFD"]


WISHES = (
    None,
    Service(),
    SPLIT,
    Service(protection=Protection.ONE_PLUS_ONE, ways=3),
    STANDBY,
    Service(service_class=ServiceClass.BEST_EFFORT),
    Service(constraints=Constraints(exclude_nodes=frozenset({simulated_id("B")}))),
    Service(constraints=Constraints(include_nodes=frozenset({simulated_id("E")}))),
    Service(constraints=Constraints(direct_only=True)),
    Service(key_bits=64, strategy="min-hop"),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(WISHES),
            st.sampled_from(WISHES),
            st.sampled_from((1_000, 40_000, 60_000)),
            st.sampled_from((None, "B", "C", "E")),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_asked_is_granted_whole_or_changes_nothing(
    wishes: list[tuple[Service | None, Service | None, int, str | None]],
) -> None:
    show = Rehearsal(nodes=simulate(SPANS, {site: (f"sae:{site}", f"sae:{site}2") for site in "ABCDEF"}))
    show.start()
    for first, second, rate, refuses in wishes:
        before = (show.network.state.operator, everything(show))
        if refuses:
            show.nodes[simulated_id(refuses)].refusal = "not today"
        wanted = [
            entry(name, service, rate=rate)
            for name, service in (("one", first), ("two", second))
            if service is not None
        ]
        answer = configure(show, *wanted)
        for node in show.nodes.values():
            node.refusal = ""
        show.settle()
        show.advance(120)
        assert answer is not None
        if answer.reasons:
            assert (show.network.state.operator, everything(show)) == before
        else:
            assert show.network.state.operator.associations == tuple(wanted)
            for each in wanted:
                found = one_of(show, each.name)
                assert (found.state, found.service, found.qos) == (
                    AssociationState.ACTIVE,
                    each.service,
                    each.qos,
                )
        living = [one for one in show.network.associations.values() if one.live]
        for link_id, link in show.network.links.items():
            hops = [path.hop_bps for one in living for path in one.paths if link_id in path.links]
            assert admission.reserved_bps(link) == sum(hops) <= 90_000
        paths = {path.link_id for one in living for path in one.paths}
        assert virtual_links(show) == paths, "no entry is left behind on a node"


def everything(show: Rehearsal) -> object:
    living = [one for one in show.network.associations.values() if one.live]
    return [
        (one.app_id, one.state, one.service, one.qos, sorted(path.links for path in one.paths))
        for one in living
    ]


def test_an_entry_that_waits_for_others_to_move_is_still_coming(show: Rehearsal) -> None:
    configure(show, entry(rate=60_000))
    middle = one_of(show).paths[0].nodes[1]
    near = ConfiguredAssociation(
        name="near",
        source="sae:A2",
        destination=f"sae:{show.network.state.node_name(middle)}2",
        qos=AppQos(min_bandwidth_bps=60_000),
        service=Service(constraints=Constraints(direct_only=True)),
    )
    assert configure(show, entry(rate=60_000), near, settle=False) is None
    waiting = next(one for one in show.network.associations.values() if one.source == "sae:A2")
    assert waiting.state is AssociationState.WAITING
    assert waiting.room_moves
    assert show.network.state.configuring is not None
    show.settle()
    assert granted(show.answers()[max(show.answers(), key=lambda name: int(name[1:]))])
    assert one_of(show, "near").state is one_of(show).state is AssociationState.ACTIVE
    assert middle not in one_of(show).paths[0].nodes


def test_an_entry_whose_helper_cannot_move_is_refused_and_nothing_has_changed(show: Rehearsal) -> None:
    configure(show, entry(rate=60_000))
    before = standing(show)
    middle = one_of(show).paths[0].nodes[1]
    for node_id, node in show.nodes.items():
        if node_id not in {middle, simulated_id("A"), simulated_id("D")}:
            node.refusal = "not today"
    near = ConfiguredAssociation(
        name="near",
        source="sae:A2",
        destination=f"sae:{show.network.state.node_name(middle)}2",
        qos=AppQos(min_bandwidth_bps=60_000),
        service=Service(constraints=Constraints(direct_only=True)),
    )
    answer = configure(show, entry(rate=60_000), near)
    assert answer is not None
    assert answer.about == ("association/near",)
    for node in show.nodes.values():
        node.refusal = ""
    show.advance(10)
    assert standing(show) == before
