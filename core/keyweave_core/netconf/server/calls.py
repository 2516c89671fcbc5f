"""What operations and sessions know of each other.

Rule of this file: an operation sees its session as a `Caller` and the other sessions through the `Registry`;
it never touches a transport.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import OK
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.datastores import Editor
from keyweave_core.netconf.server.monitoring import SessionFacts


class Caller(Protocol):
    """The session an operation came from."""

    session_id: int
    user: User
    editor: Editor  # both of the above, as datastores take them

    @property
    def subscribed(self) -> bool:
        """True while a subscription of RFC 5277 runs on the session."""
        ...

    def subscribe(
        self, filters: Sequence[Element] | None, start_s: float | None, stop_s: float | None
    ) -> None:
        """Start the one subscription of RFC 5277 that a session may have."""
        ...

    def end(self, reason: str) -> None:
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
