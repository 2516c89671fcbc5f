"""A key manager of ours under an SDN agent of whatever make: its door, its voice, and its clockwork."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from keyweave_agents.control.settings import NodeSettings
from keyweave_agents.keys.ports import KeyControl
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import ModuleEvent
from keyweave_agents.quicks import messages as said
from keyweave_agents.quicks.agent_voice import AgentVoice
from keyweave_agents.quicks.caller import Caller
from keyweave_agents.quicks.door import Door
from keyweave_agents.quicks.key_manager_door import Fitted, KeyManagerDoor, Module, capabilities_of
from keyweave_agents.quicks.orders import OrderBook
from keyweave_agents.quicks.remote_keys import authorities_of
from keyweave_agents.quicks.remote_module import device_id
from keyweave_agents.quicks.settings import QuicksSettings
from keyweave_agents.service.https import HttpsServer
from keyweave_agents.service.settings import ServiceSettings
from keyweave_agents.version import program_version
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

SAMPLE_EVERY_S = 1.0


class KeyManagerLink:
    """What joins a key manager to its agent. Raises SettingsError for files that cannot be used."""

    def __init__(
        self,
        quicks: QuicksSettings,
        node: NodeSettings,
        keys_table: KeySettings,
        modules_table: Sequence[ModuleSettings],
        service: ServiceSettings,
        consumers: Sequence[SaeId],
        keys: KeyControl,
        modules: Mapping[LinkId, Module],
        *,
        streams: bool,
        clock: Clock,
        uniform: Callable[[], float],
    ) -> None:
        log = get_logger("quicks").bind(node_id=node.node_id)
        self._clock = clock
        near = {NodeId(one.node_id): (one.host, one.port) for one in keys_table.neighbours}
        by_authority = {text.lower(): node_id for node_id, text in authorities_of(near).items()}
        fitted = tuple(
            Fitted(
                device_id=device_id(one),
                link_id=one.link_id,
                label=one.profile,
                peer=one.remote_node_id,
                module=modules[one.link_id],
            )
            for one in modules_table
        )
        info = said.DeviceInfo(vendor=said.VENDOR, model="key manager", version=program_version())
        self._orders = KeyManagerDoor(
            keys,
            OrderBook(
                node.node_id,
                frozenset(consumers),
                by_authority,
                relays=node.relay,
            ),
            fitted,
            capabilities=capabilities_of(node.node_id, service, relays=node.relay, streams=streams),
            info=info,
            clock=clock,
        )
        door = Door(quicks.peer_identity, log)
        self._orders.serve(door)
        self._server = HttpsServer(door, quicks.serving(), clock)
        self._caller = Caller(quicks)
        self._voice = AgentVoice(
            self._caller,
            keys,
            said.Introduction(
                kms_id=node.node_id,
                model=said.Model(
                    device_vendor=info.vendor, device_model=info.model, device_version=info.version
                ),
                qkd_device_ids=tuple(one.device_id for one in fitted),
                link_ids=tuple(one.link_id for one in fitted),
            ),
            figures=self._orders.newest,
            registration_s=quicks.registration_s,
            clock=clock,
            uniform=uniform,
            log=log,
        )

    def module_said(self, event: ModuleEvent) -> None:
        """Hear of a module's event (called from the loop; never blocks)."""
        self._voice.module_said(event)

    def live(self, rooms: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start what lives on its own; the tasks are the caller's to cancel."""
        return [
            rooms.create_task(self._voice.run(), name="quicks"),
            rooms.create_task(self._sample(), name="quicks-figures"),
        ]

    async def _sample(self) -> None:
        while True:
            self._orders.sample()
            await self._clock.sleep(SAMPLE_EVERY_S)

    async def open(self) -> dict[str, int | None]:
        """Open the door for the agent."""
        return {"quicks_port": await self._server.start()}

    async def close(self) -> None:
        """Close the door. Idempotent."""
        await self._server.close()
        await self._caller.close()

    def end(self) -> None:
        """After the tasks have ended: nothing is left to do here."""
