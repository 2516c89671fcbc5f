"""Agents that call home (RFC 8071): a call waits for the task that serves its agent, and the other way round.

Rule of this file: one waiting call an agent, the newest; an older one that nobody took is ended, because the
agent that dials again has given it up.
"""

import asyncio

from keyweave_core.netconf.client.client import NetconfClient


class Calls:
    """The calls of all agents, by name in the inventory."""

    def __init__(self) -> None:
        self._waiting: dict[str, NetconfClient] = {}
        self._arrived: dict[str, asyncio.Event] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def put(self, name: str, client: NetconfClient) -> None:
        """An agent called."""
        self._drop(self._waiting.pop(name, None))
        self._waiting[name] = client
        self._event(name).set()

    async def take(self, name: str) -> NetconfClient:
        """The call of an agent, waiting for it without end: an agent may be away for as long as it likes."""
        while True:
            client = self._waiting.pop(name, None)
            if client is not None and client.failure is None:
                return client
            event = self._event(name)
            event.clear()
            await event.wait()

    async def close(self) -> None:
        """End the calls that nobody took."""
        for client in self._waiting.values():
            self._drop(client)
        self._waiting.clear()
        await asyncio.gather(*self._endings)

    def _event(self, name: str) -> asyncio.Event:
        return self._arrived.setdefault(name, asyncio.Event())

    def _drop(self, client: NetconfClient | None) -> None:
        if client is not None:
            task = asyncio.get_running_loop().create_task(client.close())
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)
