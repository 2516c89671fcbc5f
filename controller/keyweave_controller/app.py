"""The controller, built and joined: engine, fleet of agents, northbound.

Rule of this file: the only module that makes the parts. One TaskGroup holds everything that runs; a signal,
or the failure of any part, ends all of it in order: callers first, then agents, then the store.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.northbound.agents_view import AgentsView
from keyweave_controller.northbound.configuring import Configurator
from keyweave_controller.northbound.grpc_service import GrpcNorthbound
from keyweave_controller.northbound.metrics import MetricsEndpoint, NetworkGauges
from keyweave_controller.northbound.netconf_service import NetconfNorthbound
from keyweave_controller.settings import ControllerSettings
from keyweave_controller.southbound.diallers import Diallers
from keyweave_controller.southbound.fleet import Fleet
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.metrics import Metrics
from keyweave_gnmi.server import open_gnmi


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the running controller is to be reached; a port is None when there is none."""

    grpc_port: int
    metrics_port: int | None = None
    netconf_port: int | None = None
    netconf_tls_port: int | None = None
    gnmi_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Where randomness comes from: `uniform` gives numbers of [0, 1), `new_id` text that never repeats."""

    uniform: Callable[[], float]
    new_id: Callable[[], str]


async def run_controller(
    settings: ControllerSettings,
    *,
    clock: Clock,
    chance: Chance,
    listening: Callable[[Listening], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run a controller until `stop` is set, or SIGTERM or SIGINT comes when `stop` is None.

    `listening` is called once everything answers. Raises SettingsError (a file, a port or the store cannot
    be used) and Unavailable (the store failed, or another controller took it over).
    """
    log = get_logger("controller")
    stopping = stop or _stopped_by_signals()
    northbound = GrpcNorthbound(settings=settings.grpc, clock=clock, new_id=chance.new_id)
    async with AsyncExitStack() as last, AsyncExitStack() as closing:
        closing.push_async_callback(northbound.stop)
        grpc_port = northbound.bind()
        diallers = Diallers(settings.southbound, settings.agents, clock)
        fleet = Fleet(
            settings=settings.southbound,
            agents=settings.agents,
            dialler=diallers.dial,
            clock=clock,
            uniform=chance.uniform,
        )
        netconf = _netconf(settings, fleet, clock, chance)
        if netconf is not None:
            await netconf.probe()
        _make_state_dir(settings)
        last.push_async_callback(diallers.close)
        await diallers.open()
        # Last of all that a wrong setting can fail: opening the store takes it from whoever has it.
        engine = ControllerEngine(
            store_url=settings.database_url,
            clock=clock,
            policy=settings.policy,
            tariff=settings.tariff(),
            inventory=settings.inventory,
            link_facts=settings.link_facts,
            plant=settings.plant(),
        )
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(engine.run(fleet), name="engine")
                await asyncio.sleep(0)  # it is the engine that closes the store it opened
                agents = group.create_task(fleet.run(engine.submit), name="fleet")
                configurator = Configurator(engine, clock, chance.new_id)
                await northbound.start(engine, configurator)
                metrics_port = await _start_metrics(settings, engine, closing)
                where = Listening(grpc_port=grpc_port, metrics_port=metrics_port)
                if netconf is not None:
                    closing.push_async_callback(netconf.stop)
                    ports = await netconf.start(engine, configurator)
                    gnmi_port = await _start_gnmi(settings, netconf, closing)
                    where = replace(
                        where, netconf_port=ports.ssh, netconf_tls_port=ports.tls, gnmi_port=gnmi_port
                    )
                    told = group.create_task(netconf.follow(), name="netconf")
                    closing.callback(told.cancel)
                listening(where)
                log.info(
                    "controller up", grpc_port=grpc_port, epoch=engine.epoch, agents=len(settings.agents)
                )
                await stopping.wait()
                log.info("controller stops")
                await closing.aclose()
                agents.cancel()
                await asyncio.wait([agents])
                running.cancel()
        except ExceptionGroup as errors:
            raise _first(errors) from errors


def _netconf(
    settings: ControllerSettings, fleet: Fleet, clock: Clock, chance: Chance
) -> NetconfNorthbound | None:
    if settings.netconf is None:
        return None
    return NetconfNorthbound(
        settings=settings.netconf,
        agents=AgentsView(settings.agents, fleet.ways, fleet.sessions),
        clock=clock,
        new_id=chance.new_id,
        uniform=chance.uniform,
    )


async def _start_gnmi(
    settings: ControllerSettings, netconf: NetconfNorthbound, closing: AsyncExitStack
) -> int | None:
    """Serve over gNMI what the NETCONF server serves; the port, None when the settings do not want it."""
    if settings.gnmi is None or settings.netconf is None:
        return None
    server, port = await open_gnmi(settings.gnmi, settings.netconf, netconf.system)
    closing.push_async_callback(server.close)
    return port


async def _start_metrics(
    settings: ControllerSettings, engine: ControllerEngine, closing: AsyncExitStack
) -> int | None:
    if not settings.metrics.listen:
        return None
    endpoint = MetricsEndpoint(NetworkGauges(engine, Metrics()))
    port = await endpoint.start(*settings.metrics.endpoint())
    closing.push_async_callback(endpoint.stop)
    return port


def _make_state_dir(settings: ControllerSettings) -> None:
    folder = settings.controller.state_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"controller.state_dir: {folder}: {error.strerror or error}") from error


def _stopped_by_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """What went wrong first: that is what the operator has to know."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
