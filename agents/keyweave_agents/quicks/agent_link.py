"""An SDN agent of ours over a key manager of whatever make: its key manager and modules, seen from afar."""

import asyncio
from collections.abc import Callable, Sequence

from keyweave_agents.control.settings import NodeSettings
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import ModuleEvent
from keyweave_agents.quicks.agent_door import AgentDoor
from keyweave_agents.quicks.caller import Caller
from keyweave_agents.quicks.door import Door
from keyweave_agents.quicks.remote_keys import RemoteKeys, authorities_of
from keyweave_agents.quicks.remote_module import RemoteModule, device_id
from keyweave_agents.quicks.settings import QuicksSettings
from keyweave_agents.service.https import HttpsServer
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger


class AgentLink:
    """What joins an agent to its key manager: `keys` and `modules` are what the control half works with.

    Raises SettingsError for files that cannot be used.
    """

    def __init__(
        self,
        quicks: QuicksSettings,
        node: NodeSettings,
        keys_table: KeySettings,
        modules_table: Sequence[ModuleSettings],
        *,
        clock: Clock,
    ) -> None:
        log = get_logger("quicks").bind(node_id=node.node_id)
        self._listener: Callable[[ModuleEvent], None] | None = None
        self._caller = Caller(quicks)
        self.keys = RemoteKeys(
            self._caller,
            node_id=node.node_id,
            authorities=authorities_of(
                {NodeId(one.node_id): (one.host, one.port) for one in keys_table.neighbours}
            ),
            links=tuple(one.link_id for one in modules_table),
            devices={one.link_id: device_id(one) for one in modules_table},
            capacity_bits=keys_table.pool_capacity_bits,
            key_bytes=keys_table.default_key_bits // 8,
            poll_s=quicks.poll_s,
            clock=clock,
            log=log,
        )
        self.modules: dict[LinkId, RemoteModule] = {
            one.link_id: RemoteModule(
                one, self.keys, self._caller, on_event=self._module_said, clock=clock, log=log
            )
            for one in modules_table
        }
        self.keys.on_figures = self._looked
        door = Door(quicks.peer_identity, log)
        AgentDoor(
            self.keys,
            self._caller,
            registration_s=quicks.registration_s,
            log=log,
        ).serve(door)
        self._server = HttpsServer(door, quicks.serving(), clock)

    def hear_modules(self, listener: Callable[[ModuleEvent], None]) -> None:
        """Who hears what happens to the modules from now on."""
        self._listener = listener

    def _module_said(self, event: ModuleEvent) -> None:
        if self._listener is not None:
            self._listener(event)

    def _looked(self) -> None:
        for module in self.modules.values():
            module.looked()

    def live(self, rooms: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start what lives on its own; the tasks are the caller's to cancel."""
        living = [rooms.create_task(self.keys.run(), name="key-manager")]
        living += [rooms.create_task(module.run(), name="module") for module in self.modules.values()]
        return living

    async def open(self) -> dict[str, int | None]:
        """Open the door for the key manager."""
        return {"quicks_port": await self._server.start()}

    async def close(self) -> None:
        """Close the door. Idempotent."""
        await self._server.close()
        await self._caller.close()

    def end(self) -> None:
        """After the tasks have ended: nothing is left to do here."""
