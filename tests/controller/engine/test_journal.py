"""The journal and its lease."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from keyweave_controller.engine.journal import Entry, Journal
from keyweave_controller.engine.lease import Fenced
from keyweave_core.errors import SettingsError, Unavailable


def entry(seq: int) -> Entry:
    return Entry(seq=seq, at=float(seq), kind="TimerFired", body=f'{{"n":{seq}}}')


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def store(tmp_path: Path):
    journal = Journal(url(tmp_path / "deep" / "store.db"), holder="one", at=1.0)
    yield journal
    journal.close()


def test_what_was_appended_is_read_in_order_after_a_restart(tmp_path: Path) -> None:
    first = Journal(url(tmp_path / "s.db"), holder="one", at=1.0)
    first.append([entry(1), entry(2)], at=1.0)
    first.append([entry(3)], at=1.0)
    first.append([], at=1.0)
    first.close()
    second = Journal(url(tmp_path / "s.db"), holder="two", at=2.0)
    assert second.epoch == first.epoch + 1
    assert list(second.entries_after(0, batch=2)) == [entry(1), entry(2), entry(3)]
    assert list(second.entries_after(2)) == [entry(3)]
    assert second.newest_snapshot() is None
    second.close()


def test_a_second_controller_fences_the_first(tmp_path: Path) -> None:
    first = Journal(url(tmp_path / "s.db"), holder="one", at=1.0)
    second = Journal(url(tmp_path / "s.db"), holder="two", at=2.0)
    with pytest.raises(Fenced, match="of two"):
        first.append([entry(1)], at=3.0)
    with pytest.raises(Fenced):
        first.save_snapshot(seq=1, at=3.0, body="{}")
    second.append([entry(1)], at=3.0)
    assert second.count() == 1
    first.close()
    second.close()


def test_a_batch_is_all_or_nothing(store: Journal) -> None:
    store.append([entry(1)], at=1.0)
    with pytest.raises(Unavailable):
        store.append([entry(2), entry(1)], at=1.0)
    assert store.count() == 1


def test_snapshots_let_the_journal_forget(store: Journal) -> None:
    store.append([entry(seq) for seq in range(1, 11)], at=1.0)
    store.save_snapshot(seq=4, at=1.0, body="four")
    assert store.count() == 10
    store.save_snapshot(seq=8, at=1.0, body="eight")
    assert [one.seq for one in store.entries_after(4)] == list(range(5, 11))
    assert store.count() == 6
    store.save_snapshot(seq=10, at=1.0, body="ten")
    newest = store.newest_snapshot()
    assert newest is not None
    assert (newest.seq, newest.body) == (10, "ten")
    assert store.count() == 2


def test_a_gap_is_told_not_skipped(store: Journal) -> None:
    store.append([entry(1), entry(3)], at=1.0)
    with pytest.raises(SettingsError, match="event 2 is missing"):
        list(store.entries_after(0))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"this is a letter, not a database " * 100)
    with pytest.raises(SettingsError, match=r"s\.db.*not a database"):
        Journal(url(path), holder="one", at=1.0)
    assert path.read_bytes().startswith(b"this is a letter")


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(SettingsError, match=r"another program.*recipes"):
        Journal(url(tmp_path / "s.db"), holder="one", at=1.0)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    Journal(url(tmp_path / "s.db"), holder="one", at=1.0).close()
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.execute("UPDATE keyweave_lease SET schema_version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(SettingsError, match="schema version 99"):
        Journal(url(tmp_path / "s.db"), holder="one", at=1.0)


def test_an_incomplete_store_is_refused(tmp_path: Path) -> None:
    Journal(url(tmp_path / "s.db"), holder="one", at=1.0).close()
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.execute("DROP TABLE keyweave_snapshot")
    connection.commit()
    connection.close()
    with pytest.raises(SettingsError, match="keyweave_snapshot missing"):
        Journal(url(tmp_path / "s.db"), holder="one", at=1.0)


@pytest.mark.parametrize("text", ["", "no url", "unheardof://host/db", "sqlite:////proc/nowhere/s.db"])
def test_a_useless_url_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="store"):
        Journal(text, holder="one", at=1.0)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        Journal("unheardof://me:secretword@host/db", holder="one", at=1.0)
    assert "secretword" not in str(caught.value)


_WRITER = """
import sys
from keyweave_controller.engine.journal import Entry, Journal

journal = Journal(sys.argv[1], holder="victim", at=1.0)
seq = 0
while True:
    batch = [Entry(seq=seq + more, at=1.0, kind="TimerFired", body="{}") for more in (1, 2, 3)]
    journal.append(batch, at=1.0)
    seq += 3
    print(seq, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, url(tmp_path / "s.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        told = [int(victim.stdout.readline()) for _ in range(15)][-1]
        victim.kill()
        told = max([told, *(int(line) for line in victim.stdout.read().splitlines() if line)])
    journal = Journal(url(tmp_path / "s.db"), holder="heir", at=2.0)
    kept = [one.seq for one in journal.entries_after(0)]
    journal.close()
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) >= told
    assert len(kept) % 3 == 0
