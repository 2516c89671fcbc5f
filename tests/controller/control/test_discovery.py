"""What agents say, what is believed, and what a node is told after it was read."""

from dataclasses import replace

from keyweave_controller.control.actions import Configure, ReadNode
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    AssociationRequested,
    ControllerStarted,
    InventoryNode,
    LinkMeasure,
    LinksMeasured,
    NodeLost,
    NodeRead,
    Notified,
)
from keyweave_controller.control.network import Network
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import Application, AppQos, AppType
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    KeyPool,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkType,
    VirtualSpec,
)
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import (
    ApplicationNew,
    Event,
    InterfaceNew,
    InterfaceOut,
    LinkDown,
    LinkReport,
)

A, B, C, Q = (simulated_id(name) for name in "ABCQ")
AB, BC = simulated_link_id("A", "B"), simulated_link_id("B", "C")
SPANS = [Span(a="A", b="B"), Span(a="B", b="C")]
APPS = {"A": ("sae:a",), "C": ("sae:c",)}


def line(**more) -> Rehearsal:
    show = Rehearsal(nodes=simulate(SPANS, APPS))
    show.start(**more)
    return show


def reread(show: Rehearsal, node_id: str, node: Node) -> list:
    return show.feed(NodeRead(at=show.now, name=show.nodes[node_id].name, node=node, reconnected=False))


def with_link(node: Node, link_id: str, **changes) -> Node:
    links = tuple(replace(one, **changes) if one.link_id == link_id else one for one in node.links)
    return replace(node, links=links)


def opened(show: Rehearsal) -> Rehearsal:
    wish = AssociationRequested(
        at=show.now, request_id="r", source="sae:a", destination="sae:c", qos=AppQos()
    )
    show.feed(wish)
    show.settle()
    return show


def test_a_network_is_discovered_node_by_node_without_false_faults() -> None:
    show = line(connect=False)
    show.connect(A)
    link = show.network.links[AB]
    assert (link.status, link.faults) == (LinkStatus.PENDING, ())
    show.connect(C)
    show.connect(B)
    assert (link.status, link.skr_bps, link.loss_db, link.qber) == (LinkStatus.ACTIVE, 1_000_000, 5.0, 0.02)
    assert show.network.consumers == {"sae:a": A, "sae:c": C}
    assert show.management.alarms(cleared=True) == []


def test_a_link_to_nowhere_is_faulty_once_everybody_was_heard() -> None:
    show = line()
    far = Endpoint(node_id=Q, interface_id=1)
    stray = replace(show.nodes[A].fixed.links[0], link_id="stray", remote=far)
    node = show.nodes[A].fixed
    reread(show, A, replace(node, links=(*node.links, stray)))
    assert show.network.links["stray"].faults == (f"the far end {Q} is no node of this network",)
    assert show.network.links[AB].faults == ()
    reread(show, A, node)
    assert "stray" not in show.network.links


def test_a_new_link_makes_the_far_end_be_read_once() -> None:
    show = line()
    far = Endpoint(node_id=C, interface_id=2)
    new = replace(show.nodes[A].fixed.links[0], link_id="new", remote=far)
    node = show.nodes[A].fixed
    actions = reread(show, A, replace(node, links=(*node.links, new)))
    assert [one.node_id for one in actions if isinstance(one, ReadNode)] == [C]
    show.settle()
    assert show.network.links["new"].faults == ("C does not know of the link",)


def test_impossible_and_contradicting_tales_cost_their_link_only() -> None:
    for changes, words in (
        ({"local": Endpoint(node_id=C)}, "starts at another node"),
        ({"remote": None}, "does not say where"),
        ({"remote": Endpoint(node_id=A)}, "back to itself"),
        ({"remote": Endpoint(node_id=C, interface_id=1)}, "leads to C"),
        ({"type": LinkType.VIRT}, "not PHYS"),
        ({"type": None, "physical": None}, "of no type"),
        ({"performance": LinkPerformance(skr_bps=10**12)}, "secret key rate"),
        ({"performance": LinkPerformance(skr_bps=5, eskr_bps=-1)}, "effective key rate"),
        ({"performance": LinkPerformance(skr_bps=5, qber=0.6)}, "QBER of 0.6"),
        ({"pool": KeyPool(stored_bits=9, capacity_bits=8)}, "9 bit in a pool of 8 bit"),
        ({"remote": Endpoint(node_id=B, interface_id=77)}, "expects interface 77"),
    ):
        show = line()
        reread(show, A, with_link(show.nodes[A].fixed, AB, **changes))
        assert any(words in fault for fault in show.network.links[AB].faults), words
        assert show.network.links[BC].faults == ()
        reread(show, A, show.nodes[A].fixed)
        assert show.network.links[AB].faults == ()
        assert show.management.alarms() == []


