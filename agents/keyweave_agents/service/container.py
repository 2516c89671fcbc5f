"""Key containers of ETSI GS QKD 014 (clause 6.3), straight from bundles of keys to bytes: the hot path.

Rule of this file: ids are UUID text and keys base64, so nothing wants escaping; a key costs half a
microsecond. (Laying all entries out at once and filling them column by column was tried: twice as fast for
hundreds of short keys, slower for few and for long ones.)
"""

from binascii import b2a_base64
from collections.abc import Sequence

import msgspec

from keyweave_agents.keys.plan import KeyBundle
from keyweave_core.model.application import KeyOrigin

RELAY_LINK = "keyweave_relay_link"
"""In `key_extension`: the virtual link under which a key is booked."""

RELAY_LINKS = "keyweave_relay_links"
"""Beside it, of a key that came in shares: the virtual links of all of them."""

ORIGIN = "keyweave_origin"
"""In `key_extension`: what a key was made of; always there for one that is no pure QKD key."""


Piece = tuple[KeyBundle, int, int]
"""Some keys of a bundle: the first, and how many."""


def key_container(
    bundles: Sequence[KeyBundle], *, tell_link: bool = False, tell_origin: bool = False
) -> bytes:
    """The container with all keys of the bundles, in order. The bundles keep their keys: wipe them."""
    entries = [_entries((bundle, 0, bundle.count), tell_link, tell_origin) for bundle in bundles]
    return f'{{"keys":[{",".join(entries)}]}}'.encode()


def container_of(pieces: Sequence[Piece]) -> bytes:
    """The same, of pieces."""
    if len(pieces) == 1:
        return f'{{"keys":[{_entries(pieces[0], False, False)}]}}'.encode()
    return f'{{"keys":[{",".join(_entries(piece, False, False) for piece in pieces)}]}}'.encode()


def _entries(piece: Piece, tell_link: bool, tell_origin: bool) -> str:
    bundle, first, count = piece
    extension = ""
    if tell_link or tell_origin or bundle.origin is not KeyOrigin.QKD:
        extension = _extension(bundle, tell_link, tell_origin)
    key_ids = bundle.key_ids
    size = len(bundle.keys) // (len(key_ids) // 16)
    entries = []
    with bundle.keys.reveal() as keys:
        for number in range(first, first + count):
            one = key_ids[16 * number : 16 * number + 16].hex()
            key = b2a_base64(keys[size * number : size * (number + 1)], newline=False).decode()
            entries.append(
                f'{{"key_ID":"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}","key":"{key}"'
                f"{extension}}}"
            )
    return ",".join(entries)


def _extension(bundle: KeyBundle, tell_link: bool, tell_origin: bool) -> str:
    told: dict[str, object] = {}
    if tell_link and bundle.links:
        told[RELAY_LINK] = bundle.links[0]
        if len(bundle.links) > 1:
            told[RELAY_LINKS] = bundle.links
    if tell_origin or bundle.origin is not KeyOrigin.QKD:
        told[ORIGIN] = bundle.origin.value
    return f',"key_extension":{msgspec.json.encode(told).decode()}' if told else ""
