"""The master key of a key store: from a file or a command, exactly 32 bytes, for nobody else."""

import os
import sys
from pathlib import Path

import pytest

from keyweave_agents.keys.settings import StorageSettings
from keyweave_agents.keys.storage.wrapping import MasterKey, read_master_key
from keyweave_core.errors import SettingsError


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> StorageSettings:
    path = folder / "master.key"
    path.write_bytes(content)
    path.chmod(mode)
    return StorageSettings(key_file=path)


def command(code: str, timeout_s: float = 10.0) -> StorageSettings:
    return StorageSettings(key_command=(sys.executable, "-c", code), key_command_timeout_s=timeout_s)


def fits(one: MasterKey, other: MasterKey) -> bool:
    wrapped = one.wrap(bytearray(b"d" * 32), b"context")
    return bytes(other.unwrap(wrapped, b"context")) == b"d" * 32


def test_bytes_and_hex_digits_are_the_same_key(tmp_path: Path) -> None:
    key = os.urandom(32)
    master = read_master_key(key_file(tmp_path, key))
    for content in (key.hex().encode(), key.hex().upper().encode() + b"\n"):
        assert fits(master, read_master_key(key_file(tmp_path, content, 0o400)))
    assert fits(master, read_master_key(command(f"print('{key.hex()}')")))


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33, b"g" * 64, b"0" * 63, b"0" * 200])
def test_anything_but_32_bytes_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(
        SettingsError, match=r"master\.key: a master key is 32 bytes, or 64 hex digits"
    ) as caught:
        read_master_key(key_file(tmp_path, content))
    assert not content or content.decode() not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match=rf"others may read it \(mode {mode:04o}\); chmod 0600"):
        read_master_key(key_file(tmp_path, os.urandom(32), mode))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        read_master_key(StorageSettings(key_file=tmp_path / "nothing"))
    with pytest.raises(SettingsError, match="no regular file"):
        read_master_key(StorageSettings(key_file=tmp_path))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SettingsError, match="no regular file"):
        read_master_key(StorageSettings(key_file=tmp_path / "pipe"))


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(SettingsError, match=r"key_command .*: exit status 3"):
        read_master_key(command("import sys; print('0' * 64); sys.exit(3)"))
    with pytest.raises(SettingsError, match=r"no answer within 0\.2 s"):
        read_master_key(command("import time; time.sleep(5)", 0.2))
    with pytest.raises(SettingsError, match="cannot run: No such file"):
        read_master_key(StorageSettings(key_command=("/nowhere/at/all",)))
    with pytest.raises(SettingsError, match="this is neither"):
        read_master_key(command("print('too short')"))


def test_a_wrapped_key_belongs_to_its_context_and_its_master(tmp_path: Path) -> None:
    master = read_master_key(key_file(tmp_path, os.urandom(32)))
    wrapped = master.wrap(bytearray(32), b"one")
    assert master.wrap(bytearray(32), b"one") != wrapped
    for broken, context in ((wrapped, b"two"), (wrapped[:-1], b"one"), (b"", b"one")):
        with pytest.raises(SettingsError, match=r"the master key of .*master\.key does not fit"):
            master.unwrap(broken, context)
    with pytest.raises(SettingsError, match="the master key of another does not fit"):
        MasterKey(bytearray(os.urandom(32)), "another").unwrap(wrapped, b"one")


def test_one_source_and_no_more() -> None:
    for values in ({}, {"key_file": Path("a"), "key_command": ("b",)}, {"key_command": ("",)}):
        with pytest.raises(ValueError, match=r"key_file and key_command|must begin with a program"):
            StorageSettings(**values)  # type: ignore[arg-type]  # wrong on purpose


def test_paths_are_taken_from_the_folder_of_the_settings() -> None:
    settings = StorageSettings(key_file=Path("k"))
    assert settings.anchored(Path("/etc/a"), Path("/var/s")) == StorageSettings(
        key_file=Path("/etc/a/k"), directory=Path("/var/s")
    )
    chosen = StorageSettings(key_file=Path("/k"), directory=Path("d")).anchored(Path("/etc"), Path("/var"))
    assert (chosen.key_file, chosen.directory) == (Path("/k"), Path("/etc/d"))
