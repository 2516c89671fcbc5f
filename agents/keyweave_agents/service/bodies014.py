"""Bodies of requests on the way that may wait: read to their end, within the cap.

Rule of this file: parameters stand in one place, so a GET has no body and a POST no query.
"""

from uvicorn._types import ASGIReceiveCallable, HTTPScope

from keyweave_agents.service.answers014 import Answer, error_answer
from keyweave_agents.service.connections import ClientGone


async def no_body(scope: HTTPScope, receive: ASGIReceiveCallable, cap: int) -> None:
    """Answers 400 when the request has a body, which is read first."""
    for name, value in scope["headers"]:
        if (name == b"content-length" and value.strip(b" 0")) or name == b"transfer-encoding":
            await body_of(scope, receive, cap)
            raise error_answer(400, "GET takes no body; use POST")


async def body_of(scope: HTTPScope, receive: ASGIReceiveCallable, cap: int) -> bytes:
    """The body of a request; Answer 413 above `cap` bytes, 400 for a query beside it."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > cap:
            raise _too_large(cap)
    parts: list[bytes] = []
    total = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts.append(message["body"])
        total += len(message["body"])
        if total > cap:
            raise _too_large(cap)
        if not message["more_body"]:
            break
    if scope["query_string"] and scope["method"] == "POST":
        raise error_answer(400, "POST takes its parameters in the body, not in the query")
    return b"".join(parts)


def _too_large(cap: int) -> Answer:
    # Not closed: a reset would take the answer from a client that is still sending. What it sends on is
    # thrown away, and `receive_s` ends a body that does not end.
    return error_answer(413, f"the body is larger than {cap} bytes")