def test_an_honest_link_survives_a_third_claim_whoever_spoke_first() -> None:
    for order in ((A, B, C), (C, A, B), (B, C, A)):
        show = line(connect=False)
        liar = show.nodes[C]
        claim = replace(liar.fixed.links[0], link_id=AB, remote=Endpoint(node_id=A, interface_id=1))
        liar.fixed = replace(liar.fixed, links=(*liar.fixed.links, claim))
        for node_id in order:
            show.connect(node_id)
        link = show.network.links[AB]
        assert ({link.a, link.b}, link.status, link.faults) == ({A, B}, LinkStatus.ACTIVE, ())
        (fault,) = show.network.nodes[C].faults
        assert fault in (f"link {AB} joins A-B", f"link {AB} joins B-A")


def test_an_application_served_by_two_stays_where_it_was() -> None:
    show = line()
    reread(show, B, replace(show.nodes[B].fixed, consumers=("sae:a",)))
    assert show.network.consumers["sae:a"] == A
    assert show.network.nodes[B].faults == ("application sae:a is served by A already",)
    reread(show, A, replace(show.nodes[A].fixed, consumers=()))
    assert show.network.consumers["sae:a"] == B


def test_the_inventory_names_applications_of_foreign_agents() -> None:
    network = Network()
    inventory = (InventoryNode(name="A", consumers=("sae:x",)),)
    network.handle(ControllerStarted(at=1.0, policy=Policy(), inventory=inventory))
    network.handle(NodeRead(at=1.0, name="A", node=Node(node_id=A)))
    assert network.consumers == {"sae:x": A}


def test_a_replaced_machine_is_taken_when_nothing_hangs_on_the_old_one() -> None:
    show = line()
    other = replace(show.nodes[C].fixed, node_id=Q, links=())
    show.feed(NodeRead(at=show.now, name="C", node=other))
    assert set(show.network.nodes) == {A, B, Q}
    show = opened(line())
    show.feed(NodeRead(at=show.now, name="C", node=other))
    assert set(show.network.nodes) == {A, B, C}
    assert "over which keys flow" in show.network.state.rejected["C"][0]


def test_requests_before_everybody_was_heard_wait_for_that() -> None:
    show = line(connect=False)
    show.connect(A)
    wish = ApplicationNew(server_app_id="sae:a", client_app_ids=("sae:c",))
    for _ in range(3):
        show.feed(Notified(at=show.now, node_id=A, notification=wish))
    request = AssociationRequested(
        at=show.now, request_id="r", source="sae:c", destination="sae:a", qos=AppQos()
    )
    show.feed(request)
    assert not show.network.associations
    assert not show.nodes[A].refused
    show.connect(C)
    show.connect(B)
    show.settle()
    assert [one.state for one in show.network.associations.values()] == ["active", "active"]
    assert show.answers()["r"].app_id is not None


def test_waiting_ends_when_the_rest_cannot_be_reached() -> None:
    show = line(connect=False)
    show.connect(A)
    show.connect(C)
    wish = ApplicationNew(server_app_id="sae:a", client_app_ids=("sae:c",))
    show.feed(Notified(at=show.now, node_id=A, notification=wish))
    show.feed(NodeLost(at=show.now, name="B", reason="no route to host"))
    assert show.nodes[A].refused[0][2] == ("no chain of links joins A and C",)


