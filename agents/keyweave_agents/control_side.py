"""The half of an agent that speaks to controllers: the 015 tree behind NETCONF and gNMI, notifications.

Rule of this file: it builds and joins, and decides nothing. The key manager and the modules may be in this
process (`key_side`) or in another one (`quicks.agent_link`); here they are the ports alone.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from keyweave_agents.control.netconf_endpoint import Module, NodeEndpoint
from keyweave_agents.control.reporter import Reporter
from keyweave_agents.control.saved import SavedConfiguration
from keyweave_agents.control.tree import initial_configuration
from keyweave_agents.keys.ports import KeyControl
from keyweave_agents.quantum.observed import ModuleEvent
from keyweave_agents.settings import AgentSettings
from keyweave_agents.version import program_version
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import LinkId
from keyweave_core.netconf.server.entrances import read_entrances
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.initial import initial_nacm
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_core.runtime.clock import Clock
from keyweave_yang.schema import load_schema


def netconf_of(settings: AgentSettings) -> NetconfSettings:
    """The table `[netconf]`; SettingsError when there is none."""
    if settings.netconf is None:
        raise SettingsError("netconf: this table is wanted by whoever speaks to controllers")
    return settings.netconf


class ControlSide:
    """Everything of one node that a controller sees. Raises SettingsError for files that cannot be used."""

    def __init__(
        self,
        settings: AgentSettings,
        keys: KeyControl,
        modules: Mapping[LinkId, Module],
        *,
        clock: Clock,
        uniform: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._table = netconf_of(settings)
        self._uniform = uniform
        self._entrances = read_entrances(self._table)
        self._closing = contextlib.AsyncExitStack()
        schema = load_schema("agent")
        endpoint = NodeEndpoint(
            initial_configuration(
                settings.node,
                settings.modules,
                settings.told_consumers,
                version=program_version(),
            ),
            keys=keys,
            modules=modules,
            saved=SavedConfiguration(settings.node.state_dir),
            schema=schema,
            clock=clock,
            beginning=[initial_nacm()],
        )
        self._reporter = Reporter(endpoint, keys, schema=schema, clock=clock)
        self._netconf = NetconfServer(
            schema,
            endpoint,
            endpoint.start(),
            clock=clock,
            limits=self._table.limits,
            access=Nacm(schema),
            features=ServerFeatures(startup=self._table.startup),
            keeper=endpoint,
        )

    def module_said(self, event: ModuleEvent) -> None:
        """Hear of a module's event (called from the loop; never blocks)."""
        self._reporter.happened(event)

    def live(self, rooms: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start what lives on its own; the tasks are the caller's to cancel."""
        return [rooms.create_task(self._reporter.run(self._netconf.publish), name="reports")]

    async def open(self) -> dict[str, int | None]:
        """Open the doors; their ports by name, None for those that the settings do not want."""
        ports = await self._entrances.open(self._netconf, self._uniform)
        return {
            "netconf_port": ports.ssh,
            "netconf_tls_port": ports.tls,
            "gnmi_port": await self._open_gnmi(),
        }

    async def _open_gnmi(self) -> int | None:
        """Serve over gNMI what the NETCONF server serves."""
        if self._settings.gnmi is None:
            return None
        from keyweave_gnmi.server import open_gnmi  # gRPC is loaded for those who use it

        server, port = await open_gnmi(self._settings.gnmi, self._table, self._netconf.system)
        self._closing.push_async_callback(server.close)
        return port

    async def close(self) -> None:
        """Close the doors of controllers."""
        await self._closing.aclose()
        await self._netconf.close()

    def end(self) -> None:
        """After the tasks have ended: nothing is left to do here."""
