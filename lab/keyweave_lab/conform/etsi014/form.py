"""What answers of ETSI GS QKD 014 V1.1.1 are made of, read without believing any of it.

Rule of this file: a key becomes a salted digest where it is read; nothing else of it is kept, and no text
that stood where an id or a key belongs is ever told (a server may have confused the two). What is merely of
the wrong form is noted as a flaw and read all the same, so that one fault of a server fails the one check
that is about it.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.https import Reply

NOT_BYTES = "size shall be a multiple of 8"
MANDATORY_UNKNOWN = "not all extension_mandatory parameters are supported"
MANDATORY_UNMET = "not all extension_mandatory request options could be met"
OPTIONAL_UNHANDLED = "not all extension_optional request options handled"
NOT_FOUND = "one or more keys specified are not found on KME"

STATUS_MEMBERS: dict[str, type] = {
    "source_KME_ID": str,
    "target_KME_ID": str,
    "master_SAE_ID": str,
    "slave_SAE_ID": str,
    "key_size": int,
    "stored_key_count": int,
    "max_key_count": int,
    "max_key_per_request": int,
    "max_key_size": int,
    "min_key_size": int,
    "max_SAE_ID_count": int,
}

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key as the suite keeps it: its id, its length, and a digest that means nothing outside this run."""

    id: str
    bits: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A key container (clause 6.3). Flaws: 'members', 'uuid', 'base64', each with what is wrong."""

    keys: tuple[Key, ...]
    flaws: tuple[tuple[str, str], ...]

    @property
    def by_id(self) -> dict[str, bytes]:
        """Digests by id, ids in lower case."""
        return {key.id.casefold(): key.digest for key in self.keys}


def container_of(reply: Reply, salt: bytes) -> Container:
    """The key container of a 200 answer; Failed when nothing can be read out of it."""
    whole = reply.object()
    entries = whole.get("keys", whole.get("Keys"))
    if not isinstance(entries, list):
        raise Failed("the answer has no array `keys`")
    flaws: list[tuple[str, str]] = [
        ("members", f"member {name[:40]!r} of the container")
        for name in whole
        if name not in ("keys", "key_container_extension")
    ]
    if not isinstance(whole.get("key_container_extension", {}), dict):
        flaws.append(("members", "key_container_extension is no object"))
    keys = []
    for entry in entries:
        key, found = _key(entry, salt)
        keys.append(key)
        flaws += found
    return Container(keys=tuple(keys), flaws=tuple(flaws))


def _key(entry: Any, salt: bytes) -> tuple[Key, list[tuple[str, str]]]:
    if not isinstance(entry, dict):
        raise Failed("an entry of `keys` is no object")
    ident, text = entry.get("key_ID"), entry.get("key")
    if not isinstance(ident, str) or not isinstance(text, str):
        raise Failed("an entry of `keys` lacks `key_ID` or `key` as strings")
    flaws = [
        ("members", f"member {name[:40]!r} of a key")
        for name in entry
        if name not in ("key_ID", "key", "key_ID_extension", "key_extension")
    ]
    flaws += [
        ("members", f"{name} is no object")
        for name in ("key_ID_extension", "key_extension")
        if not isinstance(entry.get(name, {}), dict)
    ]
    if not is_uuid(ident):
        flaws.append(("uuid", f"a key_ID of {len(ident)} characters is no UUID"))
    if not _BASE64.match(text):
        flaws.append(("base64", f"a key of {len(text)} characters is not base64 of RFC 4648 clause 4"))
        text = text.strip().replace("-", "+").replace("_", "/").rstrip("=")
        text += "=" * (-len(text) % 4)
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # `from None`: the text of the error may hold what stood there.
        raise Failed(f"a key of {len(text)} characters cannot be read as base64") from None
    digest = hashlib.blake2b(content, key=salt, digest_size=16).digest()
    return Key(id=ident, bits=8 * len(content), digest=digest), flaws


def is_uuid(text: str) -> bool:
    """Whether this is the text of a UUID, in whatever case (RFC 9562 clause 4)."""
    return _UUID.match(text) is not None


def message_of(reply: Reply) -> str:
    """`message` of an error object, '' when there is none; of answers without keys only."""
    if not reply.body or reply.status == 200:
        return ""
    try:
        message = reply.object().get("message")
    except Failed:
        return ""
    return message if isinstance(message, str) else ""


def flaw_of_error(reply: Reply) -> str:
    """What an error object (clause 6.5) lacks; '' when it is whole."""
    try:
        said = reply.object()
    except Failed as failure:
        return str(failure)
    if not isinstance(said.get("message"), str):
        return "`message` is not there, or no string"
    details = said.get("details", [])
    if not isinstance(details, list):
        return f"`details` is {_kind(details)}, not an array of objects"
    if not all(isinstance(entry, dict) for entry in details):
        return "`details` holds something else than objects"
    others = [name[:40] for name in said if name not in ("message", "details")]
    return f"members {', '.join(others)}" if others else ""


def told(reply: Reply) -> str:
    """An answer in a few words, without anything of a body that may hold keys."""
    message = message_of(reply)
    return f"status {reply.status}" + (f" {message[:120]!r}" if message else "")


def _kind(value: Any) -> str:
    return {dict: "an object", str: "a string", list: "an array", type(None): "null"}.get(
        type(value), "a number"
    )
