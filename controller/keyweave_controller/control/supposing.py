"""What is supposed for a question: a copy of the network to try things on, failures, other rates.

Rule of this file: nothing here leaves a trace in the state that it was made from.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from types import NoneType
from typing import Any

from keyweave_controller.control import facts
from keyweave_controller.control.actions import Answer, CancelTimer, Configure, SetTimer
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
from keyweave_controller.control.state import LinkEnd, LinkRecord, NetworkState
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import LinkPerformance, LinkStatus, LinkType
from keyweave_core.model.notifications import LinkDown

FAILS = "is taken to fail"
"""The reason of every failure that is only supposed."""

MOST_RESTS = 200
"""Moments of rest after which a trial ends, whatever still waits."""

_AWAITED = frozenset({"review", "overbooked", "degraded", "shares"})
"""Timers that only put a decision off until the network is at rest."""


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


class Trial:
    """A copy of the network that is let run: agents do what they are told at once, decisions that wait for a
    moment of rest are taken as soon as nothing else happens. `at` (seconds since 1970) moves on with them.
    """

    def __init__(self, state: NetworkState, rates: Iterable[LinkRate], at: float) -> None:
        """From a copy of `state` to which links that are not there yet are added; steps under way succeed."""
        own = copied(state)
        with_links(own, rates, at)
        self.network = Network(own)
        self.at = at
        self._timers = {one: due for one, due in own.timers.items() if _kind(one) in _AWAITED}
        self.run([StepSucceeded(at=at, step_id=step_id) for step_id in own.steps])

    @property
    def state(self) -> NetworkState:
        """What has become of the copy."""
        return self.network.state

    def run(self, events: Sequence[Event]) -> dict[str, Answer]:
        """Take events and whatever follows from them; the answers given on the way."""
        waiting: deque[Event] = deque(events)
        answers: dict[str, Answer] = {}
        for _ in range(MOST_RESTS):
            while waiting:
                for action in self.network.handle(waiting.popleft()):
                    match action:
                        case Configure():
                            waiting.append(self._outcome(action))
                        case Answer(request_id=request_id):
                            answers[request_id] = action
                        case SetTimer(timer_id=timer_id, due_at=due_at) if _kind(timer_id) in _AWAITED:
                            self._timers[timer_id] = due_at
                        case CancelTimer(timer_id=timer_id):
                            self._timers.pop(timer_id, None)
                        case _:
                            pass  # other timers do not run here, and nobody is told
            if not self._timers:
                break
            due_at, timer_id = min((due, one) for one, due in self._timers.items())
            del self._timers[timer_id]
            self.at = max(self.at, due_at)
            waiting.append(TimerFired(at=self.at, timer_id=timer_id))
        return answers

    def _outcome(self, action: Configure) -> Event:
        node = self.network.nodes.get(action.node_id)
        if node is not None and node.connected:
            return StepSucceeded(at=self.at, step_id=action.step_id)
        return StepFailed(at=self.at, step_id=action.step_id, reason="it cannot be reached", refused=True)


def copied(state: NetworkState) -> NetworkState:
    """A copy that can be changed without a trace in `state`; requests under way are left out of it."""
    own: NetworkState = _own(
        replace(state, configuring=None, parked=[], requests={}, settling=set())  # answered by what is known
    )
    # A move that waits to be tried again is tried at once.
    own.timers = {one: due_at for one, due_at in own.timers.items() if _kind(one) != "retry"}
    own.awake = set(own.stranded)
    return own


def _kind(timer_id: str) -> str:
    return timer_id.partition(":")[0]


def _own(value: Any) -> Any:
    """The same value, where everything that can be changed is new."""
    match value:
        case dict():
            return {key: inner if isinstance(inner, _PLAIN) else _own(inner) for key, inner in value.items()}
        case tuple() | list():
            return type(value)(_own(inner) for inner in value) if value else type(value)()
        case set():
            return set(value)
    if isinstance(value, Hashable) or not is_dataclass(value) or isinstance(value, type):
        return value  # plain, a frozen record, an enumeration
    held = ((field.name, getattr(value, field.name)) for field in fields(value))
    return replace(value, **{name: _own(inner) for name, inner in held if not isinstance(inner, _PLAIN)})


_PLAIN = (str, int, float, NoneType)
