"""What a controller wrote outlives the process, whole or not at all."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyweave_agents.control.saved import Saved, SavedConfiguration
from keyweave_core.errors import MalformedMessage, Unavailable


def test_nothing_was_saved(tmp_path: Path) -> None:
    assert SavedConfiguration(tmp_path / "not there").load() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_law_what_is_saved_last_is_what_is_loaded(tmp_path: Path, text: str, created: dict[str, str]) -> None:
    store = SavedConfiguration(tmp_path / "state")
    saved = Saved(configuration=text, created=created)
    store.save(Saved(configuration="before", created={}))
    store.save(saved)
    assert store.load() == saved
    assert [each.name for each in store.path.parent.iterdir()] == ["running.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"configuration": 5, "created": {}}',
        b'{"configuration": "x"}',
        b'{"configuration": "x", "created": {}, "format": 99}',
    ],
)
def test_a_file_that_is_not_ours_is_named(tmp_path: Path, content: bytes) -> None:
    store = SavedConfiguration(tmp_path)
    store.path.write_bytes(content)
    with pytest.raises(MalformedMessage, match="running"):
        store.load()


def test_a_file_cut_anywhere_is_never_half_used(tmp_path: Path) -> None:
    store = SavedConfiguration(tmp_path)
    store.save(Saved(configuration="<a/>", created={"x": "y"}))
    whole = store.path.read_bytes()
    for length in range(len(whole)):
        store.path.write_bytes(whole[:length])
        with pytest.raises(MalformedMessage):
            store.load()


def test_a_disk_that_takes_nothing_is_unavailable_and_keeps_the_old(tmp_path: Path) -> None:
    store = SavedConfiguration(tmp_path)
    store.path.mkdir()  # the rename onto a folder fails, also for root
    with pytest.raises(Unavailable, match="running"):
        store.save(Saved(configuration="x", created={}))
    assert [each.name for each in tmp_path.iterdir()] == ["running.json"]


def test_what_is_forgotten_is_gone_and_forgetting_nothing_is_fine(tmp_path: Path) -> None:
    store = SavedConfiguration(tmp_path / "state")
    store.forget()
    store.save(Saved(configuration="<a/>", created={}))
    store.forget()
    assert store.load() is None


def test_what_a_killed_program_left_half_written_is_removed_at_the_next_start(tmp_path: Path) -> None:
    store = SavedConfiguration(tmp_path)
    store.save(Saved(configuration="whole", created={}))
    (tmp_path / "running-x1y2").write_bytes(b'{"configuration": "ha')
    saved = store.load()
    assert saved is not None
    assert saved.configuration == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["running.json"]
