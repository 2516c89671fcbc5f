"""Answering calls (RFC 8071): servers dial us, and we are still the client on the connection.

Rule of this file: a caller is who its host key or its certificate says, and must be one of those expected;
everybody else is turned away. A call whose session is open is handed on by name; what becomes of it is not
decided here.
"""

import ssl
from collections.abc import Callable, Mapping
from socket import socket
from typing import Protocol

import asyncssh

from keyweave_core.errors import InternalFault, KeyweaveError
from keyweave_core.netconf.accepting import Acceptor, Handler, accept_on
from keyweave_core.netconf.client.client import NetconfClient, greet
from keyweave_core.netconf.client.session import ClientSession
from keyweave_core.netconf.deadline import within
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ssh.channel import Key, public_key
from keyweave_core.netconf.ssh.dial import client_options, open_channel
from keyweave_core.netconf.tls.dial import shake_hands
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger

OnCall = Callable[[str, NetconfClient], None]
"""Told of each open session that a caller of this name brought; it must not raise or wait, and owns it."""


class CallDesk:
    """One port where servers call."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor

    @property
    def port(self) -> int:
        """The TCP port listened on."""
        return self._acceptor.port

    async def close(self) -> None:
        """Answer no more, and end the sessions that came by calls."""
        self._acceptor.stop()
        await self._acceptor.wait_closed()


async def answer_ssh(
    host: str,
    port: int,
    *,
    username: str,
    key: Key,
    callers: Mapping[str, Key],
    on_call: OnCall,
    limits: NetconfLimits,
    clock: Clock,
    log: Logger,
) -> CallDesk:
    """Answer calls over SSH (IANA port 4334). `callers` maps each name to the host key that proves it.

    Raises PeerUnreachable when the address cannot be had, SettingsError for a key that is none.
    """
    names = {public_key(host_key).public_data: name for name, host_key in callers.items()}
    options = client_options(username, key=key, password=None, host_keys=callers.values(), limits=limits)

    async def take(connection: socket, source: str) -> tuple[str, NetconfClient]:
        ssh = await asyncssh.run_client(connection, options=options)
        shown = ssh.get_server_host_key()
        if shown is None:
            raise InternalFault("a connection without host key")
        name = names[shown.public_data]
        session = ClientSession(limits=limits, clock=clock, peer=f"{name} at {source}")
        channel = await open_channel(ssh, username, source, lambda: session)
        return name, await greet(session, channel, clock)

    return await _desk(host, port, _answered(take, on_call, limits, clock, log), limits, log)


async def answer_tls(
    host: str,
    port: int,
    *,
    context: ssl.SSLContext,
    callers: Mapping[str, str],
    on_call: OnCall,
    limits: NetconfLimits,
    clock: Clock,
    log: Logger,
) -> CallDesk:
    """Answer calls over TLS (IANA port 4335). `callers` maps each name to a name in its certificate.

    `context` shows our certificate and verifies chains; it must not check host names. Errors as `answer_ssh`.
    """
    names = {certified: name for name, certified in callers.items()}

    async def take(connection: socket, source: str) -> tuple[str, NetconfClient]:
        session = ClientSession(limits=limits, clock=clock, peer=source)
        channel = await shake_hands(
            connection, source, context=context, known=set(names), receiver=lambda: session, limits=limits
        )
        return names[channel.transport.peer.username], await greet(session, channel, clock)

    return await _desk(host, port, _answered(take, on_call, limits, clock, log), limits, log)


async def _desk(host: str, port: int, handle: Handler, limits: NetconfLimits, log: Logger) -> CallDesk:
    acceptor = await accept_on(
        host,
        port,
        handle,
        most=limits.max_connections,
        most_per_host=limits.max_connections_per_host,
        log=log,
    )
    return CallDesk(acceptor)


def _answered(take: "_Take", on_call: OnCall, limits: NetconfLimits, clock: Clock, log: Logger) -> Handler:
    async def handle(connection: socket, source: str) -> None:
        try:
            name, client = await within(
                clock, take(connection, source), limits.connect_timeout_s, f"{source}: no session"
            )
        except (OSError, asyncssh.Error, KeyweaveError) as error:
            connection.close()
            log.warning("call not taken", peer=source, reason=str(error) or type(error).__name__)
            return
        log.info("call taken", caller=name, peer=source, key_exchange=client.peer.key_exchange)
        try:
            on_call(name, client)
            await client.ended()
        finally:
            await client.close()

    return handle


class _Take(Protocol):
    """Makes a session of a connection, and tells whose it is."""

    async def __call__(self, connection: socket, source: str, /) -> tuple[str, NetconfClient]: ...
