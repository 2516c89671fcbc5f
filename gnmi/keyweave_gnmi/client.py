"""A gNMI client: the four methods against any target, over mutual TLS.

Rule of this file: paths are text (`text_paths`), values are what JSON knows, every call has a deadline, and a
status of the target becomes an error of our tree that names the target. `tree_client` speaks in elements.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc

from keyweave_core.errors import DeadlineExceeded
from keyweave_core.runtime.tls import TlsSettings
from keyweave_gnmi.server import read_file
from keyweave_gnmi.statuses import error_of
from keyweave_gnmi.text_paths import parse_path
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_proto.gnmi import gnmi_pb2_grpc as pb_grpc

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """Bounds of one client."""

    connect_timeout_s: float = 10.0  # TCP and TLS
    call_timeout_s: float = 30.0  # one call; a Subscribe STREAM or POLL has none
    max_message_bytes: int = 16 * 1024 * 1024
    keepalive_s: float = 15.0  # quiet time before the target is asked for a sign of life

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a target says of itself; `modules` maps names to versions, `encodings` are names ('JSON_IETF')."""

    version: str
    modules: Mapping[str, str]
    encodings: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One path of a subscription. Times in seconds; 0.0: what the target takes for it."""

    path: str
    mode: int = pb.ON_CHANGE  # pb.SubscriptionMode
    sample_s: float = 0.0
    heartbeat_s: float = 0.0
    suppress_redundant: bool = False

    def message(self) -> pb.Subscription:
        """As it travels."""
        return pb.Subscription(
            path=parse_path(self.path),
            mode=pb.SubscriptionMode.Name(self.mode),
            sample_interval=round(self.sample_s * _NS),
            heartbeat_interval=round(self.heartbeat_s * _NS),
            suppress_redundant=self.suppress_redundant,
        )


class GnmiClient:
    """One target. Made inside a running loop; use it as a context, or `connect` and `close`."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: TlsSettings,
        *,
        server_name: str | None = None,
        target: str = "",
        limits: ClientLimits | None = None,
    ) -> None:
        """`server_name` is what the certificate of the target must say, `host` unless given; `target` goes
        into the prefix of every request. Raises SettingsError for a file that cannot be read."""
        self._limits = limits or ClientLimits()
        self._where = f"gNMI {host} port {port}"
        self._target = target
        options: list[tuple[str, int | str]] = [
            ("grpc.max_receive_message_length", self._limits.max_message_bytes),
            ("grpc.max_send_message_length", self._limits.max_message_bytes),
            ("grpc.keepalive_time_ms", round(self._limits.keepalive_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(self._limits.keepalive_s * 1000)),
            ("grpc.enable_retries", 0),  # a Set must not happen twice
            ("grpc.use_local_subchannel_pool", 1),  # a new client is a new connection
        ]
        if server_name is not None:
            options.append(("grpc.ssl_target_name_override", server_name))
        credentials = grpc.ssl_channel_credentials(
            root_certificates=read_file(tls.ca),
            private_key=read_file(tls.private_key),
            certificate_chain=read_file(tls.certificate),
        )
        bracketed = f"[{host}]" if ":" in host else host
        self._channel = grpc.aio.secure_channel(f"{bracketed}:{port}", credentials, options=options)
        self._stub = pb_grpc.gNMIStub(self._channel)

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def where(self) -> str:
        """The target, for people."""
        return self._where

    async def connect(self) -> None:
        """Wait for the connection; DeadlineExceeded when it does not come to be (also when TLS fails)."""
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                await self._channel.channel_ready()
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{self._where}: no connection within {self._limits.connect_timeout_s:g} s"
            ) from error

    async def close(self) -> None:
        """End every call and the connection."""
        await self._channel.close()

    async def capabilities(self) -> Capabilities:
        """What the target serves."""
        answer = await self._call(self._stub.Capabilities, pb.CapabilityRequest())
        return Capabilities(
            version=answer.gNMI_version,
            modules={model.name: model.version for model in answer.supported_models},
            encodings=frozenset(pb.Encoding.Name(each) for each in answer.supported_encodings),
        )

    async def get(
        self,
        paths: Iterable[str] = ("/",),
        *,
        kind: int = pb.GetRequest.ALL,
        encoding: int = pb.JSON_IETF,
    ) -> Sequence[pb.Notification]:
        """A snapshot: one notification for each path. `kind` is a pb.GetRequest.DataType."""
        request = pb.GetRequest(
            prefix=self._prefix(),
            path=[parse_path(path) for path in paths],
            type=pb.GetRequest.DataType.Name(kind),
            encoding=pb.Encoding.Name(encoding),
        )
        answer: pb.GetResponse = await self._call(self._stub.Get, request)
        return tuple(answer.notification)

    async def set(
        self,
        *,
        delete: Iterable[str] = (),
        replace: Iterable[tuple[str, Any]] = (),
        update: Iterable[tuple[str, Any]] = (),
    ) -> float:
        """Change the target, whole or not at all; values are Python's form of RFC 7951 JSON.

        Returns when it happened, in seconds since 1970 by the clock of the target.
        """
        request = pb.SetRequest(
            prefix=self._prefix(),
            delete=[parse_path(path) for path in delete],
            replace=[_update(path, value) for path, value in replace],
            update=[_update(path, value) for path, value in update],
        )
        answer: pb.SetResponse = await self._call(self._stub.Set, request)
        return answer.timestamp / _NS

    def subscribe(
        self,
        wanted: Iterable[Wanted],
        *,
        mode: int = pb.SubscriptionList.STREAM,
        encoding: int = pb.JSON_IETF,
        updates_only: bool = False,
    ) -> "Subscribed":
        """Begin a subscription. `mode` is a pb.SubscriptionList.Mode."""
        asked = pb.SubscriptionList(
            prefix=self._prefix(),
            subscription=[each.message() for each in wanted],
            mode=pb.SubscriptionList.Mode.Name(mode),
            encoding=pb.Encoding.Name(encoding),
            updates_only=updates_only,
        )
        once = mode == pb.SubscriptionList.ONCE
        call = self._stub.Subscribe(timeout=self._limits.call_timeout_s if once else None)
        return Subscribed(call, asked, self._where)

    def _prefix(self) -> pb.Path:
        return pb.Path(target=self._target)

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            return await method(request, timeout=self._limits.call_timeout_s)
        except grpc.aio.AioRpcError as error:
            raise error_of(error.code(), error.details() or "", self._where) from error


