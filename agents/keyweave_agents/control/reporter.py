"""The stream of notifications of a node: hears of local events, sends what is worth sending.

Rule of this file: one loop, one order. What `reports` decides is checked against the YANG modules before it
leaves; what may not be told yet waits, and is looked at again with the state of that later moment.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from keyweave_agents.control.pacing import Pace, Turns
from keyweave_agents.control.reports import of_key_event, of_module_event
from keyweave_agents.keys.plan import KeyEvent, PoolEmptied, PoolFilled
from keyweave_agents.keys.ports import KeyControl
from keyweave_agents.quantum.observed import (
    FiguresChanged,
    IntrusionOver,
    IntrusionSuspected,
    LinkDown,
    LinkUp,
    ModuleEvent,
)
from keyweave_core.errors import KeyweaveError
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkPerformance
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import Notification
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_yang.encode import encode_notification
from keyweave_yang.schema import ModelSchema


class Observed(Protocol):
    """The node as it is now (`netconf_endpoint.NodeEndpoint`)."""

    @property
    def direct(self) -> Mapping[LinkId, LinkId]: ...

    def node(self) -> Node: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Again:
    """An event that was put off and is due now."""

    event: FiguresChanged | PoolEmptied | PoolFilled


class Reporter:
    """Turns events of the key manager and the modules into published notifications while `run` does."""

    def __init__(self, endpoint: Observed, keys: KeyControl, *, schema: ModelSchema, clock: Clock) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._schema = schema
        self._clock = clock
        self._log = get_logger("control")
        self._inbox: asyncio.Queue[KeyEvent | ModuleEvent | _Again] = asyncio.Queue()
        self._pace = Pace()
        self._turns = Turns()
        self._latest: dict[LinkId, PoolEmptied | PoolFilled] = {}
        self._waiting: set[tuple[str, LinkId]] = set()

    def happened(self, event: ModuleEvent) -> None:
        """Hear of a module's event (called from the loop; never blocks)."""
        self._inbox.put_nowait(event)

    async def run(self, publish: Callable[[etree._Element], None]) -> None:
        """Report until cancelled; `publish` takes one checked element."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            while True:
                event = await self._inbox.get()
                if isinstance(event, _Again):
                    event = self._looked_at_again(event.event)
                elif isinstance(event, PoolEmptied | PoolFilled):
                    self._latest[event.link_id] = event
                for notification in self._worth_telling(event, tasks):
                    self._publish(notification, publish)

    async def _listen(self) -> None:
        while True:
            self._inbox.put_nowait(await self._keys.next_event())

    def _worth_telling(
        self, event: KeyEvent | ModuleEvent, tasks: asyncio.TaskGroup
    ) -> tuple[Notification, ...]:
        now_s = self._clock.monotonic()
        node = self._endpoint.node()
        if isinstance(event, IntrusionSuspected | IntrusionOver):
            return of_module_event(event, node)
        if isinstance(event, FiguresChanged | LinkUp | LinkDown):
            figures = _figures(node, event.link_id)
            if isinstance(event, FiguresChanged):
                wait_s = self._pace.wait_s(event.link_id, figures, now_s)
                if self._put_off("figures", event, wait_s, tasks):
                    return ()
            if not isinstance(event, LinkDown):
                self._pace.note(event.link_id, figures, now_s)
            return of_module_event(event, node)
        if isinstance(event, PoolEmptied | PoolFilled):
            wait_s = self._turns.wait_s(event, now_s)
            if self._put_off("pool", event, wait_s, tasks):
                return ()
            self._turns.note(event, now_s)
        return of_key_event(event, node, self._endpoint.direct)

    def _put_off(
        self,
        kind: str,
        event: FiguresChanged | PoolEmptied | PoolFilled,
        wait_s: float | None,
        tasks: asyncio.TaskGroup,
    ) -> bool:
        """True when the event is not told now: it is no news, or it comes in again after `wait_s`."""
        if wait_s == 0:
            return False
        if wait_s is not None and (kind, event.link_id) not in self._waiting:
            self._waiting.add((kind, event.link_id))
            tasks.create_task(self._again(kind, event, wait_s))
        return True

    async def _again(
        self, kind: str, event: FiguresChanged | PoolEmptied | PoolFilled, wait_s: float
    ) -> None:
        await self._clock.sleep(wait_s)
        self._waiting.discard((kind, event.link_id))
        self._inbox.put_nowait(_Again(event=event))

    def _looked_at_again(
        self, event: FiguresChanged | PoolEmptied | PoolFilled
    ) -> FiguresChanged | PoolEmptied | PoolFilled:
        """What was put off, as it is now: other turns of the pool may stand before it in the inbox."""
        return event if isinstance(event, FiguresChanged) else self._latest[event.link_id]

    def _publish(self, notification: Notification, publish: Callable[[etree._Element], None]) -> None:
        try:
            element = encode_notification(notification)
            self._schema.validate_notification(element)
        except KeyweaveError as error:
            # A defect of ours; the node must go on, and the controller reads the state anyway.
            self._log.error("notification left out", kind=type(notification).__name__, reason=str(error))
            return
        publish(element)


def _figures(node: Node, link_id: LinkId) -> LinkPerformance:
    return next((link.performance for link in node.links if link.link_id == link_id), LinkPerformance())
