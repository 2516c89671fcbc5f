"""Changing the operator's configuration, for every northbound: one change at a time, whole or not at all.

Rule of this file: whoever waits is bounded. When the outcome takes too long the change is taken back, and
what then holds is what the caller is told.
"""

import asyncio
from collections.abc import Callable

from keyweave_controller.control.actions import Answer
from keyweave_controller.control.configuration import OperatorConfiguration
from keyweave_controller.control.events import (
    ConfigurationAbandoned,
    ConfigurationKept,
    OperatorConfigured,
)
from keyweave_controller.engine.ports import Engine
from keyweave_core.errors import DeadlineExceeded
from keyweave_core.runtime.clock import Clock

_TOO_LONG = "the network did not grant the change in time; it was taken back"


class Configurator:
    """The way to `NetworkState.operator`. `new_id` gives text that never repeats."""

    def __init__(self, engine: Engine, clock: Clock, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._clock = clock
        self._new_id = new_id
        self._turn = asyncio.Lock()

    @property
    def current(self) -> OperatorConfiguration:
        """What is configured now."""
        return self._engine.network.state.operator

    async def change(
        self,
        make: Callable[[OperatorConfiguration], OperatorConfiguration],
        *,
        requester: str,
        kept: bool = True,
    ) -> Answer:
        """Replace the configuration by what `make` returns for it; the answer says whether it was granted.

        Raises Unavailable when the engine stops meanwhile. Cancelled, it leaves nothing behind.
        """
        async with self._turn:
            before = self.current
            wanted = make(before)
            request_id = f"configure/{self._new_id()}"
            if wanted == before:
                return Answer(request_id=request_id)
            event = OperatorConfigured(
                at=self._clock.now(),
                request_id=request_id,
                configuration=wanted,
                requester=requester,
                kept=kept,
            )
            try:
                return await self._engine.ask(event)
            except DeadlineExceeded:
                return await self._engine.ask(self._abandon(request_id, _TOO_LONG))
            except asyncio.CancelledError:
                self._engine.submit(self._abandon(request_id, "whoever asked for it went away"))
                raise

    async def keep(self) -> None:
        """What is configured now outlives this process; on disk when this returns."""
        request_id = f"keep/{self._new_id()}"
        await self._engine.ask(ConfigurationKept(at=self._clock.now(), request_id=request_id))

    def _abandon(self, request_id: str, reason: str) -> ConfigurationAbandoned:
        return ConfigurationAbandoned(at=self._clock.now(), request_id=request_id, reason=reason)
