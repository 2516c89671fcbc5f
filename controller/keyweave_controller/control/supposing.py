"""What is supposed for a question: a copy of the network to try things on, failures, other rates.

Rule of this file: nothing here leaves a trace in the state that it was made from.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from keyweave_controller.control import facts
from keyweave_controller.control.actions import Answer, Configure
from keyweave_controller.control.events import (
    Event,
    LinkMeasure,
    LinksMeasured,
    NodeLost,
    Notified,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.recovery import STORM_LONGEST_S
from keyweave_controller.control.state import LinkEnd, LinkRecord, NetworkState
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import LinkPerformance, LinkStatus, LinkType
from keyweave_core.model.notifications import LinkDown

FAILS = "is taken to fail"
"""The reason of every failure that is only supposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRate:
    """A link with another key rate, bit/s; `link_id` None: one more link between `a` and `b`."""

    a: NodeId
    b: NodeId
    rate_bps: int
    link_id: LinkId | None = None


def with_links(state: NetworkState, rates: Iterable[LinkRate], at: float) -> None:
    """Add the links that are not there yet."""
    for place, rate in enumerate(rates):
        if rate.link_id is None:
            new = _new_link(LinkId(f"supposed-{place}"), rate, at)
            state.links[new.link_id] = new


def rate_changes(state: NetworkState, rates: Sequence[LinkRate], at: float) -> list[Event]:
    """Both ends of every link that is there tell its other rate."""
    events: list[Event] = []
    for rate in rates:
        link = state.links.get(rate.link_id) if rate.link_id is not None else None
        if rate.link_id is None or link is None:
            continue
        measure = LinkMeasure(
            link_id=rate.link_id,
            performance=LinkPerformance(skr_bps=rate.rate_bps),
            smoothed_skr_bps=rate.rate_bps,
        )
        ends = sorted(link.ends)
        events.extend(LinksMeasured(at=at, node_id=node_id, links=(measure,)) for node_id in ends)
    return events


def failing_links(
    state: NetworkState, links: Iterable[LinkId], nodes: Iterable[NodeId], risks: Iterable[str]
) -> tuple[LinkId, ...]:
    """The links that fail: those named, those of the nodes, those in one of the shared-risk groups."""
    down, groups = set(nodes), set(risks)
    named = dict.fromkeys(links)
    for one in state.links.values():
        if down & {one.a, one.b} or groups & facts.of_link(state, one).risk_groups:
            named[one.link_id] = None
    return tuple(link_id for link_id in named if link_id in state.links)


def failures(state: NetworkState, links: Iterable[LinkId], nodes: Iterable[NodeId], at: float) -> list[Event]:
    """Nodes are lost first, so that nobody moves onto them; then every link is reported down."""
    events: list[Event] = [
        NodeLost(at=at, name=state.nodes[node_id].name, reason=FAILS)
        for node_id in nodes
        if node_id in state.nodes
    ]
    for link_id in links:
        down = LinkDown(link_id=link_id, reason=FAILS)
        ends = sorted(state.links[link_id].ends)
        events.extend(Notified(at=at, node_id=node_id, notification=down) for node_id in ends)
    return events


def _new_link(link_id: LinkId, rate: LinkRate, at: float) -> LinkRecord:
    a, b = sorted((rate.a, rate.b))

    def end(here: NodeId, there: NodeId) -> LinkEnd:
        return LinkEnd(
            status=LinkStatus.ACTIVE,
            performance=LinkPerformance(skr_bps=rate.rate_bps),
            counted_skr_bps=rate.rate_bps,
            at=at,
            local_node=here,
            remote_node=there,
            type=LinkType.PHYS,
        )

    return LinkRecord(
        link_id=link_id,
        a=a,
        b=b,
        ends={a: end(a, b), b: end(b, a)},
        status=LinkStatus.ACTIVE,
        skr_bps=rate.rate_bps,
        proven=True,
    )


def run(trial: Network, events: Sequence[Event], at: float) -> dict[str, Answer]:
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
        if not waiting and "review" in trial.state.timers:
            # Many failures at once are looked at together, when their reports have ceased.
            waiting.append(TimerFired(at=at + STORM_LONGEST_S, timer_id="review"))
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
        awake=set(state.stranded),
    )
