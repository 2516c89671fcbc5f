r"""gNMI paths as text: /interfaces/interface[name=eth0]/state, for people, logs and tests.

Rule of this file: what `path_text` writes, `parse_path` reads back as the same path. In a name '/', '[' and
'\' stand behind a backslash; in the name of a key '=', ']' and '\'; in the value of a key ']' and '\'. An
origin stands before the first slash: etsi:/qkd_node. Keys are written in the order of their names.
"""

import re
from collections.abc import Iterator, Mapping

from keyweave_gnmi.faults import BadPath
from keyweave_proto.gnmi import gnmi_pb2 as pb

_MAX_TEXT = 16 * 1024
_ORIGIN = re.compile(r"([A-Za-z][\w.-]*):(?=/)")


def parse_path(text: str) -> pb.Path:
    """The path that `text` names; '' and '/' are the root. The leading slash may be left out.

    Raises BadPath naming the place when it does not read.
    """
    if len(text) > _MAX_TEXT:
        raise BadPath(f"a path of {len(text)} characters, want {_MAX_TEXT} or less")
    found = _ORIGIN.match(text)
    origin = "" if found is None else found[1]
    rest = text if found is None else text[found.end() :]
    return pb.Path(origin=origin, elem=list(_elements(rest.removeprefix("/"), text)))


def path_text(path: pb.Path) -> str:
    """The text of a path; the root is '/'. The target is not part of it."""
    origin = f"{path.origin}:" if path.origin else ""
    return origin + ("".join(f"/{element_text(elem.name, elem.key)}" for elem in path.elem) or "/")


def element_text(name: str, keys: Mapping[str, str]) -> str:
    """One element with its keys."""
    text = _escaped(name, "/[\\")
    for key in sorted(keys):
        text += f"[{_escaped(key, '=]' + chr(92))}={_escaped(keys[key], ']' + chr(92))}]"
    return text


def _escaped(text: str, special: str) -> str:
    return "".join("\\" + c if c in special else c for c in text)


def _elements(text: str, whole: str) -> Iterator[pb.PathElem]:
    at = 0
    while at < len(text):
        name, at = _until(text, at, "/[", whole)
        if not name:
            raise BadPath(f"{whole[:200]!r}: an element without a name")
        keys: dict[str, str] = {}
        while at < len(text) and text[at] == "[":
            key, at = _until(text, at + 1, "=]", whole)
            if at >= len(text) or text[at] != "=" or not key:
                raise BadPath(f"{whole[:200]!r}: want [key=value] at {name[:60]!r}")
            value, at = _until(text, at + 1, "]", whole)
            if at >= len(text):
                raise BadPath(f"{whole[:200]!r}: no ']' behind the key {key[:60]!r}")
            if key in keys:
                raise BadPath(f"{whole[:200]!r}: key {key[:60]!r} is given twice")
            keys[key] = value
            at += 1
        if at < len(text):
            if text[at] != "/":
                raise BadPath(f"{whole[:200]!r}: want '/' behind {name[:60]!r}")
            at += 1
            if at == len(text):
                raise BadPath(f"{whole[:200]!r}: ends with '/'")
        yield pb.PathElem(name=name, key=keys)


def _until(text: str, at: int, ends: str, whole: str) -> tuple[str, int]:
    """The text from `at` to the first of `ends` that no backslash guards, and where that stands."""
    taken: list[str] = []
    while at < len(text) and text[at] not in ends:
        if text[at] == "\\":
            at += 1
            if at == len(text):
                raise BadPath(f"{whole[:200]!r}: ends with a backslash")
        taken.append(text[at])
        at += 1
    return "".join(taken), at
