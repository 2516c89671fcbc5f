"""Reading of YAML that people write: typed access where every complaint says `file:line: reason`.

Rule of this file: YAML is composed, never constructed, so no document makes an object or a big one: anchors,
aliases, deep nesting and files above a megabyte are refused before anything is built. A value has the type
that was asked for or is an error; nothing is guessed (`1` is no text, `yes` is no number).
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import yaml

from keyweave_core.errors import SettingsError

MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 8
_LONGEST = 128  # of a text in a list


class _Mark(Protocol):
    """A place in a file: PyYAML has two classes for it, with and without its C library."""

    line: int


_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_STR = "tag:yaml.org,2002:str"


def complaint(where: str, node: yaml.Node, reason: str) -> SettingsError:
    """The error of a node: `file:line: reason`."""
    return SettingsError(f"{where}:{_line(node.start_mark)}: {reason}")


def _line(mark: _Mark | None) -> int:
    """The line of a place in a file as people count; the first when YAML does not know."""
    return 1 if mark is None else mark.line + 1


def read_mapping(path: Path, known: frozenset[str]) -> "Mapping":
    """The top-level mapping of a file; SettingsError when it cannot be read or is not YAML of our kind."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot read: {error}") from error
    return parse_mapping(raw, known, where=str(path))


def parse_mapping(raw: bytes, known: frozenset[str], *, where: str) -> "Mapping":
    """Like `read_mapping`, from bytes; `where` names the source in errors."""
    if len(raw) > MAX_BYTES:
        raise SettingsError(f"{where}:1: larger than {MAX_BYTES} bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{where}:{line}: not UTF-8 text") from error
    try:
        _refuse_bombs(text, where)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        raise SettingsError(f"{where}:{line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise SettingsError(f"{where}:1: {str(error).splitlines()[0]}") from error
    if root is None:
        raise SettingsError(f"{where}:1: the file is empty")
    return Mapping(root, known, where)


def _refuse_bombs(text: str, where: str) -> None:
    """Look at the events of the document before anything is composed of them."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise SettingsError(f"{where}:{_line(event.start_mark)}: anchors and aliases are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise SettingsError(f"{where}:{_line(event.start_mark)}: nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class Mapping:
    """A mapping node with known keys, each at most once. Every access may raise SettingsError."""

    def __init__(self, node: yaml.Node, known: frozenset[str], where: str) -> None:
        self.node = node
        self._where = where
        self._values: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            raise complaint(where, node, f"expected a mapping with {', '.join(sorted(known))}")
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise complaint(where, key, "a key must be a word")
            if key.value not in known:
                reason = f"unknown key {key.value[:60]!r}; known here: {', '.join(sorted(known))}"
                raise complaint(where, key, reason)
            if key.value in self._values:
                raise complaint(where, key, f"{key.value} is given twice")
            self._values[key.value] = value

    def at(self, key: str) -> yaml.Node:
        """The node of a key, or of the mapping when the key is left out: for complaints."""
        return self._values.get(key, self.node)

    def wrong(self, key: str, reason: str) -> SettingsError:
        """A complaint at a key."""
        return complaint(self._where, self.at(key), reason)

    def has(self, key: str) -> bool:
        """Whether the key is given."""
        return key in self._values

    def text(self, key: str, *, most: int = 200, default: str | None = None) -> str:
        """Text of 1..`most` printable characters; without a default it must be there."""
        node = self._values.get(key)
        if node is None:
            if default is not None:
                return default
            raise self.wrong(key, f"{key} is missing")
        if not isinstance(node, yaml.ScalarNode) or node.tag != _STR:
            shown = f", not {node.value[:60]}: put it in quotes" if isinstance(node, yaml.ScalarNode) else ""
            raise self.wrong(key, f"{key} must be text{shown}")
        text: str = node.value.strip()
        if not 0 < len(text) <= most or not text.isprintable():
            raise self.wrong(key, f"{key} must be 1 to {most} printable characters")
        return text

    def number(self, key: str, *, least: float, most: float, above: bool = False) -> float | None:
        """A finite number of `least`..`most` (`above`: greater than `least`); None when left out."""
        value = self._scalar(key, (_INT, _FLOAT), "a number")
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan  # .nan, .inf, 0x10, 1:30: numbers for YAML, not for us
        if not math.isfinite(number) or not (least < number if above else least <= number) or number > most:
            bounds = f"above {least:g} and at most {most:g}" if above else f"{least:g}..{most:g}"
            raise self.wrong(key, f"{key} must be {bounds}, not {value[:60]}")
        return number

    def whole(self, key: str, *, least: int, most: int) -> int | None:
        """A whole number of `least`..`most`; None when left out."""
        value = self._scalar(key, (_INT,), "a whole number")
        if value is None:
            return None
        if not value.removeprefix("-").isdigit() or len(value) > 20 or not least <= int(value) <= most:
            raise self.wrong(key, f"{key} must be {least}..{most}, not {value[:60]}")
        return int(value)

    def is_whole(self, key: str) -> bool:
        """Whether the key is given as a whole number."""
        node = self._values.get(key)
        return isinstance(node, yaml.ScalarNode) and node.tag == _INT

    def items(self, key: str, known: frozenset[str], *, most: int) -> Iterator["Mapping"]:
        """The mappings of a list of at most `most`; nothing when left out."""
        node = self._values.get(key)
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            raise self.wrong(key, f"{key} must be a list")
        if len(node.value) > most:
            raise self.wrong(key, f"{key} has {len(node.value)} entries, the most is {most}")
        for item in node.value:
            yield Mapping(item, known, self._where)

    def texts(self, key: str, *, most: int) -> tuple[str, ...]:
        """A list of at most `most` texts of 1..128 printable characters, none twice; none when left out."""
        node = self._values.get(key)
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode) or len(node.value) > most:
            raise self.wrong(key, f"{key} must be a list of at most {most} texts")
        found = []
        for item in node.value:
            if not isinstance(item, yaml.ScalarNode) or item.tag != _STR:
                raise complaint(self._where, item, f"{key} must be texts; put numbers in quotes")
            text = item.value.strip()
            if not 0 < len(text) <= _LONGEST or not text.isprintable() or text in found:
                reason = f"{key} must be 1 to {_LONGEST} printable characters each, none twice"
                raise complaint(self._where, item, reason)
            found.append(text)
        return tuple(found)

    def _scalar(self, key: str, tags: tuple[str, ...], what: str) -> str | None:
        node = self._values.get(key)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode) or node.tag not in tags:
            shown = f", not {node.value[:60]!r}" if isinstance(node, yaml.ScalarNode) else ""
            raise self.wrong(key, f"{key} must be {what}{shown}")
        return str(node.value)
