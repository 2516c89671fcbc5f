"""An agent as a process: the only module that chooses which halves of a node it is, and joins them.

    whole node      key_side + control_side
    key manager     key_side + quicks.key_manager_link     (table [quicks], role "key-manager")
    SDN agent       quicks.agent_link + control_side       (table [quicks], role "agent")

Rule of this file: everything that lives is a task of one group; nothing here decides anything. The halves do
not depend on the controller or on each other's neighbours being there: keys flow on while either is away.
"""

import asyncio
import contextlib
import random
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

from keyweave_agents.control_side import ControlSide, netconf_of
from keyweave_agents.key_side import KeySide
from keyweave_agents.keys.pqc.files import read_identity
from keyweave_agents.keys.storage.wrapping import read_former_master_key, read_master_key
from keyweave_agents.service.callers import callers_of
from keyweave_agents.service.peers020 import BorderPeers
from keyweave_agents.settings import AgentSettings
from keyweave_core.errors import KeyweaveError, SettingsError
from keyweave_core.model.ids import NodeId
from keyweave_core.netconf.server.entrances import read_entrances
from keyweave_core.runtime.clock import Clock, SystemClock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import server_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where a running agent can be reached; None: not in the settings (or the agent calls home)."""

    node_id: NodeId
    netconf_port: int | None = None
    netconf_tls_port: int | None = None
    gnmi_port: int | None = None
    service_port: int | None = None
    etsi004_port: int | None = None
    etsi020_port: int | None = None
    keys_port: int | None = None
    quicks_port: int | None = None


class Side(Protocol):
    """One half of a node."""

    def live(self, rooms: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start what lives on its own; the tasks are the caller's to cancel."""
        ...

    async def open(self) -> dict[str, int | None]:
        """Open the doors; their ports by the names of `Ready`."""
        ...

    async def close(self) -> None:
        """Close the doors. Idempotent."""
        ...

    def end(self) -> None:
        """After the tasks were cancelled: let go of what is left."""
        ...


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
    quicks = settings.quicks
    if quicks is not None:
        server_context(quicks.tls)
    if quicks is None or quicks.role == "key-manager":
        server_context(settings.keys_tls)
        if settings.keys.storage is not None:
            read_master_key(settings.keys.storage)
            read_former_master_key(settings.keys.storage)
        if settings.keys.pqc is not None:
            read_identity(settings.keys.pqc, settings.node.node_id, SystemClock().now())
        server_context(settings.service.tls)
        callers_of(settings.service, settings.consumers)
        if settings.etsi004 is not None and settings.etsi004.tls is not None:
            server_context(settings.etsi004.tls)
        if settings.etsi020 is not None:
            server_context(settings.etsi020.tls)
            BorderPeers(settings.etsi020.peers)
    if quicks is None or quicks.role == "agent":
        read_entrances(netconf_of(settings))
    if settings.gnmi is not None:
        server_context(settings.gnmi.files)
    _state_dir(settings)


def _sides(
    settings: AgentSettings,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
    uniform: Callable[[], float],
) -> list[Side]:
    """The halves that this process is, in the order in which their doors open."""
    quicks = settings.quicks
    if quicks is not None and quicks.role == "agent":
        from keyweave_agents.quicks.agent_link import AgentLink  # loads an HTTP client

        link = AgentLink(quicks, settings.node, settings.keys, settings.modules, clock=clock)
        control = ControlSide(settings, link.keys, link.modules, clock=clock, uniform=uniform)
        link.hear_modules(control.module_said)
        return [link, control]
    key_side = KeySide(
        node_id=settings.node.node_id,
        keys=settings.keys,
        keys_tls=settings.keys_tls,
        modules=settings.modules,
        service=settings.service,
        consumers=settings.consumers,
        etsi004=settings.etsi004,
        etsi020=settings.etsi020,
        clock=clock,
        random_bytes=random_bytes,
    )
    try:
        return [key_side, _over(key_side, settings, clock, uniform)]
    except BaseException:
        key_side.end()  # its key store is open
        raise


def _over(key_side: KeySide, settings: AgentSettings, clock: Clock, uniform: Callable[[], float]) -> Side:
    """The half that tells the key manager what to hold."""
    if settings.quicks is None:
        control = ControlSide(settings, key_side.keys, key_side.modules, clock=clock, uniform=uniform)
        key_side.hear_modules(control.module_said)
        return control
    from keyweave_agents.quicks.key_manager_link import KeyManagerLink  # loads an HTTP client

    order_taker = KeyManagerLink(
        settings.quicks,
        settings.node,
        settings.keys,
        settings.modules,
        settings.service,
        settings.told_consumers,
        key_side.keys,
        key_side.modules,
        streams=settings.etsi004 is not None,
        clock=clock,
        uniform=uniform,
    )
    key_side.hear_modules(order_taker.module_said)
    return order_taker


async def _live(
    settings: AgentSettings,
    ready: Callable[[Ready], None],
    until: asyncio.Event,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
    uniform: Callable[[], float],
) -> None:
    log = get_logger("agent").bind(node_id=settings.node.node_id)
    _state_dir(settings)
    sides = _sides(settings, clock, random_bytes, uniform)
    async with asyncio.TaskGroup() as rooms:
        living = [task for side in sides for task in side.live(rooms)]
        try:
            ports: dict[str, int | None] = {}
            for side in sides:
                ports |= await side.open()
            facts = Ready(node_id=settings.node.node_id, **ports)
            log.info("ready", **{name: port for name, port in asdict(facts).items() if name != "node_id"})
            ready(facts)
            await until.wait()
            log.info("stopping")
        finally:
            # Who asks from outside goes first: no request then meets a room that is half closed.
            for side in reversed(sides):
                await side.close()
            for task in living:
                task.cancel()
            for side in sides:
                side.end()


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
