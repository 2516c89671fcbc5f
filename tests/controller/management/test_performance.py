"""Changes of path and time without keys."""

from keyweave_controller.control.events import AssociationRequested, Notified
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.management.performance import outage_s
from keyweave_core.model.application import AppQos
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.notifications import Event, LinkDown, LinkReport

RING = [Span(a="A", b="B"), Span(a="B", b="C"), Span(a="A", b="C")]


def opened(spans: list[Span]) -> Rehearsal:
    show = Rehearsal(nodes=simulate(spans, {"A": ("sae:a",), "C": ("sae:c",)}))
    show.start()
    show.feed(
        AssociationRequested(at=show.now, request_id="r", source="sae:a", destination="sae:c", qos=AppQos())
    )
    show.settle()
    return show


def cut(show: Rehearsal, a: str, b: str, status: LinkStatus | None = None) -> None:
    link_id = simulated_link_id(a, b)
    report = (
        LinkDown(link_id=link_id)
        if status is None
        else Event(link=LinkReport(link_id=link_id, status=status))
    )
    show.feed(Notified(at=show.now, node_id=simulated_id(a), notification=report))


def test_a_move_is_timed_from_the_cut_to_both_ends() -> None:
    show = opened(RING)
    cut(show, "A", "C")
    show.now += 0.25
    show.settle()
    (restoration,) = show.management.restorations()
    assert restoration.took_s == 0.25
    assert restoration.hops == 2


def test_a_move_that_was_taken_back_is_none() -> None:
    show = opened(RING)
    show.nodes[simulated_id("B")].refusal = "no"
    cut(show, "A", "C")
    show.settle()
    assert show.management.restorations() == []
    (one,) = show.network.associations.values()
    assert one.reasons == ("node B refused: no",)
    show.nodes[simulated_id("B")].refusal = ""
    show.advance(20)
    assert len(show.management.restorations()) == 1
    assert one.path.hops == 2


def test_outage_runs_while_suspended() -> None:
    show = opened([Span(a="A", b="C")])
    (one,) = show.network.associations.values()
    cut(show, "A", "C", LinkStatus.OFF)
    assert one.state == "suspended"
    show.now += 7
    assert outage_s(show.network.state, one.app_id, show.now) == 7
    cut(show, "A", "C", LinkStatus.ACTIVE)
    show.now += 100
    assert outage_s(show.network.state, one.app_id, show.now) == 7
    assert outage_s(show.network.state, "ghost", show.now) == 0
