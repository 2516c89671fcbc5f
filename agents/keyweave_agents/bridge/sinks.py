"""Where secrets are kept: what a bridge asks of a sink, whatever it is.

    pending   at most one key of a secret that nobody uses yet
    active    what applications read

Rule of this file: every call may be repeated. `activate` makes the pending key the active one in one step; a
sink that is not there, sealed or refuses says so as Unavailable, and the bridge tries again.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

import msgspec

from keyweave_agents.bridge.settings import SecretSettings
from keyweave_agents.material import Secret
from keyweave_core.errors import Unavailable


class SinkConflict(Unavailable):
    """Somebody else wrote in between; looked at again, and tried again."""


class NothingStaged(Unavailable):
    """The key that is to become active is neither pending nor active: it is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A key of a rotation: which event and which of its attempts, and the key itself."""

    event_id: str
    attempt: int
    key_id: str
    key: Secret

    def same(self, event_id: str, attempt: int, key_id: str) -> bool:
        """Whether this is the key of that attempt."""
        return (self.event_id, self.attempt, self.key_id) == (event_id, attempt, key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """What is active, without the key. Empty texts: it was not written by a bridge."""

    event_id: str
    key_id: str
    version: int


class Sink(Protocol):
    """One kind of place for secrets."""

    async def pending(self, secret: SecretSettings) -> Held | None:
        """The pending key."""
        ...

    async def stage(self, secret: SecretSettings, held: Held) -> None:
        """Make `held` the pending key, in place of whatever was."""
        ...

    async def active(self, secret: SecretSettings) -> Active | None:
        """What applications get now."""
        ...

    async def activate(self, secret: SecretSettings, event_id: str, key_id: str) -> int:
        """Make the pending key of this event the active one; its version. Raises NothingStaged."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Document(msgspec.Struct, frozen=True):
    """How a key lies in a sink, as JSON; `key` is base64 of its bytes."""

    key: str
    key_id: str = ""
    event_id: str = ""
    attempt: int = 0
    version: int = 0

    def __repr__(self) -> str:
        return f"<document of {self.event_id}>"


def document_of(held: Held, version: int = 0) -> Document:
    """The document of a key."""
    text = binascii.b2a_base64(held.key.reveal(), newline=False).decode("ascii")
    return Document(
        key=text, key_id=held.key_id, event_id=held.event_id, attempt=held.attempt, version=version
    )


def held_of(document: Document) -> Held | None:
    """The key of a document; None when it is not one that a bridge wrote."""
    try:
        key = Secret(base64.b64decode(document.key, validate=True))
    except (binascii.Error, ValueError):
        return None
    if not document.event_id or not document.key_id:
        return None
    return Held(event_id=document.event_id, attempt=document.attempt, key_id=document.key_id, key=key)


def proof_of(held: Held) -> str:
    """Shows the other bridge that both hold the same key, and nothing of the key: HMAC-SHA-256, 128 bits."""
    said = f"keyweave-bridge 1|{held.event_id}|{held.key_id}".encode()
    # `hmac` wants bytes; the copy is what the type of key material says it cannot prevent.
    return hmac.new(held.key.reveal().tobytes(), said, hashlib.sha256).hexdigest()[:32]
