"""The half of an agent that holds keys: modules, key manager, and the services of applications.

    quantum --KeySink--> keys <--KeySupply-- service (014, 004)

Rule of this file: it builds and joins, and decides nothing. It does not know who tells the key manager what
to hold: the control half in the same process (`app`), or an SDN agent in another one
(`quicks.key_manager_link`).
Further services of applications (streams, border) are built here too.
"""

import asyncio
from collections.abc import Callable, Sequence

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.pqc.files import read_identity
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.storage.vault_opening import open_ledger
from keyweave_agents.quantum.module import QuantumModule
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import ModuleEvent
from keyweave_agents.service.etsi004 import Etsi004Server
from keyweave_agents.service.etsi014 import Etsi014Server
from keyweave_agents.service.etsi020 import Etsi020Server
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_agents.service.settings004 import Etsi004Settings
from keyweave_agents.service.settings020 import Etsi020Settings
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import TlsSettings, client_context, server_context


class KeySide:
    """Everything of one node that touches key bytes. Raises SettingsError for files that cannot be used."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        keys: KeySettings,
        keys_tls: TlsSettings,
        modules: Sequence[ModuleSettings],
        service: ServiceSettings,
        consumers: Sequence[ConsumerSettings],
        etsi004: Etsi004Settings | None = None,
        etsi020: Etsi020Settings | None = None,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._listener: Callable[[ModuleEvent], None] | None = None
        self._in_memory = keys.storage is None
        tls_server = server_context(keys_tls)
        # A key manager knows its neighbours by node id, not by the name of a host.
        tls_client = client_context(keys_tls, check_hostname=False)
        identity = None if keys.pqc is None else read_identity(keys.pqc, node_id, clock.now())
        self.keys = KeyManager(
            keys,
            node_id=node_id,
            clock=clock,
            random_bytes=random_bytes,
            tls_server=tls_server,
            tls_client=tls_client,
            beyond=None if etsi020 is None else etsi020.beyond,
            identity=identity,
            ledger=open_ledger(keys.storage, node_id, clock),  # last: whatever fails before leaves it shut
        )
        self.modules: dict[LinkId, QuantumModule] = {
            module.link_id: QuantumModule(
                module,
                self.keys,
                node_id=node_id,
                clock=clock,
                random_bytes=random_bytes,
                on_event=self._module_said,
                newest_block_id=self.keys.newest_block(module.link_id),
            )
            for module in modules
        }
        self._service = Etsi014Server(service, consumers, self.keys, clock, node_id=node_id, draw=self.keys)
        self._streams: Etsi004Server | None = None
        if etsi004 is not None:
            self._streams = Etsi004Server(
                etsi004,
                consumers,
                self.keys,
                clock,
                random_bytes=random_bytes,
                shelf=self.keys.ledger.shelf("streams"),
            )

        self._border = None if etsi020 is None else Etsi020Server(etsi020, self.keys, clock)

    def hear_modules(self, listener: Callable[[ModuleEvent], None]) -> None:
        """Who hears what happens to the modules from now on."""
        self._listener = listener

    def _module_said(self, event: ModuleEvent) -> None:
        if self._listener is not None:
            self._listener(event)

    def live(self, rooms: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start what lives on its own; the tasks are the caller's to cancel."""
        if self._in_memory:
            get_logger("keys").info("keys_in_memory_only", reason="the settings have no table [keys.storage]")
        living = [rooms.create_task(self.keys.run(), name="keys")]
        living += [rooms.create_task(module.run(), name="module") for module in self.modules.values()]
        return living

    async def open(self) -> dict[str, int | None]:
        """Open the doors; their ports: of the key manager for its neighbours, of 014, 004 and 020."""
        _, keys_port = await self.keys.listening()
        service_port = await self._service.start()
        streams_port = None if self._streams is None else await self._streams.start()
        border_port = None if self._border is None else await self._border.start()
        return {
            "keys_port": keys_port,
            "service_port": service_port,
            "etsi004_port": streams_port,
            "etsi020_port": border_port,
        }

    async def close(self) -> None:
        """Close the doors of applications. Idempotent."""
        if self._border is not None:
            await self._border.close()
        if self._streams is not None:
            await self._streams.close()
        await self._service.close()

    def end(self) -> None:
        """After the tasks have ended: no key stays in memory; a key store on disk keeps what it has."""
        self.keys.close()
