"""HashiCorp Vault as a sink: the HTTP API of the KV secrets engine version 2.

    {path}.pending     the pending key: data of its own path, removed with all versions once it is active
    {path}             the active key is its newest version, so whoever reads the secret as usual gets it
                       custom_metadata: keyweave_active_version, keyweave_event_id, keyweave_key_id

The step that makes a key active is one write with check-and-set of the version that was read: of two writers
one gets 400 and looks again. Status 403 (token), 404 (nothing there), 429, 472, 473 and 503 (standby, sealed)
are told as they are.

Rule of this file: nothing is cached but connections; the token is read for each request.
"""

from typing import Any

import msgspec

from keyweave_agents.bridge.calls import Answer, Caller
from keyweave_agents.bridge.settings import SecretSettings, VaultSettings
from keyweave_agents.bridge.sinks import (
    Active,
    Document,
    Held,
    NothingStaged,
    SinkConflict,
    document_of,
    held_of,
)
from keyweave_core.errors import Unavailable

VERSION, EVENT, KEY = "keyweave_active_version", "keyweave_event_id", "keyweave_key_id"
_STATES = {429: "standby", 472: "standby", 473: "standby", 501: "not initialised", 503: "sealed"}


class _Meta(msgspec.Struct, frozen=True):
    version: int = 0


class _Version(msgspec.Struct, frozen=True):
    data: dict[str, Any] | None
    metadata: _Meta


class _Read(msgspec.Struct, frozen=True):
    data: _Version


class _Errors(msgspec.Struct, frozen=True):
    errors: tuple[str, ...] = ()


class _Written(msgspec.Struct, frozen=True):
    data: _Meta


class _Path(msgspec.Struct, frozen=True):
    current_version: int = 0
    custom_metadata: dict[str, str] | None = None


class _PathRead(msgspec.Struct, frozen=True):
    data: _Path


class VaultSink:
    """See `sinks.Sink`."""

    def __init__(self, settings: VaultSettings, caller: Caller) -> None:
        self._settings = settings
        self._caller = caller

    async def pending(self, secret: SecretSettings) -> Held | None:
        """The pending key."""
        document, _ = await self._read(self._pending(secret))
        return None if document is None else held_of(document)

    async def stage(self, secret: SecretSettings, held: Held) -> None:
        """Write the pending path."""
        path = self._pending(secret)
        _, version = await self._read(path)
        await self._write(path, document_of(held), version)

    async def active(self, secret: SecretSettings) -> Active | None:
        """The newest version of the secret."""
        document, version = await self._read(secret.path)
        if document is None:
            return None
        return Active(event_id=document.event_id, key_id=document.key_id, version=version)

    async def activate(self, secret: SecretSettings, event_id: str, key_id: str) -> int:
        """Copy the pending key to the secret, mark its version, remove what was pending."""
        active = await self.active(secret)
        if active is None or (active.event_id, active.key_id) != (event_id, key_id):
            document, _ = await self._read(self._pending(secret))
            if document is None or (document.event_id, document.key_id) != (event_id, key_id):
                raise NothingStaged(f"vault: {self._pending(secret)} does not hold the key of {event_id}")
            current = await self._current(secret.path)
            version = await self._write(secret.path, document, current)
        else:
            version = active.version
        await self._mark(secret.path, {VERSION: str(version), EVENT: event_id, KEY: key_id})
        await self._remove(self._pending(secret), event_id)
        return version

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    # --- the API --------------------------------------------------------------------------------

    def _pending(self, secret: SecretSettings) -> str:
        return secret.path + self._settings.pending_suffix

    async def _read(self, path: str) -> tuple[Document | None, int]:
        """The newest version's document (None: nothing, or not ours) and the current version."""
        answer = await self._ask("GET", "data", path, allowed=(200, 404))
        if answer.status == 404:
            return None, await self._current(path)
        found: _Version = answer.json(_Read).data
        try:
            document = msgspec.convert(found.data, Document)
        except msgspec.ValidationError:
            document = None
        return document, found.metadata.version

    async def _current(self, path: str) -> int:
        """The version that check-and-set compares with; 0 where there is none yet."""
        answer = await self._ask("GET", "metadata", path, allowed=(200, 404))
        if answer.status == 404:
            return 0
        current: int = answer.json(_PathRead).data.current_version
        return current

    async def _write(self, path: str, document: Document, current: int) -> int:
        body = {"options": {"cas": current}, "data": document}
        answer = await self._ask("POST", "data", path, body, allowed=(200, 400))
        if answer.status == 400:
            raise SinkConflict(f"vault: {path}: {_told(answer)}")
        version: int = answer.json(_Written).data.version
        return version

    async def _mark(self, path: str, marks: dict[str, str]) -> None:
        """Set our custom metadata; what others wrote there stays."""
        answer = await self._ask("GET", "metadata", path, allowed=(200,))
        known: dict[str, str] = answer.json(_PathRead).data.custom_metadata or {}
        if known | marks != known:
            await self._ask("POST", "metadata", path, {"custom_metadata": known | marks}, allowed=(200, 204))

    async def _remove(self, path: str, event_id: str) -> None:
        """All versions of what was pending, unless it is already the key of a later event."""
        document, _ = await self._read(path)
        if document is not None and document.event_id == event_id:
            await self._ask("DELETE", "metadata", path, allowed=(200, 204, 404))

    async def _ask(
        self, method: str, kind: str, path: str, body: Any = None, *, allowed: tuple[int, ...]
    ) -> Answer:
        settings = self._settings
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true"}
        if settings.namespace:
            headers["X-Vault-Namespace"] = settings.namespace
        where = f"/v1/{settings.mount}/{kind}/{path}"
        answer = await self._caller.ask(method, where, body, headers)
        if answer.status in allowed:
            return answer
        state = _STATES.get(answer.status, "")
        raise Unavailable(f"vault: {method} {where}: {answer.status} {state} {_told(answer)}".rstrip())

    def _token(self) -> str:
        path = self._settings.token_file
        try:
            token = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"{path}: cannot read the token: {type(error).__name__}") from error
        if not token or not token.isprintable():
            raise Unavailable(f"{path}: holds no token")
        return token


def _told(answer: Answer) -> str:
    """What Vault says went wrong; only of refusals, which hold no secrets."""
    if answer.status < 400:
        return ""
    try:
        errors: tuple[str, ...] = answer.json(_Errors).errors
    except Unavailable:
        return ""
    return "; ".join(errors)[:200]
