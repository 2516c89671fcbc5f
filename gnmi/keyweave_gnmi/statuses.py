"""Errors as gRPC statuses, in both directions.

Rule of this file: the first class that fits tells the code; texts say what and where and nothing of our
insides. gNMI clause 3.4.7 names the codes of Set, clause 3.3.1 those of Get.
"""

import grpc

from keyweave_core.errors import (
    DeadlineExceeded,
    Exhausted,
    InvalidInput,
    KeyweaveError,
    MalformedMessage,
    PeerUnreachable,
    Refused,
    SchemaViolation,
    Unavailable,
)
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_gnmi.faults import Conflict, NoSuchNode, NotAllowed, Unsupported

Code = grpc.StatusCode

_CODES: tuple[tuple[type[KeyweaveError], grpc.StatusCode], ...] = (
    (NoSuchNode, Code.NOT_FOUND),
    (Unsupported, Code.UNIMPLEMENTED),
    (NotAllowed, Code.PERMISSION_DENIED),
    (Conflict, Code.ABORTED),
    (Refused, Code.FAILED_PRECONDITION),
    (InvalidInput, Code.INVALID_ARGUMENT),
    (Exhausted, Code.RESOURCE_EXHAUSTED),
    (DeadlineExceeded, Code.DEADLINE_EXCEEDED),
    (Unavailable, Code.UNAVAILABLE),
)
_TAGS = {
    "access-denied": Code.PERMISSION_DENIED,
    "in-use": Code.ABORTED,
    "lock-denied": Code.ABORTED,
    "too-big": Code.RESOURCE_EXHAUSTED,
    "resource-denied": Code.RESOURCE_EXHAUSTED,
    "operation-not-supported": Code.UNIMPLEMENTED,
    # With another app-tag it is the schema that speaks, without one the system behind the configuration.
    "operation-failed": Code.FAILED_PRECONDITION,
}
# The configuration is a right one, but not now or not by this user.
_NOT_NOW = frozenset({"lockout", "conflict"})
_MAX_TEXT = 2000


def status_of(error: KeyweaveError) -> tuple[grpc.StatusCode, str]:
    """The code and text that tell a caller of `error`."""
    if isinstance(error, RpcError):
        text = f"{error.path}: {error.message}" if error.path else error.message
        schema = error.app_tag and error.app_tag not in _NOT_NOW
        code = Code.INVALID_ARGUMENT if schema else _TAGS.get(error.tag, Code.INVALID_ARGUMENT)
        return code, text[:_MAX_TEXT]
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Code.INTERNAL)
    return code, str(error)[:_MAX_TEXT]


def error_of(code: grpc.StatusCode, text: str, where: str) -> KeyweaveError:
    """The error that a status of a target means to its client; `where` names the target."""
    told = f"{where}: {text}" if text else f"{where}: {code.name}"
    match code:
        case Code.NOT_FOUND:
            return NoSuchNode(told)
        case Code.UNIMPLEMENTED:
            return Unsupported(told)
        case Code.PERMISSION_DENIED | Code.UNAUTHENTICATED:
            return NotAllowed(told)
        case Code.ABORTED | Code.ALREADY_EXISTS:
            return Conflict(told)
        case Code.INVALID_ARGUMENT | Code.OUT_OF_RANGE:
            return SchemaViolation(told)
        case Code.FAILED_PRECONDITION:
            return Refused(told)
        case Code.RESOURCE_EXHAUSTED:
            return Exhausted(told)
        case Code.DEADLINE_EXCEEDED:
            return DeadlineExceeded(told)
        case Code.UNAVAILABLE | Code.CANCELLED:
            return PeerUnreachable(told)
        case Code.DATA_LOSS:
            return MalformedMessage(told)
        case _:
            return Unavailable(told)  # a fault of the target is none of ours
