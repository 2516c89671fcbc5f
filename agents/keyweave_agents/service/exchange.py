"""A request and its answer as the protocol and a quick handler see them, and what all connections share.

Rule of this file: heads of answers are made here, so that every answer has the same fields.
"""

from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from keyweave_agents.service.connections import Connection
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger

Headers = tuple[tuple[bytes, bytes], ...]


class Exchange(Protocol):
    """A whole request and the way to answer it: `reply` once, now or later."""

    connection: Connection
    method: bytes
    url: bytes
    """As it stood in the request line."""
    body: bytes

    def reply(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Answer with JSON (or nothing); dropped when the client has gone."""
        ...

    def leave(self) -> bool:
        """Leave a request that was taken to the application after all; False: too late for that, reply."""
        ...


QuickHandler = Callable[[Exchange], bool]
"""Takes a request (True: it replies, now or later), or leaves it to the application and did nothing."""


class Shared:
    """What the protocols of one server share."""

    def __init__(
        self, settings: ServiceSettings, clock: Clock, log: Logger, quick: QuickHandler | None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.log = log
        self.quick = quick
        self.state = ServerState()
        self.heads: dict[int, bytes] = {}
        self.make_room: Callable[[], bool] = lambda: True
        self._second = -1

    def refresh_date(self) -> None:
        """Keep the `Date` header of every answer within the second (RFC 9110 section 6.6.1)."""
        now = self.clock.now()
        if int(now) != self._second:
            self._second = int(now)
            date = formatdate(now, usegmt=True).encode()
            self.state.default_headers = [(b"date", date), (b"cache-control", b"no-store")]
            self.heads.clear()

    def head(self, status: int) -> bytes:
        """The head of a JSON answer up to the value of its content-length."""
        head = self.heads.get(status)
        if head is None:
            fields = b"".join(b"%b: %b\r\n" % field for field in self.state.default_headers)
            head = STATUS_LINE[status] + fields + b"content-type: application/json\r\ncontent-length: "
            self.heads[status] = head
        return head

    def head_with(self, status: int, headers: Headers, *, has_body: bool) -> bytes:
        """The same with further fields, and without a content type where there is no body."""
        fields = [*self.state.default_headers, *headers]
        if has_body:
            fields.append((b"content-type", b"application/json"))
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        return b"%b%bcontent-length: " % (STATUS_LINE[status], lines)
