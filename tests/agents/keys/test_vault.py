"""The key store on disk: what was committed comes back; what is wrong is named, and nothing changed."""

import os
import sqlite3
from pathlib import Path

import pytest

from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.settings import StorageSettings
from keyweave_agents.keys.storage.vault import Vault
from keyweave_agents.keys.storage.vault_opening import open_vault
from keyweave_agents.keys.storage.wrapping import MasterKey, read_master_key
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import NodeId

NODE = NodeId("00000000-0000-4000-8000-000000000001")
OTHER = NodeId("00000000-0000-4000-8000-000000000002")


class Time:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


def storage(folder: Path, **changes: object) -> StorageSettings:
    key_file = folder / "master.key"
    if not key_file.exists():
        key_file.write_bytes(os.urandom(32))
        key_file.chmod(0o600)
    values: dict[str, object] = {"key_file": key_file, "directory": folder / "state", **changes}
    return StorageSettings(**values)  # type: ignore[arg-type]  # tests choose


def opened(folder: Path, time: Time | None = None, **changes: object) -> Vault:
    settings = storage(folder, **changes)
    return open_vault(settings, NODE, read_master_key(settings), time or Time())


def killed(vault: Vault) -> None:
    """The process is gone: what was not committed is lost, nothing is written any more."""
    vault._database.close()


def records(vault: Vault, shelf: str) -> dict[bytes, bytes]:
    return {key: bytes(value) for key, value in vault.shelf(shelf).items()}


def store_path(folder: Path) -> Path:
    return folder / "state" / "keys.store"


