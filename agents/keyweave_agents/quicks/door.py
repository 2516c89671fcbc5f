"""The HTTPS side of the interface: which call it is, whether the other side may make it, and its answer.

Rule of this file: it knows paths, verbs and problems, and nothing of keys; what a call does stands in the
handlers of `agent_door` and `key_manager_door`. Whoever calls must be the one other side of the settings.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from keyweave_agents.quicks.messages import BASE, Problem, write
from keyweave_agents.service.bodies import BodyTooLarge, read_body
from keyweave_agents.service.https import ClientGone, Connection
from keyweave_core.errors import InvalidInput, KeyweaveError, Unavailable
from keyweave_core.runtime.log import Logger

MOST_BODY_BYTES = 256 * 1024

Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_TITLES = {
    400: "Bad request",
    401: "Not the other side",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Exists already",
    413: "Too large",
    500: "Fault",
    501: "Feature not supported",
    503: "Not now",
}


class CallProblem(KeyweaveError):
    """Leave a call with this status and detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what stood in the path, the query, and the body."""

    path: dict[str, str]
    query: dict[str, str]
    body: bytes


Reply = tuple[int, bytes]
Handler = Callable[[Call], Awaitable[Reply]]


class Door:
    """An ASGI application of calls below `/api/v2/sdn`."""

    def __init__(self, peer_identity: str, log: Logger) -> None:
        self._peer = peer_identity
        self._log = log
        self._calls: list[tuple[Verb, tuple[str, ...], Handler]] = []

    def on(self, verb: Verb, path: str, handler: Handler) -> None:
        """Serve a path such as `/link/relay/{key_stream_id}`."""
        self._calls.append((verb, tuple(path.strip("/").split("/")), handler))

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        connection: Connection = scope["state"]["connection"]
        kind = b"application/json"
        try:
            self._check_identity(connection)
            body = await read_body(scope, receive, MOST_BODY_BYTES)
            handler, path = self._find(scope["method"], scope["raw_path"].decode("latin-1"))
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            with connection.while_waiting():
                status, answer = await handler(Call(path, query, body))
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the seam: whatever a handler raises gets an answer
            problem = self._problem(error)
            status, answer, kind = problem.status, write(problem), b"application/problem+json"
        headers = [(b"content-length", b"%d" % len(answer))]
        if answer:
            headers.append((b"content-type", kind))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    def _check_identity(self, connection: Connection) -> None:
        if not connection.names.include(self._peer):
            raise CallProblem(401, f"the certificate does not name {self._peer}")

    def _find(self, verb: str, raw_path: str) -> tuple[Handler, dict[str, str]]:
        if not raw_path.startswith(BASE + "/"):
            raise CallProblem(404, f"everything here is below {BASE}")
        parts = raw_path[len(BASE) + 1 :].split("/")
        verbs = []
        for known, pattern, handler in self._calls:
            if len(pattern) != len(parts):
                continue
            found: dict[str, str] = {}
            for want, have in zip(pattern, parts, strict=True):
                if want.startswith("{"):
                    found[want[1:-1]] = unquote(have, errors="replace")
                elif want != have:
                    break
            else:
                if known == verb:
                    return handler, found
                verbs.append(known)
        if verbs:
            raise CallProblem(405, f"this path takes {' and '.join(verbs)}")
        raise CallProblem(404, "no such path")

    def _problem(self, error: Exception) -> Problem:
        if isinstance(error, CallProblem):
            status, detail = error.status, error.detail
        elif isinstance(error, BodyTooLarge):
            status, detail = 413, str(error)
        elif isinstance(error, InvalidInput):
            status, detail = 400, str(error)
        elif isinstance(error, Unavailable):
            status, detail = 503, str(error)
        else:
            self._log.error("quicks_call_failed", exc_info=error)
            status, detail = 500, "a fault of this program; its log says more"
        return Problem(title=_TITLES.get(status, "Error"), status=status, detail=detail)


def number_of(call: Call, name: str, default: int, most: int) -> int:
    """A number of the query, 0..most. InvalidInput when it is none."""
    text = call.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > most:
        raise InvalidInput(f"{name}: {json.dumps(text[:40])} is not within 0..{most}")
    return int(text)
