"""What two bridges say to each other, and the master's side of saying it.

    PUT  /peer/rotations/{event id}            {secret, attempt, key_id, proof}    hold this key pending
         -> {status: staged | active | lost | differs | stale, attempt}
    POST /peer/rotations/{event id}/activate   {secret, attempt, key_id}           both hold it: activate it
         -> {status: active | unknown}
    503 {message}: not now, the same again later

Rule of this file: ids and counts travel, and a proof that shows equality; a key never does.
"""

from typing import Literal
from urllib.parse import quote

import msgspec

from keyweave_agents.bridge.calls import Answer, Caller
from keyweave_core.errors import Unavailable

PeerStatus = Literal["staged", "active", "lost", "differs", "stale", "unknown"]


class Prepare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first question."""

    secret: str
    attempt: int
    key_id: str
    proof: str


class Activate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second one."""

    secret: str
    attempt: int
    key_id: str


class PeerAnswer(msgspec.Struct, frozen=True):
    """How far the slave is; `attempt` is the highest that it knows of."""

    status: PeerStatus
    attempt: int = 0


class Message(msgspec.Struct, frozen=True):
    """Why something is not done."""

    message: str = ""


class PeerClient:
    """The bridge at the other site. Calls raise Unavailable when it does not answer or cannot now."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def prepare(self, event_id: str, said: Prepare) -> PeerAnswer:
        """Ask it to hold the key pending."""
        return _read(await self._caller.ask("PUT", f"/peer/rotations/{quote(event_id, safe='')}", said))

    async def activate(self, event_id: str, said: Activate) -> PeerAnswer:
        """Tell it that both hold the key."""
        path = f"/peer/rotations/{quote(event_id, safe='')}/activate"
        return _read(await self._caller.ask("POST", path, said))

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()


def _read(answer: Answer) -> PeerAnswer:
    if answer.status == 200:
        found: PeerAnswer = answer.json(PeerAnswer)
        return found
    message = ""
    if answer.body:
        try:
            message = answer.json(Message).message
        except Unavailable:
            message = ""
    raise Unavailable(f"the other bridge: status {answer.status} {message[:300]}".rstrip())
