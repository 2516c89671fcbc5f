"""Messages of ETSI GS QKD 020 V1.1.1 that we write; what is read stands in `wire020`.

Rule of this file: pure. What is written here is read back by `wire020` as the same values.
"""

import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from keyweave_agents.keys.border.values import Acked, Offer, Parties, VoidOrder
from keyweave_agents.service.wire020 import MOST_MESSAGE, ORIGIN, PROBLEM_PREFIX, SYNCHRONOUS, TTL, VERSION
from keyweave_core.model.application import KeyOrigin

_encoder = msgspec.json.Encoder()


def keys_body(offer: Offer, callback: str | None) -> bytes:
    """`ext_key_container`. Ids are UUID text and keys base64, so nothing of them wants escaping."""
    keys = b",".join(
        b'{"key_id":"%b","value":"%b"}'
        % (key.key_id.encode("ascii"), binascii.b2a_base64(key.value.reveal(), newline=False))
        for key in offer.keys
    )
    rest: dict[str, Any] = _said(offer.parties)
    if callback is not None:
        rest["ack_callback_url"] = callback
    optional: dict[str, Any] = (
        msgspec.json.decode(offer.optional, type=dict[str, msgspec.Raw]) if offer.optional else {}
    )
    if offer.ttl_s is not None:
        optional[TTL] = max(1, int(offer.ttl_s))
    if offer.origin is not KeyOrigin.QKD:
        optional[ORIGIN] = offer.origin
    if optional:
        rest["extension_optional"] = optional
    return b'{"keys":[%b],%b' % (keys, _encoder.encode(rest)[1:])


def acks_body(acks: Iterable[Acked]) -> bytes:
    """`ack_containers`."""
    return _encoder.encode(
        [
            {
                "key_id_container": [{"key_id": key_id} for key_id in acked.key_ids],
                "ack_status": acked.status.value,
                **_said(acked.parties),
                **({"message": acked.message[:MOST_MESSAGE]} if acked.message else {}),
            }
            for acked in acks
        ]
    )


def void_body(order: VoidOrder, callback: str | None) -> bytes:
    """`void_container`; without ids it is the confirmation that all are meant."""
    said: dict[str, Any] = {"key_ids": order.key_ids, **_said(order.parties)}
    if callback is not None:
        said["ack_callback_url"] = callback
    if not order.key_ids:
        said["all_confirmation"] = True
    return _encoder.encode(said)


def versions_body(*, synchronous: bool) -> bytes:
    """`version_container`."""
    capabilities = [SYNCHRONOUS] if synchronous else []
    return _encoder.encode({"versions": [VERSION], "capabilities": [*capabilities, TTL, ORIGIN]})


def problem_body(ending: str, status: int, title: str, details: Mapping[str, str]) -> bytes:
    """`problem_details`."""
    said: dict[str, Any] = {"type": PROBLEM_PREFIX + ending, "title": title[:1024], "status": status}
    if details:
        said["details"] = {name: text[:1024] for name, text in details.items()}
    return _encoder.encode(said)


def _said(parties: Parties) -> dict[str, Any]:
    return {"initiator_sae_id": parties.initiator, "target_sae_ids": parties.targets}
