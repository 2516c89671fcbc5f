"""Settings files: what is read, and how every complaint names file, key and reason."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.errors import SettingsError
from keyweave_core.runtime.settings import parse_settings, read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    port: int
    name: str = "none"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port}: not a port")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = field(default_factory=dict)
    maybe: Inner | None = None
    file: Path | None = None
    level: Literal["low", "high"] = "low"
    share: float = 0.5


WHOLE = """
file = "state/x"
level = "high"
share = 1
[inner]
port = 1
[[many]]
port = 2
[[many]]
port = 3
name = "three"
[named.a]
port = 4
[maybe]
port = 5
"""


def test_a_whole_file_becomes_values(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(WHOLE)
    assert read_settings(path, Outer) == Outer(
        inner=Inner(port=1),
        many=(Inner(port=2), Inner(port=3, name="three")),
        named={"a": Inner(port=4)},
        maybe=Inner(port=5),
        file=Path("state/x"),
        level="high",
        share=1.0,
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "missing required field `inner`"),
        ("[inner]\nport = 70000", "port 70000: not a port"),
        ("[inner]\nport = '1'", r"Expected `int`, got `str` - at `\$\.inner\.port`"),
        ("[inner]\nport = true", "Expected `int`, got `bool`"),
        ("[inner]\nport = 1.5", "Expected `int`, got `float`"),
        ("[inner]\nprot = 1", "unknown key inner.prot; known here: name, port"),
        ("x = 1\n[inner]\nport = 1", "unknown key x; known here: file, inner"),
        ("[inner]\nport = 1\n[[many]]\nport = 1\n[[many]]\nport = 1\ny = 2", r"unknown key many\.1\.y"),
        ("[inner]\nport = 1\n[named.a]\nport = 1\nz = 2", r"unknown key named\.a\.z"),
        ("[inner]\nport = 1\n[maybe]\nport = 1\nz = 2", r"unknown key maybe\.z"),
        ("level = 'mid'\n[inner]\nport = 1", "Invalid enum value 'mid'"),
        ("file = 3\n[inner]\nport = 1", r"got `int` - at `\$\.file`"),
        ("inner = 3", "Expected `object`, got `int`"),
        ("[inner]\nport = 1\n[inner]\nport = 2", r"Cannot declare .*line 3"),
        ("\n[inner port = 1", "line 2"),
        ("[inner", "end of document"),
    ],
)
def test_every_complaint_names_file_key_and_reason(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=rf"site\.toml: .*{reason}|site\.toml: {reason}"):
        parse_settings(text, Outer, where="site.toml")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"{path}: cannot read"):
        read_settings(path, Outer)


@given(st.text(max_size=200))
def test_no_text_brings_anything_but_values_or_a_settings_error(text: str) -> None:
    with pytest.raises(SettingsError, match="x: "):
        parse_settings(text, Inner, where="x")  # which wants a port: no random text gives one
