"""Carrying out what was decided, against the agents and the clock; outcomes go back as events.

Rule of this file: what is for one node happens in the order it was handed out, one at a time; different
nodes work side by side. Nothing here decides: an action is carried out, its outcome is reported, and
whether to repeat it is the machine's affair. A call that does not end in `CALL_LIMIT_S` counts as
unreachable.

    Configure, ReadNode, RefuseApplication --> a queue and a task for each node --> StepSucceeded/StepFailed
    SetTimer, CancelTimer                  --> a task for each timer            --> TimerFired
    Optimise                               --> a task, its work in a thread     --> PlacementProposed
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import assert_never

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
from keyweave_controller.control.events import (
    Event,
    PlacementProposed,
    ProposedMove,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from keyweave_controller.engine.ports import Agents, Optimiser
from keyweave_core.errors import KeyweaveError, Unavailable
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

CALL_LIMIT_S = 30.0

_ForNode = Configure | ReadNode | RefuseApplication | ReleaseLink


class Carrier:
    """The hands of the engine. Lives inside one TaskGroup."""

    def __init__(
        self,
        agents: Agents,
        clock: Clock,
        submit: Callable[[Event], None],
        tasks: asyncio.TaskGroup,
        optimiser: Optimiser,
    ) -> None:
        self._agents = agents
        self._clock = clock
        self._submit = submit
        self._tasks = tasks
        self._optimiser = optimiser
        self._queues: dict[NodeId, asyncio.Queue[_ForNode]] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._log = get_logger("carry")

    def carry(self, action: Action) -> None:
        """Start to carry out one action; returns at once."""
        match action:
            case Configure() | ReadNode() | RefuseApplication() | ReleaseLink():
                self._queue(action.node_id).put_nowait(action)
            case SetTimer(timer_id=timer_id, due_at=due_at):
                self._cancel(timer_id)
                self._timers[timer_id] = self._tasks.create_task(self._fire(timer_id, due_at))
            case CancelTimer(timer_id=timer_id):
                self._cancel(timer_id)
            case Optimise():
                self._tasks.create_task(self._optimise(action))
            case Answer() | Changed():
                pass  # the engine's own affair
            case unreachable:
                assert_never(unreachable)

    def _queue(self, node_id: NodeId) -> asyncio.Queue[_ForNode]:
        queue = self._queues.get(node_id)
        if queue is None:
            queue = self._queues[node_id] = asyncio.Queue()
            self._tasks.create_task(self._serve(queue))
        return queue

    async def _serve(self, queue: asyncio.Queue[_ForNode]) -> None:
        while True:
            action = await queue.get()
            match action:
                case Configure():
                    await self._configure(action)
                case ReadNode(node_id=node_id):
                    await self._attempt("read", node_id, self._agents.read(node_id))
                case RefuseApplication(node_id=node_id):
                    refusal = self._agents.refuse(
                        node_id, action.server_app_id, action.client_app_ids, action.reasons
                    )
                    await self._attempt("refuse", node_id, refusal)
                case ReleaseLink(node_id=node_id):
                    release = self._agents.release(node_id, action.link_id)
                    await self._attempt("release", node_id, release)
                case unreachable:
                    assert_never(unreachable)

    async def _configure(self, action: Configure) -> None:
        failed = await self._attempt(
            "configure", action.node_id, self._agents.configure(action.node_id, action.edit)
        )
        at = self._clock.now()
        if failed is None:
            self._submit(StepSucceeded(at=at, step_id=action.step_id))
        else:
            # Only what may succeed later is worth repeating; all else the node will answer the same way.
            refused = not isinstance(failed, Unavailable | TimeoutError)
            self._submit(StepFailed(at=at, step_id=action.step_id, reason=str(failed), refused=refused))

    async def _attempt(self, what: str, node_id: NodeId, call: Awaitable[None]) -> Exception | None:
        """Wait for a call on an agent; the error it ended with, for whoever wants to know it."""
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                await call
        except (KeyweaveError, TimeoutError) as error:
            self._log.warning("agent call failed", call=what, node_id=node_id, reason=str(error))
            return error if str(error) else TimeoutError(f"no answer within {CALL_LIMIT_S:g} s")
        except Exception as error:  # noqa: BLE001 - a defect in one adapter must not stop all others
            self._log.exception("agent call broke", call=what, node_id=node_id)
            return error
        return None

    async def _optimise(self, action: Optimise) -> None:
        """A solver that fails has proposed nothing."""
        moves: tuple[ProposedMove, ...] = ()
        try:
            moves = await self._optimiser.propose(action.problem)
        except KeyweaveError as error:
            self._log.warning("no placement found", problem_id=action.problem_id, reason=str(error))
        except Exception:  # noqa: BLE001 - a defect of the solver must not stop the network
            self._log.exception("optimiser broke", problem_id=action.problem_id)
        self._submit(PlacementProposed(at=self._clock.now(), problem_id=action.problem_id, moves=moves))

    async def _fire(self, timer_id: str, due_at: float) -> None:
        await self._clock.sleep(due_at - self._clock.now())
        self._timers.pop(timer_id, None)
        self._submit(TimerFired(at=self._clock.now(), timer_id=timer_id))

    def _cancel(self, timer_id: str) -> None:
        task = self._timers.pop(timer_id, None)
        if task is not None:
            task.cancel()
