"""The northbound endpoint: the services of keyweave.v1 on gRPC, with health and reflection beside them.

Rule of this file: mutual TLS always; a client without a certificate of the configured authority never gets
as far as a method. Reflection and health answer any such client.
"""

from collections.abc import Callable
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound.access import Access
from keyweave_controller.northbound.accounting_service import AccountingService
from keyweave_controller.northbound.alarm_desk import AlarmDesk
from keyweave_controller.northbound.alarm_service import AlarmService
from keyweave_controller.northbound.association_service import AssociationService
from keyweave_controller.northbound.configuration_service import ConfigurationService
from keyweave_controller.northbound.configuring import Configurator
from keyweave_controller.northbound.optical_service import OpticalService
from keyweave_controller.northbound.path_book import PathBook
from keyweave_controller.northbound.planning_service import PlanningService
from keyweave_controller.northbound.topology_service import TopologyService
from keyweave_controller.settings import GrpcSettings
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import Clock
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc
from keyweave_proto.v1 import optical_pb2, optical_pb2_grpc

SERVICES = tuple(
    service.full_name
    for file in (pb.DESCRIPTOR, optical_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
)
"""Full names of the services of keyweave.v1."""

MAX_REQUEST_BYTES = 512 * 1024
"""No request of keyweave.v1 is larger (a fibre plant is the largest: some 2,000 fibres); what is, is refused
before it is parsed."""

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.so_reuseport", 0),  # two controllers on one port would split the callers between them
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class GrpcNorthbound:
    """The endpoint of one controller. Made inside a running loop: `bind` once, `start` once, `stop` once."""

    def __init__(self, *, settings: GrpcSettings, clock: Clock, new_id: Callable[[], str]) -> None:
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._server = grpc.aio.server(options=_OPTIONS)
        self._health = health.aio.HealthServicer()

    def bind(self) -> int:
        """Take the port and return it; nobody is answered yet.

        Before the store is opened, so that a second controller started by mistake on the same settings fails
        here and does not take the lease from the one that runs. SettingsError: a file cannot be used,
        or the port is not to be had.
        """
        where = f"{_bracketed(self._settings.listen_host)}:{self._settings.listen_port}"
        credentials = grpc.ssl_server_credentials(
            [(_read(self._settings.private_key), _read(self._settings.certificate))],
            root_certificates=_read(self._settings.ca),
            require_client_auth=True,
        )
        try:
            port = self._server.add_secure_port(where, credentials)
        except RuntimeError as error:
            raise SettingsError(f"grpc: cannot listen on {where}, or the certificate is no use") from error
        return int(port)

    async def start(self, engine: Engine, configurator: Configurator) -> None:
        """Answer callers from now on."""
        access = Access(self._settings.callers)
        desk = AlarmDesk(engine, self._clock, self._new_id)
        pb_grpc.add_TopologyServicer_to_server(
            TopologyService(engine, access, self._clock, self._new_id), self._server
        )
        book = PathBook()
        pb_grpc.add_AssociationsServicer_to_server(
            AssociationService(engine, access, self._clock, self._new_id, book), self._server
        )
        pb_grpc.add_AlarmsServicer_to_server(AlarmService(engine, access, desk), self._server)
        pb_grpc.add_AccountingServicer_to_server(AccountingService(engine, access), self._server)
        pb_grpc.add_PlanningServicer_to_server(
            PlanningService(engine, access, self._clock, book), self._server
        )
        pb_grpc.add_ConfigurationServicer_to_server(
            ConfigurationService(engine, access, configurator), self._server
        )
        optical_pb2_grpc.add_OpticalServicer_to_server(
            OpticalService(engine, access, self._clock, self._new_id), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        await self._server.start()
        for name in ("", *SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float = 0.5) -> None:
        """Take no new calls, tell health watchers, give running calls `grace_s` seconds, and close."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot read: {error.strerror or error}") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
