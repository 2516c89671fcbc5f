"""Calling a controller: where it is, as whom we call, and what its refusals mean.

Rule of this file: gRPC errors end here; callers see the project's tree (PeerUnreachable: nobody answers;
Refused with the controller's own sentences: it answered no).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from keyweave_core.errors import (
    DeadlineExceeded,
    InvalidInput,
    KeyweaveError,
    PeerUnreachable,
    Refused,
    SettingsError,
    Unavailable,
)
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.inventory import read_inventory
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc
from keyweave_proto.v1 import optical_pb2_grpc

_GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
_OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerAddress:
    """Where a controller listens (`host:port`) and the certificate that a caller shows it."""

    address: str
    tls: TlsSettings


class Controller:
    """A channel to one controller with a stub for each service; use it as a context.

    Calls go inside `answers()`, so that their errors become ours.
    """

    def __init__(self, where: ControllerAddress) -> None:
        self.address = where.address
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_read(where.tls.ca),
            private_key=_read(where.tls.private_key),
            certificate_chain=_read(where.tls.certificate),
        )
        options = [("grpc.max_receive_message_length", 64 * 1024 * 1024), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.secure_channel(where.address, credentials, options)
        self.topology = pb_grpc.TopologyStub(self._channel)
        self.associations = pb_grpc.AssociationsStub(self._channel)
        self.alarms = pb_grpc.AlarmsStub(self._channel)
        self.accounting = pb_grpc.AccountingStub(self._channel)
        self.planning = pb_grpc.PlanningStub(self._channel)
        self.optical = optical_pb2_grpc.OpticalStub(self._channel)

    def __enter__(self) -> "Controller":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    @contextmanager
    def answers(self) -> Iterator[None]:
        """Calls inside raise errors of our tree."""
        try:
            yield
        except grpc.RpcError as error:
            raise _ours(error, self.address) from error


def lab_address(directory: Path) -> ControllerAddress:
    """The controller of the laboratory in `directory`, as its operator; SettingsError when there is none."""
    inventory = read_inventory(directory)
    return ControllerAddress(address=inventory.controller_address, tls=inventory.operator)


def explicit_address(
    address: str, ca: Path | None, certificate: Path | None, private_key: Path | None
) -> ControllerAddress:
    """The address that options name; InvalidInput when one of the three files is not named."""
    if ca is None or certificate is None or private_key is None:
        raise InvalidInput("--address needs --ca, --cert and --key")
    return ControllerAddress(
        address=address, tls=TlsSettings(certificate=certificate, private_key=private_key, ca=ca)
    )


def _ours(error: grpc.RpcError, address: str) -> KeyweaveError:
    call = cast("grpc.Call", error)  # what a failed call raises is both, which its types cannot say
    code, text = call.code(), call.details() or ""
    if code in _GONE:
        return PeerUnreachable(
            f"controller at {address} does not answer: {_first_line(text)}; keyweave lab inspect tells"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(
            f"controller at {address}: {_first_line(text)}; the same --request-id tells the outcome later"
        )
    if code in _OURS:
        return Unavailable(f"controller at {address} failed ({code.name}): {_first_line(text)}")
    found = _Details.of(call)
    reasons = tuple(violation.description for violation in found.failure.violations) or (text,)
    return Refused(*reasons, *_next_steps(found))


@dataclass(slots=True)
class _Details:
    """What a status carries besides its text; what it does not carry is empty."""

    info: error_details_pb2.ErrorInfo = field(default_factory=error_details_pb2.ErrorInfo)
    failure: error_details_pb2.PreconditionFailure = field(
        default_factory=error_details_pb2.PreconditionFailure
    )
    resource: error_details_pb2.ResourceInfo = field(default_factory=error_details_pb2.ResourceInfo)
    instead: pb.Alternatives = field(default_factory=pb.Alternatives)
    fresh: pb.ComputePathsResponse = field(default_factory=pb.ComputePathsResponse)

    @classmethod
    def of(cls, call: grpc.Call) -> "_Details":
        found = cls()
        status = rpc_status.from_call(call)
        for detail in status.details if status is not None else ():
            for shape in (found.info, found.failure, found.resource, found.instead, found.fresh):
                detail.Unpack(shape)
        return found


def _next_steps(found: _Details) -> list[str]:
    """What the caller may do next, where that is known."""
    steps = [one.note for one in found.instead.alternatives]
    if found.fresh.paths:
        told = []
        for one in found.fresh.paths:
            ways = [one.node_names, *(other.node_names for other in one.others)]
            told.append(f"{one.path_id} ({' with '.join(' > '.join(way) for way in ways)})")
        steps.append(f"deploy one of these: {', '.join(told)}")
    match found.info.reason:
        case "NOT_KNOWN" if found.resource.resource_type in _NAMED_BY:
            steps.append(f"{_NAMED_BY[found.resource.resource_type]} names those there are")
        case "CAPACITY_LACKS" if not steps:
            steps.append("keyweave path compute shows what is left")
        case "NOT_ALLOWED":
            steps.append("call with the certificate of an operator (--cert, --key)")
    return steps


_NAMED_BY = {
    "application": "keyweave get nodes",
    "application or node": "keyweave get nodes",
    "link": "keyweave get links",
    "association": "keyweave get associations --all",
    "shared-risk group": "[[links]] in the controller's settings",
}


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot read: {error.strerror or error}") from error
