"""Errors of the northbound: from our tree of errors to google.rpc.Status.

Rule of this file: the only place that chooses a gRPC code. Every status carries an ErrorInfo (domain
`keyweave`, a reason in capitals for programs) and, where there is more to say, the detail that programs know
how to read: BadRequest names fields, PreconditionFailure lists sentences, Alternatives and
ComputePathsResponse of keyweave.v1 say what could be had instead.
"""

from collections.abc import Iterable

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from keyweave_core.errors import (
    DeadlineExceeded,
    Exhausted,
    InvalidInput,
    KeyweaveError,
    Refused,
    Unavailable,
)
from keyweave_proto.v1 import keyweave_pb2 as pb

DOMAIN = "keyweave"

MOST_DETAIL_BYTES = 4_000
"""A status travels in one HTTP/2 header, which clients bound to 8 KiB unless they are told otherwise."""


MOST_NAME = 100
"""Characters of a name that is not known here, told back to whoever named it; an id has 36."""


class InvalidField(InvalidInput):
    """A field of a request is wrong; `field` is its path in the message, for instance `qos.ttl_s`."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class NotKnown(InvalidInput):
    """The request names something that does not exist here; `kind` and `name` say what, `field` where."""

    def __init__(self, kind: str, name: str, field: str = "") -> None:
        name = name if len(name) <= MOST_NAME else name[: MOST_NAME - 3] + "..."
        super().__init__(f"{field}: {kind} not known: {name}" if field else f"{kind} not known: {name}")
        self.kind = kind
        self.name = name
        self.field = field


class NotAllowed(InvalidInput):
    """The caller may not do this."""


class Declined(Refused):
    """Refused by the network; `alternatives` is what it would grant instead."""

    def __init__(self, *reasons: str, alternatives: Iterable[pb.Alternative] = ()) -> None:
        super().__init__(*reasons)
        self.alternatives = tuple(alternatives)


class Lacking(Declined):
    """Refused for want of capacity: it may fit when something else is given back."""


class Stale(Refused):
    """A computed path cannot be deployed any more; `fresh` are those that can be had now."""

    def __init__(self, *reasons: str, fresh: pb.ComputePathsResponse) -> None:
        super().__init__(*reasons)
        self.fresh = fresh


def status_of(error: KeyweaveError) -> status_pb2.Status:
    """The status that tells a caller of `error`: what happened and why."""
    match error:
        case InvalidField():
            bad = _bad_field(error.field, error.description)
            return _status(code_pb2.INVALID_ARGUMENT, "INVALID_FIELD", str(error), bad)
        case NotKnown():
            resource = error_details_pb2.ResourceInfo(
                resource_type=error.kind, resource_name=error.name, description=str(error)
            )
            where = (_bad_field(error.field, str(error)),) if error.field else ()
            return _status(code_pb2.NOT_FOUND, "NOT_KNOWN", str(error), resource, *where)
        case NotAllowed():
            return _status(code_pb2.PERMISSION_DENIED, "NOT_ALLOWED", str(error))
        case Stale():
            failure = _failure(error.reasons)
            return _status(code_pb2.ABORTED, "PATH_STALE", str(error), failure, _bounded(error.fresh))
        case Lacking():
            return _status(code_pb2.RESOURCE_EXHAUSTED, "CAPACITY_LACKS", str(error), *_declined(error))
        case Declined():
            return _status(code_pb2.FAILED_PRECONDITION, "REFUSED", str(error), *_declined(error))
        case Refused():
            return _status(code_pb2.FAILED_PRECONDITION, "REFUSED", str(error), _failure(error.reasons))
        case InvalidInput():
            return _status(code_pb2.INVALID_ARGUMENT, "INVALID_INPUT", str(error))
        case DeadlineExceeded():
            return _status(code_pb2.DEADLINE_EXCEEDED, "STILL_UNDER_WAY", str(error))
        case Exhausted():
            return _status(code_pb2.RESOURCE_EXHAUSTED, "EXHAUSTED", str(error))
        case Unavailable():
            return _status(code_pb2.UNAVAILABLE, "UNAVAILABLE", str(error))
        case _:
            return _status(
                code_pb2.INTERNAL, "INTERNAL_FAULT", "a fault of the controller; its log says more"
            )


def _bad_field(field: str, description: str) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
    return error_details_pb2.BadRequest(field_violations=[violation])


def _declined(error: Declined) -> list[Message]:
    details: list[Message] = [_failure(error.reasons)]
    if error.alternatives:
        details.append(pb.Alternatives(alternatives=error.alternatives))
    return details


def _bounded(fresh: pb.ComputePathsResponse) -> pb.ComputePathsResponse:
    """As many of the paths as a status can carry, the best first."""
    kept = pb.ComputePathsResponse(reasons=fresh.reasons, strategy=fresh.strategy)
    for path in fresh.paths:
        if kept.ByteSize() + path.ByteSize() > MOST_DETAIL_BYTES:
            break
        kept.paths.append(path)
    return kept


def _failure(reasons: tuple[str, ...]) -> error_details_pb2.PreconditionFailure:
    violation = error_details_pb2.PreconditionFailure.Violation
    return error_details_pb2.PreconditionFailure(
        violations=[violation(type="NETWORK", subject="path", description=reason) for reason in reasons]
    )


def _status(code: int, reason: str, text: str, *details: Message) -> status_pb2.Status:
    packed = []
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN), *details):
        item = any_pb2.Any()
        item.Pack(detail)
        packed.append(item)
    return status_pb2.Status(code=code, message=text, details=packed)
