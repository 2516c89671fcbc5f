# ruff: noqa: N815 - members are spelled as the standard spells them
"""Messages of ETSI GS QKD 014 V1.1.1: what a request says, and the bytes of each answer.

Rule of this file: pure, and nothing is guessed. A member or parameter that the standard does not name is
refused by name: ignoring `sise` would hand out keys of another size than the application believes. The
fixed message texts of the standard stand here once, letter by letter, because clients compare them.
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.service.callers import is_sae_id
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import SaeId, parse_uuid

SIZE_NOT_BYTES = "size shall be a multiple of 8"
MANDATORY_UNSUPPORTED = "not all extension_mandatory parameters are supported"
KEYS_NOT_FOUND = "one or more keys specified are not found on KME"
ACCESS_ERROR = "key data access error"

RELAY_LINK = "keyweave_relay_link"
"""Our one optional extension: true asks for the virtual link of each key, in its `key_extension`."""

RELAY_LINKS = "keyweave_relay_links"
"""Beside it, of a key that came in shares: the virtual links of all of them."""

_NUMBER = re.compile(r"[0-9]{1,9}\Z")
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
    """How many keys of how many bits, within the limits of `status`.

    `with_link`: the caller wants to know the virtual link of each key (optional extension). `also`: further
    slaves of the same keys.
    """

    number: int
    size_bits: int
    with_link: bool = False
    also: tuple[SaeId, ...] = ()


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


class Status(msgspec.Struct, frozen=True):
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
    wanted = _decode(_enc_decoder, body)
    also = _slaves(wanted.additional_slave_SAE_IDs, settings.max_additional_slaves)
    unsupported = [name for extension in wanted.extension_mandatory for name in extension]
    if unsupported:
        raise BadRequest(
            MANDATORY_UNSUPPORTED,
            [{"extension_mandatory_unsupported": name[:100]} for name in unsupported[:20]],
        )
    size_bits = settings.default_key_bits if wanted.size is msgspec.UNSET else wanted.size
    with_link = any(extension.get(RELAY_LINK) is True for extension in wanted.extension_optional)
    return _checked(wanted.number, size_bits, settings, with_link=with_link, also=also)


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
    with_link: bool = False,
    also: tuple[SaeId, ...] = (),
) -> KeyRequest:
    if not 1 <= number <= settings.max_keys_per_request:
        raise BadRequest(f"number: {_short(number)} is not within 1..{settings.max_keys_per_request}")
    if size_bits % 8:
        raise BadRequest(SIZE_NOT_BYTES)
    if not settings.min_key_bits <= size_bits <= settings.max_key_bits:
        raise BadRequest(
            f"size: {_short(size_bits)} bits are not within {settings.min_key_bits}..{settings.max_key_bits}"
        )
    return KeyRequest(number=number, size_bits=size_bits, with_link=with_link, also=also)


def _short(number: int) -> str:
    return str(number) if abs(number) < 10**18 else "a number of more than 18 digits"


def key_ids_of_body(body: bytes, settings: ServiceSettings) -> tuple[str, ...]:
    """`dec_keys` by POST, clause 6.4: canonical ids in the order asked. Raises BadRequest."""
    wanted = _decode(_dec_decoder, body)
    return _checked_ids([entry.key_ID for entry in wanted.key_IDs], settings)


def key_ids_of_query(query: bytes, settings: ServiceSettings) -> tuple[str, ...]:
    """`dec_keys` by GET: exactly one `key_ID`. Raises BadRequest."""
    return _checked_ids([text for _, text in _parameters(query, known=("key_ID",))], settings)


def _checked_ids(texts: Sequence[str], settings: ServiceSettings) -> tuple[str, ...]:
    if not texts:
        raise BadRequest("key_ID: at least one is wanted")
    if len(texts) > settings.max_keys_per_request:
        raise BadRequest(f"key_IDs: {len(texts)} entries, at most {settings.max_keys_per_request} a request")
    ids: dict[str, None] = {}
    for text in texts:
        try:
            key_id = parse_uuid(text)
        except ValueError as error:
            # No key of ours has such an id, so it is also not found: the text that clients match on.
            raise BadRequest(KEYS_NOT_FOUND, [{"key_ID": f"not a UUID: {text[:60]!r}"}]) from error
        if key_id in ids:
            raise BadRequest(f"key_IDs: {key_id} is asked for twice")
        ids[key_id] = None
    return tuple(ids)


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


def key_container(keys: Sequence[SuppliedKey], *, with_link: bool = False) -> bytes:
    """The key container of clause 6.3. Ids are UUID text and keys base64, so nothing wants escaping."""
    return b'{"keys":[%b]}' % b",".join(
        b'{"key_ID":"%b","key":"%b"%b}'
        % (
            entry.key_id.encode("ascii"),
            binascii.b2a_base64(entry.key.reveal(), newline=False),
            _link_extension(entry) if with_link else b"",
        )
        for entry in keys
    )


def _link_extension(entry: SuppliedKey) -> bytes:
    if entry.link_id is None:
        return b""
    booked = b'"%b":"%b"' % (RELAY_LINK.encode(), entry.link_id.encode("ascii"))
    if len(entry.links) > 1:
        names = b",".join(b'"%b"' % link_id.encode("ascii") for link_id in entry.links)
        booked += b',"%b":[%b]' % (RELAY_LINKS.encode(), names)
    return b',"key_extension":{%b}' % booked


def status_body(status: Status) -> bytes:
    """The answer of `status` as JSON."""
    return _encoder.encode(status)


def error_body(message: str, details: Details = ()) -> bytes:
    """The error object of clause 6.5."""
    return _encoder.encode(_Error(message, tuple(details)))
