"""Bodies of requests on the way that may wait: read to their end, within the cap.

Rule of this file: parameters stand in one place, so a GET has no body and a POST no query.
"""

from uvicorn._types import ASGIReceiveCallable, HTTPScope

from keyweave_agents.service.answers014 import error_answer
from keyweave_agents.service.bodies import BodyTooLarge, read_body


async def no_body(scope: HTTPScope, receive: ASGIReceiveCallable, cap: int) -> None:
    """Answers 400 when the request has a body, which is read first."""
    for name, value in scope["headers"]:
        if (name == b"content-length" and value.strip(b" 0")) or name == b"transfer-encoding":
            await body_of(scope, receive, cap)
            raise error_answer(400, "GET takes no body; use POST")


async def body_of(scope: HTTPScope, receive: ASGIReceiveCallable, cap: int) -> bytes:
    """The body of a request; Answer 413 above `cap` bytes, 400 for a query beside it."""
    try:
        body = await read_body(scope, receive, cap)
    except BodyTooLarge as error:
        # Not closed: a reset would take the answer from a client that is still sending. What it sends on is
        # thrown away, and `receive_s` ends a body that does not end.
        raise error_answer(413, str(error)) from error
    if scope["query_string"] and scope["method"] == "POST":
        raise error_answer(400, "POST takes its parameters in the body, not in the query")
    return body
