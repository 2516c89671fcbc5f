"""Errors of the northbound: from our tree of errors to google.rpc.Status.

Rule of this file: the only place that chooses a gRPC code. Every status carries an ErrorInfo (domain
`keyweave`, a reason in capitals for programs) and, where there is more to say, the detail that programs know
how to read: BadRequest names fields, PreconditionFailure lists sentences, RetryInfo says when to come back.
"""

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

DOMAIN = "keyweave"


class InvalidField(InvalidInput):
    """A field of a request is wrong; `field` is its path in the message, for instance `qos.ttl_s`."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class NotKnown(InvalidInput):
    """The request names something that does not exist here; `kind` and `name` say what."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} not known: {name}")
        self.kind = kind
        self.name = name


class NotAllowed(InvalidInput):
    """The caller may not do this."""


class Lacking(Refused):
    """Refused for want of capacity: it may fit when something else is given back."""


def status_of(error: KeyweaveError) -> status_pb2.Status:
    """The status that tells a caller of `error`: what happened and why."""
    match error:
        case InvalidField():
            violation = error_details_pb2.BadRequest.FieldViolation(
                field=error.field, description=error.description
            )
            bad = error_details_pb2.BadRequest(field_violations=[violation])
            return _status(code_pb2.INVALID_ARGUMENT, "INVALID_FIELD", str(error), bad)
        case NotKnown():
            resource = error_details_pb2.ResourceInfo(
                resource_type=error.kind, resource_name=error.name, description=str(error)
            )
            return _status(code_pb2.NOT_FOUND, "NOT_KNOWN", str(error), resource)
        case NotAllowed():
            return _status(code_pb2.PERMISSION_DENIED, "NOT_ALLOWED", str(error))
        case Lacking():
            return _status(code_pb2.RESOURCE_EXHAUSTED, "CAPACITY_LACKS", str(error), _failure(error.reasons))
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
