# ruff: noqa: N815 - members are spelled as the standard spells them
"""Messages of ETSI GS QKD 014 V1.1.1: what a request says, and the bytes of each answer.

Rule of this file: pure, and nothing is guessed. A member or parameter that the standard does not name is
refused by name: ignoring `sise` would hand out keys of another size than the application believes. The
fixed message texts of the standard stand here once, letter by letter, because clients compare them.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from keyweave_agents.keys.relaying.frames import uuid_text
from keyweave_agents.service.callers import is_sae_id
from keyweave_agents.service.extensions014 import NO_WISHES, MandatoryFailed, Wishes, wishes_of
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import SaeId, parse_uuid

SIZE_NOT_BYTES = "size shall be a multiple of 8"
KEYS_NOT_FOUND = "one or more keys specified are not found on KME"
ACCESS_ERROR = "key data access error"

_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_IDS = re.compile(f"(?:{_UUID})+\\Z")
_ONE_ID = re.compile(f"key_ID={_UUID}\\Z".encode())
_ENC_MEMBERS = (
    b'"number"',
    b'"size"',
    b'"additional_slave_SAE_IDs"',
    b'"extension_mandatory"',
    b'"extension_optional"',
)
_MAX_QUERY_BYTES = 1024

Details = Sequence[dict[str, str]]


class BadRequest(InvalidInput):
    """The request is wrong (status 400): `message` and `details` go into the error object."""

    def __init__(self, message: str, details: Details = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """How many keys of how many bits, within the limits of `status`; `also`: further slaves of the same."""

    number: int
    size_bits: int
    also: tuple[SaeId, ...] = ()
    wishes: Wishes = NO_WISHES


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRequest:
    """Which stored keys: ids of 16 bytes each, in the order asked, every one once."""

    key_ids: bytes
    wishes: Wishes = NO_WISHES

    @property
    def texts(self) -> tuple[str, ...]:
        """The ids as canonical UUID text."""
        return tuple(uuid_text(self.key_ids[at : at + 16]) for at in range(0, len(self.key_ids), 16))


class _EncBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    number: int = 1
    size: int | msgspec.UnsetType = msgspec.UNSET
    additional_slave_SAE_IDs: tuple[str, ...] = ()
    extension_mandatory: tuple[dict[str, Any], ...] = ()
    extension_optional: tuple[dict[str, Any], ...] = ()


class _KeyId(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    key_ID: str
    key_ID_extension: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class _DecBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    key_IDs: tuple[_KeyId, ...]
    key_IDs_extension: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Status(msgspec.Struct):
    """The answer of `status`, clause 6.1, in the order of the standard."""

    source_KME_ID: str
    target_KME_ID: str
    master_SAE_ID: str
    slave_SAE_ID: str
    key_size: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size: int
    min_key_size: int
    max_SAE_ID_count: int
    status_extension: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class _Error(msgspec.Struct, frozen=True, omit_defaults=True):
    message: str
    details: Details = ()


_enc_decoder = msgspec.json.Decoder(_EncBody)
_dec_decoder = msgspec.json.Decoder(_DecBody)
_encoder = msgspec.json.Encoder()


def key_request_of_body(body: bytes, settings: ServiceSettings) -> KeyRequest:
    """`enc_keys` by POST, clause 6.2. An empty body is `{}`. Raises BadRequest."""
    if not body:
        return _checked(1, settings.default_key_bits, settings)
    wanted: _EncBody = _decode(_enc_decoder, body)
    wishes = NO_WISHES
    extended = wanted.extension_mandatory or wanted.extension_optional
    if extended or any(body.count(name) > 1 for name in _ENC_MEMBERS) or b"\\" in body:
        _refuse_repeats(body)
    also = _slaves(wanted.additional_slave_SAE_IDs, settings.max_additional_slaves)
    if extended:
        wishes = _wishes(wanted.extension_mandatory, wanted.extension_optional)
    size_bits = settings.default_key_bits if wanted.size is msgspec.UNSET else wanted.size
    return _checked(wanted.number, size_bits, settings, also=also, wishes=wishes)


def key_request_of_query(query: bytes, settings: ServiceSettings) -> KeyRequest:
    """`enc_keys` by GET: `number` and `size` only, each at most once. Raises BadRequest."""
    if not query:
        return _checked(1, settings.default_key_bits, settings)
    values = {"number": 1, "size": settings.default_key_bits}
    for name, text in _parameters(query, known=tuple(values)):
        if not _NUMBER.match(text):
            raise BadRequest(f"{name}: {text[:40]!r} is not an integer within 0..999999999")
        values[name] = int(text)
    return _checked(values["number"], values["size"], settings)


def _slaves(texts: tuple[str, ...], most: int) -> tuple[SaeId, ...]:
    if len(texts) > most:
        raise BadRequest(f"additional_slave_SAE_IDs: {len(texts)} entries, max_SAE_ID_count is {most}")
    for text in texts:
        if not is_sae_id(text):
            raise BadRequest(f"additional_slave_SAE_IDs: {text[:60]!r} is no SAE id")
    return tuple(SaeId(text) for text in texts)


def _checked(
    number: int,
    size_bits: int,
    settings: ServiceSettings,
    *,
    also: tuple[SaeId, ...] = (),
    wishes: Wishes = NO_WISHES,
) -> KeyRequest:
    if not 1 <= number <= settings.max_keys_per_request:
        raise BadRequest(f"number: {_short(number)} is not within 1..{settings.max_keys_per_request}")
    if size_bits % 8:
        raise BadRequest(SIZE_NOT_BYTES)
    if not settings.min_key_bits <= size_bits <= settings.max_key_bits:
        raise BadRequest(
            f"size: {_short(size_bits)} bits are not within {settings.min_key_bits}..{settings.max_key_bits}"
        )
    return KeyRequest(number=number, size_bits=size_bits, also=also, wishes=wishes)


def _short(number: int) -> str:
    return str(number) if abs(number) < 10**18 else "a number of more than 18 digits"


def key_ids_of_body(body: bytes, settings: ServiceSettings) -> IdRequest:
    """`dec_keys` by POST, clause 6.4. Raises BadRequest."""
    wanted: _DecBody = _decode(_dec_decoder, body)
    entries = wanted.key_IDs
    extended = wanted.key_IDs_extension is not msgspec.UNSET
    if (
        extended
        or body.count(b'"key_ID"') != len(entries)
        or body.count(b'"key_IDs"') > 1
        or b"_extension" in body
        or b"\\" in body
    ):
        _refuse_repeats(body)
    wishes = NO_WISHES
    if isinstance(wanted.key_IDs_extension, dict):
        wishes = _wishes((), (wanted.key_IDs_extension,))
    return IdRequest(key_ids=_ids([entry.key_ID for entry in entries], settings), wishes=wishes)


def key_ids_of_query(query: bytes, settings: ServiceSettings) -> IdRequest:
    """`dec_keys` by GET: exactly one `key_ID`. Raises BadRequest."""
    if _ONE_ID.match(query):
        return IdRequest(key_ids=bytes.fromhex(query[7:].decode("ascii").replace("-", "")))
    return IdRequest(key_ids=_ids([text for _, text in _parameters(query, known=("key_ID",))], settings))


def _ids(texts: Sequence[str], settings: ServiceSettings) -> bytes:
    if not texts:
        raise BadRequest("key_ID: at least one is wanted")
    if len(texts) > settings.max_keys_per_request:
        raise BadRequest(f"key_IDs: {len(texts)} entries, at most {settings.max_keys_per_request} a request")
    joined = "".join(texts)
    # All at once; in trouble one by one, to say which.
    if _IDS.match(joined) and len(joined) == 36 * len(texts) and all(len(text) == 36 for text in texts):
        key_ids = bytes.fromhex(joined.replace("-", ""))
        if len({key_ids[at : at + 16] for at in range(0, len(key_ids), 16)}) == len(texts):
            return key_ids
    seen: dict[bytes, None] = {}
    for text in texts:
        try:
            key_id = parse_uuid(text)
        except ValueError as error:
            # No key of ours has such an id, so it is also not found: the text that clients match on.
            raise BadRequest(KEYS_NOT_FOUND, [{"key_ID": f"not a UUID: {text[:60]!r}"}]) from error
        content = bytes.fromhex(key_id.replace("-", ""))
        if content in seen:
            raise BadRequest(f"key_IDs: {key_id} is asked for twice")
        seen[content] = None
    return b"".join(seen)


def _wishes(mandatory: Iterable[dict[str, Any]], optional: Iterable[dict[str, Any]]) -> Wishes:
    try:
        return wishes_of(mandatory, optional)
    except MandatoryFailed as failure:
        raise BadRequest(failure.message, failure.details) from failure


def _parameters(query: bytes, *, known: tuple[str, ...]) -> list[tuple[str, str]]:
    if len(query) > _MAX_QUERY_BYTES:
        raise BadRequest(f"the query is longer than {_MAX_QUERY_BYTES} bytes; use POST")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise BadRequest("the query is not URL-encoded UTF-8") from error
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in known:
            raise BadRequest(f"query parameter {name[:60]!r}: GET takes {' and '.join(known)} only; use POST")
        if name in seen:
            raise BadRequest(f"query parameter {name} is given twice")
        seen.add(name)
    return pairs


def _decode(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        body.decode("utf-8")  # msgspec does not look into parts that it skips
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8 at byte {error.start}") from error
    except msgspec.DecodeError as error:  # its subclass ValidationError names the member
        raise BadRequest(f"the body is not what this method takes: {error}") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error


def _refuse_repeats(body: bytes) -> None:
    """Refuse an object with two members of one name: which of them counts would be a guess (RFC 8259 4)."""
    try:
        json.loads(body, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"the body has the member {twice[:60]!r} twice in one object")
    return made


def status_body(status: Status) -> bytes:
    """The answer of `status` as JSON."""
    return _encoder.encode(status)


def error_body(message: str, details: Details = ()) -> bytes:
    """The error object of clause 6.5."""
    return _encoder.encode(_Error(message, tuple(details)))
