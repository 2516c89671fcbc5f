"""The machine that decides: events in, actions out, and the state in between.

Rule of this file: nothing here waits, reads a clock or draws a number. `handle` takes one event, dispatches
it to the room that knows, and returns what is to be done, in order. The same events give the same state
and the same actions; that is what crash recovery and replay rest on.
"""

from typing import Any, assert_never

import msgspec

from keyweave_controller.control import (
    associations,
    channels,
    cleanup,
    closing,
    damping,
    discovery,
    entries,
    intents,
    judging,
    measures,
    optimising,
    readmission,
    recovery,
    releasing,
    reports,
    reverting,
    scheduling,
    shares,
    steps,
    timetable,
    waiting,
)
from keyweave_controller.control.actions import Action
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.crossings import in_age
from keyweave_controller.control.events import (
    AlarmNoted,
    AlarmsPurged,
    AssociationClosed,
    AssociationRequested,
    ClassicalWished,
    ClassicalWithdrawn,
    ConfigurationAbandoned,
    ConfigurationKept,
    ControllerStarted,
    Event,
    LinkReleased,
    LinksMeasured,
    NodeLost,
    NodeRead,
    NodeRejected,
    Notified,
    OperatorConfigured,
    PlacementProposed,
    PlantConfigured,
    StepFailed,
    StepSucceeded,
    TimerFired,
    UsageReported,
)
from keyweave_controller.control.lookups import Lookups
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.state import Association, LinkRecord, NetworkState, NodeRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId


class Network:
    """The network as the controller knows it. Look at the properties, change it by events only."""

    def __init__(self, state: NetworkState | None = None) -> None:
        self._state = state or NetworkState()
        self._lookups = Lookups(self._state)

    @property
    def state(self) -> NetworkState:
        """Everything, to look at."""
        return self._state

    @property
    def mesh(self) -> Mesh:
        """The network as the searches see it."""
        return self._lookups.mesh(self._state)

    @property
    def nodes(self) -> dict[NodeId, NodeRecord]:
        """Nodes whose tree was read."""
        return self._state.nodes

    @property
    def links(self) -> dict[LinkId, LinkRecord]:
        """Physical links that any node offers, believed or not (`faults`)."""
        return self._state.links

    @property
    def associations(self) -> dict[AppId, Association]:
        """Key associations, the ended ones included while they are kept; oldest first."""
        return self._state.associations

    @property
    def consumers(self) -> dict[SaeId, NodeId]:
        """Which node serves an application."""
        return self._state.consumers

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._state.policy

    def handle(self, event: Event) -> list[Action]:
        """Take one event and return what is to be done, in order."""
        turn = Turn(self._state, self._lookups, event.at)
        match event:
            case ControllerStarted():
                discovery.controller_started(turn, event)
            case NodeRead():
                discovery.node_read(turn, event)
            case NodeLost():
                discovery.node_lost(turn, event)
            case NodeRejected():
                discovery.node_rejected(turn, event)
            case Notified():
                reports.notified(turn, event)
            case LinksMeasured():
                measures.measured(turn, event.node_id, event.links)
            case UsageReported():
                pass  # the bill's affair: folded by management
            case AlarmNoted() | AlarmsPurged():
                turn.answer(event.request_id)  # folded by management
            case LinkReleased():
                releasing.released(turn, event)
            case AssociationRequested():
                associations.requested(turn, event)
            case AssociationClosed():
                closing.closed(turn, event)
            case OperatorConfigured():
                intents.configured(turn, event)
            case ConfigurationAbandoned():
                intents.abandoned(turn, event)
            case ConfigurationKept():
                intents.kept(turn, event)
            case PlantConfigured():
                channels.configured(turn, event)
            case ClassicalWished():
                channels.wished(turn, event)
            case ClassicalWithdrawn():
                channels.withdrawn(turn, event)
            case StepSucceeded():
                steps.succeeded(turn, event)
            case StepFailed():
                steps.failed(turn, event)
            case PlacementProposed():
                optimising.proposed(turn, event)
            case TimerFired():
                self._timer_fired(turn, event)
            case unreachable:
                assert_never(unreachable)
        readmission.review(turn)
        if self._lookups.booked:
            scheduling.review(turn, turn.touched_links)
        waiting.review(turn)
        associations.review_displaced(turn)
        intents.review(turn)
        entries.review(turn)
        recovery.review(turn)
        readmission.review(turn)
        optimising.review(turn)
        if turn.capacity_grew:
            closing.forget_oldest(turn)
        shares.review(turn)
        return turn.finish()

    def over_link(self, link_id: LinkId) -> list[Association]:
        """The associations whose keys take a link, the oldest first."""
        found = in_age(self._state.associations, self._lookups.crossings.over(link_id))
        return [one for one in found if one.path is not None and link_id in one.path.links]

    def through_node(self, node_id: NodeId) -> list[Association]:
        """The same of a node, its ends included."""
        found = in_age(self._state.associations, self._lookups.crossings.through(node_id))
        return [one for one in found if one.path is not None and node_id in one.path.nodes]

    def is_light(self, event: Event) -> bool:
        """These figures only refresh what is shown: `show` them, no journal entry is needed."""
        return isinstance(event, LinksMeasured) and measures.light(self._state, self._lookups, event)

    def weighed(self, event: Event) -> Event:
        """The event with the average rates that decisions are to use; asked before it is journaled."""
        return measures.weighed(self._state, event)

    def show(self, event: LinksMeasured) -> list[Action]:
        """Refresh what is shown by figures that are `is_light`; at most a `Changed` comes out."""
        turn = Turn(self._state, self._lookups, event.at)
        measures.show(turn, event)
        return turn.finish()

    def to_snapshot(self) -> dict[str, Any]:
        """The whole state as plain JSON values. The order of keys matters (first come, first served)."""
        plain: dict[str, Any] = msgspec.to_builtins(self._state, str_keys=True)
        return plain

    @classmethod
    def from_snapshot(cls, plain: dict[str, Any]) -> "Network":
        """The network of a snapshot. Raises msgspec.ValidationError naming the place that does not fit."""
        return cls(msgspec.convert(plain, NetworkState, strict=False, str_keys=True))

    def _timer_fired(self, turn: Turn, event: TimerFired) -> None:
        if self._state.timers.pop(event.timer_id, None) is None:
            return  # cancelled while it was on its way
        kind, _, of = event.timer_id.partition(":")
        match kind:
            case "step":
                steps.retry(turn, of)
            case "clean":
                cleanup.again(turn, NodeId(of))
            case "expire":
                association = self._state.associations.get(AppId(of))
                if association is not None and association.live:
                    closing.close(turn, association)
            case "start":
                association = self._state.associations.get(AppId(of))
                if association is not None:
                    scheduling.start(turn, association)
            case "intents":
                entries.keep(turn)
            case "shares":
                shares.reckon(turn)
            case channels.TIMER:
                channels.look(turn)
            case timetable.TIMER:
                timetable.again(turn)
            case "rest":
                judging.judge_links(turn, (LinkId(of),))
            case optimising.TIMER:
                optimising.due(turn)
            case "retry":
                turn.touch_app(AppId(of))
            case "review":
                turn.capacity_grew = True
            case "overbooked":
                readmission.overbooked(turn, LinkId(of))
            case "degraded":
                readmission.confirmed(turn, AppId(of))
            case "revert":
                reverting.review(turn, LinkId(of))
            case "reuse":
                damping.over(turn, LinkId(of))
            case "trouble":
                association = self._state.associations.get(AppId(of))
                if association is not None:
                    association.trouble = ""
                    turn.touch_app(AppId(of))
