"""Another text of a module we have, against ours: which data nodes it has more, and which it lacks.

Rule of this file: the text is a stranger's. Whatever is wrong with it means only that nothing can be said.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyang.context import Context
from pyang.repository import FileRepository

from keyweave_yang.sources import find_source, search_path

_REVISION = re.compile(r"^\s*revision\s+\"?(\d{4}-\d{2}-\d{2})\"?", re.MULTILINE)
_BELOW = (
    "rpc",
    "notification",
    "input",
    "output",
    "choice",
    "case",
    "container",
    "list",
    "leaf",
    "leaf-list",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Schema paths without prefixes ('/qkd_node/qkdn_id'), sorted."""

    more: tuple[str, ...]
    less: tuple[str, ...]


def known_revisions(module: str) -> frozenset[str]:
    """The revisions that our text of a module tells of: its own and those before it."""
    return frozenset(_REVISION.findall(find_source(module, search_path()).text))


def differences(module: str, text: str) -> Difference | None:
    """What another text of `module` has more and less than ours; None when it cannot be understood.

    Takes a good part of a second: call it in a thread.
    """
    ours = _paths(module, find_source(module, search_path()).text)
    try:
        theirs = _paths(module, text)
    except Exception:  # noqa: BLE001 - pyang answers strange text with any exception at all
        return None
    if not ours or not theirs:
        return None
    return Difference(more=tuple(sorted(theirs - ours)), less=tuple(sorted(ours - theirs)))


def _paths(module: str, text: str) -> frozenset[str]:
    folders = ":".join(str(folder) for folder in search_path())
    context = Context(FileRepository(folders, use_env=False, no_path_recurse=True))
    parsed = context.add_module(f"{module}.yang", text)
    if parsed is None or parsed.arg != module:
        return frozenset()
    context.validate()
    return frozenset(_walk(getattr(parsed, "i_children", ()), ""))


def _walk(nodes: Iterable[Any], above: str) -> Iterable[str]:
    for node in nodes:
        if node.keyword not in _BELOW:
            continue
        # Choices and cases never appear on the wire.
        path = above if node.keyword in ("choice", "case") else f"{above}/{node.arg or node.keyword}"
        if path != above:
            yield path
        yield from _walk(getattr(node, "i_children", ()), path)
