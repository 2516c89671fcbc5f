"""HTTPS requests of a bridge: bounded in time and size, errors of the project's own.

Rule of this file: an answer is a status and JSON; who does not answer is PeerUnreachable, and no text of an
error holds anything of a body, because bodies hold keys.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from keyweave_core.errors import PeerUnreachable, Unavailable
from keyweave_core.runtime.tls import peer_names

MOST_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and body of an answer; the body is not part of the repr."""

    status: int
    body: bytes = field(repr=False)

    def json(self, shape: Any = Any) -> Any:
        """The body as JSON of a shape; Unavailable when it is something else."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # `from None`: the error may show what stood there.
            raise Unavailable(f"an answer (status {self.status}) that cannot be read") from None


class Caller:
    """Requests to one server at `base` (https://host[:port][/prefix]).

    `name`, when it is given, must be a name of the server's certificate besides that of the host.
    """

    def __init__(self, base: str, context: ssl.SSLContext, *, answer_s: float, name: str = "") -> None:
        self._name = name
        self._base = base.rstrip("/")
        self._answer_s = answer_s
        self._client = httpx.AsyncClient(
            verify=context, timeout=answer_s, trust_env=False, follow_redirects=False
        )

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One exchange. PeerUnreachable: no answer within the time, or one that is too large."""
        url = self._base + path
        said = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            said["content-type"] = "application/json"
        try:
            async with (
                asyncio.timeout(self._answer_s),
                self._client.stream(method, url, content=content, headers=said) as response,
            ):
                self._check(url, response)
                parts = bytearray()
                async for part in response.aiter_raw():
                    parts += part
                    if len(parts) > MOST_ANSWER_BYTES:
                        raise PeerUnreachable(f"{url}: an answer of more than {MOST_ANSWER_BYTES} bytes")
                return Answer(status=response.status_code, body=bytes(parts))
        except TimeoutError as error:
            raise PeerUnreachable(f"{url}: no answer within {self._answer_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise PeerUnreachable(f"{url}: {str(error) or type(error).__name__}") from error

    def _check(self, url: str, response: httpx.Response) -> None:
        """Whether the server is the one that was meant; what was said to it is no secret."""
        if not self._name:
            return
        secured = response.extensions["network_stream"].get_extra_info("ssl_object")
        names = peer_names(secured)
        if self._name not in {*names.uris, *names.dns, *names.common_names}:
            raise PeerUnreachable(f"{url}: the certificate there does not say {self._name}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
