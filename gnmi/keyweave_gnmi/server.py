"""A gNMI server: one port, mutual TLS, one system.

Rule of this file: a client without a certificate of the configured authority never gets as far as a method.
"""

from collections.abc import Mapping
from pathlib import Path

import grpc

from keyweave_core.errors import SettingsError
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_core.netconf.server.system import System
from keyweave_core.netconf.tls.names import NameMap, authorities_of
from keyweave_core.runtime.log import Logger, get_logger
from keyweave_core.runtime.tls import TlsSettings, server_context
from keyweave_gnmi.callers import Callers
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.service import GnmiService
from keyweave_gnmi.settings import GnmiSettings
from keyweave_proto.gnmi import gnmi_pb2_grpc as pb_grpc


class GnmiServer:
    """Serves one system. Made inside a running loop: `start` once, `close` once."""

    def __init__(
        self,
        settings: GnmiSettings,
        system: System,
        *,
        groups: Mapping[str, frozenset[str]],
        recovery: frozenset[str] = frozenset(),
        log: Logger | None = None,
    ) -> None:
        """`groups` are the users let in besides those of the settings, `recovery` who is denied nothing.

        Raises SettingsError for a file that cannot be used.
        """
        self._settings = settings
        self._limits = settings.limits
        server_context(settings.files)  # tells what is wrong with the files in words; gRPC would not
        names = NameMap(settings.cert_to_name, authorities_of(read_file(settings.ca)))
        own = {user.name: frozenset(user.groups) for user in settings.users}
        trusted = {user.name for user in settings.users if user.recovery}
        callers = Callers(names, {**groups, **own}, recovery=recovery | trusted)
        self.service = GnmiService(system, callers, self._limits, log or get_logger("gnmi"))
        self._server = grpc.aio.server(
            options=server_options(self._limits), maximum_concurrent_rpcs=self._limits.max_calls
        )

    async def start(self) -> int:
        """Listen, and return the port (of interest when the settings say 0).

        Raises SettingsError when the port is not to be had.
        """
        host = self._settings.listen_host
        where = f"{f'[{host}]' if ':' in host else host}:{self._settings.listen_port}"
        try:
            port = self._server.add_secure_port(where, server_credentials(self._settings.files))
        except RuntimeError as error:
            raise SettingsError(f"gnmi: cannot listen on {where}") from error
        pb_grpc.add_gNMIServicer_to_server(self.service, self._server)
        await self._server.start()
        return int(port)

    async def close(self) -> None:
        """Take no new calls, give running ones a moment, close."""
        await self._server.stop(self._limits.grace_s)
        await self.service.views.close()


async def open_gnmi(
    settings: GnmiSettings, netconf: NetconfSettings, system: System
) -> tuple[GnmiServer, int]:
    """Serve over gNMI what a NETCONF server serves, to its users: the server and its port.

    For programs with a table `[gnmi]` beside their `[netconf]`. Raises SettingsError.
    """
    server = GnmiServer(settings, system, groups=netconf.groups, recovery=netconf.recovery)
    return server, await server.start()


def server_options(limits: GnmiLimits) -> list[tuple[str, int]]:
    """Options of the channel: sizes, and how soon a peer that is gone is found out."""
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", limits.max_message_bytes + 64 * 1024),
        ("grpc.max_concurrent_streams", limits.max_streams_per_user + 16),
        ("grpc.so_reuseport", 0),  # two servers on one port would split the callers between them
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Clients of quiet streams ask for signs of life: gRPC would end their connection as abuse.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def server_credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    """Credentials that ask every client for a certificate of `tls.ca`; SettingsError names a file."""
    return grpc.ssl_server_credentials(
        [(read_file(tls.private_key), read_file(tls.certificate))],
        root_certificates=read_file(tls.ca),
        require_client_auth=True,
    )


def read_file(path: Path) -> bytes:
    """The content of a file; SettingsError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot read: {error.strerror or error}") from error
