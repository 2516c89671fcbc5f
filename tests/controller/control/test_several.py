"""One master and several slaves with the same keys: associations whose path is a tree.

    A -- H -- B        A is the master; H forks; B, C and D are slaves, C on the way to D
    |     \\            F and E are the way around H
    F     C -- D
     \\   / \\
       E -- B  ...     (E-B, E-C)
"""

from dataclasses import replace
from typing import Any

import pytest
from tests.controller.control.plays import ask, live_one

from keyweave_controller.control import admission, branching, candidates, placement, planning, shape, why
from keyweave_controller.control.actions import Answer
from keyweave_controller.control.configuration import OperatorConfiguration, Policy, Tenant
from keyweave_controller.control.events import (
    AssociationClosed,
    LinkMeasure,
    LinksMeasured,
    Notified,
    OperatorConfigured,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.service import Constraints, Protection, Service, ServiceClass
from keyweave_controller.control.state import Association, AssociationState, PathRecord
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import AppQos, AppType
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import Endpoint, Link, LinkPerformance, LinkStatus
from keyweave_core.model.notifications import ApplicationNew, Event, LinkDown, LinkReport

ENDS = ("AH", "HB", "HC", "CD", "AF", "FE", "EB", "EC")
SHARED = AppQos(min_bandwidth_bps=1_000, clients_shared_keys_required=True)


def network(rates: dict[str, int] | None = None) -> Rehearsal:
    spans = [Span(a=a, b=b, skr_bps=(rates or {}).get(a + b, 1_000_000)) for a, b in ENDS]
    show = Rehearsal(nodes=simulate(spans, {site: (f"sae:{site}", f"sae:{site}2") for site in "ABCD"}))
    show.start()
    return show


@pytest.fixture
def show() -> Rehearsal:
    return network()


def several(show: Rehearsal, a: str = "A", to: str = "BCD", **more: Any) -> Answer:
    return ask(show, a, to[0], further=tuple(f"sae:{site}" for site in to[1:]), **more)


def cut(show: Rehearsal, a: str, b: str) -> None:
    link_id = simulated_link_id(a, b)
    for node_id in sorted(show.network.links[link_id].ends):
        show.feed(Notified(at=show.now, node_id=node_id, notification=LinkDown(link_id=link_id)))
    show.settle()


def repair(show: Rehearsal, a: str, b: str) -> None:
    link_id = simulated_link_id(a, b)
    for node_id in sorted(show.network.links[link_id].ends):
        report = LinkReport(link_id=link_id, status=LinkStatus.ACTIVE)
        show.feed(Notified(at=show.now, node_id=node_id, notification=Event(link=report)))
    show.settle()


def hops(show: Rehearsal, path: PathRecord | None) -> set[str]:
    assert path is not None
    name = show.network.state.node_name
    return {name(here) + name(there) for here, there in path.steps}


def held(show: Rehearsal) -> set[str]:
    """The links on which anything is promised."""
    links, name = show.network.links.values(), show.network.state.node_name
    return {"".join(sorted((name(link.a), name(link.b)))) for link in links if link.reserved_bps}


def entry(show: Rehearsal, site: str, one: Association) -> Link:
    assert one.path is not None
    return show.nodes[simulated_id(site)].links[one.path.link_id]


def check_nodes(show: Rehearsal) -> None:
    for node_id, node in show.nodes.items():
        links, applications = planning.wanted(show.network.state, node_id)
        assert node.links == links
        assert node.applications == applications


def ids(sites: str) -> tuple[NodeId, ...]:
    return tuple(simulated_id(site) for site in sites)


def test_a_tree_is_reserved_once_a_link_and_written_where_it_forks_and_ends(show: Rehearsal) -> None:
    answer = several(show)
    assert not answer.reasons
    one = live_one(show)
    assert one.state is AssociationState.ACTIVE
    assert hops(show, one.path) == {"AH", "HB", "HC", "CD"}
    assert held(show) == {"AH", "BH", "CH", "CD"}
    assert one.path is not None
    assert one.path.hops == len(one.path.nodes) - 1 == 4
    needs = admission.hop_bps(1_000, Service(), show.network.policy)
    for link_id in one.path.links:
        assert show.network.links[link_id].reserved_bps == {one.path.link_id: needs}
    source, fork, way_end, end = (entry(show, site, one) for site in "AHCD")
    for link in (source, fork, way_end, end):
        assert link.remote is None, "it has more ends than one"
        assert link.virtual is not None
    assert source.virtual is not None
    assert (source.virtual.prev_hop, source.virtual.next_hops) == (None, ids("H"))
    assert fork.virtual is not None
    assert fork.virtual.prev_hop == simulated_id("A")
    assert set(fork.virtual.next_hops) == set(ids("BC"))
    assert fork.local == Endpoint(node_id=simulated_id("A")), "no application of it there"
    assert way_end.virtual is not None
    assert (way_end.virtual.prev_hop, way_end.virtual.next_hops) == (simulated_id("H"), ids("D"))
    assert way_end.local == Endpoint(node_id=simulated_id("C")), "keys are for an application here, too"
    assert end.virtual is not None
    assert (end.virtual.prev_hop, end.virtual.next_hops) == (simulated_id("C"), ())
    check_nodes(show)


def test_every_end_has_the_application_and_the_reservations_name_the_links_beside_a_node(
    show: Rehearsal,
) -> None:
    several(show)
    one = live_one(show)
    assert one.path is not None
    for site in "ABCD":
        application = show.nodes[simulated_id(site)].applications[one.app_id]
        assert application.type is AppType.CLIENT
        assert application.client_app_ids == ("sae:B", "sae:C", "sae:D")
        assert application.backing_link_ids == (one.path.link_id,)
        assert application.qos.clients_shared_keys_required
        assert application.remote_node_id == simulated_id("B" if site == "A" else "A")
    assert one.app_id not in show.nodes[simulated_id("H")].applications
    fork = show.nodes[simulated_id("H")].applications[planning.reservation_id(one.path.link_id)]
    beside = {simulated_link_id("A", "H"), simulated_link_id("H", "B"), simulated_link_id("H", "C")}
    assert set(fork.backing_link_ids) == beside


def test_a_cut_moves_the_whole_tree_and_keys_flow_meanwhile(show: Rehearsal) -> None:
    several(show)
    one = live_one(show)
    before = one.path
    assert before is not None
    link_id = simulated_link_id("H", "B")
    show.feed(Notified(at=show.now, node_id=simulated_id("B"), notification=LinkDown(link_id=link_id)))
    assert one.state is AssociationState.MOVING
    assert one.path is before, "what stood stands until all nodes have the new tree"
    assert one.next_path is not None
    common = set(before.links) & set(one.next_path.links)
    for each in common:
        assert sum(show.network.links[each].reserved_bps.values()) == before.hop_bps, "taken once"
    show.settle()
    assert one.state is AssociationState.ACTIVE
    assert hops(show, one.path) == {"AF", "FE", "EB", "EC", "CD"}
    assert set(one.past_paths) == {before.link_id}
    assert held(show) == {"AF", "EF", "BE", "CE", "CD"}
    check_nodes(show)
    repair(show, "H", "B")
    show.advance(600.0)
    assert hops(show, one.path) == {"AH", "HB", "HC", "CD"}, "fewer links again"
    check_nodes(show)


def test_without_another_tree_it_waits_and_returns(show: Rehearsal) -> None:
    several(show)
    one = live_one(show)
    cut(show, "C", "D")
    assert one.state is AssociationState.ACTIVE, "there is key in the pools"
    assert any(reason.startswith("D is out of reach: ") for reason in one.reasons)
    assert not any(reason.startswith("B is out of reach") for reason in one.reasons)
    off = LinkReport(link_id=simulated_link_id("C", "D"), status=LinkStatus.OFF)
    show.feed(Notified(at=show.now, node_id=simulated_id("D"), notification=Event(link=off)))
    show.settle()
    assert one.state is AssociationState.SUSPENDED
    repair(show, "C", "D")
    show.advance(200.0)
    assert one.state is AssociationState.ACTIVE
    assert not one.reasons
    check_nodes(show)


def test_a_node_that_refuses_takes_the_whole_tree_back(show: Rehearsal) -> None:
    show.nodes[simulated_id("D")].refusal = "not today"
    answer = several(show)
    assert answer.reasons == ("node D refused: not today",)
    assert not held(show)
    show.nodes[simulated_id("D")].refusal = ""
    show.advance(60.0)
    assert not any(node.links or node.applications for node in show.nodes.values())


def test_closing_removes_it_everywhere(show: Rehearsal) -> None:
    several(show)
    one = live_one(show)
    show.feed(AssociationClosed(at=show.now, request_id="x", app_id=one.app_id))
    show.settle()
    assert one.state is AssociationState.CLOSED
    assert not held(show)
    assert not any(node.links or node.applications for node in show.nodes.values())


def test_after_a_restart_the_nodes_hold_it_as_before(show: Rehearsal) -> None:
    several(show)
    lost = show.nodes[simulated_id("H")]
    show.disconnect(lost.fixed.node_id)
    lost.links.clear()
    lost.applications.clear()
    show.start(connect=False)
    for node_id in show.nodes:
        show.connect(node_id)
    show.settle()
    check_nodes(show)
    again = Network.from_snapshot(show.network.to_snapshot())
    assert again.state == show.network.state


def test_a_node_may_list_the_hops_of_a_fork_in_another_order(show: Rehearsal) -> None:
    several(show)
    one, fork = live_one(show), show.nodes[simulated_id("H")]
    link = entry(show, "H", one)
    assert link.virtual is not None
    turned = replace(link.virtual, next_hops=link.virtual.next_hops[::-1])
    for spec, edits in ((turned, 0), (replace(turned, next_hops=turned.next_hops[:1]), 1)):
        fork.links[link.link_id], before = replace(link, virtual=spec), fork.edits
        show.connect(simulated_id("H"))
        show.settle()
        assert fork.edits == before + edits
    assert fork.links[link.link_id] == link


@pytest.mark.parametrize(
    ("to", "service", "reason"),
    [
        ("BA2", Service(), "application sae:A2 is at A like sae:A: the same keys go to other nodes only"),
        ("BB", Service(), "an application is named twice among the destinations"),
        ("BX", Service(), "no node serves application sae:X"),
        (
            "BC",
            Service(protection=Protection.ONE_TO_ONE),
            "keys for several nodes take a tree, which has no protection 1:1",
        ),
        (
            "BC",
            Service(constraints=Constraints(include_nodes=frozenset({simulated_id("E")}))),
            "keys for several nodes take a tree, which does not go by links and nodes to be included",
        ),
        (
            "BD",
            Service(constraints=Constraints(max_hops=2)),
            "D is out of reach: A and D are 3 links apart; at most 2 are allowed",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    show: Rehearsal, to: str, service: Service, reason: str
) -> None:
    further = (f"sae:{to[1:]}",)
    assert ask(show, "A", to[0], further=further, service=service).reasons == (reason,)
    assert not show.network.associations
    assert not held(show)


def test_a_booking_is_not_for_trees(show: Rehearsal) -> None:
    service = Service(service_class=ServiceClass.SCHEDULED, starts_at=show.now + 60)
    answer = several(show, service=service, expires_at=show.now + 120)
    assert answer.reasons == (
        "keys for several nodes take a tree, which cannot be booked for a time to come",
    )


def test_a_destination_that_lacks_room_is_named_with_what_would_fit() -> None:
    show = network({"CD": 10_000})
    answer = several(show, rate_bps=20_000)
    assert len(answer.reasons) == 1
    assert answer.reasons[0].startswith("D is out of reach: link C-D lacks ")
    slower = [other.rate_bps for other in answer.alternatives if other.rate_bps]
    assert slower
    assert not several(show, rate_bps=slower[0]).reasons


def test_best_effort_is_promised_nothing_and_flows_over_a_tree(show: Rehearsal) -> None:
    assert not several(show, service=Service(service_class=ServiceClass.BEST_EFFORT)).reasons
    one = live_one(show)
    assert one.path is not None
    assert one.path.hop_bps == 0
    show.advance(5.0)
    assert one.share_bps


def test_a_tree_gives_way_to_who_is_more_important_and_returns() -> None:
    show = network({"CD": 10_000})
    assert not several(show, rate_bps=5_000).reasons
    tree = live_one(show)
    urgent = ask(show, "C", "D", rate_bps=8_000, priority=5)
    assert not urgent.reasons
    assert tree.state is AssociationState.SUSPENDED
    assert held(show) == {"CD"}
    ((_, clients, reasons),) = show.nodes[simulated_id("A")].refused
    assert clients == ("sae:B", "sae:C", "sae:D")
    assert reasons == ("preempted by sae:C and sae:D, priority 5",)
    assert urgent.app_id is not None
    show.feed(AssociationClosed(at=show.now, request_id="x", app_id=urgent.app_id))
    show.settle()
    show.advance(60.0)
    assert tree.state is AssociationState.ACTIVE
    check_nodes(show)


def test_a_tree_asks_nobody_to_make_room(show: Rehearsal) -> None:
    show = network({"CD": 10_000})
    assert not ask(show, "C", "D", rate_bps=8_000).reasons
    assert "D is out of reach" in several(show, rate_bps=5_000, priority=5).reasons[0]


def test_branches_keep_their_bounds_even_where_the_cheapest_tree_does_not() -> None:
    spans = [Span(a="A", b="B"), Span(a="B", b="C"), Span(a="A", b="C")]
    for bounds, steps in ((Constraints(), {"AB", "BC"}), (Constraints(max_hops=1), {"AB", "AC"})):
        show = Rehearsal(nodes=simulate(spans, {site: (f"sae:{site}",) for site in "ABC"}))
        show.start()
        ask(show, "A", "C", rate_bps=500_000)  # the direct link is the dear one now
        assert not several(show, to="BC", service=Service(constraints=bounds)).reasons
        assert hops(show, live_one(show).path) == steps


def test_branches_are_in_time_even_where_those_of_fewest_hops_are_not() -> None:
    spans = [Span(a="A", b="B"), Span(a="A", b="C"), Span(a="B", b="C")]
    show = Rehearsal(nodes=simulate(spans, {site: (f"sae:{site}",) for site in "ABC"}))
    show.start()
    ask(show, "B", "C", rate_bps=500_000)  # dear, and fast
    state, mesh = show.network.state, show.network.mesh
    mesh.latency_us[:] = [10] * 3
    mesh.latency_us[mesh.link_place[simulated_link_id("A", "B")]] = 100
    one = placement.route_wish(
        state, *ids("AB"), 1_000, Service(constraints=Constraints(max_latency_ms=0.05))
    )
    for wish, steps in ((replace(one, constraints=Constraints()), "AB AC"), (one, "AC CB")):
        tree = branching.find_tree(state, mesh, replace(wish, others=ids("C")), at=show.now)
        assert tree is not None
        assert " ".join(state.node_name(a) + state.node_name(b) for a, b in tree.steps) == steps
    late = replace(one, others=ids("C"), constraints=Constraints(max_latency_ms=0.001))
    assert branching.find_tree(state, mesh, late, at=show.now) is None
    told = branching.explain(state, mesh, late, at=show.now)
    assert "C is out of reach: the way takes 0.01 ms, 0.001 ms are allowed" in told


def test_destinations_at_one_node_take_a_plain_path(show: Rehearsal) -> None:
    assert not ask(show, "A", "B", further=("sae:B2",)).reasons
    one = live_one(show)
    assert one.path is not None
    assert not one.path.steps
    assert show.nodes[simulated_id("B")].applications[one.app_id].client_app_ids == ("sae:B", "sae:B2")


def test_asking_again_in_another_order_is_the_same_association(show: Rehearsal) -> None:
    first = several(show)
    again = ask(show, "A", "D", further=("sae:C", "sae:B"), rate_bps=None)
    assert again.app_id == first.app_id
    pair = ask(show, "A", "B")
    assert pair.app_id != first.app_id, "keys of their own"
    assert "other qualities" in several(show, rate_bps=5_000).reasons[0]


def test_an_agent_asks_for_shared_keys_and_hears_a_refusal_for_all(show: Rehearsal) -> None:
    wish = ApplicationNew(
        server_app_id="sae:A",
        client_app_ids=("sae:B", "sae:D"),
        local_node_id=simulated_id("A"),
        qos=SHARED,
    )
    show.feed(Notified(at=show.now, node_id=simulated_id("A"), notification=wish))
    show.settle()
    one = live_one(show)
    assert one.state is AssociationState.ACTIVE
    assert one.destinations == ("sae:B", "sae:D")
    edits = show.nodes[simulated_id("A")].edits
    show.feed(Notified(at=show.now, node_id=simulated_id("A"), notification=wish))
    show.settle()
    assert len(show.network.associations) == 1
    assert show.nodes[simulated_id("A")].edits == edits + 1, "it is told again"
    show.feed(AssociationClosed(at=show.now, request_id="x", app_id=one.app_id))
    show.settle()
    cut(show, "C", "D")
    show.feed(Notified(at=show.now, node_id=simulated_id("A"), notification=wish))
    show.settle()
    ((server, clients, reasons),) = show.nodes[simulated_id("A")].refused
    assert (server, clients) == ("sae:A", ("sae:B", "sae:D"))
    assert reasons[0].startswith("D is out of reach: ")


def test_the_tenant_pays_once_and_a_link_that_sinks_cuts_the_tree(show: Rehearsal) -> None:
    tenants = (Tenant(name="t", applications=("sae:A",), max_bandwidth_bps=1_500),)
    configuration = OperatorConfiguration(policy=Policy(overbooked_hold_s=1.0), tenants=tenants)
    show.feed(OperatorConfigured(at=show.now, request_id="o", configuration=configuration))
    assert not several(show).reasons
    assert "would exceed" in ask(show, "A", "B").reasons[0]
    one = live_one(show)
    for site in "CD":
        measure = LinkMeasure(link_id=simulated_link_id("C", "D"), performance=LinkPerformance(skr_bps=600))
        show.feed(LinksMeasured(at=show.now, node_id=simulated_id(site), links=(measure,)))
    show.advance(5.0)
    assert one.degraded_bps is not None
    assert one.degraded_bps < 1_000


def test_why_and_candidates_speak_of_the_tree(show: Rehearsal) -> None:
    several(show)
    one, state = live_one(show), show.network.state
    told = why.why(state, show.network.mesh, one.app_id, at=show.now)
    assert "A > H > B" in told.summary
    assert "A > H > C > D" in told.summary
    wish = candidates.PathWish(
        source=simulated_id("A"), destination=simulated_id("B"), others=ids("CD"), rate_bps=1_000
    )
    (found,), _ = candidates.compute_paths(state, show.network.mesh, wish, at=show.now)
    assert one.path is not None
    ways = {found.links, *(other.links for other in found.others)}
    assert {link for way in ways for link in way} == set(one.path.links)
    assert found.links == shape.branch(one.path, simulated_id("B"))[1]
    cut(show, "C", "D")
    off = LinkReport(link_id=simulated_link_id("C", "D"), status=LinkStatus.OFF)
    show.feed(Notified(at=show.now, node_id=simulated_id("D"), notification=Event(link=off)))
    told = why.why(state, show.network.mesh, one.app_id, at=show.now)
    assert any("D is out of reach" in reason for reason in told.reasons)
