"""Identifiers of a QKD network.

Rule of this file: an id is canonical or it does not exist. ETSI GS QKD 015 ids are `yang:uuid`, whose
letters may be of either case on the wire; two spellings of one id must never become two nodes, so every
id is lower-cased where it enters (`parse_uuid`) and compared as plain text from there on.
"""

import re
from typing import NewType

NodeId = NewType("NodeId", str)
"""`qkdn_id`: a node, network wide. Lower-case UUID text."""

LinkId = NewType("LinkId", str)
"""`qkdl_id`: a key association link, physical or virtual; the same at both ends and on every hop."""

AppId = NewType("AppId", str)
"""`app_id`: one association of applications that share keys."""

InterfaceId = NewType("InterfaceId", int)
"""`qkdi_id`: a QKD module inside its node, 0..2**32-1."""

SaeId = NewType("SaeId", str)
"""An application (ETSI GS QKD 014 SAE ID); free text, compared exactly. `server_app_id` in 015."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def parse_uuid(text: str) -> str:
    """Return the canonical (lower-case) form of a UUID in text.

    Raises ValueError naming the text (cut at 60 characters) when it is no UUID (RFC 6991 `yang:uuid`).
    """
    canonical = text.strip().lower()
    if not _UUID.match(canonical):
        raise ValueError(f"not a UUID: {text[:60]!r}")
    return canonical


def node_id(text: str) -> NodeId:
    """Parse a node id; errors as `parse_uuid`."""
    return NodeId(parse_uuid(text))


def link_id(text: str) -> LinkId:
    """Parse a link id; errors as `parse_uuid`."""
    return LinkId(parse_uuid(text))


def app_id(text: str) -> AppId:
    """Parse an application id; errors as `parse_uuid`."""
    return AppId(parse_uuid(text))
