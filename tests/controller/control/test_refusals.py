"""Refusals: what is offered instead is granted when asked for, and the nearest of its kind."""

import random
import time
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.plays import ask

from keyweave_controller.control import admission, calendar, facts, placement, refusals, routing
from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import InventoryNode
from keyweave_controller.control.lookups import Lookups
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.placement import Wanted
from keyweave_controller.control.service import Constraints, Disjointness, Protection, Service, ServiceClass
from keyweave_controller.control.state import Booking, NetworkState
from keyweave_controller.control.turn import Turn
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import AppQos
from keyweave_core.model.link import KeyPool, Technology

A, B, C, D = (simulated_id(name) for name in "ABCD")
AB, BD, AC, CD, AD = (simulated_link_id(*pair) for pair in ("AB", "BD", "AC", "CD", "AD"))
NOW = 1_700_000_000.0


def network(*spans: Span) -> NetworkState:
    """Everything that is told of a link may be promised."""
    show = Rehearsal(nodes=simulate(spans))
    show.start(Policy(usable_share=1.0))
    return show.network.state


@pytest.fixture
def state() -> NetworkState:
    """A-B-D with 100 000 bit/s, A-C-D with 50 000."""
    pairs = (("A", "B", 100_000), ("B", "D", 100_000), ("A", "C", 50_000), ("C", "D", 50_000))
    return network(*(Span(a=a, b=b, skr_bps=rate) for a, b, rate in pairs))


def refused(
    state: NetworkState, rate_bps: int, service: Service | None = None, **times: float
) -> tuple[tuple[str, ...], tuple[Alternative, ...]]:
    """What is said of keys from A to D that do not fit."""
    service, mesh = service or Service(), Mesh.of(state)
    wish = replace(placement.route_wish(state, A, D, promised(state, rate_bps, service), service), **times)
    assert not placement.find(state, mesh, wish, service, at=NOW)
    qos = AppQos(min_bandwidth_bps=rate_bps)
    return refusals.nearest(state, mesh, wish, service, qos, at=NOW)


def promised(state: NetworkState, rate_bps: int, service: Service) -> int:
    return admission.promised_bps(AppQos(min_bandwidth_bps=rate_bps), service, state.policy)


def notes(state: NetworkState, rate_bps: int, bounds: Constraints) -> list[str]:
    found = refused(state, rate_bps, Service(constraints=bounds))[1]
    return [one.note for one in found if one == Alternative(note=one.note)]


def test_a_rate_too_high_is_answered_with_the_highest_that_fits(state: NetworkState) -> None:
    reasons, found = refused(state, 200_000)
    assert any("lacks" in reason for reason in reasons)
    assert found == (
        Alternative(rate_bps=94_117, note="fits at 94,117 bit/s"),  # with its tags 100 000
        Alternative(service_class=ServiceClass.BEST_EFFORT, note="fits as best effort"),
    )
    assert [one.rate_bps for one in refused(state, 20_000_000)[1]] == [None]  # too little to be of use


def test_what_is_wanted_is_answered_as_the_wish_made_of_it(state: NetworkState) -> None:
    wanted = Wanted(source=A, destination=D, qos=AppQos(min_bandwidth_bps=200_000), priority=0)
    turn = Turn(state, Lookups(state), NOW)
    assert refusals.instead(turn, wanted) == refused(state, 200_000)[1]
    assert refusals.instead(turn, replace(wanted, path_links=(AB, BD))) == ()
    assert refusals.instead(turn, replace(wanted, destination=A)) == ()


def test_ends_that_nothing_joins_are_offered_nothing(state: NetworkState) -> None:
    state.nodes[D].connected = False
    assert refused(state, 1_000) == (("node D cannot be reached by the controller",), ())
    lonely = network(Span(a="A", b="B"), Span(a="C", b="D"))
    assert refused(lonely, 1_000) == (("no chain of links joins A and D",), ())


