"""A whole agent: the only module that builds the rooms and joins them.

    key_side (modules, key manager, services)
       |                  ^
       +--events--> control --KeyControl
                       |
                    NETCONF server, and gNMI beside it where the settings want it

Rule of this file: everything that lives is a task of one group; nothing here decides anything. The rooms do
not depend on the controller or on each other's neighbours being there: keys flow on while either is away.
"""

import asyncio
import contextlib
import random
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from keyweave_agents.control.netconf_endpoint import NodeEndpoint
from keyweave_agents.control.reporter import Reporter
from keyweave_agents.control.saved import SavedConfiguration
from keyweave_agents.control.tree import initial_configuration
from keyweave_agents.key_side import KeySide
from keyweave_agents.keys.plan import KeyPlan
from keyweave_agents.settings import AgentSettings
from keyweave_core.errors import KeyweaveError, SettingsError
from keyweave_core.model.ids import NodeId
from keyweave_core.netconf.server.entrances import read_entrances
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.initial import initial_nacm
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import Clock, SystemClock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import server_context
from keyweave_yang.schema import load_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where a running agent can be reached."""

    node_id: NodeId
    netconf_port: int | None  # None: no SSH port, the agent calls home
    netconf_tls_port: int | None
    gnmi_port: int | None  # None: not in the settings
    service_port: int
    keys_port: int


async def run(
    settings: AgentSettings,
    *,
    ready: Callable[[Ready], None],
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    uniform: Callable[[], float] = random.random,
) -> None:
    """Run an agent until `stop` is set (without one: until SIGTERM or SIGINT), then close everything.

    `ready` is called once, when every port is open. Cancelling closes everything as well. Raises
    SettingsError (a file or an address cannot be had) or whatever fault ended a room.
    """
    with contextlib.ExitStack() as held:
        until = stop if stop is not None else held.enter_context(_signals())
        try:
            await _live(settings, ready, until, clock or SystemClock(), random_bytes, uniform)
        except BaseExceptionGroup as group:
            raise _foremost(group) from group


def check(settings: AgentSettings) -> None:
    """Read every file that the settings name, as `run` would; SettingsError for the first that fails."""
    server_context(settings.keys_tls)
    server_context(settings.service.tls)
    read_entrances(settings.netconf)
    if settings.gnmi is not None:
        server_context(settings.gnmi.files)
    _state_dir(settings)


async def _live(
    settings: AgentSettings,
    ready: Callable[[Ready], None],
    until: asyncio.Event,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
    uniform: Callable[[], float],
) -> None:
    node_id = settings.node.node_id
    log = get_logger("agent").bind(node_id=node_id)
    entrances = read_entrances(settings.netconf)
    _state_dir(settings)
    schema = load_schema("agent")
    key_side = KeySide(
        node_id=node_id,
        keys=settings.keys,
        keys_tls=settings.keys_tls,
        modules=settings.modules,
        service=settings.service,
        consumers=settings.consumers,
        clock=clock,
        random_bytes=random_bytes,
    )
    keys = key_side.keys
    endpoint = NodeEndpoint(
        initial_configuration(
            settings.node,
            settings.modules,
            (consumer.sae_id for consumer in settings.consumers),
            version=_version(),
        ),
        keys=keys,
        modules=key_side.modules,
        saved=SavedConfiguration(settings.node.state_dir),
        schema=schema,
        clock=clock,
        beginning=[initial_nacm()],
    )
    reporter = Reporter(endpoint, keys, schema=schema, clock=clock)
    key_side.hear_modules(reporter.happened)
    netconf = NetconfServer(
        schema,
        endpoint,
        endpoint.start(),
        clock=clock,
        limits=settings.netconf.limits,
        access=Nacm(schema),
        features=ServerFeatures(startup=settings.netconf.startup),
        keeper=endpoint,
    )
    async with asyncio.TaskGroup() as rooms:
        living = key_side.live(rooms)
        living.append(rooms.create_task(reporter.run(netconf.publish), name="reports"))
        closing = contextlib.AsyncExitStack()
        try:
            keys_port, service_port = await key_side.open()
            netconf_ports = await entrances.open(netconf, uniform)
            gnmi_port = await _open_gnmi(settings, netconf, closing)
            log.info(
                "ready",
                netconf_port=netconf_ports.ssh,
                netconf_tls_port=netconf_ports.tls,
                gnmi_port=gnmi_port,
                service_port=service_port,
                keys_port=keys_port,
            )
            ready(
                Ready(
                    node_id=node_id,
                    netconf_port=netconf_ports.ssh,
                    netconf_tls_port=netconf_ports.tls,
                    gnmi_port=gnmi_port,
                    service_port=service_port,
                    keys_port=keys_port,
                )
            )
            await until.wait()
            log.info("stopping")
        finally:
            # Who asks from outside goes first: no request then meets a room that is half closed.
            await closing.aclose()
            await netconf.close()
            await key_side.close()
            for task in living:
                task.cancel()
            # Without associations the key manager wipes the keys it held for them.
            keys.configure(KeyPlan())


async def _open_gnmi(
    settings: AgentSettings, netconf: NetconfServer, closing: contextlib.AsyncExitStack
) -> int | None:
    """Serve over gNMI what the NETCONF server serves; the port, None when the settings do not want it."""
    if settings.gnmi is None:
        return None
    from keyweave_gnmi.server import open_gnmi  # gRPC is loaded for those who use it

    server, port = await open_gnmi(settings.gnmi, settings.netconf, netconf.system)
    closing.push_async_callback(server.close)
    return port


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _foremost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception to tell of: what we raised on purpose goes before what followed from it."""
    flat: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(reversed(error.exceptions))
        else:
            flat.append(error)
    return next((error for error in flat if isinstance(error, KeyweaveError)), flat[0])


def _state_dir(settings: AgentSettings) -> None:
    try:
        settings.node.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{settings.node.state_dir}: cannot make (node.state_dir): {error}") from error


def _version() -> str:
    try:
        return version("keyweave")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
