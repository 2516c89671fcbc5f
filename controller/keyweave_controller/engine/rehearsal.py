"""The machine over a simulated network, one thing at a time, under hand-driven time.

Rule of this file: synchronous and without surprise: nothing happens until it is told. For laws and
scenarios, and to replay the journal of a field fault on a desk. `ControllerEngine` is the same with a
journal, a clock and real agents around it.
"""

from collections import deque
from dataclasses import dataclass, field

from keyweave_controller.control.actions import (
    Action,
    Answer,
    CancelTimer,
    Changed,
    Configure,
    Optimise,
    ReadNode,
    RefuseApplication,
    ReleaseLink,
    SetTimer,
)
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    ControllerStarted,
    Event,
    InventoryNode,
    NodeLost,
    NodeRead,
    PlacementProposed,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from keyweave_controller.control.network import Network
from keyweave_controller.engine import optimiser
from keyweave_controller.engine.simulation import SimulatedNode
from keyweave_controller.management.manager import Management
from keyweave_core.model.ids import NodeId


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """A network of simulated nodes and the machine that runs it. `events` and `actions` are all so far."""

    nodes: dict[NodeId, SimulatedNode]
    now: float = 1_700_000_000.0
    network: Network = field(default_factory=Network)
    management: Management = field(default_factory=Management)
    events: list[Event] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    waiting: dict[NodeId, deque[Configure | ReadNode]] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    problems: deque[Optimise] = field(default_factory=deque)

    def start(self, policy: Policy | None = None, *, connect: bool = True) -> None:
        """Start the controller; with `connect` every reachable node is read."""
        inventory = tuple(InventoryNode(name=node.name) for node in self.nodes.values())
        self.feed(ControllerStarted(at=self.now, policy=policy or Policy(), inventory=inventory))
        if connect:
            for node_id, node in self.nodes.items():
                if node.reachable:
                    self.connect(node_id)
            self.settle()

    def connect(self, node_id: NodeId) -> None:
        """The session to a node came up and its tree was read."""
        node = self.nodes[node_id]
        node.reachable = True
        self.feed(NodeRead(at=self.now, name=node.name, node=node.tree()))

    def disconnect(self, node_id: NodeId, reason: str = "connection lost") -> None:
        """The session to a node ended."""
        node = self.nodes[node_id]
        node.reachable = False
        self.feed(NodeLost(at=self.now, name=node.name, reason=reason))

    def feed(self, event: Event) -> list[Action]:
        """Let the machine take an event; what it asks of nodes waits for `work` or `settle`."""
        self.events.append(event)
        actions = self.network.handle(event)
        self.management.handle(event, actions, self.network)
        self.actions.extend(actions)
        for action in actions:
            match action:
                case Configure() | ReadNode():
                    self.waiting.setdefault(action.node_id, deque()).append(action)
                case SetTimer(timer_id=timer_id, due_at=due_at):
                    self.timers[timer_id] = due_at
                case CancelTimer(timer_id=timer_id):
                    self.timers.pop(timer_id, None)
                case RefuseApplication():
                    self.nodes[action.node_id].refused.append(
                        (action.server_app_id, action.client_app_ids, action.reasons)
                    )
                case ReleaseLink():
                    self.nodes[action.node_id].released.append(action.link_id)
                case Optimise():
                    self.problems.append(action)
                case Answer() | Changed():
                    pass
        return actions

    def work(self, node_id: NodeId, *, lose_answer: bool = False) -> None:
        """One node does the oldest thing it was asked; with `lose_answer` nobody hears that it did."""
        queue = self.waiting.get(node_id)
        if not queue:
            return
        action, node = queue.popleft(), self.nodes[node_id]
        if isinstance(action, ReadNode):
            if node.reachable:
                event = NodeRead(at=self.now, name=node.name, node=node.tree(), reconnected=False)
                self.feed(event)
            return
        if node.reachable and node.refusal:
            self.feed(StepFailed(at=self.now, step_id=action.step_id, reason=node.refusal, refused=True))
            return
        if node.reachable:
            node.apply(action.edit)
        if node.reachable and not lose_answer:
            self.feed(StepSucceeded(at=self.now, step_id=action.step_id))
        else:
            self.feed(StepFailed(at=self.now, step_id=action.step_id, reason="no answer", refused=False))

    def settle(self) -> None:
        """Nodes and the optimiser work, in turns, until nothing is asked of any (timers do not run)."""
        while any(self.waiting.values()) or self.problems:
            for node_id in list(self.waiting):
                self.work(node_id)
            if self.problems:
                self.optimise()

    def optimise(self) -> None:
        """The optimiser answers what it was asked first."""
        asked = self.problems.popleft()
        moves = optimiser.solve(asked.problem)
        self.feed(PlacementProposed(at=self.now, problem_id=asked.problem_id, moves=moves))

    def advance(self, duration_s: float) -> None:
        """Move time; timers fire in order, and the nodes work between them."""
        end = self.now + duration_s
        self.settle()
        while self.timers:
            timer_id, due_at = min(self.timers.items(), key=lambda one: (one[1], one[0]))
            if due_at > end:
                break
            del self.timers[timer_id]
            self.now = max(self.now, due_at)
            self.feed(TimerFired(at=self.now, timer_id=timer_id))
            self.settle()
        self.now = end

    def answers(self) -> dict[str, Answer]:
        """The last answer to each northbound request."""
        return {action.request_id: action for action in self.actions if isinstance(action, Answer)}
