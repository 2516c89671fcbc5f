"""Connecting to the agents of the inventory: NETCONF over SSH, both ends known by their keys.

Rule of this file: key files are read once, before anything runs, so that a wrong path ends the program with
one line and not each attempt with another.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from keyweave_controller.settings import AgentSettings, SouthboundSettings
from keyweave_controller.southbound.dialogue import Dial, Dialogue
from keyweave_core.errors import SettingsError
from keyweave_core.netconf.client.client import connect
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ssh.channel import private_key, public_key
from keyweave_core.runtime.clock import Clock

T = TypeVar("T")

_QUEUED_NOTIFICATIONS = 2000
"""An agent that sends more than this before we have taken one loses its session and is read anew."""


def ssh_dialler(settings: SouthboundSettings, clock: Clock) -> Callable[[AgentSettings], Dial]:
    """What makes, for an inventory entry, the call that connects to it.

    Raises SettingsError when the user's key cannot be used; so does the result for a host key.
    """
    key = _key_of(settings.private_key, private_key)
    limits = NetconfLimits(
        hello_timeout_s=settings.connect_timeout_s,
        login_timeout_s=settings.connect_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        rpc_timeout_s=settings.rpc_timeout_s,
        keepalive_s=settings.keepalive_s,
        notification_queue=_QUEUED_NOTIFICATIONS,
    )

    def dial_of(agent: AgentSettings) -> Dial:
        host_key = _key_of(agent.host_key, public_key)

        async def dial() -> Dialogue:
            client = await connect(
                agent.host,
                agent.port,
                username=settings.user,
                host_key=host_key,
                key=key,
                clock=clock,
                limits=limits,
            )
            try:
                return Dialogue(agent.name, client)
            except BaseException:
                await client.close()
                raise

        return dial

    return dial_of


def _key_of(path: Path, read: Callable[[str], T]) -> T:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot read: {error}") from error
    try:
        return read(text)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
