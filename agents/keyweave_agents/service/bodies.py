"""The body of a request, read to its end within a cap: for every ASGI application on `service.https`.

Rule of this file: what a body that is too large is answered with is the application's own affair.
"""

from uvicorn._types import ASGIReceiveCallable, HTTPScope

from keyweave_agents.service.connections import ClientGone
from keyweave_core.errors import InvalidInput


class BodyTooLarge(InvalidInput):
    """The body announces or has more than the cap."""


async def read_body(scope: HTTPScope, receive: ASGIReceiveCallable, cap: int) -> bytes:
    """The whole body. BodyTooLarge above `cap` bytes; ClientGone: the client closed before its end."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > cap:
            raise BodyTooLarge(f"the body is larger than {cap} bytes")
    parts: list[bytes] = []
    total = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts.append(message["body"])
        total += len(message["body"])
        if total > cap:
            raise BodyTooLarge(f"the body is larger than {cap} bytes")
        if not message["more_body"]:
            return b"".join(parts)
