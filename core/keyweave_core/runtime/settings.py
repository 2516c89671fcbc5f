"""Reading of settings: TOML in, a frozen dataclass out, and every complaint names file, key and reason.

Rule of this file: an unknown key is fatal, a missing one has the dataclass's default or is fatal, and the
program that runs and the `check-config` verb use this same reader. Bounds are checked in the dataclass's
`__post_init__` (ValueError), so that they hold however the value was made.
"""

import dataclasses
import tomllib
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from keyweave_core.errors import SettingsError

T = TypeVar("T")


def read_settings(path: Path, shape: type[T]) -> T:
    """Read `path` as TOML into the frozen dataclass `shape`.

    Tables become nested dataclasses, arrays of tables become tuples of them, text becomes `Path` where the
    field says so. Raises SettingsError: unreadable file, TOML syntax (with line), unknown key, wrong type,
    or a bound that `__post_init__` refused.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot read: {error}") from error
    return parse_settings(text, shape, where=str(path))


def parse_settings(text: str, shape: type[T], *, where: str) -> T:
    """Like `read_settings`, from text; `where` names the source in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: {error}") from error
    _refuse_unknown(table, shape, where, "")
    try:
        return msgspec.convert(table, shape, strict=True, dec_hook=_to_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}") from error


def _to_path(kind: type, value: Any) -> Any:
    if kind is Path:
        if not isinstance(value, str):
            raise ValueError(f"Expected `str` (a path), got `{type(value).__name__}`")  # msgspec adds where
        return Path(value)
    raise NotImplementedError(f"settings cannot hold a {kind}")


def _refuse_unknown(value: Any, shape: Any, where: str, at: str) -> None:
    """Walk the table beside the dataclass; msgspec alone would let unknown keys of dataclasses pass."""
    if dataclasses.is_dataclass(shape):
        if isinstance(value, dict):
            hints = typing.get_type_hints(shape)
            for key, inner in value.items():
                if key not in hints:
                    known = ", ".join(sorted(hints))
                    raise SettingsError(f"{where}: unknown key {at}{key}; known here: {known}")
                _refuse_unknown(inner, hints[key], where, f"{at}{key}.")
    elif typing.get_origin(shape) is dict:
        if isinstance(value, dict):
            for key, inner in value.items():
                _refuse_unknown(inner, typing.get_args(shape)[1], where, f"{at}{key}.")
    elif typing.get_origin(shape) in (tuple, list):
        if isinstance(value, list):
            for index, inner in enumerate(value):
                _refuse_unknown(inner, typing.get_args(shape)[0], where, f"{at}{index}.")
    else:
        for choice in typing.get_args(shape):  # a union; other shapes hold no tables
            _refuse_unknown(value, choice, where, at)
