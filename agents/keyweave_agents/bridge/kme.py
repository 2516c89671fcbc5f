"""The bridge as an application of its key manager: enc_keys and dec_keys of ETSI GS QKD 014.

Rule of this file: what can be tried again is Unavailable; a key that is gone for good is KeyGone. Answers are
read into `Secret` at once; the text of an answer is dropped and not told.
"""

import base64
import binascii
from urllib.parse import quote

import msgspec

from keyweave_agents.bridge.calls import Answer, Caller
from keyweave_agents.material import Secret
from keyweave_core.errors import Unavailable

NOT_FOUND = "one or more keys specified are not found on KME"


class KeyGone(Unavailable):
    """The key manager does not have the key (any more): another one is to be taken."""


class _Key(msgspec.Struct, frozen=True):
    key_ID: str  # noqa: N815 - as the standard spells it
    key: str

    def __repr__(self) -> str:
        return f"<key {self.key_ID}>"


class _Container(msgspec.Struct, frozen=True):
    keys: tuple[_Key, ...]


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


class KeyManagerClient:
    """Keys shared with the application `peer_sae_id`."""

    def __init__(self, caller: Caller, peer_sae_id: str) -> None:
        self._caller = caller
        self._path = f"/api/v1/keys/{quote(peer_sae_id, safe='')}"

    async def take(self, bits: int) -> tuple[str, Secret]:
        """A new key (enc_keys, clause 5.3): its id and its bytes. Raises Unavailable."""
        answer = await self._caller.ask("POST", f"{self._path}/enc_keys", {"number": 1, "size": bits})
        if answer.status != 200:
            raise Unavailable(f"enc_keys: {_told(answer)}")
        return self._one(answer, bits)

    async def fetch(self, key_id: str, bits: int) -> Secret:
        """The key of an id (dec_keys, clause 5.4). Raises KeyGone, Unavailable."""
        wanted = {"key_IDs": [{"key_ID": key_id}]}
        answer = await self._caller.ask("POST", f"{self._path}/dec_keys", wanted)
        if answer.status == 400:
            raise KeyGone(f"dec_keys: {_told(answer)}")
        if answer.status != 200:
            raise Unavailable(f"dec_keys: {_told(answer)}")
        found, key = self._one(answer, bits)
        if found.casefold() != key_id.casefold():
            raise Unavailable("dec_keys: another key than the one that was asked for")
        return key

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    def _one(self, answer: Answer, bits: int) -> tuple[str, Secret]:
        keys: tuple[_Key, ...] = answer.json(_Container).keys
        if len(keys) != 1:
            raise Unavailable(f"the key manager gave {len(keys)} keys instead of one")
        try:
            key = Secret(base64.b64decode(keys[0].key, validate=True))
        except (binascii.Error, ValueError):
            raise Unavailable("the key manager gave a key that is no base64") from None
        if key.bits != bits:
            raise Unavailable(f"the key manager gave a key of {key.bits} bits instead of {bits}")
        return keys[0].key_ID, key


def _told(answer: Answer) -> str:
    message = ""
    if answer.status != 200 and answer.body:
        try:
            message = answer.json(_Error).message
        except Unavailable:
            message = ""
    return f"status {answer.status} {message[:200]}".rstrip()
