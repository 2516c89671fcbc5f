"""Groups of paths, explanations and suppositions: what they say is what is decided."""

from dataclasses import replace
from itertools import combinations, pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control import admission
from keyweave_controller.control.candidates import MOST, PathWish, compute_paths, ends_named, links_named
from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import AssociationRequested, ControllerStarted, InventoryNode
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.service import Constraints, Disjointness, Protection, Service
from keyweave_controller.control.state import AssociationState, NetworkState
from keyweave_controller.control.strategies import SCALE, STRATEGIES
from keyweave_controller.control.supposing import LinkRate
from keyweave_controller.control.what_if import Demand, Fate, Question, told
from keyweave_controller.control.why import Why, why
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import AppQos

SITES = "ABCDEF"


def network(pairs: list[str], rates: dict[str, int] | None = None, **risks: str) -> Rehearsal:
    """A network of fibres by the names of their ends; `risks` puts fibres into ducts."""
    spans = [Span(a=pair[0], b=pair[1], skr_bps=(rates or {}).get(pair, 1_000_000)) for pair in pairs]
    show = Rehearsal(
        nodes=simulate(spans, {one: (f"sae:{one.lower()}",) for one in SITES if one in "".join(pairs)})
    )
    if risks:
        known = tuple(
            LinkFacts(link=f"{pair[0]}-{pair[1]}", risk_groups=(duct,)) for pair, duct in risks.items()
        )
        inventory = tuple(InventoryNode(name=node.name) for node in show.nodes.values())
        show.feed(ControllerStarted(at=show.now, policy=Policy(), inventory=inventory, link_facts=known))
        for node_id in show.nodes:
            show.connect(node_id)
        show.settle()
    else:
        show.start()
    return show


def opened(show: Rehearsal, pair: str, rate_bps: int, **more) -> str:
    wish = AssociationRequested(
        at=show.now,
        request_id=f"{pair} {len(show.events)}",
        source=f"sae:{pair[0].lower()}",
        destination=f"sae:{pair[1].lower()}",
        qos=AppQos(min_bandwidth_bps=rate_bps),
        **more,
    )
    show.feed(wish)
    show.settle()
    app_id = show.answers()[wish.request_id].app_id
    assert app_id is not None, show.answers()[wish.request_id].reasons
    return app_id


def asked(show: Rehearsal, app_id: str) -> Why:
    return why(show.network.state, show.network.mesh, app_id, at=show.now + 1_000)


def name_path(*nodes: str) -> tuple[str, ...]:
    return tuple(simulated_id(node) for node in nodes)


fibres = st.lists(
    st.sampled_from(["".join(pair) for pair in combinations(SITES, 2)]), min_size=3, max_size=9, unique=True
)


@given(fibres, st.booleans())
@settings(max_examples=60, deadline=None)
def test_groups_are_the_cheapest_in_order(pairs: list[str], apart_in_nodes: bool) -> None:
    state = network(pairs).network.state
    mesh = Mesh.of(state)
    ends = [node_id for node_id in (simulated_id("A"), simulated_id("B")) if node_id in state.nodes]
    if len(ends) < 2:
        return
    apart = Disjointness.NODES if apart_in_nodes else Disjointness.LINKS
    service = Service(protection=Protection.ONE_TO_ONE, disjointness=apart)
    wish = PathWish(source=ends[0], destination=ends[1], rate_bps=1_000, service=service, number=3)
    found, reasons = compute_paths(state, mesh, wish, at=1e10)

    graph = nx.Graph([(link.a, link.b, {"id": link.link_id}) for link in state.links.values()])
    prices = STRATEGIES["balanced"].prices(mesh).prices

    def links(nodes: list[str]) -> tuple[str, ...]:
        return tuple(graph.edges[edge]["id"] for edge in pairwise(nodes))

    costs = []
    for one, other in combinations(nx.all_simple_paths(graph, *ends), 2):
        shares_node = bool(set(one[1:-1]) & set(other[1:-1]))
        if set(links(one)) & set(links(other)) or (apart_in_nodes and shares_node):
            continue
        costs.append(sum(prices[mesh.link_place[link]] for way in (one, other) for link in links(way)))
    assert [round(group.total_cost * SCALE) for group in found] == sorted(costs)[:3]
    assert bool(reasons) == (len(found) < 3)
    assert len({group.id for group in found}) == len(found)


def test_more_groups_than_one_answer_may_have() -> None:
    show = network(["".join(pair) for pair in combinations(SITES, 2)])
    wish = PathWish(
        source=simulated_id("A"),
        destination=simulated_id("B"),
        service=Service(protection=Protection.ONE_PLUS_ONE, ways=3),
        number=MOST,
    )
    found, _ = compute_paths(show.network.state, show.network.mesh, wish, at=1e10)
    assert len(found) == MOST
    assert [group.total_cost for group in found] == sorted(group.total_cost for group in found)
    assert all(len(group.others) == 2 for group in found)


