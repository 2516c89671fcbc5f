"""What answers and acknowledgements of ETSI GS QKD 020 V1.1.1 are made of, read without believing any of it.

Rule of this file: what is merely of the wrong form is noted as a flaw and read all the same, so that one
fault of a key manager fails the one check that is about it.
"""

import re
from dataclasses import dataclass
from typing import Any

from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.https import Reply

RELAYED, FAILED, VOIDED = "relayed", "failed", "voided"
FAILED_TO_VOID, NOT_PRESENT = "failed to void", "key not present"
STATUSES = (RELAYED, FAILED, VOIDED, FAILED_TO_VOID, NOT_PRESENT)
ACK_MEMBERS = ("key_id_container", "ack_status", "initiator_sae_id", "target_sae_ids", "message", "extension")

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What became of one key."""

    key_id: str
    status: str
    initiator: str
    targets: tuple[str, ...]


def acks_of(value: Any) -> tuple[list[Ack], list[str]]:
    """The acknowledgements of `ack_containers` (a top-level array) and what is wrong with their form."""
    flaws = []
    if isinstance(value, dict):
        flaws.append("an object at the top, not an array")
        value = [value]
    if not isinstance(value, list):
        raise Failed("the acknowledgement is neither an array nor an object")
    found = []
    for one in value[:1024]:
        if not isinstance(one, dict):
            raise Failed("an ack_container is no object")
        flaws += [f"member {name[:40]!r}" for name in one if name not in ACK_MEMBERS]
        targets = one.get("target_sae_ids")
        status, initiator = one.get("ack_status"), one.get("initiator_sae_id")
        ids = one.get("key_id_container")
        if not isinstance(targets, list) or not all(isinstance(t, str) for t in targets):
            flaws.append("target_sae_ids is no array of strings")
            targets = []
        if status not in STATUSES:
            flaws.append(f"ack_status {str(status)[:40]!r}")
        if not isinstance(initiator, str):
            flaws.append("initiator_sae_id is no string")
        if not isinstance(ids, list) or not all(isinstance(i, dict) and "key_id" in i for i in ids):
            flaws.append("key_id_container is no array of objects with key_id")
            ids = []
        found += [
            Ack(
                key_id=str(each["key_id"]).casefold(),
                status=str(status),
                initiator=str(initiator),
                targets=tuple(targets),
            )
            for each in ids[:1024]
        ]
    return found, flaws


def flaw_of_problem(reply: Reply) -> str:
    """What problem_details lacks; '' when it is whole."""
    try:
        said = reply.object()
    except Failed as failure:
        return str(failure)
    kind = said.get("type")
    if not isinstance(kind, str) or not _URI.match(kind):
        return "`type` is no URI"
    if "detail" in said:
        return "`detail` instead of `details`"
    if said.get("status", reply.status) != reply.status:
        return "`status` is not the one of the answer"
    if not isinstance(said.get("title", ""), str):
        return "`title` is no string"
    details = said.get("details", {})
    if not isinstance(details, dict) or not all(isinstance(text, str) for text in details.values()):
        return "`details` is no object of strings"
    return ""


def details_of(reply: Reply) -> dict[str, str]:
    """`details` of a problem, empty when there are none."""
    try:
        details = reply.object().get("details")
    except Failed:
        return {}
    return {str(k): str(v) for k, v in details.items()} if isinstance(details, dict) else {}


def told(reply: Reply) -> str:
    """An answer in a few words: status, end of the problem's type, names of the details."""
    if reply.status < 400 or not reply.body:
        return f"status {reply.status}"
    try:
        kind = reply.object().get("type")
    except Failed:
        return f"status {reply.status}"
    ending = kind.rpartition("/")[2][:80] if isinstance(kind, str) else ""
    names = ", ".join(name[:40] for name in list(details_of(reply))[:5])
    return f"status {reply.status} {ending} {names}".rstrip()
