"""The background optimiser from the machine's side: whom it serves, and what becomes of a proposal."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.plays import ask, live_one
from tests.controller.control.test_laws import OPERATIONS, History, check_held, check_ledger, sums

from keyweave_controller.control.actions import Configure, Optimise
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import Notified, PlacementProposed, ProposedMove, TimerFired
from keyweave_controller.control.network import Network
from keyweave_controller.control.service import Constraints, Protection, Service, ServiceClass
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.engine import codec
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.notifications import Event, LinkDown, LinkReport

EVERY_S = 60.0
POLICY = Policy(
    optimise_every_s=EVERY_S,
    most_moves=0,
    preemption=False,
    guaranteed_strategy="min-hop",
    share_spare_rate=False,
)
DIRECT = Service(constraints=Constraints(direct_only=True))
# A and B direct and around over C; F hangs on both B and E. Each link may promise 9,000 bit/s.
SPANS = [
    Span(a=a, b=b, skr_bps=10_000)
    for a, b in (("A", "B"), ("A", "C"), ("B", "C"), ("A", "E"), ("B", "F"), ("E", "F"))
]


def rehearse(policy: Policy = POLICY) -> Rehearsal:
    show = Rehearsal(nodes=simulate(SPANS, {site: (f"sae:{site}", f"sae:{site}2") for site in "ABCEF"}))
    show.start(policy)
    return show


def crowded(policy: Policy = POLICY) -> tuple[Rehearsal, Association, Association]:
    """Two associations that took the shortest path, and filled it."""
    show = rehearse(policy)
    first, second = opened(show, "A", "B", 4_000), opened(show, "A2", "B2", 4_000)
    assert taken(first) == taken(second) == links("A-B")
    return show, first, second


def opened(show: Rehearsal, a: str, b: str, rate_bps: int, service: Service | None = None) -> Association:
    assert not ask(show, a, b, rate_bps=rate_bps, service=service or Service()).reasons
    return live_one(show)


def links(*pairs: str) -> tuple[LinkId, ...]:
    return tuple(simulated_link_id(*pair.split("-")) for pair in pairs)


def taken(one: Association) -> tuple[LinkId, ...]:
    assert one.path is not None
    return one.path.links


def asked(show: Rehearsal) -> str:
    """The timer runs out, and the solver never answers; the id of its problem, empty when there is none."""
    show.now = show.timers.pop("optimise")
    show.feed(TimerFired(at=show.now, timer_id="optimise"))
    show.problems.clear()
    return show.network.state.optimising


def propose(show: Rehearsal, problem_id: str, *moves: ProposedMove) -> list[Configure]:
    """What is written to nodes because of a proposal, before any of them answers."""
    actions = show.feed(PlacementProposed(at=show.now, problem_id=problem_id, moves=moves))
    return [action for action in actions if isinstance(action, Configure)]


def move(one: Association, *pairs: str) -> ProposedMove:
    return ProposedMove(app_id=one.app_id, present=taken(one), links=links(*pairs))


def cut(show: Rehearsal, a: str, b: str) -> None:
    """No key is made any more, and none is left."""
    link_id = simulated_link_id(a, b)
    for node_id in (simulated_id(a), simulated_id(b)):
        show.feed(Notified(at=show.now, node_id=node_id, notification=LinkDown(link_id=link_id)))
        empty = Event(link=LinkReport(link_id=link_id, status=LinkStatus.OFF))
        show.feed(Notified(at=show.now, node_id=node_id, notification=empty))
    show.advance(2.0)


def test_a_demand_refused_for_bad_placement_is_served_once_others_were_spread() -> None:
    show, first, second = crowded()
    before = {one.app_id: one.path for one in (first, second)}
    assert ask(show, "A2", "B", rate_bps=3_000, service=DIRECT).reasons
    show.advance(EVERY_S)
    assert not ask(show, "A2", "B", rate_bps=3_000, service=DIRECT).reasons
    assert sorted((taken(first), taken(second)), key=len) == [links("A-B"), links("A-C", "B-C")]
    assert sum(one.path != before[one.app_id] for one in (first, second)) == 1
    assert first.outage_s == second.outage_s == 0


def test_a_suspended_association_is_served_once_another_made_room() -> None:
    show = rehearse()
    in_the_way = opened(show, "A", "B", 4_000)
    short = Service(constraints=Constraints(max_hops=2))
    lost = opened(show, "F", "A", 6_000, short)
    assert taken(lost) == links("E-F", "A-E")
    cut(show, "A", "E")
    assert lost.state is AssociationState.SUSPENDED
    show.advance(EVERY_S)
    assert lost.state is AssociationState.ACTIVE
    assert (taken(lost), taken(in_the_way)) == (links("B-F", "A-B"), links("A-C", "B-C"))
    assert in_the_way.outage_s == 0


def test_nothing_is_asked_while_nothing_changed_and_never_when_the_policy_says_so() -> None:
    show, _, _ = crowded()
    show.advance(3 * EVERY_S)
    problems = [action for action in show.actions if isinstance(action, Optimise)]
    assert 1 <= len(problems) <= 2  # the second sees what the first moved, and finds it good
    show.advance(10 * EVERY_S)
    assert problems == [action for action in show.actions if isinstance(action, Optimise)]
    for never in (Policy(optimise_every_s=0), Policy(optimise_every_s=EVERY_S, move_budget=0)):
        show.start(never, connect=False)
        assert "optimise" not in show.network.state.timers
        show, _, _ = crowded(never) if never.guaranteed_strategy == "min-hop" else (rehearse(never), 0, 0)
        show.advance(3 * EVERY_S)
        assert not any(isinstance(action, Optimise) for action in show.actions)


def test_an_answer_that_never_came_is_asked_for_again() -> None:
    show, _, _ = crowded()
    first = asked(show)
    second = asked(show)
    assert first
    assert second not in ("", first)
    assert propose(show, first) == []
    assert show.network.state.optimising == second


def test_a_proposal_for_another_problem_means_nothing() -> None:
    show, one, _ = crowded()
    asked(show)
    assert propose(show, "placement/of/old", move(one, "A-C", "B-C")) == []
    assert propose(show, "", move(one, "A-C", "B-C")) == []
    assert one.state is AssociationState.ACTIVE


def test_moves_that_the_network_has_overtaken_are_dropped() -> None:
    show, one, other = crowded()
    bound = opened(show, "B", "A2", 100, Service(constraints=Constraints(exclude_nodes=_node("C"))))
    pair = opened(show, "F", "A", 100, Service(protection=Protection.ONE_TO_ONE))
    problem_id = asked(show)
    stale = ProposedMove(app_id=other.app_id, present=links("A-C", "B-C"), links=links("A-B"))
    senseless = (
        move(one, "A-C"),  # ends at another node
        move(one, "B-C", "A-C"),  # does not begin at its source
        move(one, "A-B"),  # where it is already
        move(one, "A-C", "A-C", "A-B"),  # meets a node twice
        move(bound, "B-C", "A-C"),  # its constraints forbid it
        move(pair, "B-F", "B-C", "A-C"),  # keeps its disjoint pair
        ProposedMove(app_id=one.app_id, present=taken(one), links=(LinkId("nowhere"),)),
        ProposedMove(app_id="nobody", present=taken(one), links=links("A-C", "B-C")),  # type: ignore[arg-type]  # no id at all
    )
    assert propose(show, problem_id, stale, *senseless) == []
    assert show.network.state.proposed_moves == ()
    assert all(each.state is AssociationState.ACTIVE for each in (one, other, bound, pair))


def _node(name: str) -> frozenset[str]:
    return frozenset({simulated_id(name)})


def test_moves_are_made_in_order_and_one_that_does_not_fit_waits_for_those_before() -> None:
    """The second takes the room that the first leaves; until that has moved it stays where it is."""
    show = rehearse()
    around = Service(constraints=Constraints(exclude_links=frozenset(links("A-B"))))
    first = opened(show, "A", "B", 6_000, around)
    second = opened(show, "A2", "B2", 6_000)
    assert taken(first) == links("A-C", "B-C")
    problem_id = asked(show)
    written = propose(show, problem_id, move(first, "A-E", "E-F", "B-F"), move(second, "A-C", "B-C"))
    assert written
    assert (first.state, second.state) == (AssociationState.MOVING, AssociationState.ACTIVE)
    show.settle()
    assert (taken(first), taken(second)) == (links("A-E", "E-F", "B-F"), links("A-C", "B-C"))
    assert show.network.state.proposed_moves == ()


def test_a_move_whose_room_never_comes_is_dropped_and_the_next_is_made() -> None:
    show, one, other = crowded()
    opened(show, "A", "C", 6_000)
    problem_id = asked(show)
    propose(show, problem_id, move(one, "A-C", "B-C"), move(other, "A-E", "E-F", "B-F"))
    show.settle()
    assert (taken(one), taken(other)) == (links("A-B"), links("A-E", "E-F", "B-F"))


def test_never_more_moves_than_the_budget() -> None:
    show, one, other = crowded(Policy(optimise_every_s=EVERY_S, move_budget=1, guaranteed_strategy="min-hop"))
    problem_id = asked(show)
    propose(show, problem_id, move(one, "A-C", "B-C"), move(other, "A-E", "E-F", "B-F"))
    show.settle()
    assert (taken(one), taken(other)) == (links("A-C", "B-C"), links("A-B"))


def test_a_node_that_refuses_a_move_leaves_everything_as_it_was() -> None:
    show, one, other = crowded()
    show.nodes[simulated_id("C")].refusal = "not today"
    show.advance(EVERY_S)
    assert taken(one) == taken(other) == links("A-B")
    assert one.outage_s == other.outage_s == 0


def test_a_proposal_comes_back_from_the_journal_as_it_was() -> None:
    _, one, _ = crowded()
    event = PlacementProposed(at=1.0, problem_id="p", moves=(move(one, "A-C", "B-C"),))
    assert codec.decode(*codec.encode(event)) == event


def test_best_effort_is_nobody_to_place() -> None:
    """It holds nothing, so it is in nobody's way."""
    show = rehearse()
    modest = Service(service_class=ServiceClass.BEST_EFFORT)
    assert not ask(show, "A", "B", qos=AppQos(), service=modest).reasons
    assert asked(show) == ""