def test_shared_risks_are_named_and_avoided_where_that_is_asked() -> None:
    show = network(["AB", "AC", "CB", "AD", "DB"], AB="duct", AC="duct")
    ends = {"source": simulated_id("A"), "destination": simulated_id("B")}
    pair = Service(protection=Protection.ONE_TO_ONE)
    state, mesh = show.network.state, show.network.mesh
    cheap = compute_paths(state, mesh, PathWish(**ends, service=pair, number=3), at=1e10)[0]
    assert {group.shared_risks for group in cheap} == {("duct",), ()}
    apart = replace(pair, disjointness=Disjointness.RISKS)
    safe = compute_paths(state, mesh, PathWish(**ends, service=apart, number=3), at=1e10)[0]
    assert [group.shared_risks for group in safe] == [()] * len(safe)
    assert safe[0].links == (simulated_link_id("A", "B"),)


class TestNames:
    def state(self) -> NetworkState:
        spans = [Span(a="North-1", b="Sur"), Span(a="North", b="1-Sur"), Span(a="Sur", b="North")]
        show = Rehearsal(nodes=simulate(spans))
        show.start()
        return show.network.state

    def test_a_name_with_a_hyphen_may_mean_two_links(self) -> None:
        state = self.state()
        assert len(links_named(state, "North-1-Sur")) == 2
        assert links_named(state, "Sur~North") == (simulated_link_id("Sur", "North"),)
        assert links_named(state, simulated_link_id("Sur", "North").upper()) == (
            simulated_link_id("Sur", "North"),
        )
        assert links_named(state, "Sur-Sur") == links_named(state, "Sur") == ()

    def test_ends_need_no_link(self) -> None:
        assert list(ends_named(self.state(), "North-1~1-Sur")) == [
            (simulated_id("North-1"), simulated_id("1-Sur"))
        ]


class TestWhy:
    def test_its_own_promise_does_not_make_its_path_dear(self) -> None:
        show = network(["AB", "AC", "CB"])
        app_id = opened(show, "AB", 800_000)
        found = asked(show, app_id)
        assert [(path.nodes, path.cost, path.verdict) for path in found.paths] == [
            (name_path("A", "B"), 1.0, "its path")
        ]
        assert found.paths[0].bottleneck_bps == 900_000
        assert found.alternatives[0].verdict == "free, and dearer by 1"
        assert found.reasons == ()
        assert "nothing cheaper is free" in found.summary

    def test_the_question_leaves_no_trace(self) -> None:
        show = network(["AB", "AC", "CB"])
        app_id = opened(show, "AB", 800_000)
        mesh = show.network.mesh
        before = (show.network.to_snapshot(), list(mesh.room), list(mesh.reserved))
        prices = list(STRATEGIES["balanced"].prices(mesh).prices)
        asked(show, app_id)
        assert (show.network.to_snapshot(), mesh.room, mesh.reserved) == before
        assert STRATEGIES["balanced"].prices(mesh).prices == prices

    def test_who_holds_the_tightest_link_by_priority(self) -> None:
        show = network(["AB", "BC"])
        low, high = opened(show, "AB", 300_000), opened(show, "AC", 300_000, priority=7)
        (tight,) = asked(show, low).bottlenecks
        assert [(one.app_id, one.priority) for one in tight.holders] == [(high, 7), (low, 0)]
        assert tight.reserved_bps == sum(one.reserved_bps for one in tight.holders)
        assert tight.usable_bps == 900_000

    def test_what_a_narrow_way_lacks(self) -> None:
        show = network(["AB", "AC", "CB"], {"AC": 1_000})
        found = asked(show, opened(show, "AB", 500_000))
        (other,) = found.alternatives
        assert other.nodes == name_path("A", "C", "B")
        assert "lacks" in other.verdict

    def test_a_broken_path_has_no_price_and_says_what_it_waits_for(self) -> None:
        show = network(["AB"])
        app_id = opened(show, "AB", 1_000)
        link = show.network.links[simulated_link_id("A", "B")]
        link.down_since = show.now
        found = asked(show, app_id)
        assert found.paths[0].cost is None
        assert "makes no key" in found.summary
        assert [text.split(" ", 2)[2] for text in found.waiting_for] == ["makes key again"]
        assert any("is broken" in reason for reason in found.lacks)

    def test_without_a_standby_it_is_not_whole(self) -> None:
        show = network(["AB", "AC", "CB"])
        app_id = opened(show, "AB", 1_000, service=Service(protection=Protection.ONE_TO_ONE))
        assert asked(show, app_id).reasons == ()
        assert [path.verdict for path in asked(show, app_id).paths] == ["its path", "its standby"]
        show.network.associations[app_id].others = ()
        assert asked(show, app_id).lacks == ("protection 1:1 is not whole: no path stands by",)

    def test_what_is_suspended_hears_why_and_what_would_fit(self) -> None:
        show = network(["AB", "AC", "CB"], {"AC": 10_000, "CB": 10_000})
        app_id = opened(show, "AB", 500_000)
        record = show.network.associations[app_id]
        record.state, record.outage_since = AssociationState.SUSPENDED, 5.0
        show.network.links[simulated_link_id("A", "B")].faults = ("doubted",)
        found = why(show.network.state, Mesh.of(show.network.state), app_id, at=show.now)
        assert found.since == 5.0
        assert any("lacks" in reason or "doubted" in reason for reason in found.reasons)
        assert any(one.rate_bps is not None and one.rate_bps < 500_000 for one in found.would_fit)

    def test_both_ends_at_one_node(self) -> None:
        show = Rehearsal(nodes=simulate([Span(a="A", b="B")], {"A": ("sae:a", "sae:b")}))
        show.start()
        assert "keys cross no link" in asked(show, opened(show, "AB", 1_000)).summary


