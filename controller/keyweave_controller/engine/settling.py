"""Averages move on while nobody tells anything new.

Rule of this file: a node tells its figures when they change, so a rate that fell and stays there is told
once. While the average of an end still differs from what was told, an empty report of that end is submitted
every quarter of the time constant: it says that nothing is new, and time passes. What comes of it is light,
hence not journaled, until the average has moved enough to count.
"""

import asyncio
from collections.abc import Callable, Iterable

from keyweave_controller.control.events import Event, LinkMeasure, LinksMeasured, NodeRead
from keyweave_controller.control.measures import unsettled
from keyweave_controller.control.state import NetworkState
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import Clock

SHORTEST_S = 0.25
PARTS = 4
"""Looks in one time constant."""


class Settling:
    """The ends whose average is on its way. `submit` takes the reports."""

    def __init__(self, clock: Clock, submit: Callable[[Event], None]) -> None:
        self._clock, self._submit = clock, submit
        self._moving: dict[NodeId, dict[LinkId, None]] = {}
        self._some = asyncio.Event()

    def follow(self, event: Event, state: NetworkState) -> None:
        """Look at the ends that an event told of; after the network has taken it."""
        match event:
            case LinksMeasured(node_id=node_id, links=links):
                self._note(node_id, (one.link_id for one in links), state)
            case NodeRead(node=node):
                self._note(node.node_id, (one.link_id for one in node.links), state)
            case _:
                pass

    async def run(self, state: Callable[[], NetworkState]) -> None:
        """Until cancelled; sleeps while there is nothing to do."""
        while True:
            await self._some.wait()
            await self._clock.sleep(max(SHORTEST_S, state().policy.rate_smoothing_s / PARTS))
            moving, self._moving = self._moving, {}
            self._some.clear()
            for node_id, link_ids in moving.items():
                links = tuple(LinkMeasure(link_id=link_id) for link_id in link_ids)
                self._submit(LinksMeasured(at=self._clock.now(), node_id=node_id, links=links))

    def _note(self, node_id: NodeId, link_ids: Iterable[LinkId], state: NetworkState) -> None:
        for link_id in unsettled(state, node_id, link_ids):
            self._moving.setdefault(node_id, {})[link_id] = None
            self._some.set()