class TestConstraints:
    def test_hops(self, state: NetworkState) -> None:
        assert notes(state, 1_000, Constraints(max_hops=1)) == ["fits with at most 2 hops instead of 1"]
        both = Constraints(max_hops=1, exclude_nodes=frozenset({B, C}))
        assert notes(state, 1_000, both) == []  # one alone is not enough
        assert notes(state, 1_000, Constraints(direct_only=True)) == ["fits with relays at B"]

    def test_exclusions(self, state: NetworkState) -> None:
        one, other = frozenset({AB, AC}), frozenset({B, C})
        assert notes(state, 60_000, Constraints(exclude_links=one)) == ["fits without excluding link A-B"]
        assert notes(state, 60_000, Constraints(exclude_nodes=other)) == ["fits without excluding node B"]

    def test_inclusions(self, state: NetworkState) -> None:
        wanted = Constraints(include_links=frozenset({CD}))
        assert notes(state, 60_000, wanted) == [f"fits without link {state.link_name(CD)} on its way"]
        wanted = Constraints(include_nodes=frozenset({C}))
        assert notes(state, 60_000, wanted) == ["fits without node C on its way"]

    def test_risks_and_latency(self, state: NetworkState) -> None:
        for link in (AB, AC):
            state.link_facts[link] = LinkFacts(link=link, risk_groups=("duct",), latency_ms=2.5)
        assert notes(state, 60_000, Constraints(exclude_risks=frozenset({"duct", "bridge"}))) == [
            "fits sharing risk duct"
        ]
        assert notes(state, 60_000, Constraints(max_latency_ms=1)) == ["fits within 2.501 ms instead of 1 ms"]

    def test_the_nearest_is_told_and_not_that_of_the_cheapest_way(self, state: NetworkState) -> None:
        state.inventory["B"] = InventoryNode(name="B", trust=10)
        state.inventory["C"] = InventoryNode(name="C", trust=60)
        assert notes(state, 30_000, Constraints(min_trust=80)) == [
            "fits over nodes trusted 60 of 100 instead of 80"
        ]
        state.link_facts["A-B"] = LinkFacts(link="A-B", latency_ms=3.0)
        state.link_facts["A-C"] = LinkFacts(link="A-C", latency_ms=1.0)
        slow, fast = (
            sum(facts.of_link(state, state.links[one]).latency_us for one in way)
            for way in ((AB, BD), (AC, CD))
        )
        assert fast < slow
        assert notes(state, 30_000, Constraints(max_latency_ms=0.5)) == [
            f"fits within {(fast + 1) / 1_000:g} ms instead of 0.5 ms"
        ]

    def test_trust_and_domains(self, state: NetworkState) -> None:
        state.inventory["B"] = InventoryNode(name="B", trust=60, domain="north")
        state.inventory["C"] = InventoryNode(name="C", trust=10)
        assert notes(state, 60_000, Constraints(min_trust=80)) == [
            "fits over nodes trusted 60 of 100 instead of 80"
        ]
        south = frozenset({"south"})
        assert notes(state, 60_000, Constraints(domains=south)) == ["fits relayed in domain north, too"]
        del state.inventory["B"]
        assert notes(state, 60_000, Constraints(domains=south)) == ["fits relayed in any domain"]

    def test_technologies(self, state: NetworkState) -> None:
        wanted = Constraints(technologies=frozenset({Technology.CV_QKD}))
        (note,) = notes(state, 60_000, wanted)
        assert note.startswith("fits over ")

    def test_stored_key(self, state: NetworkState) -> None:
        for link in state.links.values():
            for end in link.ends.values():
                end.counted_pool = KeyPool(stored_bits=5_000, capacity_bits=9_000, oldest_age_s=50)
        assert notes(state, 60_000, Constraints(min_stored_bits=8_000)) == [
            "fits with 5,000 bits of key stored instead of 8,000"
        ]
        assert notes(state, 60_000, Constraints(max_key_age_s=10)) == [
            "fits with key 50 s old instead of 10 s"
        ]
        for link in state.links.values():
            for end in link.ends.values():
                end.counted_pool = KeyPool(stored_bits=5_000, capacity_bits=9_000)
        assert notes(state, 60_000, Constraints(max_key_age_s=10)) == [
            "fits without a bound on the age of key"
        ]

    def test_every_constraint_can_be_relaxed(self) -> None:
        assert set(refusals.relaxing._BY_FIELD) == {one.name for one in fields(Constraints)}


