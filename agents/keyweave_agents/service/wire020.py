"""Messages of ETSI GS QKD 020 V1.1.1 that come in; what we write stands in `write020`.

Rule of this file: pure, and strict in what it takes: a member that the standard does not name is refused by
name, as are values outside its bounds, because ignoring either could mean something else than was meant.
Base64 is the canonical one: padding never becomes key. Ids of keys come in either case and go in lower.
"""

import base64
import binascii
import re
from typing import Any

import msgspec

from keyweave_agents.keys.border.failures import Problem, Refusal
from keyweave_agents.keys.border.values import Acked, AckStatus, HandedKey, Offer, Parties, VoidOrder
from keyweave_agents.material import Secret
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import SaeId, parse_uuid

PROBLEM_PREFIX = "https://qkd.etsi.org/gs020-interop-kms/"
JSON_TYPE = "application/json; charset=UTF-8"
PROBLEM_TYPE = "application/problem+json; charset=UTF-8"

VERSION = "v1"
SYNCHRONOUS = "synchronous_mode"
TTL = "E32473_ttl_s"
"""Our extension: for how many seconds, from when it is handed over, the sender keeps a key at most. Under the
enterprise number for documentation (RFC 5612), until the project has one of its own."""

ORIGIN = "E32473_origin"
"""Another one: what keys are made of (`KeyOrigin`), told where that is not the quantum layer alone."""

MOST_KEYS = 1024
MOST_CALLBACK = 1024
MOST_MESSAGE = 4096
MOST_MEMBERS = 1024
MOST_TTL_S = 10_000_000

_SAE_ID = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,64}\Z")
_EXTENSION = re.compile(r"E[1-9][0-9]{0,9}_.+\Z", re.DOTALL)
_NAMED = re.compile(r"- at `\$\.?([^`]*)`")

_Extension = dict[str, msgspec.Raw]