class Optimised(History):
    """A history in which the optimiser is always about to have an idea."""

    policy = Policy(optimise_every_s=1.0, move_budget=3, guaranteed_strategy="min-hop")

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.show.start(self.policy)

    def do(self, operation: str) -> None:
        if operation == "restart":
            self.show.waiting.clear()
            self.show.problems.clear()
            self.show.start(self.policy, connect=False)
        else:
            super().do(operation)


_optimised = given(
    st.integers(0, 2**32), st.lists(st.sampled_from((*OPERATIONS, "advance")), min_size=5, max_size=50)
)


@_optimised
@settings(max_examples=40, deadline=None)
def test_no_promise_is_broken_and_nodes_end_as_they_should(seed: int, operations: list[str]) -> None:
    history = Optimised(seed)
    network = history.show.network
    for operation in operations:
        before = sums(network)
        history.do(operation)
        if operation not in ("settle", "advance", "measure"):
            check_ledger(network, before)
    history.calm()
    check_held(history)
    assert network.state.proposed_moves == ()


@_optimised
@settings(max_examples=40, deadline=None)
def test_a_replay_comes_to_the_same_without_a_solver(seed: int, operations: list[str]) -> None:
    history = Optimised(seed)
    for operation in operations:
        history.do(operation)
    events = history.show.events
    again, half = Network(), Network()
    actions = [again.handle(event) for event in events]
    assert [one for some in actions for one in some] == history.show.actions
    cut_at = seed % len(events)
    for event in events[:cut_at]:
        half.handle(event)
    rest = Network.from_snapshot(json.loads(json.dumps(half.to_snapshot())))
    assert [rest.handle(event) for event in events[cut_at:]] == actions[cut_at:]
    assert rest.state == again.state
