"""What operations and sessions know of each other.

Rule of this file: an operation sees its session as a `Caller` and the other sessions through the `Registry`;
it never touches a transport.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import OK
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.events.outlet import Outlet
from keyweave_core.netconf.server.monitoring import SessionFacts
from keyweave_core.netconf.server.stores.datastores import Editor


class Termination(StrEnum):
    """termination-reason of netconf-session-end (RFC 6470)."""

    CLOSED = "closed"  # by its client, in order
    KILLED = "killed"  # by another session
    DROPPED = "dropped"  # the connection broke, or the peer did not read
    TIMEOUT = "timeout"  # nothing came in time
    BAD_HELLO = "bad-hello"
    OTHER = "other"


class Caller(Protocol):
    """The session an operation came from."""

    session_id: int
    user: User
    editor: Editor  # both of the above, as datastores take them

    @property
    def facts(self) -> SessionFacts:
        """What monitoring tells of the session."""
        ...

    @property
    def outlet(self) -> Outlet:
        """Its way out for notifications."""
        ...

    def end(
        self, reason: str, termination: Termination = Termination.OTHER, *, killed_by: int | None = None
    ) -> None:
        """Close the session after what was written."""
        ...


class Registry(Protocol):
    """The sessions of the server."""

    def find(self, session_id: int) -> Caller | None: ...
    def facts(self) -> Sequence[SessionFacts]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a reply, and what to do once it is written."""

    body: bytes = OK
    then: Callable[[], None] | None = None


Method = Callable[[Caller, Element], Awaitable[Answer]]
"""Carries out one operation (the child of <rpc>) for a caller."""


def data_answer(content: bytes) -> Answer:
    """A <data> element around serialised top-level elements."""
    return Answer(b"".join((b"<data>", content, b"</data>")))


def not_supported(name: str) -> RpcError:
    """The answer to what this server does not have."""
    return RpcError("operation-not-supported", f"no operation {name[:100]!r} here", type="protocol")
