"""Calls to the other side of the interface, over mutual TLS.

Rule of this file: an answer becomes a message or an error of ours; what is done about either is decided by
whoever called.
"""

import httpx
import msgspec

from keyweave_agents.quicks.door import Verb
from keyweave_agents.quicks.messages import BASE, M, Problem, read, write
from keyweave_agents.quicks.settings import QuicksSettings
from keyweave_core.errors import InvalidInput, PeerUnreachable, Refused
from keyweave_core.runtime.tls import client_context, peer_names

MOST_ANSWER_BYTES = 1 << 20


class NotOk(Refused):
    """The other side answered with a problem: its status and detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Stranger(PeerUnreachable):
    """Somebody else than the other half of this node answered."""


class Caller:
    """The HTTP client of one side. Raises SettingsError (TLS files) when it is made."""

    def __init__(self, settings: QuicksSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(
            base_url=settings.peer_url.rstrip("/") + BASE,
            verify=client_context(settings.tls),
            timeout=settings.answer_s,
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=8),
            trust_env=False,
        )

    async def close(self) -> None:
        """End what is open. Idempotent."""
        await self._client.aclose()

    async def ask(
        self,
        verb: Verb,
        path: str,
        answer: type[M],
        message: msgspec.Struct | None = None,
        *,
        wait_s: float | None = None,
    ) -> M:
        """Call and read the answer. PeerUnreachable: no answer; NotOk: a problem; InvalidInput: nonsense."""
        return read(await self._send(verb, path, message, wait_s), answer)

    async def tell(self, verb: Verb, path: str, message: msgspec.Struct | None = None) -> None:
        """Call where the answer says nothing. Errors as `ask`."""
        await self._send(verb, path, message, None)

    async def _send(
        self, verb: Verb, path: str, message: msgspec.Struct | None, wait_s: float | None
    ) -> bytes:
        timeout = self._settings.answer_s if wait_s is None else wait_s
        body = None if message is None else write(message)  # type: ignore[arg-type]  # one of `messages`
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            async with self._client.stream(
                verb, path, content=body, headers=headers, timeout=timeout
            ) as response:
                self._check_identity(response)
                answer = bytearray()
                async for piece in response.aiter_bytes():
                    answer += piece
                    if len(answer) > MOST_ANSWER_BYTES:
                        raise InvalidInput(f"{verb} {path}: an answer of more than {MOST_ANSWER_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise PeerUnreachable(f"{self._settings.peer_url}: {verb} {path}: {reason}") from error
        if response.is_success:
            return bytes(answer)
        try:
            detail = read(bytes(answer), Problem).detail
        except InvalidInput:
            detail = f"status {response.status_code} without a problem that can be read"
        raise NotOk(response.status_code, f"{verb} {path}: {detail}")

    def _check_identity(self, response: httpx.Response) -> None:
        """Who answers must be who the settings say, whatever else its authority has certified."""
        names = peer_names(response.extensions["network_stream"].get_extra_info("ssl_object"))
        if not names.include(self._settings.peer_identity):
            raise Stranger(
                f"{self._settings.peer_url}: its certificate does not name {self._settings.peer_identity}"
            )