def test_reconciliation_touches_only_what_is_ours() -> None:
    show = opened(line())
    held = show.nodes[B].tree()
    orphan = Link(
        link_id="orphan", type=LinkType.VIRT, virtual=VirtualSpec(prev_hop=A, next_hops=(C,), bandwidth_bps=1)
    )
    foreign = Application(app_id="auth", type=AppType.INTERNAL, server_app_id="urn:vendor:authentication")
    ours = Application(app_id="old", type=AppType.INTERNAL, server_app_id="urn:keyweave:reservation:orphan")
    client = Application(app_id="stray", type=AppType.CLIENT, server_app_id="sae:z")
    tree = replace(
        held,
        links=(*held.links, orphan),
        applications=(*held.applications, foreign, ours, client),
        interfaces=(*held.interfaces, Interface(interface_id=9)),
    )
    edits = [one.edit for one in reread(show, B, tree) if isinstance(one, Configure)]
    assert [(edit.remove_links, edit.remove_applications) for edit in edits] == [
        (("orphan",), ("old", "stray"))
    ]
    assert not any(edit.put_links or edit.put_applications for edit in edits)


def test_reconciliation_puts_what_is_missing_or_different_and_nothing_else() -> None:
    show = opened(line())
    (association,) = show.network.associations.values()
    whole = show.nodes[A].tree()
    assert not [one for one in reread(show, A, whole) if isinstance(one, Configure)]
    spelled = tuple(replace(one, statistics=(), status=None) for one in whole.applications)
    assert not [
        one for one in reread(show, A, replace(whole, applications=spelled)) if isinstance(one, Configure)
    ]
    changed = tuple(
        replace(one, remote_node_id=None) if one.app_id == association.app_id else one
        for one in whole.applications
    )
    (configure,) = [
        one for one in reread(show, A, replace(whole, applications=changed)) if isinstance(one, Configure)
    ]
    assert [one.app_id for one in configure.edit.put_applications] == [association.app_id]
    (configure,) = [one for one in reread(show, A, show.nodes[A].fixed) if isinstance(one, Configure)]
    assert [one.link_id for one in configure.edit.put_links] == [association.path.link_id]
    assert len(configure.edit.put_applications) == 2


def test_interfaces_come_and_go() -> None:
    show = line()
    say = lambda what: show.feed(Notified(at=show.now, node_id=A, notification=what))  # noqa: E731
    say(InterfaceNew(interface=Interface(interface_id=5)))
    assert 5 in show.network.nodes[A].interfaces
    say(InterfaceOut(interface_id=1))
    assert 1 not in show.network.nodes[A].interfaces
    assert show.network.links[AB].status == LinkStatus.PASSIVE
    before = show.network.to_snapshot()
    for nothing in (InterfaceOut(interface_id=99), InterfaceOut(), LinkDown(), LinkDown(link_id="ghost")):
        say(nothing)
    assert show.network.to_snapshot() == before


def test_an_emptied_pool_makes_a_passive_link_off() -> None:
    show = line()
    show.feed(Notified(at=show.now, node_id=A, notification=LinkDown(link_id=AB)))
    link = show.network.links[AB]
    assert link.status == LinkStatus.PASSIVE
    for stored, status in ((5, LinkStatus.PASSIVE), (0, LinkStatus.OFF)):
        pool = KeyPool(stored_bits=stored, capacity_bits=8_000_000)
        measure = LinkMeasure(link_id=AB, pool=pool)
        event = LinksMeasured(at=show.now, node_id=A, links=(measure,))
        assert show.network.is_light(event) == (stored > 0)
        show.feed(event)
        assert link.status == status


def test_figures_of_strangers_change_nothing() -> None:
    show = line()
    before = show.network.to_snapshot()
    for node_id, link_id in ((C, AB), (A, "ghost"), (Q, AB)):
        measure = LinkMeasure(link_id=link_id, performance=LinkPerformance(skr_bps=1))
        show.feed(LinksMeasured(at=show.now, node_id=node_id, links=(measure,)))
    assert show.network.to_snapshot() == before


def test_key_in_the_pool_again_counts_before_its_level_is_told() -> None:
    show = line()
    link = show.network.links[AB]
    empty = LinkMeasure(link_id=AB, status=LinkStatus.PASSIVE, pool=KeyPool(stored_bits=0, capacity_bits=10))
    show.feed(LinksMeasured(at=show.now, node_id=A, links=(empty,)))
    assert link.status == LinkStatus.OFF
    report = Event(link=LinkReport(link_id=AB, status=LinkStatus.PASSIVE))
    show.feed(Notified(at=show.now, node_id=A, notification=report))
    assert link.status == LinkStatus.PASSIVE
