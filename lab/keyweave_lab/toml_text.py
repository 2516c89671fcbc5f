"""Writing of settings files: the part of TOML that our settings use.

Rule of this file: what is written is read back by `tomllib` as the same values; a value that TOML cannot
hold is refused. None means that the key is left out, as everywhere in our settings.
"""

import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any


def to_toml(table: Mapping[str, Any]) -> str:
    """`table` as a TOML document: plain values first, then tables, then arrays of tables.

    Raises ValueError for a value of a kind that settings do not have, naming its key.
    """
    lines: list[str] = []
    _write(table, (), lines)
    return "\n".join(lines).strip("\n") + "\n"


def _write(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    present = {key: value for key, value in table.items() if value is not None}
    for key, value in present.items():
        if not isinstance(value, Mapping) and not _is_tables(value):
            lines.append(f"{_key(key)} = {_value(value, '.'.join((*path, key)))}")
    for key, value in present.items():
        inner = (*path, key)
        header = ".".join(_key(part) for part in inner)
        if isinstance(value, Mapping):
            lines += ["", f"[{header}]"]
            _write(value, inner, lines)
        elif _is_tables(value):
            for item in value:
                lines += ["", f"[[{header}]]"]
                _write(item, inner, lines)


def _is_tables(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
    )


def _value(value: Any, where: str) -> str:
    match value:
        case Enum():
            return _value(value.value, where)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case str() | Path():
            return _text(str(value))
        case list() | tuple():
            return f"[{', '.join(_value(item, where) for item in value)}]"
        case _:
            raise ValueError(f"{where}: settings cannot hold {value!r}")


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else _text(key)


def _text(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