class TestSupposing:
    def test_a_new_link_and_a_narrower_one(self) -> None:
        show = network(["AB", "BC"])
        app_id = opened(show, "AC", 500_000)
        new = LinkRate(a=simulated_id("A"), b=simulated_id("C"), rate_bps=700_000)
        low = LinkRate(
            a=simulated_id("A"), b=simulated_id("B"), rate_bps=100_000, link_id=simulated_link_id("A", "B")
        )
        answer = told(show.network.state, Question(link_rates=(new, low)), at=show.now)
        (outcome,) = answer.outcomes
        assert (outcome.fate, outcome.nodes) == (Fate.MOVED, name_path("A", "C"))
        alone = told(show.network.state, Question(link_rates=(low,)), at=show.now).outcomes[0]
        assert (alone.fate, alone.before_bps) == (Fate.DEGRADED, 500_000)
        assert 0 < alone.after_bps < 100_000
        assert show.network.associations[app_id].path is not None

    def test_a_higher_priority_takes_the_place_of_a_lower(self) -> None:
        show = network(["AB"])
        low = opened(show, "AB", 600_000)
        demand = Demand(id="d", source="sae:b", destination="sae:a", rate_bps=600_000, priority=9)
        one, other = told(show.network.state, Question(demands=(demand,)), at=show.now).outcomes
        assert (one.id, one.fate, one.preempted_by, one.after_bps) == (low, Fate.PREEMPTED, "d", 0)
        assert (other.fate, other.after_bps) == (Fate.CARRIED, 600_000)

    def test_a_duct_is_cut(self) -> None:
        show = network(["AB", "AC", "CB"], AB="duct", AC="duct")
        opened(show, "AB", 1_000)
        (outcome,) = told(show.network.state, Question(fail_risks=("duct",)), at=show.now).outcomes
        assert outcome.fate is Fate.LOST
        (outcome,) = told(show.network.state, Question(fail_risks=("bridge",)), at=show.now).outcomes
        assert outcome.fate is Fate.CARRIED

    def test_a_lost_standby_degrades(self) -> None:
        show = network(["AB", "AC", "CB"])
        opened(show, "AB", 1_000, service=Service(protection=Protection.ONE_TO_ONE))
        question = Question(fail_links=(simulated_link_id("A", "C"),))
        (outcome,) = told(show.network.state, question, at=show.now).outcomes
        assert outcome.fate is Fate.DEGRADED
        assert outcome.nodes == name_path("A", "B")
        assert any("standby" in reason or "stands by" in reason for reason in outcome.reasons)

    def test_loads_change_where_it_says(self) -> None:
        show = network(["AB", "AC", "CB"])
        opened(show, "AB", 1_000)
        answer = told(show.network.state, Question(fail_links=(simulated_link_id("A", "B"),)), at=show.now)
        loads = {(one.a, one.b): (one.before_bps, one.after_bps, one.usable_bps) for one in answer.links}
        promised = admission.hop_bps(1_000, Service(), show.network.policy)
        assert {frozenset(ends) for ends in loads} == {frozenset("AB"), frozenset("AC"), frozenset("BC")}
        assert {figures for ends, figures in loads.items() if set(ends) != set("AB")} == {
            (0, promised, 900_000)
        }


@pytest.mark.parametrize("bounds", [Constraints(max_hops=1), Constraints(direct_only=True)])
def test_a_tree_keeps_the_bounds_on_each_branch(bounds: Constraints) -> None:
    show = network(["AB", "BC"])
    wish = PathWish(
        source=simulated_id("A"),
        destination=simulated_id("B"),
        others=(simulated_id("C"),),
        service=Service(constraints=bounds),
    )
    found, reasons = compute_paths(show.network.state, show.network.mesh, wish, at=show.now)
    assert found == ()
    assert reasons
    (tree,) = compute_paths(
        show.network.state, show.network.mesh, replace(wish, service=Service()), at=show.now
    )[0]
    assert (tree.total_cost, [way.nodes for way in tree.others]) == (2.0, [name_path("A", "B", "C")])