class TestProtection:
    def test_less_of_it(self, state: NetworkState) -> None:
        split = Service(protection=Protection.ONE_PLUS_ONE, ways=3)
        assert [one.note for one in refused(state, 40_000, split)[1]] == [
            "fits over 2 disjoint paths instead of 3",
            "fits over one path, without protection",
        ]
        standby = Service(protection=Protection.ONE_TO_ONE)
        assert [one.note for one in refused(state, 60_000, standby)[1]] == [
            "fits over one path, without protection",
            "fits at 47,058 bit/s",
        ]

    def test_weaker_disjointness(self, state: NetworkState) -> None:
        for link in (AB, AC):
            state.link_facts[link] = LinkFacts(link=link, risk_groups=("duct",))
        apart = Service(protection=Protection.ONE_TO_ONE, disjointness=Disjointness.RISKS)
        assert refused(state, 1_000, apart)[1][0].note == "fits with shared risks of its paths allowed"


class TestTime:
    def booked(self, state: NetworkState, starts_at: float, ends_at: float) -> None:
        booking = Booking(app_id="x", rate_bps=90_000, starts_at=NOW + starts_at, ends_at=NOW + ends_at)
        calendar.book(state, booking, [AB, BD])
        booking = replace(booking, app_id="y", rate_bps=50_000)
        calendar.book(state, booking, [AC, CD])

    def test_a_later_time(self, state: NetworkState) -> None:
        self.booked(state, 0, 3_600)
        reasons, found = refused(state, 20_000, starts_at=NOW + 60, ends_at=NOW + 660)
        assert any("at that time" in reason for reason in reasons)
        assert Alternative(starts_at=NOW + 3_600, note="fits from 2023-11-14T23:13:20Z") in found
        assert found[0].rate_bps == 9_411
        _, found = refused(state, 20_000)  # for ever, and it could begin then
        assert [one.starts_at for one in found] == [None, NOW + 3_600, None]

    def test_never_as_far_as_is_known(self, state: NetworkState) -> None:
        self.booked(state, 0, 30 * 86_400)
        assert all(one.starts_at is None for one in refused(state, 20_000)[1])

    def test_a_pass_to_come(self, state: NetworkState) -> None:
        passing = Window(starts_at=NOW + 1_000, ends_at=NOW + 1_500, rate_bps=80_000)
        for link in (AB, BD, AC, CD):
            state.link_facts[link] = LinkFacts(link=link, windows=(passing,))
            for end in state.links[link].ends.values():
                end.counted_pool = KeyPool(stored_bits=0, capacity_bits=10**9)
        _, found = refused(state, 40_000, starts_at=NOW + 10, ends_at=NOW + 210)
        assert [one.starts_at for one in found] == [NOW + 1_000, None]


