"""Associations that hold several paths, or one that was asked for by name."""

import pytest
from tests.controller.control.plays import ask, live_one, nodes_over

from keyweave_controller.control import planning
from keyweave_controller.control.configuration import LinkFacts
from keyweave_controller.control.events import ControllerStarted, InventoryNode, Notified
from keyweave_controller.control.service import Constraints, Disjointness, Protection, Service
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.link import LinkType
from keyweave_core.model.notifications import LinkDown

ONE_PLUS_ONE = Service(protection=Protection.ONE_PLUS_ONE)
ONE_TO_ONE = Service(protection=Protection.ONE_TO_ONE)
# A square with a longer way around: A-B-D, A-C-D, A-E-F-D.
SPANS = [
    Span(a=a, b=b)
    for a, b in (("A", "B"), ("B", "D"), ("A", "C"), ("C", "D"), ("A", "E"), ("E", "F"), ("F", "D"))
]


@pytest.fixture
def show() -> Rehearsal:
    show = Rehearsal(nodes=simulate(SPANS, {site: (f"sae:{site}",) for site in "ABCDEF"}))
    show.start()
    return show


def cut(show: Rehearsal, a: str, b: str) -> None:
    link_id = simulated_link_id(a, b)
    for node_id in sorted(show.network.links[link_id].ends):
        show.feed(Notified(at=show.now, node_id=node_id, notification=LinkDown(link_id=link_id)))
    show.settle()


def backing(show: Rehearsal, site: str, app_id: str) -> set[str]:
    """The virtual links that the entry at a node names."""
    return set(show.nodes[simulated_id(site)].applications[app_id].backing_link_ids)


def virtual_links(show: Rehearsal, site: str) -> set[str]:
    links = show.nodes[simulated_id(site)].links.values()
    return {link.link_id for link in links if link.type is LinkType.VIRT}


def test_a_split_key_takes_as_many_disjoint_paths_as_asked_and_each_holds_the_rate(show: Rehearsal) -> None:
    for ways in (2, 3):
        show = Rehearsal(nodes=simulate(SPANS, {site: (f"sae:{site}",) for site in "ABCDEF"}))
        show.start()
        answer = ask(show, "A", "D", service=Service(protection=Protection.ONE_PLUS_ONE, ways=ways))
        assert not answer.reasons
        one = live_one(show)
        assert one.state is AssociationState.ACTIVE
        inner = [set(path.nodes[1:-1]) for path in one.paths]
        assert len(inner) == ways
        assert sum(map(len, inner)) == len(set().union(*inner))
        assert backing(show, "A", one.app_id) == backing(show, "D", one.app_id)
        assert backing(show, "A", one.app_id) == {path.link_id for path in one.paths}
        for path in one.paths:
            for link_id in path.links:
                assert show.network.links[link_id].reserved_bps[path.link_id] == path.hop_bps


def test_what_has_not_so_many_paths_is_refused_and_why(show: Rehearsal) -> None:
    answer = ask(show, "A", "D", service=Service(protection=Protection.ONE_PLUS_ONE, ways=4))
    assert answer.reasons == (
        "A and D are not joined by 4 ways that share not even a transit node and have room",
    )
    assert not any(link.reserved_bps for link in show.network.links.values())
    assert not show.network.state.steps


def test_a_split_key_moves_to_other_paths_when_one_breaks_and_waits_when_there_are_none(
    show: Rehearsal,
) -> None:
    ask(show, "A", "D", service=ONE_PLUS_ONE)
    one = live_one(show)
    before = {path.links for path in one.paths}
    cut(show, "A", "B")
    assert one.state is AssociationState.ACTIVE
    assert not one.reasons
    assert len({path.links for path in one.paths} - before) == 1
    assert nodes_over(show, one) == {("A", "C", "D"), ("A", "E", "F", "D")}
    assert virtual_links(show, "B") == set()
    cut(show, "A", "C")
    assert len(one.paths) == 2
    assert one.reasons
    kept = {path.links for path in one.paths}
    show.advance(200.0)
    assert {path.links for path in one.paths} == kept


