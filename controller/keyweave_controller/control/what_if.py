"""What would become of the associations if links or nodes failed, or more were asked for.

Rule of this file: a question changes nothing. It is put to a copy of the network that is run by the very code
that decides for real, with agents that do what they are told at once; so the answer is what the network would
do, as far as its agents obey. What could only live on key that is stored counts as lost.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from keyweave_controller.control import placement, routing, topology
from keyweave_controller.control.actions import Answer, Configure
from keyweave_controller.control.admission import wanted_bps
from keyweave_controller.control.events import (
    AssociationRequested,
    Event,
    NodeLost,
    Notified,
    StepFailed,
    StepSucceeded,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.state import Association, AssociationState, NetworkState
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.notifications import LinkDown

MOST = 1_000
"""Most demands of one question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Keys that would be asked for as well. `id` is the caller's; `rate_bps` None: the policy's default."""

    id: str
    source: SaeId
    destination: SaeId
    rate_bps: int | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What would happen: links and nodes fail together, then the demands are made, by priority."""

    fail_links: tuple[LinkId, ...] = ()
    fail_nodes: tuple[NodeId, ...] = ()
    demands: tuple[Demand, ...] = ()


class Fate(StrEnum):
    """What would become of an association or a demand."""

    CARRIED = "carried"  # runs on as it does; a demand: is carried
    MOVED = "moved"  # goes another way
    LOST = "lost"  # has no way


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One association (`id` is its app id) or demand; `reasons` say why it is lost."""

    id: str
    source: SaeId
    destination: SaeId
    fate: Fate
    nodes: tuple[NodeId, ...] = ()
    links: tuple[LinkId, ...] = ()
    reasons: tuple[str, ...] = ()


def what_if(state: NetworkState, question: Question, *, at: float) -> tuple[Outcome, ...]:
    """The outcome for every association that lives, oldest first, then for every demand as given.

    Links and nodes that are not known fail without effect; the caller checks names.
    """
    trial = Network(copied(state))
    steps = [StepSucceeded(at=at, step_id=step_id) for step_id in trial.state.steps]
    _run(trial, steps, at)
    before = {one.app_id: paths_links(one) for one in trial.associations.values() if counts(one)}
    _run(trial, _failures(trial.state, question, at), at)
    fates = [fate_of(trial.state, app_id, links) for app_id, links in before.items()]
    return (*fates, *_demands(trial, question, at))


def fate_of(state: NetworkState, app_id: AppId, links: tuple[LinkId, ...]) -> Outcome:
    """What has become of an association that took `links` before; judged by the state as it is now."""
    one = state.associations[app_id]
    reasons = _why_lost(state, one)
    return Outcome(
        id=app_id,
        source=one.source,
        destination=one.destination,
        fate=Fate.LOST if reasons else Fate.CARRIED if paths_links(one) == links else Fate.MOVED,
        nodes=() if reasons else one.path.nodes if one.path else (one.source_node,),
        links=() if reasons else paths_links(one),
        reasons=reasons,
    )


def counts(association: Association) -> bool:
    """It lives, and is not on its way out."""
    return association.live and association.state is not AssociationState.CLOSING


def paths_links(association: Association) -> tuple[LinkId, ...]:
    """The links keys take now; none inside one node."""
    return association.path.links if association.path else ()


def _why_lost(state: NetworkState, one: Association) -> tuple[str, ...]:
    if not counts(one):
        return one.reasons or ("it ends",)
    if one.source_node == one.destination_node:
        obstacles = topology.node_obstacles(state.nodes.get(one.source_node))
        return tuple(f"node {state.node_name(one.source_node)} {obstacle}" for obstacle in obstacles)
    if one.path is not None and not topology.broken_links(state, one.path):
        return ()
    rate_bps = wanted_bps(one.qos, state.policy)
    ends, beside = (one.source_node, one.destination_node), (one.path,) if one.path else ()
    return one.reasons or routing.explain(
        state, placement.route_wish(state, *ends, rate_bps, one.service, beside=beside)
    )


def _failing_links(state: NetworkState, question: Question) -> list[LinkId]:
    nodes = set(question.fail_nodes)
    named = dict.fromkeys(question.fail_links)
    named.update(dict.fromkeys(one.link_id for one in state.links.values() if nodes & {one.a, one.b}))
    return [link_id for link_id in named if link_id in state.links]


def _failures(state: NetworkState, question: Question, at: float) -> list[Event]:
    """Nodes are lost first, so that nobody moves onto them; then every link is reported down."""
    events: list[Event] = [
        NodeLost(at=at, name=state.nodes[node_id].name, reason="is taken to fail")
        for node_id in question.fail_nodes
        if node_id in state.nodes
    ]
    for link_id in _failing_links(state, question):
        down = LinkDown(link_id=link_id, reason="is taken to fail")
        ends = sorted(state.links[link_id].ends)
        events.extend(Notified(at=at, node_id=node_id, notification=down) for node_id in ends)
    return events


def _demands(trial: Network, question: Question, at: float) -> list[Outcome]:
    outcomes: dict[str, Outcome] = {}
    for demand in sorted(question.demands, key=lambda one: -one.priority):
        request_id = f"what-if {demand.id}"
        wish = AssociationRequested(
            at=at,
            request_id=request_id,
            source=demand.source,
            destination=demand.destination,
            qos=AppQos(min_bandwidth_bps=demand.rate_bps),
            priority=demand.priority,
        )
        answer = _run(trial, [wish], at).get(request_id)
        app_id = answer.app_id if answer else None
        if answer is None or app_id is None:
            outcomes[demand.id] = Outcome(
                id=demand.id,
                source=demand.source,
                destination=demand.destination,
                fate=Fate.LOST,
                reasons=answer.reasons if answer else ("the association it would share has no path",),
            )
        else:
            links = paths_links(trial.associations[app_id])
            outcomes[demand.id] = replace(fate_of(trial.state, app_id, links), id=demand.id)
    return [outcomes[demand.id] for demand in question.demands]


def _run(trial: Network, events: Sequence[Event], at: float) -> dict[str, Answer]:
    """Let the copy take events and whatever follows from them; the answers given on the way."""
    waiting: deque[Event] = deque(events)
    answers: dict[str, Answer] = {}
    while waiting:
        for action in trial.handle(waiting.popleft()):
            match action:
                case Configure(step_id=step_id, node_id=node_id):
                    node = trial.nodes.get(node_id)
                    if node is not None and node.connected:
                        waiting.append(StepSucceeded(at=at, step_id=step_id))
                    else:
                        waiting.append(
                            StepFailed(at=at, step_id=step_id, reason="it cannot be reached", refused=True)
                        )
                case Answer(request_id=request_id):
                    answers[request_id] = action
                case _:
                    pass  # timers do not run here, and nobody is told
    return answers


def copied(state: NetworkState) -> NetworkState:
    """A copy that can be changed without a trace in `state`; requests under way are left out of it."""
    return replace(
        state,
        configuring=None,
        tenants=dict(state.tenants),
        tenant_of=dict(state.tenant_of),
        inventory=dict(state.inventory),
        settling=set(),  # a question is answered by what is known now
        nodes={one: replace(node, interfaces=dict(node.interfaces)) for one, node in state.nodes.items()},
        links={
            one: replace(
                link,
                ends={node_id: replace(end) for node_id, end in link.ends.items()},
                claims={node_id: replace(end) for node_id, end in link.claims.items()},
                reserved_bps=dict(link.reserved_bps),
            )
            for one, link in state.links.items()
        },
        associations={
            one: replace(
                association,
                past_paths=dict(association.past_paths),
                pending_steps=set(association.pending_steps),
            )
            for one, association in state.associations.items()
        },
        consumers=dict(state.consumers),
        unreached=dict(state.unreached),
        rejected=dict(state.rejected),
        steps={one: replace(step) for one, step in state.steps.items()},
        leftovers={
            one: replace(leftover, links=set(leftover.links), applications=set(leftover.applications))
            for one, leftover in state.leftovers.items()
        },
        # A move that waits to be tried again is tried at once.
        timers={one: due_at for one, due_at in state.timers.items() if not one.startswith("retry:")},
        parked=[],
        requests={},
        stranded=set(state.stranded),
    )