def drawn(seed: int) -> tuple[random.Random, NetworkState]:
    pick = random.Random(seed)  # noqa: S311 - drawn networks, no secrets
    names = "ABCDEFGH"
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    spans = [
        Span(a=a, b=b, skr_bps=pick.choice((10_000, 50_000, 200_000)))
        for a, b in pick.sample(pairs, pick.randint(7, 18))
    ]
    state = network(*spans)
    state.policy = Policy(usable_share=1.0, max_relay_hops=pick.choice((3, 16)))
    for link in state.links.values():
        link.reserved_bps["v"] = pick.choice((0, link.skr_bps // 2, link.skr_bps))
        if pick.random() < 0.3:
            ends_at = NOW + pick.choice((100, 1_000))
            link.bookings["b"] = Booking(
                app_id="b", rate_bps=link.skr_bps // 2, starts_at=NOW, ends_at=ends_at
            )
        state.link_facts[link.link_id] = LinkFacts(link=link.link_id, latency_ms=pick.choice((1.0, 3.0)))
    return pick, state


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_what_is_offered_is_granted(seed: int) -> None:
    pick, state = drawn(seed)
    a, b = pick.sample(sorted(state.nodes), 2)
    link_ids, node_ids = sorted(state.links), sorted(state.nodes)
    bounds = pick.choice(
        (
            Constraints(),
            Constraints(max_hops=pick.randint(1, 3)),
            Constraints(max_latency_ms=pick.choice((1.0, 4.0))),
            Constraints(exclude_links=frozenset(pick.sample(link_ids, 4)), max_hops=3),
            Constraints(exclude_nodes=frozenset(pick.sample(node_ids, 2))),
            Constraints(include_nodes=frozenset(pick.sample(node_ids, 1)), max_latency_ms=9.0),
        )
    )
    protection = pick.choice((Protection.RESTORATION, Protection.RESTORATION, Protection.ONE_PLUS_ONE))
    if bounds.include_nodes:
        protection = Protection.RESTORATION
    service = Service(constraints=bounds, protection=protection)
    rate, mesh = pick.choice((1_000, 20_000, 120_000)), Mesh.of(state)
    wish = placement.route_wish(state, a, b, rate, service)
    before = (list(mesh.room), list(mesh.inside))
    if placement.find(state, mesh, wish, service, at=NOW):
        return
    reasons, found = refusals.nearest(state, mesh, wish, service, AppQos(min_bandwidth_bps=rate), at=NOW)
    assert reasons
    assert len(found) <= refusals.MOST
    assert (list(mesh.room), list(mesh.inside)) == before
    for one in found:
        assert one.note
        if one.rate_bps is not None:
            assert 0 < one.rate_bps < rate
            slower = placement.route_wish(state, a, b, one.rate_bps, service)
            assert placement.find(state, mesh, slower, service, at=NOW)
            if protection is Protection.RESTORATION and bounds == Constraints():
                more = placement.route_wish(state, a, b, one.rate_bps + 1, service)
                assert routing.find_route(state, mesh, more, at=NOW) is None
        if one.starts_at is not None:
            assert one.starts_at > NOW
            assert placement.find(state, mesh, replace(wish, starts_at=one.starts_at), service, at=NOW)
        if one.service_class is not None:
            other = replace(service, service_class=one.service_class)
            free = placement.route_wish(state, a, b, 0, other)
            assert placement.find(state, mesh, free, other, at=NOW)


def test_a_refusal_is_quick() -> None:
    """Fifty nodes and ninety links; most refusals are for a rate."""
    pick = random.Random(3)  # noqa: S311 - drawn networks, no secrets
    spans = [Span(a=f"n{one}", b=f"n{(one + 1) % 50}", skr_bps=50_000) for one in range(50)]
    chords = [pick.sample(range(50), 2) for _ in range(40)]
    spans += [Span(a=f"n{a}", b=f"n{b}", skr_bps=50_000) for a, b in chords if abs(a - b) > 1]
    state = network(*{frozenset((one.a, one.b)): one for one in spans}.values())
    for link in state.links.values():
        link.reserved_bps["v"] = pick.randrange(30_000, 50_000)
    mesh, took = Mesh.of(state), []
    for _ in range(50):
        a, b = pick.sample(sorted(state.nodes), 2)
        wish = placement.route_wish(state, a, b, 40_000, Service())
        begun = time.process_time()
        refusals.nearest(state, mesh, wish, Service(), AppQos(min_bandwidth_bps=40_000), at=NOW)
        took.append(time.process_time() - begun)
    assert sorted(took)[25] < 0.005  # ten times what it takes on a quiet machine


def test_key_grows_older_between_two_reports() -> None:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B")], {"A": ("sae:A",), "B": ("sae:B",)}))
    show.start()
    for end in show.network.links[simulated_link_id("A", "B")].ends.values():
        end.counted_pool = KeyPool(stored_bits=5_000, capacity_bits=9_000, oldest_age_s=50)
        end.counted_pool_at = show.now
    fresh = Service(constraints=Constraints(max_key_age_s=60))
    assert not ask(show, "A", "B", service=fresh).reasons
    show.now += 20
    answer = ask(show, "B", "A", service=fresh)
    assert answer.reasons == ("link B-A has key 70 s old, not at most 60 s",)
    assert any("70 s old" in other.note for other in answer.alternatives)


def test_another_priority_or_end_for_a_pair_that_has_an_association_is_refused() -> None:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B")], {"A": ("sae:A",), "B": ("sae:B",)}))
    show.start()
    first = ask(show, "A", "B", priority=1)
    assert ask(show, "A", "B", priority=1).app_id == first.app_id
    assert ask(show, "A", "B").app_id == first.app_id
    assert "other qualities" in ask(show, "A", "B", priority=3).reasons[0]
    assert "other qualities" in ask(show, "A", "B", expires_at=show.now + 100).reasons[0]