def test_what_was_committed_comes_back_after_a_kill_and_nothing_else(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    shelf = vault.shelf("room")
    shelf.put(b"a", b"one")
    shelf.put(b"b", bytearray(b"two"))
    assert (vault.noted, vault.kept) == (2, 0)
    vault.commit()
    assert vault.kept == 2
    shelf.put(b"a", b"three", lazy=True)
    shelf.delete(b"b")
    assert records(vault, "room") == {b"a": b"three"}, "what is noted is seen before it is durable"
    assert vault.stale
    killed(vault)
    again = opened(tmp_path)
    assert records(again, "room") == {b"a": b"one", b"b": b"two"}
    assert records(again, "other") == {}
    assert again.intact
    again.close()


def test_a_lazy_change_goes_with_the_next_commit_and_nobody_waits_for_it(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.shelf("room").put(b"a", b"one", lazy=True)
    assert (vault.noted, vault.stale) == (0, True)
    vault.commit()
    assert not vault.stale
    killed(vault)
    assert records(opened(tmp_path), "room") == {b"a": b"one"}


def test_no_value_lies_in_the_files_in_clear(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    secret = os.urandom(64)
    for number in range(50):
        vault.shelf("room").put(bytes([number]), secret)
        vault.commit()
    killed(vault)
    content = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert len(content) > 50 * 64
    assert not any(secret[start : start + 8] in content for start in range(57))
    assert (tmp_path / "master.key").read_bytes() not in content


def test_the_same_value_never_looks_the_same(tmp_path: Path) -> None:
    seen: set[bytes] = set()
    for _ in range(3):
        vault = opened(tmp_path)
        for key in (b"a", b"b", b"a"):
            vault.shelf("room").put(key, bytes(32))
            vault.commit()
            for (sealed,) in vault._database.execute("SELECT sealed FROM records").fetchall():
                seen.add(sealed)
        vault.close()
    assert len(seen) == 9


def test_another_master_key_opens_nothing_and_changes_nothing(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.shelf("room").put(b"a", b"one")
    vault.close()
    before = store_path(tmp_path).read_bytes()
    with pytest.raises(SettingsError, match=r"keys\.store: the master key of elsewhere does not fit"):
        open_vault(storage(tmp_path), NODE, MasterKey(bytearray(os.urandom(32)), "elsewhere"), Time())
    assert store_path(tmp_path).read_bytes() == before
    assert records(opened(tmp_path), "room") == {b"a": b"one"}


def test_a_new_master_key_takes_over_what_the_former_one_wrapped(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.shelf("room").put(b"a", b"one")
    vault.close()
    settings, key = storage(tmp_path), os.urandom(32)
    former = read_master_key(settings)

    def fresh() -> MasterKey:
        return MasterKey(bytearray(key), "the new one")

    open_vault(settings, NODE, fresh(), Time(), former).close()
    vault = open_vault(settings, NODE, fresh(), Time())
    assert records(vault, "room") == {b"a": b"one"}
    vault.close()
    with pytest.raises(SettingsError, match="does not fit"):
        opened(tmp_path)
    with pytest.raises(SettingsError, match="does not fit"):
        open_vault(settings, NODE, MasterKey(bytearray(32), "a third one"), Time(), former)


def test_the_store_of_another_node_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    settings = storage(tmp_path)
    with pytest.raises(SettingsError, match=f"another node .{NODE}., not of {OTHER}"):
        open_vault(settings, OTHER, read_master_key(settings), Time())


@pytest.mark.parametrize("content", [b"", b"no store", b"SQLite format 3\x00" + bytes(200)])
def test_a_foreign_file_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    store_path(tmp_path).parent.mkdir()
    store_path(tmp_path).write_bytes(content)
    with pytest.raises(SettingsError, match=r"keys\.store: this is no key store"):
        opened(tmp_path)
    assert store_path(tmp_path).read_bytes() == content
    assert [path.name for path in store_path(tmp_path).parent.iterdir()] == ["keys.store"]


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    database = sqlite3.connect(store_path(tmp_path))
    database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(SettingsError, match=r"a key store of format 2; this program writes format 1"):
        opened(tmp_path)


def test_two_processes_cannot_have_one_store(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    with pytest.raises(SettingsError, match="another process has this key store open"):
        opened(tmp_path)
    vault.close()
    opened(tmp_path).close()


def test_a_changed_or_swapped_record_is_noticed(tmp_path: Path) -> None:
    for change in (
        "UPDATE records SET sealed = zeroblob(length(sealed)) WHERE key = x'61'",
        "UPDATE records SET sealed = (SELECT sealed FROM records WHERE key = x'62') WHERE key = x'61'",
        "UPDATE records SET shelf = 'other'",
        "UPDATE records SET generation = 1 WHERE key = x'61'",
        "UPDATE records SET sealed = x'00'",
    ):
        vault = opened(tmp_path)
        vault.shelf("room").put(b"a", b"one")
        vault.shelf("room").put(b"b", b"two")
        vault.shelf("other").delete(b"a")
        vault.shelf("other").delete(b"b")
        vault.close()
        database = sqlite3.connect(store_path(tmp_path))
        database.execute(change)
        database.commit()
        database.close()
        vault = opened(tmp_path)
        with pytest.raises(SettingsError, match=r"a record of (room|other) is damaged"):
            _ = [*vault.shelf("room").items(), *vault.shelf("other").items()]
        killed(vault)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    for number in range(200):
        vault.shelf("room").put(number.to_bytes(2, "big"), os.urandom(200))
    vault.close()
    content = bytearray(store_path(tmp_path).read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    store_path(tmp_path).write_bytes(content)
    with pytest.raises(SettingsError, match=r"keys\.store"):
        _ = list(opened(tmp_path).shelf("room").items())


def test_a_copied_store_is_not_intact_until_the_first_commit(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.shelf("room").put(b"a", b"one")
    vault.close()
    copied = store_path(tmp_path).read_bytes()
    store_path(tmp_path).rename(tmp_path / "kept-so-that-its-inode-is-not-free")
    store_path(tmp_path).write_bytes(copied)
    for _ in range(2):
        vault = opened(tmp_path)
        assert not vault.intact
        killed(vault)
    vault = opened(tmp_path)
    vault.commit()
    killed(vault)
    assert opened(tmp_path).intact


def test_what_was_kept_for_the_process_alone_does_not_outlive_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = opened(tmp_path, durability="process")
    vault.shelf("room").put(b"a", b"one")
    vault.commit()
    killed(vault)
    vault = opened(tmp_path, durability="process")
    assert vault.intact, "the machine did not stop in between"
    vault.commit()
    killed(vault)
    monkeypatch.setattr("keyweave_agents.keys.storage.vault_file.boot_id", lambda: b"another boot")
    vault = opened(tmp_path)
    assert not vault.intact
    vault.commit()
    vault.close()
    monkeypatch.setattr("keyweave_agents.keys.storage.vault_file.boot_id", lambda: b"a third boot")
    vault = opened(tmp_path, durability="process")
    assert vault.intact, "it ended well"
    vault.close()


def test_a_full_disk_loses_nothing_and_is_over_when_there_is_room(tmp_path: Path) -> None:
    vault = opened(tmp_path, max_bytes=1 << 18)
    shelf = vault.shelf("room")
    shelf.put(b"first", b"one")
    vault.commit()
    for number in range(100):
        shelf.put(b"much%d" % number, os.urandom(8192))
    with pytest.raises(LedgerFailed, match=r"keys\.store cannot be written: .*full"):
        vault.commit()
    assert vault.kept < vault.noted
    shelf.put(b"second", b"two")
    for number in range(100):
        shelf.delete(b"much%d" % number)
    vault.commit()
    assert vault.kept == vault.noted
    killed(vault)
    assert records(opened(tmp_path), "room") == {b"first": b"one", b"second": b"two"}


def test_data_keys_are_drawn_anew_and_those_without_records_deleted(tmp_path: Path) -> None:
    time = Time()
    vault = opened(tmp_path, time, rotate_data_key_s=3600.0)

    def generations() -> list[int]:
        return [row[0] for row in vault._database.execute("SELECT generation FROM data_keys").fetchall()]

    shelf = vault.shelf("room")
    for number in range(600):
        shelf.put(number.to_bytes(2, "big"), number.to_bytes(4, "big"))
    vault.commit()
    vault.tidy()
    assert generations() == [2], "the one that came with the file has no records"
    time.now_s += 3600
    vault.tidy()
    assert generations() == [2, 3]
    time.now_s += 3600
    for _ in range(4):
        vault.tidy()
    assert generations() == [4], "600 records were moved, 256 at once"
    vault.close()
    vault = opened(tmp_path, time, rotate_data_key_s=3600.0)
    assert records(vault, "room") == {n.to_bytes(2, "big"): n.to_bytes(4, "big") for n in range(600)}
    time.now_s -= 86_400
    vault.tidy()
    assert max(generations()) == 6, "a clock that was set back draws a new one too"
    vault.close()