class _Key(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    key_id: str
    value: str
    extension: _Extension | msgspec.UnsetType = msgspec.UNSET


class _Keys(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    keys: tuple[_Key, ...]
    initiator_sae_id: str
    target_sae_ids: tuple[str, ...]
    ack_callback_url: str | msgspec.UnsetType = msgspec.UNSET
    extension_mandatory: _Extension | msgspec.UnsetType = msgspec.UNSET
    extension_optional: _Extension | msgspec.UnsetType = msgspec.UNSET


class _KeyId(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    key_id: str
    extension: _Extension | msgspec.UnsetType = msgspec.UNSET


class _Ack(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    key_id_container: tuple[_KeyId, ...]
    ack_status: str
    initiator_sae_id: str
    target_sae_ids: tuple[str, ...]
    message: str | msgspec.UnsetType = msgspec.UNSET
    extension: _Extension | msgspec.UnsetType = msgspec.UNSET


class _Void(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    key_ids: tuple[str, ...]
    initiator_sae_id: str
    target_sae_ids: tuple[str, ...]
    ack_callback_url: str | msgspec.UnsetType = msgspec.UNSET
    extension: _Extension | msgspec.UnsetType = msgspec.UNSET
    all_confirmation: bool = False


class _Problem(msgspec.Struct, frozen=True):
    type: str
    status: int = 0
    title: str = ""
    details: dict[str, str] = {}


_keys_decoder = msgspec.json.Decoder(_Keys)
_acks_decoder = msgspec.json.Decoder(tuple[_Ack, ...])
_void_decoder = msgspec.json.Decoder(_Void)
_problem_decoder = msgspec.json.Decoder(_Problem)
_encoder = msgspec.json.Encoder()


def read_keys(body: bytes, *, most_keys: int, min_bits: int, max_bits: int) -> Offer:
    """`ext_key_container`. Raises Refusal: INVALID_PARAMETER, MISSING_PARAMETERS, UNSUPPORTED_EXTENSION."""
    said: _Keys = _decode(_keys_decoder, body, Problem.INVALID_PARAMETER)
    if not said.keys:
        raise _bad("keys", "no key")
    if len(said.keys) > most_keys:
        raise _bad("keys", f"{len(said.keys)} keys; at most {most_keys} a request")
    parties = _parties(said.initiator_sae_id, said.target_sae_ids)
    callback = _callback(said.ack_callback_url)
    mandatory = _extension(said.extension_mandatory, "extension_mandatory")
    optional = _extension(said.extension_optional, "extension_optional")
    unsupported = [name for name in mandatory if name not in (TTL, ORIGIN)]
    if unsupported:
        raise Refusal(
            Problem.UNSUPPORTED_EXTENSION,
            "a mandatory extension is not supported here",
            {"unsupported_mandatory_extension": ", ".join(unsupported)[:1000]},
        )
    known = {**optional, **mandatory}
    ttl_s, origin = _ttl(known.get(TTL)), _origin(known.get(ORIGIN))
    keys: dict[str, HandedKey] = {}
    for place, key in enumerate(said.keys):
        where = f"keys[{place}]"
        _extension(key.extension, f"{where}.extension")
        key_id = _key_id(key.key_id, f"{where}.key_id", Problem.INVALID_PARAMETER)
        if key_id in keys:
            raise _bad(f"{where}.key_id", f"{key_id} stands in this request twice")
        keys[key_id] = HandedKey(key_id=key_id, value=_value(key.value, f"{where}.value", min_bits, max_bits))
    others = {name: value for name, value in optional.items() if name not in (TTL, ORIGIN)}
    return Offer(
        keys=tuple(keys.values()),
        parties=parties,
        callback=callback,
        ttl_s=ttl_s,
        optional=_encoder.encode(others) if others else b"",
        origin=origin,
    )


def read_acks(body: bytes) -> tuple[Acked, ...]:
    """`ack_containers`, a top-level array. Raises Refusal: ACK_NOT_UNDERSTOOD."""
    problem = Problem.ACK_NOT_UNDERSTOOD
    said: tuple[_Ack, ...] = _decode(_acks_decoder, body, problem)
    if len(said) > MOST_KEYS:
        raise _bad("ack_containers", f"{len(said)} of them; at most {MOST_KEYS}", problem)
    acks = []
    for place, ack in enumerate(said):
        where = f"[{place}]"
        if len(ack.key_id_container) > MOST_KEYS:
            raise _bad(f"{where}.key_id_container", f"more than {MOST_KEYS} ids", problem)
        try:
            status = AckStatus(ack.ack_status)
        except ValueError as error:
            raise _bad(f"{where}.ack_status", f"{ack.ack_status[:40]!r} is none", problem) from error
        message = "" if ack.message is msgspec.UNSET else ack.message
        if len(message) > MOST_MESSAGE:
            raise _bad(f"{where}.message", f"more than {MOST_MESSAGE} characters", problem)
        _extension(ack.extension, f"{where}.extension", problem)
        ids = []
        for index, each in enumerate(ack.key_id_container):
            name = f"{where}.key_id_container[{index}]"
            _extension(each.extension, f"{name}.extension", problem)
            ids.append(_key_id(each.key_id, f"{name}.key_id", problem))
        acks.append(
            Acked(
                key_ids=tuple(ids),
                status=status,
                parties=_parties(ack.initiator_sae_id, ack.target_sae_ids, problem),
                message=message,
            )
        )
    return tuple(acks)


def read_void(body: bytes, *, most_keys: int) -> VoidOrder:
    """`void_container`. Raises Refusal: VOID_NOT_UNDERSTOOD, NO_IDS_OR_CONFIRMATION, MISSING_PARAMETERS."""
    problem = Problem.VOID_NOT_UNDERSTOOD
    said: _Void = _decode(_void_decoder, body, problem)
    parties = _parties(said.initiator_sae_id, said.target_sae_ids, problem)
    if len(said.key_ids) > most_keys:
        raise _bad("key_ids", f"{len(said.key_ids)} ids; at most {most_keys} a request", problem)
    if not said.key_ids and not said.all_confirmation:
        raise Refusal(
            Problem.NO_IDS_OR_CONFIRMATION,
            "no key_ids, and all_confirmation is not true",
            {"no_all_confirmation": "all_confirmation", "no_key_ids_or_confirmation": "key_ids"},
        )
    _extension(said.extension, "extension", problem)
    ids = dict.fromkeys(_key_id(text, f"key_ids[{at}]", problem) for at, text in enumerate(said.key_ids))
    return VoidOrder(key_ids=tuple(ids), parties=parties, callback=_callback(said.ack_callback_url))


def read_problem(body: bytes) -> str:
    """What a peer's problem says, for the operator: its type's end, title and details, cut short."""
    try:
        said = _problem_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return "without a problem that can be read"
    details = ", ".join(f"{name}: {text}" for name, text in said.details.items())
    parts = (said.type.removeprefix(PROBLEM_PREFIX), said.title, details)
    return "; ".join(part for part in parts if part)[:300]


def _decode(decoder: "msgspec.json.Decoder[Any]", body: bytes, problem: Problem) -> Any:
    try:
        body.decode("utf-8")  # msgspec does not look into parts that it skips
        return decoder.decode(body)
    except UnicodeDecodeError as error:
        raise Refusal(problem, f"the body is not UTF-8 at byte {error.start}") from error
    except msgspec.ValidationError as error:
        text = str(error)
        found = _NAMED.search(text)
        where = found.group(1) if found else ""
        if "missing required field" in text:
            name = text.split("`")[1]
            missing = Problem.MISSING_PARAMETERS if problem is Problem.INVALID_PARAMETER else problem
            raise Refusal(missing, text[:200], {"missing": f"{where}.{name}".lstrip(".")}) from error
        raise Refusal(problem, text[:200], {where or "body": text[:200]}) from error
    except msgspec.DecodeError as error:
        raise Refusal(problem, f"the body is no JSON: {error}"[:200]) from error
    except RecursionError as error:
        raise Refusal(problem, "the body is nested too deeply") from error


def _bad(where: str, why: str, problem: Problem = Problem.INVALID_PARAMETER) -> Refusal:
    return Refusal(problem, f"{where}: {why}"[:1000], {where: why[:1000]})


def _parties(
    initiator: str, targets: tuple[str, ...], problem: Problem = Problem.INVALID_PARAMETER
) -> Parties:
    if not targets:
        raise _bad("target_sae_ids", "no target", problem)
    if len(targets) > MOST_MEMBERS:
        raise _bad("target_sae_ids", f"more than {MOST_MEMBERS} targets", problem)
    for name, text in (("initiator_sae_id", initiator), *(("target_sae_ids", each) for each in targets)):
        if not _SAE_ID.match(text):
            raise _bad(name, f"{text[:70]!r} is no SAE id (1..64 characters of RFC 3986)", problem)
    if len(set(targets)) < len(targets) or initiator in targets:
        raise _bad("target_sae_ids", "one application stands there twice", problem)
    return Parties(initiator=SaeId(initiator), targets=tuple(SaeId(each) for each in targets))


def _callback(text: str | msgspec.UnsetType) -> str | None:
    if text is msgspec.UNSET:
        return None
    if not 1 <= len(text) <= MOST_CALLBACK or not text.startswith("https://"):
        raise _bad("ack_callback_url", f"want an absolute https URL of at most {MOST_CALLBACK} characters")
    return text


def _extension(
    said: _Extension | msgspec.UnsetType, where: str, problem: Problem = Problem.INVALID_PARAMETER
) -> _Extension:
    if said is msgspec.UNSET:
        return {}
    if not 1 <= len(said) <= MOST_MEMBERS:
        raise _bad(where, f"{len(said)} members; want 1..{MOST_MEMBERS}", problem)
    for name in said:
        if not _EXTENSION.match(name):
            raise _bad(where, f"{name[:60]!r} does not begin with E, an enterprise number and _", problem)
    return said


def _ttl(raw: msgspec.Raw | None) -> float | None:
    if raw is None:
        return None
    try:
        ttl_s = msgspec.json.decode(raw, type=int)
    except msgspec.DecodeError as error:
        raise _bad(TTL, "want a whole number of seconds") from error
    if not 1 <= ttl_s <= MOST_TTL_S:
        raise _bad(TTL, f"want 1..{MOST_TTL_S} s")
    return float(ttl_s)


def _origin(raw: msgspec.Raw | None) -> KeyOrigin:
    if raw is None:
        return KeyOrigin.QKD
    try:
        return msgspec.json.decode(raw, type=KeyOrigin)
    except msgspec.DecodeError as error:
        raise _bad(ORIGIN, f"want one of {', '.join(KeyOrigin)}") from error


def _key_id(text: str, where: str, problem: Problem) -> str:
    try:
        if len(text) != 36:
            raise ValueError(text)
        return parse_uuid(text)
    except ValueError as error:
        raise _bad(where, f"not a UUID: {text[:60]!r}", problem) from error


def _value(text: str, where: str, min_bits: int, max_bits: int) -> Secret:
    """Only the canonical encoding: other texts of the same bytes would hide bits beside the padding."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _bad(where, "not base64") from error
    if binascii.b2a_base64(raw, newline=False) != text.encode("ascii"):
        raise _bad(where, "not canonical base64 (bits beside the padding)")
    if not min_bits <= 8 * len(raw) <= max_bits:
        raise _bad(where, f"a key of {8 * len(raw)} bit; taken are {min_bits}..{max_bits}")
    return Secret(raw)
