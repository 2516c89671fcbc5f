"""Where YANG texts are found, and what is said when they are not."""

import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

from keyweave_core.errors import SettingsError
from keyweave_yang import sources


def test_our_folders_and_those_of_pyang() -> None:
    assert all(folder.is_dir() for folder in sources.our_folders())
    assert (sources.ietf_folder() / "ietf-yang-types.yang").is_file()
    assert sources.search_path()[-1] == sources.ietf_folder()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An interpreter without data folders of its own."""
    for name in ("prefix", "base_prefix"):
        monkeypatch.setattr(sources.sys, name, str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    return tmp_path


def test_pyang_installed_somewhere_else_is_found_by_its_list_of_files(elsewhere: Path) -> None:
    found = sources.ietf_folder()
    assert (found / "ietf-inet-types.yang").is_file()
    assert not found.is_relative_to(elsewhere)


def test_no_pyang_at_all(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    def absent(_name: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(SettingsError, match="looked in"):
        sources.ietf_folder()


def test_the_newest_text_is_read(tmp_path: Path) -> None:
    for day in ("2020-01-01", "2021-01-01"):
        text = f'module m {{\n  namespace "urn:m";\n  revision {day} {{\n  }}\n}}\n'
        (tmp_path / f"m@{day}.yang").write_text(text)
    found = sources.find_source("m", (tmp_path,))
    assert (found.revision, found.namespace, found.yang_version) == ("2021-01-01", "urn:m", "1")


def test_a_missing_or_headless_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="YANG module m is missing"):
        sources.find_source("m", (tmp_path,))
    (tmp_path / "m.yang").write_text("module m {}")
    with pytest.raises(SettingsError, match="no namespace"):
        sources.find_source("m", (tmp_path,))