class Subscribed:
    """The answers of one Subscribe call, as a context that is iterated once.

    Errors of the target are raised by the iteration. Reading slowly holds the target back.
    """

    def __init__(self, call: Any, asked: pb.SubscriptionList, where: str) -> None:
        self._call = call
        self._asked = asked
        self._where = where

    async def __aenter__(self) -> Self:
        try:
            await self._write(pb.SubscribeRequest(subscribe=self._asked))
        except BaseException:
            self._call.cancel()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.cancel()

    async def __aiter__(self) -> AsyncIterator[pb.SubscribeResponse]:
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                yield response
            code = await self._call.code()
        except grpc.aio.AioRpcError as error:
            raise error_of(error.code(), error.details() or "", self._where) from error
        if code is not grpc.StatusCode.OK:
            raise error_of(code, await self._call.details() or "", self._where)

    async def poll(self) -> None:
        """Ask for everything again (mode POLL)."""
        await self._write(pb.SubscribeRequest(poll=pb.Poll()))

    async def _write(self, request: pb.SubscribeRequest) -> None:
        try:
            await self._call.write(request)
        except asyncio.InvalidStateError:
            return  # the call is over: reading tells why
        except grpc.aio.AioRpcError as error:
            raise error_of(error.code(), error.details() or "", self._where) from error


def _update(path: str, value: Any) -> pb.Update:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return pb.Update(path=parse_path(path), val=pb.TypedValue(json_ietf_val=text))
