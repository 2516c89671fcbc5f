"""Paths of ETSI GS QKD 014, and which status every refusal and failure has.

Rule of this file: pure. An error that says what the caller did wrong, or that the network has no key now, is
told; a fault of ours is not explained to callers, only to the log.
"""

from functools import lru_cache
from typing import Literal
from urllib.parse import unquote_to_bytes

from keyweave_agents.keys.failures import KeysNotFound, NotEntitled, RateExceeded
from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.callers import is_sae_id
from keyweave_agents.service.extensions014 import MandatoryFailed
from keyweave_core.errors import DeadlineExceeded, Exhausted, InvalidInput, Refused, Unavailable
from keyweave_core.model.ids import SaeId

Method = Literal["status", "enc_keys", "dec_keys"]

VERBS: dict[str, tuple[str, ...]] = {
    "status": ("GET",),
    "enc_keys": ("GET", "POST"),
    "dec_keys": ("GET", "POST"),
}
"""What each method of the standard takes."""

Headers = tuple[tuple[bytes, bytes], ...]

RETRY: Headers = ((b"retry-after", b"1"),)
"""With every 503 that says "not now": seconds until it is worth asking again (RFC 9110 section 10.2.3)."""

_LONGEST_KNOWN = 256

NOT_AUTHORISED = 401
UNAVAILABLE = 503


class Answer(Exception):
    """Leave the work with this answer (used for everything that is not 200)."""

    def __init__(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def error_answer(
    status: int, message: str, details: wire.Details = (), *headers: tuple[bytes, bytes]
) -> Answer:
    """An answer with an error object."""
    return Answer(status, wire.error_body(message, details), *headers)


def route(raw_path: bytes) -> tuple[Method, SaeId] | None:
    """The method and the other application that a path names; None when there is no such path.

    `raw_path` is what stood in the request line, so that an SAE id may contain an encoded `/`. Raises
    BadRequest when the id is no URL-encoded UTF-8 or no possible id.
    """
    # Long paths are not remembered: what clients can make us keep is bounded.
    return _known_route(raw_path) if len(raw_path) <= _LONGEST_KNOWN else _route(raw_path)


def _route(raw_path: bytes) -> tuple[Method, SaeId] | None:
    parts = raw_path.split(b"/")
    if len(parts) != 6 or parts[:4] != [b"", b"api", b"v1", b"keys"] or not parts[4]:
        return None
    method = parts[5].decode("latin-1")
    if method not in VERBS:
        return None
    try:
        sae = unquote_to_bytes(parts[4]).decode("utf-8")
    except UnicodeDecodeError as error:
        raise wire.BadRequest("the SAE id in the path is not URL-encoded UTF-8") from error
    if not is_sae_id(sae):
        raise wire.BadRequest("the SAE id in the path is too long or not printable")
    return method, SaeId(sae)  # type: ignore[return-value]  # `method` is a key of VERBS


_known_route = lru_cache(maxsize=4096)(_route)


def explain(error: Exception, *, wait_s: float) -> tuple[int, bytes, Headers]:
    """Status, body and further header fields for what the key manager (or the reading of a request) raised.

    `wait_s` is how long the request could wait. Everything unknown is 503 with the standard's own text.
    """
    match error:
        case wire.BadRequest() | MandatoryFailed():
            return 400, wire.error_body(error.message, error.details), ()
        case NotEntitled():
            return NOT_AUTHORISED, b"", ()
        case KeysNotFound():
            details = [{"key_ID": key_id} for key_id in error.key_ids]
            return 400, wire.error_body(wire.KEYS_NOT_FOUND, details), ()
        case Refused():
            details = [{"reason": reason} for reason in error.reasons]
            return 400, wire.error_body("the request was refused", details), ()
        case InvalidInput():
            return 400, wire.error_body(str(error)), ()
        case DeadlineExceeded():
            message = f"no key became available within {wait_s:g} s"
        case RateExceeded():
            message = "above the highest key rate of this association"
        case Exhausted():
            message = "no key available"
        case Unavailable():
            message = "the key manager cannot do this now"
        case _:
            return UNAVAILABLE, wire.error_body(wire.ACCESS_ERROR), ()
    return UNAVAILABLE, wire.error_body(message, [{"reason": str(error)}] if str(error) else ()), RETRY
