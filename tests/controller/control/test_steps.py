"""Steps that must be handed out again when the world has moved on."""

import pytest

from keyweave_controller.control.actions import Configure
from keyweave_controller.control.events import (
    AssociationClosed,
    AssociationRequested,
    Notified,
    StepFailed,
)
from keyweave_controller.control.state import AssociationState, Phase
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import SaeId
from keyweave_core.model.notifications import ApplicationNew, LinkDown

A, B = simulated_id("A"), simulated_id("B")
SPANS = [Span(a="A", b="B"), Span(a="B", b="C"), Span(a="A", b="C")]
BUSY = "lock-denied: running is locked by session 9"


@pytest.fixture
def show() -> Rehearsal:
    """Three sites in a ring and an association of A with B."""
    nodes = simulate(SPANS, {"A": ("sae:A",), "B": ("sae:B",)})
    rehearsal = Rehearsal(nodes=nodes)
    rehearsal.start()
    rehearsal.feed(
        AssociationRequested(
            at=rehearsal.now,
            request_id="r1",
            source=SaeId("sae:A"),
            destination=SaeId("sae:B"),
            qos=AppQos(),
        )
    )
    rehearsal.settle()
    return rehearsal


def ask_again_while_busy(show: Rehearsal) -> str:
    """A asks for what it has, and cannot be written just now; the step that waits."""
    wish = ApplicationNew(server_app_id=SaeId("sae:A"), client_app_ids=(SaeId("sae:B"),), local_node_id=A)
    (action,) = (
        one
        for one in show.feed(Notified(at=show.now, node_id=A, notification=wish))
        if isinstance(one, Configure)
    )
    show.waiting[A].remove(action)
    show.feed(StepFailed(at=show.now, step_id=action.step_id, reason=BUSY, refused=False))
    assert show.network.state.steps[action.step_id].phase is Phase.REPEAT
    return action.step_id


def test_an_entry_that_was_closed_meanwhile_is_not_put_again(show: Rehearsal) -> None:
    (association,) = show.network.associations.values()
    step_id = ask_again_while_busy(show)
    show.feed(AssociationClosed(at=show.now, request_id="r2", app_id=association.app_id))
    show.settle()
    assert show.nodes[A].applications == {}
    show.advance(30)
    show.settle()
    assert show.nodes[A].applications == {}
    assert step_id not in show.network.state.steps


def test_an_entry_that_moved_meanwhile_is_put_as_it_is_now(show: Rehearsal) -> None:
    (association,) = show.network.associations.values()
    ask_again_while_busy(show)
    (link_id,) = association.path.links
    show.feed(Notified(at=show.now, node_id=A, notification=LinkDown(link_id=link_id)))
    show.settle()
    assert association.state is AssociationState.ACTIVE
    assert association.path.hops == 2
    show.advance(30)
    show.settle()
    assert show.nodes[A].applications[association.app_id].backing_link_ids == (association.path.link_id,)