def test_a_standby_is_reserved_and_written_and_taken_at_once(show: Rehearsal) -> None:
    ask(show, "A", "D", service=ONE_TO_ONE)
    one = live_one(show)
    assert len(one.paths) == 2
    working, standby = one.paths
    assert backing(show, "A", one.app_id) == {working.link_id}
    assert virtual_links(show, "A") == {working.link_id, standby.link_id}
    for link_id in standby.links:
        assert show.network.links[link_id].reserved_bps[standby.link_id] == standby.hop_bps
    edits = {site: show.nodes[simulated_id(site)].edits for site in "BCEF"}
    broken = working.links[0]
    link = show.network.links[broken]
    show.feed(Notified(at=show.now, node_id=link.a, notification=LinkDown(link_id=broken)))
    # Only the two ends are asked: what stands by is written already.
    assert {node_id for node_id, queue in show.waiting.items() if queue} == {
        simulated_id("A"),
        simulated_id("D"),
    }
    assert {site: show.nodes[simulated_id(site)].edits for site in "BCEF"} == edits
    show.settle()
    assert one.path == standby
    assert backing(show, "D", one.app_id) == {standby.link_id}
    # A new standby is found beside it, and the broken path is gone.
    assert len(one.paths) == 2
    assert one.others[0].nodes[1:-1] == (simulated_id("E"), simulated_id("F"))
    assert working.link_id not in virtual_links(show, "A")


def test_paths_that_share_a_duct_do_not_protect_each_other() -> None:
    facts = tuple(
        LinkFacts(link=link, risk_groups=("duct 7",)) for link in ("A-B", simulated_link_id("C", "D"))
    )
    show = Rehearsal(nodes=simulate(SPANS, {site: (f"sae:{site}",) for site in "ABCDEF"}))
    inventory = tuple(InventoryNode(name=node.name) for node in show.nodes.values())
    show.start()
    show.feed(
        ControllerStarted(at=show.now, policy=show.network.policy, inventory=inventory, link_facts=facts)
    )
    for node_id in show.nodes:
        show.connect(node_id)
    show.settle()
    risks = Service(protection=Protection.ONE_TO_ONE, disjointness=Disjointness.RISKS)
    ask(show, "A", "D", service=risks)
    assert ("A", "E", "F", "D") in nodes_over(show, live_one(show))
    refused = ask(show, "B", "C", service=risks)
    assert refused.reasons


def test_a_path_by_name_is_taken_as_it_is_or_refused(show: Rehearsal) -> None:
    links = tuple(simulated_link_id(a, b) for a, b in (("A", "E"), ("E", "F"), ("F", "D")))
    assert not ask(show, "A", "D", path_links=links).reasons
    one = live_one(show)
    assert one.path is not None
    assert one.path.links == links
    cut(show, "E", "F")
    again = ask(show, "D", "A", path_links=links[::-1])
    assert again.reasons == ("link F-E of the path cannot carry it any more",)
    assert "no path" in ask(show, "B", "A", path_links=links).reasons[0]
    nowhere = ask(show, "C", "A", path_links=("11111111-0000-4000-8000-000000000000",))
    assert "is not there any more" in nowhere.reasons[0]


def test_direct_only_takes_no_relay(show: Rehearsal) -> None:
    direct = Service(constraints=Constraints(direct_only=True))
    assert not ask(show, "A", "B", service=direct).reasons
    assert ask(show, "A", "D", service=direct).reasons == (
        "no link joins A and D; they are 2 links apart, and no relay is allowed",
    )


def test_after_a_restart_nodes_hold_every_path(show: Rehearsal) -> None:
    ask(show, "A", "D", service=ONE_TO_ONE)
    ask(show, "B", "C", service=ONE_PLUS_ONE)
    show.start()
    for node_id, node in show.nodes.items():
        links, applications = planning.wanted(show.network.state, node_id)
        assert (node.links, node.applications) == (links, applications)
