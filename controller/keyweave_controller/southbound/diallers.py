"""Connecting to the agents of the inventory, each by the protocol its entry names, both ends known.

Rule of this file: keys and certificates are read once, before anything runs, so that a wrong path ends the
program with one line and not each attempt with another.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from keyweave_controller.settings import AgentSettings, Protocol, SouthboundSettings
from keyweave_controller.southbound.calls import Calls
from keyweave_controller.southbound.dialogue import Dial, Dialogue
from keyweave_controller.southbound.netconf_dialogue import NetconfDialogue
from keyweave_core.errors import SettingsError
from keyweave_core.netconf.client.answering import answer_ssh, answer_tls
from keyweave_core.netconf.client.client import NetconfClient, connect, connect_tls
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ssh.channel import Key, private_key, public_key
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import client_context

T = TypeVar("T")

_QUEUED_NOTIFICATIONS = 2000
"""An agent that sends more than this before we have taken one loses its session and is read anew."""


class Diallers:
    """Makes, for each entry of the inventory, the call that connects to it.

    Raises SettingsError when a key or a certificate of the settings cannot be used.
    """

    def __init__(self, settings: SouthboundSettings, agents: Sequence[AgentSettings], clock: Clock) -> None:
        self._settings = settings
        self._agents = agents
        self._clock = clock
        self._key = key_of(settings.private_key, private_key)
        self._host_keys: dict[str, Key] = {
            agent.name: key_of(agent.host_key, public_key) for agent in agents if agent.host_key is not None
        }
        # A name in the certificate is asked for by the entry, not by the host that was dialled.
        self._context = None if settings.tls is None else client_context(settings.tls, check_hostname=False)
        self._limits = limits_of(settings)
        self._calls = Calls()
        self._desks = AsyncExitStack()
        self.call_ports: dict[Protocol, int] = {}

    async def open(self) -> None:
        """Listen for agents that call home. Raises PeerUnreachable when an address cannot be had."""
        log = get_logger("southbound")
        callers = {Protocol.CALL_HOME_SSH: self._callers(Protocol.CALL_HOME_SSH)}
        callers[Protocol.CALL_HOME_TLS] = self._callers(Protocol.CALL_HOME_TLS)
        for protocol, table in (
            (Protocol.CALL_HOME_SSH, self._settings.calls_ssh),
            (Protocol.CALL_HOME_TLS, self._settings.calls_tls),
        ):
            if table is None:
                continue
            if protocol.over_ssh:
                desk = await answer_ssh(
                    table.listen_host,
                    table.listen_port,
                    username=self._settings.user,
                    key=self._key,
                    callers={agent.name: self._host_keys[agent.name] for agent in callers[protocol]},
                    on_call=self._calls.put,
                    limits=self._limits,
                    clock=self._clock,
                    log=log,
                )
            elif self._context is not None:
                desk = await answer_tls(
                    table.listen_host,
                    table.listen_port,
                    context=self._context,
                    callers={agent.name: agent.certificate_name for agent in callers[protocol]},
                    on_call=self._calls.put,
                    limits=self._limits,
                    clock=self._clock,
                    log=log,
                )
            else:
                raise SettingsError("southbound.calls_tls needs the table [southbound.tls]")
            self._desks.push_async_callback(desk.close)
            self.call_ports[protocol] = desk.port
            log.info("agents may call", protocol=protocol.value, port=desk.port)

    async def close(self) -> None:
        """Listen no more and end the calls that nobody took."""
        await self._calls.close()
        await self._desks.aclose()

    def dial(self, agent: AgentSettings) -> Dial:
        """What connects to one agent."""
        if agent.protocol is Protocol.GNMI:
            return self._gnmi(agent)
        connects = self._netconf(agent)

        async def dial() -> Dialogue:
            client = await connects()
            try:
                return await NetconfDialogue.begin(
                    agent.name, client, agent.virt_next_hop, since=self._clock.now()
                )
            except BaseException:
                await client.close()
                raise

        return dial

    def _netconf(self, agent: AgentSettings) -> Callable[[], Awaitable[NetconfClient]]:
        match agent.protocol:
            case Protocol.NETCONF_SSH:
                return lambda: connect(
                    agent.host,
                    agent.port,
                    username=self._settings.user,
                    host_key=self._host_keys[agent.name],
                    key=self._key,
                    clock=self._clock,
                    limits=self._limits,
                )
            case Protocol.NETCONF_TLS if self._context is not None:
                context = self._context
                return lambda: connect_tls(
                    agent.host,
                    agent.port,
                    context=context,
                    expected_name=agent.certificate_name,
                    clock=self._clock,
                    limits=self._limits,
                )
            case Protocol.CALL_HOME_SSH | Protocol.CALL_HOME_TLS:
                return lambda: self._calls.take(agent.name)
            case _:
                raise SettingsError(f"agent {agent.name}: {agent.protocol} needs the table [southbound.tls]")

    def _gnmi(self, agent: AgentSettings) -> Dial:
        # Only who has such an agent pays for the library.
        from keyweave_controller.southbound.gnmi_dialogue import gnmi_dial

        if self._settings.tls is None:
            raise SettingsError(f"agent {agent.name}: gnmi needs the table [southbound.tls]")
        return gnmi_dial(agent, self._settings, self._settings.tls, self._clock)

    def _callers(self, protocol: Protocol) -> list[AgentSettings]:
        return [agent for agent in self._agents if agent.protocol is protocol]


def limits_of(settings: SouthboundSettings) -> NetconfLimits:
    """The bounds of our sessions."""
    return NetconfLimits(
        hello_timeout_s=settings.connect_timeout_s,
        login_timeout_s=settings.connect_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        rpc_timeout_s=settings.rpc_timeout_s,
        keepalive_s=settings.keepalive_s,
        notification_queue=_QUEUED_NOTIFICATIONS,
    )


def key_of(path: Path, read: Callable[[str], T]) -> T:
    """Read a key file; SettingsError naming the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot read: {error}") from error
    try:
        return read(text)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
